//! The superblock: widths of addresses, and where the root group is.
//!
//! # Invariants
//! - It is looked for at 0, 512, 1,024 and on, as the format has it, within the first bytes.

use super::input::Input;
use crate::error::{EventError, EventErrorKind, Result};

pub(super) const SIGNATURE: &[u8; 8] = b"\x89HDF\r\n\x1a\n";
/// The last place where it is looked for.
const PLACE_MAX: usize = 32 << 10;
/// Bytes of a superblock, at most.
const BYTES: usize = 128;
/// A superblock lies within so many bytes.
pub(super) const REACH: usize = PLACE_MAX + BYTES;

/// The places where a superblock may lie.
fn places() -> impl Iterator<Item = usize> {
    std::iter::once(0).chain((9..).map(|bit| 1 << bit)).take_while(|&place| place <= PLACE_MAX)
}

/// Where the superblock begins in the first bytes of a file.
pub(crate) fn find(head: &[u8]) -> Option<usize> {
    places().find(|&place| head.get(place..).is_some_and(|rest| rest.starts_with(SIGNATURE)))
}

/// What a superblock says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Superblock {
    /// The header of the root group.
    pub(super) root: u64,
    /// Where the file ends, from its first byte.
    pub(super) end: u64,
}

/// Reads the superblock, and tells `input` the widths.
pub(super) fn read(input: &mut Input) -> Result<Superblock> {
    let head_bytes = input.total().min(PLACE_MAX as u64 + 8);
    let head = input.bytes(0, head_bytes)?;
    let Some(place) = find(&head) else {
        return Err(EventError::new(EventErrorKind::UnknownFormat, 0, "is not HDF5"));
    };
    let at = place as u64;
    let bytes = input.bytes(at, 128.min(input.total() - at))?;
    let short = || {
        let what = "an HDF5 file that ends within its superblock";
        EventError::new(EventErrorKind::Truncated, at, what)
    };
    let version = *bytes.get(8).ok_or_else(short)?;
    let widths = match version {
        0 | 1 => bytes.get(13..15),
        2 | 3 => bytes.get(9..11),
        _ => return Err(input.unsupported(at, &format!("superblock of version {version}"))),
    };
    let Some(&[address_bytes, length_bytes]) = widths else { return Err(short()) };
    if !matches!(address_bytes, 2 | 4 | 8) || !matches!(length_bytes, 2 | 4 | 8) {
        return Err(input.corrupt(at, "widths of addresses that are none"));
    }
    (input.address_bytes, input.length_bytes) = (address_bytes.into(), length_bytes.into());
    let mut fields = input.fields(&bytes);
    let parsed = match version {
        0 | 1 => (|| {
            fields.skip(24 + if version == 1 { 4 } else { 0 })?;
            let (_base, _free, end) = (fields.address()?, fields.address()?, fields.address()?);
            let (_driver, _name) = (fields.address()?, fields.address()?);
            Some((end, fields.address()?))
        })(),
        _ => {
            let covered = 12 + 4 * usize::from(address_bytes);
            if bytes.len() < covered + 4 {
                return Err(short());
            }
            input.check(at, &bytes, covered)?;
            (|| {
                fields.skip(12)?;
                let (_base, _extension) = (fields.address()?, fields.address()?);
                Some((fields.address()?, fields.address()?))
            })()
        }
    };
    let (end, root) = parsed.ok_or_else(short)?;
    // Addresses are counted from the superblock, wherever a block before it pushed it.
    input.base = at;
    let (Some(end), Some(root)) = (end, root) else {
        return Err(input.corrupt(0, "a superblock without a root group"));
    };
    Ok(Superblock { root, end })
}

/// Where a file ends, as its superblock says, of which the first bytes are in two pieces.
pub(super) fn end(held: &[u8], more: &[u8]) -> Option<u64> {
    let head = match held.len() {
        0 => more.get(..REACH).unwrap_or(more).to_vec(),
        bytes => {
            let missing = REACH.saturating_sub(bytes).min(more.len());
            [held, more.get(..missing)?].concat()
        }
    };
    let place = find(&head)?;
    let block = head.get(place..)?.iter().take(BYTES).copied().collect::<Vec<_>>();
    // Not before what tells it, so that it is the same however the bytes are cut.
    let least = (place + BYTES) as u64;
    read(&mut Input::new(Box::new(block))).ok().map(|superblock| superblock.end.max(least))
}
