//! What was seen on the way, counted and drawn.
//!
//! # Invariants
//! - One line of drawing, whatever the file's size; unsound bytes are never drawn over.

use presence_format::entry::EntryKind;

use crate::ends::Ends;
use crate::walk::{Found, Part};

/// Characters of the drawing.
const CELLS: usize = 64;

/// What a stretch of the file is, in the order in which it wins a cell of the drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Zeros,
    Block,
    Frame,
    Catalog,
    Index,
    Unsound,
}

/// Classes as drawn, with their legend.
const DRAWN: [(char, &str); 6] = [
    ('·', "zeros"),
    ('█', "blocks"),
    ('▒', "frames"),
    ('c', "catalog"),
    ('i', "header, index and footer"),
    ('!', "unsound"),
];

/// Counts of one dump.
#[derive(Debug)]
pub(crate) struct Summary {
    bytes: u64,
    cells: Vec<[u64; DRAWN.len()]>,
    pub(crate) entries: u64,
    pub(crate) blocks: u64,
    pub(crate) frames: u64,
    /// Records in sound blocks.
    pub(crate) records: u64,
    pub(crate) zero_bytes: u64,
    /// Bytes where no sound entry begins.
    pub(crate) unsound_bytes: u64,
    /// Places where something is unsound.
    pub(crate) unsound: u64,
    /// The largest offset below which some entry says that all was durable.
    pub(crate) durable_offset: u32,
    /// What header, footer and index have of unsoundness or contradiction.
    pub(crate) faults: Vec<String>,
}

impl Summary {
    pub(crate) fn new(ends: &Ends) -> Self {
        let mut summary = Self {
            bytes: ends.bytes,
            cells: vec![[0; DRAWN.len()]; CELLS],
            entries: 0,
            blocks: 0,
            frames: 0,
            records: 0,
            zero_bytes: 0,
            unsound_bytes: 0,
            unsound: 0,
            durable_offset: 0,
            faults: Vec::new(),
        };
        let header = if ends.header.is_ok() { Class::Index } else { Class::Unsound };
        summary.draw(header, 0, ends.bytes.min(128));
        if let Some(footer) = &ends.footer {
            let footer = if footer.is_ok() { Class::Index } else { Class::Unsound };
            summary.draw(footer, ends.bytes.saturating_sub(64), ends.bytes);
        }
        summary.faults.extend(ends.header.as_ref().err().map(|what| format!("header: {what}")));
        let footer = ends.footer.as_ref().and_then(|footer| footer.as_ref().err());
        summary.faults.extend(footer.map(|what| format!("footer: {what}")));
        let index = ends.index.as_ref().and_then(|index| index.as_ref().err());
        summary.faults.extend(index.map(|what| format!("index: {what}")));
        summary
    }

    /// Counts a part.
    pub(crate) fn take(&mut self, part: &Part) {
        match part {
            Part::Entry(found) => self.take_entry(found),
            Part::Zeros { from, to } => {
                self.zero_bytes += to - from;
                self.draw(Class::Zeros, *from, *to);
            }
            Part::Unsound { from, to, .. } => {
                self.unsound += 1;
                self.unsound_bytes += to - from;
                self.draw(Class::Unsound, *from, *to);
            }
        }
    }

    fn take_entry(&mut self, found: &Found) {
        let header = &found.entry.header;
        self.entries += 1;
        self.durable_offset = self.durable_offset.max(header.durable_offset.get());
        let mut class = match found.entry.kind {
            EntryKind::Catalog => Class::Catalog,
            EntryKind::Frame => Class::Frame,
            EntryKind::Block => Class::Block,
            EntryKind::Index => Class::Index,
        };
        self.frames += u64::from(class == Class::Frame);
        self.blocks += u64::from(class == Class::Block);
        if found.fault.is_some() {
            class = Class::Unsound;
            self.unsound += 1;
        } else if class == Class::Block {
            self.records += u64::from(header.records.get());
        }
        self.draw(class, header.offset.get().into(), found.entry.end().into());
    }

    /// Compares what was seen with what footer and index say.
    pub(crate) fn finish(&mut self, ends: &Ends) {
        if let Some(Ok(footer)) = &ends.footer
            && footer.records.get() != self.records
        {
            self.faults.push(format!(
                "footer: tells of {} records in blocks, and {} were found",
                footer.records, self.records
            ));
        }
        if let Some(indexed) = ends.blocks_indexed()
            && indexed != self.blocks
        {
            self.faults
                .push(format!("index: tells of {indexed} blocks, and {} were found", self.blocks));
        }
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.unsound == 0 && self.faults.is_empty()
    }

    fn draw(&mut self, class: Class, from: u64, to: u64) {
        let bytes = self.bytes.max(1);
        let to = to.min(bytes);
        let cell = |at: u64| (u128::from(at) * CELLS as u128 / u128::from(bytes)) as usize;
        let border =
            |cell: usize| (cell as u128 * u128::from(bytes)).div_ceil(CELLS as u128) as u64;
        if from >= to {
            return;
        }
        for index in cell(from)..=cell(to - 1) {
            let held = to.min(border(index + 1)).saturating_sub(from.max(border(index)));
            if let Some(count) = self.cells.get_mut(index).and_then(|c| c.get_mut(class as usize)) {
                *count += held.max(1);
            }
        }
    }

    /// The file as one line, and what its characters mean.
    pub(crate) fn picture(&self) -> (String, String) {
        let mut used = [false; DRAWN.len()];
        let mut line = String::new();
        for cell in &self.cells {
            let unsound = Class::Unsound as usize;
            let is_unsound = cell.get(unsound).is_some_and(|&bytes| bytes > 0);
            let most = cell.iter().enumerate().max_by_key(|&(_, bytes)| *bytes);
            let class = if is_unsound { unsound } else { most.map_or(0, |(class, _)| class) };
            if let (Some(used), Some((drawn, _))) = (used.get_mut(class), DRAWN.get(class)) {
                *used = true;
                line.push(*drawn);
            }
        }
        let used = DRAWN.iter().zip(used).filter(|(_, used)| *used);
        let legend: Vec<String> =
            used.map(|((drawn, name), _)| format!("{drawn} {name}")).collect();
        (line, legend.join("   "))
    }
}
