//! What the questions ask of storage: bitmaps over ticks, a container of 65,536 ticks at a time.
//!
//! # Invariants
//! - Every tick of a class is in the observed bitmap too.
//! - What a bitmap answers never changes: it is a snapshot.

use super::kernels::Words;
use crate::error::Result;
use crate::shim::Arc;

/// Ticks of a container.
pub(crate) const CONTAINER_TICKS: i64 = 65_536;

/// What stands in a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fill {
    /// No tick is set; the words are untouched.
    Empty,
    /// Every tick is set; the words are untouched.
    Full,
    /// As the words say.
    Mixed,
}

/// One bitmap over ticks, as it was when a snapshot was taken.
pub(crate) trait Bitmap {
    /// How many ticks below `tick` are set. At most one block is read.
    fn rank(&self, tick: i64) -> Result<u64>;

    /// Number of the first container at or after `from` that has a set tick.
    fn next_container(&self, from: i64) -> Result<Option<i64>>;

    /// Number of the last container at or before `to` that has a set tick.
    fn previous_container(&self, to: i64) -> Result<Option<i64>>;

    /// Writes the words of a container, or tells that it is empty or full.
    fn container(&self, number: i64, words: &mut Words) -> Result<Fill>;

    /// Shows the words of a container to `read` where they lie, and tells `true`: for a mixed
    /// container that lies in memory as words. It is combined without being copied, then.
    fn shown(&self, _number: i64, _read: &mut dyn FnMut(&Words)) -> Result<bool> {
        Ok(false)
    }

    /// Writes the offsets of a container's set ticks, ascending, over what `offsets` held, and
    /// tells `true`: for a container that is stored so. Listing it costs nothing for the ticks
    /// that are not set, then.
    fn offsets(&self, _number: i64, _offsets: &mut Vec<u16>) -> Result<bool> {
        Ok(false)
    }
}

/// The bitmaps of a track.
pub(crate) trait Bitmaps {
    /// Its bitmaps' type.
    type Bitmap: Bitmap;

    /// The bitmap of a class, where it was ever seen.
    fn class(&self, class: u16) -> Option<&Self::Bitmap>;

    /// The bitmap of the ticks that were observed.
    fn observed(&self) -> &Self::Bitmap;

    /// The class of a name.
    fn named(&self, name: &str) -> Option<u16>;
}

macro_rules! bitmaps_behind {
    ($($pointer:ty),*) => {$(
        impl<L: Bitmaps> Bitmaps for $pointer {
            type Bitmap = L::Bitmap;

            fn class(&self, class: u16) -> Option<&Self::Bitmap> {
                (**self).class(class)
            }

            fn observed(&self) -> &Self::Bitmap {
                (**self).observed()
            }

            fn named(&self, name: &str) -> Option<u16> {
                (**self).named(name)
            }
        }
    )*};
}

bitmaps_behind!(&L, Arc<L>);
