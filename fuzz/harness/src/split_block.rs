//! One split block, made from choices, decoded as the specification says, word by word, and by the
//! codec: both must agree, whatever the modes, widths and places.

use presence_format::{Compression, DType, codec};

use crate::input::Input;
use crate::packed_bits::PackedBits;

/// Most near and raw bytes that are taken from the input; a pattern stands for the others.
const GIVEN_BYTES_MAX: usize = 64;

/// What a block says, and how many words of how many bytes it has.
struct Block {
    bytes: usize,
    count: usize,
    mode: u8,
    width: usize,
    base: u64,
    start: u64,
    packed: Vec<u8>,
    far: Option<Box<Far>>,
}

/// Which words are far, told by a list or by a bitmap, and the block of what they are.
struct Far {
    is_list: bool,
    places: Vec<u16>,
    block: Block,
}

impl Block {
    /// A block of `count` words, in which far words may be `deeper` blocks deep.
    fn new(input: &mut Input<'_>, bytes: usize, count: usize, deeper: usize) -> Self {
        let mode = input.u8() % 3;
        let width = input.below(bytes * 8 + 1);
        let (base, start) = (input.u64(), input.u64());
        let packed_bytes = if mode == 0 { count * bytes } else { (count * width).div_ceil(8) };
        let given = (0..packed_bytes.min(GIVEN_BYTES_MAX)).map(|_| input.u8()).collect::<Vec<_>>();
        let packed = given.into_iter().chain(std::iter::repeat(0x5a)).take(packed_bytes).collect();
        let mut far = None;
        if mode != 0 && width < bytes * 8 && deeper > 0 && input.bool() {
            let (is_list, every, first) = (input.bool(), 1 + input.below(70), input.below(count));
            let places: Vec<u16> = (first..count).step_by(every).map(|at| at as u16).collect();
            let block = Self::new(input, bytes, places.len(), deeper - 1);
            far = Some(Box::new(Far { is_list, places, block }));
        }
        Self { bytes, count, mode, width, base, start, packed, far }
    }

    fn store(&self, out: &mut Vec<u8>) {
        let places = match &self.far {
            Some(far) => 1 + u8::from(far.is_list),
            None => 0,
        };
        out.push(self.mode | places << 2);
        if self.mode > 0 {
            out.push(self.width as u8);
            out.extend_from_slice(&self.base.to_le_bytes()[..self.bytes]);
        }
        if self.mode == 2 {
            out.extend_from_slice(&self.start.to_le_bytes()[..self.bytes]);
        }
        out.extend_from_slice(&self.packed);
        let Some(far) = &self.far else { return };
        out.extend_from_slice(&(far.places.len() as u16).to_le_bytes());
        if far.is_list {
            far.places.iter().for_each(|place| out.extend_from_slice(&place.to_le_bytes()));
        } else {
            let mut bitmap = vec![0; self.count.div_ceil(8)];
            far.places.iter().for_each(|place| bitmap[usize::from(place / 8)] |= 1 << (place % 8));
            out.extend_from_slice(&bitmap);
        }
        far.block.store(out);
    }

    /// The words, by the rules of the specification; only their low bytes count.
    fn words(&self) -> Vec<u64> {
        let stored = PackedBits { bytes: self.bytes, count: self.count, stored: &self.packed };
        if self.mode == 0 {
            return stored.raw_words();
        }
        let near = stored.words(self.width).map(|word| word.wrapping_add(self.base));
        let mut words: Vec<u64> = near.collect();
        if let Some(far) = &self.far {
            for (place, word) in far.places.iter().zip(far.block.words()) {
                let near = &mut words[usize::from(*place)];
                *near = near.wrapping_add(word << self.width);
            }
        }
        if self.mode == 2 {
            let mut last = self.start;
            for word in &mut words {
                last = last.wrapping_add(*word);
                *word = last;
            }
        }
        words
    }
}

pub(crate) fn split_block(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let dtype = input.pick(&DType::ALL);
    // Whole runs have another layout of bits.
    let count = if input.bool() { 1024 } else { 1 + input.below(1024) };
    let deeper = input.below(3);
    let block = Block::new(&mut input, dtype.bytes(), count, deeper);
    let mut stored = Vec::new();
    block.store(&mut stored);
    let mut raw = vec![0; count * dtype.bytes()];
    codec::decode(Compression::Split, dtype, 1, &stored, &mut raw).unwrap();
    let words = block.words();
    let want = words.iter().flat_map(|word| word.to_le_bytes().into_iter().take(dtype.bytes()));
    assert!(raw == want.collect::<Vec<u8>>(), "a split block of {count} {dtype:?}");
}
