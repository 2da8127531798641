//! Catalogs: which streams a database has, and what is known of each at a point of the log.
//!
//! A segment begins with a catalog of every stream, so that it can be read alone. A stream made or
//! finished later, and segments given up to retention, are told by another catalog entry. What a
//! later catalog says of a stream replaces what an earlier one said.
//!
//! # Invariants
//! - `sequence` never falls: a hole between what segments hold and what catalogs count is
//!   lost data, and its size is known.

use crate::caps::{CATALOG_BYTES_MAX, STREAMS_MAX};
use crate::error::{FormatError, Result};
use crate::schema::{Schema, check_name, decode_name, encode_name};
use crate::varint;

/// What a catalog says of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEntry {
    /// The stream's id, from 1 on, never used again.
    pub id: u32,
    /// Free text, 1 to 255 bytes.
    pub name: String,
    /// Whether the stream is closed for ever.
    pub finished: bool,
    /// Records appended before this point of the log.
    pub sequence: u64,
    /// Timestamp of the last of them; none where there is none.
    pub last_ts: Option<i64>,
    /// Of a plane: the first and the last tick that the log segment before this one may tell of.
    pub touched: Option<(i64, i64)>,
    /// What the stream holds.
    pub schema: Schema,
}

/// The payload of a catalog entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    /// Log segments with lower numbers were given up to retention, on purpose.
    pub retained_from: u32,
    /// Streams that this catalog tells of, by ascending id.
    pub streams: Vec<StreamEntry>,
}

impl StreamEntry {
    /// Whether both are of one stream: an id never changes its name or its schema.
    pub fn is_same(&self, other: &Self) -> bool {
        self.id == other.id && self.name == other.name && self.schema == other.schema
    }
}

const FINISHED: u8 = 1;
const HAS_LAST_TS: u8 = 2;
const HAS_TOUCHED: u8 = 4;

impl Catalog {
    /// Appends the payload's bytes to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        varint::encode(u64::from(self.retained_from), out);
        varint::encode(self.streams.len() as u64, out);
        for stream in &self.streams {
            varint::encode(u64::from(stream.id), out);
            encode_name(&stream.name, out);
            let finished = if stream.finished { FINISHED } else { 0 };
            let dated = if stream.last_ts.is_some() { HAS_LAST_TS } else { 0 };
            let touched = if stream.touched.is_some() { HAS_TOUCHED } else { 0 };
            out.push(finished | dated | touched);
            varint::encode(stream.sequence, out);
            if let Some(last_ts) = stream.last_ts {
                out.extend_from_slice(&last_ts.to_le_bytes());
            }
            if let Some((first, last)) = stream.touched {
                out.extend_from_slice(&first.to_le_bytes());
                out.extend_from_slice(&last.to_le_bytes());
            }
            stream.schema.encode(out);
        }
    }

    /// Decodes a catalog that is all of `bytes`.
    ///
    /// # Errors
    /// `Truncated` or `Corrupt`.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > CATALOG_BYTES_MAX {
            let what = format!("a catalog of {} bytes", bytes.len());
            return Err(FormatError::corrupt(0, what));
        }
        let (catalog, rest) = Self::decode_prefix(bytes)?;
        if rest.is_empty() {
            Ok(catalog)
        } else {
            Err(FormatError::corrupt(0, "bytes behind a catalog"))
        }
    }

    /// Decodes a catalog from the front of `bytes`; returns it and the bytes that follow.
    ///
    /// # Errors
    /// `Truncated` or `Corrupt`.
    pub fn decode_prefix(bytes: &[u8]) -> Result<(Self, &[u8])> {
        let (retained_from, rest) = varint::decode(bytes)?;
        let retained_from = u32::try_from(retained_from)
            .map_err(|_| FormatError::corrupt(0, "a segment number over 32 bits"))?;
        let (count, mut rest) = varint::decode(rest)?;
        if count > u64::from(STREAMS_MAX) {
            return Err(FormatError::corrupt(0, format!("a catalog of {count} streams")));
        }
        let mut streams = Vec::new();
        for _ in 0..count {
            let stream;
            (stream, rest) = decode_stream(rest)?;
            if streams.last().is_some_and(|last: &StreamEntry| last.id >= stream.id) {
                return Err(FormatError::corrupt(0, "stream ids that do not ascend"));
            }
            streams.push(stream);
        }
        Ok((Self { retained_from, streams }, rest))
    }
}

fn decode_stream(bytes: &[u8]) -> Result<(StreamEntry, &[u8])> {
    let (id, rest) = varint::decode(bytes)?;
    let id = u32::try_from(id).ok().filter(|id| (1..=STREAMS_MAX).contains(id));
    let id = id.ok_or_else(|| FormatError::corrupt(0, "impossible stream id"))?;
    let (name, rest) = decode_name(rest)?;
    check_name("stream", &name).map_err(|error| FormatError::corrupt(0, error.what))?;
    let [flags, rest @ ..] = rest else {
        return Err(FormatError::truncated(0, "bytes end inside a catalog"));
    };
    if flags & !(FINISHED | HAS_LAST_TS | HAS_TOUCHED) != 0 {
        return Err(FormatError::corrupt(0, "unknown stream flags"));
    }
    let (sequence, mut rest) = varint::decode(rest)?;
    let mut next = |flag: u8| {
        if flags & flag == 0 {
            return Ok(None);
        }
        let Some((word, later)) = rest.split_first_chunk::<8>() else {
            return Err(FormatError::truncated(0, "bytes end inside a catalog"));
        };
        rest = later;
        Ok(Some(i64::from_le_bytes(*word)))
    };
    let last_ts = next(HAS_LAST_TS)?;
    let touched = next(HAS_TOUCHED)?.zip(next(HAS_TOUCHED)?);
    let (schema, rest) = Schema::decode(rest)?;
    if touched.is_some_and(|(first, last)| first > last || schema.plane().is_none()) {
        return Err(FormatError::corrupt(0, "touched ticks that cannot be"));
    }
    let finished = flags & FINISHED != 0;
    Ok((StreamEntry { id, name, finished, sequence, last_ts, touched, schema }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::DType;
    use crate::error::FormatErrorKind;
    use crate::plane::{Plane, PlaneKind};

    #[test]
    fn round_trips_and_names_truncations() {
        let stream = |id, last_ts| StreamEntry {
            id,
            name: format!("stream/{id}"),
            finished: id == 2,
            sequence: 1 << 40,
            last_ts,
            touched: None,
            schema: Schema::single(DType::F32, &[7]).unwrap(),
        };
        let plane = Plane::new("cam", (30, 1), 0, PlaneKind::Observed).unwrap();
        let plane = StreamEntry {
            touched: Some((-64, 1 << 40)),
            schema: Schema::of_plane(plane),
            ..stream(3, None)
        };
        let streams = vec![stream(1, Some(i64::MIN)), stream(2, None), plane];
        let catalog = Catalog { retained_from: 5, streams };
        let mut bytes = Vec::new();
        catalog.encode(&mut bytes);
        assert_eq!(Catalog::decode(&bytes).unwrap(), catalog);
        for len in 0..bytes.len() {
            assert_eq!(
                Catalog::decode(&bytes[..len]).unwrap_err().kind,
                FormatErrorKind::Truncated
            );
        }
        bytes.push(0);
        assert!(Catalog::decode(&bytes).is_err());
        for (at, touched) in [(2, Some((1, 0))), (1, Some((0, 0)))] {
            let mut catalog = catalog.clone();
            catalog.streams[at].touched = touched;
            let mut bytes = Vec::new();
            catalog.encode(&mut bytes);
            assert_eq!(Catalog::decode(&bytes).unwrap_err().kind, FormatErrorKind::Corrupt);
        }
    }
}
