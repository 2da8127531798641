//! Rows of detections as updates of a presence track: what is fed beside the stream.
//!
//! # Invariants
//! - A frame is a tick: its number decides, never the stream's timestamp, which is rounded to a
//!   microsecond and so may lie just before the tick.
//! - Every frame that a row names is observed, also where no row of it is sure enough.
//! - A batch of records becomes one update, whole or not at all.

use std::collections::HashMap;
use std::ops::Range;

use presence::{Batch, Database, Error, Grid, PresenceTrack, Rate, Schema};
use presence_ingest::{Description, Format, Frames};

use presence_cli::failure::{Failure, Result};
use presence_cli::quantity::{count, counted};

/// The class of files that tell none.
const OBJECT: (u16, &str) = (0, "object");

/// What the track of a file is to be, before there is one.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) grid: Grid,
    first_frame: u32,
    threshold: f64,
    columns: Columns,
    /// Numbers and names, as the file has them.
    classes: Vec<(u16, String)>,
}

/// Where in a record the parts of a detection are.
#[derive(Debug, Clone, Copy)]
struct Columns {
    frame: usize,
    class: usize,
    confidence: usize,
    /// MOT has classes of 4 bytes, -1 where there is none; KITTI of 2.
    class_bytes: usize,
    /// KITTI has no score where it is a label: nobody doubts it.
    is_sure_without: bool,
}

/// A track being filled.
#[derive(Debug)]
pub(crate) struct Sightings {
    track: PresenceTrack,
    plan: Plan,
    /// The track's numbers of classes that have another one in the file.
    renumbered: HashMap<u16, u16>,
    moments: Vec<(i64, Range<usize>)>,
    seen: Vec<(u16, f32)>,
    /// Records that were sure enough.
    kept: u64,
    /// Records whose class has a number that no track can hold.
    unheld: u64,
}

impl Columns {
    fn of(schema: &Schema, format: Format) -> Option<Self> {
        let column = |name: &str| schema.columns().iter().position(|one| one.name() == name);
        let class = column("class_id")?;
        let (confidence, is_sure_without) = match format {
            Format::Mot => (column("confidence")?, false),
            Format::Kitti => (column("score")?, true),
            _ => return None,
        };
        let class_bytes = schema.columns().get(class)?.dtype().bytes();
        Some(Self { frame: column("frame")?, class, confidence, class_bytes, is_sure_without })
    }

    /// Frame, class and confidence of record `index`; -1 is no class.
    fn read(&self, batch: &Batch, index: usize) -> Option<(u32, i32, f64)> {
        let bytes = |column: usize, size: usize| {
            batch.columns.get(column)?.bytes().get(index * size..(index + 1) * size)
        };
        let frame = u32::from_le_bytes(bytes(self.frame, 4)?.try_into().ok()?);
        let class = bytes(self.class, self.class_bytes)?;
        let class = match self.class_bytes {
            2 => i32::from(u16::from_le_bytes(class.try_into().ok()?)),
            _ => i32::from_le_bytes(class.try_into().ok()?),
        };
        let confidence = f64::from_le_bytes(bytes(self.confidence, 8)?.try_into().ok()?);
        Some((frame, class, confidence))
    }
}

impl Plan {
    /// The plan for what `description` tells of; `None` of files without frames.
    pub(crate) fn new(description: &Description, threshold: f64) -> Option<Self> {
        let columns = Columns::of(&description.schema, description.format);
        let (Frames { rate, first }, columns) = description.frames.zip(columns)?;
        let mut classes = description.classes.clone();
        if classes.is_empty() {
            classes.push((OBJECT.0, OBJECT.1.to_owned()));
        }
        let grid = Grid::new(rate, 0);
        Some(Self { grid, first_frame: first, threshold, columns, classes })
    }

    /// Whether the track called `name`, where there is one, can take the records.
    ///
    /// # Errors
    /// Where it has another grid.
    pub(crate) fn check(&self, db: &Database, name: &str) -> Result<()> {
        let Ok(track) = db.track(name) else { return Ok(()) };
        let (theirs, ours) = (track.grid(), self.grid);
        if theirs == ours {
            return Ok(());
        }
        Err(Failure::usage(format!(
            "track {name:?} exists already, at {} ticks a second from {}; the records to import \
             have {} from {}: give the right --frame-rate, another name with --stream, or \
             --no-track",
            theirs.rate(),
            theirs.epoch_us(),
            ours.rate(),
            ours.epoch_us()
        )))
    }

    /// The track called `name`, made where there is none, with the classes of the file.
    ///
    /// # Errors
    /// As [`Database::create_track`] and [`PresenceTrack::class`].
    pub(crate) fn begin(self, db: &Database, name: &str) -> Result<Sightings> {
        let track = match db.track(name) {
            Err(Error::NoSuchTrack { .. }) => db.create_track(name, self.grid)?,
            found => found?,
        };
        let taken: Vec<u16> = track.classes().iter().map(|class| class.id).collect();
        let mut renumbered = HashMap::new();
        for (number, class) in &self.classes {
            let id = match track.class_named(class) {
                Some(id) => id,
                // Keeps its number where that is free.
                None if !taken.contains(number) => {
                    track.name_class(*number, class)?;
                    *number
                }
                None => track.class(class)?,
            };
            if id != *number {
                renumbered.insert(*number, id);
            }
        }
        let (moments, seen) = (Vec::new(), Vec::new());
        Ok(Sightings { track, plan: self, renumbered, moments, seen, kept: 0, unheld: 0 })
    }
}

impl Sightings {
    /// Sets what the records of `batch` tell of.
    ///
    /// # Errors
    /// As [`PresenceTrack::update_many`].
    pub(crate) fn put(&mut self, batch: &Batch) -> Result<()> {
        self.moments.clear();
        self.seen.clear();
        let mut last = None;
        for index in 0..batch.len() {
            let Some((frame, class, confidence)) = self.plan.columns.read(batch, index) else {
                return Err(Failure::cannot("a record has no frame, class or confidence"));
            };
            if last != Some(frame) {
                last = Some(frame);
                let tick = i64::from(frame) - i64::from(self.plan.first_frame);
                let at = self.seen.len();
                self.moments.push((self.plan.grid.start_us(tick)?, at..at));
            }
            let is_sure = if confidence.is_nan() {
                self.plan.columns.is_sure_without
            } else {
                confidence >= self.plan.threshold
            };
            let Some(class) = self.number(class) else {
                self.unheld += 1;
                continue;
            };
            if is_sure {
                self.kept += 1;
                self.seen.push((class, 1.0));
                if let Some((_, range)) = self.moments.last_mut() {
                    range.end = self.seen.len();
                }
            }
        }
        let seen = |range: &Range<usize>| self.seen.get(range.clone()).unwrap_or_default();
        let updates: Vec<(i64, &[(u16, f32)])> =
            self.moments.iter().map(|(t_us, range)| (*t_us, seen(range))).collect();
        // The comparison was made above, on the decimals of the file.
        Ok(self.track.update_many(&updates, 0.5)?)
    }

    /// The track's number of a class of the file.
    fn number(&self, class: i32) -> Option<u16> {
        let number = if class < 0 { OBJECT.0 } else { u16::try_from(class).ok()? };
        Some(self.renumbered.get(&number).copied().unwrap_or(number))
    }

    /// What became of the records.
    pub(crate) fn end(self) -> Filled {
        Filled {
            name: self.track.name().to_owned(),
            rate: self.plan.grid.rate(),
            threshold: self.plan.threshold,
            kept: self.kept,
            unheld: self.unheld,
        }
    }
}

/// A track that was filled.
#[derive(Debug)]
pub(crate) struct Filled {
    pub(crate) name: String,
    pub(crate) rate: Rate,
    pub(crate) threshold: f64,
    /// Records that were sure enough.
    pub(crate) kept: u64,
    /// Records whose class has a number that no track can hold.
    pub(crate) unheld: u64,
}

impl Filled {
    /// In one line, of a file of so many records.
    pub(crate) fn described(&self, records: u64) -> String {
        let (name, rate, threshold) = (&self.name, self.rate, self.threshold);
        let mut text = format!(
            "track {name:?} at {rate} ticks a second: {} of {} with a confidence of at least \
             {threshold}",
            count(self.kept),
            counted(records, "record"),
        );
        if self.unheld > 0 {
            let unheld = counted(self.unheld, "record");
            text.push_str(&format!("; {unheld} of classes above 65535 left out"));
        }
        text
    }
}
