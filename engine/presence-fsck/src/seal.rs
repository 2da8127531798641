//! The end of a sealed segment: footer and index, read without trusting either.
//!
//! # Invariants
//! - A footer counts only with its index, and an index only where the footer names it.

use std::io;

use presence_format::checksum::PayloadChecks;
use presence_format::entry::{ENTRY_ALIGN, Entry, EntryKind, Place};
use presence_format::index::Index;
use presence_format::segment::Footer;

use crate::bytes::Bytes;

/// Footer and index of a sealed segment.
#[derive(Debug)]
pub(crate) struct Seal {
    pub(crate) footer: Footer,
    pub(crate) index: Index,
    /// What between index and footer, or about them, is not as it must be.
    pub(crate) untidy: Option<(u32, &'static str)>,
}

/// Reads the seal of the segment at `place`; else what is wrong with it, and where.
pub(crate) fn read(bytes: &mut Bytes, place: Place) -> io::Result<Result<Seal, (u64, String)>> {
    let footer_at = bytes.len().saturating_sub(Footer::BYTES as u64);
    let footer = bytes.get(footer_at, Footer::BYTES)?;
    let footer = match Footer::decode(footer, place, footer_at.saturating_add(64)) {
        Ok(footer) => footer,
        Err(error) => return Ok(Err((footer_at.saturating_add(error.offset), error.what))),
    };
    let index_at = footer.index_offset.get();
    let wrong = |at: u64, what: &str| Ok(Err((u64::from(index_at) + at, what.to_owned())));
    let header = bytes.get(u64::from(index_at), 128)?;
    let entry = match Entry::parse(header, place, index_at) {
        Ok(entry) if entry.kind == EntryKind::Index => entry,
        Ok(_) => return wrong(20, "no index where the footer says"),
        Err(error) => return wrong(error.offset, &error.what),
    };
    if entry.header.previous_crc != footer.data_crc || entry.header.number != footer.entries {
        return wrong(56, "the index of other data than the footer's");
    }
    let stored = entry.stored_bytes() as usize;
    let payload_at = entry.payload_offset();
    let content_end = u64::from(payload_at) + stored as u64;
    if content_end > footer_at {
        return wrong(48, "the index reaches into the footer");
    }
    let stored = bytes.get(u64::from(payload_at), stored)?;
    let payload_bytes = entry.header.payload_bytes.get();
    let (payload, table) = stored.split_at_checked(payload_bytes as usize).unwrap_or_default();
    let index = PayloadChecks::new(payload_bytes, entry.header.payload_crc.get(), table)
        .and_then(|checks| checks.check(payload))
        .and_then(|()| Index::decode(payload, index_at));
    let index = match index {
        Ok(index) => index,
        Err(error) => return wrong(64 + error.offset, &error.what),
    };
    let gap = footer_at - content_end;
    let between = bytes.get(content_end, usize::try_from(gap).unwrap_or(0).min(64))?;
    let untidy = if gap >= u64::from(ENTRY_ALIGN) {
        Some("the index does not end right before the footer")
    } else if between.iter().any(|&byte| byte != 0) {
        Some("bytes that must be zeros are not")
    } else {
        None
    };
    let untidy = untidy.map(|what| (u32::try_from(content_end).unwrap_or(index_at), what));
    Ok(Ok(Seal { footer, index, untidy }))
}
