//! Events out of an HDF5 file, batch by batch.
//!
//! # Invariants
//! - A batch is read from what is in memory of each column; the rest is read when it is needed.
//! - Rows that cannot be read are refused, or left out, counted, and reading goes on behind them.
//! - No more events come out than [`EVENTS_PER_BYTE_MAX`] for each byte of the file.

use super::column::{Field, each};
use super::datatype::{Form, Number};
use super::input::{ByteSource, Input};
use super::layout::{self, Found};
use super::pages::{Gap, Pages, Rows};
use super::{filter, superblock};
use crate::batch::{ColumnsMut, Event, SensorSize};
use crate::error::{EventError, EventErrorKind, Latch, Result};
use crate::options::{OnDamage, Options};
use crate::output::{Output, Trigger};
use crate::report::Report;

/// Events of one step.
const STEP_EVENTS: u64 = 1 << 14;
/// What a deflated chunk of nothing but zeros comes near to.
const EVENTS_PER_BYTE_MAX: u64 = 256;

/// An open HDF5 file of events.
#[derive(Debug)]
pub(crate) struct Hdf5Reader {
    input: Input,
    found: Found,
    on_damage: OnDamage,
    declared_size: Option<SensorSize>,
    /// The power of ten of microseconds of a time, where it is declared.
    exponent: Option<i32>,
    row: u64,
    trigger_row: u64,
    report: Report,
    failed: Latch,
}

impl Hdf5Reader {
    /// Finds the events of a file.
    pub(crate) fn open(source: Box<dyn ByteSource>, options: &Options) -> Result<Self> {
        let mut input = Input::new(source);
        let superblock = superblock::read(&mut input)?;
        let mut report = Report::default();
        let refuse = options.on_damage == OnDamage::Refuse;
        if superblock.end > input.total() {
            let what = "an HDF5 file that is shorter than it says";
            let error = EventError::new(EventErrorKind::Truncated, input.total(), what);
            if refuse {
                return Err(error);
            }
            report.skip(error.kind, error.offset, &error.what);
        }
        let mut found = layout::find(&mut input, superblock.root, options.dataset.as_deref())?;
        for pages in &found.tables {
            let table = &pages.table;
            if let Err(filter::Fault::Unknown(what)) = filter::check(&table.filters) {
                let what = format!("{} is packed by {what}", table.path);
                return Err(input.unsupported(table.address, &what));
            }
        }
        let place = found.tables.first().map_or(0, |pages| pages.table.address);
        if found.rows != found.rows_most {
            let what = "columns of different lengths; events that lack one are left out";
            let error = input.corrupt(place, what);
            if refuse {
                return Err(error);
            }
            report.dropped += found.rows_most - found.rows;
            report.skip(error.kind, error.offset, &error.what);
        }
        let most = input.total().saturating_mul(EVENTS_PER_BYTE_MAX);
        if found.rows > most {
            let what = "more events than a file of its size can hold";
            let error = input.corrupt(place, what);
            if refuse {
                return Err(error);
            }
            report.skip(error.kind, error.offset, &error.what);
            found.rows = most;
        }
        Ok(Self {
            input,
            found,
            on_damage: options.on_damage,
            declared_size: options.sensor_size,
            exponent: options.text.time_unit.exponent(),
            row: 0,
            trigger_row: 0,
            report,
            failed: Latch::default(),
        })
    }

    pub(crate) fn report(&self) -> &Report {
        &self.report
    }

    pub(crate) fn sensor_size(&self) -> Option<SensorSize> {
        self.declared_size.or(self.found.sensor_size)
    }

    pub(crate) fn source(&self) -> Option<&str> {
        self.found.source.as_deref()
    }

    /// Appends events until `out` is full; `false` once there are no more.
    pub(crate) fn read(&mut self, out: &mut Output) -> Result<bool> {
        self.failed.check()?;
        let read = self.fill(out);
        self.failed.keep(read)
    }

    fn fill(&mut self, out: &mut Output) -> Result<bool> {
        while self.row < self.found.rows {
            if out.is_full() {
                return Ok(true);
            }
            match self.load() {
                Ok(()) => self.step(out)?,
                Err(gap) => self.pass(gap)?,
            }
            self.triggers_until(self.report.last_t.unwrap_or(i64::MIN), out);
        }
        self.triggers_until(i64::MAX, out);
        Ok(false)
    }

    fn fields(&self) -> [Field; 4] {
        let layout::Fields { t, x, y, p } = self.found.fields;
        [t, x, y, p]
    }

    /// Takes care that the current row of all columns is in memory.
    fn load(&mut self) -> Result<(), Gap> {
        for field in self.fields() {
            if let Some(pages) = self.found.tables.get_mut(field.table) {
                pages.load(&mut self.input, field.column, self.row)?;
            }
        }
        Ok(())
    }

    /// Goes behind rows that cannot be read, or refuses them.
    fn pass(&mut self, gap: Gap) -> Result<()> {
        let is_damage = gap.error.kind != EventErrorKind::Unsupported;
        if self.on_damage == OnDamage::Refuse || !is_damage {
            return Err(gap.error);
        }
        let end = gap.end.clamp(self.row + 1, self.found.rows);
        self.report.unknown_words += 1;
        self.report.dropped += end - self.row;
        self.report.skip(gap.error.kind, gap.error.offset, &gap.error.what);
        self.row = end;
        Ok(())
    }

    /// The events that are in memory of all columns.
    fn step(&mut self, out: &mut Output) -> Result<()> {
        let count = self.in_memory().map_or(0, |rows| {
            rows.iter().fold(self.found.rows - self.row, |least, rows| least.min(rows.rows))
        });
        let count = count.min(STEP_EVENTS);
        if count == 0 {
            let error = self.input.corrupt(0, "rows that are not there");
            return self.pass(Gap { end: self.row + 1, error });
        }
        if self.on_damage == OnDamage::Skip {
            self.take(count as usize, out);
            return Ok(());
        }
        let (mark, before) = (out.mark(), self.report.clone());
        if self.take(count as usize, out).is_none() {
            return Ok(());
        }
        // Once more, up to the event that is wrong.
        out.rewind(mark);
        (self.report, self.row) = (before, self.row - count);
        for _ in 0..count {
            let (mark, before) = (out.mark(), self.report.clone());
            if let Some((kind, what)) = self.take(1, out) {
                out.rewind(mark);
                self.report = before;
                let place = self.in_memory().map_or(0, |[t, ..]| t.place);
                let what = format!("HDF5: event {} {what}", self.row - 1);
                return Err(EventError::new(kind, place, what));
            }
        }
        Ok(())
    }

    /// Rows of the four columns from the current one on.
    fn in_memory(&self) -> Option<[Rows<'_>; 4]> {
        let rows = |field: Field| -> Option<Rows<'_>> {
            let pages: &Pages = self.found.tables.get(field.table)?;
            pages.rows(field.column, self.row)
        };
        let [t, x, y, p] = self.fields();
        Some([rows(t)?, rows(x)?, rows(y)?, rows(p)?])
    }

    /// Appends the next `count` events; says what is wrong with them.
    fn take(&mut self, count: usize, out: &mut Output) -> Option<(EventErrorKind, &'static str)> {
        let from = out.events.len();
        let clock = Clock::new(self.found.fields.t, self.exponent, self.found.offset_us);
        let fields = self.fields();
        let rows = self.in_memory()?;
        let columns = out.events.spare(count);
        let mut misfits = 0;
        if !convert(rows, fields, clock, columns) {
            out.events.commit(count);
            misfits = drop_misfits(rows, fields, from, out);
        } else {
            out.events.commit(count);
        }
        let place = rows.first().map_or(0, |rows| rows.place);
        let (outside, back) = self.report.settle(&mut out.events, from, self.sensor_size());
        self.report.dropped += misfits;
        self.row += count as u64;
        if misfits > 0 {
            let what = "has a pixel or a time that is none";
            self.report.skip(EventErrorKind::Corrupt, place, "HDF5: events that are none");
            return Some((EventErrorKind::Corrupt, what));
        }
        if outside > 0 {
            let what = "HDF5: pixels beyond the sensor";
            self.report.skip(EventErrorKind::OutOfBounds, place, what);
            return Some((EventErrorKind::OutOfBounds, "is beyond the sensor"));
        }
        (back > 0).then_some((EventErrorKind::OutOfOrder, "is before the one before it"))
    }

    /// Appends triggers up to a time. What of them cannot be read is left out, and told once.
    fn triggers_until(&mut self, t_max: i64, out: &mut Output) {
        let Some((pages, [t, p, id])) = &mut self.found.triggers else { return };
        while self.trigger_row < pages.table.rows && !out.is_full() {
            let row = self.trigger_row;
            if let Err(gap) = pages.load(&mut self.input, 0, row) {
                self.report.skip(gap.error.kind, gap.error.offset, &gap.error.what);
                self.trigger_row = u64::MAX;
                return;
            }
            let Some(rows) = pages.rows(0, row) else { return };
            let one = |field: &Field| {
                let mut found = i64::MIN;
                let place = std::slice::from_mut(&mut found);
                each(rows, *field, place, |float| float as i64, |place, value| *place = value);
                found
            };
            let (time, value, channel) = (one(t), one(p), one(id));
            if time > t_max {
                return;
            }
            self.trigger_row += 1;
            self.report.triggers += 1;
            out.triggers.push(Trigger { t: time, id: channel as u8, value: u8::from(value > 0) });
        }
    }
}

/// How a time becomes microseconds.
#[derive(Debug, Clone, Copy)]
struct Clock {
    scale: f64,
    exponent: i32,
    offset_us: i64,
}

/// Stands for what is no time.
const NO_TIME: i64 = i64::MIN;

impl Clock {
    /// Whole numbers are microseconds and others seconds, where nothing is declared.
    fn new(field: Field, exponent: Option<i32>, offset_us: i64) -> Self {
        let usual = if field.number.form == Form::Float { 6 } else { 0 };
        let exponent = exponent.unwrap_or(usual);
        Self { scale: 10_f64.powi(exponent), exponent, offset_us }
    }

    fn of_float(&self, time: f64) -> i64 {
        let us = (time * self.scale).round();
        // The bound is exact as a float.
        if us.abs() < 9.2e18 { us as i64 } else { NO_TIME }
    }

    fn of_whole(&self, time: i64) -> i64 {
        let us = match self.exponent {
            0 => Some(time),
            up @ 1.. => time.checked_mul(10_i64.pow(up.min(18).unsigned_abs())),
            down => {
                let unit = 10_i64.pow(down.max(-18).unsigned_abs());
                Some(time / unit + time % unit * 2 / unit)
            }
        };
        us.and_then(|us| us.checked_add(self.offset_us)).unwrap_or(NO_TIME)
    }
}

/// A pixel of a float; -1 where it is not whole.
fn pixel(value: f64) -> i64 {
    if value.fract() == 0.0 && value.abs() < 1e9 { value as i64 } else { -1 }
}

/// Bytes of a row of Prophesee: x, y, polarity, two of nothing, time.
const ROW_BYTES: usize = 16;

/// Whether rows are those of Prophesee, which can be converted in one pass.
fn are_usual(rows: &[Rows<'_>; 4], fields: &[Field; 4], clock: Clock) -> bool {
    let [t, x, y, p] = fields;
    let is = |field: &Field, offset: usize, form: Form, bytes: usize| {
        let place = (field.table, field.column, field.offset);
        let Number { form: own, bytes: own_bytes, is_big_endian } = field.number;
        place == (t.table, t.column, offset)
            && (own, own_bytes, is_big_endian) == (form, bytes, false)
    };
    is(x, 0, Form::Unsigned, 2)
        && is(y, 2, Form::Unsigned, 2)
        && is(p, 4, Form::Signed, 2)
        && is(t, 8, Form::Signed, 8)
        && rows.iter().all(|rows| rows.stride == ROW_BYTES)
        && clock.exponent == 0
}

/// Writes the columns from such rows; `false` where a time is none.
fn convert_usual(rows: Rows<'_>, clock: Clock, into: ColumnsMut<'_>) -> bool {
    let (rows, _) = rows.bytes.as_chunks::<ROW_BYTES>();
    let mut is_none = false;
    let pixels = into.x.iter_mut().zip(into.y);
    let columns = into.t.iter_mut().zip(pixels).zip(into.p);
    for (&[x0, x1, y0, y1, p0, p1, _, _, ref us @ ..], ((t, (x, y)), p)) in rows.iter().zip(columns)
    {
        *x = u16::from_le_bytes([x0, x1]);
        *y = u16::from_le_bytes([y0, y1]);
        *p = u8::from(i16::from_le_bytes([p0, p1]) > 0);
        *t = i64::from_le_bytes(*us).checked_add(clock.offset_us).unwrap_or(NO_TIME);
        is_none |= *t == NO_TIME;
    }
    !is_none
}

/// Writes the columns; `false` where a number fits none.
fn convert(rows: [Rows<'_>; 4], fields: [Field; 4], clock: Clock, into: ColumnsMut<'_>) -> bool {
    let [t_rows, x_rows, y_rows, p_rows] = rows;
    if are_usual(&rows, &fields, clock) && t_rows.bytes.len() >= into.t.len() * ROW_BYTES {
        return convert_usual(t_rows, clock, into);
    }
    let [t, x, y, p] = fields;
    let mut is_none = false;
    let is_float = t.number.form == Form::Float;
    let mut put = |place: &mut i64, us: i64| {
        is_none |= us == NO_TIME;
        *place = us;
    };
    if is_float {
        each(t_rows, t, into.t, |time| clock.of_float(time), put);
    } else if clock.exponent == 0 && t.number.bytes <= 4 {
        // Nothing can overflow but the offset, once for all.
        let offset = clock.offset_us.clamp(NO_TIME / 2, i64::MAX / 2);
        let fits = offset == clock.offset_us;
        let us = |time| if fits { time + offset } else { NO_TIME };
        each(t_rows, t, into.t, |_| NO_TIME, |place, time| put(place, us(time)));
    } else if clock.exponent == 0 {
        let us = |time: i64| time.checked_add(clock.offset_us).unwrap_or(NO_TIME);
        each(t_rows, t, into.t, |_| NO_TIME, |place, time| put(place, us(time)));
    } else {
        each(t_rows, t, into.t, |_| NO_TIME, |place, time| put(place, clock.of_whole(time)));
    }
    let mut beyond = 0;
    for (rows, field, column) in [(x_rows, x, into.x), (y_rows, y, into.y)] {
        each(rows, field, column, pixel, |place, value| {
            beyond |= value & !0xFFFF;
            *place = value as u16;
        });
    }
    let sign = |value| i64::from(value > 0.0);
    each(p_rows, p, into.p, sign, |place, value| *place = u8::from(value > 0));
    beyond == 0 && !is_none
}

/// Leaves out events from `from` on whose numbers are none; says how many.
fn drop_misfits(rows: [Rows<'_>; 4], fields: [Field; 4], from: usize, out: &mut Output) -> u64 {
    let [_, x_rows, y_rows, _] = rows;
    let [_, x, y, _] = fields;
    let count = out.events.len() - from;
    let mut fits = vec![true; count];
    for (rows, field) in [(x_rows, x), (y_rows, y)] {
        each(rows, field, &mut fits, pixel, |fits, value| *fits &= u16::try_from(value).is_ok());
    }
    let events: Vec<Event> = out.events.iter().skip(from).collect();
    out.events.truncate(from);
    let kept = events.iter().zip(&fits).filter(|(event, fits)| **fits && event.t != NO_TIME);
    out.events.extend(kept.map(|(event, _)| *event));
    (from + count - out.events.len()) as u64
}
