//! KITTI tracking labels: one object a line, as records.
//!
//! # Invariants
//! - Codes of types are those of [`crate::classes`]; names the first reading did not see are
//!   malformed in the second.

use presence_format::{Column, DType, FormatError, Order, Rate, Schema};

use crate::classes::ClassTable;
use crate::fault::{Fault, Wanted};
use crate::frames::FrameClock;
use crate::lines::Fields;
use crate::number::{float, whole};
use crate::options::Options;

/// Names of the fields, for messages.
const FIELDS: [&str; 18] = [
    "frame",
    "track id",
    "type",
    "truncated",
    "occluded",
    "alpha",
    "left",
    "top",
    "right",
    "bottom",
    "height",
    "width",
    "length",
    "x",
    "y",
    "z",
    "rotation y",
    "score",
];

/// The parser of KITTI lines.
#[derive(Debug)]
pub(crate) struct Kitti {
    pub(crate) clock: FrameClock,
    pub(crate) classes: ClassTable,
    /// Whether new names are still added to the table.
    pub(crate) is_learning: bool,
}

impl Kitti {
    /// The parser and its notes. Frames count from 0, at 10 a second by default.
    pub(crate) fn new(options: &Options) -> (Self, Vec<String>) {
        let (clock, note) = FrameClock::new(options, Rate::whole(10), 0);
        (Self { clock, classes: ClassTable::kitti(), is_learning: true }, vec![note])
    }

    /// The schema: `frame`, `track_id`, `class_id` (the type's code), `truncated`, `occluded`,
    /// `alpha`, `bbox` (left, top, right, bottom in pixels), `dimensions` (height, width, length
    /// in metres), `location` (x, y, z in metres), `rotation_y`, and `score`, NaN where absent.
    pub(crate) fn schema() -> Result<Schema, FormatError> {
        let f64 = |name| Column::scalar(name, DType::F64);
        let schema = Schema::new(vec![
            Column::scalar("frame", DType::U32),
            Column::scalar("track_id", DType::I64),
            Column::scalar("class_id", DType::U16),
            f64("truncated"),
            Column::scalar("occluded", DType::I32),
            f64("alpha"),
            Column::new("bbox", DType::F64, &[4]),
            Column::new("dimensions", DType::F64, &[3]),
            Column::new("location", DType::F64, &[3]),
            f64("rotation_y"),
            f64("score"),
        ])?;
        Ok(schema.with_order(Order::NonDecreasing))
    }

    pub(crate) fn field_names() -> Vec<String> {
        FIELDS.iter().map(|&name| name.to_owned()).collect()
    }

    /// Appends the record to `rows`, in the layout of [`crate::rows`]; returns its time. On a
    /// fault `rows` may hold a part of it.
    pub(crate) fn parse(&mut self, fields: Fields<'_>, rows: &mut Vec<u8>) -> Result<i64, Fault> {
        let integer = |field: usize| {
            whole(fields.get(field)).ok_or(Fault::Cell { field, wanted: Wanted::Integer })
        };
        let number = |field: usize| {
            float(fields.get(field)).ok_or(Fault::Cell { field, wanted: Wanted::Number })
        };
        if !matches!(fields.len(), 17 | 18) {
            return Err(Fault::FieldCount { found: fields.len() });
        }
        let (frame, time) = self.clock.read(fields.get(0), 0)?;
        rows.extend_from_slice(&time.to_le_bytes());
        rows.extend_from_slice(&frame.to_le_bytes());
        rows.extend_from_slice(&integer(1)?.to_le_bytes());
        let class_at = rows.len();
        rows.extend_from_slice(&0_u16.to_le_bytes());
        rows.extend_from_slice(&number(3)?.to_le_bytes());
        let occluded = i32::try_from(integer(4)?)
            .map_err(|_| Fault::Cell { field: 4, wanted: Wanted::Integer })?;
        rows.extend_from_slice(&occluded.to_le_bytes());
        for field in 5..=16 {
            rows.extend_from_slice(&number(field)?.to_le_bytes());
        }
        let score = if fields.len() == 18 { number(17)? } else { f64::NAN };
        rows.extend_from_slice(&score.to_le_bytes());
        // Last, so that only names of sound lines enter the table.
        let class_id = self.class_id(fields.get(2))?;
        if let Some(slot) = rows.get_mut(class_at..class_at + 2) {
            slot.copy_from_slice(&class_id.to_le_bytes());
        }
        Ok(time)
    }

    fn class_id(&mut self, name: &[u8]) -> Result<u16, Fault> {
        if let Some(code) = self.classes.code(name) {
            return Ok(code);
        }
        let not_a_name = Fault::Cell { field: 2, wanted: Wanted::ClassName };
        let text = std::str::from_utf8(name).map_err(|_| not_a_name)?;
        let is_name = text.chars().next().is_some_and(char::is_alphabetic)
            && text.len() <= 255
            && !text.chars().any(char::is_control);
        if !is_name || !self.is_learning {
            return Err(not_a_name);
        }
        self.classes.code_or_insert(text).ok_or(Fault::TooManyClasses { field: 2 })
    }
}
