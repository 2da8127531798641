//! Loads a directory of segments: which count, what they hold, and what is missing.
//!
//! # Invariants
//! - Sealed segments cost their header, footer and index; blocks are not read. Only a segment
//!   without a sound footer is read entry by entry.
//! - Nothing is changed on disk here: that is recovery's part, and a writer's alone.
//! - What one segment's damage hides is reported; the others load all the same.

use std::collections::BTreeMap;

use presence_format::block::BlockLayout;
use presence_format::catalog::{Catalog, StreamEntry};
use presence_format::checksum::PayloadChecks;
use presence_format::entry::{Entry, EntryKind};
use presence_format::index::{Index, IndexEntry, StreamBlocks};
use presence_format::segment::{DatabaseId, Footer};

use super::live::{Candidate, live};
use super::report::RecoveryReport;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::read::run::Run;
use crate::segment::{Damage, End, Scanner, SegmentFile, segment_number};
use crate::shim::Arc;

/// How often a reader reads a directory that changes while it does.
const LOAD_TRIES_MAX: u32 = 32;

/// Loads a directory, and loads it again as it grows.
#[derive(Debug)]
pub(crate) struct Loader {
    device: Arc<dyn Device>,
    may_map: bool,
    database: Option<DatabaseId>,
    /// Segments that need not be read again.
    known: BTreeMap<u32, Known>,
    /// Whether a writer may be at work: unsound ends are "not yet", not torn.
    following: bool,
    /// Highest number in a file name, sound or not: it is never used again.
    highest_name: u32,
    /// Whether this is one segment copied alone: what came before is not missed.
    alone: bool,
    /// What was loaded last: segments, and where the entries of the unsealed ones ended.
    last: Option<Vec<(u32, Option<End>)>>,
}

#[derive(Debug)]
enum Known {
    Sealed(Arc<SealedSegment>),
    Open(Box<Scanner>, Arc<SegmentFile>),
}

/// A segment with a sound footer and index.
#[derive(Debug)]
pub(crate) struct SealedSegment {
    pub(crate) file: Arc<SegmentFile>,
    pub(crate) footer: Footer,
    /// Every stream at the time of sealing.
    pub(crate) catalog: Catalog,
    /// The blocks, by stream.
    pub(crate) runs: BTreeMap<u32, Arc<Run>>,
}

/// One segment as loaded.
#[derive(Debug)]
pub(crate) enum LoadedSegment<'a> {
    Sealed(&'a Arc<SealedSegment>),
    Open(&'a Scanner, &'a Arc<SegmentFile>),
}

impl LoadedSegment<'_> {
    pub(crate) fn file(&self) -> &Arc<SegmentFile> {
        match self {
            Self::Sealed(sealed) => &sealed.file,
            Self::Open(_, file) => file,
        }
    }

    /// What the segment says of streams at its end.
    pub(crate) fn catalog(&self) -> Box<dyn Iterator<Item = &StreamEntry> + '_> {
        match self {
            Self::Sealed(sealed) => Box::new(sealed.catalog.streams.iter()),
            Self::Open(scanner, _) => Box::new(scanner.catalog.values()),
        }
    }

    fn retained_from(&self) -> u32 {
        match self {
            Self::Sealed(sealed) => sealed.catalog.retained_from,
            Self::Open(scanner, _) => scanner.retained_from,
        }
    }

    /// Where the last log segment it stands for ended, and the chain there.
    pub(crate) fn log_end(&self) -> (u32, u32) {
        match self {
            Self::Sealed(sealed) => (sealed.footer.log_end.get(), sealed.footer.log_crc.get()),
            Self::Open(scanner, _) => (scanner.data_end().offset, scanner.data_end().crc),
        }
    }
}

/// What a directory holds.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) database: DatabaseId,
    /// Numbers of the segments that count, in the order of the log.
    pub(crate) order: Vec<u32>,
    pub(crate) retained_from: u32,
    pub(crate) next_segment: u32,
    pub(crate) report: RecoveryReport,
    /// Files that a writer may remove: superseded, given up, or never published.
    pub(crate) dead: Vec<String>,
}

impl Loader {
    /// A loader for `device`. `following` tells that a writer may be at work.
    pub(crate) fn new(device: Arc<dyn Device>, may_map: bool, following: bool) -> Self {
        Self {
            device,
            may_map,
            database: None,
            known: BTreeMap::new(),
            following,
            highest_name: 0,
            alone: false,
            last: None,
        }
    }

    /// A loader for the only segment in `device`, copied there alone.
    pub(crate) fn alone(device: Arc<dyn Device>, may_map: bool) -> Self {
        Self { alone: true, ..Self::new(device, may_map, false) }
    }

    /// Whether the segment was copied alone.
    pub(crate) fn is_alone(&self) -> bool {
        self.alone
    }

    /// The device read from.
    pub(crate) fn device(&self) -> Arc<dyn Device> {
        Arc::clone(&self.device)
    }

    /// Whether anything changed since the last time this was asked.
    pub(crate) fn changed(&mut self, loaded: &Loaded) -> bool {
        let state = |number: &u32| match self.known.get(number) {
            Some(Known::Open(scanner, _)) => (*number, Some(scanner.end)),
            _ => (*number, None),
        };
        let now: Vec<_> = loaded.order.iter().map(state).collect();
        let changed = self.last.as_ref() != Some(&now);
        self.last = Some(now);
        changed
    }

    /// The segment with this number.
    pub(crate) fn segment(&self, number: u32) -> Option<LoadedSegment<'_>> {
        self.known.get(&number).map(|known| match known {
            Known::Sealed(sealed) => LoadedSegment::Sealed(sealed),
            Known::Open(scanner, file) => LoadedSegment::Open(scanner, file),
        })
    }

    /// Takes the scan of a segment out, to go on writing it.
    pub(crate) fn take_open(&mut self, number: u32) -> Option<(Box<Scanner>, Arc<SegmentFile>)> {
        match self.known.remove(&number)? {
            Known::Open(scanner, file) => Some((scanner, file)),
            sealed @ Known::Sealed(_) => {
                self.known.insert(number, sealed);
                None
            }
        }
    }

    /// Reads the directory.
    ///
    /// # Errors
    /// `NotADatabase` where no segment's header can be read, `Incompatible` for a newer format,
    /// `Io`. Damage is reported, not an error.
    pub(crate) fn load(&mut self) -> Result<Loaded> {
        // Beside a writer, segments may go while they are listed and opened, and what is left may
        // look damaged: it is read again until none went meanwhile.
        let mut tries = if self.following { LOAD_TRIES_MAX } else { 1 };
        loop {
            let before = if tries > 1 { self.segment_names()? } else { Vec::new() };
            let loaded = self.load_once();
            tries -= 1;
            if tries == 0 {
                return loaded;
            }
            let after = self.segment_names()?;
            // New ones do no harm, unless the listing missed one that another follows.
            let sound = loaded.as_ref().is_ok_and(|loaded| loaded.report.damage.is_empty());
            let none_went = before.iter().all(|number| after.binary_search(number).is_ok());
            if before == after || (sound && none_went) {
                return loaded;
            }
        }
    }

    fn segment_names(&self) -> Result<Vec<u32>> {
        let entries = self.device.list().map_err(Error::io("list", &self.device.describe()))?;
        let mut names: Vec<u32> =
            entries.iter().filter_map(|entry| segment_number(&entry.name)).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn load_once(&mut self) -> Result<Loaded> {
        let mut report = RecoveryReport::default();
        let mut dead = Vec::new();
        let files = self.open_files(&mut report, &mut dead)?;
        let database = self.choose_database(&files)?;
        let mut candidates = Vec::new();
        let mut by_number = BTreeMap::new();
        for file in files {
            if DatabaseId(file.header.database) != database {
                report.damage.push(whole_file(&file.name, "a segment of another database"));
                continue;
            }
            candidates.push(Candidate::new(&file.header));
            by_number.insert(file.number(), file);
        }
        let in_headers = candidates.iter().map(|c| c.number.max(c.log_last)).max().unwrap_or(0);
        let next_segment = in_headers.max(self.highest_name).saturating_add(1);
        let (mut order, superseded) = live(&candidates);
        let mut names = |numbers: &[u32]| {
            let names = numbers.iter().filter_map(|number| by_number.get(number));
            dead.extend(names.map(|file| file.name.clone()));
        };
        names(&superseded);
        let last_log = candidates.iter().filter(|c| c.generation == 0).map(|c| c.number).max();
        for (at, &number) in order.iter().enumerate() {
            let earlier = order.get(..at).unwrap_or_default();
            if let Some(file) = by_number.get(&number) {
                let successor = by_number.values().find(|f| {
                    f.header.generation.get() == 0 && f.header.previous_segment.get() == number
                });
                let end = successor.map(|successor| successor.header.previous_end.get());
                self.load_segment(file, earlier, Some(number) == last_log, end, &mut report)?;
            }
        }
        order.retain(|number| self.known.contains_key(number));
        let retained_from = order
            .iter()
            .filter_map(|&number| self.segment(number))
            // No segment gives up itself, whatever its catalog says.
            .map(|segment| segment.retained_from().min(segment.file().header.log_last.get()))
            .max()
            .unwrap_or(0);
        let given_up = |number: &u32| {
            by_number.get(number).is_some_and(|f| f.header.log_last.get() < retained_from)
        };
        let gone: Vec<u32> = order.iter().copied().filter(given_up).collect();
        names(&gone);
        order.retain(|number| !given_up(number));
        self.known.retain(|number, _| order.contains(number));
        self.check_chain(&order, retained_from, &mut report);
        report.segments = order.len();
        Ok(Loaded { database, order, retained_from, next_segment, report, dead })
    }

    fn open_files(
        &mut self,
        report: &mut RecoveryReport,
        dead: &mut Vec<String>,
    ) -> Result<Vec<Arc<SegmentFile>>> {
        let entries = self.device.list().map_err(Error::io("list", &self.device.describe()))?;
        let mut files = Vec::new();
        let mut newer = None;
        for entry in entries {
            let name = entry.name;
            let Some(number) = segment_number(&name) else {
                // The number of a segment that a repair set aside is never used again.
                let aside = name.strip_prefix("quarantine-").and_then(|rest| rest.get(9..));
                let aside = aside.and_then(segment_number).unwrap_or(0);
                self.highest_name = self.highest_name.max(aside);
                if is_temporary(&name) && entry.regular {
                    dead.push(name);
                } else if name != "LOCK" {
                    report.ignored.push(name);
                }
                continue;
            };
            self.highest_name = self.highest_name.max(number);
            if !entry.regular {
                report.damage.push(whole_file(&name, "not a regular file"));
                continue;
            }
            match self.known.get(&number) {
                Some(Known::Sealed(sealed)) => files.push(Arc::clone(&sealed.file)),
                Some(Known::Open(_, file)) => files.push(Arc::clone(file)),
                None => match SegmentFile::open(&*self.device, &name, self.may_map) {
                    Ok(file) => files.push(Arc::new(file)),
                    Err(Error::Corrupt { what, .. }) => {
                        report.damage.push(whole_file(&name, &what));
                    }
                    Err(error @ Error::Incompatible { .. }) => newer = Some(error),
                    // Retention may have removed it between the listing and now.
                    Err(Error::Io { source, .. })
                        if source.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                },
            }
        }
        if let Some(error) = newer {
            return Err(error);
        }
        files.sort_by_key(|file| file.number());
        Ok(files)
    }

    /// The id that most segments name; of equally many the one with the lowest number.
    fn choose_database(&mut self, files: &[Arc<SegmentFile>]) -> Result<DatabaseId> {
        if let Some(database) = self.database {
            return Ok(database);
        }
        let mut counts: Vec<(DatabaseId, usize)> = Vec::new();
        for file in files {
            let id = DatabaseId(file.header.database);
            match counts.iter_mut().find(|(other, _)| *other == id) {
                Some((_, count)) => *count += 1,
                None => counts.push((id, 1)),
            }
        }
        let most = counts.iter().map(|(_, count)| *count).max();
        let chosen = counts.iter().find(|(_, count)| Some(*count) == most);
        match chosen {
            Some((id, _)) => {
                self.database = Some(*id);
                Ok(*id)
            }
            None => Err(Error::NotADatabase {
                path: self.device.describe(),
                what: "it holds no readable segment (seg-*.presence)".to_owned(),
            }),
        }
    }

    fn load_segment(
        &mut self,
        file: &Arc<SegmentFile>,
        earlier: &[u32],
        is_last: bool,
        end: Option<u32>,
        report: &mut RecoveryReport,
    ) -> Result<()> {
        let number = file.number();
        if matches!(self.known.get(&number), Some(Known::Sealed(_))) {
            return Ok(());
        }
        match read_sealed(file) {
            Ok(sealed) => {
                file.set_sealed();
                self.known.insert(number, Known::Sealed(Arc::new(sealed)));
                return Ok(());
            }
            Err(Error::Corrupt { what, offset, .. }) => {
                if !is_last {
                    report.damage.push(Damage {
                        file: file.name.clone(),
                        offset,
                        end: offset,
                        what: format!("{what}; the segment was read entry by entry"),
                    });
                }
            }
            Err(error) => return Err(error),
        }
        let mut scanner = match self.known.remove(&number) {
            Some(Known::Open(scanner, _)) => scanner,
            _ => {
                // Its own catalogs may be what is damaged.
                let known = merged_catalog(self, earlier);
                Box::new(Scanner::new(Arc::clone(file)).knowing(known))
            }
        };
        if self.following && is_last {
            scanner.follow()?;
        } else {
            // Before a segment has a successor, all of it is durable.
            let durable = if is_last { 0 } else { end.unwrap_or(file_end(file)?) };
            scanner.recover(durable)?;
        }
        report.scanned.push(file.name.clone());
        report.scanned_bytes += u64::from(scanner.end.offset);
        report.damage.extend(scanner.damage.iter().cloned());
        if scanner.torn_bytes() > 0 && is_last {
            report.torn.push(super::report::Torn {
                file: file.name.clone(),
                offset: u64::from(scanner.end.offset),
                bytes: u64::from(scanner.torn_bytes()),
            });
        }
        self.known.insert(number, Known::Open(scanner, Arc::clone(file)));
        Ok(())
    }

    /// Reports where a segment does not follow the one before it.
    fn check_chain(&self, order: &[u32], retained_from: u32, report: &mut RecoveryReport) {
        let mut previous: Option<(u32, (u32, u32))> = None;
        for segment in order.iter().filter_map(|&number| self.segment(number)) {
            let header = &segment.file().header;
            if header.part.get() > 0 {
                continue;
            }
            let claimed = header.previous_segment.get();
            let what = match previous {
                Some((number, _)) if claimed != number => Some(format!(
                    "it follows segment {claimed}, but the one before it here is {number}"
                )),
                Some((_, end)) if end != (header.previous_end.get(), header.previous_crc.get()) => {
                    Some(format!("segment {claimed} is not the file that it followed"))
                }
                None if claimed != 0 && claimed >= retained_from.max(1) && !self.alone => {
                    Some(format!("it follows segment {claimed}, which is missing"))
                }
                _ => None,
            };
            if let Some(what) = what {
                report.damage.push(Damage {
                    file: segment.file().name.clone(),
                    offset: 52,
                    end: 64,
                    what,
                });
            }
            previous = Some((header.log_last.get(), segment.log_end()));
        }
    }
}

/// Whether it is the name of a segment that has no name yet. What is merely like it is somebody's.
fn is_temporary(name: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    name.strip_prefix(".tmp-").is_some_and(|id| id.len() == 32 && id.bytes().all(is_digit))
}

fn file_end(file: &SegmentFile) -> Result<u32> {
    let len = file.file.len().map_err(Error::io("measure", &file.name))?;
    Ok(u32::try_from(len).unwrap_or(u32::MAX))
}

fn whole_file(name: &str, what: &str) -> Damage {
    Damage { file: name.to_owned(), offset: 0, end: u64::MAX, what: what.to_owned() }
}

/// Reads footer and index; `Corrupt` where the segment is not sealed or they are not sound.
pub(crate) fn read_sealed(file: &Arc<SegmentFile>) -> Result<SealedSegment> {
    let name = &file.name;
    let len = file.file.len().map_err(Error::io("measure", name))?;
    let at = len.saturating_sub(Footer::BYTES as u64);
    let footer_offset = u32::try_from(at).map_err(|_| Error::Corrupt {
        file: name.clone(),
        offset: at,
        what: "larger than a segment can be".to_owned(),
        affected: None,
    })?;
    let mut bytes = [0; Footer::BYTES];
    file.read(&mut bytes, footer_offset)?;
    let footer = Footer::decode(&bytes, file.place(), len).map_err(Error::format(name, at))?;
    let index_offset = footer.index_offset.get();
    let fault = || Error::format(name, u64::from(index_offset));
    // The header first: nothing but an index says how much is to be read.
    let mut stored = vec![0; footer_offset.saturating_sub(index_offset).min(128) as usize];
    file.read(&mut stored, index_offset)?;
    let entry = Entry::parse(&stored, file.place(), index_offset).map_err(fault())?;
    let header_bytes = entry.kind.header_bytes() as usize;
    let end = entry.payload_offset().saturating_add(entry.stored_bytes());
    let have = stored.len();
    stored.resize(end.min(footer_offset).saturating_sub(index_offset) as usize, 0);
    if let Some(rest) = stored.get_mut(have..) {
        file.read(rest, index_offset.saturating_add(have as u32))?;
    }
    let payload_bytes = entry.header.payload_bytes.get() as usize;
    let payload = stored.get(header_bytes..header_bytes.saturating_add(payload_bytes));
    let table = stored.get(
        header_bytes.saturating_add(payload_bytes)
            ..header_bytes.saturating_add(entry.stored_bytes() as usize),
    );
    let (Some(payload), Some(table), EntryKind::Index) = (payload, table, entry.kind) else {
        let error = presence_format::FormatError::corrupt(0, "no index where the footer says");
        return Err(fault()(error));
    };
    if entry.header.previous_crc != footer.data_crc || entry.header.number != footer.entries {
        let error = presence_format::FormatError::corrupt(56, "index of other data");
        return Err(fault()(error));
    }
    PayloadChecks::new(entry.header.payload_bytes.get(), entry.header.payload_crc.get(), table)
        .and_then(|checks| checks.check(payload))
        .map_err(fault())?;
    let index = Index::decode(payload, index_offset).map_err(fault())?;
    if index.catalog.retained_from > file.header.log_last.get() {
        let what = "an index that gives up its own segment";
        return Err(fault()(presence_format::FormatError::corrupt(64, what)));
    }
    let runs = index.streams.iter().filter(|blocks| !blocks.entries.is_empty());
    let layouts: BTreeMap<u32, BlockLayout> = index
        .catalog
        .streams
        .iter()
        .map(|stream| (stream.id, BlockLayout::new(&stream.schema)))
        .collect();
    let is_sound = |blocks: &StreamBlocks| {
        layouts.get(&blocks.stream).is_some_and(|layout| {
            let ts = |left: &IndexEntry, right: &IndexEntry| {
                layout.allows(left.last_ts.get(), right.first_ts.get())
            };
            blocks.entries.array_windows().all(|[left, right]| ts(left, right))
        })
    };
    if !runs.clone().all(is_sound) {
        let what = "an index of blocks that its catalog does not allow";
        return Err(fault()(presence_format::FormatError::corrupt(64, what)));
    }
    let run = |blocks: &StreamBlocks| {
        let layout = layouts.get(&blocks.stream)?;
        let run = Run::new(Arc::clone(file), layout, &blocks.entries);
        Some((blocks.stream, Arc::new(run)))
    };
    let runs = runs.filter_map(run).collect();
    Ok(SealedSegment { file: Arc::clone(file), footer, catalog: index.catalog, runs })
}

/// Contradictions between catalogs that are told.
const CONTRADICTIONS_MAX: usize = 1000;

/// What catalogs of the segments `order` say of streams that contradicts what came before.
pub(crate) fn contradictions(loader: &Loader, order: &[u32]) -> Vec<Damage> {
    let mut known: BTreeMap<u32, &StreamEntry> = BTreeMap::new();
    let mut names: BTreeMap<&str, u32> = BTreeMap::new();
    let mut wrong = Vec::new();
    for &number in order {
        let Some(known_segment) = loader.known.get(&number) else { continue };
        let (file, streams): (_, Box<dyn Iterator<Item = &StreamEntry>>) = match known_segment {
            Known::Sealed(sealed) => (&sealed.file, Box::new(sealed.catalog.streams.iter())),
            Known::Open(scanner, file) => (file, Box::new(scanner.catalog.values())),
        };
        for stream in streams {
            let id = stream.id;
            let what = match known.insert(id, stream) {
                Some(before) if !before.is_same(stream) => {
                    format!("stream {id} has another name or schema than in earlier segments")
                }
                Some(_) => continue,
                None => match names.insert(&stream.name, id) {
                    Some(other) => format!("streams {other} and {id} have the same name"),
                    None => continue,
                },
            };
            if wrong.len() < CONTRADICTIONS_MAX {
                wrong.push(whole_file(&file.name, &what));
            }
        }
    }
    wrong
}

/// The newest word on every stream, over the segments `order`.
pub(crate) fn merged_catalog(loader: &Loader, order: &[u32]) -> Catalog {
    let mut streams: BTreeMap<u32, StreamEntry> = BTreeMap::new();
    for segment in order.iter().filter_map(|&number| loader.segment(number)) {
        for stream in segment.catalog() {
            streams.insert(stream.id, stream.clone());
        }
    }
    Catalog { retained_from: 0, streams: streams.into_values().collect() }
}
