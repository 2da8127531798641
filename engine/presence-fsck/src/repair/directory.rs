//! The segments of a directory by their headers: what is whose, and what follows what.
//!
//! # Invariants
//! - Nothing but headers is read here.

use std::collections::BTreeMap;
use std::io;

use presence::device::Device;
use presence_format::FormatErrorKind;
use presence_format::segment::SegmentHeader;

use crate::database::{Error, choose, segment_number};
use crate::live::Sets;

/// A file by the name of a segment.
#[derive(Debug)]
pub(crate) enum Named {
    Segment(SegmentHeader),
    /// Its header cannot be read: its bytes.
    Headless(Vec<u8>),
    /// Of a newer format.
    Newer,
    /// No regular file.
    Irregular,
}

/// Files by the names of segments, by the number in the name.
///
/// # Errors
/// Where the directory or a header cannot be read: what is planned without it would be wrong.
pub(crate) fn named(device: &dyn Device) -> Result<BTreeMap<u32, Named>, Error> {
    let mut named = BTreeMap::new();
    let unreadable = |source| Error::List { path: device.describe(), source };
    for entry in device.list().map_err(unreadable)? {
        let Some(number) = segment_number(&entry.name) else { continue };
        let what = match entry.regular {
            true => read(device, &entry.name)?,
            false => Named::Irregular,
        };
        named.insert(number, what);
    }
    Ok(named)
}

/// Reads the header of the file `name`.
///
/// # Errors
/// Where it cannot be read.
pub(crate) fn read(device: &dyn Device, name: &str) -> Result<Named, Error> {
    let mut bytes = vec![0; SegmentHeader::BYTES];
    let read = device.open(name).and_then(|file| file.read_at(&mut bytes, 0));
    let read = read.map_err(unreadable(name))?;
    Ok(match SegmentHeader::decode(bytes.get(..read).unwrap_or_default()) {
        Ok(header) => Named::Segment(header),
        Err(error) if error.kind == FormatErrorKind::Incompatible => Named::Newer,
        Err(_) => Named::Headless(bytes),
    })
}

/// An error of reading `name`.
pub(crate) fn unreadable(name: &str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { what: "read", file: name.to_owned(), source }
}

/// The segments of one database.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    /// Their headers, by number.
    pub(crate) headers: BTreeMap<u32, SegmentHeader>,
    /// Those that count, in the order of the log.
    pub(crate) live: Vec<u32>,
    pub(crate) dead: Vec<u32>,
    pub(crate) database: Option<[u8; 16]>,
}

impl Directory {
    /// Those segments among `named` that have the names they should, and are of the one database.
    pub(crate) fn new(named: &BTreeMap<u32, Named>) -> Self {
        let mut headers: BTreeMap<u32, SegmentHeader> = BTreeMap::new();
        for (number, named) in named {
            if let Named::Segment(header) = named
                && header.segment.get() == *number
            {
                headers.insert(*number, *header);
            }
        }
        let database = choose(headers.values()).map(|id| id.0);
        headers.retain(|_, header| Some(header.database) == database);
        let sets = Sets::new(headers.values());
        let (live, dead) = sets.live();
        let live = live.into_iter().flat_map(|set| set.numbers()).collect();
        Self { headers, live, dead, database }
    }

    /// Headers of the segments that count, in the order of the log.
    pub(crate) fn live_headers(&self) -> impl DoubleEndedIterator<Item = &SegmentHeader> {
        self.live.iter().filter_map(|number| self.headers.get(number))
    }

    /// A segment that follows the log segment `number`.
    pub(crate) fn successor(&self, number: u32) -> Option<&SegmentHeader> {
        self.live_headers().find(|header| header.previous_segment.get() == number)
    }

    /// Where everything in the log segment `number` was durable, as one that follows it says.
    pub(crate) fn durable(&self, number: u32) -> u32 {
        self.successor(number).map_or(0, |next| next.previous_end.get())
    }
}

/// Whether two segments stand for a part of the log that both have.
pub(crate) fn overlap(one: &SegmentHeader, other: &SegmentHeader) -> bool {
    one.log_first.get() <= other.log_last.get() && other.log_first.get() <= one.log_last.get()
}

/// Whether two segments are parts of one set.
pub(crate) fn siblings(one: &SegmentHeader, other: &SegmentHeader) -> bool {
    let set = |header: &SegmentHeader| {
        let range = (header.log_first, header.log_last);
        (header.set, header.generation, range, header.parts)
    };
    set(one) == set(other) && one.part != other.part
}
