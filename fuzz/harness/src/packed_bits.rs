//! The words of a block as the specification says, bit by bit: the slow twin of what is unpacked.

/// Words of some bytes each, packed or as they are.
pub(crate) struct PackedBits<'a> {
    /// Bytes of a word.
    pub(crate) bytes: usize,
    /// How many words there are.
    pub(crate) count: usize,
    pub(crate) stored: &'a [u8],
}

impl PackedBits<'_> {
    /// The words, as they are.
    pub(crate) fn raw_words(&self) -> Vec<u64> {
        let word = |bytes: &[u8]| {
            bytes.iter().rev().fold(0_u64, |word, byte| word << 8 | u64::from(*byte))
        };
        self.stored.chunks(self.bytes).map(word).collect()
    }

    /// The words, packed into `width` bits each.
    pub(crate) fn words(&self, width: usize) -> impl Iterator<Item = u64> {
        (0..self.count).map(move |index| self.word(width, index))
    }

    fn word(&self, width: usize, index: usize) -> u64 {
        let streams = 128 / self.bytes;
        let (stream, row) =
            if self.count == 1024 { (index % streams, index / streams) } else { (0, index) };
        (0..width).map(|bit| self.bit(stream, row * width + bit) << bit).sum()
    }

    /// Bit `index` of stream `stream`: of all bytes, or of every so many words of them.
    fn bit(&self, stream: usize, index: usize) -> u64 {
        let byte = if self.count == 1024 {
            let (bytes, streams) = (self.bytes, 128 / self.bytes);
            let (word, bit) = (index / (8 * bytes), index % (8 * bytes));
            (word * streams + stream) * bytes + bit / 8
        } else {
            index / 8
        };
        u64::from(self.stored[byte] >> (index % 8) & 1)
    }
}
