//! Which stream of a recording a batch belongs to.
//!
//! # Invariants
//! - A role's columns are fixed, but for frames, whose shape is that of the first.

use presence_format::{Column, DType, FormatError, Order, Schema, TimeUnit};

/// What the records of a batch are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Events: `x`, `y` (u16) and `polarity` (bool).
    Events,
    /// The sensor: one record of `width` and `height` (u16), at the time of the first event.
    Sensor,
    /// Triggers and special events: `id` and `value` (u8).
    Triggers,
    /// Samples of the inertial sensor.
    Imu,
    /// Frames: `t_end` (i64) and `pixels`, of the first frame's shape.
    Frames,
    /// Threshold crossings of an ATIS: columns as events.
    Exposures,
    /// Events with a colour: `x`, `y` (u16) and `rgb` (three u8).
    Colors,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Events,
        Self::Sensor,
        Self::Triggers,
        Self::Imu,
        Self::Frames,
        Self::Exposures,
        Self::Colors,
    ];

    /// What stands behind the name of the events' stream in the name of this one: `.triggers`.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Events => "",
            Self::Sensor => ".sensor",
            Self::Triggers => ".triggers",
            Self::Imu => ".imu",
            Self::Frames => ".frames",
            Self::Exposures => ".exposures",
            Self::Colors => ".colors",
        }
    }

    /// The columns of the stream; `pixels` is the shape and type of frames.
    pub(super) fn schema(self, pixels: Option<&Column>) -> Result<Schema, FormatError> {
        let u16 = |name| Column::scalar(name, DType::U16);
        let u8 = |name| Column::scalar(name, DType::U8);
        let triple = |name| Column::new(name, DType::F32, &[3]);
        let columns = match self {
            Self::Events | Self::Exposures => {
                vec![u16("x"), u16("y"), Column::scalar("polarity", DType::Bool)]
            }
            Self::Sensor => vec![u16("width"), u16("height")],
            Self::Triggers => vec![u8("id"), u8("value")],
            Self::Imu => vec![
                triple("acceleration"),
                triple("rotation"),
                triple("magnetism"),
                Column::scalar("temperature", DType::F32),
                Column::scalar("is_raw", DType::Bool),
            ],
            Self::Frames => {
                let pixels = pixels.cloned();
                let pixels = pixels.unwrap_or_else(|| Column::new("pixels", DType::U8, &[1, 1]));
                vec![Column::scalar("t_end", DType::I64), pixels]
            }
            Self::Colors => vec![u16("x"), u16("y"), Column::new("rgb", DType::U8, &[3])],
        };
        let schema = Schema::new(columns)?;
        Ok(schema.with_time_unit(TimeUnit::Us).with_order(Order::NonDecreasing))
    }
}
