//! The log: the active segment, and the way of frozen blocks and frames into it.
//!
//! # Invariants
//! - Blocks of a stream are written in order, and a frame for its open block only after them.
//! - The records of a sealed segment are all in its blocks: sealing writes what frames hold of
//!   blocks not written yet. Views then read those records from disk and skip them in memory, so
//!   none is seen twice.
//! - A segment is made only after the one before is sealed and durable: at most one is unsealed.

use std::collections::{BTreeMap, BTreeSet};

use presence_format::caps::{PAYLOAD_BYTES_MAX, SEGMENT_BYTES_MAX};
use presence_format::catalog::Catalog;
use presence_format::entry::EntryKind;
use presence_format::segment::SegmentHeader;

use super::handover::Handover;
use super::planes::{Losing, Sections, write_anew, write_classes, write_observed};
use super::recording::{Recording, catalog_entry, section};
use super::sync::{GroupSync, Position};
use crate::error::{Error, Result};
use crate::options::{Level, Watermark};
use crate::segment::{End, SegmentFile, SegmentWriter};
use crate::shim::atomic::Ordering;
use crate::shim::{Arc, Mutex, MutexGuard, lock};
use crate::store::core::{Core, LiveSegment};
use crate::store::stream_state::StreamState;
use crate::tail::TailPart;
use crate::track::index::touched_ticks;
use crate::track::state::{TrackState, Unlogged};

/// Index entries of a segment: with the catalog they must fit one payload.
const INDEX_BYTES_MAX: usize = PAYLOAD_BYTES_MAX as usize / 2;
/// Space reserved ahead of durable commits.
const RESERVE_BYTES: u32 = 1 << 20;
/// Room for a catalog that tells of nothing but retention.
const RETAINED_BYTES: u32 = 4096;
/// Room for a frame of as many words as one may have.
const WORDS_BYTES: u32 = 2 << 20;

/// The writing half of a database.
#[derive(Debug)]
pub(crate) struct Log {
    state: Mutex<State>,
    pub(crate) sync: GroupSync,
    pub(crate) handover: Handover,
}

#[derive(Debug)]
struct State {
    active: Option<SegmentWriter>,
    /// The last segment before the active one, for the chain.
    previous: Option<(u32, End)>,
    /// The ticks of each plane that blocks of the segment before the active one tell of.
    touched: Option<BTreeMap<u32, (i64, i64)>>,
    next_segment: u32,
    retained_from: u32,
    recording: Vec<Recording>,
    frame: Vec<u8>,
    reserved: u32,
    /// The last entry was a mark, which needs no sync and no mark of its own.
    marked: bool,
    /// End of the last entry that was no mark.
    written: Position,
    /// The writer's lock on the directory, held until the log is closed.
    guard: Option<Box<dyn crate::device::LockGuard>>,
}

/// Where a log goes on: what opening found.
#[derive(Debug, Default)]
pub(crate) struct LogStart {
    pub(crate) active: Option<SegmentWriter>,
    pub(crate) previous: Option<(u32, End)>,
    pub(crate) next_segment: u32,
    pub(crate) retained_from: u32,
    pub(crate) lock: Option<Box<dyn crate::device::LockGuard>>,
    pub(crate) write_buffer_bytes: usize,
    /// The ticks of each plane that blocks of the last segment tell of, where that is known.
    pub(crate) touched: Option<BTreeMap<u32, (i64, i64)>>,
}

impl Log {
    /// A log that goes on where opening left off; everything so far is durable.
    pub(crate) fn new(start: LogStart) -> Self {
        let written = match (&start.active, &start.previous) {
            (Some(active), _) => {
                Position { segment: active.segment.number(), offset: active.end().offset }
            }
            (None, Some((segment, end))) => Position { segment: *segment, offset: end.offset },
            (None, None) => Position::default(),
        };
        Self {
            state: Mutex::new(State {
                active: start.active,
                previous: start.previous,
                touched: start.touched,
                next_segment: start.next_segment,
                retained_from: start.retained_from,
                recording: Vec::new(),
                frame: Vec::new(),
                reserved: 0,
                marked: false,
                written,
                guard: start.lock,
            }),
            sync: GroupSync::new(written),
            handover: Handover::new(start.write_buffer_bytes),
        }
    }

    /// Records of `stream` are to be logged from now on.
    pub(crate) fn record(&self, stream: &Arc<StreamState>) {
        let mut state = lock(&self.state);
        if state.recording.iter().any(|recording| recording.stream.id == stream.id) {
            return;
        }
        state.recording.push(Recording::new(stream));
    }

    /// Writes what changed in all tracks, where they take more memory than they may.
    pub(crate) fn relieve(&self, core: &Core) -> Result<()> {
        let mut state = self.enter(core)?;
        state.write_tracks(core, self, false).map_err(|error| core.poison(error))
    }

    /// Wakes every thread that waits, to look at the gate.
    pub(crate) fn wake_all(&self) {
        self.sync.wake_all();
        self.handover.wake_all();
    }

    /// Writes frozen blocks. For the log's thread, and for writers without one.
    pub(crate) fn write_blocks(&self, core: &Core) -> Result<()> {
        let mut state = self.enter(core)?;
        state.write_blocks(core, self).map_err(|error| core.poison(error))
    }

    fn enter(&self, core: &Core) -> Result<MutexGuard<'_, State>> {
        let state = lock(&self.state);
        core.check_writable()?;
        Ok(state)
    }

    /// Brings everything appended before the call to `level`.
    pub(crate) fn flush(&self, core: &Core, level: Level) -> Result<Watermark> {
        core.check_writable()?;
        let position = match level {
            Level::Memory => lock(&self.state).written,
            Level::Os => {
                let mut state = self.enter(core)?;
                state.write_all(core, self, false).map_err(|error| core.poison(error))?;
                state.written
            }
            Level::Disk => self.sync_all(core, true)?,
        };
        Ok(Watermark { level, segment: position.segment, offset: position.offset })
    }

    /// Writes and syncs everything appended before the call, together with all others who ask for
    /// it at the same time. `ahead` sets space aside for the next such call.
    pub(crate) fn sync_all(&self, core: &Core, ahead: bool) -> Result<Position> {
        let round = || {
            let (file, position) = self.capture(core, ahead)?;
            if let Some(file) = file {
                file.file
                    .sync()
                    .map_err(Error::io("sync", &file.name))
                    .map_err(|error| core.poison(error))?;
                self.mark_durable(core, position);
            }
            Ok(position)
        };
        self.sync.join(round, || core.check_writable())
    }

    /// Writes everything; returns the file to sync, and what its sync will make durable. No file
    /// where all is in sealed segments.
    fn capture(&self, core: &Core, ahead: bool) -> Result<(Option<Arc<SegmentFile>>, Position)> {
        let mut state = self.enter(core)?;
        state.write_all(core, self, ahead).map_err(|error| core.poison(error))?;
        for recording in &state.recording {
            let stream = &recording.stream;
            stream.syncing.store(stream.logged.load(Ordering::Acquire), Ordering::Release);
        }
        for stream in plane_streams(core) {
            stream.syncing.store(stream.logged.load(Ordering::Acquire), Ordering::Release);
        }
        let file = state.active.as_ref().map(|active| Arc::clone(&active.segment));
        Ok((file, state.written))
    }

    fn mark_durable(&self, core: &Core, position: Position) {
        let mut state = lock(&self.state);
        if let Some(active) = &mut state.active
            && active.segment.number() == position.segment
        {
            active.durable = active.durable.max(position.offset);
        }
        let recorded = state.recording.iter().map(|recording| Arc::clone(&recording.stream));
        for stream in recorded.chain(plane_streams(core)) {
            let synced = stream.syncing.load(Ordering::Acquire);
            stream.durable.fetch_max(synced, Ordering::AcqRel);
        }
    }

    /// Whether anything but a mark was written since the last sync.
    pub(crate) fn is_unsynced(&self) -> bool {
        let written = lock(&self.state).written;
        written > self.sync.durable()
    }

    /// The regular flush: hands everything to the kernel. Where there is nothing, and all is
    /// durable, writes a mark that says so, once.
    pub(crate) fn tick(&self, core: &Core) -> Result<()> {
        let mut state = self.enter(core)?;
        let before = state.written;
        state.write_all(core, self, false).map_err(|error| core.poison(error))?;
        if state.written == before && !state.marked && self.sync.durable() == state.written {
            state.mark().map_err(|error| core.poison(error))?;
        }
        Ok(())
    }

    /// Tells of a stream: that it is there, or finished. `then` makes it so for everybody else,
    /// before another catalog is written: one before this entry must not know of it, since what an
    /// index says can be computed from the entries before it; one behind it must.
    pub(crate) fn add_catalog(
        &self,
        core: &Core,
        catalog: Catalog,
        then: impl FnOnce(),
    ) -> Result<()> {
        let mut state = self.enter(core)?;
        state.catalog(core, self, catalog).map_err(|error| core.poison(error))?;
        then();
        Ok(())
    }

    /// Everything below log segment `retained_from` is given up, durably: the segments of which
    /// `is_gone` holds, which `forget` takes out of the views. A region of a track of which more
    /// is left is written anew before, whole.
    pub(crate) fn give_up_below(
        &self,
        core: &Core,
        retained_from: u32,
        is_gone: &dyn Fn(&Arc<SegmentFile>) -> bool,
        forget: impl FnOnce(),
    ) -> Result<()> {
        let mut state = self.enter(core)?;
        let retained_from = retained_from.max(state.retained_from);
        let given_up = state.keep_regions(core, self, is_gone)?;
        // There is room: to make some could write what was set in these regions since.
        let active = state.active.as_mut().ok_or(Error::Closed)?;
        let catalog = Catalog { retained_from, streams: Vec::new() };
        active.catalog(&catalog).map_err(|error| core.poison(error))?;
        state.note_written();
        state.retained_from = retained_from;
        forget();
        for (track, regions) in &given_up {
            track.give_up(regions);
        }
        core.views_changed();
        drop(state);
        self.sync_all(core, false).map(|_| ())
    }

    /// Makes ticks of a track not observed, in no class. Whatever a crash leaves of the log, and
    /// whatever is set meanwhile, no class is set where nothing was observed.
    pub(crate) fn forget_ticks(
        &self,
        core: &Core,
        track: &TrackState,
        ticks: (i64, i64),
    ) -> Result<()> {
        // While this is held nobody else logs what is set from here on.
        let mut state = self.enter(core)?;
        state.with_room(core, self, WORDS_BYTES).map_err(|error| core.poison(error))?;
        let unlogged = track.clear_classes(core.generation(), ticks)?;
        if !unlogged.is_empty() {
            let bytes = SegmentWriter::entry_bytes(EntryKind::Frame, unlogged.frame_bytes_max());
            let written = state.write_track(core, track, &unlogged, bytes, false);
            written.map_err(|error| core.poison(error))?;
        }
        track.clear_all(core.generation(), ticks)
    }

    /// Seals the active segment and begins none: a roll that waits for the next write.
    pub(crate) fn seal(&self, core: &Core) -> Result<()> {
        let mut state = self.enter(core)?;
        let sealed = state.write_blocks(core, self).and_then(|()| state.seal(core, self));
        sealed.map_err(|error| core.poison(error))
    }

    /// Gives up the writer's lock on the directory.
    pub(crate) fn release(&self) {
        lock(&self.state).guard = None;
    }

    /// A segment number that nobody else will get.
    pub(crate) fn take_number(&self) -> u32 {
        let mut state = lock(&self.state);
        let number = state.next_segment;
        state.next_segment = state.next_segment.saturating_add(1);
        number
    }

    /// The active segment's file and the end of its entries.
    pub(crate) fn active(&self) -> Option<(Arc<SegmentFile>, u32)> {
        let state = lock(&self.state);
        state.active.as_ref().map(|active| (Arc::clone(&active.segment), active.end().offset))
    }
}

impl State {
    /// Whether the active segment has no room for `bytes` more.
    fn is_full(&self, core: &Core, bytes: u32) -> bool {
        let limit = core.options.segment_bytes.min(SEGMENT_BYTES_MAX / 2);
        self.active.as_ref().is_some_and(|active| {
            let end = active.end();
            // The first entry is the catalog: a segment takes at least one more, however large.
            let large = active.next_offset().saturating_add(bytes) > limit;
            end.entries > 1 && (large || active.index_bytes() > INDEX_BYTES_MAX)
        })
    }

    /// The active segment with room for `bytes` more; rolls, or begins one, where needed.
    fn with_room(&mut self, core: &Core, log: &Log, bytes: u32) -> Result<&mut SegmentWriter> {
        if self.is_full(core, bytes) {
            self.seal(core, log)?;
        }
        if self.active.is_none() {
            self.active = Some(self.begin(core)?);
            self.reserved = 0;
        }
        self.active.as_mut().ok_or(Error::Closed)
    }

    fn begin(&mut self, core: &Core) -> Result<SegmentWriter> {
        let number = self.next_segment;
        self.next_segment = number.checked_add(1).ok_or_else(|| {
            Error::invalid(
                "the database has used up all segment numbers; salvage it into a new one",
            )
        })?;
        let mut header = SegmentHeader::first(core.database, number, core.device.now_unix_us());
        if let Some((segment, end)) = self.previous {
            header.previous_segment = segment.into();
            header.previous_end = end.offset.into();
            header.previous_crc = end.crc.into();
        }
        let catalog = self.whole_catalog(core);
        SegmentWriter::create(&*core.device, header, &catalog, core.options.map)
    }

    /// Every stream, with what is in blocks so far.
    fn whole_catalog(&self, core: &Core) -> Catalog {
        let recording: BTreeMap<u32, (u64, Option<i64>)> =
            self.recording.iter().map(|r| (r.stream.id, (r.blocked, r.blocked_ts))).collect();
        let table = core.streams.load();
        let streams = table
            .by_id
            .values()
            .map(|stream| {
                let idle = || (stream.logged.load(Ordering::Acquire), stream.last_ts());
                let (sequence, last_ts) = recording.get(&stream.id).copied().unwrap_or_else(idle);
                let touched = self.touched.as_ref().and_then(|of| of.get(&stream.id).copied());
                catalog_entry(stream, sequence, last_ts, touched)
            })
            .collect();
        Catalog { retained_from: self.retained_from, streams }
    }

    fn note_written(&mut self) {
        if let Some(active) = &self.active {
            self.written =
                Position { segment: active.segment.number(), offset: active.end().offset };
            self.marked = false;
        }
    }

    fn write_blocks(&mut self, core: &Core, log: &Log) -> Result<()> {
        for index in 0..self.recording.len() {
            self.write_frozen(core, log, index)?;
        }
        Ok(())
    }

    /// Writes the frozen blocks of one stream; returns its open part as it was after the last.
    fn write_frozen(&mut self, core: &Core, log: &Log, index: usize) -> Result<Option<TailPart>> {
        loop {
            let Some(recording) = self.recording.get(index) else { return Ok(None) };
            let view = recording.stream.view.load_full();
            if view.frozen.is_empty() {
                return Ok(view.open.clone());
            }
            for part in &view.frozen {
                self.write_part(core, log, index, part)?;
            }
            if let Some(recording) = self.recording.get_mut(index) {
                recording.publish(&log.handover);
            }
        }
    }

    /// Writes the records of a frozen part as a block.
    fn write_part(&mut self, core: &Core, log: &Log, index: usize, part: &TailPart) -> Result<()> {
        let Some(recording) = self.recording.get(index) else { return Ok(()) };
        let decoded_bytes = recording.stream.layout.decoded_bytes(part.len());
        let payload_bytes = decoded_bytes.min(PAYLOAD_BYTES_MAX as usize) as u32;
        // A roll puts what was framed into blocks, of this part too: what is left shows afterwards.
        self.with_room(core, log, SegmentWriter::entry_bytes(EntryKind::Block, payload_bytes))?;
        let (Some(active), Some(recording)) = (&mut self.active, self.recording.get_mut(index))
        else {
            return Err(Error::Closed);
        };
        recording.write(active, part, part.end_sequence())?;
        self.note_written();
        Ok(())
    }

    /// Writes frozen blocks, and a frame of what the open blocks gained.
    fn write_all(&mut self, core: &Core, log: &Log, durable: bool) -> Result<()> {
        let mut payload = std::mem::take(&mut self.frame);
        payload.clear();
        let mut records = 0_u32;
        let mut framed: Vec<(usize, u64)> = Vec::new();
        let mut index = 0;
        while index < self.recording.len() {
            if let Some(open) = self.write_frozen(core, log, index)? {
                let Some(recording) = self.recording.get(index) else { break };
                let stream = &recording.stream;
                let part = open.after_sequence(stream.logged.load(Ordering::Acquire));
                let count = part.len();
                if count > 0 {
                    let bytes = count * stream.layout.record_bytes();
                    if !payload.is_empty() && payload.len() + bytes > PAYLOAD_BYTES_MAX as usize / 2
                    {
                        self.write_frame(core, log, records, &payload, &framed, durable)?;
                        payload.clear();
                        framed.clear();
                        records = 0;
                        continue;
                    }
                    section(&mut payload, stream, &part, count);
                    records = records.saturating_add(count as u32);
                    framed.push((index, part.first_sequence() + count as u64));
                }
            }
            index += 1;
        }
        if !payload.is_empty() {
            self.write_frame(core, log, records, &payload, &framed, durable)?;
        }
        self.frame = payload;
        self.write_tracks(core, log, durable)
    }

    /// Writes what changed in the tracks: words as a frame, regions as blocks.
    fn write_tracks(&mut self, core: &Core, log: &Log, durable: bool) -> Result<()> {
        for track in core.tracks.load_full().values() {
            let before = self.active_number();
            let mut unlogged = track.take_unlogged(core.generation())?;
            if track.memory_bytes() > core.options.write_buffer_bytes {
                unlogged = track.dirty(core.generation())?;
            }
            if unlogged.is_empty() {
                continue;
            }
            let bytes = SegmentWriter::entry_bytes(EntryKind::Frame, unlogged.frame_bytes_max());
            self.with_room(core, log, bytes)?;
            // Sealing wrote every change as blocks: what was taken before is old by now.
            if before.is_some() && before != self.active_number() {
                continue;
            }
            self.write_track(core, track, &unlogged, bytes, durable)?;
        }
        Ok(())
    }

    fn write_track(
        &mut self,
        core: &Core,
        track: &TrackState,
        unlogged: &Unlogged,
        bytes: u32,
        durable: bool,
    ) -> Result<()> {
        if durable {
            self.reserve(core, bytes)?;
        }
        let Some(active) = self.active.as_mut() else { return Err(Error::Closed) };
        write_observed(active, unlogged)?;
        // A section goes on with the numbers behind the blocks.
        let sections = Sections::new(unlogged);
        if sections.records > 0 {
            active.frame(sections.records, &sections.payload)?;
            sections.logged();
        }
        write_classes(track, active, unlogged)?;
        self.note_written();
        Ok(())
    }

    /// Writes every region anew that loses a part with the segments of which `is_gone` holds, and
    /// not all; returns those that lose all, of each track. The active segment has room for a
    /// catalog then.
    fn keep_regions(
        &mut self,
        core: &Core,
        log: &Log,
        is_gone: &dyn Fn(&Arc<SegmentFile>) -> bool,
    ) -> Result<Vec<(Arc<TrackState>, BTreeSet<i64>)>> {
        let tracks = core.tracks.load_full();
        let mut words = true;
        loop {
            self.with_room(core, log, RETAINED_BYTES).map_err(|error| core.poison(error))?;
            let mut given_up = Vec::new();
            let mut anew = Vec::new();
            for track in tracks.values() {
                let losing = Losing::new(&*track.now(core.generation())?, is_gone, words);
                anew.extend(losing.in_part.into_iter().map(|region| (Arc::clone(track), region)));
                given_up.push((Arc::clone(track), losing.whole));
            }
            if anew.is_empty() {
                return Ok(given_up);
            }
            for (track, (region, keys)) in anew {
                let Some(active) = self.active.as_mut() else { return Err(Error::Closed) };
                write_anew(core, &track, active, region, &keys)?;
                self.note_written();
                // What is left is looked for again: to make room may have written some of it.
                if self.is_full(core, RETAINED_BYTES) {
                    break;
                }
            }
            // Words that were in memory then are in regions now, where they were not.
            words = words && self.is_full(core, RETAINED_BYTES);
        }
    }

    fn active_number(&self) -> Option<u32> {
        self.active.as_ref().map(|active| active.segment.number())
    }

    fn write_frame(
        &mut self,
        core: &Core,
        log: &Log,
        records: u32,
        payload: &[u8],
        framed: &[(usize, u64)],
        durable: bool,
    ) -> Result<()> {
        let bytes = SegmentWriter::entry_bytes(EntryKind::Frame, payload.len() as u32);
        self.with_room(core, log, bytes)?;
        if durable {
            self.reserve(core, bytes)?;
        }
        let Some(active) = self.active.as_mut() else { return Err(Error::Closed) };
        active.frame(records, payload)?;
        for (index, end) in framed {
            if let Some(recording) = self.recording.get(*index) {
                recording.stream.logged.fetch_max(*end, Ordering::AcqRel);
            }
        }
        self.note_written();
        Ok(())
    }

    /// Sets space aside ahead of a durable commit, so that its sync need not allocate any.
    fn reserve(&mut self, core: &Core, bytes: u32) -> Result<()> {
        let Some(active) = &self.active else { return Ok(()) };
        let end = active.next_offset().saturating_add(bytes);
        if end <= self.reserved {
            return Ok(());
        }
        let ahead = RESERVE_BYTES.min(core.options.segment_bytes / 4);
        let target = end.saturating_add(ahead).next_multiple_of(4096);
        active
            .segment
            .file
            .reserve(u64::from(target))
            .map_err(Error::io("reserve space in", &active.segment.name))?;
        self.reserved = target;
        Ok(())
    }

    fn mark(&mut self) -> Result<()> {
        if let Some(active) = &mut self.active {
            active.frame(0, &[])?;
        }
        self.marked = true;
        Ok(())
    }

    fn catalog(&mut self, core: &Core, log: &Log, catalog: Catalog) -> Result<()> {
        let active = self.with_room(core, log, 4096)?;
        active.catalog(&catalog)?;
        self.note_written();
        Ok(())
    }

    /// Writes what stands in frames only as blocks, then index and footer. The active segment is
    /// none afterwards.
    fn seal(&mut self, core: &Core, log: &Log) -> Result<()> {
        let Some(mut active) = self.active.take() else { return Ok(()) };
        for recording in &mut self.recording {
            let view = recording.stream.view.load_full();
            let framed = recording.stream.logged.load(Ordering::Acquire);
            for part in view.frozen.iter().chain(&view.open) {
                recording.write(&mut active, part, framed)?;
            }
            recording.publish(&log.handover);
        }
        for track in core.tracks.load_full().values() {
            let dirty = track.dirty(core.generation())?;
            write_observed(&mut active, &dirty)?;
            write_classes(track, &mut active, &dirty)?;
        }
        let end = active.end();
        let segment = Arc::clone(&active.segment);
        let catalog = self.whole_catalog(core);
        active.seal(catalog, None)?;
        let is_plane = |id: &u32| {
            core.streams.load().by_id.get(id).is_some_and(|stream| stream.layout.is_plane())
        };
        let planes = active.blocks().iter().filter(|(id, _)| is_plane(id));
        self.touched = Some(
            planes.filter_map(|(id, blocks)| Some((*id, touched_ticks(blocks.iter())?))).collect(),
        );
        self.previous = Some((segment.number(), end));
        let position = Position { segment: segment.number(), offset: end.offset };
        self.written = self.written.max(position);
        self.marked = false;
        for recording in &self.recording {
            recording.stream.durable.fetch_max(recording.blocked, Ordering::AcqRel);
        }
        for stream in plane_streams(core) {
            stream.durable.fetch_max(stream.logged.load(Ordering::Acquire), Ordering::AcqRel);
        }
        let records =
            active.blocks().values().flatten().map(|block| u64::from(block.records.get())).sum();
        let live = LiveSegment { file: segment, sealed: true, records };
        core.segments.update(|segments| [&segments[..], std::slice::from_ref(&live)].concat());
        log.sync.advance(position);
        Ok(())
    }
}

/// The streams of all planes of all tracks.
fn plane_streams(core: &Core) -> impl Iterator<Item = Arc<StreamState>> {
    let tracks = core.tracks.load_full();
    let streams: Vec<_> = tracks.values().flat_map(|track| track.streams()).collect();
    streams.into_iter()
}
