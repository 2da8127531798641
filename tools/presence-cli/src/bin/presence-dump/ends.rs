//! The two ends of a segment: header, footer, and the index that the footer names.
//!
//! # Invariants
//! - What is unsound is told and done without: then the entries say where they belong.

use std::collections::BTreeMap;

use presence_cli::failure::{Failure, Result};
use presence_format::FormatErrorKind;
use presence_format::caps::SEGMENT_BYTES_MAX;
use presence_format::checksum::PayloadChecks;
use presence_format::entry::{ENTRY_ALIGN, ENTRY_MAGIC, Entry, EntryHeader, EntryKind, Place};
use presence_format::index::{Index, IndexEntry};
use presence_format::segment::{FIRST_ENTRY, FOOTER_MAGIC, Footer, SegmentHeader};
use zerocopy::FromBytes;

use crate::bytes::Bytes;

/// What the ends of a file tell.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) bytes: u64,
    pub(crate) header: Result<SegmentHeader, String>,
    /// What entries must name: by the header, else by the first entry that is sound.
    pub(crate) place: Option<Place>,
    /// None for a segment that is not sealed.
    pub(crate) footer: Option<Result<Footer, String>>,
    /// The index that a sound footer names.
    pub(crate) index: Option<Result<Index, String>>,
    /// Which part of the index tells of a stream.
    by_stream: BTreeMap<u32, usize>,
}

impl Ends {
    /// Reads both ends.
    ///
    /// # Errors
    /// Where reading fails, or the format is a later one.
    pub(crate) fn read(file: &mut Bytes) -> Result<Self> {
        let len = file.len();
        let held = len.min(SegmentHeader::BYTES as u64) as usize;
        let header = SegmentHeader::decode(file.get(0, held)?);
        if let Err(error) = &header
            && error.kind == FormatErrorKind::Incompatible
        {
            return Err(Failure::incompatible(format!("{}: {}", file.path(), error.what)));
        }
        let header = header.map_err(|error| error.what);
        let place = match &header {
            Ok(header) => Some(header.place()),
            Err(_) => first_place(file)?,
        };
        let mut ends = Self {
            bytes: len,
            header,
            place,
            footer: None,
            index: None,
            by_stream: BTreeMap::new(),
        };
        if let Some(place) = place {
            ends.read_footer(file, place)?;
        }
        Ok(ends)
    }

    fn read_footer(&mut self, file: &mut Bytes, place: Place) -> Result<()> {
        let Some(at) = self.footer_offset() else { return Ok(()) };
        let bytes = file.get(at, Footer::BYTES)?;
        if !bytes.starts_with(&FOOTER_MAGIC) {
            return Ok(());
        }
        let footer = Footer::decode(bytes, place, self.bytes).map_err(|error| error.what);
        if let Ok(footer) = &footer {
            let index = read_index(file, place, footer)?;
            if let Ok(index) = &index {
                let ids = index.streams.iter().map(|blocks| blocks.stream);
                self.by_stream = ids.zip(0..).collect();
            }
            self.index = Some(index);
        }
        self.footer = Some(footer);
        Ok(())
    }

    /// Where the footer is, where there is room for one.
    fn footer_offset(&self) -> Option<u64> {
        let at = self.bytes.checked_sub(Footer::BYTES as u64)?;
        (at >= u64::from(FIRST_ENTRY) && self.bytes <= u64::from(SEGMENT_BYTES_MAX)).then_some(at)
    }

    /// Where entries may stand at most: before a footer, and within the cap.
    pub(crate) fn data_end(&self) -> u32 {
        let end = match (&self.footer, self.footer_offset()) {
            (Some(Ok(_)), Some(at)) => at,
            _ => self.bytes,
        };
        u32::try_from(end).unwrap_or(u32::MAX).min(SEGMENT_BYTES_MAX)
    }

    /// The index's entry for the block `first_sequence` of `stream`; none where there is no index.
    pub(crate) fn indexed(&self, stream: u32, first_sequence: u64) -> Option<Option<&IndexEntry>> {
        let index = self.index.as_ref()?.as_ref().ok()?;
        let find = || {
            let blocks = &index.streams.get(*self.by_stream.get(&stream)?)?.entries;
            let at = blocks.partition_point(|block| block.first_sequence.get() < first_sequence);
            blocks.get(at)
        };
        Some(find())
    }

    /// Blocks that the index tells of.
    pub(crate) fn blocks_indexed(&self) -> Option<u64> {
        let index = self.index.as_ref()?.as_ref().ok()?;
        Some(index.streams.iter().map(|blocks| blocks.entries.len() as u64).sum())
    }
}

/// The place that the first sound entry names: its checksum vouches for it.
fn first_place(file: &mut Bytes) -> Result<Option<Place>> {
    let end = u32::try_from(file.len()).unwrap_or(u32::MAX).min(SEGMENT_BYTES_MAX);
    for offset in (FIRST_ENTRY..end).step_by(ENTRY_ALIGN as usize) {
        let bytes = file.get(u64::from(offset), 128)?;
        if !bytes.starts_with(&ENTRY_MAGIC) {
            continue;
        }
        let Ok((header, _)) = EntryHeader::read_from_prefix(bytes) else { continue };
        let place = Place { database: header.database.get(), segment: header.segment.get() };
        if Entry::parse(bytes, place, offset).is_ok() {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

fn read_index(file: &mut Bytes, place: Place, footer: &Footer) -> Result<Result<Index, String>> {
    let offset = footer.index_offset.get();
    let entry = match Entry::parse(file.get(u64::from(offset), 128)?, place, offset) {
        Ok(entry) => entry,
        Err(error) => return Ok(Err(error.what)),
    };
    let header = &entry.header;
    if entry.kind != EntryKind::Index
        || header.number != footer.entries
        || header.previous_crc != footer.data_crc
    {
        return Ok(Err("not the index that the footer tells of".to_owned()));
    }
    let stored = file.get(u64::from(entry.payload_offset()), entry.stored_bytes() as usize)?;
    let index = check_payload(&entry, stored)
        .and_then(|payload| Index::decode(payload, offset).map_err(|error| error.what));
    Ok(index)
}

/// The payload in the `stored` bytes of `entry`, checked.
pub(crate) fn check_payload<'a>(entry: &Entry, stored: &'a [u8]) -> Result<&'a [u8], String> {
    let payload_bytes = entry.header.payload_bytes.get();
    let Some((payload, table)) = stored.split_at_checked(payload_bytes as usize) else {
        return Err("the file ends inside the entry".to_owned());
    };
    let tell = |error: presence_format::FormatError| {
        let at = u64::from(entry.payload_offset()).saturating_add(error.offset);
        format!("{} (from byte {at})", error.what)
    };
    PayloadChecks::new(payload_bytes, entry.header.payload_crc.get(), table)
        .and_then(|checks| checks.check(payload))
        .map_err(tell)?;
    Ok(payload)
}
