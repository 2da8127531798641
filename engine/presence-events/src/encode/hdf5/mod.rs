//! HDF5 in the layouts of Prophesee and of DSEC.
//!
//! # Invariants
//! - The file is in memory, as it is packed, until [`Encoder::finish`] gives it out: its first
//!   bytes say where the last ones are.
//! - What readers find is what was written: DSEC has times that do not fall and lie within 32 bits
//!   of the first; ECF has times that do not fall, and pixels below 2,048.

mod ecf;
mod file;

use self::file::{File, Message, Stored, attribute, compound, number, space};
use super::{EncodeOptions, Encoder, misfit};
use crate::batch::{Event, EventBatch, SensorSize};
use crate::error::{EventError, Result};
use crate::output::Trigger;

/// Events of a chunk, as the tools of Prophesee have it.
const CHUNK_ROWS: usize = 16_384;
const DEFLATE_LEVEL: u8 = 4;
/// The step of the index of times of Prophesee. It ends where it would have more steps than these
/// for each event and so many more: a gap in time is no reason for a large file.
const INDEX_US: i64 = 2_000;
const INDEX_STEPS: u64 = 4;
const INDEX_STEPS_FREE: u64 = 1_024;
const ECF: u16 = 0x8ECF;

/// Which datasets an HDF5 file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hdf5Layout {
    /// `CD/events` and `CD/indexes`, `EXT_TRIGGER/events` where there are triggers.
    #[default]
    Prophesee,
    /// `events/{x,y,t,p}`, `ms_to_idx` and `t_offset`.
    Dsec,
}

/// What chunks of HDF5 are packed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChunkCompression {
    /// Nothing.
    None,
    /// Shuffled and deflated, which every reader of HDF5 can undo.
    #[default]
    Deflate,
    /// ECF of Prophesee, in its layout alone; the maker's tools have it, others need a plugin.
    Ecf,
}

/// A dataset in chunks that grows.
#[derive(Debug, Default)]
struct Column {
    element: usize,
    rows: u64,
    chunk: Vec<u8>,
    chunks: Vec<Stored>,
}

/// A writer of HDF5.
#[derive(Debug)]
pub(super) struct Hdf5Encoder {
    layout: Hdf5Layout,
    compression: ChunkCompression,
    size: Option<SensorSize>,
    file: File,
    /// The structs of Prophesee, or x, y, t, p.
    columns: Vec<Column>,
    /// Of the chunk that grows, for ECF.
    events: Vec<Event>,
    triggers: Vec<u8>,
    first: Option<i64>,
    last: i64,
    count: u64,
    /// For each step of time the first event at it or behind it.
    index: Vec<u64>,
    has_whole_index: bool,
    /// Events of a chunk.
    chunk_rows: usize,
    is_done: bool,
}

impl Hdf5Encoder {
    pub(super) fn new(options: &EncodeOptions) -> Result<Self> {
        let (layout, compression) = (options.hdf5_layout, options.hdf5_compression);
        if (layout, compression) == (Hdf5Layout::Dsec, ChunkCompression::Ecf) {
            return Err(EventError::invalid("ECF packs the layout of Prophesee alone"));
        }
        let elements: &[usize] = match layout {
            Hdf5Layout::Prophesee => &[16],
            Hdf5Layout::Dsec => &[2, 2, 4, 1],
        };
        let column = |&element| Column { element, ..Column::default() };
        Ok(Self {
            layout,
            compression,
            size: options.sensor_size,
            file: File::default(),
            columns: elements.iter().map(column).collect(),
            events: Vec::new(),
            triggers: Vec::new(),
            first: None,
            last: i64::MIN,
            count: 0,
            index: Vec::new(),
            has_whole_index: true,
            chunk_rows: CHUNK_ROWS,
            is_done: false,
        })
    }

    /// Looks whether an event fits, and enters it into the index of times.
    fn enter(&mut self, event: Event) -> Result<()> {
        let first = *self.first.get_or_insert(event.t);
        let is_dsec = self.layout == Hdf5Layout::Dsec;
        let is_ecf = self.compression == ChunkCompression::Ecf;
        if (is_dsec || is_ecf) && event.t < self.last {
            return Err(misfit("time", event.t, "it falls, which DSEC and ECF do not have"));
        }
        if is_ecf && event.x.max(event.y) >= 2048 {
            return Err(misfit("a pixel of", event.x.max(event.y), "ECF has 11 bits"));
        }
        let (origin, step) = match self.layout {
            Hdf5Layout::Prophesee => {
                (first.div_euclid(INDEX_US).saturating_mul(INDEX_US), INDEX_US)
            }
            Hdf5Layout::Dsec => (first, 1_000),
        };
        let since = event.t.checked_sub(origin);
        if is_dsec && since.is_none_or(|since| u32::try_from(since).is_err()) {
            return Err(misfit("time", event.t, "DSEC has 32 bits behind the first time"));
        }
        let steps = since.map_or(0, |since| since.div_euclid(step).saturating_add(1).max(0));
        let steps = usize::try_from(steps).unwrap_or(usize::MAX);
        let room = self.count.saturating_mul(INDEX_STEPS).saturating_add(INDEX_STEPS_FREE);
        self.has_whole_index &= is_dsec || steps as u64 <= room;
        if steps > self.index.len() && self.has_whole_index {
            self.index.resize(steps, self.count);
        }
        self.last = event.t;
        self.count += 1;
        Ok(())
    }

    fn push(&mut self, event: Event) {
        let Event { t, x, y, polarity } = event;
        match self.columns.as_mut_slice() {
            [all] => {
                all.chunk.extend_from_slice(&x.to_le_bytes());
                all.chunk.extend_from_slice(&y.to_le_bytes());
                all.chunk.extend_from_slice(&[polarity, 0, 0, 0]);
                all.chunk.extend_from_slice(&t.to_le_bytes());
            }
            [xs, ys, ts, ps] => {
                let since = t.wrapping_sub(self.first.unwrap_or(0));
                xs.chunk.extend_from_slice(&x.to_le_bytes());
                ys.chunk.extend_from_slice(&y.to_le_bytes());
                ts.chunk.extend_from_slice(&(since as u32).to_le_bytes());
                ps.chunk.push(polarity);
            }
            _ => {}
        }
        if self.compression == ChunkCompression::Ecf {
            self.events.push(event);
        }
        self.columns.iter_mut().for_each(|column| column.rows += 1);
    }

    /// Packs and puts the chunks that grew. What a last one lacks is zeros; in ECF, which knows how
    /// many events it has, nothing.
    fn flush(&mut self) {
        for column in &mut self.columns {
            column.chunk.resize(self.chunk_rows * column.element, 0);
            let packed = match self.compression {
                ChunkCompression::None => std::mem::take(&mut column.chunk),
                ChunkCompression::Deflate => {
                    let shuffled = shuffled(&column.chunk, column.element);
                    miniz_oxide::deflate::compress_to_vec_zlib(&shuffled, DEFLATE_LEVEL)
                }
                ChunkCompression::Ecf => ecf::compress(&self.events),
            };
            column.chunk.clear();
            let address = self.file.put(&packed);
            column.chunks.push(Stored { address, bytes: packed.len() as u32 });
        }
        self.events.clear();
    }

    fn count_in_chunk(&self) -> usize {
        self.columns.first().map_or(0, |column| column.chunk.len() / column.element)
    }

    /// The header of a dataset in chunks.
    fn chunked(&mut self, column: &Column, kind: Vec<u8>) -> u64 {
        let tree = self.file.tree_of_chunks(&column.chunks, self.chunk_rows as u64);
        let mut layout = vec![3, 2, 2];
        layout.extend_from_slice(&tree.to_le_bytes());
        layout.extend_from_slice(&(self.chunk_rows as u32).to_le_bytes());
        layout.extend_from_slice(&(column.element as u32).to_le_bytes());
        let mut messages = vec![
            space(Some(column.rows), true),
            Message(0x03, kind),
            Message(0x05, vec![2, 3, 2, 1, 0, 0, 0, 0]),
            Message(0x08, layout),
        ];
        let element = column.element as u32;
        let filters: &[(u16, &[u32])] = match self.compression {
            ChunkCompression::None => &[],
            ChunkCompression::Deflate => &[(2, &[element]), (1, &[DEFLATE_LEVEL as u32])],
            ChunkCompression::Ecf => &[(ECF, &[])],
        };
        if !filters.is_empty() {
            let mut data = vec![1, filters.len() as u8, 0, 0, 0, 0, 0, 0];
            for (id, values) in filters {
                for number in [*id, 0, 1, values.len() as u16] {
                    data.extend_from_slice(&number.to_le_bytes());
                }
                values.iter().for_each(|value| data.extend_from_slice(&value.to_le_bytes()));
                data.resize(data.len().next_multiple_of(8), 0);
            }
            messages.push(Message(0x0B, data));
        }
        self.file.object(&messages)
    }

    /// The header of a dataset in one piece.
    fn contiguous(&mut self, kind: Vec<u8>, rows: Option<u64>, bytes: &[u8]) -> u64 {
        let address = if bytes.is_empty() { u64::MAX } else { self.file.put(bytes) };
        let mut layout = vec![3, 1];
        layout.extend_from_slice(&address.to_le_bytes());
        layout.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        let fill = Message(0x05, vec![2, 2, 2, 1, 0, 0, 0, 0]);
        let messages = [space(rows, false), Message(0x03, kind), fill, Message(0x08, layout)];
        self.file.object(&messages)
    }

    fn prophesee(&mut self) -> u64 {
        let columns = std::mem::take(&mut self.columns);
        let kind = compound(
            16,
            &[("x", 0, 2, false), ("y", 2, 2, false), ("p", 4, 2, true), ("t", 8, 8, true)],
        );
        let mut members: Vec<(&str, u64)> = Vec::new();
        for column in &columns {
            members.push(("events", self.chunked(column, kind.clone())));
        }
        let origin = self.first.unwrap_or(0).div_euclid(INDEX_US).saturating_mul(INDEX_US);
        let index = std::mem::take(&mut self.index);
        let times = (0..).map(|step: i64| origin.saturating_add(step * INDEX_US));
        let rows =
            index.iter().zip(times).flat_map(|(id, ts)| [id.to_le_bytes(), ts.to_le_bytes()]);
        let bytes: Vec<u8> = rows.flatten().collect();
        let kind = compound(16, &[("id", 0, 8, false), ("ts", 8, 8, true)]);
        members.push(("indexes", self.contiguous(kind, Some(index.len() as u64), &bytes)));
        let events = self.file.group(&members, Vec::new());
        let mut links = vec![("CD", events)];
        if !self.triggers.is_empty() {
            let bytes = std::mem::take(&mut self.triggers);
            let kind = compound(24, &[("p", 0, 2, true), ("t", 8, 8, true), ("id", 16, 2, true)]);
            let triggers = self.contiguous(kind, Some(bytes.len() as u64 / 24), &bytes);
            links.push(("EXT_TRIGGER", self.file.group(&[("events", triggers)], Vec::new())));
        }
        let mut attributes = vec![attribute("source", "presence")];
        if let Some(SensorSize { width, height }) = self.size {
            attributes.push(attribute("geometry", &format!("{width}x{height}")));
        }
        if self.compression == ChunkCompression::Ecf {
            attributes.push(attribute("format", "ECF"));
        }
        self.file.group(&links, attributes)
    }

    fn dsec(&mut self) -> u64 {
        let columns = std::mem::take(&mut self.columns);
        let mut members = Vec::new();
        for (name, column) in ["x", "y", "t", "p"].into_iter().zip(&columns) {
            members.push((name, self.chunked(column, number(column.element as u8, false))));
        }
        let events = self.file.group(&members, Vec::new());
        let index = std::mem::take(&mut self.index);
        let bytes: Vec<u8> = index.iter().flat_map(|first| first.to_le_bytes()).collect();
        let index = self.contiguous(number(8, false), Some(index.len() as u64), &bytes);
        let offset = self.first.unwrap_or(0).to_le_bytes();
        let offset = self.contiguous(number(8, true), None, &offset);
        let links = [("events", events), ("ms_to_idx", index), ("t_offset", offset)];
        let geometry = self.size.map(|SensorSize { width, height }| format!("{width}x{height}"));
        let geometry = geometry.map(|text| attribute("geometry", &text));
        self.file.group(&links, geometry.into_iter().collect())
    }
}

/// Bytes of elements, place by place.
fn shuffled(data: &[u8], element: usize) -> Vec<u8> {
    (0..element).flat_map(|place| data.iter().skip(place).step_by(element).copied()).collect()
}

impl Encoder for Hdf5Encoder {
    fn encode(&mut self, events: &EventBatch, _: &mut Vec<u8>) -> Result<()> {
        for event in events.iter() {
            self.enter(event)?;
            self.push(event);
            if self.count_in_chunk() == CHUNK_ROWS {
                self.flush();
            }
        }
        Ok(())
    }

    fn trigger(&mut self, trigger: Trigger, _: &mut Vec<u8>) -> Result<()> {
        if self.layout == Hdf5Layout::Dsec {
            return Err(EventError::invalid("the layout of DSEC has no triggers"));
        }
        self.triggers.extend_from_slice(&u64::from(trigger.value).to_le_bytes());
        self.triggers.extend_from_slice(&trigger.t.to_le_bytes());
        self.triggers.extend_from_slice(&u64::from(trigger.id).to_le_bytes());
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        if std::mem::replace(&mut self.is_done, true) {
            return Ok(());
        }
        let last = self.count_in_chunk();
        if last > 0 {
            // One chunk is no longer than it must be.
            if self.count < CHUNK_ROWS as u64 {
                self.chunk_rows = last;
            }
            self.flush();
        }
        let root = match self.layout {
            Hdf5Layout::Prophesee => self.prophesee(),
            Hdf5Layout::Dsec => self.dsec(),
        };
        out.extend(std::mem::take(&mut self.file).finish(root));
        Ok(())
    }
}
