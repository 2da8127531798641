//! Copies every sound record of a database, also from beyond damage, into a new one.
//!
//! # Invariants
//! - The source is read only, and nothing in it is trusted but what its own checksum covers.
//! - The copy has its name when all of it is durable and was judged sound, and not before.
//! - Records get new sequences where some before them are missing: the copy has no holes. Where
//!   they are is told, and written into `salvage.json` beside the copy's segments.

mod copy;
mod hunt;
mod tracks;
mod units;

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use presence::device::{Device, LOCK_NAME, RealDevice};
use presence::{Database, DatabaseId, Schema};
use presence_format::block::BlockLayout;
use presence_format::catalog::{Catalog, StreamEntry};
use presence_format::entry::EntryKind;
use presence_format::frame::Section;
use presence_format::index::{Index, IndexEntry};
use presence_format::segment::SegmentHeader;
use serde::Serialize;

use crate::bytes::Bytes;
use crate::intervals::{Interval, Intervals};
use crate::planes::describe;
use crate::report::{Level, Lost, Report, records_of};
use crate::{Options, Progress, check, check_device};
use copy::Copy;
use hunt::Found;
use tracks::PlaneCopy;
use units::{Rank, Timeline, Unit};

/// What the name of a copy that is being written begins with.
const UNFINISHED: &str = ".salvage-";
/// The report that is left in the copy.
const REPORT_NAME: &str = "salvage.json";
/// Refusals that are told one by one.
const REFUSED_MAX: usize = 1000;

/// Why nothing could be salvaged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The source cannot be read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// The file or directory.
        file: String,
        /// The system's error.
        source: io::Error,
    },
    /// The copy cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file or directory.
        path: String,
        /// The system's error.
        source: io::Error,
    },
    /// There is something where the copy is to be.
    #[error("{path} is there already, and not an empty directory: name another place")]
    Exists {
        /// The path.
        path: String,
    },
    /// Nothing that is sound was found.
    #[error("{path} holds no sound stream")]
    Nothing {
        /// The source.
        path: String,
    },
    /// The engine refused to write the copy.
    #[error(transparent)]
    Engine(#[from] presence::Error),
    /// The copy was written and is not sound: nothing was left of it.
    #[error("the copy is not sound: {what}; nothing of it was kept")]
    Unsound {
        /// The first finding.
        what: String,
    },
    /// It was ended before its time; nothing was left of the copy.
    #[error("interrupted; nothing of the copy was kept")]
    Interrupted,
}

impl Error {
    fn read(file: &str, source: io::Error) -> Self {
        Self::Read { file: file.to_owned(), source }
    }

    fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Write { path, source }
    }
}

/// What was salvaged, and what was not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Salvaged {
    /// Version of this structure.
    pub report_version: u32,
    /// Where it came from.
    pub source: String,
    /// Streams in the copy.
    pub streams: u64,
    /// Records in the copy.
    pub records: u64,
    /// Records that are missing in it.
    pub lost: Vec<Lost>,
    /// Sound pieces that could not be taken, the first thousand: file, offset and why.
    pub refused: Vec<Refused>,
    /// How many more there were.
    pub further_refused: u64,
    /// Entries that a crash had cut and others had replaced: left out.
    pub replaced: u64,
    /// Entries of other databases: left out.
    pub foreign: u64,
    /// Sound headers whose content is not.
    pub unsound: u64,
    /// Frames among them, where there are presence tracks: what they held of tracks nothing counts.
    pub uncounted_frames: u64,
    /// Files that could not be searched to their end, and why.
    pub unread: Vec<String>,
    /// Directories beside the copy that a killed salvage left, or another one is at work in.
    pub left_over: Vec<String>,
}

/// A piece that could not be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The file.
    pub file: String,
    /// Where in it.
    pub offset: u64,
    /// Why.
    pub what: String,
}

impl Salvaged {
    /// Whether every record that was ever known of is in the copy.
    pub fn is_complete(&self) -> bool {
        self.lost.is_empty() && self.unread.is_empty() && self.uncounted_frames == 0
    }

    /// How many records are missing.
    pub fn lost_records(&self) -> u64 {
        records_of(self.lost.iter())
    }

    /// 0 where it is complete, 1 where something was or may have been lost.
    pub fn exit_code(&self) -> u8 {
        u8::from(!self.is_complete())
    }

    fn refuse(&mut self, file: &str, offset: u64, what: &str) {
        if self.refused.len() >= REFUSED_MAX {
            self.further_refused += 1;
            return;
        }
        self.refused.push(Refused { file: file.to_owned(), offset, what: what.to_owned() });
    }
}

/// Copies what is sound of the database, or the one segment, at `path` into a new one at `out`.
///
/// Everything is read twice. Memory grows with the number of blocks (some 50 bytes each), not with
/// their size. `progress` ends the work where it says `false`.
///
/// # Errors
/// [`Error`]; then nothing is left at `out`.
pub fn salvage(
    path: impl AsRef<Path>,
    out: impl AsRef<Path>,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<Salvaged, Error> {
    let (path, out) = (path.as_ref(), out.as_ref());
    let is_alone = !path.is_dir();
    let (folder, only) = match (is_alone, path.parent(), path.file_name()) {
        (true, Some(parent), Some(name)) => (parent, Some(name.to_string_lossy().into_owned())),
        _ => (path, None),
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let unreadable = |error| Error::read(&path.display().to_string(), error);
    let device = RealDevice::open(folder).map_err(unreadable)?;
    let is_taken = out.exists() && !out.read_dir().is_ok_and(|mut dir| dir.next().is_none());
    if is_taken {
        return Err(Error::Exists { path: out.display().to_string() });
    }
    let mut survey = Survey::new(&device, only.as_deref(), progress)?;
    survey.salvaged.source = path.display().to_string();
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    survey.salvaged.left_over = left_over(parent).map_err(Error::write(parent))?;
    let place = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .tempdir_in(parent)
        .map_err(Error::write(parent))?;
    let copy = RealDevice::open(place.path()).map_err(Error::write(place.path()))?;
    let salvaged = survey.copy(&device, Arc::new(copy), is_alone, progress)?;
    finish(place, out, parent, &salvaged)?;
    Ok(salvaged)
}

/// Names in `parent` of copies that were never finished.
fn left_over(parent: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in parent.read_dir()? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(Some(name).filter(|name| name.starts_with(UNFINISHED)));
    }
    names.sort();
    Ok(names)
}

/// As [`salvage`], from the directory behind one device to the empty one behind another. The copy
/// is there at once, and stays where an error ends it.
///
/// # Errors
/// [`Error`].
pub fn salvage_device(
    device: &dyn Device,
    out: Arc<dyn Device>,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<Salvaged, Error> {
    let survey = Survey::new(device, None, progress)?;
    let salvaged = survey.copy(device, Arc::clone(&out), false, progress)?;
    judge(check_device(&*out, &Options::at(Level::Deep), &mut |_| true))?;
    Ok(salvaged)
}

/// The copy must be sound.
fn judge(judged: Result<Report, crate::Error>) -> Result<(), Error> {
    let what = match judged {
        Ok(report) if report.is_sound() => return Ok(()),
        Ok(Report { findings, .. }) => findings.first().map(|finding| finding.what.clone()),
        Err(error) => Some(error.to_string()),
    };
    Err(Error::Unsound { what: what.unwrap_or_default() })
}

/// Judges the copy, leaves the report in it, and gives it its name.
fn finish(
    place: tempfile::TempDir,
    out: &Path,
    parent: &Path,
    salvaged: &Salvaged,
) -> Result<(), Error> {
    judge(check(place.path(), &Options::at(Level::Deep), &mut |_| true))?;
    let file = place.path().join(REPORT_NAME);
    let json = serde_json::to_vec_pretty(salvaged).map_err(io::Error::other);
    let written = json.and_then(|json| {
        std::fs::write(&file, json)?;
        std::fs::File::open(&file)?.sync_all()?;
        RealDevice::open(place.path())?.sync_directory()
    });
    written.map_err(Error::write(&file))?;
    let place = place.keep();
    let named =
        std::fs::rename(&place, out).and_then(|()| RealDevice::open(parent)?.sync_directory());
    named.map_err(|error| {
        // What has no name is not kept either.
        let _removed = std::fs::remove_dir_all(&place);
        Error::write(out)(error)
    })
}

/// The files to copy from.
pub(super) struct Source<'a> {
    device: &'a dyn Device,
    files: &'a [String],
    open: Option<(u32, Bytes)>,
    /// Bytes of one record of a stream.
    sizes: &'a dyn Fn(u32) -> Option<usize>,
}

impl Source<'_> {
    fn name(&self, file: u32) -> &str {
        self.files.get(file as usize).map_or("", String::as_str)
    }

    fn bytes(&mut self, file: u32) -> io::Result<&mut Bytes> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != file) {
            self.open = None;
            let bytes = Bytes::open(self.device, self.name(file))?;
            self.open = Some((file, bytes));
        }
        match &mut self.open {
            Some((_, bytes)) => Ok(bytes),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// One stream, as the newest catalog has it.
#[derive(Debug)]
struct Stream {
    entry: StreamEntry,
    /// Which catalog it is from: segment and number.
    newest: (u32, u32),
    counted: u64,
}

/// Everything sound in the source.
#[derive(Debug, Default)]
struct Survey {
    files: Vec<String>,
    streams: BTreeMap<u32, Stream>,
    retained_from: u32,
    blocks: Vec<Unit>,
    /// Blocks of planes that indexes tell of, by stream.
    indexed: BTreeMap<u32, Vec<IndexEntry>>,
    /// Frames: file, offset, and whether they stand in their place.
    frames: Vec<(u32, u64, bool)>,
    salvaged: Salvaged,
}

impl Survey {
    fn new(
        device: &dyn Device,
        only: Option<&str>,
        progress: &mut dyn FnMut(Progress) -> bool,
    ) -> Result<Self, Error> {
        let listed = device.list().map_err(|error| Error::read(&device.describe(), error))?;
        let mut listed: Vec<_> = listed
            .into_iter()
            .filter(|entry| entry.regular && entry.name != LOCK_NAME)
            .filter(|entry| only.is_none_or(|only| entry.name == only))
            .collect();
        if let Some(only) = only.filter(|_| listed.is_empty()) {
            return Err(Error::read(only, io::ErrorKind::NotFound.into()));
        }
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        let all = listed.iter().map(|entry| entry.len).fold(0, u64::saturating_add);
        let all = all.saturating_mul(2);
        let mut survey = Self {
            files: listed.iter().map(|entry| entry.name.clone()).collect(),
            salvaged: Salvaged {
                report_version: 1,
                source: device.describe(),
                ..Salvaged::default()
            },
            ..Self::default()
        };
        let mut finds = Vec::new();
        let mut done = 0;
        for (file, entry) in (0_u32..).zip(&listed) {
            let mut tell = |at: u64| progress(Progress { done: done + at, all });
            let found = search(device, &entry.name, &mut tell);
            let (find, going) = found.map_err(|error| Error::read(&entry.name, error))?;
            if !going {
                return Err(Error::Interrupted);
            }
            finds.push((file, find));
            done += entry.len;
        }
        survey.take(finds);
        Ok(survey)
    }

    /// Takes what belongs to the database that most entries name.
    fn take(&mut self, finds: Vec<(u32, Find)>) {
        let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
        for (_, find) in &finds {
            let pieces = find.pieces.iter().map(|piece| piece.database);
            for owner in pieces.chain(find.catalogs.iter().map(|(owner, ..)| *owner)) {
                *counts.entry(owner).or_default() += 1;
            }
        }
        let Some(database) = counts.iter().max_by_key(|(_, count)| **count).map(|(id, _)| *id)
        else {
            return;
        };
        for (_, find) in &finds {
            for (owner, at, catalog) in &find.catalogs {
                if *owner == database {
                    self.take_catalog(*at, catalog);
                }
            }
        }
        let has_tracks = self.streams.values().any(|one| one.entry.schema.plane().is_some());
        for (file, find) in finds {
            let given_up = find.log_last.is_some_and(|last| last < self.retained_from);
            for (owner, stream, entry) in find.indexed {
                if owner == database && !given_up {
                    self.indexed.entry(stream).or_default().push(entry);
                }
            }
            self.salvaged.unsound += find.ended.unsound;
            if has_tracks {
                self.salvaged.uncounted_frames += find.ended.unsound_frames;
            }
            if !find.ended.whole {
                let name = self.files.get(file as usize).cloned().unwrap_or_default();
                self.salvaged.unread.push(name);
            }
            for piece in find.pieces {
                if piece.database != database {
                    self.salvaged.foreign += 1;
                } else if find.replaced.contains(&piece.at) {
                    self.salvaged.replaced += 1;
                } else if !given_up && piece.segment >= self.retained_from {
                    self.take_piece(file, &piece);
                }
            }
        }
    }

    fn take_piece(&mut self, file: u32, piece: &Piece) {
        match piece.block {
            None => self.frames.push((file, piece.at, piece.in_place)),
            Some((stream, first_sequence, records)) => self.blocks.push(Unit {
                stream,
                first_sequence,
                records,
                file,
                at: piece.at,
                rank: if piece.in_place { Rank::Block } else { Rank::Displaced },
            }),
        }
    }

    fn take_catalog(&mut self, at: (u32, u32), catalog: &Catalog) {
        self.retained_from = self.retained_from.max(catalog.retained_from);
        for entry in &catalog.streams {
            let known = self.streams.get(&entry.id);
            let counted = known.map_or(0, |known| known.counted).max(entry.sequence);
            let newest = known.filter(|known| known.newest > at);
            let (entry, newest) = newest
                .map_or_else(|| (entry.clone(), at), |known| (known.entry.clone(), known.newest));
            self.streams.insert(entry.id, Stream { entry, newest, counted });
        }
    }

    /// Writes the copy.
    fn copy(
        mut self,
        device: &dyn Device,
        out: Arc<dyn Device>,
        is_alone: bool,
        progress: &mut dyn FnMut(Progress) -> bool,
    ) -> Result<Salvaged, Error> {
        if self.streams.is_empty() {
            return Err(Error::Nothing { path: self.salvaged.source });
        }
        let layouts: BTreeMap<u32, usize> = self
            .streams
            .iter()
            .map(|(&id, stream)| (id, BlockLayout::new(&stream.entry.schema).record_bytes()))
            .collect();
        let sizes = |id: u32| layouts.get(&id).copied();
        let files = std::mem::take(&mut self.files);
        let mut source = Source { device, files: &files, open: None, sizes: &sizes };
        let mut units = std::mem::take(&mut self.blocks);
        self.add_frames(&mut source, &mut units)?;
        let db = Database::create_on(out, writing_options())?;
        let all = units.iter().map(|unit| u64::from(unit.records)).sum::<u64>();
        let mut done = 0;
        let mut sorted = units::sorted(units);
        let start = (self.retained_from <= 1 && !is_alone).then_some(0);
        let mut names = HashSet::new();
        for (&id, stream) in &self.streams {
            let name = unique(&stream.entry.name, id, &mut names);
            let schema: &Schema = &stream.entry.schema;
            if let Some(plane) = schema.plane() {
                let units = sorted.remove(&id).unwrap_or_default();
                done += units.iter().map(|unit| u64::from(unit.records)).sum::<u64>();
                let indexed = self.indexed.remove(&id).unwrap_or_default();
                let (name, layout) = (&stream.entry.name, BlockLayout::new(schema));
                let copy = PlaneCopy { id, name, plane, layout, indexed };
                match tracks::track(&db, plane) {
                    Ok(track) => copy.take(&track, &mut source, &units, &mut self.salvaged)?,
                    Err(error) => {
                        let what = format!("{}: {error}", describe(plane));
                        for unit in units {
                            self.salvaged.refuse(source.name(unit.file), unit.at, &what);
                        }
                        continue;
                    }
                }
                self.salvaged.streams += 1;
                if !progress(Progress { done: all + done, all: 2 * all }) {
                    return Err(Error::Interrupted);
                }
                continue;
            }
            let made = db.create_stream(&name, schema.clone())?;
            let mut copy = Copy::new(&name, id, schema, made.column_writer()?, start);
            for unit in sorted.remove(&id).unwrap_or_default() {
                copy.take(&mut source, &unit, &mut self.salvaged)?;
                done += u64::from(unit.records);
                if !progress(Progress { done: all + done, all: 2 * all }) {
                    return Err(Error::Interrupted);
                }
            }
            if !is_alone {
                copy.end(stream.counted, &mut self.salvaged);
            }
            if stream.entry.finished {
                copy.writer.finish()?;
            }
            self.salvaged.streams += 1;
        }
        for (id, units) in sorted {
            let what = format!("records of stream {id}, which no sound catalog tells of");
            for unit in units {
                self.salvaged.refuse(source.name(unit.file), unit.at, &what);
            }
        }
        db.flush(presence::Level::Disk)?;
        db.close()?;
        Ok(self.salvaged)
    }

    /// Adds what frames hold and no block does.
    fn add_frames(&self, source: &mut Source<'_>, units: &mut Vec<Unit>) -> Result<(), Error> {
        let mut covered: BTreeMap<u32, Intervals> = BTreeMap::new();
        for unit in units.iter() {
            covered.entry(unit.stream).or_default().insert(interval(unit));
        }
        for &(file, at, in_place) in &self.frames {
            let sizes = source.sizes;
            let name = source.name(file).to_owned();
            let payload = source
                .bytes(file)
                .and_then(|bytes| {
                    let len = bytes.get(at + 48, 4)?.first_chunk::<4>().copied();
                    bytes.get_padded(at + 64, len.map_or(0, u32::from_le_bytes) as usize)
                })
                .map_err(|error| Error::read(&name, error))?;
            let mut rest = payload;
            while let Ok((section, later)) = Section::decode(rest, sizes) {
                rest = later;
                let unit = Unit {
                    stream: section.stream,
                    first_sequence: section.first_sequence,
                    records: section.records,
                    file,
                    at,
                    rank: if in_place { Rank::Frame } else { Rank::Displaced },
                };
                let known = covered.entry(unit.stream).or_default();
                if !known.contains(unit.first_sequence, unit.end_sequence()) {
                    units.push(unit);
                }
                if rest.is_empty() {
                    break;
                }
            }
        }
        Ok(())
    }
}

fn interval(unit: &Unit) -> Interval {
    Interval { from: unit.first_sequence, to: unit.end_sequence(), first_ts: 0, last_ts: 0 }
}

fn writing_options() -> presence::Options {
    let mut options = presence::Options::default();
    options.background = false;
    // Nothing is read from the copy while it is written.
    options.cache_bytes = 1 << 20;
    options
}

/// A name that no stream of the copy has yet.
fn unique(name: &str, id: u32, names: &mut HashSet<String>) -> String {
    let mut name = name.to_owned();
    if names.contains(&name) {
        let mut short = name.clone();
        while short.len() > 230 {
            short.pop();
        }
        name = format!("{short} (stream {id})");
    }
    names.insert(name.clone());
    name
}

/// What was found in one file.
struct Find {
    /// The last log segment that the file stands for, where its header can be read.
    log_last: Option<u32>,
    pieces: Vec<Piece>,
    /// Database, segment and number, and content.
    catalogs: Vec<(u64, (u32, u32), Catalog)>,
    /// Database, stream, and a block of a plane that an index tells of.
    indexed: Vec<(u64, u32, IndexEntry)>,
    /// Offsets of entries that others replaced.
    replaced: HashSet<u64>,
    ended: hunt::Ended,
}

/// A block or frame.
struct Piece {
    database: u64,
    segment: u32,
    at: u64,
    in_place: bool,
    /// Stream, first sequence, records; none for a frame.
    block: Option<(u32, u64, u32)>,
}

/// Searches one file. `false` where it was interrupted.
fn search(
    device: &dyn Device,
    name: &str,
    tell: &mut dyn FnMut(u64) -> bool,
) -> io::Result<(Find, bool)> {
    let mut bytes = Bytes::open(device, name)?;
    let header = SegmentHeader::decode(bytes.get(0, SegmentHeader::BYTES)?).ok();
    let place = header.map(|header| (DatabaseId(header.database).short(), header.segment.get()));
    let (mut pieces, mut catalogs, mut replaced) = (Vec::new(), Vec::new(), HashSet::new());
    let mut indexed = Vec::new();
    let mut timelines: BTreeMap<(u64, u32), Timeline> = BTreeMap::new();
    let mut going = true;
    let ended = hunt::hunt(&mut bytes, &mut |found: &Found<'_>| {
        let header = &found.entry.header;
        let owner = (header.database.get(), header.segment.get());
        let in_place = found.is_in_place() && place.is_none_or(|place| place == owner);
        if in_place && (timelines.len() < 1000 || timelines.contains_key(&owner)) {
            let timeline = timelines.entry(owner).or_default();
            timeline.take(found.entry, found.at, |at| {
                replaced.insert(at);
            });
        }
        let version = (owner.1, header.number.get());
        match found.entry.kind {
            EntryKind::Catalog => {
                let catalog = Catalog::decode(found.payload).ok();
                catalogs.extend(catalog.map(|catalog| (owner.0, version, catalog)));
            }
            EntryKind::Index => {
                let index = Index::decode(found.payload, header.offset.get()).ok();
                indexed.extend(index.iter().flat_map(|index| planes_of(index, owner.0)));
                catalogs.extend(index.map(|index| (owner.0, version, index.catalog)));
            }
            EntryKind::Block | EntryKind::Frame => pieces.push(Piece {
                database: owner.0,
                segment: owner.1,
                at: found.at,
                in_place,
                block: (found.entry.kind == EntryKind::Block).then(|| {
                    (header.stream.get(), header.first_sequence.get(), header.records.get())
                }),
            }),
        }
        going = tell(found.at);
        if going { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    let log_last = header.map(|header| header.log_last.get());
    Ok((Find { log_last, pieces, catalogs, indexed, replaced, ended }, going))
}

/// The blocks of planes that an index tells of.
fn planes_of(index: &Index, owner: u64) -> impl Iterator<Item = (u64, u32, IndexEntry)> {
    let planes = index.catalog.streams.iter().filter(|stream| stream.schema.plane().is_some());
    let planes: HashSet<u32> = planes.map(|stream| stream.id).collect();
    let blocks = index.streams.iter().filter(move |blocks| planes.contains(&blocks.stream));
    blocks.flat_map(move |blocks| blocks.entries.iter().map(move |e| (owner, blocks.stream, *e)))
}
