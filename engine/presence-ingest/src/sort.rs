//! A stable sort of rows by time, in bounded memory.
//!
//! # Invariants
//! - Rows of equal times leave in the order in which they came.
//! - Rows, keys and merge buffers together stay within the memory given, but at least one row is
//!   held; what exceeds it lives in nameless temporary files.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use crate::merge::{Merge, Run};

/// Bytes of a key beside each row in memory: time and arrival.
const KEY_BYTES: usize = 16;

/// Collects rows in any order.
#[derive(Debug)]
pub(crate) struct Sorter {
    record_bytes: usize,
    memory_bytes: usize,
    rows_max: usize,
    temp_dir: PathBuf,
    rows: Vec<u8>,
    keys: Vec<(i64, u32)>,
    spill: Option<Spill>,
}

#[derive(Debug)]
struct Spill {
    out: BufWriter<File>,
    at: u64,
    runs: Vec<Run>,
}

impl Sorter {
    /// A sorter of rows of `record_bytes` within `memory_bytes`.
    pub(crate) fn new(record_bytes: usize, memory_bytes: usize, temp_dir: PathBuf) -> Self {
        let rows_max = memory_bytes / (record_bytes + KEY_BYTES);
        Self {
            record_bytes,
            memory_bytes,
            rows_max: rows_max.clamp(1, u32::MAX as usize),
            temp_dir,
            rows: Vec::new(),
            keys: Vec::new(),
            spill: None,
        }
    }

    /// The buffer to append one row to; [`Sorter::keep`] or truncation must follow.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.rows.len() == self.rows.capacity() {
            // Doubling, but never past what the limit allows.
            let cap = self.rows_max * self.record_bytes;
            let more = self.rows.capacity().clamp(64 << 10, usize::MAX / 4);
            let more = more.min(cap.saturating_sub(self.rows.len())).max(self.record_bytes);
            self.rows.reserve_exact(more);
        }
        &mut self.rows
    }

    /// The row appended last has this time.
    pub(crate) fn keep(&mut self, time: i64) -> io::Result<()> {
        if self.keys.len() == self.keys.capacity() {
            let more = self.keys.capacity().max(4096).min(self.rows_max - self.keys.len()).max(1);
            self.keys.reserve_exact(more);
        }
        self.keys.push((time, self.keys.len() as u32));
        if self.keys.len() >= self.rows_max { self.spill() } else { Ok(()) }
    }

    /// All rows, sorted.
    pub(crate) fn finish(mut self) -> io::Result<Sorted> {
        if self.spill.is_none() {
            self.keys.sort_unstable();
            let (rows, keys, record_bytes) = (self.rows, self.keys, self.record_bytes);
            return Ok(Sorted::Memory { rows, keys, record_bytes, next: 0 });
        }
        if !self.keys.is_empty() {
            self.spill()?;
        }
        let Self { record_bytes, memory_bytes, temp_dir, rows, keys, spill, .. } = self;
        // The merge has the memory to itself.
        drop((rows, keys));
        let Some(spill) = spill else { return Ok(Sorted::empty(record_bytes)) };
        let file = spill.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        Merge::new(file, spill.runs, record_bytes, memory_bytes, &temp_dir).map(Sorted::Merge)
    }

    /// Writes the rows held as one sorted run.
    fn spill(&mut self) -> io::Result<()> {
        // Arrival is in the key, so an unstable sort is stable.
        self.keys.sort_unstable();
        if self.spill.is_none() {
            let file = tempfile::tempfile_in(&self.temp_dir)?;
            let out = BufWriter::with_capacity(256 << 10, file);
            self.spill = Some(Spill { out, at: 0, runs: Vec::new() });
        }
        let Some(spill) = &mut self.spill else { return Ok(()) };
        for &(_, arrival) in &self.keys {
            spill.out.write_all(row_at(&self.rows, arrival as usize, self.record_bytes))?;
        }
        let bytes = (self.keys.len() * self.record_bytes) as u64;
        spill.runs.push(Run { at: spill.at, bytes });
        spill.at += bytes;
        self.rows.clear();
        self.keys.clear();
        Ok(())
    }
}

/// Rows in the order of time.
#[derive(Debug)]
pub(crate) enum Sorted {
    /// They all fit in memory.
    Memory { rows: Vec<u8>, keys: Vec<(i64, u32)>, record_bytes: usize, next: usize },
    /// They are merged from runs.
    Merge(Merge),
}

impl Sorted {
    fn empty(record_bytes: usize) -> Self {
        Self::Memory { rows: Vec::new(), keys: Vec::new(), record_bytes, next: 0 }
    }

    /// Appends up to `records` rows to `out`; none at the end.
    pub(crate) fn fill(&mut self, out: &mut Vec<u8>, records: usize) -> io::Result<()> {
        match self {
            Self::Memory { rows, keys, record_bytes, next } => {
                let until = (*next + records).min(keys.len());
                for &(_, arrival) in keys.get(*next..until).unwrap_or_default() {
                    out.extend_from_slice(row_at(rows, arrival as usize, *record_bytes));
                }
                *next = until;
                Ok(())
            }
            Self::Merge(merge) => merge.fill(out, records),
        }
    }

    /// Bytes of all rows.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Memory { rows, .. } => rows.len() as u64,
            Self::Merge(merge) => merge.bytes(),
        }
    }
}

fn row_at(rows: &[u8], index: usize, record_bytes: usize) -> &[u8] {
    rows.get(index * record_bytes..(index + 1) * record_bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::row_time;
    use proptest::prelude::*;

    fn sort(times: &[i64], width: usize, memory: usize) -> (Vec<(i64, u32)>, bool) {
        let dir = std::env::temp_dir();
        let mut sorter = Sorter::new(width, memory, dir);
        for (arrival, &time) in times.iter().enumerate() {
            let rows = sorter.buffer();
            rows.extend_from_slice(&time.to_le_bytes());
            rows.extend_from_slice(&(arrival as u32).to_le_bytes());
            rows.resize(rows.len() + width - 12, 0x5A);
            sorter.keep(time).unwrap();
        }
        let mut sorted = sorter.finish().unwrap();
        let spilled = matches!(sorted, Sorted::Merge(_));
        assert_eq!(sorted.bytes(), (times.len() * width) as u64);
        let (mut got, mut out) = (Vec::new(), Vec::new());
        loop {
            out.clear();
            sorted.fill(&mut out, 7).unwrap();
            if out.is_empty() {
                return (got, spilled);
            }
            assert!(out.chunks_exact(width).map(row_time).is_sorted());
            got.extend(
                out.chunks_exact(width).map(|row| {
                    (row_time(row), u32::from_le_bytes(*row[8..].first_chunk().unwrap()))
                }),
            );
        }
    }

    fn stable(times: &[i64]) -> Vec<(i64, u32)> {
        let mut want: Vec<(i64, u32)> =
            times.iter().enumerate().map(|(arrival, &time)| (time, arrival as u32)).collect();
        want.sort_by_key(|&(time, _)| time);
        want
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn as_a_stable_sort(
            times in proptest::collection::vec(prop_oneof![-5_i64..5, any::<i64>()], 0..400),
            width in 12_usize..40,
            memory in 0_usize..4000,
        ) {
            prop_assert_eq!(sort(&times, width, memory).0, stable(&times));
        }
    }

    #[test]
    fn ends_of_the_range_and_many_runs() {
        let times: Vec<i64> = (0..5000_i64).map(|i| (i * 7919) % 101).collect();
        let (got, spilled) = sort(&times, 20, 0);
        assert!(spilled);
        assert_eq!(got, stable(&times));
        assert_eq!(
            sort(&[i64::MAX, i64::MIN, 0], 12, 1 << 20),
            (stable(&[i64::MAX, i64::MIN, 0]), false)
        );
        assert_eq!(sort(&[], 12, 0), (vec![], false));
    }
}
