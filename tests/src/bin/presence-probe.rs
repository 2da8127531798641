//! A program of its own that opens what is hostile, and tells in three lines what it made of it:
//! `presence-probe DATABASE`.
//!
//! Its memory is limited and measured, so that it has the allocator of the system.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use presence::{Database, Error, Level, Options, PresenceTrack, RecordRef, Stream, class};
use presence_fsck::Level as Depth;
use presence_tests::{held_kib_max, plain, value};

/// Streams of a database that are asked: of those with thousands, the first.
const STREAMS_ASKED_MAX: usize = 300;

fn options() -> Options {
    let mut options = Options::default();
    options.background = false;
    options.follow = false;
    options.segment_bytes = 1 << 20;
    options.flush_interval = Duration::from_millis(100);
    options
}

/// Judges, reads and writes the subject; prints a line for each.
fn main() {
    let Some(subject) = std::env::args_os().nth(1) else {
        println!("usage: presence-probe DATABASE");
        std::process::exit(2);
    };
    let subject = Path::new(&subject);
    println!("judge: {}", judge(subject));
    println!("read: {}", read(subject));
    if subject.is_dir() {
        println!("write: {}", write(subject));
    }
    println!("peak: {}", held_kib_max().unwrap_or(0));
}

/// Exit codes at the three levels, and what the deepest found.
fn judge(subject: &Path) -> String {
    let levels = [Depth::Quick, Depth::Default, Depth::Deep];
    let mut codes = BTreeSet::new();
    let mut exits = Vec::new();
    for level in levels {
        let options = presence_fsck::Options::at(level);
        match presence_fsck::check(subject, &options, &mut |_| true) {
            Ok(report) => {
                exits.push(report.exit_code.to_string());
                codes = report.findings.iter().map(|one| one.code.as_str()).collect();
            }
            Err(error) => return kind_of_refusal(&error).to_owned(),
        }
    }
    let codes: Vec<&str> = codes.into_iter().collect();
    format!("{} {}", exits.join("/"), codes.join(" ")).trim_end().to_owned()
}

fn kind_of_refusal(error: &presence_fsck::Error) -> &'static str {
    match error {
        presence_fsck::Error::NotADatabase { .. } => "NotADatabase",
        _ => "List",
    }
}

fn kind(error: &Error) -> String {
    let words = format!("{error:?}");
    words.split(['(', ' ']).next().unwrap_or_default().to_owned()
}

fn read(subject: &Path) -> String {
    match Database::open_read_only(subject, options()) {
        Ok(db) => tell(&db),
        Err(error) => kind(&error),
    }
}

/// Opens for writing, appends a record, and reads again.
fn write(subject: &Path) -> String {
    let db = match Database::open(subject, options()) {
        Ok(db) => db,
        Err(error) => return kind(&error),
    };
    let before = tell(&db);
    let wrote = append(&db).and_then(|()| db.close());
    let wrote = match wrote {
        Ok(()) => "appends".to_owned(),
        Err(error) => kind(&error),
    };
    let again = match Database::open_read_only(subject, options()) {
        Ok(db) => match db.stream("hostile/probe").and_then(|stream| stream.at(7)) {
            Ok(Some(record)) if record.ts() == 7 => "",
            Ok(_) | Err(_) if wrote != "appends" => "",
            Ok(_) => ", LOST",
            Err(_) => ", UNREADABLE",
        },
        Err(_) => ", does not open again",
    };
    format!("{before}; {wrote}{again}")
}

fn append(db: &Database) -> Result<(), Error> {
    let stream = db.create_stream("hostile/probe", plain())?;
    let mut writer = stream.writer::<i64>()?;
    writer.append(7, 7_i64)?;
    drop(writer);
    db.flush(Level::Disk).map(|_| ())
}

/// What is open: what opening found, and what each stream answers.
fn tell(db: &Database) -> String {
    let report = db.report();
    let mut words = Vec::new();
    for (word, count) in [
        ("damage", report.damage.len()),
        ("torn", report.torn.len()),
        ("lost", report.lost.len()),
        ("removed", report.removed.len()),
    ] {
        if count > 0 {
            words.push(format!("{word} {count}"));
        }
    }
    let streams = db.streams();
    let mut answers: Vec<String> = streams.iter().take(STREAMS_ASKED_MAX).map(ask).collect();
    if streams.len() > 4 {
        answers.dedup_by_key(|answer| answer.split('=').nth(1).map(str::to_owned));
        answers.insert(0, format!("{} streams", streams.len()));
    }
    words.extend(answers);
    words.extend(db.tracks().iter().map(ask_track));
    if words.is_empty() { "opens".to_owned() } else { words.join(", ") }
}

/// Asks a track what is present and observed, and for its ticks.
fn ask_track(track: &PresenceTrack) -> String {
    let asked = class(0);
    let ratio = track.ratio(&asked, ..);
    let mut times = vec![0; 1000];
    let listed = track.timestamps(&asked, ..).and_then(|mut all| all.read(&mut times));
    let ends = track.first(&asked, ..).and_then(|_| track.last(&asked, ..)).map(|_| 0);
    let answer = match (ratio, listed.and_then(|listed| ends.map(|_| listed))) {
        (Ok(ratio), Ok(listed)) => {
            format!("{}/{}, listed {listed}", ratio.present, ratio.observed)
        }
        (Err(error), _) | (_, Err(error)) => kind(&error),
    };
    format!("{}: {answer}", track.name().escape_default())
}

/// Asks a stream everything, and tells how many records a scan gave, or which error ended it.
fn ask(stream: &Stream) -> String {
    let is_plain = *stream.schema() == plain();
    let mut records = 0_u64;
    let mut last = None;
    let mut wrong = "";
    let mut error = None;
    match stream.window(..) {
        Ok(window) => {
            for slice in window.slices() {
                match slice {
                    Ok(slice) => {
                        for (index, &ts) in slice.timestamps().iter().enumerate() {
                            let value = slice.column_bytes(0).get(index * 8..index * 8 + 8);
                            if is_plain && !is_record(ts, value.unwrap_or_default()) {
                                wrong = " WRONG";
                            }
                            let order = stream.schema().order();
                            if last.is_some_and(|last| !order.allows(last, ts)) {
                                wrong = " UNSORTED";
                            }
                            last = Some(ts);
                            records += 1;
                        }
                    }
                    Err(one) => {
                        error.get_or_insert(kind(&one));
                    }
                }
            }
        }
        Err(one) => error = Some(kind(&one)),
    }
    wrong = if wrong.is_empty() { ask_moments(stream, is_plain) } else { wrong };
    let error = error.map(|error| format!("+{error}")).unwrap_or_default();
    let mut name: String = stream.name().chars().take(12).collect();
    name = name.escape_default().to_string();
    format!("{name}={records}{error}{wrong}")
}

/// Whether these are timestamp and value of a plain record, or the one of the probe.
fn is_record(ts: i64, bytes: &[u8]) -> bool {
    let sequence = (ts / 10).cast_unsigned();
    bytes == value(sequence).to_le_bytes() || (ts == 7 && bytes == 7_i64.to_le_bytes())
}

/// Asks for moments, windows and records one by one; an answer that is none is told.
fn ask_moments(stream: &Stream, is_plain: bool) -> &'static str {
    let right = |record: Result<Option<RecordRef>, Error>| match record {
        Ok(Some(record)) => !is_plain || is_record(record.ts(), record.column_bytes(0)),
        Ok(None) => true,
        Err(error) => error.is_damage() || matches!(error, Error::Io { .. }),
    };
    for t in [i64::MIN, -1, 0, 5, 195, 200, 395, 400, 440, 450, i64::MAX - 1, i64::MAX] {
        let moments = [stream.at(t), stream.nearest(t), stream.next_after(t)];
        if !moments.into_iter().all(right) {
            return " WRONG MOMENT";
        }
        if let Ok(window) = stream.window(t.saturating_sub(100)..t) {
            let _length = window.len();
            let _slices = window.slices().filter(|slice| slice.is_ok()).count();
        }
    }
    for sequence in [0, 19, 20, 39, 40, 44, 45, u64::MAX - 1, u64::MAX] {
        if !right(stream.get(sequence)) {
            return " WRONG RECORD";
        }
    }
    if !right(stream.first()) || !right(stream.last()) {
        return " WRONG END";
    }
    if let Ok(records) = stream.iter() {
        let mut failed = false;
        for record in records {
            if failed {
                return " GOES ON AFTER AN ERROR";
            }
            failed = record.is_err();
        }
    }
    let _stats = (stream.len(), stream.is_empty(), stream.stats());
    ""
}
