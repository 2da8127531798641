//! Rules that move pixels: crop, downsample, transpose, flip, undistort by a map.
//!
//! # Invariants
//! - The batch's sensor size becomes that of the picture after the move.

use super::Filter;
use super::compact::compact;
use super::select::{Roi, RoiFilter};
use crate::batch::{EventBatch, SensorSize};

/// Keeps a rectangle, and counts pixels from its corner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crop(pub Roi);

impl Filter for Crop {
    fn apply(&mut self, events: &mut EventBatch) {
        let Roi { x_min, x_max, y_min, y_max } = self.0;
        RoiFilter(vec![self.0]).apply(events);
        let columns = events.columns_mut(0);
        columns.x.iter_mut().for_each(|x| *x -= x_min);
        columns.y.iter_mut().for_each(|y| *y -= y_min);
        let length = |min: u16, max: u16| max.saturating_sub(min).saturating_add(1);
        let (width, height) = (length(x_min, x_max), length(y_min, y_max));
        events.sensor_size = Some(SensorSize { width, height });
    }
}

/// Puts blocks of pixels together into one: `x / columns`, `y / rows`, rounded down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Downsample {
    /// Columns that become one; 0 is taken for 1.
    pub columns: u16,
    /// Rows that become one; 0 is taken for 1.
    pub rows: u16,
}

impl Filter for Downsample {
    fn apply(&mut self, events: &mut EventBatch) {
        let (by_x, by_y) = (self.columns.max(1), self.rows.max(1));
        let columns = events.columns_mut(0);
        columns.x.iter_mut().for_each(|x| *x /= by_x);
        columns.y.iter_mut().for_each(|y| *y /= by_y);
        events.sensor_size = events.sensor_size.map(|size| SensorSize {
            width: size.width.div_ceil(by_x),
            height: size.height.div_ceil(by_y),
        });
    }
}

/// Exchanges x and y.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transpose;

impl Filter for Transpose {
    fn apply(&mut self, events: &mut EventBatch) {
        let columns = events.columns_mut(0);
        columns.x.swap_with_slice(columns.y);
        let turned = |size: SensorSize| SensorSize { width: size.height, height: size.width };
        events.sensor_size = events.sensor_size.map(turned);
    }
}

/// Mirrors: `x` becomes `width - 1 - x`, `y` becomes `height - 1 - y`. Events beyond the sensor are
/// left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flip {
    /// The sensor.
    pub size: SensorSize,
    /// Left and right.
    pub horizontally: bool,
    /// Top and bottom.
    pub vertically: bool,
}

impl Filter for Flip {
    fn apply(&mut self, events: &mut EventBatch) {
        let SensorSize { width, height } = self.size;
        let (Some(x_max), Some(y_max)) = (width.checked_sub(1), height.checked_sub(1)) else {
            events.clear();
            return;
        };
        RoiFilter(vec![Roi { x_min: 0, x_max, y_min: 0, y_max }]).apply(events);
        let columns = events.columns_mut(0);
        if self.horizontally {
            columns.x.iter_mut().for_each(|x| *x = x_max - *x);
        }
        if self.vertically {
            columns.y.iter_mut().for_each(|y| *y = y_max - *y);
        }
        events.sensor_size = Some(self.size);
    }
}

/// Moves every pixel to where a map says, for example without the distortion of the lens. Events of
/// pixels that the map does not know, or sends nowhere, are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remap {
    from: SensorSize,
    into: SensorSize,
    map: Vec<Option<(u16, u16)>>,
}

impl Remap {
    /// The map of a sensor `from`, row by row, into pictures of the size `into`.
    #[must_use]
    pub fn new(from: SensorSize, into: SensorSize, map: Vec<Option<(u16, u16)>>) -> Self {
        Self { from, into, map }
    }

    /// A map from positions with fractions: the nearest pixel, halves upwards; positions outside
    /// the picture are nowhere.
    #[must_use]
    pub fn of_positions(from: SensorSize, into: SensorSize, positions: &[(f32, f32)]) -> Self {
        let nearest = |value: f32, limit: u16| {
            let value = (value + 0.5).floor();
            (value >= 0.0 && value < f32::from(limit)).then_some(value as u16)
        };
        let pixel =
            |&(x, y): &(f32, f32)| Some((nearest(x, into.width)?, nearest(y, into.height)?));
        Self::new(from, into, positions.iter().map(pixel).collect())
    }

    fn target(&self, x: u16, y: u16) -> Option<(u16, u16)> {
        let is_inside = self.from.contains(x, y);
        self.map.get(self.from.index(x, y)).copied().flatten().filter(|_| is_inside)
    }
}

impl Filter for Remap {
    fn apply(&mut self, events: &mut EventBatch) {
        compact(events, |block, marks| {
            for (mark, (x, y)) in marks.iter_mut().zip(block.x.iter().zip(block.y)) {
                *mark = u8::from(self.target(*x, *y).is_some());
            }
        });
        let columns = events.columns_mut(0);
        for (x, y) in columns.x.iter_mut().zip(columns.y) {
            (*x, *y) = self.target(*x, *y).unwrap_or((*x, *y));
        }
        events.sensor_size = Some(self.into);
    }
}
