//! Blocks: contiguous columns of one stream.
//!
//! A decoded block is its timestamps, then each column, each beginning at a multiple of 64 bytes
//! and filled up with zeros. Stored with compression `none` the payload is just that; otherwise it
//! is a table of `columns + 1` lengths (`u32`), and the encoded arrays one behind the other.
//!
//! # Invariants
//! - The decoded length follows from schema and count alone; the header's copy must agree.
//! - Timestamps inside a block keep the stream's order.

mod runs;

use zerocopy::little_endian::{I64, U32};

pub use runs::{BlockRuns, RUN_RECORDS};

use crate::caps::{BLOCK_RECORDS_MAX, PAYLOAD_BYTES_MAX};
use crate::codec;
use crate::dtype::DType;
use crate::error::{FormatError, Result};
use crate::layout::layout;
use crate::plane::region;
use crate::schema::{Compression, Order, Schema};

layout! {
    /// The second half of a block's header.
    pub struct BlockHeader: 64 {
        /// Timestamp of the first record, in the stream's unit.
        0 first_ts: I64,
        /// Timestamp of the last record.
        8 last_ts: I64,
        /// Bytes of the decoded payload.
        16 decoded_bytes: U32,
        /// CRC-32 of the stream's schema as encoded: which columns these are.
        20 schema_crc: U32,
        /// A [`Compression`].
        24 compression: u8,
        /// In a block of presence the set ticks, [`WORDS_ONLY`] in a block of words; else zero.
        25 set_ticks: U32,
        /// Zero; other values are for later versions.
        29 reserved: [u8; 35],
    }
}

/// The `set_ticks` of a plane's block that holds single words, each for its own ticks, and does
/// not stand for its region.
pub const WORDS_ONLY: u32 = u32::MAX;

impl BlockHeader {
    pub(crate) fn check(&self, records: u32) -> Result<()> {
        if records == 0 {
            return Err(FormatError::corrupt(36, "a block without records"));
        }
        if self.decoded_bytes.get() > PAYLOAD_BYTES_MAX {
            return Err(FormatError::corrupt(80, "decoded payload over the cap"));
        }
        if self.first_ts.get() > self.last_ts.get() {
            return Err(FormatError::corrupt(64, "first timestamp after the last"));
        }
        Compression::from_code(self.compression).map(|_| ()).map_err(|error| error.at_base(88))
    }
}

/// One array of a block: the timestamps or a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lane {
    /// Element type.
    pub dtype: DType,
    /// Elements of one record.
    pub elements: usize,
    /// Bytes of one record's value.
    pub value_bytes: usize,
}

/// The arrays of a stream's blocks: timestamps first, then the columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockLayout {
    lanes: Vec<Lane>,
    schema_crc: u32,
    order: Order,
}

/// Arrays in a decoded block begin at multiples of this.
pub const LANE_ALIGN: usize = 64;

const fn align_lane(bytes: usize) -> usize {
    bytes.saturating_add(LANE_ALIGN - 1) & !(LANE_ALIGN - 1)
}

impl BlockLayout {
    /// The layout of blocks of `schema`.
    pub fn new(schema: &Schema) -> Self {
        let time = Lane { dtype: DType::I64, elements: 1, value_bytes: 8 };
        let columns = schema.columns().iter().map(|column| Lane {
            dtype: column.dtype(),
            elements: column.elements(),
            value_bytes: column.value_bytes(),
        });
        let mut bytes = Vec::new();
        schema.encode(&mut bytes);
        debug_assert_eq!(schema.plane().is_some(), schema.order() == Order::Any);
        Self {
            lanes: std::iter::once(time).chain(columns).collect(),
            schema_crc: crate::checksum::crc32(&bytes),
            order: schema.order(),
        }
    }

    /// Whether the blocks are of a plane: words of a presence track.
    pub const fn is_plane(&self) -> bool {
        matches!(self.order, Order::Any)
    }

    /// Whether a record at `next` may follow one at `last`.
    pub const fn allows(&self, last: i64, next: i64) -> bool {
        self.order.allows(last, next)
    }

    /// Checks that the timestamps, little-endian in `times`, keep the stream's order, the first of
    /// them behind `last` where there is one. O(records).
    ///
    /// # Errors
    /// `Corrupt`, with the first two that break it.
    pub fn check_order(&self, last: Option<i64>, times: &[u8]) -> Result<()> {
        let words = times.as_chunks::<8>().0;
        let front = last.zip(words.first().map(|word| i64::from_le_bytes(*word)));
        let pairs = || {
            words.array_windows().map(|[left, right]: &[[u8; 8]; 2]| {
                (i64::from_le_bytes(*left), i64::from_le_bytes(*right))
            })
        };
        let allows = |(left, right)| self.order.allows(left, right);
        // Every pair is looked at: several at once are faster than one by one up to the first.
        if front.is_none_or(allows) && pairs().fold(true, |sorted, pair| sorted & allows(pair)) {
            return Ok(());
        }
        let broken = front.into_iter().chain(pairs()).find(|pair| !allows(*pair));
        let (last, ts) = broken.unwrap_or_default();
        Err(FormatError::corrupt(0, format!("timestamp {ts} stands after {last}")))
    }

    /// Checks the timestamps at the front of a decoded block of `records` against its header and
    /// the stream's order. O(records).
    ///
    /// # Errors
    /// `Corrupt`.
    pub fn check_times(&self, block: &BlockHeader, records: usize, decoded: &[u8]) -> Result<()> {
        let times = decoded.get(..records.saturating_mul(8)).unwrap_or_default();
        let ts = |word: Option<&[u8; 8]>| word.map(|word| i64::from_le_bytes(*word));
        let (first, last) = (ts(times.first_chunk()), ts(times.last_chunk()));
        if (first, last) != (Some(block.first_ts.get()), Some(block.last_ts.get())) {
            let what = format!(
                "timestamps {first:?} to {last:?}, where the header says {} to {}",
                block.first_ts, block.last_ts
            );
            return Err(FormatError::corrupt(0, what));
        }
        self.check_order(None, times)
    }

    /// Timestamps, then each column.
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// CRC-32 of the schema's bytes.
    pub const fn schema_crc(&self) -> u32 {
        self.schema_crc
    }

    /// Bytes of one record.
    pub fn record_bytes(&self) -> usize {
        self.lanes.iter().map(|lane| lane.value_bytes).sum()
    }

    /// Where each lane of a decoded block of `records` lies: start and unpadded length.
    pub fn ranges(&self, records: usize) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        let mut start = 0_usize;
        self.lanes.iter().map(move |lane| {
            let range = start..start.saturating_add(lane.value_bytes.saturating_mul(records));
            start = align_lane(range.end);
            range
        })
    }

    /// Bytes of a decoded block of `records`: every lane with its padding.
    pub fn decoded_bytes(&self, records: usize) -> usize {
        self.ranges(records).last().map_or(0, |range| align_lane(range.end))
    }

    /// The most records whose decoded block keeps to `bytes` and the caps; at least one.
    pub fn records_within(&self, bytes: usize) -> usize {
        let padding = self.lanes.len() * LANE_ALIGN;
        let bytes = bytes.min(PAYLOAD_BYTES_MAX as usize).saturating_sub(padding);
        (bytes / self.record_bytes()).clamp(1, BLOCK_RECORDS_MAX as usize)
    }

    /// Encodes the unpadded lanes of a block of `records` with a codec; appends to `out`.
    /// `lanes` are in the order of [`BlockLayout::lanes`].
    pub fn encode(&self, compression: Compression, lanes: &[&[u8]], out: &mut Vec<u8>) {
        if let (Compression::Presence, [times, words]) = (compression, lanes) {
            return region::encode_records(times.as_chunks().0, words.as_chunks().0, out);
        }
        let table = out.len();
        out.resize(table + 4 * lanes.len(), 0);
        for (index, (lane, raw)) in self.lanes.iter().zip(lanes).enumerate() {
            let start = out.len();
            codec::encode(compression, lane.dtype, lane.elements, raw, out);
            let stored = (out.len() - start) as u32;
            if let Some(field) = out.get_mut(table + 4 * index..table + 4 * index + 4) {
                field.copy_from_slice(&stored.to_le_bytes());
            }
        }
    }

    /// What a block's header says as `set_ticks`, of a block with this payload: 0 but for planes.
    pub fn set_ticks(&self, compression: Compression, stored: &[u8]) -> u32 {
        if !self.is_plane() {
            return 0;
        }
        match compression {
            Compression::Presence => {
                region::Region::head(stored).map_or(0, |region| region.count())
            }
            _ => WORDS_ONLY,
        }
    }

    /// Decodes a stored payload of `records` into `out`, which has
    /// [`decoded_bytes`](Self::decoded_bytes) bytes and holds zeros.
    ///
    /// # Errors
    /// `Corrupt` where lengths contradict each other or a codec finds a fault.
    pub fn decode(
        &self,
        compression: Compression,
        records: usize,
        stored: &[u8],
        out: &mut [u8],
    ) -> Result<()> {
        if out.len() != self.decoded_bytes(records) {
            return Err(FormatError::corrupt(0, "decoded length differs from the schema's"));
        }
        if compression == Compression::None {
            if stored.len() != out.len() {
                return Err(FormatError::corrupt(0, "stored length differs from the schema's"));
            }
            out.copy_from_slice(stored);
            return Ok(());
        }
        if self.is_plane() != (compression == Compression::Presence) {
            return Err(FormatError::corrupt(0, "a compression that is not the stream's"));
        }
        if self.is_plane() {
            let (times, words) = out.split_at_mut(align_lane(8 * records));
            let words = words.get_mut(..8 * records).unwrap_or_default();
            let times = times.get_mut(..8 * records).unwrap_or_default();
            return region::decode_records(stored, times, words);
        }
        let (table, mut rest) = stored
            .split_at_checked(4 * self.lanes.len())
            .ok_or_else(|| FormatError::truncated(0, "payload ends inside its table"))?;
        let lengths = table.as_chunks::<4>().0;
        for ((lane, range), length) in self.lanes.iter().zip(self.ranges(records)).zip(lengths) {
            let length = u32::from_le_bytes(*length) as usize;
            let (bytes, later) = rest
                .split_at_checked(length)
                .ok_or_else(|| FormatError::corrupt(0, "lane beyond the payload"))?;
            rest = later;
            let raw = out
                .get_mut(range)
                .ok_or_else(|| FormatError::corrupt(0, "lane beyond the decoded block"))?;
            codec::decode(compression, lane.dtype, lane.elements, bytes, raw)?;
        }
        if rest.is_empty() {
            Ok(())
        } else {
            Err(FormatError::corrupt(0, "bytes behind the last lane"))
        }
    }
}
