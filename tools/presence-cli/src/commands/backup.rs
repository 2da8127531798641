//! `presence backup`: a consistent, verified copy, also of a database that is being written.
//!
//! # Invariants
//! - The database is opened for reading only: it takes no lock, and a writer goes on.
//! - The copy appears when it is complete and verified. Ctrl-C, like any failure, leaves none.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use presence::{Backup, BackupOptions};
use presence_cli::failure::{Failure, Outcome, Result};
use presence_cli::interrupt::on_interrupt;
use presence_cli::output::Output;
use presence_cli::progress::Bar;
use presence_cli::quantity::{bytes, count, counted};
use presence_cli::terminal::{escape, say};
use serde_json::json;

use crate::open;

/// What to back up, and where to.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The database.
    #[arg(value_name = "DB")]
    db: PathBuf,
    /// The directory to make; it must not exist, or be empty.
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// Copy every byte, instead of sharing sealed segments with the database where the file system
    /// can (by reflink or hard link): slower, and safe from what happens to the database's files.
    #[arg(long)]
    copy: bool,
}

/// Backs up.
///
/// # Errors
/// As [`presence::Database::backup`].
pub(crate) fn run(arguments: &Arguments, json: bool) -> Result<Outcome> {
    let db = open::to_read(&arguments.db)?;
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    on_interrupt(move || asked.store(true, Ordering::Relaxed))
        .map_err(|error| Failure::io("watch for Ctrl-C", &error))?;
    let mut options = BackupOptions::default();
    options.copy = arguments.copy;
    let mut bar = Bar::new("backup");
    let done = db.backup(&arguments.out, &options, |done, all| {
        bar.draw(
            done,
            Some(all),
            &format!("{} of {} copied and verified", bytes(done), bytes(all)),
        );
        !stop.load(Ordering::Relaxed)
    });
    bar.clear();
    let done = done.map_err(|error| match error {
        presence::Error::Interrupted { .. } => {
            Failure::interrupted("interrupted; no backup was made")
        }
        error => Failure::from(error),
    })?;
    for left_over in &done.left_over {
        let folder = arguments.out.parent().unwrap_or(std::path::Path::new(""));
        say(&format!(
            "presence: {} was left by an interrupted backup, or one is at work there",
            escape(&folder.join(left_over).display().to_string())
        ));
    }
    let mut out = Output::stdout();
    if json {
        writeln!(out, "{}", to_json(&done))?;
    } else {
        write(arguments, &done, &mut out)?;
    }
    out.finish()?;
    Ok(Outcome::Fine)
}

fn write(arguments: &Arguments, done: &Backup, out: &mut impl Write) -> Result<()> {
    let ways = [(done.cloned, "cloned"), (done.linked, "linked"), (done.copied, "copied")];
    let ways = ways.iter().filter(|(segments, _)| *segments > 0);
    let ways: Vec<String> =
        ways.map(|(segments, how)| format!("{} {how}", count(*segments as u64))).collect();
    let streams = counted(done.streams.len() as u64, "stream");
    let mut parts = vec![format!("{streams} with {}", counted(done.records, "record"))];
    if !done.tracks.is_empty() {
        let (tracks, ticks) = (counted(done.tracks.len() as u64, "track"), ticks(done));
        parts.push(format!("{tracks} with {}", counted(ticks, "observed tick")));
    }
    writeln!(
        out,
        "{}: {}, {} in {} ({})",
        escape(&arguments.out.display().to_string()),
        parts.join(", "),
        bytes(done.bytes),
        counted(done.segments as u64, "segment"),
        ways.join(", "),
    )?;
    writeln!(out, "every checksum was read back and is right")?;
    if done.linked > 0 {
        let linked = "linked segments are the database's own files, which nobody changes any more";
        writeln!(out, "{linked}; --copy makes files that share nothing with it")?;
    }
    Ok(())
}

fn ticks(done: &Backup) -> u64 {
    done.tracks.iter().map(|track| track.observed).sum()
}

fn to_json(done: &Backup) -> serde_json::Value {
    let streams = done.streams.iter().map(|stream| {
        json!({
            "name": stream.name,
            "records": stream.records,
            "first_ts": stream.first_ts,
            "last_ts": stream.last_ts,
        })
    });
    let tracks = done.tracks.iter().map(
        |track| json!({"name": track.name, "classes": track.classes, "observed": track.observed}),
    );
    json!({
        "streams": streams.collect::<Vec<_>>(),
        "tracks": tracks.collect::<Vec<_>>(),
        "records": done.records,
        "ticks": ticks(done),
        "segments": done.segments,
        "cloned": done.cloned,
        "linked": done.linked,
        "copied": done.copied,
        "bytes": done.bytes,
        "bytes_copied": done.bytes_copied,
        "left_over": done.left_over,
    })
}
