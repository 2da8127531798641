//! What a stream must hold and answer: a vector, searched from one end to the other.

use std::ops::Bound;

use presence::{
    Column, Compression, DType, Error, Order, RecordRef, Schema, Stream, TimeUnit, WindowOptions,
};

use crate::input::Input;
use crate::mutate::mix;

/// A record: its timestamp, and the number that its values are made of.
pub(crate) type Row = (i64, u32);

/// One stream.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) schema: Schema,
    /// All records ever appended; those of an operation that failed are the last ones.
    pub(crate) rows: Vec<Row>,
    /// How many of the first ones retention gave up.
    pub(crate) first: usize,
    /// How many were promised to survive the process, and how many a power cut.
    pub(crate) os: usize,
    pub(crate) disk: usize,
    pub(crate) finished: bool,
}

/// One of a few schemas, small and different.
pub(crate) fn schema(number: u8) -> Schema {
    let single = |dtype, shape: &[u32]| Schema::single(dtype, shape).unwrap();
    let many = || {
        let columns = vec![
            Column::scalar("class", DType::U8),
            Column::scalar("sure", DType::Bool),
            Column::new("box", DType::U16, &[2, 2]),
            Column::scalar("score", DType::F64),
        ];
        Schema::new(columns).unwrap()
    };
    match number % 6 {
        0 => single(DType::F64, &[]),
        1 => single(DType::F32, &[7]).with_compression(Compression::Lz4),
        2 => single(DType::I64, &[]).with_compression(Compression::Packed),
        3 => many().with_compression(Compression::Packed).with_order(Order::NonDecreasing),
        4 => single(DType::U8, &[4, 5]).with_order(Order::NonDecreasing),
        _ => many().with_time_unit(TimeUnit::Ns).with_compression(Compression::Lz4),
    }
}

/// The bytes of one column of a record. Made in words: every comparison costs under a fuzzer.
pub(crate) fn value(schema: &Schema, column: usize, seed: u32) -> Vec<u8> {
    let shape = &schema.columns()[column];
    let noise = mix(u64::from(seed) << 8 | column as u64);
    let word = match (shape.dtype(), seed % 3) {
        (DType::Bool, _) => noise & 0x0101_0101_0101_0101,
        (_, 0) => u64::MAX,
        (_, 1) => u64::from(seed >> 2) & 0xff,
        _ => noise,
    };
    let mut bytes = word.to_le_bytes().repeat(shape.value_bytes().div_ceil(8));
    bytes.truncate(shape.value_bytes());
    bytes
}

/// The bytes of one column of several records.
pub(crate) fn values(schema: &Schema, column: usize, rows: &[Row]) -> Vec<u8> {
    let values: Vec<Vec<u8>> = rows.iter().map(|row| value(schema, column, row.1)).collect();
    values.concat()
}

/// Whether `found` is what `want` says, or both are none.
fn same(found: Option<RecordRef>, want: Option<&Row>, schema: &Schema) -> bool {
    match (found, want) {
        (Some(found), Some((ts, seed))) => {
            let mut columns = 0..schema.columns().len();
            found.ts() == *ts
                && columns.all(|column| found.column_bytes(column) == value(schema, column, *seed))
        }
        (found, want) => found.is_none() && want.is_none(),
    }
}

impl Model {
    pub(crate) fn kept(&self) -> &[Row] {
        &self.rows[self.first..]
    }

    pub(crate) fn last_ts(&self) -> Option<i64> {
        self.rows.last().map(|row| row.0)
    }

    /// Whether a record at `ts` may be appended.
    pub(crate) fn may_come(&self, ts: i64) -> bool {
        self.last_ts().is_none_or(|last| self.schema.order().allows(last, ts))
    }

    /// A moment near a record, or at the ends of time.
    pub(crate) fn moment(&self, input: &mut Input<'_>) -> i64 {
        let off = i64::from(input.u8() % 3) - 1;
        match input.u8() {
            255 => i64::MAX,
            254 => i64::MIN,
            share => {
                let at = self.rows.len() * usize::from(share) / 250;
                self.rows.get(at).map_or(0, |row| row.0).saturating_add(off)
            }
        }
    }

    /// Compares all of a stream with the rows from `first` to `end`.
    pub(crate) fn check(&self, stream: &Stream, first: usize, end: usize) -> Result<(), Error> {
        let (name, rows) = (&self.name, &self.rows[first..end]);
        assert_eq!(stream.len(), rows.len() as u64, "length of {name}");
        assert_eq!(*stream.schema(), self.schema);
        let window = stream.window(..)?;
        let times: Vec<i64> = rows.iter().map(|row| row.0).collect();
        assert!(window.timestamps()? == times, "{name}: times");
        for column in 0..self.schema.columns().len() {
            let want = values(&self.schema, column, rows);
            assert!(window.column_bytes(column)? == want, "{name}: column {column}");
        }
        let mut at = rows.iter();
        for record in stream.iter()? {
            assert!(same(Some(record?), at.next(), &self.schema), "{name} by iteration");
        }
        assert!(at.next().is_none() && same(stream.first()?, rows.first(), &self.schema));
        assert!(same(stream.last()?, rows.last(), &self.schema), "{name}: last");
        Ok(())
    }

    /// Asks about two moments, and compares with a search from one end to the other.
    pub(crate) fn ask(&self, stream: &Stream, input: &mut Input<'_>) -> Result<(), Error> {
        let (from, to) = (self.moment(input), self.moment(input));
        let kept = self.kept();
        let at = |t: i64| kept.iter().rfind(|row| row.0 <= t);
        let (before, after) = (at(from), kept.iter().find(|row| row.0 > from));
        let is = |found, want| same(found, want, &self.schema);
        assert!(is(stream.at(from)?, before), "at {from}");
        assert!(is(stream.next_after(from)?, after), "next_after {from}");
        let nearest = match (before, after) {
            (Some(a), Some(b)) if from.abs_diff(a.0) > b.0.abs_diff(from) => Some(b),
            (a, b) => a.or(b),
        };
        assert!(is(stream.nearest(from)?, nearest), "nearest {from}");
        let age = from.abs_diff(to);
        let young = before.filter(|row| from.abs_diff(row.0) <= age);
        assert!(is(stream.at_within(from, age)?, young), "at_within {from}, {age}");
        let sequence = input.below(self.rows.len() + 2);
        let row = self.rows.get(sequence).filter(|_| sequence >= self.first);
        assert!(is(stream.get(sequence as u64)?, row), "get {sequence}");
        let times = [to, from, to.saturating_sub(1), to];
        let want: Vec<Option<i64>> = times.iter().map(|t| at(*t).map(|row| row.0)).collect();
        assert_eq!(stream.at_many(&times)?.found(), want, "at_many {times:?}");
        self.ask_window(stream, (from, to), input)
    }

    fn ask_window(
        &self,
        stream: &Stream,
        (from, to): (i64, i64),
        input: &mut Input<'_>,
    ) -> Result<(), Error> {
        let mut bound = |t| match input.u8() % 4 {
            0 => Bound::Unbounded,
            1 => Bound::Excluded(t),
            _ => Bound::Included(t),
        };
        let range = (bound(from), bound(to));
        let carry_in = input.bool();
        let options = if carry_in { WindowOptions::carry_in() } else { WindowOptions::default() };
        let window = match stream.window_with(range, options) {
            Ok(window) => window,
            Err(Error::ReversedRange { start, end }) => {
                assert!(start > end && from > to, "reversed: {range:?}");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let inside = |t: i64| {
            let starts = match range.0 {
                Bound::Included(from) => from <= t,
                Bound::Excluded(from) => from < t,
                Bound::Unbounded => true,
            };
            starts
                && match range.1 {
                    Bound::Included(to) => t <= to,
                    Bound::Excluded(to) => t < to,
                    Bound::Unbounded => true,
                }
        };
        let times = window.timestamps()?;
        assert_eq!(times.len(), window.len());
        let (carried, rest) = match times.first() {
            Some(first) if carry_in && !inside(*first) => (Some(*first), &times[1..]),
            _ => (None, &times[..]),
        };
        let want = self.kept().iter().map(|row| row.0).filter(|ts| inside(*ts));
        assert!(rest.iter().copied().eq(want), "window {range:?}: {times:?}");
        if let Some(carried) = carried {
            let before = self.kept().iter().map(|row| row.0).rfind(|ts| {
                matches!(range.0, Bound::Included(from) | Bound::Excluded(from) if *ts <= from)
            });
            assert_eq!(Some(carried), before, "carried into {range:?}");
        }
        Ok(())
    }
}
