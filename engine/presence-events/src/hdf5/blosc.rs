//! Blosc, version 1: blocks of shuffled elements, each packed by one of several codecs.
//!
//! # Invariants
//! - The output has the size that the header says, which the caller bounds.
//! - A codec that is not read (Snappy) is named.

use super::filter::{Fault, unshuffled};
use super::input::Fields;
use super::lzf::repeat;

const HEAD_BYTES: usize = 16;
/// Blocks are split by places only where elements are at most so wide, and parts at least so long.
const SPLIT_ELEMENT_MAX: usize = 16;
const SPLIT_BYTES_MIN: usize = 128;
const FAULT: &str = "a Blosc chunk that does not unpack";

/// What the header says.
#[derive(Debug, Clone, Copy)]
struct Head {
    flags: u8,
    element: usize,
    bytes: usize,
    block: usize,
}

impl Head {
    fn codec(self) -> u8 {
        self.flags >> 5
    }
}

/// What `packed` unpacks to, at most `most` bytes.
pub(super) fn decompress(packed: &[u8], most: usize) -> Result<Vec<u8>, Fault> {
    let mut fields = Fields::plain(packed);
    let parsed = (|| {
        let (_version, _codec) = (fields.u8()?, fields.u8()?);
        let (flags, element) = (fields.u8()?, fields.u8()?);
        let (bytes, block, packed) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let head = Head {
            flags,
            element: element.max(1).into(),
            bytes: bytes as usize,
            block: block as usize,
        };
        Some((head, packed as usize))
    })();
    let Some((head, packed_bytes)) = parsed else { return Err(FAULT.into()) };
    let packed = packed.get(..packed_bytes).ok_or(FAULT)?;
    if head.bytes > most || (head.block == 0 && head.bytes > 0) {
        return Err("a Blosc chunk of another size than it should have".into());
    }
    if head.flags & 2 != 0 {
        let content = packed.get(HEAD_BYTES..HEAD_BYTES + head.bytes).ok_or(FAULT)?;
        return Ok(content.to_vec());
    }
    let mut content = Vec::with_capacity(head.bytes);
    let mut scratch = Vec::new();
    while content.len() < head.bytes {
        let size = head.block.min(head.bytes - content.len());
        let start = fields.u32().ok_or(FAULT)? as usize;
        let block = packed.get(start..).ok_or(FAULT)?;
        scratch.clear();
        unpack_block(head, block, size, &mut scratch)?;
        if head.flags & 1 != 0 && head.element > 1 {
            content.extend(unshuffled(&scratch, head.element));
        } else if head.flags & 4 != 0 && size >= head.element {
            content.extend(bits_unshuffled(&scratch, head.element));
        } else {
            content.extend_from_slice(&scratch);
        }
    }
    Ok(content)
}

/// The parts of a block, one after the other.
fn unpack_block(head: Head, block: &[u8], size: usize, into: &mut Vec<u8>) -> Result<(), Fault> {
    let may_split = head.flags & 0x10 == 0
        && head.element <= SPLIT_ELEMENT_MAX
        && head.block / head.element >= SPLIT_BYTES_MIN
        && size == head.block;
    let parts = if may_split { head.element } else { 1 };
    let part_bytes = size / parts;
    let mut fields = Fields::plain(block);
    for _ in 0..parts {
        let packed = fields.u32().ok_or(FAULT)? as usize;
        let packed = fields.bytes(packed).ok_or(FAULT)?;
        if packed.len() == part_bytes {
            into.extend_from_slice(packed);
        } else {
            unpack_part(head.codec(), packed, part_bytes, into)?;
        }
    }
    if into.len() != size {
        return Err(FAULT.into());
    }
    Ok(())
}

fn unpack_part(codec: u8, packed: &[u8], bytes: usize, into: &mut Vec<u8>) -> Result<(), Fault> {
    let start = into.len();
    if codec == 0 {
        return blosclz(packed, start + bytes, into).ok_or(Fault::Corrupt(FAULT));
    }
    into.resize(start + bytes, 0);
    let place = into.get_mut(start..).unwrap_or_default();
    let held = match codec {
        1 => lz4_flex::block::decompress_into(packed, place).ok(),
        3 => zlib(packed, place),
        4 => ruzstd::decoding::FrameDecoder::new().decode_all(packed, place).ok(),
        2 => return Err(Fault::Unknown("Blosc with Snappy".to_owned())),
        _ => return Err(Fault::Unknown(format!("Blosc with codec {codec}"))),
    };
    if held != Some(bytes) {
        return Err(FAULT.into());
    }
    Ok(())
}

fn zlib(packed: &[u8], place: &mut [u8]) -> Option<usize> {
    let content = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(packed, place.len());
    let content = content.ok()?;
    place.get_mut(..content.len())?.copy_from_slice(&content);
    Some(content.len())
}

/// The codec of Blosc itself; `end` is where the output ends.
fn blosclz(packed: &[u8], end: usize, into: &mut Vec<u8>) -> Option<()> {
    const DISTANCE_MAX: usize = 8191;
    let begin = into.len();
    let mut rest = packed.iter();
    let mut control = usize::from(*rest.next()? & 31);
    loop {
        if control >= 32 {
            let mut length = (control >> 5) - 1;
            let mut next = || rest.next().map(|&byte| usize::from(byte));
            if length == 6 {
                loop {
                    let more = next()?;
                    length += more;
                    if more != 255 {
                        break;
                    }
                }
            }
            let (high, low) = (control & 31, next()?);
            let mut distance = (high << 8) + low + 1;
            if low == 255 && high == 31 {
                distance = (next()? << 8) + next()? + DISTANCE_MAX + 1;
            }
            if distance > into.len() - begin || into.len() + length + 3 > end {
                return None;
            }
            repeat(into, distance, length + 3)?;
        } else {
            let literals = rest.as_slice().get(..=control)?;
            if into.len() + literals.len() > end {
                return None;
            }
            into.extend_from_slice(literals);
            rest = rest.as_slice().get(control + 1..)?.iter();
        }
        match rest.next() {
            Some(&next) => control = usize::from(next),
            None => break,
        }
    }
    (into.len() == end).then_some(())
}

/// Bits of elements put together again, where their number is a multiple of eight.
fn bits_unshuffled(data: &[u8], element: usize) -> Vec<u8> {
    let count = data.len() / element;
    if !count.is_multiple_of(8) {
        return data.to_vec();
    }
    let mut whole = data.to_vec();
    whole.get_mut(..count * element).unwrap_or_default().fill(0);
    let row_bytes = (count / 8).max(1);
    for (row, bits) in data.chunks_exact(row_bytes).take(element * 8).enumerate() {
        for (group, &byte) in bits.iter().enumerate() {
            for bit in 0..8 {
                let at = (group * 8 + bit) * element + row / 8;
                if let Some(into) = whole.get_mut(at) {
                    *into |= (byte >> bit & 1) << (row % 8);
                }
            }
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_that_lie_apart_come_together() {
        // Two planes of eight elements of one byte: bit 0 of all, then bit 1, ...
        let mut planes = [0_u8; 8];
        planes[0] = 0b1010_1010;
        planes[7] = 0b0000_0001;
        assert_eq!(bits_unshuffled(&planes, 1), [0x80, 1, 0, 1, 0, 1, 0, 1]);
    }

    #[test]
    fn repeats_of_blosclz_reach_back_and_over_themselves() {
        let mut into = vec![9];
        // Three literals, then a match of three at distance 1, then one literal.
        assert_eq!(blosclz(&[2, 1, 2, 3, 0x20, 0, 0, 7], 8, &mut into), Some(()));
        assert_eq!(into, [9, 1, 2, 3, 3, 3, 3, 7]);
        assert_eq!(blosclz(&[0, 1, 0x20, 1], 5, &mut Vec::new()), None, "before the begin");
    }
}
