//! Frames of MOT detections from a database into which they were imported: the same that
//! [`MotFile`](presence_ingest::MotFile) reads from the text.
//!
//! # Invariants
//! - A frame is found by its time, which follows from its number between those of the first and the
//!   last record, and told from its neighbours by its number.

use std::sync::Arc;

use presence::{Error, Record, Result, Slice, Stream, TypedStream};
use presence_cache::Provider;
use presence_ingest::{MotDetection, MotFrame};

/// A time may be rounded by half a microsecond, as are the two it is computed from.
const TOLERANCE: i64 = 2;

/// One record of an import of MOT text.
#[derive(Debug, Clone, Copy, PartialEq, Record)]
struct Imported {
    frame: u32,
    track_id: i64,
    left: f64,
    top: f64,
    width: f64,
    height: f64,
    confidence: f64,
    class_id: i32,
    visibility: f64,
    world: [f64; 3],
}

/// A stream of imported detections.
#[derive(Debug, Clone)]
pub struct MotDatabase {
    stream: TypedStream<Imported>,
    /// Time and frame of the first record and of the last.
    ends: Option<[(i64, u32); 2]>,
}

impl MotDatabase {
    /// The frames that `stream` holds.
    ///
    /// # Errors
    /// [`Error::SchemaMismatch`] where it was not imported from MOT text, and failures to read.
    pub fn new(stream: &Stream) -> Result<Self> {
        let typed = stream.typed::<Imported>()?;
        let ends = match (stream.window(..)?.slices().next().transpose()?, stream.last()?) {
            (Some(first), Some(last)) => {
                let of = |record: Option<(i64, Imported)>| {
                    let record = record.ok_or_else(|| no_frame(stream))?;
                    Ok::<_, Error>((record.0, record.1.frame))
                };
                let time = first.timestamps().first().copied().unwrap_or_default();
                Some([of(typed.at(time)?)?, of(typed.at(last.ts())?)?])
            }
            _ => None,
        };
        Ok(Self { stream: typed, ends })
    }

    /// Numbers of the first and the last frame.
    pub fn range(&self) -> Option<(u32, u32)> {
        self.ends.map(|[(_, first), (_, last)]| (first, last))
    }

    /// About when frame `number` was.
    fn time(&self, number: u32) -> Option<i64> {
        let [(from_ts, from), (to_ts, to)] = self.ends?;
        let steps = i128::from(to) - i128::from(from);
        let step = i128::from(number) - i128::from(from);
        let time = (i128::from(to_ts) - i128::from(from_ts)) * step;
        let time = if steps == 0 { 0 } else { (time + steps / 2).div_euclid(steps) };
        i64::try_from(i128::from(from_ts) + time).ok()
    }

    /// Frame `number`; one without detections where there is none of it.
    ///
    /// # Errors
    /// Failures to read, and damage.
    pub fn frame(&self, number: u32) -> Result<MotFrame> {
        let mut frame = MotFrame { number, detections: Vec::new() };
        let Some(time) = self.time(number) else { return Ok(frame) };
        let window = time.saturating_sub(TOLERANCE)..=time.saturating_add(TOLERANCE);
        let window = self.stream.window(window)?;
        frame.detections.reserve_exact(window.len());
        for slice in window.slices() {
            let slice = slice?;
            let columns = Columns::of(&slice)?;
            let of_frame = columns.frame.iter().enumerate().filter(|(_, frame)| **frame == number);
            frame.detections.extend(of_frame.filter_map(|(index, _)| columns.detection(index)));
        }
        Ok(frame)
    }
}

/// The columns of [`Imported`], of some records that lie together: found once for all of them.
struct Columns<'a> {
    frame: &'a [u32],
    track_id: &'a [i64],
    /// Left, top, width, height, confidence.
    place: [&'a [f64]; 5],
    class_id: &'a [i32],
    visibility: &'a [f64],
    world: &'a [[f64; 3]],
}

impl<'a> Columns<'a> {
    fn of(slice: &'a Slice) -> Result<Self> {
        let numbers = |column| slice.column::<f64>(column);
        Ok(Self {
            frame: slice.column(0)?,
            track_id: slice.column(1)?,
            place: [numbers(2)?, numbers(3)?, numbers(4)?, numbers(5)?, numbers(6)?],
            class_id: slice.column(7)?,
            visibility: numbers(8)?,
            world: numbers(9)?.as_chunks().0,
        })
    }

    fn detection(&self, index: usize) -> Option<MotDetection> {
        let [left, top, width, height, confidence] = self.place.map(|values| values.get(index));
        Some(MotDetection {
            track_id: *self.track_id.get(index)?,
            left: *left?,
            top: *top?,
            width: *width?,
            height: *height?,
            confidence: *confidence?,
            class_id: *self.class_id.get(index)?,
            visibility: *self.visibility.get(index)?,
            world: *self.world.get(index)?,
        })
    }
}

fn no_frame(stream: &Stream) -> Error {
    Error::Invalid { what: format!("stream {:?} lost its first or last record", stream.name()) }
}

impl Provider<u32, Arc<MotFrame>> for MotDatabase {
    type Error = Error;

    fn load(&self, number: &u32) -> Result<Arc<MotFrame>> {
        self.frame(*number).map(Arc::new)
    }

    fn contains(&self, number: &u32) -> bool {
        self.range().is_some_and(|(first, last)| (first..=last).contains(number))
    }

    fn bytes(&self, _: &u32, frame: &Arc<MotFrame>) -> u64 {
        frame.bytes()
    }

    fn describe(&self, error: &Error) -> String {
        error.to_string()
    }
}
