//! The planes of a track side by side: one grid, one plane of what was observed, and every tick of
//! a class observed.
//!
//! # Invariants
//! - Memory grows with regions up to a bound, never with ticks.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use presence::device::Device;
use presence_format::block::BlockLayout;
use presence_format::entry::{Entry, Place};
use presence_format::index::IndexEntry;
use presence_format::plane::{Plane, PlaneKind, REGION_WORDS, WORD_TICKS, region_of};

use crate::bytes::Bytes;
use crate::planes::{self, describe};

/// Regions and words of all planes that are kept for the comparison; beyond, none is made.
const KEPT_MAX: usize = 2 << 20;

/// Where a region's block stands.
#[derive(Debug, Clone)]
struct Stands {
    sequence: u64,
    file: Arc<str>,
    place: Place,
    offset: u32,
}

/// What counts of one plane.
#[derive(Debug, Default)]
struct Bitmap {
    regions: BTreeMap<i64, Stands>,
    /// Words that are in no region, by tick, with their sequence.
    words: BTreeMap<i64, (u64, u64)>,
}

/// One track: its grid, and the stream of each plane.
#[derive(Debug)]
struct Track {
    grid: ((u32, u32), i64),
    /// By class; none for what was observed.
    planes: BTreeMap<Option<u16>, u32>,
}

/// All tracks.
#[derive(Debug, Default)]
pub(crate) struct Tracks {
    tracks: BTreeMap<String, Track>,
    bitmaps: BTreeMap<u32, Bitmap>,
    kept: usize,
}

impl Tracks {
    /// Takes a plane; tells what contradicts the others of its track.
    pub(crate) fn take_plane(&mut self, id: u32, name: &str, plane: &Plane) -> Vec<String> {
        let mut wrong = Vec::new();
        if name != planes::name_of(plane) {
            wrong.push(format!("stream {name:?} is {}", describe(plane)));
        }
        let grid = (plane.rate(), plane.epoch_us());
        let new = || Track { grid, planes: BTreeMap::new() };
        let track = self.tracks.entry(plane.track().to_owned()).or_insert_with(new);
        if track.grid != grid {
            let ((num, den), epoch) = grid;
            let ((other_num, other_den), other_epoch) = track.grid;
            wrong.push(format!(
                "{} has {num}/{den} ticks a second from {epoch} on, and other planes have \
                 {other_num}/{other_den} from {other_epoch} on",
                describe(plane)
            ));
        }
        let class = match plane.kind() {
            PlaneKind::Observed => None,
            PlaneKind::Class { id, .. } => Some(*id),
        };
        if let Some(other) = track.planes.insert(class, id) {
            wrong.push(format!("streams {other} and {id} are both {}", describe(plane)));
        }
        wrong
    }

    /// Tracks without a plane of what was observed.
    pub(crate) fn headless(&self) -> impl Iterator<Item = String> {
        let tracks = self.tracks.iter().filter(|(_, track)| !track.planes.contains_key(&None));
        tracks.map(|(name, _)| format!("track {name:?} has no plane of what was observed"))
    }

    /// Takes a sound block of the plane `id`.
    pub(crate) fn take_block(
        &mut self,
        (id, layout): (u32, &BlockLayout),
        file: &str,
        entry: &Entry,
        payload: &[u8],
    ) {
        let Some(index) = IndexEntry::of(entry) else { return };
        let sequence = index.first_sequence.get();
        let Some(number) = planes::region(&index) else {
            let words = planes::words(entry, payload, layout).unwrap_or_default();
            self.take_words(id, sequence, words.into_iter());
            return;
        };
        let bitmap = self.bitmaps.entry(id).or_default();
        let first = index.first_ts.get() - index.first_ts.get().rem_euclid(REGION_TICKS);
        let covered = first..=first.saturating_add(REGION_TICKS - 1);
        let covered: Vec<i64> = bitmap.words.range(covered).map(|(tick, _)| *tick).collect();
        self.kept = self.kept.saturating_sub(covered.len());
        for tick in covered {
            bitmap.words.remove(&tick);
        }
        let place =
            Place { database: entry.header.database.get(), segment: entry.header.segment.get() };
        let file = bitmap
            .regions
            .values()
            .next_back()
            .filter(|stands| &*stands.file == file)
            .map_or_else(|| Arc::from(file), |stands| Arc::clone(&stands.file));
        let stands = Stands { sequence, file, place, offset: entry.header.offset.get() };
        self.kept += usize::from(bitmap.regions.insert(number, stands).is_none());
    }

    /// Takes words that stand for themselves, of which the first has this `sequence`.
    pub(crate) fn take_words(
        &mut self,
        id: u32,
        sequence: u64,
        words: impl Iterator<Item = (i64, u64)>,
    ) {
        let bitmap = self.bitmaps.entry(id).or_default();
        for (sequence, (tick, word)) in (sequence..).zip(words) {
            let covers = |stands: &Stands| stands.sequence > sequence;
            if bitmap.regions.get(&region_of(tick)).is_some_and(covers) || self.kept > KEPT_MAX {
                continue;
            }
            self.kept += usize::from(bitmap.words.insert(tick, (sequence, word)).is_none());
        }
    }

    /// Looks for ticks of classes that are not observed, in the tracks that are whole.
    ///
    /// # Errors
    /// Where a file cannot be read any more.
    pub(crate) fn unobserved<'a>(
        &self,
        device: &dyn Device,
        of: impl Fn(u32) -> Option<&'a Plane>,
        is_whole: impl Fn(u32) -> bool,
        tell: &mut dyn FnMut(String),
    ) -> io::Result<()> {
        if self.kept > KEPT_MAX {
            return Ok(());
        }
        let mut files = Files { device, open: None };
        for track in self.tracks.values() {
            let Some(observed) = track.planes.get(&None) else { continue };
            if !track.planes.values().all(|&id| is_whole(id)) {
                continue;
            }
            for (_, class) in track.planes.iter().filter(|(class, _)| class.is_some()) {
                let mut found: Option<(i64, u64)> = None;
                for region in self.regions(*class) {
                    let class = self.fill(*class, region, &mut files)?;
                    let observed = self.fill(*observed, region, &mut files)?;
                    for (index, (class, observed)) in class.iter().zip(&observed).enumerate() {
                        let more = class & !observed;
                        if more == 0 {
                            continue;
                        }
                        let tick = region * REGION_TICKS
                            + WORD_TICKS * index as i64
                            + i64::from(more.trailing_zeros());
                        let (_, count) = found.get_or_insert((tick, 0));
                        *count += u64::from(more.count_ones());
                    }
                }
                if let Some(((tick, count), plane)) = found.zip(of(*class)) {
                    tell(format!(
                        "{count} ticks of {} are set and not observed, the first of them {tick}, \
                         at {} us",
                        describe(plane),
                        plane.start_us(tick)
                    ));
                }
            }
        }
        Ok(())
    }

    fn regions(&self, id: u32) -> Vec<i64> {
        let Some(bitmap) = self.bitmaps.get(&id) else { return Vec::new() };
        let words = bitmap.words.keys().map(|tick| region_of(*tick));
        let mut regions: Vec<i64> = bitmap.regions.keys().copied().chain(words).collect();
        regions.sort_unstable();
        regions.dedup();
        regions
    }

    /// The words of a region as they count.
    fn fill(&self, id: u32, region: i64, files: &mut Files<'_>) -> io::Result<Vec<u64>> {
        let mut out = vec![0; REGION_WORDS];
        let Some(bitmap) = self.bitmaps.get(&id) else { return Ok(out) };
        let first = region * REGION_TICKS;
        let mut put = |tick: i64, word: u64| {
            let index = usize::try_from((tick - first) / WORD_TICKS);
            if let Some(place) = index.ok().and_then(|index| out.get_mut(index)) {
                *place = word;
            }
        };
        if let Some(stands) = bitmap.regions.get(&region) {
            files.words(stands)?.into_iter().for_each(|(tick, word)| put(tick, word));
        }
        let range = first..=first.saturating_add(REGION_TICKS - 1);
        bitmap.words.range(range).for_each(|(tick, (_, word))| put(*tick, *word));
        Ok(out)
    }
}

const REGION_TICKS: i64 = presence_format::plane::REGION_TICKS as i64;

/// The file that was read last.
struct Files<'a> {
    device: &'a dyn Device,
    open: Option<(Arc<str>, Bytes)>,
}

impl Files<'_> {
    fn words(&mut self, stands: &Stands) -> io::Result<Vec<(i64, u64)>> {
        if self.open.as_ref().is_none_or(|(name, _)| *name != stands.file) {
            let bytes = Bytes::open(self.device, &stands.file)?;
            self.open = Some((Arc::clone(&stands.file), bytes));
        }
        let Some((_, bytes)) = &mut self.open else { return Ok(Vec::new()) };
        let header = bytes.get_padded(u64::from(stands.offset), 128)?;
        let changed = |_| io::Error::other("the file changed while it was read");
        let entry = Entry::parse(header, stands.place, stands.offset).map_err(changed)?;
        let count = entry.header.payload_bytes.get() as usize;
        let payload = bytes.get_padded(u64::from(entry.payload_offset()), count)?;
        // The layout is asked for blocks of words only.
        let region = presence_format::plane::Region::parse(payload).map_err(changed)?;
        let (mut times, mut words) = (Vec::new(), Vec::new());
        region.records(&mut times, &mut words);
        Ok(times.into_iter().zip(words).collect())
    }
}
