//! `presence retain`: the oldest segments are given up.
//!
//! # Invariants
//! - Ages are never compared with timestamps that do not count from 1970: that would give up
//!   everything.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use presence::{Database, Options, Retained, Retention, Stream, class};
use serde_json::json;

use crate::open;
use presence_cli::failure::{Failure, Outcome, Result};
use presence_cli::moment::{self, Moment, Span};
use presence_cli::output::Output;
use presence_cli::quantity::{self, bytes, counted, held};

/// What to keep.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("rule").required(true).multiple(true))]
pub(crate) struct Arguments {
    /// The database.
    #[arg(value_name = "DB")]
    db: PathBuf,
    /// Give up segments whose newest record is older than this: 30d, 12h, 90s.
    #[arg(long, value_name = "AGE", group = "rule", conflicts_with = "before",
          value_parser = moment::parse_age)]
    older_than: Option<Span>,
    /// Give up segments whose newest record lies before this time; an integer is microseconds.
    #[arg(long, value_name = "T", group = "rule", allow_negative_numbers = true)]
    before: Option<Moment>,
    /// Give up the oldest segments until the rest is at most so large: 10GB, 512MiB.
    #[arg(long, value_name = "SIZE", group = "rule", value_parser = quantity::parse_bytes)]
    max_bytes: Option<u64>,
}

impl Arguments {
    fn retention(&self, db: &Database) -> Result<Retention> {
        let mut retention = Retention::default();
        retention.bytes_max = self.max_bytes;
        if let Some(before) = self.before {
            retention.before_us = Some(before.unix_us()?);
        }
        if let Some(age) = self.older_than {
            refuse_other_clocks(db)?;
            let now: Moment = "now".parse().map_err(Failure::usage)?;
            let age_us = age.units(presence::TimeUnit::Us);
            retention.before_us = Some(now.unix_us()?.saturating_sub_unsigned(age_us));
        }
        Ok(retention)
    }
}

fn refuse_other_clocks(db: &Database) -> Result<()> {
    let is_other = |stream: &Stream| {
        let unit = stream.schema().time_unit();
        stream.stats().last_ts.is_some_and(|last| !moment::is_unix(last, unit))
    };
    let what = if let Some(stream) = db.streams().iter().find(|stream| is_other(stream)) {
        format!("stream {:?}", stream.name())
    } else if let Some(name) = other_track(db)? {
        format!("track {name:?}")
    } else {
        return Ok(());
    };
    Err(Failure::usage(format!(
        "the timestamps of {what} do not count from 1970, so it has no age; use --before with a \
         time of its clock, or --max-bytes"
    )))
}

/// A track whose last observed tick does not count from 1970.
fn other_track(db: &Database) -> Result<Option<String>> {
    let all = class(0) | !class(0);
    for track in db.tracks() {
        let last = track.clone().skip_gaps().last(&all, ..)?;
        if last.is_some_and(|last| !moment::is_unix(last, presence::TimeUnit::Us)) {
            return Ok(Some(track.name().to_owned()));
        }
    }
    Ok(None)
}

/// Gives up what is to go.
///
/// # Errors
/// As [`Database::retain`].
pub(crate) fn run(arguments: &Arguments, json: bool) -> Result<Outcome> {
    let db = open::to_write(&arguments.db, Options::default())?;
    let retention = arguments.retention(&db)?;
    let done = db.retain(retention);
    let closed = db.close();
    let done = done?;
    closed?;
    let mut out = Output::stdout();
    if json {
        writeln!(out, "{}", to_json(&done))?;
    } else if done.files.is_empty() {
        writeln!(out, "nothing to give up")?;
    } else {
        let segments = counted(done.files.len() as u64, "segment");
        let what = held(done.records, done.ticks);
        writeln!(out, "gave up {segments} with {what}, {}", bytes(done.bytes))?;
        done.files.iter().try_for_each(|file| writeln!(out, "  {file}"))?;
    }
    out.finish()?;
    Ok(Outcome::Fine)
}

fn to_json(retained: &Retained) -> serde_json::Value {
    json!({
        "files": retained.files,
        "bytes": retained.bytes,
        "records": retained.records,
        "ticks": retained.ticks,
    })
}
