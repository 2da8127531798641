//! Finds every sound entry in a file, wherever it stands.
//!
//! # Invariants
//! - An entry is sound by its own checksums; neither index nor footer nor the entries around it are
//!   asked. What lies inside a sound entry in its place is that entry's content, and not searched.
//! - Work is linear in the file's length for any file: payloads that turn out unsound are read for
//!   twice that length at most.

use std::io;
use std::ops::ControlFlow;

use presence_format::caps::SEGMENT_BYTES_MAX;
use presence_format::checksum::PayloadChecks;
use presence_format::entry::{ENTRY_MAGIC, Entry, EntryKind, Place};
use presence_format::segment::FIRST_ENTRY;

use crate::bytes::Bytes;

/// Searched at once.
const STRIDE: usize = 256 << 10;
/// No entry lies further out in a file, also where much was put in before it.
const SEARCHED_MAX: u64 = 2 * SEGMENT_BYTES_MAX as u64;
/// Unsound payloads may be read for this many bytes, and twice the file's length.
const WASTE_MAX: u64 = 64 << 20;

/// A sound entry.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) entry: &'a Entry,
    /// Where in the file it stands.
    pub(super) at: u64,
    pub(super) payload: &'a [u8],
}

impl Found<'_> {
    /// Whether it stands where it says.
    pub(super) fn is_in_place(&self) -> bool {
        u64::from(self.entry.header.offset.get()) == self.at
    }
}

/// What a hunt ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    /// Sound headers whose payload is not.
    pub(super) unsound: u64,
    /// Those of them that head a frame.
    pub(super) unsound_frames: u64,
    /// Whether the file was searched to its end.
    pub(super) whole: bool,
}

/// Hands every sound entry of `bytes` to `take`, in the order of the file.
pub(super) fn hunt(
    bytes: &mut Bytes,
    take: &mut dyn FnMut(&Found<'_>) -> ControlFlow<()>,
) -> io::Result<Ended> {
    let mut ended = Ended { unsound: 0, unsound_frames: 0, whole: true };
    let mut wasted = 0;
    // What stands before is a segment's header, but entries may have moved.
    let mut at = 0;
    let end = bytes.len().min(SEARCHED_MAX);
    ended.whole = end == bytes.len();
    while let Some(hit) = next_magic(bytes, at, end)? {
        at = hit + 1;
        let Some(entry) = header(bytes.get(hit, 128)?) else { continue };
        let stored = entry.stored_bytes();
        let payload_at = hit + u64::from(entry.kind.header_bytes());
        let stored = bytes.get_padded(payload_at, stored as usize)?;
        let Some(payload) = sound_payload(&entry, stored) else {
            ended.unsound += 1;
            ended.unsound_frames += u64::from(entry.kind == EntryKind::Frame);
            wasted += u64::from(entry.stored_bytes());
            if wasted > WASTE_MAX + 2 * bytes.len() {
                ended.whole = false;
                return Ok(ended);
            }
            continue;
        };
        let found = Found { entry: &entry, at: hit, payload };
        if take(&found).is_break() {
            ended.whole = false;
            return Ok(ended);
        }
        if found.is_in_place() {
            at = u64::from(entry.end());
        }
    }
    Ok(ended)
}

/// The offset of the next bytes that may begin an entry, in `from..end`.
fn next_magic(bytes: &mut Bytes, from: u64, end: u64) -> io::Result<Option<u64>> {
    let mut at = from;
    loop {
        let piece =
            bytes.get(at, STRIDE.min(usize::try_from(end.saturating_sub(at)).unwrap_or(0)))?;
        if let Some(hit) = memchr::memmem::find(piece, &ENTRY_MAGIC) {
            return Ok(Some(at + hit as u64));
        }
        if piece.len() < STRIDE {
            return Ok(None);
        }
        // The magic may lie across the border.
        at += (STRIDE - (ENTRY_MAGIC.len() - 1)) as u64;
    }
}

/// The header at the front of `bytes`, for whichever place it names.
pub(super) fn header(bytes: &[u8]) -> Option<Entry> {
    let word =
        |at: usize| bytes.get(at..)?.first_chunk::<4>().map(|word| u32::from_le_bytes(*word));
    let database = bytes.get(8..)?.first_chunk::<8>().map(|word| u64::from_le_bytes(*word))?;
    let place = Place { database, segment: word(16)? };
    let offset = word(24)?;
    Entry::parse(bytes, place, offset).ok().filter(|_| offset >= FIRST_ENTRY)
}

fn sound_payload<'a>(entry: &Entry, stored: &'a [u8]) -> Option<&'a [u8]> {
    let payload_bytes = entry.header.payload_bytes.get();
    let (payload, table) = stored.split_at_checked(payload_bytes as usize)?;
    let checks = PayloadChecks::new(payload_bytes, entry.header.payload_crc.get(), table).ok()?;
    checks.check(payload).ok().map(|()| payload)
}
