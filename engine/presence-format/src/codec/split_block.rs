//! One split block: up to 1024 words of which most are near each other, and the others far.
//!
//! | bytes | field | present |
//! |---|---|---|
//! | 1 | `head`: bits 0-1 `mode`, bits 2-3 `places`; the others are 0 | always |
//! | `n * B` | the words, in order | mode 0; nothing else follows, and `head` is 0 |
//! | 1 | `width`, 0 to `8 * B` | modes 1 and 2 |
//! | B | `base` | modes 1 and 2 |
//! | B | `start` | mode 2 |
//! | `ceil(n * width / 8)` | `near`, see [`super::bitpack`] | modes 1 and 2 |
//! | 2 | `k`, how many words are far, 1 to `n` | `places` not 0 |
//! | `ceil(n / 8)` | bit `i` is set where word `i` is far | `places` 1 |
//! | `2 * k` | which words are far, `u16` each, ascending | `places` 2 |
//! | | a split block of `k` words: `far` | `places` not 0 |
//!
//! `n` is the number of words and is known from outside; `B` is the bytes of a word. Everything is
//! little-endian, and all sums are modulo `2^(8 * B)`:
//!
//! 1. `q[i] = near[i] + base`; then, for the `j`-th far word `i`, `q[i] += far[j] * 2^width`;
//! 2. mode 1: `w[i] = q[i]`. Mode 2: `w[i] = w[i-1] + q[i]`, where `w[-1] = start`.
//!
//! A block of far words may itself have far words, and those may not. Rows of pixels that change
//! together, moments without events, and gaps have one thing in common: most differences are the
//! same or nearly so, a share of the others is small, and few are large. A patch of `packed` costs
//! two bytes and a whole word; a far word costs two bytes or one bit of every word, and the bits
//! that it needs.
//!
//! # Invariants
//! - At most `1 + n * B` bytes are written.
//! - Decoding allocates nothing, goes no deeper than three blocks, and checks every length and
//!   place before it is used.

pub(super) mod span;

use super::bitpack::{self, MINI_BLOCK};
use super::fields::Fields;
use super::split_plan::{self, Frame, Plan, Split};
use super::word::{self, Word};
use crate::error::Result;

/// Blocks of far words inside each other.
const FAR_LEVELS: usize = 2;
const MODE_MASK: u8 = 0b11;
const PLACES_SHIFT: u32 = 2;
/// Words that one word of a bitmap of places tells of.
const PLACES_WORD: usize = 64;

/// What is stored. The numbers are part of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Mode {
    /// The words themselves, not packed.
    Raw = 0,
    /// Words less a base.
    Values = 1,
    /// Differences of successive words, less a base.
    Deltas = 2,
}

/// How the places of far words are told. The numbers are part of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Places {
    Bitmap = 1,
    List = 2,
}

impl Places {
    /// Bytes that tell of `far` words of `words`.
    fn bytes(self, words: usize, far: usize) -> usize {
        match self {
            Self::Bitmap => words.div_ceil(8),
            Self::List => far * 2,
        }
    }

    fn shortest(words: usize, far: usize) -> Self {
        let (bitmap, list) = (Self::Bitmap, Self::List);
        if list.bytes(words, far) < bitmap.bytes(words, far) { list } else { bitmap }
    }
}

/// Room for far words, and the far words of those, kept between calls: made when they are met,
/// since to clear it takes as long as to decode a block.
pub(super) type FarRoom<T> = [Option<[T; MINI_BLOCK]>; FAR_LEVELS];

/// Room to encode the words of one block and of the far blocks inside it, kept between calls.
#[derive(Debug)]
pub(super) struct Room<T> {
    deltas: [T; MINI_BLOCK],
    /// The far words, and the far words of those.
    levels: [[T; MINI_BLOCK]; FAR_LEVELS],
}

impl<T> Room<T> {
    /// Room, of zeros.
    pub(super) fn new<const B: usize, const L: usize>() -> Self
    where
        T: Word<B, L>,
    {
        Self { deltas: [T::ZERO; MINI_BLOCK], levels: [[T::ZERO; MINI_BLOCK]; FAR_LEVELS] }
    }
}

/// Appends `values`, at most 1024 of them. O(values).
pub(super) fn encode<T: Word<B, L>, const B: usize, const L: usize>(
    values: &[T],
    room: &mut Room<T>,
    out: &mut Vec<u8>,
) {
    debug_assert!(values.len() <= MINI_BLOCK);
    let deltas = room.deltas.get_mut(..values.len()).unwrap_or_default();
    encode_level(values, deltas, &mut room.levels, out);
}

/// As [`encode`]; there is room in `deltas` for those of as many values, and in `levels` for the
/// far words, and the far words of those.
fn encode_level<T: Word<B, L>, const B: usize, const L: usize>(
    values: &[T],
    deltas: &mut [T],
    levels: &mut [[T; MINI_BLOCK]],
    out: &mut Vec<u8>,
) {
    let start = out.len();
    let plan = split_plan::plan(values, deltas, !levels.is_empty());
    let words = if plan.mode == Mode::Deltas { &*deltas } else { values };
    let mut bytes = usize::MAX;
    if let (Some(split), Some((far, deeper))) = (&plan.split, levels.split_first_mut()) {
        let places = Places::shortest(values.len(), split.far);
        encode_near(&plan, split.near, places as u8, words, out);
        out.extend_from_slice(&(split.far as u16).to_le_bytes());
        encode_places(split, places, words.len(), out);
        let far = gather_far(split, words, far);
        // They have no order that differences would show.
        encode_level(far, &mut [], deeper, out);
        bytes = out.len() - start;
    }
    let raw_bytes = 1 + values.len() * B;
    if bytes < raw_bytes.min(plan.whole_bytes) {
        return;
    }
    out.truncate(start);
    if plan.whole_bytes < raw_bytes {
        encode_near(&plan, plan.whole, 0, words, out);
    } else {
        out.push(Mode::Raw as u8);
        let start = out.len();
        out.resize(start + values.len() * B, 0);
        word::store(values, out.get_mut(start..).unwrap_or_default().as_chunks_mut::<B>().0);
    }
}

/// Appends the fields from the head to the near words.
fn encode_near<T: Word<B, L>, const B: usize, const L: usize>(
    plan: &Plan<T>,
    near: Frame<T>,
    places: u8,
    words: &[T],
    out: &mut Vec<u8>,
) {
    out.push(plan.mode as u8 | places << PLACES_SHIFT);
    out.push(near.width as u8);
    out.extend_from_slice(&near.base.to_le());
    if plan.mode == Mode::Deltas {
        out.extend_from_slice(&plan.start.to_le());
    }
    bitpack::pack(words, near.base, near.width, out);
}

/// Appends which of so many words are far. O(words).
fn encode_places<T: Word<B, L>, const B: usize, const L: usize>(
    split: &Split<T>,
    places: Places,
    words: usize,
    out: &mut Vec<u8>,
) {
    if places == Places::List {
        out.extend(split.far_places().flat_map(|place| (place as u16).to_le_bytes()));
        return;
    }
    let end = out.len() + places.bytes(words, split.far);
    out.extend(split.places.iter().flat_map(|places| places.to_le_bytes()));
    out.truncate(end);
}

/// What the near words lack of those of `words` that are far, at the front of `room`. O(words).
fn gather_far<'a, T: Word<B, L>, const B: usize, const L: usize>(
    split: &Split<T>,
    words: &[T],
    room: &'a mut [T; MINI_BLOCK],
) -> &'a [T] {
    for (slot, place) in room.iter_mut().zip(split.far_places()) {
        let word = words.get(place).copied().unwrap_or(T::ZERO);
        *slot = word.sub(split.near.base).signed_shr(split.near.width);
    }
    room.get(..split.far).unwrap_or_default()
}

/// Fills `values` from the front of `stored`. Returns the bytes that follow. O(values).
///
/// # Errors
/// Truncated when `stored` ends early, corrupt when a field is out of its range. Offsets are
/// relative to the block.
pub(super) fn decode<'a, T: Word<B, L>, const B: usize, const L: usize>(
    stored: &'a [u8],
    room: &mut FarRoom<T>,
    values: &mut [T],
) -> Result<&'a [u8]> {
    decode_level(stored, room, values)
}

/// As [`decode`]; in `levels` there is room for the far words, and the far words of those.
fn decode_level<'a, T: Word<B, L>, const B: usize, const L: usize>(
    stored: &'a [u8],
    levels: &mut [Option<[T; MINI_BLOCK]>],
    values: &mut [T],
) -> Result<&'a [u8]> {
    let mut fields = Fields::new(stored);
    let [head] = *fields.array::<1>()?;
    if head == Mode::Raw as u8 {
        let words = fields.bytes(values.len().saturating_mul(B))?;
        word::load(words.as_chunks::<B>().0, values);
        return Ok(fields.rest());
    }
    let is_delta = match head & MODE_MASK {
        mode if mode == Mode::Values as u8 => false,
        mode if mode == Mode::Deltas as u8 => true,
        _ => return Err(fields.corrupt(format!("unknown head {head:#x} of a split block"))),
    };
    let [width] = *fields.array::<1>()?;
    let width = u32::from(width);
    if width > T::BITS {
        return Err(fields.corrupt(format!("width of {width} bits exceeds the type's")));
    }
    let base = T::from_le(*fields.array()?);
    let start = if is_delta { T::from_le(*fields.array()?) } else { T::ZERO };
    let near = fields.bytes(bitpack::packed_bytes(values.len(), width))?;
    bitpack::unpack(near, base, width, values);
    match head >> PLACES_SHIFT {
        0 => {}
        1 => decode_far(&mut fields, Places::Bitmap, width, levels, values)?,
        2 => decode_far(&mut fields, Places::List, width, levels, values)?,
        _ => return Err(fields.corrupt(format!("unknown head {head:#x} of a split block"))),
    }
    if is_delta {
        word::running_sum(values, start);
    }
    Ok(fields.rest())
}

/// Adds to `values` the far words, and what comes before them. O(values).
fn decode_far<T: Word<B, L>, const B: usize, const L: usize>(
    fields: &mut Fields<'_>,
    places: Places,
    width: u32,
    levels: &mut [Option<[T; MINI_BLOCK]>],
    values: &mut [T],
) -> Result<()> {
    if width == T::BITS {
        return Err(fields.corrupt("far words behind near ones of full width"));
    }
    let Some((far, deeper)) = levels.split_first_mut() else {
        return Err(fields.corrupt("far words that are too deep"));
    };
    let far = far.get_or_insert_with(|| [T::ZERO; MINI_BLOCK]);
    let count = usize::from(u16::from_le_bytes(*fields.array()?));
    let far = far.get_mut(..count).filter(|far| (1..=values.len()).contains(&far.len()));
    let Some(far) = far else {
        return Err(fields.corrupt(format!("{count} far words of {}", values.len())));
    };
    let told = fields.bytes(places.bytes(values.len(), count))?;
    fields.nested(|stored| decode_level(stored, deeper, far))?;
    let is_told = match places {
        Places::Bitmap => add_by_bitmap(told, far, width, values),
        Places::List => add_by_list(told, far, width, values),
    };
    if is_told { Ok(()) } else { Err(fields.corrupt("the places of far words contradict them")) }
}

/// Adds each far word at its bit; false where there are more or fewer of either. O(values).
fn add_by_bitmap<T: Word<B, L>, const B: usize, const L: usize>(
    bitmap: &[u8],
    far: &[T],
    width: u32,
    values: &mut [T],
) -> bool {
    let mut far = far.iter();
    for (run, bytes) in values.chunks_mut(PLACES_WORD).zip(bitmap.chunks(PLACES_WORD / 8)) {
        let mut bits = match bytes.first_chunk::<8>() {
            Some(bytes) => u64::from_le_bytes(*bytes),
            None => bytes.iter().rfold(0, |bits, &byte| bits << 8 | u64::from(byte)),
        };
        while bits != 0 {
            let value = run.get_mut(bits.trailing_zeros() as usize);
            let (Some(value), Some(&far)) = (value, far.next()) else { return false };
            *value = value.add(far.shl(width));
            bits &= bits - 1;
        }
    }
    far.next().is_none()
}

/// Adds each far word at its place; false where a place is beyond, or they do not ascend. O(far).
fn add_by_list<T: Word<B, L>, const B: usize, const L: usize>(
    list: &[u8],
    far: &[T],
    width: u32,
    values: &mut [T],
) -> bool {
    let mut least = 0;
    for (&place, &far) in list.as_chunks::<2>().0.iter().zip(far) {
        let place = usize::from(u16::from_le_bytes(place));
        let value = values.get_mut(place);
        let (Some(value), true) = (value, place >= least) else { return false };
        *value = value.add(far.shl(width));
        least = place + 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::FormatErrorKind;

    fn decode_all<T: Word<B, L>, const B: usize, const L: usize>(
        stored: &[u8],
        count: usize,
    ) -> Result<Vec<T>> {
        let mut values = vec![T::ZERO; count];
        decode(stored, &mut FarRoom::default(), &mut values).map(|rest| {
            assert!(rest.is_empty());
            values
        })
    }

    fn encoded<T: Word<B, L>, const B: usize, const L: usize>(values: &[T]) -> Vec<u8> {
        let mut stored = Vec::new();
        encode(values, &mut Room::new(), &mut stored);
        assert!(stored.len() <= 1 + values.len() * B);
        assert_eq!(decode_all(&stored, values.len()), Ok(values.to_vec()));
        stored
    }

    #[test]
    fn the_table_of_the_docs_by_hand() {
        // Raw.
        assert_eq!(decode_all::<u16, 2, 64>(&[0, 1, 0, 2, 1], 2), Ok(vec![1, 0x102]));
        // Values: base 100, 4 bits each.
        assert_eq!(decode_all::<u8, 1, 128>(&[1, 4, 100, 0x21, 3], 3), Ok(vec![101, 102, 103]));
        // Deltas: base 10, start 100; near is 0, 1, 2.
        let deltas = [2, 2, 10, 100, 0b10_01_00];
        assert_eq!(decode_all::<u8, 1, 128>(&deltas, 3), Ok(vec![110, 121, 133]));
        // Values of no bits, base 7; by a bitmap, the second and third have 3 and 5 more.
        let by_bitmap = [0b101, 0, 7, 2, 0, 0b110, 0, 3, 5];
        assert_eq!(decode_all::<u8, 1, 128>(&by_bitmap, 3), Ok(vec![7, 10, 12]));
        // The same by a list, behind one bit: 3 and 5 count twice.
        let by_list = [0b1001, 1, 7, 0b001, 2, 0, 1, 0, 2, 0, 0, 3, 5];
        assert_eq!(decode_all::<u8, 1, 128>(&by_list, 3), Ok(vec![8, 13, 17]));
        // Deltas, base 1, start 0; a far block of values, base 10, of which the first is far, too.
        let nested = [0b110, 0, 1, 0, 2, 0, 0b101, 0b101, 0, 10, 1, 0, 0b1, 0, 200];
        assert_eq!(decode_all::<u8, 1, 128>(&nested, 3), Ok(vec![211, 212, 223]));
    }

    #[test]
    fn rows_of_pixels_take_a_bit_and_the_changes() {
        // Rows of one to four events, top to bottom.
        let mut rows = vec![];
        let mut row = 0_u16;
        for index in 0..1024_u16 {
            row += u16::from(index.wrapping_mul(40_503) >> 14 == 0) * (1 + index % 5);
            rows.push(row);
        }
        let stored = encoded(&rows);
        assert_eq!(stored[0] & MODE_MASK, Mode::Deltas as u8);
        assert_eq!((stored[0] >> PLACES_SHIFT, stored[1]), (Places::Bitmap as u8, 0));
        assert!(stored.len() < 128 + 1024 / 4 * 4 / 8, "{}", stored.len());
    }

    #[test]
    fn few_far_words_are_told_by_a_list() {
        let low = |i: u64| (i * i).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 57;
        let far = |i: u64| if i % 400 == 77 { 1 << 40 | i } else { low(i) };
        let numbers: Vec<u64> = (0..1024).map(far).collect();
        let stored = encoded(&numbers);
        assert_eq!(stored[0] >> PLACES_SHIFT, Places::List as u8);
        assert!(stored.len() <= 1024 * 7 / 8 + 50, "{}", stored.len());
    }

    #[test]
    fn every_field_is_checked() {
        let cases: [&[u8]; 12] = [
            &[3, 0, 0],
            &[0b100, 0, 0, 0],
            &[0b1101, 0, 0],
            &[0b10001, 0, 0],
            &[1, 9, 0, 0],
            // Behind full width, none, too many, too deep.
            &[0b101, 8, 0, 1, 2, 3, 1, 0, 1, 0, 5],
            &[0b101, 0, 0, 0, 0, 0, 0],
            &[0b101, 0, 0, 4, 0, 1, 0, 1, 2, 3, 4],
            &[0b101, 0, 0, 3, 0, 7, 0b101, 0, 0, 3, 0, 7, 0b101, 0, 0, 3, 0, 7, 0, 1, 2, 3],
            // Places: fewer than far words, one beyond, not ascending.
            &[0b101, 0, 0, 2, 0, 0b100, 0, 5, 6],
            &[0b1001, 0, 0, 1, 0, 3, 0, 0, 5],
            &[0b1001, 0, 0, 2, 0, 1, 0, 1, 0, 0, 5, 6],
        ];
        for stored in cases {
            let error = decode_all::<u8, 1, 128>(stored, 3).map_err(|error| error.kind);
            assert_eq!(error, Err(FormatErrorKind::Corrupt), "{stored:?}");
        }
        let more = [0b101, 0, 0, 2, 0, 0b111, 0, 5, 6];
        let beyond = [0b101, 0, 0, 2, 0, 0b1010, 0, 5, 6];
        for stored in [more, beyond] {
            assert!(decode_all::<u8, 1, 128>(&stored, 3).is_err(), "{stored:?}");
        }
    }

    #[test]
    fn extremes_wrap() {
        let extremes = [i64::MIN, i64::MAX, 0, -1, 1];
        for values in [
            vec![i64::MIN, i64::MAX, i64::MIN, 0, -1],
            vec![i64::MAX; 1024],
            (0..1024).map(|i| i64::MIN.wrapping_sub(i * i)).collect(),
            (0..1024).map(|i| if i % 9 == 0 { extremes[i % 5] } else { 7 }).collect(),
            (0..1024).map(|i| if i % 90 == 0 { extremes[i % 5] } else { i as i64 % 4 }).collect(),
        ] {
            let values: Vec<u64> = values.into_iter().map(|value| value as u64).collect();
            encoded(&values);
            encoded(&values.iter().map(|&value| value as u32).collect::<Vec<_>>());
        }
    }
}
