//! Checksums made right after mutation, so that what is behind them is fuzzed, too.
//!
//! What the fuzzer must still be able to break it breaks by the reserved bytes of a header, which
//! readers pass over: they say what is left wrong.

use presence_format::block::BlockHeader;
use presence_format::checksum::{PayloadHasher, header_crc32};
use presence_format::entry::{ENTRY_MAGIC, EntryHeader, EntryKind};
use presence_format::index::Index;
use presence_format::segment::{FOOTER_MAGIC, Footer, SEGMENT_MAGIC, SegmentHeader};

/// In the first reserved byte of an entry: its chain and number are left as they are.
const LEAVE_CHAIN: u8 = 1;
/// In the first reserved byte of an entry: its payload's checksum is left as it is.
const LEAVE_PAYLOAD: u8 = 2;
/// In the first reserved byte of an entry: its header's checksum is left as it is.
const LEAVE_HEADER: u8 = 4;
/// In the first reserved byte of an entry: its offset and place are left as they are.
const LEAVE_PLACE: u8 = 8;
/// In the first reserved byte of an entry: the index's words on blocks are left as they are.
const LEAVE_INDEX: u8 = 16;

pub(crate) fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |four| u32::from_le_bytes(four.try_into().unwrap()))
}

pub(crate) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

fn put_crc(bytes: &mut [u8], len: usize, field: usize) {
    if let Some(covered) = bytes.get(..len) {
        let crc = header_crc32(covered, field);
        put(bytes, field, &crc.to_le_bytes());
    }
}

/// Magic number and checksum of a segment's header.
pub(crate) fn segment_header(bytes: &mut [u8]) {
    put(bytes, 0, &SEGMENT_MAGIC);
    put_crc(bytes, SegmentHeader::BYTES, 12);
}

/// Magic number and checksum of a footer.
pub(crate) fn footer(bytes: &mut [u8]) {
    put(bytes, 0, &FOOTER_MAGIC);
    put_crc(bytes, Footer::BYTES, 4);
}

/// Bytes of the header of an entry of this kind.
fn header_bytes(kind: u8) -> usize {
    if kind == EntryKind::Block as u8 {
        EntryHeader::BYTES + BlockHeader::BYTES
    } else {
        EntryHeader::BYTES
    }
}

/// The checksums of the entry that begins `bytes`: of its payload, where that is all there, then
/// of its header.
pub(crate) fn entry(bytes: &mut [u8]) {
    put(bytes, 0, &ENTRY_MAGIC);
    let leave = bytes.get(21).copied().unwrap_or(0);
    let header = header_bytes(bytes.get(20).copied().unwrap_or(0));
    let payload_bytes = word(bytes, 48) as usize;
    if leave & LEAVE_PAYLOAD == 0
        && let Some(payload) = bytes.get(header..).and_then(|rest| rest.get(..payload_bytes))
    {
        let mut hasher = PayloadHasher::new();
        hasher.update(payload);
        let (crc, table) = hasher.finish();
        put(bytes, 52, &crc.to_le_bytes());
        put(bytes, header + payload_bytes, &table);
    }
    if leave & LEAVE_HEADER == 0 {
        put_crc(bytes, header, 4);
    }
}

/// Where an entry of a segment was found.
struct Found {
    offset: usize,
    end: usize,
    crc: u32,
    number: u32,
    previous_crc: u32,
    index: bool,
}

/// Everything in a segment: its header, each entry with its place, chain and checksums, what an
/// index says of its blocks, and the footer.
pub(crate) fn segment(bytes: &mut [u8]) {
    if bytes.len() < SegmentHeader::BYTES {
        return;
    }
    segment_header(bytes);
    let database: [u8; 8] = bytes[16..24].try_into().unwrap();
    let number: [u8; 4] = bytes[32..36].try_into().unwrap();
    let mut found: Vec<Found> = Vec::new();
    let mut at = SegmentHeader::BYTES;
    while at + EntryHeader::BYTES <= bytes.len() {
        if bytes[at..].starts_with(&FOOTER_MAGIC) {
            break;
        }
        // The first entry is always there: a segment without one holds nothing to look at.
        if !bytes[at..].starts_with(&ENTRY_MAGIC) && at != SegmentHeader::BYTES {
            at += 64;
            continue;
        }
        let leave = bytes[at + 21];
        if leave & LEAVE_PLACE == 0 {
            put(bytes, at + 8, &database);
            put(bytes, at + 16, &number);
            put(bytes, at + 24, &(at as u32).to_le_bytes());
        }
        if leave & LEAVE_CHAIN == 0 {
            let (count, crc) = match found.last() {
                Some(last) => (last.number.wrapping_add(1), last.crc),
                None => (0, word(bytes, 12)),
            };
            put(bytes, at + 28, &count.to_le_bytes());
            put(bytes, at + 56, &crc.to_le_bytes());
        }
        let index = bytes[at + 20] == EntryKind::Index as u8;
        if index && leave & LEAVE_INDEX == 0 {
            fix_index(&mut bytes[at..], at as u32, &found);
        }
        entry(&mut bytes[at..]);
        let header = header_bytes(bytes[at + 20]);
        let payload = word(bytes, at + 48);
        let table = presence_format::checksum::table_bytes(payload) as usize;
        let end = at + header + payload as usize + table;
        let (crc, number) = (word(bytes, at + 4), word(bytes, at + 28));
        let previous_crc = word(bytes, at + 56);
        let end = if end <= bytes.len() { end.next_multiple_of(64) } else { at + 64 };
        found.push(Found { offset: at, end, crc, number, previous_crc, index });
        at = end;
    }
    fix_footer(bytes, &found, database, number);
}

/// Writes the checksums of the blocks into the index that begins `bytes`.
fn fix_index(bytes: &mut [u8], offset: u32, found: &[Found]) {
    let payload_bytes = word(bytes, 48) as usize;
    let Some(payload) = bytes.get(64..).and_then(|rest| rest.get(..payload_bytes)) else { return };
    let Ok(mut index) = Index::decode(payload, offset) else { return };
    for entry in index.streams.iter_mut().flat_map(|stream| &mut stream.entries) {
        let block = found.iter().find(|found| found.offset == entry.offset.get() as usize);
        if let Some(block) = block {
            entry.header_crc = block.crc.into();
        }
    }
    put(bytes, 64, &index.encode());
}

fn fix_footer(bytes: &mut [u8], found: &[Found], database: [u8; 8], number: [u8; 4]) {
    let at = bytes.len() - Footer::BYTES;
    if !bytes[at..].starts_with(&FOOTER_MAGIC) {
        return;
    }
    // The last of its reserved bytes says what is left wrong.
    let leave = bytes[bytes.len() - 1];
    if let Some(index) = found.iter().rev().find(|found| found.index)
        && leave & 1 == 0
    {
        let before = found.iter().rfind(|found| found.offset < index.offset);
        let data_end = before.map_or(SegmentHeader::BYTES, |found| found.end) as u32;
        put(bytes, at + 8, &database);
        put(bytes, at + 16, &number);
        put(bytes, at + 20, &(index.offset as u32).to_le_bytes());
        put(bytes, at + 24, &data_end.to_le_bytes());
        put(bytes, at + 28, &index.previous_crc.to_le_bytes());
        put(bytes, at + 32, &index.number.to_le_bytes());
    }
    footer(&mut bytes[at..]);
}
