//! Text and CSV: one event a line, columns in any order, time in any unit.
//!
//! Lines that are blank or begin with `#` or `%` are no events. The first other line may name the
//! columns, or give width and height of the sensor (two whole numbers). Fields are apart by blanks,
//! tabs, one comma or one semicolon. Polarity is 0, 1, -1 (off), `true` or `false`.
//!
//! The order of columns is declared, or named by the header. Without either it is `t x y p` where
//! the first field has a decimal point and the others have none; else the line is refused, because
//! a guess could be wrong. The same holds for the unit of time: it is declared, or stands in the
//! column's name (`t_us`, `time [ms]`), or is seconds if the first time has six decimals or more.
//!
//! # Invariants
//! - Times are converted as decimals, not as binary fractions: the microsecond is the nearest one,
//!   a half is rounded away from zero.
//! - A bad line is left out and counted, or an error at its first byte; the others stay.

mod columns;
mod decoder;
mod line;

pub use columns::{Column, TextOptions, TimeUnit};
pub(crate) use columns::{is_text, looks_like_events};
pub(crate) use decoder::TextDecoder;
