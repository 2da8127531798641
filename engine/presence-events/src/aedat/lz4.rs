//! LZ4 frames: the container around LZ4 blocks, with its checks.
//!
//! # Invariants
//! - The output is bounded by the caller, and grows block by block.
//! - Checksums of header, blocks and content are compared where the frame has them.

use lz4_flex::block::{compress as compress_block, decompress_into, decompress_into_with_dict};

const MAGIC: u32 = 0x184D_2204;
/// How far back a block may refer to the one before.
const WINDOW_BYTES: usize = 64 << 10;
const BLOCK_BYTES: usize = 64 << 10;
/// Version 1, independent blocks, a checksum of the content; blocks of 64 KiB.
const WRITTEN_FLAGS: [u8; 2] = [0b0110_0100, 0b0100_0000];

/// The content of a frame of at most `bytes_max`, or what is wrong with it. The buffer is kept by
/// the caller, so that its memory is filled with zeros once and not for every frame.
pub(super) fn decompress<'a>(
    frame: &[u8],
    bytes_max: usize,
    buffer: &'a mut Vec<u8>,
) -> Result<&'a [u8], &'static str> {
    let mut input = Input(frame);
    if input.u32()? != MAGIC {
        return Err("no LZ4 frame");
    }
    let (flags, block) = (input.u8()?, input.u8()?);
    if flags >> 6 != 1 {
        return Err("an LZ4 frame of an unknown version");
    }
    let has = |bit: u8| flags >> bit & 1 == 1;
    let mut described = vec![flags, block];
    if has(3) {
        described.extend_from_slice(input.bytes(8)?);
    }
    if has(0) {
        return Err("an LZ4 frame that needs a dictionary");
    }
    if (xxh32(&described) >> 8) as u8 != input.u8()? {
        return Err("an LZ4 frame whose header does not match its checksum");
    }
    let block_bytes_max = match block >> 4 & 7 {
        size @ 4..=7 => 1_usize << (8 + 2 * size),
        _ => return Err("an LZ4 frame with an unknown size of blocks"),
    };
    let mut filled = 0;
    loop {
        let size = input.u32()?;
        if size == 0 {
            break;
        }
        let stored = input.bytes((size & 0x7FFF_FFFF) as usize)?;
        if has(4) && xxh32(stored) != input.u32()? {
            return Err("an LZ4 block that does not match its checksum");
        }
        let form = if size >> 31 == 1 { Form::Stored } else { Form::Packed(has(5)) };
        filled += append_block(buffer, filled, stored, block_bytes_max, form)?;
        if filled > bytes_max {
            return Err("an LZ4 frame with too much in it");
        }
    }
    let content = buffer.get(..filled).unwrap_or_default();
    if has(2) && xxh32(content) != input.u32()? {
        return Err("an LZ4 frame whose content does not match its checksum");
    }
    Ok(content)
}

/// How a block lies in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Stored,
    /// Packed; `true` where it does not refer to the blocks before it.
    Packed(bool),
}

/// Puts a block behind the first `start` bytes of the buffer; says how long it is.
fn append_block(
    buffer: &mut Vec<u8>,
    start: usize,
    stored: &[u8],
    block_bytes_max: usize,
    form: Form,
) -> Result<usize, &'static str> {
    const FAULT: &str = "an LZ4 block that does not decode";
    // No block grows more than 255-fold.
    let room = match form {
        Form::Stored => stored.len(),
        Form::Packed(_) => block_bytes_max.min(stored.len().saturating_mul(255)),
    };
    if buffer.len() < start + room {
        buffer.resize(start + room, 0);
    }
    let (before, rest) = buffer.split_at_mut(start);
    let place = rest.get_mut(..room).unwrap_or_default();
    let written = match form {
        Form::Stored => {
            place.copy_from_slice(stored);
            Ok(room)
        }
        Form::Packed(is_independent) if is_independent || before.is_empty() => {
            decompress_into(stored, place)
        }
        Form::Packed(_) => {
            let window = before.get(start.saturating_sub(WINDOW_BYTES)..).unwrap_or_default();
            decompress_into_with_dict(stored, place, window)
        }
    };
    written.map_err(|_| FAULT)
}

/// A frame with this content.
pub(crate) fn compress(content: &[u8]) -> Vec<u8> {
    let mut frame = MAGIC.to_le_bytes().to_vec();
    frame.extend(WRITTEN_FLAGS);
    frame.push((xxh32(&WRITTEN_FLAGS) >> 8) as u8);
    for block in content.chunks(BLOCK_BYTES) {
        let packed = compress_block(block);
        let (bytes, mark) =
            if packed.len() < block.len() { (packed.as_slice(), 0) } else { (block, 1 << 31) };
        frame.extend((bytes.len() as u32 | mark).to_le_bytes());
        frame.extend_from_slice(bytes);
    }
    frame.extend(0_u32.to_le_bytes());
    frame.extend(xxh32(content).to_le_bytes());
    frame
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], &'static str> {
        let (head, rest) = self.0.split_at_checked(count).ok_or("an LZ4 frame that is cut")?;
        self.0 = rest;
        Ok(head)
    }

    fn u8(&mut self) -> Result<u8, &'static str> {
        self.bytes(1).map(|bytes| bytes.iter().fold(0, |_, &byte| byte))
    }

    fn u32(&mut self) -> Result<u32, &'static str> {
        self.bytes(4).map(|bytes| bytes.try_into().map_or(0, u32::from_le_bytes))
    }
}

const PRIMES: [u32; 5] = [0x9E37_79B1, 0x85EB_CA77, 0xC2B2_AE3D, 0x27D4_EB2F, 0x1656_67B1];

/// The 32-bit xxHash with seed 0.
fn xxh32(bytes: &[u8]) -> u32 {
    let [p1, p2, p3, p4, p5] = PRIMES;
    let word = |bytes: &[u8]| bytes.try_into().map_or(0, u32::from_le_bytes);
    let mut stripes = bytes.chunks_exact(16);
    let mut hash = if bytes.len() < 16 {
        p5
    } else {
        let mut lanes = [p1.wrapping_add(p2), p2, 0, 0_u32.wrapping_sub(p1)];
        for stripe in &mut stripes {
            for (lane, four) in lanes.iter_mut().zip(stripe.chunks_exact(4)) {
                let mixed = lane.wrapping_add(word(four).wrapping_mul(p2));
                *lane = mixed.rotate_left(13).wrapping_mul(p1);
            }
        }
        let turned = lanes.iter().zip([1, 7, 12, 18]).map(|(lane, by)| lane.rotate_left(by));
        turned.fold(0, u32::wrapping_add)
    };
    hash = hash.wrapping_add(bytes.len() as u32);
    let mut fours = stripes.remainder().chunks_exact(4);
    for four in &mut fours {
        hash = hash.wrapping_add(word(four).wrapping_mul(p3)).rotate_left(17).wrapping_mul(p4);
    }
    for &byte in fours.remainder() {
        hash = hash.wrapping_add(u32::from(byte).wrapping_mul(p5));
        hash = hash.rotate_left(11).wrapping_mul(p1);
    }
    hash = (hash ^ hash >> 15).wrapping_mul(p2);
    hash = (hash ^ hash >> 13).wrapping_mul(p3);
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_has_its_published_values() {
        assert_eq!(xxh32(b""), 0x02CC_5D05);
        assert_eq!(xxh32(b"abc"), 0x32D1_53FF);
        assert_eq!(xxh32(b"Nobody inspects the spammish repetition"), 0xE229_3B2F);
    }

    #[test]
    fn frames_come_back_and_damage_is_found() {
        let content: Vec<u8> = (0..200_000_u32).map(|i| (i.wrapping_mul(i) >> 9) as u8).collect();
        let frame = compress(&content);
        let buffer = &mut Vec::new();
        assert_eq!(decompress(&frame, 1 << 20, buffer).unwrap(), content);
        assert!(decompress(&frame, content.len() - 1, buffer).is_err());
        for end in (0..frame.len()).step_by(977) {
            assert!(decompress(&frame[..end], 1 << 20, buffer).is_err());
        }
        for at in (0..frame.len()).step_by(991) {
            let mut bad = frame.clone();
            bad[at] ^= 1;
            assert!(decompress(&bad, 1 << 20, buffer).is_err(), "byte {at}");
        }
    }
}
