//! `presence events stats` and `info`: what a recording is, in numbers.
//!
//! # Invariants
//! - Times are microseconds; of a file they are the first event's and the last event's.

use std::io::Write;

use clap::Args;
use presence::TimeUnit;
use presence_events::Report;
use serde_json::{Value, json};

use super::source::{Source, SourceArguments};
use presence_cli::failure::{Outcome, Result};
use presence_cli::moment;
use presence_cli::output::Output;
use presence_cli::quantity::{bytes, count};
use presence_cli::terminal::escape;

/// What to count.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    source: SourceArguments,
}

/// What to look at.
#[derive(Debug, Args)]
pub(super) struct InfoArguments {
    #[command(flatten)]
    source: SourceArguments,
}

/// Reads all events of the source and counts them.
fn counted(arguments: &SourceArguments) -> Result<(Source, Report)> {
    let mut source = arguments.open()?;
    // Of a part of a recording, only what is in it counts; of all of it the decoder's own report.
    let (mut part, mut triggers) = (Report::default(), 0);
    source.each(|events, beside| {
        part.add(events);
        triggers += beside.len() as u64;
        Ok(())
    })?;
    let all = source.report();
    let report = if source.is_whole() {
        all.clone()
    } else {
        part.triggers = if source.format() == "presence" { all.triggers } else { triggers };
        part
    };
    Ok((source, report))
}

/// Events a second.
fn rate(report: &Report) -> f64 {
    let us = report.duration_us();
    if us > 0 { report.events as f64 * 1e6 / us as f64 } else { 0.0 }
}

fn to_json(source: &Source, report: &Report) -> Value {
    let sensor = source.sensor();
    json!({
        "format": source.format(),
        "events": report.events,
        "on": report.on,
        "off": report.events - report.on,
        "first_ts": report.first_t,
        "last_ts": report.last_t,
        "duration_us": report.duration_us(),
        "rate": rate(report),
        "width": sensor.map(|size| size.width),
        "height": sensor.map(|size| size.height),
        "triggers": report.triggers,
        "dropped": report.dropped,
        "unknown_words": report.unknown_words,
        "out_of_order": report.out_of_order,
    })
}

fn outcome(report: &Report) -> Outcome {
    if report.events == 0 { Outcome::NoData } else { Outcome::Fine }
}

/// Writes counts.
///
/// # Errors
/// Where the source cannot be read.
pub(super) fn run(arguments: &Arguments, json: bool) -> Result<Outcome> {
    let (source, report) = counted(&arguments.source)?;
    let numbers = to_json(&source, &report);
    let mut out = Output::stdout();
    if json {
        writeln!(out, "{numbers}")?;
    } else {
        for (name, value) in numbers.as_object().into_iter().flatten() {
            let value = match value {
                Value::Number(number) => match number.as_u64() {
                    Some(whole) if !name.ends_with("_ts") => count(whole),
                    _ if name == "rate" => format!("{} a second", count(rate(&report) as u64)),
                    _ => number.to_string(),
                },
                Value::String(text) => text.clone(),
                _ => "unknown".to_owned(),
            };
            writeln!(out, "{name:<14} {value}")?;
        }
    }
    out.finish()?;
    Ok(outcome(&report))
}

/// Tells what a recording is.
///
/// # Errors
/// Where the source cannot be read.
pub(super) fn info(arguments: &InfoArguments, json: bool) -> Result<Outcome> {
    let (source, report) = counted(&arguments.source)?;
    let mut out = Output::stdout();
    if json {
        let mut all = to_json(&source, &report);
        if let Some(members) = all.as_object_mut() {
            members.insert("camera".to_owned(), json!(source.camera()));
            members.insert("bytes".to_owned(), json!(source.bytes()));
            members.insert("frames".to_owned(), json!(report.frames));
            members.insert("imu".to_owned(), json!(report.imu));
            members.insert("untimed".to_owned(), json!(report.untimed));
            members.insert("tail_bytes".to_owned(), json!(report.tail_bytes));
            let faults = report.faults.iter();
            let faults: Vec<Value> =
                faults.map(|fault| json!({"byte": fault.offset, "reason": fault.what})).collect();
            members.insert("faults".to_owned(), json!(faults));
        }
        writeln!(out, "{all}")?;
    } else {
        write_info(&source, &report, &mut out)?;
    }
    out.finish()?;
    Ok(outcome(&report))
}

fn write_info(source: &Source, report: &Report, out: &mut impl Write) -> Result<()> {
    let per_event = source.bytes() as f64 / report.events.max(1) as f64;
    writeln!(out, "format   {}", source.format())?;
    match source.sensor() {
        Some(size) => writeln!(out, "sensor   {} x {}", size.width, size.height)?,
        None => writeln!(out, "sensor   unknown: --sensor tells it")?,
    }
    if let Some(camera) = source.camera() {
        writeln!(out, "camera   {}", escape(camera))?;
    }
    writeln!(out, "events   {}, {} of them on", count(report.events), count(report.on))?;
    if let (Some(first), Some(last)) = (report.first_t, report.last_t) {
        let describe = |t| moment::describe(t, TimeUnit::Us);
        writeln!(out, "times    {first} to {last} us ({} to {})", describe(first), describe(last))?;
        writeln!(out, "rate     {} events a second", count(rate(report) as u64))?;
    }
    let size = source.bytes();
    writeln!(out, "size     {}, {per_event:.2} bytes an event", bytes(size))?;
    for (number, what) in [
        (report.triggers, "triggers"),
        (report.frames, "frames"),
        (report.imu, "samples of the inertial sensor"),
    ] {
        if number > 0 {
            writeln!(out, "         {} {what}", count(number))?;
        }
    }
    for line in source.losses() {
        writeln!(out, "         {line}")?;
    }
    for fault in &report.faults {
        writeln!(out, "         byte {}: {}", fault.offset, escape(&fault.what))?;
    }
    Ok(())
}
