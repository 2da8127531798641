//! MOT challenge text: one detection a line, as records of one schema for all its variants.
//!
//! # Invariants
//! - The schema is the same for ground truth (9 fields), detections and results (10 fields) and
//!   shorter lines (7, or 8 with a class); what a variant lacks is -1 for the class and NaN for
//!   visibility and world coordinates.
//! - Values are `f64`: whatever decimals the text has survive.

use presence_format::{Column, DType, FormatError, Order, Rate, Schema};

use crate::fault::Fault;
use crate::frames::FrameClock;
use crate::lines::Fields;
use crate::mot_frame::MotDetection;
use crate::options::Options;

/// Names of the fields, for messages; the last three mean `class, visibility` in lines of 9.
const FIELDS: [&str; 10] = [
    "frame",
    "id",
    "left",
    "top",
    "width",
    "height",
    "confidence",
    "x or class",
    "y or visibility",
    "z",
];

/// The parser of MOT lines.
#[derive(Debug)]
pub(crate) struct Mot {
    pub(crate) clock: FrameClock,
    /// Whether a line of 8 or 9 fields, and so a class, was seen.
    pub(crate) has_classes: bool,
}

impl Mot {
    /// The parser and its notes. Frames count from 1, at 30 a second by default.
    pub(crate) fn new(options: &Options) -> (Self, Vec<String>) {
        let (clock, note) = FrameClock::new(options, Rate::whole(30), 1);
        (Self { clock, has_classes: false }, vec![note])
    }

    /// The schema: `frame`, `track_id`, the box in pixels, `confidence`, `class_id`, `visibility`
    /// and `world`.
    pub(crate) fn schema() -> Result<Schema, FormatError> {
        let f64 = |name| Column::scalar(name, DType::F64);
        let schema = Schema::new(vec![
            Column::scalar("frame", DType::U32),
            Column::scalar("track_id", DType::I64),
            f64("left"),
            f64("top"),
            f64("width"),
            f64("height"),
            f64("confidence"),
            Column::scalar("class_id", DType::I32),
            f64("visibility"),
            Column::new("world", DType::F64, &[3]),
        ])?;
        Ok(schema.with_order(Order::NonDecreasing))
    }

    pub(crate) fn field_names() -> Vec<String> {
        FIELDS.iter().map(|&name| name.to_owned()).collect()
    }

    /// Appends the record to `rows`, in the layout of [`crate::rows`]; returns its time.
    pub(crate) fn parse(&mut self, fields: Fields<'_>, rows: &mut Vec<u8>) -> Result<i64, Fault> {
        let found = MotDetection::parse(fields)?;
        let (frame, time) = self.clock.read(fields.get(0), 0)?;
        rows.extend_from_slice(&time.to_le_bytes());
        rows.extend_from_slice(&frame.to_le_bytes());
        rows.extend_from_slice(&found.track_id.to_le_bytes());
        let boxed = [found.left, found.top, found.width, found.height, found.confidence];
        for value in boxed {
            rows.extend_from_slice(&value.to_le_bytes());
        }
        rows.extend_from_slice(&found.class_id.to_le_bytes());
        rows.extend_from_slice(&found.visibility.to_le_bytes());
        for value in found.world {
            rows.extend_from_slice(&value.to_le_bytes());
        }
        self.has_classes |= matches!(fields.len(), 8 | 9);
        Ok(time)
    }
}
