//! The end of the last segment, where no seal counts: was it torn by a crash, or damaged later?
//!
//! Index and footer are caches of the entries, so what they should be can be computed. A write
//! that was torn leaves in each sector a front of what it should be and zeros behind it; anything
//! else is damage.
//!
//! # Invariants
//! - Nothing is called torn that a torn write cannot leave.

use std::io;
use std::ops::Range;

use presence_format::catalog::Catalog;
use presence_format::checksum::{PayloadHasher, header_crc32};
use presence_format::entry::{EntryBuilder, EntryKind, Place};
use presence_format::index::{Index, IndexEntry, StreamBlocks};
use presence_format::segment::{FOOTER_MAGIC, Footer};
use zerocopy::FromBytes;

use crate::bytes::Bytes;
use crate::walk::{End, Walked};

/// What a disk writes whole or not at all, or cuts once.
const SECTOR: u64 = 512;

/// How a last segment without a seal that counts ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// In its entries.
    Open,
    /// In a seal that a crash cut.
    Torn(Range<u64>),
    /// In a seal that was whole, or would have been.
    Damaged(Range<u64>, &'static str),
}

/// What the entries of a segment call for.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) place: Place,
    pub(crate) records: u64,
    pub(crate) catalog: Catalog,
    pub(crate) blocks: Vec<StreamBlocks>,
}

/// Tells how the segment ends.
pub(crate) fn ending(bytes: &mut Bytes, walked: &Walked, called: Called) -> io::Result<Ending> {
    let footer_at = bytes.len().saturating_sub(Footer::BYTES as u64);
    let footer = bytes.get(footer_at, Footer::BYTES)?.to_vec();
    if is_whole(&footer) {
        let range = footer_at..bytes.len();
        let lies = Ending::Damaged(range, "the footer tells of other data than there is");
        return match Footer::decode(&footer, called.place, bytes.len()) {
            Ok(footer) if is_of(&footer, walked) => without_index(bytes, walked, called, &footer),
            _ => Ok(lies),
        };
    }
    let Some((index_offset, data)) = walked.last_index else { return Ok(Ending::Open) };
    let range = footer_at..bytes.len();
    // How much is torn inside is information only: as found here, or as it was counted then.
    let torn = walked.torn_inside.iter().map(|torn| torn.end - torn.start);
    let counted = torn.fold(0, u32::saturating_add);
    let stated = Footer::read_from_bytes(&footer).map_or(0, |footer| footer.torn_bytes.get());
    // No whole footer ends in a checksum of zero.
    let is_cut = footer.iter().skip(48).all(|&byte| byte == 0);
    let is_damaged = !is_cut
        && [counted, stated].into_iter().all(|torn_bytes| {
            let expected = expected_footer(&called, index_offset, data, torn_bytes);
            resembles(&footer, &expected) && !is_torn(&footer, &expected, footer_at)
        });
    Ok(match is_damaged {
        true => Ending::Damaged(range, "the footer is damaged; the index before it is sound"),
        false => Ending::Torn(range),
    })
}

/// Whether the bytes have a footer's checksum: then none of them is torn. What it tells of was
/// durable before it was written.
fn is_whole(footer: &[u8]) -> bool {
    let stated = footer.get(4..).and_then(|rest| rest.first_chunk::<4>());
    footer.starts_with(&FOOTER_MAGIC)
        && stated.is_some_and(|crc| u32::from_le_bytes(*crc) == header_crc32(footer, 4))
}

/// Whether the entries end where the footer says.
fn is_of(footer: &Footer, walked: &Walked) -> bool {
    let End { offset, crc, .. } = walked.last_end;
    footer.data_end.get() == offset && footer.data_crc.get() == crc
}

/// The footer is sound, and the index that it names is not.
fn without_index(
    bytes: &mut Bytes,
    walked: &Walked,
    called: Called,
    footer: &Footer,
) -> io::Result<Ending> {
    let data = walked.last_end;
    let index_at = footer.index_offset.get();
    let range = u64::from(index_at)..bytes.len().saturating_sub(Footer::BYTES as u64);
    let expected = expected_index(called, index_at, data);
    let found = bytes.get(u64::from(index_at), expected.len())?;
    Ok(match is_torn(found, &expected, u64::from(index_at)) {
        true => Ending::Torn(range),
        false => Ending::Damaged(range, "the index is damaged; the footer behind it is sound"),
    })
}

/// Whether `found`, at `offset` of a file, can be left of a torn write of `expected`.
fn is_torn(found: &[u8], expected: &[u8], offset: u64) -> bool {
    let mut is_cut = false;
    found.iter().zip(expected).zip(offset..).all(|((&is, &should), at)| {
        is_cut = (is_cut && !at.is_multiple_of(SECTOR)) || is != should;
        !is_cut || is == 0
    })
}

/// Whether most of `expected` stands in `found`. Where a recovery crashed after a crash, the file
/// may end in bytes that were never meant to be a footer.
fn resembles(found: &[u8], expected: &[u8]) -> bool {
    let pairs = || found.iter().zip(expected).filter(|(_, should)| **should != 0);
    2 * pairs().filter(|(is, should)| is == should).count() >= pairs().count()
}

fn expected_footer(called: &Called, index_offset: u32, data: End, torn_bytes: u32) -> [u8; 64] {
    Footer {
        magic: [0; 4],
        footer_crc: 0.into(),
        database: called.place.database.into(),
        segment: called.place.segment.into(),
        index_offset: index_offset.into(),
        data_end: data.offset.into(),
        data_crc: data.crc.into(),
        entries: data.number.into(),
        torn_bytes: torn_bytes.into(),
        records: called.records.into(),
        log_crc: data.crc.into(),
        log_end: data.offset.into(),
        reserved: [0; 8],
    }
    .encode()
}

fn expected_index(called: Called, offset: u32, data: End) -> Vec<u8> {
    let Called { place, catalog, blocks: streams, .. } = called;
    let payload = Index { catalog, streams }.encode();
    let mut hasher = PayloadHasher::new();
    hasher.update(&payload);
    let (crc, table) = hasher.finish();
    let mut builder = EntryBuilder::new(place, offset, data.number, data.crc);
    builder.header.payload_bytes = (payload.len() as u32).into();
    builder.header.payload_crc = crc.into();
    builder.header.durable_offset = data.offset.into();
    let (header, header_bytes, _) = builder.finish(EntryKind::Index);
    let header = header.get(..header_bytes).unwrap_or_default();
    [header, &payload, &table].concat()
}

/// Groups blocks by stream, as an index has them.
pub(crate) fn by_stream(blocks: &[(u32, IndexEntry)]) -> Vec<StreamBlocks> {
    let mut streams: std::collections::BTreeMap<u32, Vec<IndexEntry>> = Default::default();
    for (stream, entry) in blocks {
        streams.entry(*stream).or_default().push(*entry);
    }
    streams.into_iter().map(|(stream, entries)| StreamBlocks { stream, entries }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_leaves_zeros_up_to_the_next_sector() {
        let whole: Vec<u8> = (0..1024).map(|at| (at % 250) as u8 + 1).collect();
        let cut = |from: usize, to: usize| {
            let mut bytes = whole.clone();
            bytes[from..to].fill(0);
            is_torn(&bytes, &whole, 256)
        };
        assert!(cut(0, 0) && cut(100, 256) && cut(0, 256) && cut(300, 768) && cut(1000, 1024));
        assert!(!cut(100, 101) && !cut(100, 257));
        let mut changed = whole.clone();
        changed[500] ^= 1;
        assert!(!is_torn(&changed, &whole, 256));
    }
}
