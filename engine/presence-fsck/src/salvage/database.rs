//! The copy: a new database of what a survey found.
//!
//! # Invariants
//! - Pieces of tracks that cannot be made again, and of streams that no catalog tells of, are told
//!   one by one.
//! - Where the source is one segment alone, what is missing at its ends is not lost.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use presence::device::Device;
use presence::{Database, Schema};
use presence_format::block::BlockLayout;
use presence_format::frame::Section;

use super::copy::Copy;
use super::source::Source;
use super::survey::Survey;
use super::tracks::{self, PlaneCopy};
use super::units::{self, Rank, Unit};
use super::{Error, Salvaged};
use crate::Progress;
use crate::intervals::{Interval, Intervals};
use crate::planes::describe;

impl Survey {
    /// Writes the copy.
    pub(super) fn copy(
        mut self,
        device: &dyn Device,
        out: Arc<dyn Device>,
        is_alone: bool,
        progress: &mut dyn FnMut(Progress) -> bool,
    ) -> Result<Salvaged, Error> {
        if self.streams.is_empty() {
            return Err(Error::Nothing { path: self.salvaged.source });
        }
        let layouts: BTreeMap<u32, usize> = self
            .streams
            .iter()
            .map(|(&id, stream)| (id, BlockLayout::new(&stream.entry.schema).record_bytes()))
            .collect();
        let sizes = |id: u32| layouts.get(&id).copied();
        let files = std::mem::take(&mut self.files);
        let mut source = Source::new(device, &files, &sizes);
        let mut units = std::mem::take(&mut self.blocks);
        self.add_frames(&mut source, &mut units)?;
        let db = Database::create_on(out, writing_options())?;
        let all = units.iter().map(|unit| u64::from(unit.records)).sum::<u64>();
        let mut done = 0;
        let mut sorted = units::sorted(units);
        let start = (self.retained_from <= 1 && !is_alone).then_some(0);
        let mut names = HashSet::new();
        for (&id, stream) in &self.streams {
            let name = unique(&stream.entry.name, id, &mut names);
            let schema: &Schema = &stream.entry.schema;
            if let Some(plane) = schema.plane() {
                let units = sorted.remove(&id).unwrap_or_default();
                done += units.iter().map(|unit| u64::from(unit.records)).sum::<u64>();
                let indexed = self.indexed.remove(&id).unwrap_or_default();
                let (name, layout) = (&stream.entry.name, BlockLayout::new(schema));
                let copy = PlaneCopy { id, name, plane, layout, indexed };
                match tracks::track(&db, plane) {
                    Ok(track) => copy.take(&track, &mut source, &units, &mut self.salvaged)?,
                    Err(error) => {
                        let what = format!("{}: {error}", describe(plane));
                        for unit in units {
                            self.salvaged.refuse(source.name(unit.file), unit.at, &what);
                        }
                        continue;
                    }
                }
                self.salvaged.streams += 1;
                if !progress(Progress { done: all + done, all: 2 * all }) {
                    return Err(Error::Interrupted);
                }
                continue;
            }
            let made = db.create_stream(&name, schema.clone())?;
            let mut copy = Copy::new(&name, id, schema, made.column_writer()?, start);
            for unit in sorted.remove(&id).unwrap_or_default() {
                copy.take(&mut source, &unit, &mut self.salvaged)?;
                done += u64::from(unit.records);
                if !progress(Progress { done: all + done, all: 2 * all }) {
                    return Err(Error::Interrupted);
                }
            }
            if !is_alone {
                copy.end(stream.counted, &mut self.salvaged);
            }
            if stream.entry.finished {
                copy.writer.finish()?;
            }
            self.salvaged.streams += 1;
        }
        for (id, units) in sorted {
            let what = format!("records of stream {id}, which no sound catalog tells of");
            for unit in units {
                self.salvaged.refuse(source.name(unit.file), unit.at, &what);
            }
        }
        db.flush(presence::Level::Disk)?;
        db.close()?;
        Ok(self.salvaged)
    }

    /// Adds what frames hold and no block does.
    fn add_frames(&self, source: &mut Source<'_>, units: &mut Vec<Unit>) -> Result<(), Error> {
        let mut covered: BTreeMap<u32, Intervals> = BTreeMap::new();
        for unit in units.iter() {
            covered.entry(unit.stream).or_default().insert(interval(unit));
        }
        for &(file, at, in_place) in &self.frames {
            let sizes = source.sizes;
            let name = source.name(file).to_owned();
            let payload = source
                .bytes(file)
                .and_then(|bytes| {
                    let len = bytes.get(at + 48, 4)?.first_chunk::<4>().copied();
                    bytes.get_padded(at + 64, len.map_or(0, u32::from_le_bytes) as usize)
                })
                .map_err(|error| Error::read(&name, error))?;
            let mut rest = payload;
            while let Ok((section, later)) = Section::decode(rest, sizes) {
                rest = later;
                let unit = Unit {
                    stream: section.stream,
                    first_sequence: section.first_sequence,
                    records: section.records,
                    file,
                    at,
                    rank: if in_place { Rank::Frame } else { Rank::Displaced },
                };
                let known = covered.entry(unit.stream).or_default();
                if !known.contains(unit.first_sequence, unit.end_sequence()) {
                    units.push(unit);
                }
                if rest.is_empty() {
                    break;
                }
            }
        }
        Ok(())
    }
}

fn interval(unit: &Unit) -> Interval {
    Interval { from: unit.first_sequence, to: unit.end_sequence(), first_ts: 0, last_ts: 0 }
}

fn writing_options() -> presence::Options {
    let mut options = presence::Options::default();
    options.background = false;
    // Nothing is read from the copy while it is written.
    options.cache_bytes = 1 << 20;
    options
}

/// A name that no stream of the copy has yet.
fn unique(name: &str, id: u32, names: &mut HashSet<String>) -> String {
    let mut name = name.to_owned();
    if names.contains(&name) {
        let mut short = name.clone();
        while short.len() > 230 {
            short.pop();
        }
        name = format!("{short} (stream {id})");
    }
    names.insert(name.clone());
    name
}
