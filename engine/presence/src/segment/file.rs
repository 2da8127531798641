//! One segment file as readers hold it.
//!
//! # Invariants
//! - A segment is mapped only once it is sealed: nobody writes to it any more.
//! - Bytes leave this module only after their checksum matched; the check is made once a block
//!   and remembered.

use presence_format::block::{BlockHeader, BlockLayout};
use presence_format::checksum::{PayloadChecks, table_bytes};
use presence_format::entry::{Entry, Place};
use presence_format::index::IndexEntry;
use presence_format::segment::SegmentHeader;
use presence_format::{Compression, FormatError};

use crate::device::aligned::AlignedBuf;
use crate::device::{DeviceFile, Mapping};
use crate::error::{Error, Result};
use crate::shim::atomic::{AtomicBool, Ordering};
use crate::shim::{Arc, OnceLock};

/// The file name of segment `number`.
pub(crate) fn segment_name(number: u32) -> String {
    format!("seg-{number:08x}.presence")
}

/// The number in a segment's file name; `None` for other files.
pub(crate) fn segment_number(name: &str) -> Option<u32> {
    let hex = name.strip_prefix("seg-")?.strip_suffix(".presence")?;
    let number = u32::from_str_radix(hex, 16).ok()?;
    (segment_name(number) == name && number != 0).then_some(number)
}

/// An open segment.
#[derive(Debug)]
pub(crate) struct SegmentFile {
    pub(crate) name: String,
    pub(crate) header: SegmentHeader,
    pub(crate) file: Arc<dyn DeviceFile>,
    /// The name it was made under, until it is published.
    pub(super) temporary: Option<String>,
    sealed: AtomicBool,
    may_map: bool,
    map: OnceLock<Option<Mapping>>,
}

impl SegmentFile {
    /// Wraps an open file whose header was read.
    pub(crate) fn new(
        name: String,
        header: SegmentHeader,
        file: Arc<dyn DeviceFile>,
        may_map: bool,
    ) -> Self {
        Self {
            name,
            header,
            file,
            temporary: None,
            sealed: AtomicBool::new(false),
            may_map,
            map: OnceLock::new(),
        }
    }

    /// Opens `name` read-only and checks its header.
    pub(crate) fn open(
        device: &dyn crate::device::Device,
        name: &str,
        may_map: bool,
    ) -> Result<Self> {
        let file = device.open(name).map_err(Error::io("open", name))?;
        let mut bytes = [0; SegmentHeader::BYTES];
        let read = file.read_at(&mut bytes, 0).map_err(Error::io("read", name))?;
        let header = SegmentHeader::decode(bytes.get(..read).unwrap_or_default())
            .map_err(Error::format(name, 0))?;
        if segment_number(name).is_some_and(|number| number != header.segment.get()) {
            let what = format!("holds segment {}", header.segment);
            return Err(Error::format(name, 32)(FormatError::corrupt(0, what)));
        }
        Ok(Self::new(name.to_owned(), header, file, may_map))
    }

    /// The segment's number.
    pub(crate) fn number(&self) -> u32 {
        self.header.segment.get()
    }

    /// What its entries must name.
    pub(crate) fn place(&self) -> Place {
        self.header.place()
    }

    /// From now on nobody writes to the file.
    pub(crate) fn set_sealed(&self) {
        self.sealed.store(true, Ordering::Release);
    }

    /// The whole sealed file, where it may be mapped and could be.
    fn mapping(&self) -> Option<&Mapping> {
        if !self.may_map || !self.sealed.load(Ordering::Acquire) {
            return None;
        }
        let map = || {
            let len = usize::try_from(self.file.len().ok()?).ok()?;
            self.file.map(len).ok()
        };
        self.map.get_or_init(map).as_ref()
    }

    /// The mapped bytes `start .. start + len`.
    #[inline]
    pub(crate) fn mapped(&self, start: u32, len: usize) -> Option<&[u8]> {
        let start = start as usize;
        self.mapping()?.get(start..start.checked_add(len)?)
    }

    /// The block that `entry` tells of is going to be read: where it is mapped, the system begins
    /// to fetch it.
    pub(crate) fn will_need(&self, entry: &IndexEntry) {
        let start = entry.offset.get() as usize;
        let header = presence_format::entry::EntryKind::Block.header_bytes() as usize;
        let end = start.saturating_add(header).saturating_add(entry.payload_bytes.get() as usize);
        if let Some(map) = self.mapping() {
            map.will_need(start..end);
        }
    }

    /// Reads the header of the block that `index` tells of, and checks that it is that block.
    pub(crate) fn block_entry(&self, index: &IndexEntry) -> Result<Entry> {
        let offset = index.offset.get();
        let mut bytes = [0; 128];
        self.read_padded(&mut bytes, offset)?;
        let entry = Entry::parse(&bytes, self.place(), offset)
            .map_err(Error::format(&self.name, u64::from(offset)))?;
        if IndexEntry::of(&entry).as_ref() != Some(index) {
            let fault = FormatError::corrupt(4, "not the block that the index tells of");
            return Err(Error::format(&self.name, u64::from(offset))(fault));
        }
        Ok(entry)
    }

    /// Checks the payload of a block against its checksums, in the map where there is one.
    /// Returns the payload where it had to be read.
    pub(crate) fn checked_payload(&self, entry: &Entry) -> Result<Option<AlignedBuf>> {
        let payload_bytes = entry.header.payload_bytes.get();
        let start = entry.payload_offset();
        let owned = match self.mapped(start, entry.stored_bytes() as usize) {
            Some(_) => None,
            None => {
                let mut stored = AlignedBuf::zeroed(entry.stored_bytes() as usize)
                    .map_err(Error::io("read", &self.name))?;
                self.read_padded(&mut stored, start)?;
                Some(stored)
            }
        };
        let stored: &[u8] = match &owned {
            Some(stored) => stored,
            None => self.mapped(start, entry.stored_bytes() as usize).unwrap_or_default(),
        };
        let (payload, table) = stored.split_at_checked(payload_bytes as usize).unwrap_or_default();
        debug_assert_eq!(table.len(), table_bytes(payload_bytes) as usize);
        PayloadChecks::new(payload_bytes, entry.header.payload_crc.get(), table)
            .and_then(|checks| checks.check(payload))
            .map_err(Error::format(&self.name, u64::from(start)))?;
        Ok(owned)
    }

    /// Checks a block that lies in the map as it is: its checksums, and the order of its records.
    pub(crate) fn check_mapped(&self, entry: &Entry, layout: &BlockLayout) -> Result<()> {
        self.checked_payload(entry)?;
        let Some(block) = entry.block else { return Ok(()) };
        let payload = self.mapped(entry.payload_offset(), entry.stored_bytes() as usize);
        layout
            .check_times(&block, entry.header.records.get() as usize, payload.unwrap_or_default())
            .map_err(Error::format(&self.name, u64::from(entry.payload_offset())))
    }

    /// Fills the zeroed `buf` from `offset` on; what lies behind the end of the file stays zeros,
    /// as for a scan, and a checksum tells whether that is right.
    fn read_padded(&self, buf: &mut [u8], offset: u32) -> Result<()> {
        let read = self.file.read_at(buf, u64::from(offset));
        read.map(|_| ()).map_err(Error::io("read", &self.name))
    }

    /// Fills `buf` from `offset` on.
    pub(crate) fn read(&self, buf: &mut [u8], offset: u32) -> Result<()> {
        let read =
            self.file.read_at(buf, u64::from(offset)).map_err(Error::io("read", &self.name))?;
        if read == buf.len() {
            return Ok(());
        }
        let fault = FormatError::truncated(read as u64, "the file ends early");
        Err(Error::format(&self.name, u64::from(offset))(fault))
    }

    /// The stored payload of a block of this layout, checked.
    pub(crate) fn block_payload(
        &self,
        entry: &Entry,
        layout: &BlockLayout,
    ) -> Result<BlockPayload<'_>> {
        let fault = Error::format(&self.name, u64::from(entry.payload_offset()));
        let Some(header) = entry.block else {
            return Err(fault(FormatError::corrupt(0, "not a block")));
        };
        let records = entry.header.records.get() as usize;
        if header.schema_crc.get() != layout.schema_crc()
            || header.decoded_bytes.get() as usize != layout.decoded_bytes(records)
        {
            return Err(fault(FormatError::corrupt(0, "block of another schema")));
        }
        let owned = self.checked_payload(entry)?;
        let compression = Compression::from_code(header.compression).map_err(fault)?;
        let (start, bytes) = (entry.payload_offset(), entry.header.payload_bytes.get() as usize);
        Ok(BlockPayload { segment: self, header, compression, owned, start, bytes })
    }

    /// Decodes a block into an owned page.
    pub(crate) fn decode_block(&self, entry: &Entry, layout: &BlockLayout) -> Result<AlignedBuf> {
        let records = entry.header.records.get() as usize;
        let payload = self.block_payload(entry, layout)?;
        let mut page = AlignedBuf::zeroed(layout.decoded_bytes(records))
            .map_err(Error::io("decode", &self.name))?;
        layout
            .decode(payload.compression, records, payload.stored(), &mut page)
            .and_then(|()| layout.check_times(&payload.header, records, &page))
            .map_err(payload.fault())?;
        Ok(page)
    }
}

/// The payload of a block as it is stored, whose checksum matched.
#[derive(Debug)]
pub(crate) struct BlockPayload<'a> {
    segment: &'a SegmentFile,
    pub(crate) header: BlockHeader,
    pub(crate) compression: Compression,
    /// Where it is not mapped.
    owned: Option<AlignedBuf>,
    start: u32,
    bytes: usize,
}

impl BlockPayload<'_> {
    /// Its bytes.
    pub(crate) fn stored(&self) -> &[u8] {
        let stored = match &self.owned {
            Some(stored) => stored.get(..self.bytes),
            None => self.segment.mapped(self.start, self.bytes),
        };
        stored.unwrap_or_default()
    }

    /// What makes a fault in it an error.
    pub(crate) fn fault(&self) -> impl FnOnce(FormatError) -> Error + '_ {
        Error::format(&self.segment.name, u64::from(self.start))
    }
}
