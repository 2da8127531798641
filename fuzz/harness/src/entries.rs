//! An entry: its header, its checksums, and what its payload holds.

use presence_format::block::BlockLayout;
use presence_format::catalog::Catalog;
use presence_format::checksum::PayloadChecks;
use presence_format::entry::{Entry, EntryBuilder, EntryKind, Place};
use presence_format::frame::Section;
use presence_format::index::{Index, IndexEntry};
use presence_format::{Compression, Schema};

use crate::fix;

/// The bytes as an entry, in the place that they name.
pub(crate) fn entry(bytes: &[u8]) {
    let database = bytes.get(8..16).map_or(0, |b| u64::from_le_bytes(b.try_into().unwrap()));
    let place = Place { database, segment: fix::word(bytes, 16) };
    let offset = fix::word(bytes, 24);
    let Ok(entry) = Entry::parse(bytes, place, offset) else { return };
    let builder = EntryBuilder { header: entry.header, block: entry.block };
    let (again, len, crc) = builder.finish(entry.kind);
    assert_eq!(again[..len], bytes[..len], "one header, two encodings");
    assert_eq!(crc, entry.header.header_crc.get());
    for (place, offset) in [
        (Place { database: !database, ..place }, offset),
        (Place { segment: !place.segment, ..place }, offset),
        (place, !offset),
    ] {
        assert!(Entry::parse(bytes, place, offset).is_err(), "taken in another place");
    }
    assert!(entry.end() <= 1 << 30 && entry.end() > offset);
    assert_eq!(IndexEntry::of(&entry).is_some(), entry.kind == EntryKind::Block);
    payload(&entry, &bytes[len..]);
}

/// The same with the checksums of header and payload made right.
pub(crate) fn entry_fixed(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    fix::entry(&mut bytes);
    entry(&bytes);
}

/// Checks and decodes what is behind the header.
fn payload(entry: &Entry, stored: &[u8]) {
    let payload_bytes = entry.header.payload_bytes.get();
    let Some(stored) = stored.get(..entry.stored_bytes() as usize) else { return };
    let (payload, table) = stored.split_at(payload_bytes as usize);
    let crc = entry.header.payload_crc.get();
    let Ok(checks) = PayloadChecks::new(payload_bytes, crc, table) else { return };
    if checks.check(payload).is_err() {
        return;
    }
    match entry.kind {
        EntryKind::Catalog => {
            if let Ok(catalog) = Catalog::decode(payload) {
                let mut again = Vec::new();
                catalog.encode(&mut again);
                assert_eq!(again, payload);
            }
        }
        EntryKind::Index => {
            if let Ok(index) = Index::decode(payload, entry.header.offset.get()) {
                assert_eq!(index.encode(), payload);
            }
        }
        EntryKind::Frame => {
            let mut rest = payload;
            while let Ok((section, after)) = Section::decode(rest, |_| Some(12)) {
                assert_eq!(section.bytes.len(), section.records as usize * 12);
                rest = after;
            }
        }
        EntryKind::Block => block(entry, payload),
    }
}

/// A block's payload under a few schemas: none is named in the entry itself.
fn block(entry: &Entry, payload: &[u8]) {
    let Some(block) = entry.block else { return };
    let Ok(compression) = Compression::from_code(block.compression) else { return };
    let records = entry.header.records.get() as usize;
    for dtype in presence_format::DType::ALL {
        let layout = BlockLayout::new(&Schema::single(dtype, &[]).unwrap());
        let decoded_bytes = layout.decoded_bytes(records);
        if decoded_bytes != block.decoded_bytes.get() as usize {
            continue;
        }
        let mut decoded = vec![0; decoded_bytes];
        let done = layout.decode(compression, records, payload, &mut decoded);
        // Of a block as it is, nothing but its length can be wrong.
        let as_is = compression == Compression::None && payload.len() == decoded_bytes;
        assert!(done.is_ok() || !as_is);
    }
}
