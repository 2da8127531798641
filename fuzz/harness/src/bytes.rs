//! The decoders of single structures: what decodes, encodes to the same bytes, and the other way
//! round.

use presence_format::block::BlockLayout;
use presence_format::caps::CHECKSUM_PIECE_BYTES;
use presence_format::catalog::Catalog;
use presence_format::checksum::{PayloadChecks, PayloadHasher};
use presence_format::entry::Place;
use presence_format::frame::{Section, encode_head};
use presence_format::index::{Index, IndexEntry, StreamBlocks};
use presence_format::segment::{Footer, SegmentHeader};
use presence_format::{Schema, varint};

use crate::fix;
use crate::input::Input;
use crate::schemas;

/// Varints, one behind the other; and eight bytes as a number.
pub(crate) fn varint(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok((value, after)) = varint::decode(rest) {
        let mut again = Vec::new();
        varint::encode(value, &mut again);
        assert_eq!(again, rest[..rest.len() - after.len()], "one value, two encodings");
        rest = after;
    }
    let value = Input::new(bytes).u64();
    let mut encoded = Vec::new();
    varint::encode(value, &mut encoded);
    assert_eq!(varint::decode(&encoded), Ok((value, &[][..])));
}

pub(crate) fn schema(bytes: &[u8]) {
    if let Ok((schema, rest)) = Schema::decode(bytes) {
        let mut again = Vec::new();
        schema.encode(&mut again);
        assert_eq!(again, bytes[..bytes.len() - rest.len()], "one schema, two encodings");
        let layout = BlockLayout::new(&schema);
        assert_eq!(layout.record_bytes(), schema.record_bytes());
        let records = layout.records_within(1 << 20);
        assert!(layout.decoded_bytes(records) >= records * schema.record_bytes());
    }
    let made = schemas::schema(&mut Input::new(bytes));
    let mut encoded = Vec::new();
    made.encode(&mut encoded);
    assert_eq!(Schema::decode(&encoded), Ok((made, &[][..])));
}

pub(crate) fn catalog(bytes: &[u8]) {
    if let Ok((catalog, rest)) = Catalog::decode_prefix(bytes) {
        let mut again = Vec::new();
        catalog.encode(&mut again);
        assert_eq!(again, bytes[..bytes.len() - rest.len()], "one catalog, two encodings");
        assert_eq!(Catalog::decode(bytes).is_ok(), rest.is_empty());
    }
    let made = schemas::catalog(&mut Input::new(bytes));
    let mut encoded = Vec::new();
    made.encode(&mut encoded);
    assert_eq!(Catalog::decode(&encoded), Ok(made));
}

/// The sections of a frame, of streams whose records are as long as their id says.
pub(crate) fn frame(bytes: &[u8]) {
    let record_bytes = |stream: u32| (stream < 200).then_some(8 + stream as usize % 9);
    let mut rest = bytes;
    while let Ok((section, after)) = Section::decode(rest, record_bytes) {
        let mut again = Vec::new();
        encode_head(section.stream, section.first_sequence, section.records, &mut again);
        again.extend_from_slice(section.bytes);
        assert_eq!(again, rest[..rest.len() - after.len()], "one section, two encodings");
        rest = after;
    }
    let mut input = Input::new(bytes);
    let schema = schemas::schema(&mut input);
    let layout = BlockLayout::new(&schema);
    let (first_sequence, records) = (input.u64() >> 1, 1 + input.below(40));
    let mut body = input.take(records * layout.record_bytes()).to_vec();
    body.resize(records * layout.record_bytes(), 0);
    let mut encoded = Vec::new();
    encode_head(7, first_sequence, records as u32, &mut encoded);
    encoded.extend_from_slice(&body);
    encoded.extend_from_slice(input.rest());
    let (section, after) = Section::decode(&encoded, |_| Some(layout.record_bytes())).unwrap();
    assert_eq!((section.first_sequence, section.records as usize), (first_sequence, records));
    assert!(section.bytes == body && encoded.ends_with(after));
    let lanes: Vec<u8> = section.lanes(&layout).flatten().copied().collect();
    assert!(lanes == body, "the lanes are not the section");
}

/// An index in front of the last 64 bytes of the largest segment, and one made from choices.
pub(crate) fn index(bytes: &[u8]) {
    if let Ok(index) = Index::decode(bytes, 1 << 30) {
        assert_eq!(index.encode(), bytes, "one index, two encodings");
    }
    let mut input = Input::new(bytes);
    let catalog = schemas::catalog(&mut input);
    let mut offset = 128;
    let streams = catalog.streams.iter().map(|stream| {
        let (mut sequence, mut ts) = (input.number() >> 2, input.i64() >> 2);
        let entries = (0..input.below(6)).map(|_| {
            let records = 1 + input.u16() as u32;
            let payload_bytes = input.u16() as u32;
            let span = i64::from(input.u16());
            let mut entry = blank_index_entry();
            entry.first_ts = ts.into();
            entry.last_ts = (ts + span).into();
            entry.first_sequence = sequence.into();
            entry.offset = offset.into();
            entry.payload_bytes = payload_bytes.into();
            entry.records = records.into();
            entry.header_crc = input.u32().into();
            sequence += u64::from(records) + input.number() % 1000;
            ts += span + i64::from(input.u8());
            offset += (128 + payload_bytes).next_multiple_of(64);
            entry
        });
        StreamBlocks { stream: stream.id, entries: entries.collect() }
    });
    let made = Index { streams: streams.collect(), catalog: catalog.clone() };
    assert_eq!(Index::decode(&made.encode(), offset), Ok(made));
}

fn blank_index_entry() -> IndexEntry {
    IndexEntry {
        first_ts: 0.into(),
        last_ts: 0.into(),
        first_sequence: 0.into(),
        offset: 0.into(),
        payload_bytes: 0.into(),
        records: 0.into(),
        header_crc: 0.into(),
        rank: 0.into(),
    }
}

pub(crate) fn segment_header(bytes: &[u8]) {
    if let Ok(header) = SegmentHeader::decode(bytes) {
        assert_eq!(header.encode(), bytes[..SegmentHeader::BYTES], "one header, two encodings");
        let (first, last) = (header.log_first.get(), header.log_last.get());
        assert!(0 < first && first <= last && header.previous_segment.get() < first);
        assert!(header.segment.get() >= last && header.part.get() < header.parts.get());
    }
}

pub(crate) fn segment_header_fixed(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    fix::segment_header(&mut bytes);
    segment_header(&bytes);
}

/// Eight bytes of the file's length, then a footer.
pub(crate) fn footer(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let file_bytes = input.u64();
    let bytes = input.rest();
    let short = bytes.get(8..16).map_or(0, |eight| u64::from_le_bytes(eight.try_into().unwrap()));
    let place = Place { database: short, segment: fix::word(bytes, 16) };
    if let Ok(footer) = Footer::decode(bytes, place, file_bytes) {
        assert_eq!(footer.encode(), bytes, "one footer, two encodings");
        assert!(u64::from(footer.index_offset.get()) + 64 <= file_bytes);
        assert!(footer.data_end <= footer.index_offset);
        let other = Place { segment: place.segment.wrapping_add(1), ..place };
        assert!(Footer::decode(bytes, other, file_bytes).is_err());
    }
}

pub(crate) fn footer_fixed(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    if bytes.len() > 8 {
        fix::footer(&mut bytes[8..]);
    }
    footer(&bytes);
}

/// Four bytes of length, four of checksum, two of the table's length, the table, the payload.
pub(crate) fn payload_checks(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (payload_bytes, crc, table) = (input.u32(), input.u32(), usize::from(input.u16()));
    let table = input.take(table);
    let payload = input.rest();
    if let Ok(checks) = PayloadChecks::new(payload_bytes, crc, table) {
        let sound = (0..checks.pieces()).all(|piece| checks.piece_is_sound(payload, piece));
        assert_eq!(checks.check(payload).is_ok(), sound);
        assert!(!checks.piece_is_sound(payload, checks.pieces()));
    }
}

/// A payload (repeated, so that it has several pieces) with right checksums is taken; with one
/// bit flipped it is not, and the piece is named.
pub(crate) fn payload_checks_fixed(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (times, cut, flip) = (1 + input.below(5), input.u16(), input.u32() as usize);
    let part = input.rest();
    let mut payload = part.repeat(times);
    payload.truncate(payload.len().saturating_sub(usize::from(cut)));
    let mut hasher = PayloadHasher::new();
    payload.chunks(usize::from(cut) + 1).for_each(|chunk| hasher.update(chunk));
    let (crc, table) = hasher.finish();
    let checks = PayloadChecks::new(payload.len() as u32, crc, &table).unwrap();
    assert_eq!(checks.check(&payload), Ok(()));
    if !payload.is_empty() {
        let bit = flip % (payload.len() * 8);
        payload[bit / 8] ^= 1 << (bit % 8);
        let piece = bit / 8 / CHECKSUM_PIECE_BYTES as usize;
        let error = checks.check(&payload).unwrap_err();
        assert_eq!(error.offset, piece as u64 * u64::from(CHECKSUM_PIECE_BYTES));
    }
    if !table.is_empty() {
        let mut table = table;
        let at = flip % table.len();
        table[at] ^= 1;
        assert!(PayloadChecks::new(payload.len() as u32, crc, &table).is_err());
    }
}
