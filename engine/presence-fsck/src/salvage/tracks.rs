//! Copies presence tracks into a new database: of each region the newest sound version, and the
//! words that are newer.
//!
//! # Invariants
//! - Memory is one region and the words that stand in none, per plane.
//! - Every tick that is set in a class of the copy is observed in it.

use std::collections::BTreeMap;

use presence::{Database, Grid, PresenceTrack, Rate};
use presence_format::PlaneKind;
use presence_format::block::BlockLayout;
use presence_format::entry::EntryKind;
use presence_format::frame::Section;
use presence_format::index::IndexEntry;
use presence_format::plane::region::first_tick;
use presence_format::plane::{Plane, REGION_WORDS, WORD_TICKS, region_of};

use super::source::Source;
use super::units::Unit;
use super::{Error, Salvaged, hunt};
use crate::planes::{self, PlaneFacts, describe};

/// A plane on its way.
pub(super) struct PlaneCopy<'a> {
    pub(super) id: u32,
    pub(super) name: &'a str,
    pub(super) plane: &'a Plane,
    pub(super) layout: BlockLayout,
    /// Its blocks, as sound indexes tell of them.
    pub(super) indexed: Vec<IndexEntry>,
}

/// Where the newest sound version of a region is.
type Regions = BTreeMap<i64, (u64, Unit)>;
/// Words by tick, with their sequence.
type Words = BTreeMap<i64, (u64, u64)>;

/// The track of `plane` in the copy.
pub(super) fn track(db: &Database, plane: &Plane) -> Result<PresenceTrack, presence::Error> {
    let (num, den) = plane.rate();
    let grid = Grid::new(Rate::new(num, den)?, plane.epoch_us());
    let track = match db.track(plane.track()) {
        Ok(track) if track.grid() == grid => track,
        Ok(_) => return Err(presence::Error::TrackExists { name: plane.track().to_owned() }),
        Err(_) => db.create_track(plane.track(), grid)?,
    };
    if let PlaneKind::Class { id, name } = plane.kind()
        && !name.is_empty()
    {
        track.name_class(*id, name)?;
    }
    Ok(track)
}

impl PlaneCopy<'_> {
    /// Copies what `units` hold of the plane, as far as it counts.
    pub(super) fn take(
        &self,
        track: &PresenceTrack,
        source: &mut Source<'_>,
        units: &[Unit],
        salvaged: &mut Salvaged,
    ) -> Result<(), Error> {
        let (mut regions, mut pieces): (Regions, Vec<Unit>) = (Regions::new(), Vec::new());
        let mut newest_first: Vec<&Unit> = units.iter().collect();
        newest_first.sort_by_key(|unit| (std::cmp::Reverse(unit.first_sequence), unit.rank));
        let mut have: Vec<u64> = Vec::new();
        for unit in newest_first {
            let name = source.name(unit.file).to_owned();
            let words = self.words(source, unit).map_err(|error| Error::read(&name, error))?;
            match words {
                Ok((Some(region), _)) => {
                    regions.entry(region).or_insert((unit.first_sequence, *unit));
                }
                Ok((None, _)) => pieces.push(*unit),
                Err(what) => {
                    salvaged.refuse(&name, unit.at, &what);
                    continue;
                }
            }
            have.push(unit.first_sequence);
        }
        have.sort_unstable();
        self.note_lost(&regions, &have, salvaged);
        let mut words = Words::new();
        for unit in pieces.iter().rev() {
            let name = source.name(unit.file).to_owned();
            let found = self.words(source, unit).map_err(|error| Error::read(&name, error))?;
            let Ok((_, found)) = found else { continue };
            for (sequence, (tick, word)) in (unit.first_sequence..).zip(found) {
                let later = |(newest, _): &(u64, Unit)| *newest > sequence;
                if !regions.get(&region_of(tick)).is_some_and(later) {
                    words.insert(tick, (sequence, word));
                }
            }
        }
        let more = words.keys().map(|tick| region_of(*tick));
        let mut numbers: Vec<i64> = regions.keys().copied().chain(more).collect();
        numbers.sort_unstable();
        numbers.dedup();
        for number in numbers {
            let bits = self.fill(source, number, &regions, &words)?;
            salvaged.records += bits.iter().filter(|&&word| word != 0).count() as u64;
            self.set(track, first_tick(number), &bits)?;
        }
        Ok(())
    }

    /// The region of a unit, none where its words stand for themselves, and its words.
    fn words(&self, source: &mut Source<'_>, unit: &Unit) -> std::io::Result<Decoded> {
        let sizes = source.sizes;
        let bytes = source.bytes(unit.file)?;
        let Some(entry) = hunt::header(bytes.get(unit.at, 128)?) else {
            return Ok(Err("the entry has changed since it was found".to_owned()));
        };
        let payload_at = unit.at + u64::from(entry.kind.header_bytes());
        let payload = bytes.get_padded(payload_at, entry.header.payload_bytes.get() as usize)?;
        if entry.kind == EntryKind::Block {
            let own = entry.block.is_some_and(|b| b.schema_crc.get() == self.layout.schema_crc());
            let index = planes::check_block(self.plane, &entry).and_then(|index| {
                let fault = || format!("a block of another schema than {}", describe(self.plane));
                own.then_some(index).ok_or_else(fault)
            });
            return Ok(index.and_then(|index| {
                planes::content(&entry, payload, &self.layout)?;
                let words = planes::words(&entry, payload, &self.layout)?;
                Ok((planes::region(&index), words))
            }));
        }
        let mut rest = payload;
        while !rest.is_empty() {
            let section;
            (section, rest) = match Section::decode(rest, sizes) {
                Ok(found) => found,
                Err(error) => return Ok(Err(error.what)),
            };
            if section.stream == self.id && section.first_sequence == unit.first_sequence {
                let mut lanes = section.lanes(&self.layout);
                let mut lane = || lanes.next().map_or(&[][..], |lane| lane.as_chunks::<8>().0);
                let times = lane().iter().map(|ts| i64::from_le_bytes(*ts) & !(WORD_TICKS - 1));
                let words = lane().iter().map(|word| u64::from_le_bytes(*word));
                return Ok(Ok((None, times.zip(words).collect())));
            }
        }
        Ok(Err(format!("no words of {} in the frame", describe(self.plane))))
    }

    /// The words of a region as they count.
    fn fill(
        &self,
        source: &mut Source<'_>,
        number: i64,
        regions: &Regions,
        words: &Words,
    ) -> Result<Vec<u64>, Error> {
        let first = first_tick(number);
        let mut bits = vec![0; REGION_WORDS];
        let mut put = |tick: i64, word: u64| {
            let index = usize::try_from((tick - first) / WORD_TICKS).ok();
            if let Some(place) = index.and_then(|index| bits.get_mut(index)) {
                *place = word;
            }
        };
        if let Some((_, unit)) = regions.get(&number) {
            let name = source.name(unit.file).to_owned();
            let found = self.words(source, unit).map_err(|error| Error::read(&name, error))?;
            let (_, found) = found.unwrap_or_default();
            found.into_iter().for_each(|(tick, word)| put(tick, word));
        }
        let last = first.saturating_add(WORD_TICKS * (REGION_WORDS as i64 - 1));
        words.range(first..=last).for_each(|(tick, (_, word))| put(*tick, *word));
        Ok(bits)
    }

    /// Sets the ticks of `bits`, run by run.
    fn set(&self, track: &PresenceTrack, first: i64, bits: &[u64]) -> Result<(), Error> {
        for (from, to) in runs(bits) {
            let at = |tick: i64| self.plane.start_us(first.saturating_add(tick));
            let range = at(from)..at(to);
            match self.plane.kind() {
                PlaneKind::Observed => track.observe_range(range)?,
                PlaneKind::Class { id, .. } => track.set_range(*id, range)?,
            }
        }
        Ok(())
    }

    /// Notes the newest version of each region that an index tells of, where that is not here.
    fn note_lost(&self, regions: &Regions, have: &[u64], salvaged: &mut Salvaged) {
        let mut facts = PlaneFacts::default();
        let mut newest: BTreeMap<i64, &IndexEntry> = BTreeMap::new();
        for entry in &self.indexed {
            let sequence = entry.first_sequence.get();
            if have.binary_search(&sequence).is_ok() {
                continue;
            }
            let number = region_of(entry.first_ts.get());
            if regions.get(&number).is_some_and(|(newest, _)| *newest > sequence) {
            } else if planes::region(entry).is_none() {
                facts.lose(entry);
            } else {
                let place = newest.entry(number).or_insert(entry);
                if place.first_sequence.get() < sequence {
                    *place = entry;
                }
            }
        }
        newest.into_values().for_each(|entry| facts.lose(entry));
        salvaged.lost.extend(facts.lost(self.name, self.plane));
    }
}

/// A region, none where words stand for themselves, and the words; or why there are none.
type Decoded = Result<(Option<i64>, Vec<(i64, u64)>), String>;

/// The runs of set bits.
fn runs(bits: &[u64]) -> Vec<(i64, i64)> {
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for (index, &word) in bits.iter().enumerate() {
        let mut left = word;
        while left != 0 {
            let skip = left.trailing_zeros();
            let len = (left >> skip).trailing_ones();
            let from = WORD_TICKS * index as i64 + i64::from(skip);
            let to = from + i64::from(len);
            match runs.last_mut() {
                Some(last) if last.1 == from => last.1 = to,
                _ => runs.push((from, to)),
            }
            let mask = if len == 64 { u64::MAX } else { ((1 << len) - 1) << skip };
            left &= !mask;
        }
    }
    runs
}
