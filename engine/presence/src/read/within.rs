//! Windows asked for values: slices without runs of records that hold none of them.
//!
//! # Invariants
//! - Every record of the window that is inside all ranges is in one slice, in order.
//! - A slice may hold other records too: who wants none of them looks at each.
//! - Nothing that was decoded for these slices alone goes into the page cache.

use std::ops::Range;

use super::page::Page;
use super::sieve::{self, BlockByRuns, Scratch, Words};
use super::view::{Position, Reader};
use super::window::{Slice, Window};
use crate::error::Result;

/// Values of a column that are looked for: `min` to `max`, both included. A bool is 0 or 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Within {
    /// The column's index. Its records have one whole number each.
    pub column: usize,
    /// The least value.
    pub min: i64,
    /// The greatest value.
    pub max: i64,
}

impl Window {
    /// The slices that hold every record which is inside all of `ranges`, and may hold others:
    /// blocks are looked at in runs of 1,024 records, and those without such a record left out.
    ///
    /// Blocks that are stored `packed` or `split` need not be decoded for that: first the bounds of
    /// a run are asked, then its columns are decoded in the order of the ranges, as long as one
    /// leaves something, and all columns only of what is left.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) where there is no such column, or its records are
    /// not whole numbers; the items as those of [`Window::slices`].
    pub fn slices_within(&self, ranges: &[Within]) -> Result<SlicesWithin<'_>> {
        let words: Result<Option<Vec<Words>>> =
            ranges.iter().map(|within| Words::new(within, self.columns())).collect();
        let words = words?;
        let next = if words.is_some() { self.start } else { self.end };
        let reader = self.reader();
        let compression = self.snapshot.stream.schema.compression();
        Ok(SlicesWithin {
            reader,
            by_runs: !ranges.is_empty() && reader.layout.has_runs(compression),
            tests: words.unwrap_or_default(),
            scratch: Scratch::new(),
            found: Vec::new().into_iter(),
            next,
            end: self.end,
            asked: 0,
        })
    }
}

/// The slices of [`Window::slices_within`].
#[derive(Debug)]
pub struct SlicesWithin<'a> {
    reader: Reader<'a>,
    /// Blocks on disk are decoded run by run, and none is fetched ahead whole. Where nothing is
    /// asked for, nothing can be left out.
    by_runs: bool,
    tests: Vec<Words>,
    scratch: Scratch,
    /// What was found in the piece before `next`.
    found: std::vec::IntoIter<Slice>,
    next: Position,
    end: Position,
    /// The piece up to which was asked ahead.
    asked: usize,
}

impl SlicesWithin<'_> {
    /// The slices of the piece at `next`, which goes on to the one behind it.
    fn advance(&mut self) -> Result<Vec<Slice>> {
        let Position { piece, index } = self.next;
        let records = self.reader.records(piece);
        let stop = if piece == self.end.piece { self.end.index } else { records };
        self.next = Position { piece: piece + 1, index: 0 };
        let reader = self.reader;
        if self.by_runs {
            let found = self.slices_by_runs(piece, index..stop, records);
            if let Some(slices) = found.map_err(|error| reader.tell_affected(error, piece))? {
                return Ok(slices);
            }
        }
        let page = reader.page(piece)?;
        if !self.by_runs {
            let end = self.end.piece + usize::from(self.end.index > 0);
            reader.read_ahead(&mut self.asked, piece + 1, end);
        }
        let found = sieve::sieve(&self.tests, index..stop, records, &mut &page)?;
        Ok(found.into_iter().map(|range| Slice { page: page.clone(), range }).collect())
    }

    /// The slices of a piece that is stored in runs and not at hand decoded; else `None`.
    fn slices_by_runs(
        &mut self,
        piece: usize,
        range: Range<usize>,
        records: usize,
    ) -> Result<Option<Vec<Slice>>> {
        let reader = self.reader;
        let layout = reader.layout;
        let Some(payload) = reader.payload(piece)? else { return Ok(None) };
        let block = BlockByRuns::new(&payload, layout, records, &self.tests, &mut self.scratch)?;
        let Some(mut block) = block else { return Ok(None) };
        let mut slices = Vec::new();
        let mut last = None;
        for range in sieve::sieve(&self.tests, range, records, &mut block)? {
            let (page, records, range) = block.page(&range, &self.tests)?;
            last = block.check_times(&page, records, last)?;
            slices.push(Slice { page: Page::apart(page, layout, records), range });
        }
        Ok(Some(slices))
    }
}

impl Iterator for SlicesWithin<'_> {
    type Item = Result<Slice>;

    fn next(&mut self) -> Option<Result<Slice>> {
        loop {
            if let Some(slice) = self.found.next() {
                return Some(Ok(slice));
            }
            if self.next >= self.end {
                return None;
            }
            match self.advance() {
                Ok(slices) => self.found = slices.into_iter(),
                Err(error) => {
                    self.next = self.end;
                    return Some(Err(error));
                }
            }
        }
    }
}

impl std::iter::FusedIterator for SlicesWithin<'_> {}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use presence_format::{Batch, Column, Compression, DType, Order, Schema};

    use super::*;
    use crate::device::MemoryDevice;
    use crate::shim::Arc;
    use crate::{Database, Level, Options};

    /// SplitMix64.
    struct Random(u64);

    impl Random {
        fn below(&mut self, end: u64) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            ((z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 32) % end
        }
    }

    type Row = (i64, u16, i32, bool, u64);

    /// A spot that moves, with noise here and there; the bool changes rarely.
    fn rows(random: &mut Random, count: u64) -> Vec<Row> {
        let row = |index: u64| {
            let spot = index / 40 % 1200 + random.below(20);
            let x = if random.below(3000) == 0 { random.below(1280) } else { spot };
            let deep = (x as i32 - 600) * 1_000_000 + random.below(9) as i32;
            (index as i64 / 3, x as u16, deep, index / 5000 % 2 == 1, u64::MAX - x)
        };
        (0..count).map(row).collect()
    }

    fn schema(compression: Compression) -> Schema {
        let dtypes = [DType::U16, DType::I32, DType::Bool, DType::U64, DType::F32];
        let column =
            |(at, dtype): (usize, DType)| Column::scalar(["x", "i", "b", "u", "f"][at], dtype);
        let columns = dtypes.into_iter().enumerate().map(column).collect();
        let schema = Schema::new(columns).unwrap().with_order(Order::NonDecreasing);
        schema.with_compression(compression)
    }

    fn batch(schema: &Schema, rows: &[Row]) -> Batch {
        let mut batch = Batch::new(schema);
        for &(t, x, i, b, u) in rows {
            batch.timestamps.push(t);
            let values = [&x.to_le_bytes()[..], &i.to_le_bytes(), &[u8::from(b) * 7]];
            let values = values.into_iter().map(<[u8]>::to_vec);
            let rest = [u.to_le_bytes().to_vec(), 1.5_f32.to_le_bytes().to_vec()];
            for (column, value) in batch.columns.iter_mut().zip(values.chain(rest)) {
                column.push_bytes(&value);
            }
        }
        batch
    }

    fn rows_of(slice: &Slice) -> Vec<Row> {
        let (x, i) = (slice.column::<u16>(0).unwrap(), slice.column::<i32>(1).unwrap());
        let (b, u) = (slice.column::<u8>(2).unwrap(), slice.column::<u64>(3).unwrap());
        let row = |(at, &t): (usize, &i64)| (t, x[at], i[at], b[at] != 0, u[at]);
        slice.timestamps().iter().enumerate().map(row).collect()
    }

    fn is_inside(row: &Row, ranges: &[Within]) -> bool {
        ranges.iter().all(|within| {
            let value = match within.column {
                0 => i128::from(row.1),
                1 => i128::from(row.2),
                2 => i128::from(row.3),
                _ => i128::from(row.4),
            };
            (i128::from(within.min)..=i128::from(within.max)).contains(&value)
        })
    }

    fn ranges(random: &mut Random) -> Vec<Within> {
        let one = |random: &mut Random| {
            let column = random.below(4) as usize;
            let (scale, from) = match column {
                0 => (1, random.below(1400) as i64 - 50),
                1 => (1_000_000, random.below(1400) as i64 - 700),
                2 => (1, random.below(4) as i64 - 1),
                _ => (i64::MAX / 100, random.below(100) as i64),
            };
            let min = from * scale;
            let max = match random.below(8) {
                0 => i64::MAX,
                1 => min - 1,
                _ => min.saturating_add((random.below(60) as i64).saturating_mul(scale)),
            };
            Within { column, min, max }
        };
        (0..random.below(4)).map(|_| one(random)).collect()
    }

    #[test]
    fn slices_within_hold_what_a_naive_look_finds() {
        let seed = 11;
        let mut random = Random(seed);
        let count = if cfg!(miri) { 1200 } else { 40_000 };
        let all = rows(&mut random, count);
        for compression in Compression::OF_RECORDS {
            let options =
                Options { block_bytes: 128 << 10, background: false, ..Options::default() };
            let db = Database::create_on(Arc::new(MemoryDevice::new()), options).unwrap();
            let stream = db.create_stream("s", schema(compression)).unwrap();
            let mut writer = stream.column_writer().unwrap();
            let (sealed, open) = all.split_at(all.len() * 3 / 4);
            writer.append_batch(&batch(stream.schema(), sealed)).unwrap();
            writer.flush(Level::Disk).unwrap();
            db.core().log().unwrap().seal(db.core()).unwrap();
            writer.append_batch(&batch(stream.schema(), open)).unwrap();
            let last = all.last().unwrap().0;
            for turn in 0..if cfg!(miri) { 3 } else { 60 } {
                let from = random.below(last as u64) as i64 - 5;
                let until = from + random.below(last as u64) as i64;
                let ranges = ranges(&mut random);
                let window = stream.window(from..until).unwrap();
                let slices = window.slices_within(&ranges).unwrap();
                let got: Vec<Row> = slices.flat_map(|slice| rows_of(&slice.unwrap())).collect();
                assert!(got.is_sorted_by_key(|row| row.0));
                let inside = |rows: &[Row]| -> Vec<Row> {
                    rows.iter().copied().filter(|row| is_inside(row, &ranges)).collect()
                };
                let want: Vec<Row> =
                    all.iter().copied().filter(|row| (from..until).contains(&row.0)).collect();
                let what = format!("seed {seed}, {compression:?}, turn {turn}: {ranges:?}");
                assert!(inside(&got) == inside(&want), "{what}");
                assert!(!ranges.is_empty() || got == want, "{what}");
                if turn % 20 == 19 {
                    // From now on some pages are in the cache.
                    assert_eq!(window.timestamps().unwrap().len(), want.len());
                }
            }
        }
    }

    #[test]
    fn runs_that_hold_nothing_are_left_out() {
        let count = if cfg!(miri) { 1500 } else { 40_000 };
        let all = rows(&mut Random(5), count);
        let db = Database::create_on(Arc::new(MemoryDevice::new()), Options::default()).unwrap();
        let stream = db.create_stream("s", schema(Compression::Packed)).unwrap();
        let mut writer = stream.column_writer().unwrap();
        writer.append_batch(&batch(stream.schema(), &all)).unwrap();
        writer.flush(Level::Disk).unwrap();
        db.core().log().unwrap().seal(db.core()).unwrap();
        let window = stream.window(..).unwrap();
        let read = |ranges: &[Within]| -> usize {
            window.slices_within(ranges).unwrap().map(|slice| slice.unwrap().len()).sum()
        };
        assert_eq!(read(&[]), all.len());
        let spot = read(&[Within { column: 0, min: 20, max: 29 }]);
        assert!((10..all.len() / 3).contains(&spot) || cfg!(miri), "{spot}");
        let on = read(&[Within { column: 2, min: 1, max: 1 }]);
        assert!(on < all.len() * 2 / 3, "{on}");
        assert_eq!(read(&[Within { column: 0, min: -9, max: -1 }]), 0);
        for column in [4, 5] {
            assert!(window.slices_within(&[Within { column, min: 0, max: 1 }]).is_err());
        }
    }
}
