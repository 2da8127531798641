//! `presence info`: what a database holds and costs.
//!
//! # Invariants
//! - Reads indexes only. Damage that opening finds is shown, and is the exit code.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use presence::{Database, PresenceTrack, SegmentStats, Stream, StreamStats, TimeUnit, class};
use serde_json::{Value, json};

use crate::open;
use crate::report;
use presence_cli::element::columns;
use presence_cli::failure::{Outcome, Result};
use presence_cli::moment;
use presence_cli::output::Output;
use presence_cli::quantity::{bytes, count, counted};
use presence_cli::table::{Align, Table};
use presence_cli::terminal::escape;

/// Which database.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The database.
    #[arg(value_name = "DB")]
    db: PathBuf,
}

/// Shows it.
///
/// # Errors
/// As [`Database::open_read_only`].
pub(crate) fn run(arguments: &Arguments, json: bool) -> Result<Outcome> {
    let db = open::to_read(&arguments.db)?;
    let mut out = Output::stdout();
    if json {
        serde_json::to_writer(&mut out, &to_json(&db)?)?;
        writeln!(out)?;
    } else {
        write(&db, &mut out)?;
    }
    out.finish()?;
    let damaged = report::tells_of_damage(db.report());
    Ok(if damaged { Outcome::Damaged } else { Outcome::Fine })
}

fn to_json(db: &Database) -> Result<Value> {
    let streams: Vec<Value> = db.streams().iter().map(stream_json).collect();
    let tracks = db.tracks();
    let tracks: Result<Vec<Value>> = tracks.iter().map(track_json).collect();
    let segments: Vec<Value> = db.segments().iter().map(segment_json).collect();
    Ok(json!({
        "id": hex(db),
        "streams": streams,
        "tracks": tracks?,
        "segments": segments,
        "report": report::to_json(db.report()),
    }))
}

/// What was ever observed of a track: its first and last tick, by their starts, and their number.
/// Of what is lost to damage it cannot tell.
fn observed(track: &PresenceTrack) -> Result<(Option<i64>, Option<i64>, u64)> {
    let track = track.clone().skip_gaps();
    let all = class(0) | !class(0);
    Ok((track.first(&all, ..)?, track.last(&all, ..)?, track.count(&all, ..)?))
}

fn track_json(track: &PresenceTrack) -> Result<Value> {
    let (first_ts, last_ts, observed) = observed(track)?;
    let classes = track.classes();
    let classes = classes.iter().map(|class| json!({"id": class.id, "name": class.name}));
    Ok(json!({
        "name": track.name(),
        "rate": track.grid().rate().to_string(),
        "epoch_us": track.grid().epoch_us(),
        "classes": classes.collect::<Vec<_>>(),
        "first_ts": first_ts,
        "last_ts": last_ts,
        "observed": observed,
    }))
}

fn stream_json(stream: &Stream) -> Value {
    let (schema, stats) = (stream.schema(), stream.stats());
    let columns = stream.columns().iter().map(|column| {
        let dtype = column.dtype().name();
        json!({"name": column.name(), "dtype": dtype, "shape": column.shape()})
    });
    json!({
        "name": stream.name(),
        "records": stats.records,
        "first_ts": stats.first_ts,
        "last_ts": stats.last_ts,
        "time_unit": schema.time_unit().name(),
        "bytes": stats.stored_bytes,
        "columns": columns.collect::<Vec<_>>(),
        "order": schema.order().name(),
        "compression": schema.compression().name(),
        "blocks": stats.blocks,
        "raw_bytes": stats.raw_bytes,
        "records_in_memory": stats.records_in_memory,
        "finished": stream.is_finished(),
    })
}

fn segment_json(segment: &SegmentStats) -> Value {
    let (first, last) = segment.log_segments;
    json!({
        "file": segment.file,
        "number": segment.number,
        "log_segments": [first, last],
        "generation": segment.generation,
        "bytes": segment.bytes,
        "records": segment.records,
        "sealed": segment.sealed,
        "created_unix_us": segment.created_unix_us,
    })
}

fn hex(db: &Database) -> String {
    db.id().0.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Shows a database to people.
///
/// # Errors
/// Where the output cannot be written.
pub(crate) fn write(db: &Database, out: &mut impl Write) -> Result<()> {
    let (streams, tracks, segments) = (db.streams(), db.tracks(), db.segments());
    let on_disk: u64 = segments.iter().map(|segment| segment.bytes).sum();
    let mut parts = vec![counted(streams.len() as u64, "stream")];
    if !tracks.is_empty() {
        parts.push(counted(tracks.len() as u64, "track"));
    }
    parts.push(counted(segments.len() as u64, "segment"));
    writeln!(out, "{}: {}, {} on disk", escape(db.path()), parts.join(", "), bytes(on_disk))?;
    if !streams.is_empty() {
        writeln!(out)?;
        write_streams(&streams, out)?;
    }
    if !tracks.is_empty() {
        writeln!(out)?;
        write_tracks(&tracks, out)?;
    }
    if !segments.is_empty() {
        writeln!(out)?;
        write_segments(&segments, out)?;
    }
    let lines = report::lines(db.report());
    if !lines.is_empty() {
        writeln!(out, "\nOpening found:")?;
        report::write(db.report(), out)?;
    }
    Ok(())
}

fn write_streams(streams: &[Stream], out: &mut impl Write) -> io::Result<()> {
    let mut table = Table::new(&[
        ("stream", Align::Left),
        ("records", Align::Right),
        ("from", Align::Left),
        ("to", Align::Left),
        ("stored", Align::Right),
        ("of raw", Align::Right),
        ("how", Align::Left),
        ("columns", Align::Left),
    ]);
    for stream in streams {
        let (schema, stats) = (stream.schema(), stream.stats());
        let unit = schema.time_unit();
        let time =
            |ts: Option<i64>| ts.map_or_else(|| "-".to_owned(), |ts| moment::describe(ts, unit));
        let mut how = format!("{} {}", unit.name(), schema.compression().name());
        if stream.is_finished() {
            how.push_str(" finished");
        }
        table.line([
            stream.name().to_owned(),
            count(stats.records),
            time(stats.first_ts),
            time(stats.last_ts),
            bytes(stats.stored_bytes),
            ratio(&stats),
            how,
            columns(stream.columns()),
        ]);
    }
    table.write(out)
}

/// Classes of a track that are shown before the rest is left to `--json`.
const CLASSES_SHOWN: usize = 6;

fn write_tracks(tracks: &[PresenceTrack], out: &mut impl Write) -> Result<()> {
    let mut table = Table::new(&[
        ("track", Align::Left),
        ("ticks/s", Align::Right),
        ("observed", Align::Right),
        ("from", Align::Left),
        ("last", Align::Left),
        ("classes", Align::Left),
    ]);
    for track in tracks {
        let (first, last, observed) = observed(track)?;
        let time = |t: Option<i64>| {
            t.map_or_else(|| "-".to_owned(), |t| moment::describe(t, TimeUnit::Us))
        };
        let classes = track.classes();
        let hidden = classes.len().saturating_sub(CLASSES_SHOWN);
        let classes = classes.iter().take(CLASSES_SHOWN).map(|class| match &class.name {
            Some(name) => format!("{} {name}", class.id),
            None => class.id.to_string(),
        });
        let more = (hidden > 0).then(|| format!("and {hidden} more"));
        table.line([
            track.name().to_owned(),
            track.grid().rate().to_string(),
            count(observed),
            time(first),
            time(last),
            classes.chain(more).collect::<Vec<_>>().join(", "),
        ]);
    }
    Ok(table.write(out)?)
}

fn ratio(stats: &StreamStats) -> String {
    if stats.raw_bytes == 0 || stats.stored_bytes == 0 {
        return "-".to_owned();
    }
    format!("{:.0} %", stats.stored_bytes as f64 / stats.raw_bytes as f64 * 100.0)
}

/// Segments that are shown before the rest is left to `--json`.
const SEGMENTS_SHOWN: usize = 20;

fn write_segments(segments: &[SegmentStats], out: &mut impl Write) -> io::Result<()> {
    let mut table = Table::new(&[
        ("segment", Align::Left),
        ("bytes", Align::Right),
        ("records", Align::Right),
        ("state", Align::Left),
        ("made", Align::Left),
    ]);
    let hidden = segments.len().saturating_sub(SEGMENTS_SHOWN);
    for segment in segments.iter().skip(hidden) {
        let state = match (segment.generation, segment.sealed) {
            (0, true) => "sealed",
            (0, false) => "active",
            _ => "compacted",
        };
        table.line([
            segment.file.clone(),
            bytes(segment.bytes),
            count(segment.records),
            state.to_owned(),
            moment::describe(segment.created_unix_us, TimeUnit::Us),
        ]);
    }
    if hidden > 0 {
        writeln!(out, "{} before these; --json lists them all", counted(hidden as u64, "segment"))?;
    }
    table.write(out)
}
