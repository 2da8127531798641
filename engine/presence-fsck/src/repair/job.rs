//! One segment to be written in the place of another.
//!
//! # Invariants
//! - The replacement stands for the same part of the log as what it replaces, and names the same
//!   segment before it.

use std::io;
use std::sync::Arc;

use presence::DatabaseId;
use presence::device::{Device, DeviceFile};
use presence_format::catalog::Catalog;
use presence_format::segment::SegmentHeader;

use crate::repair::gather::{Gathered, Known, Source, gather};
use crate::repair::output::Output;

/// A replacement as planned.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) source: Source,
    /// The replacement's header.
    pub(crate) header: SegmentHeader,
    /// What goes into it.
    pub(crate) gathered: Gathered,
    /// Where the last log segment ended that it stands for: offset and checksum.
    pub(crate) log: (u32, u32),
    /// The replacement's name.
    pub(crate) name: String,
    /// Streams that other segments tell of.
    pub(crate) known: Arc<Known>,
}

/// The name of segment `number`.
pub(crate) fn segment_name(number: u32) -> String {
    format!("seg-{number:08x}.presence")
}

/// The header of the segment `number` that comes into the place of `old`.
///
/// One part of several outputs of a compaction stays a part of them: a higher generation would make
/// the others dead.
pub(crate) fn replacement(old: &SegmentHeader, number: u32) -> SegmentHeader {
    let created = old.created_unix_us.get();
    let mut header = SegmentHeader::first(DatabaseId(old.database), number, created);
    header.log_first = old.log_first;
    header.log_last = old.log_last;
    header.previous_segment = old.previous_segment;
    header.previous_end = old.previous_end;
    header.previous_crc = old.previous_crc;
    header.generation = old.generation.get().saturating_add(1).into();
    if old.parts.get() > 1 {
        header.generation = old.generation;
        header.set = old.set;
        header.part = old.part;
        header.parts = old.parts;
    }
    header
}

impl Job {
    /// Sees what can be taken of `source`, without writing.
    pub(crate) fn new(
        device: &dyn Device,
        source: Source,
        number: u32,
        known: &Arc<Known>,
    ) -> io::Result<Self> {
        let header = replacement(&source.header, number);
        let output = Output::begin(None, header, &Catalog::default())?;
        let (gathered, output) = gather(device, &source, known, output)?;
        output.seal(&gathered.catalog, (0, 0))?;
        let log = gathered.log.unwrap_or(gathered.end);
        let name = segment_name(number);
        Ok(Self { source, header, gathered, log, name, known: Arc::clone(known) })
    }

    /// Writes the replacement into `file`, durably; `false` where the source gives something else
    /// than it did when this was planned.
    pub(crate) fn write(&self, device: &dyn Device, file: Arc<dyn DeviceFile>) -> io::Result<bool> {
        let output = Output::begin(Some(file), self.header, &self.gathered.catalog)?;
        let (gathered, output) = gather(device, &self.source, &self.known, output)?;
        output.seal(&gathered.catalog, self.log)?;
        Ok(gathered == self.gathered)
    }
}
