//! A chunk of events in ECF, as its reader describes it.
//!
//! # Invariants
//! - Times do not fall and pixels are below 2,048: the caller has looked.
//! - Of the forms of pixels the shortest is taken, by their length and not by a guess.

use crate::batch::Event;

/// Runs that are longer are split, so that their length has two bytes.
const RUN_MAX: usize = 65_535;

/// The events of a chunk, at least one and at most 65,535.
pub(super) fn compress(events: &[Event]) -> Vec<u8> {
    let runs = pixels_in_runs(events);
    let columns = rows_then(events, columns_packed(events));
    let all = all_packed(events);
    let (form, pixels) = [(2, all), (1, columns), (0, runs)]
        .into_iter()
        .min_by_key(|(_, pixels)| pixels.len())
        .unwrap_or_default();
    let mut chunk = ((events.len() as u32) << 2 | form).to_le_bytes().to_vec();
    times(events, &mut chunk);
    chunk.extend(pixels);
    chunk
}

/// Calls `put` with a value and how often it comes in a row.
fn runs<T: PartialEq + Copy>(
    events: &[Event],
    value: impl Fn(&Event) -> T,
    mut put: impl FnMut(T, usize),
) {
    for run in events.chunk_by(|a, b| value(a) == value(b)) {
        for part in run.chunks(RUN_MAX) {
            part.first().into_iter().for_each(|event| put(value(event), part.len()));
        }
    }
}

fn times(events: &[Event], into: &mut Vec<u8>) {
    let mut now = events.first().map_or(0, |event| event.t);
    into.extend_from_slice(&now.to_le_bytes());
    runs(
        events,
        |event| event.t,
        |t, run| {
            let mut step = t.wrapping_sub(now).max(0).unsigned_abs();
            now = t;
            if step >= 15 {
                while step > 0 {
                    into.push(0xF0 | (step & 15) as u8);
                    step >>= 4;
                }
            }
            if run >= 15 {
                into.push((step << 4) as u8 | 15);
                into.extend_from_slice(&(run as u16).to_le_bytes());
            } else {
                into.push((step << 4) as u8 | run as u8);
            }
        },
    );
}

/// Runs of rows, and something behind them.
fn rows_then(events: &[Event], rest: Vec<u8>) -> Vec<u8> {
    let mut into = Vec::new();
    runs(
        events,
        |event| event.y,
        |y, run| {
            into.extend_from_slice(&(y << 5 | run.min(31) as u16).to_le_bytes());
            if run >= 31 {
                into.extend_from_slice(&(run as u16).to_le_bytes());
            }
        },
    );
    into.extend(rest);
    into
}

/// Columns with a mask of the five to the right, and runs of polarities.
fn pixels_in_runs(events: &[Event]) -> Vec<u8> {
    let mut rest = Vec::new();
    let mut events_left = events.iter().peekable();
    while let Some(event) = events_left.next() {
        let mut word = event.x << 5;
        for right in 1..=5 {
            if events_left.next_if(|next| next.x == event.x + right).is_some() {
                word |= 1 << (5 - right);
            }
        }
        rest.extend_from_slice(&word.to_le_bytes());
    }
    runs(
        events,
        |event| event.polarity,
        |p, run| {
            rest.push(p << 7 | run.min(127) as u8);
            if run >= 127 {
                rest.extend_from_slice(&(run as u16).to_le_bytes());
            }
        },
    );
    rows_then(events, rest)
}

/// Four of something, zeros where there are no more.
fn fours(events: &[Event], value: impl Fn(&Event) -> u32) -> impl Iterator<Item = [u32; 4]> {
    events.chunks(4).map(move |four| {
        let mut values = four.iter().map(&value);
        std::array::from_fn(|_| values.next().unwrap_or(0))
    })
}

/// Columns and polarities, four in six bytes.
fn columns_packed(events: &[Event]) -> Vec<u8> {
    let pixel = |event: &Event| u32::from(event.x) << 1 | u32::from(event.polarity);
    fours(events, pixel)
        .flat_map(|[a, b, c, d]| {
            [a << 4 | b & 15, b >> 4 << 8 | c & 0xFF, c >> 8 << 12 | d].map(|word| word as u16)
        })
        .flat_map(u16::to_le_bytes)
        .collect()
}

/// Whole pixels, four in twelve bytes.
fn all_packed(events: &[Event]) -> Vec<u8> {
    let pixel = |event: &Event| {
        u32::from(event.y) << 12 | u32::from(event.x) << 1 | u32::from(event.polarity)
    };
    fours(events, pixel)
        .flat_map(|[a, b, c, d]| [a << 8 | b & 0xFF, b >> 8 << 16 | c & 0xFFFF, c >> 16 << 24 | d])
        .flat_map(u32::to_le_bytes)
        .collect()
}
