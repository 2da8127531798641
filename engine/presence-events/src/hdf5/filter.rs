//! What chunks were packed with, undone.
//!
//! # Invariants
//! - No step gives more bytes than the chunk has, and a checksum.
//! - A filter that is not known is named, with its number.

use super::blosc;
use super::ecf;
use super::input::Fields;
use super::lzf;

/// What a checksum adds.
const SUM_BYTES: usize = 4;
const FILTERS_MAX: u8 = 32;

/// One step of packing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) id: u16,
    values: Vec<u32>,
}

/// Why a chunk could not be unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    Unknown(String),
    Corrupt(&'static str),
}

impl From<&'static str> for Fault {
    fn from(what: &'static str) -> Self {
        Self::Corrupt(what)
    }
}

/// The filters of a message.
pub(super) fn parse(data: &[u8]) -> Option<Vec<Filter>> {
    let mut fields = Fields::plain(data);
    let (version, count) = (fields.u8()?, fields.u8()?);
    if version == 1 {
        fields.skip(6)?;
    }
    if !matches!(version, 1 | 2) || count > FILTERS_MAX {
        return None;
    }
    (0..count).map(|_| one(&mut fields, version)).collect()
}

fn one(fields: &mut Fields<'_>, version: u8) -> Option<Filter> {
    let id = fields.u16()?;
    let named = version == 1 || id >= 256;
    let name_bytes = if named { fields.u16()? } else { 0 };
    fields.skip(2)?;
    let count = fields.u16()?;
    let padded = if version == 1 { name_bytes.checked_next_multiple_of(8)? } else { name_bytes };
    fields.skip(padded.into())?;
    let values = (0..count).map(|_| fields.u32()).collect::<Option<Vec<_>>>()?;
    if version == 1 && count % 2 == 1 {
        fields.skip(4)?;
    }
    Some(Filter { id, values })
}

/// The name of a filter that files of events are known to have.
fn name(id: u16) -> &'static str {
    match id {
        4 => "szip",
        5 => "nbit",
        6 => "scale-offset",
        307 => "bzip2",
        32_003 => "snappy",
        32_008 => "bitshuffle",
        32_013 => "zfp",
        32_026 => "Blosc2",
        _ => "unknown",
    }
}

/// Whether a filter is known, by its number.
pub(super) fn check(filters: &[Filter]) -> Result<(), Fault> {
    let known = [1, 2, 3, 32_000, 32_001, 32_004, 32_015, ecf::FILTER];
    match filters.iter().find(|filter| !known.contains(&filter.id)) {
        None => Ok(()),
        Some(filter) => Err(Fault::Unknown(format!(
            "filter {} ({}); deflate, shuffle, fletcher32, LZF, Blosc, LZ4, Zstandard and ECF are \
             read",
            filter.id,
            name(filter.id)
        ))),
    }
}

/// A chunk of at most `most` bytes that was packed by `filters` but those in the mask; at least
/// `needed` bytes of it.
pub(super) fn undo(
    filters: &[Filter],
    mask: u32,
    packed: Vec<u8>,
    most: usize,
    needed: usize,
) -> Result<Vec<u8>, Fault> {
    let mut data = packed;
    let most = most + SUM_BYTES;
    for (index, filter) in filters.iter().enumerate().rev() {
        if mask.checked_shr(index as u32).unwrap_or(0) & 1 == 1 {
            continue;
        }
        let value = |at: usize| filter.values.get(at).copied().unwrap_or(0) as usize;
        data = match filter.id {
            1 => miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(&data, most)
                .map_err(|_| "a deflated chunk that does not unpack")?,
            2 => unshuffled(&data, value(0)),
            3 => without_sum(data)?,
            32_000 => lzf::decompress(&data, most)?,
            32_001 => blosc::decompress(&data, most)?,
            32_004 => lz4(&data, most)?,
            32_015 => zstd(&data, most)?,
            ecf::FILTER => ecf::decompress(&data, most)?,
            _ => {
                check(filters)?;
                return Err("a filter that is not known".into());
            }
        };
    }
    if data.len() < needed {
        return Err("a chunk that unpacks to less than it should".into());
    }
    Ok(data)
}

/// Bytes of elements put together again, each place of which lies apart.
pub(super) fn unshuffled(data: &[u8], element: usize) -> Vec<u8> {
    let count = data.len().checked_div(element).unwrap_or(0);
    if element <= 1 || count == 0 {
        return data.to_vec();
    }
    let (planes, rest) = data.split_at(count * element);
    let mut whole = vec![0; planes.len()];
    match element {
        2 => gather::<2>(planes, count, &mut whole),
        4 => gather::<4>(planes, count, &mut whole),
        8 => gather::<8>(planes, count, &mut whole),
        _ => {
            for (place, plane) in planes.chunks_exact(count).enumerate() {
                let into = whole.iter_mut().skip(place).step_by(element);
                into.zip(plane).for_each(|(into, &byte)| *into = byte);
            }
        }
    }
    whole.extend_from_slice(rest);
    whole
}

/// As above, element by element.
fn gather<const N: usize>(planes: &[u8], count: usize, whole: &mut [u8]) {
    let mut places: [std::slice::Iter<'_, u8>; N] = std::array::from_fn(|place| {
        planes.get(place * count..(place + 1) * count).unwrap_or_default().iter()
    });
    for element in whole.chunks_exact_mut(N) {
        for (byte, place) in element.iter_mut().zip(&mut places) {
            *byte = place.next().copied().unwrap_or(0);
        }
    }
}

fn without_sum(mut data: Vec<u8>) -> Result<Vec<u8>, Fault> {
    let Some((content, sum)) = data.split_last_chunk::<4>() else {
        return Err("a chunk without its checksum".into());
    };
    let (content_bytes, sum) = (content.len(), u32::from_le_bytes(*sum));
    if fletcher32(content) != sum {
        return Err("a chunk that does not match its checksum".into());
    }
    data.truncate(content_bytes);
    Ok(data)
}

/// The checksum of Fletcher over words of two bytes, the first of which is the higher.
pub(super) fn fletcher32(bytes: &[u8]) -> u32 {
    let (mut low, mut high) = (0_u64, 0_u64);
    for part in bytes.chunks(720) {
        for word in part.chunks(2) {
            let word = word.iter().fold(0, |word, &byte| word << 8 | u64::from(byte))
                << if word.len() == 1 { 8 } else { 0 };
            low += word;
            high += low;
        }
        (low, high) = (low % 65_535, high % 65_535);
    }
    // Zero and 65,535 are one number here; the file has the one that folding leaves.
    let fold = |sum: u64, any: bool| if sum == 0 && any { 65_535 } else { sum as u32 };
    let any = bytes.iter().any(|&byte| byte != 0);
    fold(high, any) << 16 | fold(low, any)
}

/// The filter LZ4: the size, that of blocks, then blocks, each behind its size; big endian.
fn lz4(data: &[u8], most: usize) -> Result<Vec<u8>, Fault> {
    const FAULT: &str = "an LZ4 chunk that does not unpack";
    let big = |bytes: &[u8]| bytes.iter().fold(0_u64, |all, &byte| all << 8 | u64::from(byte));
    let mut fields = Fields::plain(data);
    let total = fields.bytes(8).map(big).filter(|&total| total <= most as u64).ok_or(FAULT)?;
    let block = fields.bytes(4).map(big).filter(|&block| block > 0).ok_or(FAULT)?;
    let mut content = Vec::new();
    while (content.len() as u64) < total {
        let size = block.min(total - content.len() as u64) as usize;
        let packed = fields.bytes(4).map(big).ok_or(FAULT)?;
        let packed = fields.bytes(packed as usize).ok_or(FAULT)?;
        if packed.len() == size {
            content.extend_from_slice(packed);
        } else {
            let start = content.len();
            content.resize(start + size, 0);
            let place = content.get_mut(start..).unwrap_or_default();
            let held = lz4_flex::block::decompress_into(packed, place).map_err(|_| FAULT)?;
            if held != size {
                return Err(FAULT.into());
            }
        }
    }
    Ok(content)
}

fn zstd(data: &[u8], most: usize) -> Result<Vec<u8>, Fault> {
    const FAULT: &str = "a Zstandard chunk that does not unpack";
    let mut content = vec![0; most];
    let held = ruzstd::decoding::FrameDecoder::new().decode_all(data, &mut content);
    content.truncate(held.map_err(|_| FAULT)?);
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffled_elements_come_back() {
        for element in [1, 2, 3, 4, 8, 14] {
            let whole: Vec<u8> = (0..element * 10 + 1).map(|i| i as u8).collect();
            let mut planes = Vec::new();
            for place in 0..element {
                planes.extend((0..10).map(|i| whole[i * element + place]));
            }
            planes.push(whole[element * 10]);
            assert_eq!(unshuffled(&planes, element), whole);
        }
    }

    #[test]
    fn filters_that_are_not_known_are_named() {
        let filter = |id| Filter { id, values: Vec::new() };
        assert_eq!(check(&[filter(1), filter(ecf::FILTER)]), Ok(()));
        let Err(Fault::Unknown(what)) = check(&[filter(2), filter(32_026)]) else { panic!() };
        assert!(what.contains("32026") && what.contains("Blosc2"), "{what}");
    }
}
