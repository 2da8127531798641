//! Small pictures of data, in characters.
//!
//! # Invariants
//! - No more columns than asked for, whatever the data.

/// Rows of a plot, in characters.
const ROWS: usize = 7;
/// Dots of a Braille character, down and across.
const DOTS_DOWN: usize = 4;
const DOTS_ACROSS: usize = 2;

/// The bit of each dot of a Braille character, by row, for the left and the right column.
const DOTS: [[u8; DOTS_ACROSS]; DOTS_DOWN] =
    [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

/// A curve as Braille dots, with the values of its top and bottom at the left.
pub(crate) fn plot(values: &[f32], columns: usize) -> Vec<String> {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let (low, high) =
        finite().fold((f32::MAX, f32::MIN), |(low, high), value| (low.min(value), high.max(value)));
    if low > high || columns == 0 {
        return Vec::new();
    }
    let (across, down) = (columns * DOTS_ACROSS, ROWS * DOTS_DOWN);
    let scale = (down - 1) as f32 / (high - low).max(f32::MIN_POSITIVE);
    let row = |value: f32| (((high - value) * scale) as usize).min(down - 1);
    let mut cells = vec![vec![0_u8; columns]; ROWS];
    let mut before: Option<usize> = None;
    for x in 0..across {
        let part = values.len() * x / across..(values.len() * (x + 1) / across);
        let part = values.get(part).unwrap_or_default().iter().filter(|value| value.is_finite());
        let rows = part.map(|&value| row(value));
        let Some((mut top, mut bottom)) = rows.fold(None, |range: Option<(usize, usize)>, row| {
            Some(range.map_or((row, row), |(top, bottom)| (top.min(row), bottom.max(row))))
        }) else {
            continue;
        };
        let here = usize::midpoint(top, bottom);
        // A steep curve stays one line.
        if let Some(before) = before {
            (top, bottom) = (top.min(before), bottom.max(before));
        }
        before = Some(here);
        for y in top..=bottom {
            let cell = cells.get_mut(y / DOTS_DOWN).and_then(|line| line.get_mut(x / DOTS_ACROSS));
            let dot = DOTS.get(y % DOTS_DOWN).and_then(|dots| dots.get(x % DOTS_ACROSS));
            if let (Some(cell), Some(dot)) = (cell, dot) {
                *cell |= dot;
            }
        }
    }
    let lines = cells.iter().enumerate().map(|(index, cells)| {
        let label = match index {
            0 => format!("{high:+6.2}"),
            _ if index == ROWS - 1 => format!("{low:+6.2}"),
            _ => " ".repeat(6),
        };
        let dots: String = cells.iter().map(|&bits| braille(bits)).collect();
        format!("{label} ┤{dots}")
    });
    lines.collect()
}

fn braille(bits: u8) -> char {
    char::from_u32(0x2800 + u32::from(bits)).unwrap_or(' ')
}

/// Counts as bars of one character's height.
pub(crate) fn bars(counts: &[usize]) -> String {
    const HEIGHTS: [char; 9] = ['·', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let top = counts.iter().copied().max().unwrap_or(0).max(4);
    let height = |&count: &usize| (count * 8).div_ceil(top);
    counts.iter().map(|count| HEIGHTS.get(height(count)).copied().unwrap_or('█')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plots_have_their_size() {
        let values: Vec<f32> = (0..1000).map(|x| (x as f32 / 50.0).sin()).collect();
        let lines = plot(&values, 60);
        assert_eq!(lines.len(), ROWS);
        assert!(lines.iter().all(|line| line.chars().count() == 60 + 8), "{lines:?}");
        assert!(lines[0].starts_with(" +1.00 ┤"));
        assert!(plot(&[], 60).is_empty() && plot(&[f32::NAN], 60).is_empty());
        assert_eq!(plot(&[1.0], 3).len(), ROWS);
    }

    #[test]
    fn bars_grow_with_counts() {
        assert_eq!(bars(&[0, 1, 2, 4, 8]), "·▁▂▄█");
        assert_eq!(bars(&[]), "");
    }
}
