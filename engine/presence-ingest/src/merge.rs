//! The merge of sorted runs on disk.
//!
//! # Invariants
//! - Runs are numbered in the order of arrival, and ties go to the lower number: the merge is
//!   stable. Where there are more runs than can be merged at once, neighbours are merged first.
//! - Read buffers together stay within half of the memory given, but at least two runs are merged
//!   with one row each.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::rows::row_time;

/// Where a sorted run lies in its file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) at: u64,
    pub(crate) bytes: u64,
}

/// Least bytes of a run's read buffer that make reading worth the call.
const BUFFER_BYTES_MIN: usize = 64 << 10;
/// Most bytes of a run's read buffer: more gains nothing.
const BUFFER_BYTES_MAX: usize = 4 << 20;

/// Sorted runs, merged as they are read.
#[derive(Debug)]
pub(crate) struct Merge {
    file: File,
    record_bytes: usize,
    cursors: Vec<Cursor>,
    heads: BinaryHeap<Reverse<(i64, usize)>>,
    bytes: u64,
}

#[derive(Debug)]
struct Cursor {
    run: Run,
    buf: Vec<u8>,
    pos: usize,
    buf_bytes: usize,
}

impl Merge {
    /// Merges `runs` of `file`; rows have `record_bytes`. More runs than fit are merged to fewer
    /// in a second temporary file in `temp_dir`.
    pub(crate) fn new(
        mut file: File,
        mut runs: Vec<Run>,
        record_bytes: usize,
        memory_bytes: usize,
        temp_dir: &Path,
    ) -> io::Result<Self> {
        let fan_in = (memory_bytes / 2 / BUFFER_BYTES_MIN.max(record_bytes)).clamp(2, 1024);
        while runs.len() > fan_in {
            let out = tempfile::tempfile_in(temp_dir)?;
            let mut out = BufWriter::with_capacity(256 << 10, out);
            let (mut merged, mut at) = (Vec::new(), 0);
            for group in runs.chunks(fan_in) {
                let mut merge = Self::of(file, group, record_bytes, memory_bytes)?;
                let mut rows = Vec::new();
                loop {
                    rows.clear();
                    merge.fill(&mut rows, (64 << 10) / record_bytes + 1)?;
                    if rows.is_empty() {
                        break;
                    }
                    out.write_all(&rows)?;
                }
                merged.push(Run { at, bytes: merge.bytes });
                at += merge.bytes;
                file = merge.file;
            }
            file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
            runs = merged;
        }
        Self::of(file, &runs, record_bytes, memory_bytes)
    }

    fn of(file: File, runs: &[Run], record_bytes: usize, memory_bytes: usize) -> io::Result<Self> {
        let share = memory_bytes / 2 / runs.len().max(1);
        let buf_bytes = share.min(BUFFER_BYTES_MAX) / record_bytes * record_bytes;
        let buf_bytes = buf_bytes.max(record_bytes);
        let cursors =
            runs.iter().map(|&run| Cursor { run, buf: Vec::new(), pos: 0, buf_bytes }).collect();
        let bytes = runs.iter().map(|run| run.bytes).sum();
        let mut merge = Self { file, record_bytes, cursors, heads: BinaryHeap::new(), bytes };
        for (index, cursor) in merge.cursors.iter_mut().enumerate() {
            if let Some(time) = cursor.head(&mut merge.file, record_bytes)? {
                merge.heads.push(Reverse((time, index)));
            }
        }
        Ok(merge)
    }

    /// Bytes of all rows.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends up to `records` rows to `out`; none at the end.
    pub(crate) fn fill(&mut self, out: &mut Vec<u8>, records: usize) -> io::Result<()> {
        let mut left = records;
        while left > 0 {
            let Some(Reverse((_, index))) = self.heads.pop() else { return Ok(()) };
            let Some(cursor) = self.cursors.get_mut(index) else { continue };
            // Rows of this run go on until another run's head comes first.
            let next = self.heads.peek().map(|&Reverse(head)| head);
            loop {
                out.extend_from_slice(cursor.take(self.record_bytes));
                left -= 1;
                match cursor.head(&mut self.file, self.record_bytes)? {
                    None => break,
                    Some(time) if left == 0 || next.is_some_and(|next| next < (time, index)) => {
                        self.heads.push(Reverse((time, index)));
                        break;
                    }
                    Some(_) => {}
                }
            }
        }
        Ok(())
    }
}

impl Cursor {
    /// The time of the next row; reads more of the run where its buffer is empty.
    fn head(&mut self, file: &mut File, record_bytes: usize) -> io::Result<Option<i64>> {
        if self.pos == self.buf.len() {
            let len = self.run.bytes.min(self.buf_bytes as u64);
            if len == 0 {
                self.buf = Vec::new();
                self.pos = 0;
                return Ok(None);
            }
            self.buf.resize(len as usize, 0);
            file.seek(SeekFrom::Start(self.run.at))?;
            file.read_exact(&mut self.buf)?;
            self.pos = 0;
            self.run.at += len;
            self.run.bytes -= len;
        }
        let row = self.buf.get(self.pos..self.pos + record_bytes).unwrap_or_default();
        Ok(Some(row_time(row)))
    }

    /// The next row; [`Cursor::head`] has said that there is one.
    fn take(&mut self, record_bytes: usize) -> &[u8] {
        let row = self.buf.get(self.pos..self.pos + record_bytes).unwrap_or_default();
        self.pos += row.len();
        row
    }
}
