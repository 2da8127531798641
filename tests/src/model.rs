//! The engine against a vector: random operations, and every answer compared with the naive one.

use std::ops::Bound;
use std::sync::Arc;

use presence::device::{Device, MemoryDevice};
use presence::{
    Column, ColumnWriter, Compression, DType, Database, Error, Level, Order, RecordRef, Retention,
    Schema, Stream, TimeUnit, WindowOptions,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::support::{Random, figure, mix, replay_line, scaled, seed, small};

/// A moment, relative to what a stream holds.
#[derive(Debug, Clone, Copy)]
enum Moment {
    Min,
    Max,
    Zero,
    /// Near the record at this share (of 256) of the stream.
    Near(u8, i8),
}

#[derive(Debug, Clone)]
enum Op {
    Create(u8),
    /// Stream, step in time, seed of the value.
    Append(u8, u64, u16),
    /// Stream, records, largest step, seed.
    Batch(u8, u8, u8, u16),
    /// To the ends of time.
    Leap(u8, bool, u16),
    /// A clock that goes back by so much: refused.
    Back(u8, u8),
    Flush(Level),
    Reopen(bool),
    DropWriter(u8),
    Refresh,
    RetainBytes(u16),
    RetainBefore(u8, u8),
    Compact,
    Finish(u8),
    Ask(u8, Moment, Moment, u8),
    AskAll,
}

fn moment() -> impl Strategy<Value = Moment> {
    prop_oneof![
        1 => Just(Moment::Min),
        1 => Just(Moment::Max),
        1 => Just(Moment::Zero),
        12 => (any::<u8>(), -2..=2_i8).prop_map(|(share, off)| Moment::Near(share, off)),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let stream = || 0..5_u8;
    prop_oneof![
        2 => any::<u8>().prop_map(Op::Create),
        6 => (stream(), 0..4_u64, any::<u16>()).prop_map(|(s, d, v)| Op::Append(s, d, v)),
        8 => (stream(), 1..80_u8, 0..6_u8, any::<u16>())
            .prop_map(|(s, n, d, v)| Op::Batch(s, n, d, v)),
        1 => (stream(), any::<bool>(), any::<u16>()).prop_map(|(s, end, v)| Op::Leap(s, end, v)),
        1 => (stream(), any::<u8>()).prop_map(|(s, by)| Op::Back(s, by)),
        3 => prop_oneof![Just(Level::Os), Just(Level::Disk), Just(Level::Memory)]
            .prop_map(Op::Flush),
        1 => any::<bool>().prop_map(Op::Reopen),
        1 => stream().prop_map(Op::DropWriter),
        2 => Just(Op::Refresh),
        1 => any::<u16>().prop_map(Op::RetainBytes),
        1 => (stream(), any::<u8>()).prop_map(|(s, share)| Op::RetainBefore(s, share)),
        1 => Just(Op::Compact),
        1 => stream().prop_map(Op::Finish),
        8 => (stream(), moment(), moment(), any::<u8>())
            .prop_map(|(s, a, b, how)| Op::Ask(s, a, b, how)),
        1 => Just(Op::AskAll),
    ]
}

const SCHEMAS: u8 = 8;

fn schema(number: u8) -> Schema {
    let many = vec![
        Column::scalar("class", DType::U8),
        Column::scalar("sure", DType::Bool),
        Column::new("box", DType::U16, &[2, 2]),
        Column::scalar("score", DType::F64),
    ];
    let single = |dtype, shape: &[u32]| Schema::single(dtype, shape).unwrap();
    use Compression::{Lz4, Packed};
    match number % SCHEMAS {
        0 => single(DType::F64, &[]),
        1 => single(DType::F32, &[7]).with_compression(Lz4).with_time_unit(TimeUnit::Ns),
        2 => single(DType::I64, &[]).with_compression(Packed).with_order(Order::NonDecreasing),
        3 => Schema::new(many).unwrap().with_compression(Packed),
        4 => single(DType::U8, &[4, 5, 3]).with_order(Order::NonDecreasing),
        5 => single(DType::I32, &[]).with_compression(Lz4).with_order(Order::NonDecreasing),
        6 => single(DType::F64, &[2]).with_compression(Packed),
        _ => Schema::new(many).unwrap().with_order(Order::NonDecreasing),
    }
}

/// The columns of one record. Some seeds repeat, some give noise, some give NaNs.
fn values(schema: &Schema, seed: u64) -> Vec<Vec<u8>> {
    let mut random = Random(mix(seed));
    let columns = schema.columns().iter().map(|column| {
        let bytes = 0..column.value_bytes();
        match (column.dtype(), seed % 3) {
            (DType::Bool, _) => bytes.map(|_| (random.next() % 2) as u8).collect(),
            (_, 0) => bytes.map(|_| 0xff).collect(),
            (_, 1) => bytes.map(|index| ((seed >> 2) as u8).wrapping_add(index as u8)).collect(),
            _ => bytes.map(|_| random.next() as u8).collect(),
        }
    });
    columns.collect()
}

type Row = (i64, Vec<Vec<u8>>);

/// What one stream must hold.
#[derive(Debug)]
struct Model {
    name: String,
    schema: Schema,
    rows: Vec<Row>,
    /// Rows that retention gave up.
    first: usize,
    /// Rows that other processes see for certain.
    flushed: usize,
    finished: bool,
}

impl Model {
    fn kept(&self) -> &[Row] {
        &self.rows[self.first..]
    }

    fn last_ts(&self) -> Option<i64> {
        self.rows.last().map(|row| row.0)
    }

    fn may_come(&self, ts: i64) -> bool {
        match (self.last_ts(), self.schema.order()) {
            (None, _) => true,
            (Some(last), Order::StrictlyIncreasing) => ts > last,
            (Some(last), Order::NonDecreasing) => ts >= last,
            (Some(_), Order::Any) => unreachable!("a stream is no plane"),
        }
    }

    fn moment(&self, moment: Moment) -> i64 {
        match moment {
            Moment::Min => i64::MIN,
            Moment::Max => i64::MAX,
            Moment::Zero => 0,
            Moment::Near(share, off) => {
                let rows = &self.rows;
                let ts = rows.get(rows.len() * usize::from(share) / 256).map_or(0, |row| row.0);
                ts.saturating_add(i64::from(off))
            }
        }
    }

    /// Rows at or before `t`, counted from the first one kept.
    fn at_most(&self, t: i64) -> usize {
        self.kept().partition_point(|row| row.0 <= t)
    }

    fn less(&self, t: i64) -> usize {
        self.kept().partition_point(|row| row.0 < t)
    }

    fn at(&self, t: i64) -> Option<&Row> {
        self.at_most(t).checked_sub(1).map(|index| &self.kept()[index])
    }

    fn nearest(&self, t: i64) -> Option<&Row> {
        let before = self.at(t);
        let after = self.kept().get(self.at_most(t));
        match (before, after) {
            (Some(b), Some(a)) => Some(if t.abs_diff(b.0) <= a.0.abs_diff(t) { b } else { a }),
            (b, a) => b.or(a),
        }
    }

    fn window(&self, from: Bound<i64>, to: Bound<i64>, carry_in: bool) -> Option<&[Row]> {
        let value = |bound: Bound<i64>, open| match bound {
            Bound::Included(t) | Bound::Excluded(t) => t,
            Bound::Unbounded => open,
        };
        let (first, last) = (value(from, i64::MIN), value(to, i64::MAX));
        if first > last {
            return None;
        }
        let start = match from {
            Bound::Excluded(t) => self.at_most(t),
            _ => self.less(first),
        };
        let end = match to {
            Bound::Excluded(t) => self.less(t),
            _ => self.at_most(last),
        };
        // A range without any timestamp is empty, and has no start to carry into.
        let none = match (from, to) {
            (Bound::Excluded(a), Bound::Excluded(b)) => a >= b.saturating_sub(1),
            (Bound::Excluded(a), _) => a >= last,
            (_, Bound::Excluded(b)) => first >= b,
            _ => false,
        };
        if none || start > end {
            return Some(&[]);
        }
        let asked = if let Bound::Excluded(t) = from { t.saturating_add(1) } else { first };
        let exact = self.kept().get(start).is_some_and(|row| row.0 == asked);
        let start = if carry_in && !exact { start.saturating_sub(1) } else { start };
        Some(&self.kept()[start..end])
    }
}

fn row_of(record: &RecordRef, schema: &Schema) -> Row {
    let columns = 0..schema.columns().len();
    (record.ts(), columns.map(|column| record.column_bytes(column).to_vec()).collect())
}

fn same(what: &str, found: Option<RecordRef>, want: Option<&Row>, schema: &Schema) {
    let found = found.map(|record| row_of(&record, schema));
    assert_eq!(found.as_ref(), want, "{what}");
}

/// Compares a whole stream with the rows that it must hold.
fn check_rows(stream: &Stream, schema: &Schema, rows: &[Row]) {
    assert_eq!(stream.len(), rows.len() as u64, "length of {}", stream.name());
    assert_eq!(stream.is_empty(), rows.is_empty());
    let found: Vec<Row> =
        stream.iter().unwrap().map(|record| row_of(&record.unwrap(), schema)).collect();
    assert!(found == rows, "records of {} by iteration", stream.name());
    let window = stream.window(..).unwrap();
    let times: Vec<i64> = rows.iter().map(|row| row.0).collect();
    assert_eq!(window.timestamps().unwrap(), times, "timestamps of {}", stream.name());
    for column in 0..schema.columns().len() {
        let bytes: Vec<u8> = rows.iter().flat_map(|row| row.1[column].iter().copied()).collect();
        assert!(window.column_bytes(column).unwrap() == bytes, "column {column}");
    }
    same("first", stream.first().unwrap(), rows.first(), schema);
    same("last", stream.last().unwrap(), rows.last(), schema);
    let stats = stream.stats();
    assert_eq!(stats.records, rows.len() as u64);
    assert_eq!(stats.raw_bytes, (rows.len() * schema.record_bytes()) as u64);
    let bounds = (rows.first().map(|row| row.0), rows.last().map(|row| row.0));
    assert_eq!((stats.first_ts, stats.last_ts), bounds, "time range of {}", stream.name());
}

struct World {
    device: Arc<dyn Device>,
    db: Option<Database>,
    reader: Database,
    writers: Vec<Option<ColumnWriter>>,
    models: Vec<Model>,
}

impl World {
    fn new() -> Self {
        let device: Arc<dyn Device> = Arc::new(MemoryDevice::new());
        let db = Database::create_on(Arc::clone(&device), small()).unwrap();
        let reader = Database::open_read_only_on(Arc::clone(&device), small()).unwrap();
        Self { device, db: Some(db), reader, writers: Vec::new(), models: Vec::new() }
    }

    fn db(&self) -> &Database {
        self.db.as_ref().unwrap()
    }

    fn stream(&self, index: usize) -> Stream {
        self.db().stream(&self.models[index].name).unwrap()
    }

    fn pick(&self, stream: u8) -> Option<usize> {
        usize::from(stream).checked_rem(self.models.len())
    }

    /// The stream's writer; `None` where it is finished, and that was told.
    fn writer(&mut self, index: usize) -> Option<&mut ColumnWriter> {
        if self.writers[index].is_none() {
            match self.stream(index).column_writer() {
                Ok(writer) => self.writers[index] = Some(writer),
                Err(Error::StreamFinished { .. }) => {
                    assert!(self.models[index].finished);
                    return None;
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(!self.models[index].finished);
        self.writers[index].as_mut()
    }

    fn append(&mut self, index: usize, ts: i64, seed: u64) {
        let row = values(&self.models[index].schema, seed);
        let allowed = self.models[index].may_come(ts);
        let last = self.models[index].last_ts();
        let Some(writer) = self.writer(index) else { return };
        let columns: Vec<&[u8]> = row.iter().map(Vec::as_slice).collect();
        match writer.append(ts, &columns) {
            Ok(()) => assert!(allowed, "{ts} was accepted after {last:?}"),
            Err(Error::TimeOrder { last_ts, ts: refused, .. }) => {
                assert!(!allowed, "{ts} was refused after {last:?}");
                assert_eq!((Some(last_ts), refused), (last, ts));
                return;
            }
            Err(error) => panic!("{error}"),
        }
        self.models[index].rows.push((ts, row));
    }

    fn batch(&mut self, index: usize, count: u8, step: u8, seed: u64) {
        let model = &self.models[index];
        let mut random = Random(seed);
        let mut ts = model.last_ts().map_or(Some(-5), |last| last.checked_add(1));
        let mut rows: Vec<Row> = Vec::new();
        for number in 0..count {
            let Some(now) = ts else { break };
            rows.push((now, values(&model.schema, seed + u64::from(number / 7))));
            let least = u64::from(model.schema.order() == Order::StrictlyIncreasing);
            ts = now.checked_add_unsigned(least + random.below(u64::from(step) + 1));
        }
        let times: Vec<i64> = rows.iter().map(|row| row.0).collect();
        let columns = 0..model.schema.columns().len();
        let columns: Vec<Vec<u8>> = columns
            .map(|column| rows.iter().flat_map(|row| row.1[column].clone()).collect())
            .collect();
        let Some(writer) = self.writer(index) else { return };
        let columns: Vec<&[u8]> = columns.iter().map(Vec::as_slice).collect();
        writer.append_columns(&times, &columns).unwrap();
        // A batch with a step back in it is refused whole.
        let mut broken = times.clone();
        if let (Some(last), true) = (broken.last().copied(), times.len() > 1)
            && let Some(before) = last.checked_sub(1000)
        {
            broken = vec![last.saturating_add(1); times.len()];
            *broken.last_mut().unwrap() = before;
            let refused = writer.append_columns(&broken, &columns).unwrap_err();
            assert!(matches!(refused, Error::TimeOrder { .. }), "{refused}");
        }
        self.models[index].rows.extend(rows);
    }

    fn reopen(&mut self, close: bool) {
        self.writers.iter_mut().for_each(|writer| *writer = None);
        let db = self.db.take().unwrap();
        if close {
            db.close().unwrap();
        } else {
            drop(db);
        }
        let db = Database::open_on(Arc::clone(&self.device), small()).unwrap();
        assert!(db.report().is_clean(), "{:?}", db.report());
        self.db = Some(db);
        self.models.iter_mut().for_each(|model| model.flushed = model.rows.len());
        self.ask_all();
    }

    fn ask_all(&self) {
        for (index, model) in self.models.iter().enumerate() {
            let stream = self.stream(index);
            check_rows(&stream, &model.schema, model.kept());
            assert_eq!(stream.is_finished(), model.finished);
        }
    }

    fn refresh(&mut self) {
        self.reader.refresh().unwrap();
        for model in &self.models {
            let stream = match self.reader.stream(&model.name) {
                Ok(stream) => stream,
                Err(error) => panic!("the reader does not know {}: {error}", model.name),
            };
            let first = model.first;
            let end = first + stream.len() as usize;
            assert!(
                (model.flushed.max(first)..=model.rows.len()).contains(&end),
                "the reader sees {first}..{end} of {}: {} were flushed",
                model.name,
                model.flushed
            );
            check_rows(&stream, &model.schema, &model.rows[first..end]);
        }
    }

    /// Takes over what retention gave up, checked against what it was allowed to.
    fn retained(&mut self, allowed: impl Fn(&Model, &Row) -> bool) {
        for index in 0..self.models.len() {
            let len = self.stream(index).len() as usize;
            let model = &mut self.models[index];
            let first = model.rows.len() - len;
            assert!(first >= model.first);
            for row in &model.rows[model.first..first] {
                assert!(allowed(model, row), "{} lost {}", model.name, row.0);
            }
            model.first = first;
        }
        self.ask_all();
    }

    fn take(&mut self, op: &Op) {
        match *op {
            Op::Create(number) => {
                if self.models.len() == 5 {
                    return;
                }
                let name = format!("stream {}/\u{1F4C8}", self.models.len());
                let schema = schema(number);
                self.db().create_stream(&name, schema.clone()).unwrap();
                let again = self.db().create_stream(&name, schema.clone()).unwrap_err();
                assert!(matches!(again, Error::StreamExists { .. }));
                let rows = Vec::new();
                self.models.push(Model {
                    name,
                    schema,
                    rows,
                    first: 0,
                    flushed: 0,
                    finished: false,
                });
                self.writers.push(None);
            }
            Op::DropWriter(stream) => {
                let Some(index) = self.pick(stream) else { return };
                self.writers[index] = None;
            }
            Op::Append(stream, step, seed) => {
                let Some(index) = self.pick(stream) else { return };
                let last = self.models[index].last_ts();
                let ts = last.map_or(i64::from(seed), |last| last.saturating_add_unsigned(step));
                self.append(index, ts, u64::from(seed));
            }
            Op::Batch(stream, count, step, seed) => {
                let Some(index) = self.pick(stream) else { return };
                self.batch(index, count, step, u64::from(seed));
            }
            Op::Leap(stream, end, seed) => {
                let Some(index) = self.pick(stream) else { return };
                let ts = if end { i64::MAX } else { i64::MIN };
                self.append(index, ts, u64::from(seed));
            }
            Op::Back(stream, by) => {
                let Some(index) = self.pick(stream) else { return };
                let Some(last) = self.models[index].last_ts() else { return };
                self.append(index, last.saturating_sub(i64::from(by)), 1);
            }
            Op::Flush(level) => {
                self.db().flush(level).unwrap();
                if level > Level::Memory {
                    self.models.iter_mut().for_each(|model| model.flushed = model.rows.len());
                }
            }
            Op::Reopen(close) => self.reopen(close),
            Op::Refresh => self.refresh(),
            Op::RetainBytes(bytes) => {
                self.db().retain(Retention::bytes_max(u64::from(bytes))).unwrap();
                self.retained(|_, _| true);
            }
            Op::RetainBefore(stream, share) => {
                let Some(index) = self.pick(stream) else { return };
                let before = self.models[index].moment(Moment::Near(share, 0));
                self.db().retain(Retention::before_us(before)).unwrap();
                self.retained(|model, row| match model.schema.time_unit() {
                    TimeUnit::Us => row.0 < before,
                    TimeUnit::Ns => row.0.div_euclid(1000) < before,
                });
            }
            Op::Compact => {
                self.db().compact(|_, _| true).unwrap();
                self.ask_all();
            }
            Op::Finish(stream) => {
                let Some(index) = self.pick(stream) else { return };
                if self.writer(index).is_some() {
                    self.writers[index].take().unwrap().finish().unwrap();
                    self.models[index].finished = true;
                    self.models.iter_mut().for_each(|model| model.flushed = model.rows.len());
                }
            }
            Op::Ask(stream, from, to, how) => {
                let Some(index) = self.pick(stream) else { return };
                let model = &self.models[index];
                ask(&self.stream(index), model, model.moment(from), model.moment(to), how);
            }
            Op::AskAll => self.ask_all(),
        }
    }
}

/// Asks every question about the moments `from` and `to`.
fn ask(stream: &Stream, model: &Model, from: i64, to: i64, how: u8) {
    let schema = &model.schema;
    same("at", stream.at(from).unwrap(), model.at(from), schema);
    same("nearest", stream.nearest(from).unwrap(), model.nearest(from), schema);
    let next = model.kept().get(model.at_most(from));
    same("next_after", stream.next_after(from).unwrap(), next, schema);
    let age = from.abs_diff(to);
    let young = model.at(from).filter(|row| from.abs_diff(row.0) <= age);
    same("at_within", stream.at_within(from, age).unwrap(), young, schema);
    let sequence = u64::from(how) * model.rows.len() as u64 / 128;
    let row = model.rows.get(sequence as usize).filter(|_| sequence as usize >= model.first);
    same("get", stream.get(sequence).unwrap(), row, schema);

    let bound = |kind: u8, t| match kind % 3 {
        0 => Bound::Included(t),
        1 => Bound::Excluded(t),
        _ => Bound::Unbounded,
    };
    let (start, end) = (bound(how, from), bound(how / 3, to));
    let carry_in = how & 64 != 0;
    let options = if carry_in { WindowOptions::carry_in() } else { WindowOptions::default() };
    match (stream.window_with((start, end), options), model.window(start, end, carry_in)) {
        (Ok(window), Some(rows)) => {
            let times: Vec<i64> = rows.iter().map(|row| row.0).collect();
            assert_eq!(window.timestamps().unwrap(), times, "window {start:?} {end:?} {carry_in}");
            assert_eq!((window.len(), window.is_empty()), (rows.len(), rows.is_empty()));
            let bytes: Vec<u8> = rows.iter().flat_map(|row| row.1[0].iter().copied()).collect();
            assert!(window.column_bytes(0).unwrap() == bytes);
            let whole: usize = window.slices().map(|slice| slice.unwrap().len()).sum();
            assert_eq!(whole, rows.len());
        }
        (Err(Error::ReversedRange { .. }), None) => {}
        (found, want) => panic!("window {start:?} {end:?}: {found:?}, not {want:?}"),
    }

    let mut random = Random(u64::from(how));
    let times: Vec<i64> =
        (0..how % 20).map(|_| model.moment(Moment::Near(random.next() as u8, 1))).collect();
    let times = [times, vec![to, from, to]].concat();
    let many = stream.at_many(&times).unwrap();
    let want: Vec<Option<i64>> = times.iter().map(|t| model.at(*t).map(|row| row.0)).collect();
    assert_eq!(many.found(), want, "at_many {times:?}");

    let step = (u64::from(how) + 1).saturating_mul(age / 64 + 1);
    if from <= to {
        let sampled = stream.sample(from..=to, step).unwrap();
        let moments: Vec<i64> = (0_u64..)
            .map_while(|i| from.checked_add_unsigned(i.checked_mul(step)?).filter(|t| *t <= to))
            .collect();
        assert_eq!(sampled.times(), moments, "sample {from}..={to} by {step}");
        let want: Vec<Option<i64>> =
            moments.iter().map(|t| model.at(*t).map(|row| row.0)).collect();
        assert_eq!(sampled.found(), want);
    } else {
        let reversed = stream.sample(from..=to, step).unwrap_err();
        assert!(matches!(reversed, Error::ReversedRange { .. }));
    }
}

#[test]
fn operations_against_a_vector() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let cases = cases.unwrap_or(scaled(20_000) as u32);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let operations = prop::collection::vec(op(), 1..60);
    let mut from = [0; 32];
    from[..8].copy_from_slice(&seed().to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &from);
    let mut runner = TestRunner::new_with_rng(config, random);
    let result = runner.run(&operations, |operations| {
        let mut world = World::new();
        operations.iter().for_each(|op| world.take(op));
        world.reopen(true);
        world.refresh();
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}\n{}", replay_line());
    }
    figure("model cases", u64::from(cases));
}
