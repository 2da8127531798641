//! The pages at hand while a window lives: those in which its ends were found, and are read.
//!
//! # Invariants
//! - Only pages that had to be decoded are held: others cost nothing to find again.
//! - All windows of a database together hold no more than [`HELD_BYTES_MAX`]: beyond that a window
//!   holds nothing and asks the cache again.

use std::ops::RangeInclusive;

use super::cache::Pages;
use super::page::Page;
use super::view::Reader;
use crate::error::Result;
use crate::shim::Arc;

/// What windows may hold beside the budget of the cache.
pub(crate) const HELD_BYTES_MAX: usize = 4 << 20;

/// Pages of the last two pieces that were looked at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recent([Option<(usize, Page)>; 2]);

impl Recent {
    /// The page of a piece.
    pub(crate) fn page(&mut self, reader: &Reader<'_>, piece: usize) -> Result<Page> {
        if let Some(page) = find(&self.0, piece) {
            return Ok(page.clone());
        }
        let page = reader.page(piece)?;
        if page.decoded_bytes().is_some() {
            let [older, newer] = &mut self.0;
            *older = newer.replace((piece, page.clone()));
        }
        Ok(page)
    }
}

fn find(pages: &[Option<(usize, Page)>], piece: usize) -> Option<&Page> {
    pages.iter().flatten().find(|(of, _)| *of == piece).map(|(_, page)| page)
}

/// What one window holds.
#[derive(Debug, Default)]
pub(crate) struct Held(Option<Holding>);

#[derive(Debug)]
struct Holding {
    pages: [Option<(usize, Page)>; 2],
    bytes: usize,
    /// Whose bytes they are.
    of: Arc<Pages>,
}

impl Held {
    /// The recent pages that belong to `pieces`, where there is room for them.
    pub(crate) fn new(recent: &Recent, pieces: RangeInclusive<usize>, of: &Arc<Pages>) -> Self {
        Self::of(recent.0.each_ref().map(Option::as_ref), &pieces, of)
    }

    /// What a part of the window holds.
    pub(crate) fn part(&self, pieces: RangeInclusive<usize>) -> Self {
        match &self.0 {
            None => Self(None),
            Some(own) => Self::of(own.pages.each_ref().map(Option::as_ref), &pieces, &own.of),
        }
    }

    fn of(
        pages: [Option<&(usize, Page)>; 2],
        pieces: &RangeInclusive<usize>,
        of: &Arc<Pages>,
    ) -> Self {
        let pages = pages.map(|page| page.filter(|(piece, _)| pieces.contains(piece)));
        let sizes = pages.iter().flatten().filter_map(|(_, page)| page.decoded_bytes());
        let bytes = sizes.sum();
        if bytes == 0 || !of.hold(bytes) {
            return Self(None);
        }
        Self(Some(Holding { pages: pages.map(Option::<&_>::cloned), bytes, of: Arc::clone(of) }))
    }

    /// The page of a piece, if it is held.
    #[inline]
    pub(crate) fn page(&self, piece: usize) -> Option<&Page> {
        find(&self.0.as_ref()?.pages, piece)
    }
}

impl Clone for Held {
    fn clone(&self) -> Self {
        self.part(0..=usize::MAX)
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.of.release(self.bytes);
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use presence_format::{Compression, DType, Schema};

    use super::*;
    use crate::device::MemoryDevice;
    use crate::{Database, Level, Options};

    #[test]
    fn windows_hold_their_ends_and_give_them_back() {
        let options = Options {
            block_bytes: 256,
            background: false,
            cache_bytes: 0,
            map: false,
            ..Options::default()
        };
        let db = Database::create_on(Arc::new(MemoryDevice::new()), options).unwrap();
        let schema = Schema::single(DType::I64, &[]).unwrap();
        let schema = schema.with_compression(Compression::Packed);
        let stream = db.create_stream("a", schema).unwrap();
        let mut writer = stream.writer::<i64>().unwrap();
        (0..200).for_each(|index| writer.append(index, index).unwrap());
        db.flush(Level::Disk).unwrap();
        let pages = &db.core().pages;
        let all_is_free = || {
            let free = pages.hold(HELD_BYTES_MAX);
            if free {
                pages.release(HELD_BYTES_MAX);
            }
            free
        };
        let window = stream.window(5..100).unwrap();
        assert!(!all_is_free());
        let loads = pages.loads();
        let slices = window.slices().count() as u64;
        assert!(slices > 3);
        assert_eq!(pages.loads() - loads, slices - 2, "the first and the last are held");
        let parts: Vec<_> = window.by_count(9).unwrap().collect();
        let times = || window.by_time(0, 7).unwrap().map(|part| part.unwrap().1.len());
        assert_eq!((times().sum::<usize>(), parts.len()), (95, 11));
        drop((window.clone(), parts));
        assert!(!all_is_free());
        drop(window);
        assert!(all_is_free());

        assert!(pages.hold(HELD_BYTES_MAX) && !pages.hold(1));
        let beyond = stream.window(5..100).unwrap();
        assert_eq!(beyond.timestamps().unwrap(), (5..100).collect::<Vec<_>>());
        drop(beyond);
        pages.release(HELD_BYTES_MAX);
        assert!(all_is_free());
    }
}
