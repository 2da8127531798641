//! What is there to be salvaged: one walk along all files.
//!
//! # Invariants
//! - Nothing is taken but what its own checksum covers, and belongs to the database that most
//!   entries name.
//! - Memory grows with the number of blocks and frames, not with their size.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::ops::ControlFlow;

use presence::DatabaseId;
use presence::device::{Device, LOCK_NAME};
use presence_format::catalog::{Catalog, StreamEntry};
use presence_format::entry::EntryKind;
use presence_format::index::{Index, IndexEntry};
use presence_format::segment::SegmentHeader;

use super::hunt::{self, Found};
use super::units::{Rank, Timeline, Unit};
use super::{Error, Salvaged};
use crate::Progress;
use crate::bytes::Bytes;

/// One stream, as the newest catalog has it.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) entry: StreamEntry,
    /// Which catalog it is from: segment and number.
    newest: (u32, u32),
    pub(super) counted: u64,
}

/// Everything sound in the source.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) files: Vec<String>,
    pub(super) streams: BTreeMap<u32, Stream>,
    pub(super) retained_from: u32,
    pub(super) blocks: Vec<Unit>,
    /// Blocks of planes that indexes tell of, by stream.
    pub(super) indexed: BTreeMap<u32, Vec<IndexEntry>>,
    /// Frames: file, offset, and whether they stand in their place.
    pub(super) frames: Vec<(u32, u64, bool)>,
    pub(super) salvaged: Salvaged,
}

impl Survey {
    pub(super) fn new(
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
