//! ECF, the event compression format of Prophesee: a chunk of events as runs of times, rows,
//! columns and polarities.
//!
//! A chunk begins with a word: the number of events above two bits that say how pixels lie. Times
//! follow: the first in eight bytes, then bytes of a step (4 bits) and a run (4 bits; 15 says that
//! two bytes of it follow); a step of 15 stands for four bits of a larger one, the lowest first.
//! Then either all pixels in words of 24 bits; or runs of rows, and columns with polarities in 12
//! bits; or runs of rows, columns with a mask of the five to the right, and runs of polarities.
//!
//! # Invariants
//! - The output has the number of events that the head says, which the caller bounds.
//! - Runs beyond that number are refused; what fills the last group is left out.

use super::input::Fields;

/// The number of the filter.
pub(super) const FILTER: u16 = 0x8ECF;
/// An event as the filter gives it: x, y, polarity in two bytes each, two of nothing, time in 8.
const EVENT_BYTES: usize = 16;
const EVENTS_MAX: usize = 65_535;
const FAULT: &str = "an ECF chunk that does not unpack";

/// The columns of a chunk.
#[derive(Debug, Default)]
struct Columns {
    t: Vec<u64>,
    x: Vec<u16>,
    y: Vec<u16>,
    p: Vec<u8>,
}

/// The events of a chunk as structs of 16 bytes, at most `most` bytes.
pub(super) fn decompress(packed: &[u8], most: usize) -> Result<Vec<u8>, &'static str> {
    let mut fields = Fields::plain(packed);
    let head = fields.u32().ok_or(FAULT)?;
    let count = (head >> 2) as usize;
    if count > EVENTS_MAX || count * EVENT_BYTES > most {
        return Err("an ECF chunk of more events than it should have");
    }
    let columns = columns(&mut fields, count, head & 3).ok_or(FAULT)?;
    let mut events = Vec::with_capacity(count * EVENT_BYTES);
    let pixels = columns.x.iter().zip(&columns.y).zip(&columns.p);
    for (&t, ((&x, &y), &p)) in columns.t.iter().zip(pixels) {
        let pixel = u64::from(x) | u64::from(y) << 16 | u64::from(p) << 32;
        let event = u128::from(pixel) | u128::from(t) << 64;
        events.extend_from_slice(&event.to_le_bytes());
    }
    if events.len() != count * EVENT_BYTES {
        return Err(FAULT);
    }
    Ok(events)
}

fn columns(fields: &mut Fields<'_>, count: usize, form: u32) -> Option<Columns> {
    let mut columns = Columns::default();
    times(fields, count, &mut columns.t)?;
    if form & 2 != 0 {
        while columns.x.len() < count {
            let [a, b, c] = [fields.u32()?, fields.u32()?, fields.u32()?];
            let four =
                [a >> 8, a & 0xFF | (b >> 16) << 8, b & 0xFFFF | (c >> 24) << 16, c & 0xFF_FFFF];
            columns.y.extend(four.map(|pixel| (pixel >> 12 & 0x7FF) as u16));
            columns.x.extend(four.map(|pixel| (pixel >> 1 & 0x7FF) as u16));
            columns.p.extend(four.map(|pixel| (pixel & 1) as u8));
        }
        return Some(columns);
    }
    rows(fields, count, &mut columns.y)?;
    if form & 1 != 0 {
        while columns.x.len() < count {
            let [a, b, c] = [fields.u16()?, fields.u16()?, fields.u16()?];
            let four = [a >> 4, a & 15 | (b >> 8) << 4, b & 0xFF | (c >> 12) << 8, c & 0xFFF];
            columns.x.extend(four.map(|pixel| pixel >> 1));
            columns.p.extend(four.map(|pixel| (pixel & 1) as u8));
        }
        return Some(columns);
    }
    while columns.x.len() < count {
        let word = fields.u16()?;
        columns.x.push(word >> 5);
        columns.x.extend((1..=5).filter(|i| word >> (5 - i) & 1 == 1).map(|i| (word >> 5) + i));
    }
    polarities(fields, count, &mut columns.p)?;
    Some(columns)
}

/// Appends `run` times a value, where there is room for them.
fn fill<T: Clone>(into: &mut Vec<T>, value: T, run: usize, count: usize) -> Option<()> {
    let end = into.len() + run;
    (end <= count).then(|| into.resize(end, value))
}

fn times(fields: &mut Fields<'_>, count: usize, into: &mut Vec<u64>) -> Option<()> {
    let mut t = fields.uint(8)?;
    let (mut step, mut shift) = (0_u64, 0_u32);
    while into.len() < count {
        let byte = fields.u8()?;
        let (high, low) = (u64::from(byte >> 4), u64::from(byte & 15));
        if high == 15 {
            step |= low.checked_shl(shift).unwrap_or(0);
            shift += 4;
            continue;
        }
        t = t.wrapping_add(step).wrapping_add(high);
        (step, shift) = (0, 0);
        let run = if low == 15 { fields.u16()?.into() } else { low as usize };
        fill(into, t, run, count)?;
    }
    Some(())
}

fn rows(fields: &mut Fields<'_>, count: usize, into: &mut Vec<u16>) -> Option<()> {
    while into.len() < count {
        let word = fields.u16()?;
        let run = if word & 31 == 31 { fields.u16()? } else { word & 31 };
        fill(into, word >> 5, run.into(), count)?;
    }
    Some(())
}

fn polarities(fields: &mut Fields<'_>, count: usize, into: &mut Vec<u8>) -> Option<()> {
    while into.len() < count {
        let byte = fields.u8()?;
        let run = if byte & 127 == 127 { fields.u16()?.into() } else { usize::from(byte & 127) };
        fill(into, byte >> 7, run, count)?;
    }
    Some(())
}
