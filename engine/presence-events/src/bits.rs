//! Where the parts of a word lie, for readers and writers alike.
//!
//! # Invariants
//! - Each place is written here, and nowhere else.

/// Some bits of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bits {
    at: u32,
    max: u32,
}

impl Bits {
    /// `count` bits, fewer than 32, the lowest of which is bit `at`.
    pub(crate) const fn new(at: u32, count: u32) -> Self {
        Self { at, max: (1 << count) - 1 }
    }

    /// Their value in `word`.
    #[inline]
    pub(crate) const fn of(self, word: u32) -> u32 {
        word >> self.at & self.max
    }

    /// A word with `value` in them, which is at most [`Bits::max`].
    #[inline]
    pub(crate) const fn put(self, value: u32) -> u32 {
        value << self.at
    }

    /// The greatest value that they hold.
    pub(crate) const fn max(self) -> u32 {
        self.max
    }

    /// The first bit.
    pub(crate) const fn at(self) -> u32 {
        self.at
    }
}

/// EVT 2.0, and the upper half of EVT 2.1.
pub(crate) mod evt2 {
    use super::Bits;

    /// What the word is; of an event its polarity.
    pub(crate) const KIND: Bits = Bits::new(28, 4);
    /// Lower part of the time, in microseconds.
    pub(crate) const TIME: Bits = Bits::new(22, 6);
    pub(crate) const X: Bits = Bits::new(11, 11);
    pub(crate) const Y: Bits = Bits::new(0, 11);
    /// Of a time word: the upper part, whose unit is all of `TIME`.
    pub(crate) const TIME_HIGH: Bits = Bits::new(0, 28);
    /// Of a trigger.
    pub(crate) const CHANNEL: Bits = Bits::new(8, 5);
    pub(crate) const LEVEL: Bits = Bits::new(0, 1);

    /// Kinds that are no event.
    pub(crate) const KIND_TIME: u32 = 8;
    pub(crate) const KIND_TRIGGER: u32 = 10;
}

/// DAT: the second half of an event.
pub(crate) mod dat {
    use super::Bits;

    /// Version 2.
    pub(crate) const X: Bits = Bits::new(0, 14);
    pub(crate) const Y: Bits = Bits::new(14, 14);
    pub(crate) const P: Bits = Bits::new(28, 4);

    /// Version 1.
    pub(crate) const Y_OF_1: Bits = Bits::new(9, 8);
    pub(crate) const P_OF_1: Bits = Bits::new(17, 1);

    /// Of a trigger.
    pub(crate) const CHANNEL: Bits = Bits::new(8, 5);
    pub(crate) const LEVEL: Bits = Bits::new(0, 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back_and_do_not_overlap() {
        for parts in [
            &[evt2::KIND, evt2::TIME, evt2::X, evt2::Y][..],
            &[evt2::KIND, evt2::TIME_HIGH],
            &[evt2::KIND, evt2::TIME, evt2::CHANNEL, evt2::LEVEL],
            &[dat::X, dat::Y, dat::P],
            &[dat::Y_OF_1, dat::P_OF_1],
        ] {
            let mut seen = 0;
            for part in parts {
                let ones = part.put(part.max());
                assert_eq!((seen & ones, part.of(ones), part.of(!ones)), (0, part.max(), 0));
                seen |= ones;
            }
        }
    }
}
