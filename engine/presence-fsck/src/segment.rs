//! Judges one segment.
//!
//! # Invariants
//! - Blocks and catalogs reach [`Streams`] in the order of the log.
//! - Where index or footer and the entries differ, the entries are right.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use presence_format::Compression;
use presence_format::block::BlockLayout;
use presence_format::caps::{PAYLOAD_BYTES_MAX, SEGMENT_BYTES_MAX};
use presence_format::catalog::Catalog;
use presence_format::entry::{Entry, EntryKind};
use presence_format::index::{Index, IndexEntry};
use presence_format::plane::region_of;
use presence_format::segment::{FIRST_ENTRY, SegmentHeader};

use crate::bytes::Bytes;
use crate::database::Judge;
use crate::finding::Code;
use crate::planes;
use crate::report::Level;
use crate::seal::{self, Seal};
use crate::torn_seal::{self, Called, Ending};
use crate::walk::{self, Bounds, Walked};

/// Blocks that one index can hold.
const BLOCKS_MAX: usize = PAYLOAD_BYTES_MAX as usize / IndexEntry::BYTES;

/// A segment and its place among the others.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) header: SegmentHeader,
    /// Whether nothing in the log comes behind it.
    pub(crate) is_last: bool,
    /// Where its entries ended, as its successor says.
    pub(crate) end: Option<u32>,
}

/// Where the log segments that one stands for ended: offset and checksum; unknown where the end is
/// damaged.
pub(crate) type LogEnd = Option<(u32, u32)>;

/// Judges `member`.
///
/// # Errors
/// Where the file cannot be opened or read.
pub(crate) fn judge(judge: &mut Judge<'_>, member: &Member) -> io::Result<LogEnd> {
    let mut bytes = Bytes::open(judge.device, &member.name)?;
    let place = member.header.place();
    judge.totals.segments += 1;
    judge.totals.bytes += bytes.len();
    let log_end = match seal::read(&mut bytes, place)? {
        Ok(seal) => sealed(judge, member, &mut bytes, &seal)?,
        Err(fault) => unsealed(judge, member, &mut bytes, fault)?,
    };
    if bytes.len() > u64::from(SEGMENT_BYTES_MAX) {
        let what = format!("{} bytes, more than a segment has", bytes.len());
        judge.findings.at(Code::EntryDamaged, &member.name, SEGMENT_BYTES_MAX, what);
    }
    if bytes.len_now()? > bytes.len() {
        let what = format!("it grew while it was read: checked up to byte {}", bytes.len());
        judge.findings.file(Code::Growing, &member.name, what);
    }
    Ok(log_end)
}

fn sealed(
    judge: &mut Judge<'_>,
    member: &Member,
    bytes: &mut Bytes,
    seal: &Seal,
) -> io::Result<LogEnd> {
    let name = &member.name;
    if let Some((at, what)) = seal.untidy {
        judge.findings.at(Code::NotZeros, name, at, what);
    }
    let footer = &seal.footer;
    let log_end = Some((footer.log_end.get(), footer.log_crc.get()));
    let is_log = member.header.generation.get() == 0;
    if is_log && log_end != Some((footer.data_end.get(), footer.data_crc.get())) {
        let what = "the footer names another end of the log than that of its own entries";
        judge.findings.at(Code::FooterDisagrees, name, footer.index_offset.get(), what);
    }
    if seal.index.catalog.retained_from > member.header.log_last.get() {
        let at = footer.index_offset.get();
        judge.findings.at(Code::StreamContradiction, name, at, GIVES_ITSELF_UP);
    }
    if judge.level == Level::Quick {
        from_index(judge, member, &seal.index);
        return Ok(log_end);
    }
    let bounds = Bounds {
        place: member.header.place(),
        first_crc: member.header.header_crc.get(),
        durable: footer.data_end.get(),
        index: Some(footer.index_offset.get()),
        payloads: true,
    };
    let mut taker = Taker::new(judge, member, Some(&seal.index));
    let walked = walk::walk(bytes, bounds, &mut |entry, payload| taker.take(entry, payload))?;
    let left: Vec<(u32, IndexEntry)> = taker.left().take(100).collect();
    let lost = taker.lost();
    let records = taker.records;
    lost.iter().for_each(|(stream, entry)| judge.streams.lose(*stream, entry));
    told(judge, name, &walked, footer.torn_bytes.get() > 0, false);
    compare(judge, name, seal, &walked, records);
    if walked.rot.is_empty() && walked.gave_up.is_none() {
        for (stream, entry) in left {
            let what = format!("a block of stream {stream} that is not among the entries");
            judge.findings.at(Code::IndexDisagrees, name, entry.offset.get(), what);
        }
    }
    if walked.rot.is_empty() && walked.gave_up.is_none() && records > 0 {
        compare_catalog(judge, member, seal);
    }
    let mut catalog = seal.index.catalog.clone();
    catalog.retained_from = kept(&catalog, member);
    for wrong in judge.streams.take_catalog(catalog, false) {
        judge.findings.at(Code::StreamContradiction, name, footer.index_offset.get(), wrong);
    }
    Ok(log_end)
}

const GIVES_ITSELF_UP: &str = "a catalog by which its own segment does not count";

/// The first segment that a catalog keeps: never one behind its own.
fn kept(catalog: &Catalog, member: &Member) -> u32 {
    if catalog.retained_from <= member.header.log_last.get() { catalog.retained_from } else { 0 }
}

/// Takes from the index what the blocks say.
fn from_index(judge: &mut Judge<'_>, member: &Member, index: &Index) {
    let name = &member.name;
    let mut catalog = index.catalog.clone();
    catalog.retained_from = kept(&catalog, member);
    for wrong in judge.streams.take_catalog(catalog, false) {
        judge.findings.file(Code::StreamContradiction, name, wrong);
    }
    for blocks in &index.streams {
        judge.totals.blocks += blocks.entries.len() as u64;
        for entry in &blocks.entries {
            if let Err(what) = judge.streams.take_indexed(blocks.stream, entry) {
                judge.findings.at(Code::StreamContradiction, name, entry.offset.get(), what);
            }
        }
    }
}

/// Compares the index's catalog with those among the entries, and with the blocks.
fn compare_catalog(judge: &mut Judge<'_>, member: &Member, seal: &Seal) {
    let Index { catalog, streams } = &seal.index;
    let listed: BTreeMap<u32, u64> =
        catalog.streams.iter().map(|stream| (stream.id, stream.sequence)).collect();
    let known: Vec<u32> = judge.streams.iter().map(|stream| stream.entry.id).collect();
    let mut tell = |what: String| {
        let at = seal.footer.index_offset.get();
        judge.findings.at(Code::IndexDisagrees, &member.name, at, what);
    };
    for id in known.iter().filter(|id| !listed.contains_key(id)) {
        tell(format!("the index does not tell of stream {id}"));
    }
    for id in listed.keys().filter(|id| known.binary_search(id).is_err()) {
        tell(format!("the index tells of stream {id}, which is in no catalog"));
    }
    let is_log = member.header.generation.get() == 0;
    for blocks in streams.iter().filter(|_| is_log) {
        let end = blocks.entries.last().map_or(0, IndexEntry::end_sequence);
        if listed.get(&blocks.stream).is_some_and(|&sequence| sequence < end) {
            tell(format!(
                "the index counts fewer records of stream {} than there are",
                blocks.stream
            ));
        }
    }
}

/// Compares the footer with what the entries say.
fn compare(judge: &mut Judge<'_>, name: &str, seal: &Seal, walked: &Walked, records: u64) {
    let footer = &seal.footer;
    let own = walked.last_end;
    let index = u64::from(footer.index_offset.get());
    if !walked.rot.is_empty() || walked.gave_up.is_some() {
        return;
    }
    let reached = walked.end.offset == footer.index_offset.get();
    let chain = (own.crc, own.number, own.offset);
    if !reached || chain != (footer.data_crc.get(), footer.entries.get(), footer.data_end.get()) {
        let what = format!(
            "the entries end at byte {} with number {}, the footer says {} and {}",
            own.offset, own.number, footer.data_end, footer.entries
        );
        judge.findings.at(Code::FooterDisagrees, name, footer.index_offset.get(), what);
    }
    if records != footer.records.get() {
        let what = format!("blocks hold {records} records, the footer says {}", footer.records);
        judge.findings.range(Code::FooterDisagrees, name, (index, index), what);
    }
}

fn unsealed(
    judge: &mut Judge<'_>,
    member: &Member,
    bytes: &mut Bytes,
    (at, fault): (u64, String),
) -> io::Result<LogEnd> {
    let name = &member.name;
    let is_log = member.header.generation.get() == 0;
    // Before a segment has a successor, or stands for others, all of it is durable.
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let bounds = Bounds {
        place: member.header.place(),
        first_crc: member.header.header_crc.get(),
        durable: member.end.unwrap_or(if member.is_last { 0 } else { len }),
        index: None,
        payloads: judge.level != Level::Quick || (member.is_last && judge.reads_end),
    };
    let mut taker = Taker::new(judge, member, None);
    let walked = walk::walk(bytes, bounds, &mut |entry, payload| taker.take(entry, payload))?;
    let (records, blocks) = (taker.records, std::mem::take(&mut taker.blocks));
    if is_log && member.is_last {
        let called = Called {
            place: member.header.place(),
            records,
            catalog: judge.streams.catalog(),
            blocks: torn_seal::by_stream(&blocks),
        };
        let ending = torn_seal::ending(bytes, &walked, called)?;
        let is_open = ending == Ending::Open;
        tell_ending(judge, name, &walked, ending);
        told(judge, name, &walked, true, is_open);
    } else {
        let what = format!("its footer or index is lost ({fault}); its entries were read instead");
        let code = if is_log { Code::IndexDamaged } else { Code::NotSealed };
        judge.findings.range(code, name, (at, bytes.len()), what);
        told(judge, name, &walked, true, true);
    }
    Ok(walked.log_end().filter(|_| is_log))
}

/// Tells how the last segment of the log ends.
fn tell_ending(judge: &mut Judge<'_>, name: &str, walked: &Walked, ending: Ending) {
    match ending {
        Ending::Open => {
            let what = "its entries end here, and a writer goes on with it";
            judge.findings.at(Code::Unsealed, name, walked.last_end.offset, what);
        }
        Ending::Torn(range) => {
            let what = "the segment was being sealed; no record is concerned";
            judge.findings.range(Code::TornSeal, name, (range.start, range.end), what);
        }
        Ending::Damaged(range, what) => {
            judge.findings.range(Code::IndexDamaged, name, (range.start, range.end), what);
        }
    }
}

/// Tells what a walk found. Where `torn_is_known`, bytes between entries may be torn; where the end
/// `is_open`, bytes behind them are a torn tail.
fn told(judge: &mut Judge<'_>, name: &str, walked: &Walked, torn_is_known: bool, is_open: bool) {
    for rot in &walked.rot {
        let range = (u64::from(rot.range.start), u64::from(rot.range.end));
        judge.findings.range(Code::EntryDamaged, name, range, rot.what.clone());
    }
    for (at, what) in &walked.wrong {
        judge.findings.at(Code::EntryDamaged, name, *at, what.clone());
    }
    for &at in &walked.not_zeros {
        judge.findings.at(Code::NotZeros, name, at, "bytes between two entries are not zeros");
    }
    for torn in &walked.torn_inside {
        let range = (u64::from(torn.start), u64::from(torn.end));
        judge.totals.torn_bytes += range.1 - range.0;
        let (code, what) = if torn_is_known {
            (Code::TornInside, "bytes that a crash tore, left in place by the recovery after it")
        } else {
            (
                Code::NotZeros,
                "bytes between two entries are not zeros, and the footer knows of none",
            )
        };
        judge.findings.range(code, name, range, what);
    }
    if let Some(torn) = walked.torn_tail.as_ref().filter(|_| is_open) {
        let range = (u64::from(torn.start), u64::from(torn.end));
        judge.totals.torn_bytes += range.1 - range.0;
        let what = "a torn tail: written, never promised, and not whole";
        judge.findings.range(Code::TornTail, name, range, what);
    }
    if let Some(why) = walked.gave_up {
        let at = walked.end.offset;
        judge.findings.at(Code::GivenUp, name, at, format!("not judged from here on: {why}"));
    }
}

/// Takes the entries of one segment.
struct Taker<'a, 'b, 'c> {
    judge: &'a mut Judge<'b>,
    name: &'a str,
    /// What the index says of each stream's blocks, and how many of them were met.
    index: Option<BTreeMap<u32, (&'c [IndexEntry], usize)>>,
    frames_count: bool,
    is_log: bool,
    log_last: u32,
    records: u64,
    /// Blocks that the index tells of and that were passed over.
    missed: Vec<(u32, IndexEntry)>,
    /// Every block, where no index is at hand; not more than an index can hold.
    blocks: Vec<(u32, IndexEntry)>,
}

impl<'a, 'b, 'c> Taker<'a, 'b, 'c> {
    fn new(judge: &'a mut Judge<'b>, member: &'a Member, index: Option<&'c Index>) -> Self {
        let index = index.map(|index| {
            let of = |blocks: &'c presence_format::index::StreamBlocks| {
                (blocks.stream, (blocks.entries.as_slice(), 0))
            };
            index.streams.iter().map(of).collect()
        });
        let frames_count = index.is_none();
        let is_log = member.header.generation.get() == 0;
        let log_last = member.header.log_last.get();
        Self {
            judge,
            name: &member.name,
            index,
            frames_count,
            is_log,
            log_last,
            records: 0,
            missed: Vec::new(),
            blocks: Vec::new(),
        }
    }

    fn take(&mut self, entry: &Entry, payload: &[u8]) -> Result<(), String> {
        let at = entry.header.offset.get();
        if entry.header.offset.get() == FIRST_ENTRY && entry.kind != EntryKind::Catalog {
            let what = "the first entry is no catalog";
            self.judge.findings.at(Code::StreamContradiction, self.name, at, what);
        }
        match entry.kind {
            EntryKind::Catalog => {
                let mut catalog = Catalog::decode(payload).map_err(|error| error.what)?;
                if catalog.retained_from > self.log_last {
                    catalog.retained_from = 0;
                    self.judge.findings.at(
                        Code::StreamContradiction,
                        self.name,
                        at,
                        GIVES_ITSELF_UP,
                    );
                }
                for wrong in self.judge.streams.take_catalog(catalog, self.is_log) {
                    self.judge.findings.at(Code::StreamContradiction, self.name, at, wrong);
                }
            }
            EntryKind::Frame => self.frame(entry, payload)?,
            EntryKind::Block => self.block(entry, payload),
            EntryKind::Index => {
                Index::decode(payload, at).map_err(|error| error.what)?;
            }
        }
        self.judge.totals.entries += 1;
        self.judge.tell(u64::from(entry.end()));
        Ok(())
    }

    fn frame(&mut self, entry: &Entry, payload: &[u8]) -> Result<(), String> {
        let records = self.judge.streams.take_frame(payload, self.frames_count)?;
        let stated = entry.header.records.get();
        if records != u64::from(stated) {
            let what = format!("a frame of {records} records says {stated}");
            let at = entry.header.offset.get();
            self.judge.findings.at(Code::StreamContradiction, self.name, at, what);
        }
        Ok(())
    }

    fn block(&mut self, entry: &Entry, payload: &[u8]) {
        let at = entry.header.offset.get();
        self.judge.totals.blocks += 1;
        self.records += u64::from(entry.header.records.get());
        if let Some(index) = IndexEntry::of(entry).filter(|_| self.frames_count)
            && self.blocks.len() < BLOCKS_MAX
        {
            self.blocks.push((entry.header.stream.get(), index));
        }
        let without_a_hole = self.is_log && self.frames_count;
        if let Err(what) = self.judge.streams.take_block(entry, without_a_hole) {
            self.judge.findings.at(Code::StreamContradiction, self.name, at, what);
            return;
        }
        self.compare(entry);
        if self.judge.level != Level::Deep {
            return;
        }
        let stream = entry.header.stream.get();
        match self.judge.streams.content(stream, self.name, entry, payload) {
            Ok(()) => {}
            Err(what) => self.judge.findings.at(Code::BlockContent, self.name, at, what),
        }
    }

    /// Compares a block with its entry in the index.
    fn compare(&mut self, entry: &Entry) {
        let (Some(index), Some(own)) = (&mut self.index, IndexEntry::of(entry)) else { return };
        let at = entry.header.offset.get();
        let (entries, met) = index.entry(entry.header.stream.get()).or_insert((&[], 0));
        let rest = entries.get(*met..).unwrap_or_default();
        // Those before it were passed over with rotten bytes.
        let skipped = rest.iter().take_while(|other| other.offset.get() < at).count();
        let missed = rest.iter().take(skipped).map(|other| (entry.header.stream.get(), *other));
        self.missed.extend(missed);
        let other = rest.get(skipped);
        *met += skipped + usize::from(other.is_some_and(|other| other.offset.get() == at));
        if other != Some(&own) {
            let what = "the index says something else of this block";
            self.judge.findings.at(Code::IndexDisagrees, self.name, at, what);
        }
    }

    /// Blocks of the index that are not there, and no later one stands for the same region.
    fn lost(&self) -> Vec<(u32, IndexEntry)> {
        let missing: Vec<(u32, IndexEntry)> =
            self.missed.iter().copied().chain(self.left()).collect();
        let offsets: BTreeSet<u32> = missing.iter().map(|(_, entry)| entry.offset.get()).collect();
        let mut newest: BTreeMap<(u32, i64), u64> = BTreeMap::new();
        if !missing.is_empty() {
            let entries = self.index.iter().flatten();
            let entries = entries
                .flat_map(|(&stream, (entries, _))| entries.iter().map(move |e| (stream, e)));
            for (stream, entry) in entries.filter(|(_, e)| !offsets.contains(&e.offset.get())) {
                let Some(region) = planes::region(entry) else { continue };
                let newest = newest.entry((stream, region)).or_default();
                *newest = entry.first_sequence.get().max(*newest);
            }
        }
        let counts = |(stream, entry): &(u32, IndexEntry)| {
            let region = planes::region(entry).unwrap_or(region_of(entry.first_ts.get()));
            newest.get(&(*stream, region)).is_none_or(|&newest| newest < entry.first_sequence.get())
        };
        missing.into_iter().filter(counts).collect()
    }

    /// Blocks of the index that were not met.
    fn left(&self) -> impl Iterator<Item = (u32, IndexEntry)> {
        let streams = self.index.iter().flatten();
        streams.flat_map(|(&stream, (entries, met))| {
            let rest = entries.get(*met..).unwrap_or_default();
            rest.iter().map(move |entry| (stream, *entry))
        })
    }
}

/// Decodes a block and compares its timestamps with its header.
pub(crate) fn content(entry: &Entry, payload: &[u8], layout: &BlockLayout) -> Result<(), String> {
    let Some(block) = entry.block else { return Ok(()) };
    if layout.is_plane() {
        return planes::content(entry, payload, layout);
    }
    let records = entry.header.records.get() as usize;
    let compression = Compression::from_code(block.compression).map_err(|error| error.what)?;
    let mut decoded = Vec::new();
    let bytes = layout.decoded_bytes(records);
    decoded.try_reserve_exact(bytes).map_err(|_| format!("no memory for {bytes} bytes"))?;
    decoded.resize(bytes, 0);
    layout.decode(compression, records, payload, &mut decoded).map_err(|error| error.what)?;
    layout.check_times(&block, records, &decoded).map_err(|error| error.what)
}
