//! Keys, and the line on which predictors see them.
//!
//! # Invariants
//! - `from_place` undoes `place`: a key that has a place is the only one there.
//! - A key without a place is cached like any other; nothing is predicted from it.

use std::hash::Hash;

/// Where a key lies: at a position of a lane. Lanes are independent of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The sequence to which the key belongs: a file, a stream, a segment.
    pub lane: u64,
    /// Where in the lane. Neighbours differ by one.
    pub position: i64,
}

/// What values are asked for by.
///
/// Integers and pairs of unsigned integers (lane, position) are keys as they are. A key of another
/// kind is one with `impl Key for Mine {}`; without a place it is never predicted.
pub trait Key: Clone + Eq + Hash + Send + Sync + 'static {
    /// Where the key lies, if it lies on a line at all.
    fn place(&self) -> Option<Place> {
        None
    }

    /// The key at `place`, if there can be one.
    fn from_place(_place: Place) -> Option<Self> {
        None
    }
}

impl Key for String {}
impl Key for crate::shim::Arc<str> {}

macro_rules! integer_keys {
    ($($integer:ty),*) => {$(
        impl Key for $integer {
            #[inline]
            fn place(&self) -> Option<Place> {
                Some(Place { lane: 0, position: i64::try_from(*self).ok()? })
            }

            #[inline]
            fn from_place(place: Place) -> Option<Self> {
                Self::try_from(place.position).ok()
            }
        }
    )*};
}

integer_keys!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);

macro_rules! pair_keys {
    ($(($lane:ty, $position:ty)),*) => {$(
        impl Key for ($lane, $position) {
            #[inline]
            fn place(&self) -> Option<Place> {
                let position = i64::try_from(self.1).ok()?;
                Some(Place { lane: u64::from(self.0), position })
            }

            #[inline]
            fn from_place(place: Place) -> Option<Self> {
                let position = <$position>::try_from(place.position).ok()?;
                Some((<$lane>::try_from(place.lane).ok()?, position))
            }
        }
    )*};
}

pair_keys!((u16, u32), (u32, u32), (u32, u64), (u64, u32), (u64, u64), (u64, i64));

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    fn there_and_back<K: Key + std::fmt::Debug>(key: K) {
        assert_eq!(key.place().and_then(K::from_place), Some(key));
    }

    #[test]
    fn places_are_undone() {
        there_and_back(7_u8);
        there_and_back(-7_i64);
        there_and_back(i64::MIN);
        there_and_back((3_u32, 9_u64));
        there_and_back((u64::MAX, 0_u64));
        assert_eq!(u64::MAX.place(), None);
        assert_eq!("a".to_owned().place(), None);
        assert_eq!(u8::from_place(Place { lane: 0, position: -1 }), None);
        assert_eq!(<(u32, u32)>::from_place(Place { lane: 1 << 40, position: 0 }), None);
    }
}
