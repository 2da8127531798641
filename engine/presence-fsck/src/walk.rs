//! Walks a segment entry by entry, as the format's chapter "Reading entry by entry" says.
//!
//! # Invariants
//! - Written from the format's text, beside the engine's own scan: neither calls the other.
//! - What is passed over is named: torn, or rotten from where to where.
//! - Work is linear in the file's length, memory bounded: a file that contradicts itself more often
//!   than any accident does is given up, and that is told.

use std::io;
use std::ops::Range;

use presence_format::caps::SEGMENT_BYTES_MAX;
use presence_format::checksum::PayloadChecks;
use presence_format::entry::{ENTRY_ALIGN, ENTRY_MAGIC, Entry, EntryKind, Place};
use presence_format::segment::FIRST_ENTRY;
use presence_format::zeros::is_zeros;

use crate::bytes::Bytes;

/// Sound headers behind the first unsound entry that are kept: 32 MiB of them.
const AHEAD_MAX: usize = 2 << 20;
/// Rotten ranges that are told one by one.
const ROT_MAX: usize = 100_000;
/// Payloads that turned out unsound may be read for this many bytes, and twice the file's length.
const WASTE_MAX: u64 = 256 << 20;

/// Zeros are passed over in steps of this.
const SKIP: usize = 4096;

/// Where the walk stands: behind `number` entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) offset: u32,
    pub(crate) number: u32,
    pub(crate) crc: u32,
}

/// Bytes that were durable once and are unsound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rot {
    pub(crate) range: Range<u32>,
    pub(crate) what: String,
}

/// What a walk found besides its entries.
#[derive(Debug)]
pub(crate) struct Walked {
    /// Where the walk stopped.
    pub(crate) end: End,
    /// Behind the last entry that counts.
    pub(crate) last_end: End,
    /// An index that came last: its offset, and the end of the entries before it.
    pub(crate) last_index: Option<(u32, End)>,
    /// Everything below was durable.
    pub(crate) durable: u32,
    /// Where bytes stand between entries that are neither zeros nor rotten.
    pub(crate) torn_inside: Vec<Range<u32>>,
    /// Bytes behind the end that are not zeros, up to the last of them.
    pub(crate) torn_tail: Option<Range<u32>>,
    pub(crate) rot: Vec<Rot>,
    /// Where right checksums stand over content that cannot be: no crash leaves that.
    pub(crate) wrong: Vec<(u32, String)>,
    /// Offsets of padding that is not zeros.
    pub(crate) not_zeros: Vec<u32>,
    /// Why the walk did not go on to the end.
    pub(crate) gave_up: Option<&'static str>,
}

/// How far to walk, and what is known of the segment from elsewhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) place: Place,
    /// `header_crc` of the segment's header.
    pub(crate) first_crc: u32,
    /// Everything below is known to have been durable.
    pub(crate) durable: u32,
    /// The offset of the index, where a sound footer names it.
    pub(crate) index: Option<u32>,
    /// Whether payloads are checked, or headers only.
    pub(crate) payloads: bool,
}

/// What is done with each entry: its payload where it was read. An `Err` makes it unsound.
pub(crate) type Take<'a> = dyn FnMut(&Entry, &[u8]) -> Result<(), String> + 'a;

/// Walks the segment in `bytes`.
pub(crate) fn walk(bytes: &mut Bytes, bounds: Bounds, take: &mut Take<'_>) -> io::Result<Walked> {
    let start = End { offset: FIRST_ENTRY, number: 0, crc: bounds.first_crc };
    let len = len_within_caps(bytes);
    let mut walk = Walk {
        // One entry is looked for at least: also where the file ends behind its header.
        limit: bounds.index.unwrap_or(len).max(FIRST_ENTRY + 1),
        wasted: 0,
        ahead: None,
        found: Walked {
            end: start,
            last_end: start,
            last_index: None,
            // A segment gets its name after its first catalog is durable.
            durable: bounds.durable.max(FIRST_ENTRY + 1),
            torn_inside: Vec::new(),
            torn_tail: None,
            rot: Vec::new(),
            wrong: Vec::new(),
            not_zeros: Vec::new(),
            gave_up: None,
        },
        bytes,
        bounds,
        take,
    };
    walk.run()?;
    Ok(walk.found)
}

/// The file's length; nothing counts behind the end of the largest segment.
fn len_within_caps(bytes: &Bytes) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).min(SEGMENT_BYTES_MAX)
}

struct Walk<'a, 'b> {
    bytes: &'a mut Bytes,
    bounds: Bounds,
    take: &'a mut Take<'b>,
    /// No entry begins at or behind this, but the index.
    limit: u32,
    /// Bytes of payloads that were read for nothing.
    wasted: u64,
    ahead: Option<Ahead>,
    found: Walked,
}

/// Sound headers behind the first unsound entry: ascending in offset and in number.
#[derive(Debug, Default)]
struct Ahead {
    headers: Vec<Header>,
    durable: u32,
    overflow: bool,
}

#[derive(Debug, Clone, Copy)]
struct Header {
    offset: u32,
    number: u32,
    previous_crc: u32,
}

impl Walked {
    /// Where the entries end, an index at the very end left out.
    pub(crate) fn data_end(&self) -> End {
        self.last_index.map_or(self.last_end, |(_, before)| before)
    }

    /// The same, where nothing rotten follows.
    pub(crate) fn log_end(&self) -> Option<(u32, u32)> {
        let end = self.data_end();
        let is_known = self.rot.last().is_none_or(|rot| rot.range.start < end.offset);
        (is_known && self.gave_up.is_none()).then_some((end.offset, end.crc))
    }
}

impl Walk<'_, '_> {
    fn run(&mut self) -> io::Result<()> {
        while self.found.end.offset < self.limit && self.found.gave_up.is_none() {
            let Some(what) = self.step()? else { continue };
            self.look_ahead()?;
            // A writer may have written here meanwhile: what is ahead is as old as this look.
            self.bytes.forget();
            if self.step()?.is_none() {
                continue;
            }
            if !self.pass_over(&what)? {
                break;
            }
        }
        Ok(())
    }

    /// Takes the entry at the end; else tells what is wrong with it.
    fn step(&mut self) -> io::Result<Option<String>> {
        let at = self.found.end;
        let header = self.bytes.get_padded(u64::from(at.offset), 128)?;
        let entry = match Entry::parse(header, self.bounds.place, at.offset) {
            Ok(entry) => entry,
            Err(error) => return Ok(Some(error.what)),
        };
        if entry.header.number.get() != at.number {
            let number = entry.header.number;
            return Ok(Some(format!("entry {number} stands where entry {} belongs", at.number)));
        }
        if entry.header.previous_crc.get() != at.crc {
            return Ok(Some("the entry does not chain to the one before".to_owned()));
        }
        if let Some(what) = self.check(&entry)? {
            // Each is looked at twice, the second time to see what a writer wrote meanwhile.
            self.wasted = self.wasted.saturating_add(u64::from(entry.stored_bytes()) / 2);
            if self.wasted > WASTE_MAX.saturating_add(2 * self.bytes.len()) {
                self.found.gave_up = Some("too many entries whose payload is unsound");
            }
            return Ok(Some(what));
        }
        self.check_padding(&entry)?;
        let found = &mut self.found;
        found.durable = found.durable.max(entry.header.durable_offset.get());
        found.end = End {
            offset: entry.end(),
            number: at.number.saturating_add(1),
            crc: entry.header.header_crc.get(),
        };
        let is_index = entry.kind == EntryKind::Index;
        found.last_index = is_index.then_some((entry.header.offset.get(), found.last_end));
        found.last_end = found.end;
        Ok(None)
    }

    /// Checks the payload and hands the entry over.
    fn check(&mut self, entry: &Entry) -> io::Result<Option<String>> {
        if !self.bounds.payloads && entry.kind == EntryKind::Block {
            return Ok((self.take)(entry, &[]).err());
        }
        let header = &entry.header;
        let stored = entry.stored_bytes() as usize;
        let stored = self.bytes.get_padded(u64::from(entry.payload_offset()), stored)?;
        let payload_bytes = header.payload_bytes.get();
        let (payload, table) = stored.split_at_checked(payload_bytes as usize).unwrap_or_default();
        let sound = PayloadChecks::new(payload_bytes, header.payload_crc.get(), table)
            .and_then(|checks| checks.check(payload));
        if let Err(error) = sound {
            return Ok(Some(error.what));
        }
        let wrong = (self.take)(entry, payload).err();
        let at = entry.header.offset.get();
        let is_new = self.found.wrong.last().is_none_or(|(last, _)| *last != at);
        if let Some(what) = wrong.as_ref().filter(|_| is_new && self.found.wrong.len() < ROT_MAX) {
            self.found.wrong.push((at, what.clone()));
        }
        Ok(wrong)
    }

    /// The bytes between an entry and the next are zeros, or missing at the end of the file.
    fn check_padding(&mut self, entry: &Entry) -> io::Result<()> {
        let from = entry.payload_offset().saturating_add(entry.stored_bytes());
        let count = entry.end().saturating_sub(from) as usize;
        let padding = self.bytes.get(u64::from(from), count)?;
        if padding.iter().any(|&byte| byte != 0) && self.found.not_zeros.len() < ROT_MAX {
            self.found.not_zeros.push(from);
        }
        Ok(())
    }

    /// Finds the sound headers behind the end: once, at the first unsound entry.
    fn look_ahead(&mut self) -> io::Result<()> {
        if self.ahead.is_some() {
            return Ok(());
        }
        let mut ahead = Ahead::default();
        let len = len_within_caps(self.bytes);
        // The index may be what goes on: its header counts, and nothing behind it.
        let end = self.bounds.index.map_or(len, |index| index.saturating_add(ENTRY_ALIGN).min(len));
        let mut offset = self.found.end.offset.saturating_add(ENTRY_ALIGN);
        while offset < end {
            if offset.is_multiple_of(SKIP as u32)
                && is_zeros(self.bytes.get(u64::from(offset), SKIP)?)
            {
                offset = offset.saturating_add(SKIP as u32);
                continue;
            }
            let bytes = self.bytes.get(u64::from(offset), 128)?;
            if bytes.starts_with(&ENTRY_MAGIC)
                && let Ok(entry) = Entry::parse(bytes, self.bounds.place, offset)
            {
                ahead.take(&entry);
            }
            offset = offset.saturating_add(ENTRY_ALIGN);
        }
        self.ahead = Some(ahead);
        Ok(())
    }

    /// Goes on behind the unsound entry at the end. `false` where nothing counts behind it.
    fn pass_over(&mut self, what: &str) -> io::Result<bool> {
        let bad = self.found.end;
        let Some(ahead) = &self.ahead else { return Ok(false) };
        if ahead.overflow {
            self.found.gave_up = Some("too many entries that do not follow each other");
            return Ok(false);
        }
        let durable = self.found.durable.max(ahead.durable);
        self.found.durable = durable;
        if let Some(next) = ahead.follower(bad) {
            let used = self.bytes.last_used(u64::from(bad.offset), u64::from(next))?;
            if let Some(used) = used
                && self.found.torn_inside.len() < ROT_MAX
            {
                let used = u32::try_from(used).unwrap_or(next);
                self.found.torn_inside.push(bad.offset..used);
            }
            self.found.end.offset = next;
            return Ok(true);
        }
        if durable > bad.offset {
            if let Some(next) = ahead.next_above(bad) {
                self.rotten(bad.offset..next.offset, what);
                let Header { offset, number, previous_crc: crc } = next;
                self.found.end = End { offset, number, crc };
                return Ok(true);
            }
            self.rotten(bad.offset..durable, what);
            return Ok(false);
        }
        self.note_tail(bad.offset)?;
        Ok(false)
    }

    fn note_tail(&mut self, from: u32) -> io::Result<()> {
        let used = self.bytes.last_used(u64::from(from), u64::from(self.limit))?;
        if let Some(used) = used.and_then(|used| u32::try_from(used).ok()) {
            self.found.torn_tail = Some(from..used);
        }
        Ok(())
    }

    fn rotten(&mut self, range: Range<u32>, what: &str) {
        if self.found.rot.len() < ROT_MAX {
            self.found.rot.push(Rot { range, what: what.to_owned() });
        } else {
            self.found.gave_up = Some("too many rotten places");
        }
    }
}

impl Ahead {
    /// A header counts only while none behind it has a number as low: else it is left over from
    /// before a crash whose recovery wrote those behind it.
    fn take(&mut self, entry: &Entry) {
        let header = Header {
            offset: entry.header.offset.get(),
            number: entry.header.number.get(),
            previous_crc: entry.header.previous_crc.get(),
        };
        self.durable = self.durable.max(entry.header.durable_offset.get());
        while self.headers.last().is_some_and(|last| last.number >= header.number) {
            self.headers.pop();
        }
        if self.headers.len() < AHEAD_MAX {
            self.headers.push(header);
        } else {
            self.overflow = true;
        }
    }

    /// Where the entry begins that follows `end`.
    fn follower(&self, end: End) -> Option<u32> {
        let at = self.headers.binary_search_by_key(&end.number, |header| header.number).ok()?;
        let header = self.headers.get(at)?;
        let follows = header.offset > end.offset && header.previous_crc == end.crc;
        follows.then_some(header.offset)
    }

    /// The first header above `end` with a greater number.
    fn next_above(&self, end: End) -> Option<Header> {
        let at = self
            .headers
            .partition_point(|header| header.offset <= end.offset || header.number <= end.number);
        self.headers.get(at).copied()
    }
}
