//! Counts of events per pixel as a picture: blue where the light rose, red where it fell.
//!
//! # Invariants
//! - A pixel without events is black. The brightest shade is the count that 99 % of the pixels with
//!   events do not exceed, so that a hot pixel does not darken all others.

use std::io::Write;

use presence_events::{EventBatch, SensorSize};

use presence_cli::failure::{Failure, Result};

/// Events of every pixel, by polarity.
#[derive(Debug)]
pub(super) struct Picture {
    size: SensorSize,
    /// Off and on of each pixel, row by row.
    counts: Vec<[u32; 2]>,
    /// Events beyond the sensor.
    pub(super) outside: u64,
}

impl Picture {
    pub(super) fn new(size: SensorSize) -> Self {
        Self { size, counts: vec![[0; 2]; size.pixels()], outside: 0 }
    }

    pub(super) fn add(&mut self, events: &EventBatch) {
        for event in events.iter() {
            let is_inside = self.size.contains(event.x, event.y);
            let index = self.size.index(event.x, event.y);
            let pixel = self.counts.get_mut(index).filter(|_| is_inside);
            match pixel.and_then(|pixel| pixel.get_mut(usize::from(event.polarity))) {
                Some(count) => *count = count.saturating_add(1),
                None => self.outside += 1,
            }
        }
    }

    /// The same, at most `columns` wide and `rows` high: each pixel is the sum of a rectangle.
    fn shrunk(&self, columns: usize, rows: usize) -> Self {
        let (width, height) = (usize::from(self.size.width), usize::from(self.size.height));
        let factor = width.div_ceil(columns.max(1)).max(height.div_ceil(rows.max(1))).max(1);
        let small = SensorSize {
            width: width.div_ceil(factor) as u16,
            height: height.div_ceil(factor) as u16,
        };
        let mut picture = Self::new(small);
        for (index, count) in self.counts.iter().enumerate() {
            let (x, y) = (index % width / factor, index / width / factor);
            let into = picture.counts.get_mut(small.index(x as u16, y as u16));
            for (into, count) in into.into_iter().flatten().zip(count) {
                *into = into.saturating_add(*count);
            }
        }
        picture
    }

    /// The count that gets the brightest shade.
    fn bright(&self) -> u32 {
        let mut counts: Vec<u32> =
            self.counts.iter().flatten().copied().filter(|count| *count > 0).collect();
        let rank = counts.len() * 99 / 100;
        if counts.is_empty() {
            return 1;
        }
        let last = counts.len() - 1;
        *counts.select_nth_unstable(rank.min(last)).1
    }

    /// Red, green and blue of each pixel.
    fn rgb(&self) -> Vec<[u8; 3]> {
        let bright = u64::from(self.bright());
        // The faintest shade can still be told from black.
        let shade = |count: u32| match count {
            0 => 0,
            count => (64 + (u64::from(count) * 191 / bright).min(191)) as u8,
        };
        self.counts
            .iter()
            .map(|&[off, on]| [shade(off), shade(off.min(on)) / 2, shade(on)])
            .collect()
    }

    /// Writes a PNG.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn png(&self, out: &mut impl Write) -> Result<()> {
        let fault = |error: png::EncodingError| match error {
            png::EncodingError::IoError(error) => Failure::from(error),
            other => Failure::cannot(format!("no PNG can be made: {other}")),
        };
        let (width, height) = (u32::from(self.size.width), u32::from(self.size.height));
        let mut encoder = png::Encoder::new(out, width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(fault)?;
        writer.write_image_data(self.rgb().as_flattened()).map_err(fault)?;
        writer.finish().map_err(fault)
    }

    /// Draws for a terminal of `columns`: two pixels a character in colour, or characters by count.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn draw(&self, columns: usize, is_colour: bool, out: &mut impl Write) -> Result<()> {
        const ROWS: usize = 120;
        let small = self.shrunk(columns, ROWS);
        let width = usize::from(small.size.width);
        let pixels = small.rgb();
        let bright = u64::from(small.bright());
        let mut rows = pixels.chunks(width).zip(small.counts.chunks(width));
        while let Some((upper, counts)) = rows.next() {
            let (lower, lower_counts) = rows.next().unzip();
            if is_colour {
                for (column, [r, g, b]) in upper.iter().enumerate() {
                    let [lr, lg, lb] = lower.and_then(|row| row.get(column)).unwrap_or(&[0; 3]);
                    write!(out, "\x1b[38;2;{r};{g};{b};48;2;{lr};{lg};{lb}m▀")?;
                }
                writeln!(out, "\x1b[0m")?;
                continue;
            }
            const SHADES: &[u8] = b" .:-=+*#%@";
            let sum = |row: Option<&[[u32; 2]]>, column: usize| {
                let pixel = row.and_then(|row| row.get(column)).copied().unwrap_or_default();
                pixel.iter().map(|count| u64::from(*count)).sum::<u64>()
            };
            let line: String = (0..width)
                .map(|column| {
                    let events = sum(Some(counts), column) + sum(lower_counts, column);
                    let shade = (events * 9).div_ceil(2 * bright).min(9) as usize;
                    SHADES.get(shade).map_or(' ', |shade| char::from(*shade))
                })
                .collect();
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use presence_events::Event;

    use super::*;

    fn picture() -> Picture {
        let size = SensorSize { width: 4, height: 3 };
        let mut picture = Picture::new(size);
        let event = |x, y, polarity| Event { t: 0, x, y, polarity };
        let events = [event(0, 0, 1), event(0, 0, 1), event(3, 2, 0), event(4, 0, 1)];
        picture.add(&events.into_iter().collect());
        picture
    }

    #[test]
    fn polarity_is_colour_and_png_gives_it_back() {
        let picture = picture();
        assert_eq!(picture.outside, 1);
        let mut bytes = Vec::new();
        picture.png(&mut bytes).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        let pixel = |x: usize, y: usize| &pixels[(y * 4 + x) * 3..][..3];
        assert_eq!((pixel(0, 0), pixel(1, 1)), (&[0, 0, 255][..], &[0, 0, 0][..]));
        assert!(pixel(3, 2)[0] > 64 && pixel(3, 2)[2] == 0);
    }

    #[test]
    fn a_terminal_gets_a_smaller_one() {
        let mut out = Vec::new();
        picture().draw(2, false, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap().lines().count(), 1);
        let mut out = Vec::new();
        picture().draw(80, true, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!((text.lines().count(), text.matches('▀').count()), (2, 8));
    }
}
