//! A small mutator, for fuzzing without a fuzzer: what it makes is a function of its seed.

/// Mutates inputs.
#[derive(Debug, Clone)]
pub struct Mutator(u64);

impl Mutator {
    /// A mutator whose mutations `seed` determines.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// A few changes of `input`: bits, bytes, numbers, lengths, pieces of itself and of `other`.
    pub fn mutate(&mut self, input: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = input.to_vec();
        for _ in 0..1 + self.below(5) {
            let at = self.below(bytes.len());
            match self.below(10) {
                0 => bytes.truncate(at),
                1 => {
                    let count = 1 + self.below(70);
                    let byte = self.next() as u8;
                    bytes.splice(at..at, std::iter::repeat_n(byte, count));
                }
                2 => {
                    let end = (at + 1 + self.below(130)).min(bytes.len());
                    bytes.drain(at..end);
                }
                3 => {
                    let from = self.below(other.len());
                    let piece = &other[from..(from + 1 + self.below(200)).min(other.len())];
                    let end = (at + piece.len()).min(bytes.len());
                    bytes.splice(at..end, piece.iter().copied());
                }
                4 => {
                    let odd = [0, 1, 0x7f, 0x80, 0xff, 0xffff_ffff, 1 << 30, 1 << 31, u64::MAX];
                    let odd = odd[self.below(odd.len())].to_le_bytes();
                    let width = [1, 2, 4, 8][self.below(4)];
                    let end = (at + width).min(bytes.len());
                    bytes.splice(at..end, odd.into_iter().take(end - at));
                }
                5 => {
                    let by = 1 + self.below(8) as u8;
                    let byte = bytes.get_mut(at);
                    byte.into_iter().for_each(|byte| *byte = byte.wrapping_add(by));
                }
                6 => bytes.extend(std::iter::repeat_n(0, self.below(130))),
                _ => {
                    let bit = self.below(8);
                    bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << bit);
                }
            }
        }
        bytes
    }
}

/// A number that looks random and is a function of `x`.
pub(crate) fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
