//! One mini-block, made from choices, decoded as the specification says, word by word, and by the
//! codec: both must agree, whatever the mode, width, patches and exceptions.

use presence_format::{Compression, DType, codec};

use crate::input::Input;
use crate::packed_bits::PackedBits;

/// What a mini-block says, and how many words it has.
struct Fields {
    dtype: DType,
    count: usize,
    mode: u8,
    decimal: u8,
    width: usize,
    base: u64,
    start: u64,
    step: u64,
    packed: Vec<u8>,
    patches: Option<Vec<(u16, u64)>>,
    exceptions: Option<Vec<(u16, u64)>>,
}

impl Fields {
    fn new(input: &mut Input<'_>) -> Self {
        let dtype = input.pick(&DType::ALL);
        let bits = dtype.bytes() * 8;
        // Whole runs have another layout of bits.
        let count = if input.bool() { 1024 } else { 1 + input.below(1024) };
        let (mode, decimal) = (input.u8() % 4, input.u8() % 16);
        let width = input.below(bits + 1);
        let mask = u64::MAX >> (64 - bits);
        let list = |input: &mut Input<'_>| -> Option<Vec<(u16, u64)>> {
            let entries =
                (0..input.below(6)).map(|_| (input.below(count) as u16, input.u64() & mask));
            Some(entries.collect()).filter(|list: &Vec<_>| !list.is_empty())
        };
        let (patches, exceptions) = (list(input), list(input));
        let (base, start, step) = (input.u64() & mask, input.u64() & mask, input.u64() & mask);
        let packed_bytes =
            if mode == 0 { count * dtype.bytes() } else { (count * width).div_ceil(8) };
        let given = input.rest();
        let packed = given.iter().copied().chain(std::iter::repeat(0x5a)).take(packed_bytes);
        let packed = packed.collect();
        Self { dtype, count, mode, decimal, width, base, start, step, packed, patches, exceptions }
    }

    fn bytes(&self) -> usize {
        self.dtype.bytes()
    }

    fn truncate(&self, word: u64) -> u64 {
        word & (u64::MAX >> (64 - self.bytes() * 8))
    }

    fn stored(&self) -> Vec<u8> {
        if self.mode == 0 {
            return [&[0], &self.packed[..]].concat();
        }
        let patched = u8::from(self.patches.is_some()) << 2;
        let excepted = u8::from(self.exceptions.is_some()) << 3;
        let mut out = vec![self.mode | patched | excepted | self.decimal << 4, self.width as u8];
        let words = [self.base, self.start, self.step];
        for word in &words[..usize::from(self.mode)] {
            out.extend_from_slice(&word.to_le_bytes()[..self.bytes()]);
        }
        out.extend_from_slice(&self.packed);
        for list in [&self.patches, &self.exceptions].into_iter().flatten() {
            out.extend_from_slice(&(list.len() as u16).to_le_bytes());
            list.iter().for_each(|(position, _)| out.extend_from_slice(&position.to_le_bytes()));
            list.iter().for_each(|(_, word)| {
                out.extend_from_slice(&word.to_le_bytes()[..self.bytes()]);
            });
        }
        out
    }

    /// The words, by the five rules of the specification.
    fn words(&self) -> Vec<u64> {
        let stored = PackedBits { bytes: self.bytes(), count: self.count, stored: &self.packed };
        if self.mode == 0 {
            return stored.raw_words();
        }
        let mut packed: Vec<u64> = stored.words(self.width).collect();
        for (position, word) in self.patches.iter().flatten() {
            packed[usize::from(*position)] = *word;
        }
        let (mut word, mut delta) = (self.start, self.step);
        let words = packed.into_iter().map(|packed| {
            let value = packed.wrapping_add(self.base);
            match self.mode {
                1 => word = value,
                2 => word = word.wrapping_add(value),
                _ => {
                    delta = delta.wrapping_add(value);
                    word = word.wrapping_add(delta);
                }
            }
            self.decimal_value(self.truncate(word))
        });
        let mut words: Vec<u64> = words.collect();
        for (position, word) in self.exceptions.iter().flatten() {
            words[usize::from(*position)] = *word;
        }
        words
    }

    fn decimal_value(&self, word: u64) -> u64 {
        if self.decimal == 0 {
            return word;
        }
        let scale = 10_f64.powi(i32::from(self.decimal) - 1);
        match self.dtype {
            DType::F32 => u64::from(((f64::from(word as u32 as i32) / scale) as f32).to_bits()),
            _ => (word as i64 as f64 / scale).to_bits(),
        }
    }
}

pub(crate) fn mini_block(bytes: &[u8]) {
    let fields = Fields::new(&mut Input::new(bytes));
    let stored = fields.stored();
    let mut raw = vec![0; fields.count * fields.bytes()];
    let done = codec::decode(Compression::Packed, fields.dtype, 1, &stored, &mut raw);
    let for_floats = fields.decimal != 0 || fields.exceptions.is_some();
    if fields.mode != 0 && for_floats && !fields.dtype.is_float() {
        assert!(done.is_err(), "decimals of {:?}", fields.dtype);
        return;
    }
    done.unwrap();
    let words = fields.words();
    let want: Vec<u8> =
        words.iter().flat_map(|word| word.to_le_bytes().into_iter().take(fields.bytes())).collect();
    assert!(raw == want, "a mini-block of {} {:?}", fields.count, fields.dtype);
}
