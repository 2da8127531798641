//! The detections of one frame of MOT text.
//!
//! # Invariants
//! - Whatever a line lacks is -1 for the class and NaN for visibility and world coordinates, as in
//!   the records of an import.

use crate::fault::{Fault, Wanted};
use crate::lines::Fields;
use crate::number::{float, whole};

/// One detection: one line of MOT text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MotDetection {
    /// The number of the object.
    pub track_id: i64,
    /// Left edge of the box in pixels.
    pub left: f64,
    /// Top edge of the box in pixels.
    pub top: f64,
    /// Width of the box in pixels.
    pub width: f64,
    /// Height of the box in pixels.
    pub height: f64,
    /// Confidence, or in ground truth whether the line counts.
    pub confidence: f64,
    /// The class; -1 where the line names none.
    pub class_id: i32,
    /// How much of the object is visible; NaN where the line does not say.
    pub visibility: f64,
    /// The place in the world; NaN where the line does not say.
    pub world: [f64; 3],
}

impl MotDetection {
    /// The detection of a line of 7 to 10 fields: `frame, id, left, top, width, height,
    /// confidence`, and then nothing, `class`, `class, visibility` or `x, y, z`.
    pub(crate) fn parse(fields: Fields<'_>) -> Result<Self, Fault> {
        let number = |field: usize| {
            float(fields.get(field)).ok_or(Fault::Cell { field, wanted: Wanted::Number })
        };
        let integer = |field: usize| {
            whole(fields.get(field)).ok_or(Fault::Cell { field, wanted: Wanted::Integer })
        };
        let class = |field: usize| {
            i32::try_from(integer(field)?)
                .map_err(|_| Fault::Cell { field, wanted: Wanted::Integer })
        };
        let (mut class_id, mut visibility, mut world) = (-1, f64::NAN, [f64::NAN; 3]);
        match fields.len() {
            7 => {}
            8 => class_id = class(7)?,
            9 => (class_id, visibility) = (class(7)?, number(8)?),
            10 => world = [number(7)?, number(8)?, number(9)?],
            found => return Err(Fault::FieldCount { found }),
        }
        Ok(Self {
            track_id: integer(1)?,
            left: number(2)?,
            top: number(3)?,
            width: number(4)?,
            height: number(5)?,
            confidence: number(6)?,
            class_id,
            visibility,
            world,
        })
    }
}

/// All detections of one frame, in the order of the file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MotFrame {
    /// The number of the frame.
    pub number: u32,
    /// Its detections; none where the frame is not in the file.
    pub detections: Vec<MotDetection>,
}

impl MotFrame {
    /// About what it takes in memory.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (size_of::<Self>() + self.detections.capacity() * size_of::<MotDetection>()) as u64
    }
}
