//! Bytes as a database: opened in every way, asked everything, written on.

use std::sync::Arc;

use presence::device::MemoryDevice;
use presence::{Database, Error, Level, Options, Order, RecordRef, Stream, WindowOptions};

use crate::fix;

/// Most records of a stream that are compared one by one.
const RECORDS_MAX: usize = 4096;
/// Moments of each stream that are asked about.
const MOMENTS: usize = 12;

/// The smallest blocks and segments, and no threads.
pub(crate) fn options() -> Options {
    let mut options = Options::default();
    options.background = false;
    options.follow = false;
    options.block_bytes = 256;
    options.compacted_block_bytes = 1024;
    options.segment_bytes = 4096;
    options.cache_bytes = 1 << 20;
    options
}

/// The bytes as the only segment of a database.
pub(crate) fn open_bytes(bytes: &[u8]) {
    let number = fix::word(bytes, 32).max(1);
    let name = format!("seg-{number:08x}.presence");
    check_directory(&MemoryDevice::with_files([(name.as_str(), bytes)]));
}

/// The same with every checksum, place and chain made right.
pub(crate) fn open_fixed(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    fix::segment(&mut bytes);
    open_bytes(&bytes);
}

/// Opens a directory read-only and for writing, compares what they find, and goes on writing.
pub(crate) fn check_directory(device: &MemoryDevice) {
    for map in [true, false] {
        let mut options = options();
        options.map = map;
        let shared = Arc::new(device.fork());
        match Database::open_read_only_on(shared, options) {
            Ok(db) => {
                check_database(&db);
                tell(db.refresh());
                check_database(&db);
            }
            Err(error) => refused(&error),
        }
    }
    let fork = device.fork();
    match Database::open_on(Arc::new(fork.clone()), options()) {
        Ok(db) => {
            check_database(&db);
            write_on(db, &fork);
        }
        Err(error) => refused(&error),
    }
}

/// Errors that damaged bytes may lead to: all others are mistakes.
fn refused(error: &Error) {
    match error {
        Error::Corrupt { .. } | Error::Gap(_) => assert!(error.is_damage()),
        Error::Incompatible { .. } | Error::NotADatabase { .. } => {}
        // A catalog or number at the end of its range leaves no room for another segment.
        Error::TooManyStreams { .. } | Error::Invalid { .. } => {}
        error => panic!("not an error of damaged bytes: {error}"),
    }
    assert!(!error.to_string().is_empty());
}

fn tell<T>(result: Result<T, Error>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            refused(&error);
            None
        }
    }
}

/// Asks everything of every stream.
pub(crate) fn check_database(db: &Database) {
    let report = db.report();
    assert!(report.damage.iter().all(|damage| damage.offset <= damage.end), "{report:?}");
    let _segments = db.segments();
    let streams = db.streams();
    for stream in &streams {
        let known = db.stream(stream.name()).map(|stream| stream.len());
        assert_eq!(known.ok(), Some(stream.len()), "a stream is not found by its name");
        check_stream(stream);
    }
}

/// A record as it was found: its timestamp and the bytes of its first column.
type Row = (i64, Vec<u8>);

fn row(record: RecordRef) -> Row {
    (record.ts(), record.column_bytes(0).to_vec())
}

/// All records that can be read; `None` where some block cannot.
fn scan(stream: &Stream) -> Option<Vec<Row>> {
    let window = tell(stream.window_with(.., WindowOptions::skip_gaps()))?;
    let mut rows = Vec::new();
    let columns = stream.columns().len();
    let mut records = 0;
    for slice in window.slices() {
        let slice = tell(slice)?;
        records += slice.len();
        assert_eq!(slice.timestamps().len(), slice.len());
        for (column, shape) in stream.columns().iter().enumerate() {
            assert_eq!(slice.column_bytes(column).len(), slice.len() * shape.value_bytes());
        }
        assert!(slice.column_bytes(columns).is_empty());
        let width = stream.columns()[0].value_bytes();
        let values = slice.column_bytes(0).chunks_exact(width).map(<[u8]>::to_vec);
        let room = RECORDS_MAX.saturating_sub(rows.len());
        rows.extend(slice.timestamps().iter().copied().zip(values).take(room));
    }
    assert_eq!(records, window.len(), "a window's length is not that of its slices");
    (records <= RECORDS_MAX).then_some(rows)
}

fn keeps_order(rows: &[Row], order: Order) -> bool {
    rows.array_windows().all(|[a, b]| match order {
        Order::StrictlyIncreasing => a.0 < b.0,
        Order::NonDecreasing => a.0 <= b.0,
        Order::Any => true,
    })
}

fn check_stream(stream: &Stream) {
    let _stats = stream.stats();
    for level in [Level::Memory, Level::Os, Level::Disk] {
        let _records = stream.records_at(level);
    }
    let rows = scan(stream);
    let first = tell(stream.first());
    let last = tell(stream.last());
    // A block may hold what no writer may write; then no panic is all that is asked for.
    let sound = rows.as_deref().filter(|rows| keeps_order(rows, stream.schema().order()));
    if let Some(rows) = sound {
        assert_eq!(first.map(|record| record.map(row)), Some(rows.first().cloned()));
        assert_eq!(last.map(|record| record.map(row)), Some(rows.last().cloned()));
        let iterated = tell(stream.iter()).map(|records| records.map_while(tell).map(row));
        let iterated: Option<Vec<Row>> = iterated.map(Iterator::collect);
        assert!(iterated.as_deref() == Some(rows), "iteration is not the window");
    }
    let readable = rows.as_deref().unwrap_or_default();
    let step = readable.len().div_ceil(MOMENTS).max(1);
    let mut moments = vec![i64::MIN, 0, i64::MAX];
    for (ts, _) in readable.iter().step_by(step).chain(readable.last()) {
        moments.extend([ts.saturating_sub(1), *ts, ts.saturating_add(1)]);
    }
    for &t in &moments {
        ask(stream, t, sound);
    }
    let found = tell(stream.at_many(&moments));
    if let (Some(found), Some(rows)) = (found, sound) {
        let want: Vec<Option<i64>> =
            moments.iter().map(|t| at(rows, *t).map(|row| row.0)).collect();
        assert_eq!(found.found(), want, "at_many {moments:?}");
    }
    for pair in moments.windows(2) {
        let (from, to) = (pair[0].min(pair[1]), pair[0].max(pair[1]));
        let step = (from.abs_diff(to) / 7).max(1);
        let _sampled = tell(stream.sample(from..=to, step));
        let Some(window) = tell(stream.window(from..to)) else { continue };
        if let (Some(rows), Some(times)) = (sound, tell(window.timestamps())) {
            let want = rows.iter().map(|row| row.0).filter(|ts| (from..to).contains(ts));
            assert!(times.into_iter().eq(want), "window {from}..{to}");
        }
    }
    let end = stream.records_at(Level::Memory);
    for sequence in [0, 1, end.saturating_sub(1), end, u64::MAX] {
        tell(stream.get(sequence));
    }
}

fn at(rows: &[Row], t: i64) -> Option<&Row> {
    rows.iter().rev().find(|row| row.0 <= t)
}

fn ask(stream: &Stream, t: i64, rows: Option<&[Row]>) {
    let found = tell(stream.at(t)).map(|record| record.map(row));
    let next = tell(stream.next_after(t)).map(|record| record.map(row));
    let nearest = tell(stream.nearest(t)).map(|record| record.map(row));
    let Some(rows) = rows else { return };
    let (before, after) = (at(rows, t), rows.iter().find(|row| row.0 > t));
    if let Some(found) = found {
        assert_eq!(found.as_ref(), before, "at {t}");
    }
    if let Some(next) = next {
        assert_eq!(next.as_ref(), after, "next_after {t}");
    }
    if let Some(nearest) = nearest {
        let want = match (before, after) {
            (Some(a), Some(b)) if t.abs_diff(a.0) <= b.0.abs_diff(t) => Some(a),
            (Some(_), Some(b)) => Some(b),
            (a, b) => a.or(b),
        };
        assert_eq!(nearest.as_ref(), want, "nearest {t}");
    }
}

/// What a stream holds: its name, and its records where all of them can be read.
type Held = (String, Option<Vec<Row>>);

/// What every stream holds.
fn holdings(db: &Database) -> Vec<Held> {
    db.streams().iter().map(|stream| (stream.name().to_owned(), scan(stream))).collect()
}

fn same_holdings(db: &Database, held: &[Held], what: &str) {
    let found = holdings(db);
    assert_eq!(found.len(), held.len(), "{what} changed the streams: {:?}", db.report());
    for (found, held) in found.iter().zip(held) {
        let rows = |held: &Held| held.1.as_ref().map(|rows| (rows.len(), rows.last().cloned()));
        let (is, was) = (rows(found), rows(held));
        assert!(found == held, "{what}: {}: {is:?}, not {was:?}; {:?}", held.0, db.report());
    }
}

/// A writer goes on behind what it found: nothing of that changes, and what it writes is there.
fn write_on(db: Database, device: &MemoryDevice) {
    let mut held = holdings(&db);
    let found = db.report().clone();
    for (stream, (_, rows)) in db.streams().iter().zip(&mut held).take(2) {
        let Some(ts) = append(stream) else { continue };
        if let Some(rows) = rows {
            let width = stream.columns()[0].value_bytes();
            rows.push((ts, vec![0x11; width]));
        }
    }
    same_holdings(&db, &held, "appending");
    // Segment numbers may be used up.
    if tell(db.flush(Level::Disk)).is_none() {
        return;
    }
    if tell(db.compact(|_, _| true)).is_some() {
        same_holdings(&db, &held, &format!("compaction after {found:?}"));
    }
    db.close().unwrap();
    let again = Database::open_read_only_on(Arc::new(device.clone()), options()).unwrap();
    check_database(&again);
    // Segments that contradict each other may be judged otherwise once there are more of them.
    if found.damage.is_empty() {
        same_holdings(&again, &held, &format!("closing after {found:?}"));
    }
}

/// Appends one record behind the last; its timestamp, where that could be.
fn append(stream: &Stream) -> Option<i64> {
    let mut writer = match stream.column_writer() {
        Ok(writer) => writer,
        Err(Error::StreamFinished { .. }) => {
            assert!(stream.is_finished());
            return None;
        }
        Err(error) => panic!("no writer: {error}"),
    };
    let last = stream.stats().last_ts;
    let ts = last.map_or(Some(0), |last| last.checked_add(1))?;
    let columns: Vec<Vec<u8>> =
        stream.columns().iter().map(|column| vec![0x11; column.value_bytes()]).collect();
    let columns: Vec<&[u8]> = columns.iter().map(Vec::as_slice).collect();
    match writer.append(ts, &columns) {
        Ok(()) => Some(ts),
        // The catalog may name a later timestamp than any record that is left.
        Err(Error::TimeOrder { last_ts, .. }) => {
            assert!(last_ts >= ts);
            None
        }
        Err(Error::Invalid { .. }) => None,
        Err(error) => panic!("appending: {error}"),
    }
}
