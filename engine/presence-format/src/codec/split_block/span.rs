//! Where a split block ends, and between which words all of it lies, without unpacking it.
//!
//! # Invariants
//! - Nothing is unpacked, and nothing allocated.
//! - Bounds hold for what [`super::decode`] makes of the same bytes, or are not given.

use super::{FAR_LEVELS, Fields, MODE_MASK, Mode, PLACES_SHIFT, Places, Word, bitpack};
use crate::codec::mini_block::span::Bounds;
use crate::error::Result;

/// Two integers: each word is, modulo `2^(8 * B)`, one between them, both inclusive.
type Range = Option<(i128, i128)>;

/// The bounds of the `count` words, unsigned, of the split block at the front of `stored`, and the
/// bytes that follow it. O(far words).
///
/// Words stored as they are or as differences have none.
///
/// # Errors
/// Truncated when `stored` ends early, corrupt when a field is out of its range.
pub(crate) fn span<T: Word<B, L>, const B: usize, const L: usize>(
    stored: &[u8],
    count: usize,
) -> Result<(Bounds, &[u8])> {
    let (range, rest) = span_level::<T, B, L>(stored, count, FAR_LEVELS)?;
    let bounds = range.and_then(|(least, greatest)| {
        let greatest = u64::try_from(greatest).ok()?;
        let fits = greatest <= T::mask(T::BITS).widen();
        Some((u64::try_from(least).ok()?, greatest)).filter(|_| fits)
    });
    Ok((bounds, rest))
}

/// As [`span`]; far words may be in so many levels below. Those are signed.
fn span_level<T: Word<B, L>, const B: usize, const L: usize>(
    stored: &[u8],
    count: usize,
    levels: usize,
) -> Result<(Range, &[u8])> {
    let mut fields = Fields::new(stored);
    let [head] = *fields.array::<1>()?;
    let mode = head & MODE_MASK;
    if mode == Mode::Raw as u8 {
        let words = fields.bytes(count.saturating_mul(B))?.as_chunks::<B>().0;
        let far = words.iter().filter(|_| levels < FAR_LEVELS);
        let far = far.map(|word| i128::from(T::from_le(*word).signed_key()));
        let range = far.fold(None, |range: Range, word| {
            let (least, greatest) = range.unwrap_or((word, word));
            Some((least.min(word), greatest.max(word)))
        });
        return Ok((range, fields.rest()));
    }
    let [width] = *fields.array::<1>()?;
    let width = u32::from(width);
    if width > T::BITS {
        return Err(fields.corrupt(format!("width of {width} bits exceeds the type's")));
    }
    let base = T::from_le(*fields.array()?);
    let base = match levels == FAR_LEVELS {
        true => i128::from(base.widen()),
        false => i128::from(base.signed_key()),
    };
    if mode != Mode::Values as u8 {
        fields.bytes(B)?;
    }
    fields.bytes(bitpack::packed_bytes(count, width))?;
    let near = (base, base + i128::from(T::mask(width).widen()));
    let mut range = Some(near).filter(|_| mode == Mode::Values as u8);
    let places = match head >> PLACES_SHIFT {
        0 => return Ok((range, fields.rest())),
        1 => Places::Bitmap,
        _ => Places::List,
    };
    let far = usize::from(u16::from_le_bytes(*fields.array()?));
    let Some(deeper) = levels.checked_sub(1).filter(|_| (1..=count).contains(&far)) else {
        return Err(fields.corrupt(format!("{far} far words of {count}")));
    };
    fields.bytes(places.bytes(count, far))?;
    let mut far_range = None;
    fields.nested(|stored| {
        let (range, rest) = span_level::<T, B, L>(stored, far, deeper)?;
        far_range = range;
        Ok(rest)
    })?;
    let step = 1_i128 << width;
    range = range.and_then(|near: (i128, i128)| {
        let (least, greatest): (i128, i128) = far_range?;
        let least = near.0.checked_add(least.checked_mul(step)?)?;
        let greatest = near.1.checked_add(greatest.checked_mul(step)?)?;
        Some((near.0.min(least), near.1.max(greatest)))
    });
    Ok((range, fields.rest()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::split_block::{Room, encode};

    proptest! {
        #[test]
        fn bounds_hold_and_the_end_is_found(
            base in any::<u16>(),
            near in prop::collection::vec(0_u16..40, 1..1024),
            far in prop::collection::vec((any::<prop::sample::Index>(), any::<u16>()), 0..40),
            shift in 0_u32..16,
        ) {
            let mut words: Vec<u16> = near.iter().map(|word| base.wrapping_add(*word)).collect();
            for (place, word) in &far {
                let place = place.index(words.len());
                words[place] = words[place].wrapping_add(word >> shift);
            }
            let mut stored = Vec::new();
            encode(&words, &mut Room::new(), &mut stored);
            let end = stored.len();
            stored.push(7);
            let (bounds, rest) = span::<u16, 2, 64>(&stored, words.len()).unwrap();
            prop_assert_eq!(rest, &stored[end..]);
            if let Some((least, greatest)) = bounds {
                let within = |word: &u16| (least..=greatest).contains(&u64::from(*word));
                prop_assert!(words.iter().all(within), "{:?} {}..={}", words, least, greatest);
            }
            for len in 0..end.min(40) {
                prop_assert!(span::<u16, 2, 64>(&stored[..len], words.len()).is_err());
            }
        }
    }

    #[test]
    fn words_near_each_other_with_some_far_below_and_above_are_bounded() {
        // In no order, so that differences are not shorter.
        let mut state = 1_u32;
        let mut words: Vec<u16> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            5000 + (state >> 16) as u16 % 31
        })
        .take(1024)
        .collect();
        (words[17], words[500], words[900]) = (4100, 6100, 6090);
        let mut stored = Vec::new();
        encode(&words, &mut Room::new(), &mut stored);
        assert_ne!(stored[0] >> PLACES_SHIFT, 0);
        let (bounds, _) = span::<u16, 2, 64>(&stored, words.len()).unwrap();
        let (least, greatest) = bounds.unwrap();
        assert!((3000..=4100).contains(&least), "{least}");
        assert!((6100..=7200).contains(&greatest), "{greatest}");
    }
}
