//! What the header of a segment must have been, where it cannot be read.
//!
//! # Invariants
//! - A guess agrees with every header that can be read, or is not made.

use std::io;

use presence::DatabaseId;
use presence::device::Device;
use presence_format::entry::{Entry, Place};
use presence_format::segment::{FIRST_ENTRY, SegmentHeader};
use zerocopy::FromBytes;

use crate::repair::directory::{Directory, overlap, siblings};

/// What is known of a segment without header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guess {
    pub(crate) header: SegmentHeader,
    /// Whether its place in the log is known from another segment, so that one without any record
    /// may stand there.
    pub(crate) is_named: bool,
}

/// Finds out what segment `number` was, whose first bytes are `bytes`. `ends` tells where a log
/// segment ended, for the one before it.
pub(crate) fn guess(
    bytes: &[u8],
    number: u32,
    directory: &Directory,
    end_of: impl Fn(u32) -> Option<(u32, u32)>,
) -> Option<Guess> {
    let (raw, _) = SegmentHeader::read_from_prefix(bytes).ok()?;
    let database = directory.database.unwrap_or(raw.database);
    let covered = directory
        .headers
        .values()
        .any(|header| header.log_first.get() <= number && number <= header.log_last.get());
    let is_named = directory.successor(number).is_some();
    if let Some(header) = believable(&raw, database, number, directory) {
        let is_named = directory.successor(header.log_last.get()).is_some();
        return Some(Guess { header, is_named });
    }
    let mut headers = directory.live_headers().peekable();
    let is_first = headers.peek().is_none();
    let ends_before = headers.all(|header| header.log_last.get() < number)
        && directory.headers.keys().all(|other| *other < number);
    let may_be_last = ends_before && is_chain(directory) && !is_first;
    if covered || !(is_named || may_be_last) {
        return None;
    }
    let before = directory.live_headers().rfind(|header| header.log_last.get() < number);
    let mut header = SegmentHeader::first(DatabaseId(database), number, 0);
    if let Some(before) = before {
        header.previous_segment = before.log_last;
        let (end, crc) = end_of(before.log_last.get()).unwrap_or_default();
        header.previous_end = end.into();
        header.previous_crc = crc.into();
    }
    Some(Guess { header, is_named })
}

/// The header as its bytes have it, where nothing but its checksum, or bytes that say nothing,
/// contradicts them.
fn believable(
    raw: &SegmentHeader,
    database: [u8; 16],
    number: u32,
    directory: &Directory,
) -> Option<SegmentHeader> {
    let clean = SegmentHeader::first(DatabaseId(database), number, 0);
    let header = SegmentHeader {
        magic: clean.magic,
        version_major: clean.version_major,
        version_minor: clean.version_minor,
        features_needed: clean.features_needed,
        features_optional: clean.features_optional,
        reserved: clean.reserved,
        ..*raw
    };
    let header = SegmentHeader::decode(&header.encode()).ok()?;
    let is_own = header.database == database && header.segment.get() == number;
    let (first, last) = (header.log_first.get(), header.log_last.get());
    let is_apart = directory.live_headers().all(|other| {
        !overlap(&header, other) || (header.parts.get() > 1 && siblings(&header, other))
    });
    let mut live = directory.live_headers();
    let before = live.rfind(|other| other.log_last.get() < first);
    let behind = directory.live_headers().find(|other| other.log_first.get() > last);
    let follows = before.is_none_or(|other| other.log_last == header.previous_segment);
    let is_followed = behind.is_none_or(|other| other.previous_segment.get() == last);
    let is_part =
        header.parts.get() == 1 || directory.live_headers().any(|other| siblings(&header, other));
    (is_own && is_apart && follows && is_followed && is_part).then_some(header)
}

/// Whether every segment that counts follows one that is there.
fn is_chain(directory: &Directory) -> bool {
    let mut before: Option<&SegmentHeader> = None;
    directory.live_headers().all(|header| {
        let follows = before.is_none_or(|before| {
            before.log_last == header.previous_segment || siblings(before, header)
        });
        before = Some(header);
        follows
    })
}

/// What the first entry of a segment at `place` chains to.
///
/// # Errors
/// Where the file cannot be read.
pub(crate) fn first_crc(device: &dyn Device, name: &str, place: Place) -> io::Result<Option<u32>> {
    let mut bytes = [0; 128];
    device.open(name)?.read_at(&mut bytes, u64::from(FIRST_ENTRY))?;
    let entry = Entry::parse(&bytes, place, FIRST_ENTRY).ok();
    let first = entry.filter(|entry| entry.header.number.get() == 0);
    Ok(first.map(|entry| entry.header.previous_crc.get()))
}
