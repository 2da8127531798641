//! Maps of pixels as text: where each pixel of a sensor goes, for [`Remap`].
//!
//! The first line is `x,y,to_x,to_y`, a `#` may stand before it; each line after it has a pixel
//! and where it goes. Places may have fractions, and count as [`Remap::of_positions`] says; `nan`
//! or nothing is nowhere, and so is the place of a pixel without a line.
//!
//! # Invariants
//! - A pixel has one place: a second line of it is an error, and so is a pixel beyond the sensor.

use super::geometry::Remap;
use crate::batch::SensorSize;
use crate::error::{EventError, EventErrorKind};

/// The first line.
const HEADER: [&str; 4] = ["x", "y", "to_x", "to_y"];

impl Remap {
    /// The map `text` of a sensor of `size`, into pictures of the same size.
    ///
    /// # Errors
    /// [`Invalid`](EventErrorKind::Invalid) at the line that is not as described above.
    pub fn of_text(size: SensorSize, text: &str) -> Result<Self, EventError> {
        let mut positions = vec![(f32::NAN, f32::NAN); size.pixels()];
        let mut known = vec![false; size.pixels()];
        let mut lines = lines(text);
        let is_header =
            |line: &str| line.trim_start_matches('#').split(',').map(str::trim).eq(HEADER);
        if !lines.next().is_some_and(|(_, _, line)| is_header(line)) {
            let what = "a map begins with the line x,y,to_x,to_y";
            return Err(EventError::new(EventErrorKind::Invalid, 0, what));
        }
        for (number, offset, line) in lines {
            let fault = |what: String| {
                let what = format!("line {number} of the map: {what}");
                EventError::new(EventErrorKind::Invalid, offset, what)
            };
            let (x, y, place) = fields(line).ok_or_else(|| fault(format!("{line:?}")))?;
            let index = size.index(x, y);
            let slot = positions.get_mut(index).zip(known.get_mut(index));
            let Some((position, known)) = slot.filter(|_| size.contains(x, y)) else {
                let SensorSize { width, height } = size;
                return Err(fault(format!("{x},{y} is beyond the sensor of {width}x{height}")));
            };
            if std::mem::replace(known, true) {
                return Err(fault(format!("{x},{y} a second time")));
            }
            *position = place;
        }
        Ok(Self::of_positions(size, size, &positions))
    }
}

/// The lines that are not empty, with their number from 1 and the byte where they begin.
fn lines(text: &str) -> impl Iterator<Item = (usize, u64, &str)> {
    let mut offset = 0;
    let numbered = text.split_inclusive('\n').zip(1..).map(move |(line, number)| {
        let begin = offset;
        offset += line.len() as u64;
        (number, begin, line.trim())
    });
    numbered.filter(|(_, _, line)| !line.is_empty())
}

/// A pixel and its place.
fn fields(line: &str) -> Option<(u16, u16, (f32, f32))> {
    let mut fields = line.split(',').map(str::trim);
    // Programs write whole numbers with fractions of zero too.
    let side = |text: &str| {
        let value: f64 = text.parse().ok()?;
        let is_pixel = value.fract() == 0.0 && (0.0..=f64::from(u16::MAX)).contains(&value);
        is_pixel.then_some(value as u16)
    };
    let place = |text: &str| if text.is_empty() { Some(f32::NAN) } else { text.parse().ok() };
    let (x, y) = (side(fields.next()?)?, side(fields.next()?)?);
    let to = (place(fields.next()?)?, place(fields.next()?)?);
    fields.next().is_none().then_some((x, y, to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Event, EventBatch};
    use crate::filter::Filter;

    const SIZE: SensorSize = SensorSize { width: 4, height: 3 };

    #[test]
    fn pixels_go_where_their_line_says() {
        let text =
            "# x, y, to_x, to_y\r\n0,0,1.4,2.5\n1.0e0,0,nan,nan\n\n2,1,,\n3,2,-0.5,0\n3,0,9,0";
        let mut map = Remap::of_text(SIZE, text).unwrap();
        let at = |x, y| Event { t: 5, x, y, polarity: 1 };
        let pixels = [(0, 0), (1, 0), (2, 1), (3, 2), (3, 0), (0, 2), (9, 9)];
        let mut events: EventBatch = pixels.map(|(x, y)| at(x, y)).into_iter().collect();
        map.apply(&mut events);
        // 2.5 is rounded up, beyond the last row.
        assert!(events.iter().eq([at(0, 0)]), "{events:?}");
        let mut events: EventBatch = std::iter::once(at(0, 0)).collect();
        Remap::of_text(SIZE, "x,y,to_x,to_y\n0,0,1.4,1.5").unwrap().apply(&mut events);
        assert!(events.iter().eq([at(1, 2)]));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, line) in [
            ("", "begins with"),
            ("x,y,to_y,to_x\n", "begins with"),
            ("x,y,to_x,to_y\n0,0,1\n", "line 2"),
            ("x,y,to_x,to_y\n\n0,0,1,2,3\n", "line 3"),
            ("x,y,to_x,to_y\n0.5,0,1,2\n", "line 2"),
            ("x,y,to_x,to_y\n0,-1,1,2\n", "line 2"),
            ("x,y,to_x,to_y\n0,0,one,2\n", "line 2"),
            ("x,y,to_x,to_y\n4,0,1,2\n", "beyond the sensor of 4x3"),
            ("x,y,to_x,to_y\n0,0,1,2\n0,0,1,2\n", "line 3 of the map: 0,0 a second time"),
        ] {
            let error = Remap::of_text(SIZE, text).unwrap_err();
            assert_eq!(error.kind, EventErrorKind::Invalid);
            assert!(error.what.contains(line), "{text:?}: {error}");
        }
    }
}
