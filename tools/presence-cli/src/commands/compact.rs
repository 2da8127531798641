//! `presence compact`: segments are rewritten into fewer and better ones.
//!
//! # Invariants
//! - Ctrl-C ends it between two blocks: what is done is kept, the rest stays as it was.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use presence::Options;
use serde_json::json;

use crate::open;
use presence_cli::failure::{Failure, Outcome, Result};
use presence_cli::interrupt::on_interrupt;
use presence_cli::output::Output;
use presence_cli::progress::Bar;
use presence_cli::quantity::{bytes, count, counted, held};

/// What to compact.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The database.
    #[arg(value_name = "DB")]
    db: PathBuf,
}

/// Compacts.
///
/// # Errors
/// As [`presence::Database::compact`], and where it was interrupted.
pub(crate) fn run(arguments: &Arguments, json: bool) -> Result<Outcome> {
    let db = open::to_write(&arguments.db, Options::default())?;
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    on_interrupt(move || asked.store(true, Ordering::Relaxed))
        .map_err(|error| Failure::io("watch for Ctrl-C", &error))?;
    let mut bar = Bar::new("compact");
    let done = db.compact(|done, all| {
        bar.draw(done, Some(all), "rewritten");
        !stop.load(Ordering::Relaxed)
    });
    bar.clear();
    let closed = db.close();
    let done = done?;
    closed?;
    let is_interrupted = stop.load(Ordering::Relaxed);
    let mut out = Output::stdout();
    if json {
        let done = json!({
            "inputs": done.inputs,
            "input_bytes": done.input_bytes,
            "outputs": done.outputs,
            "output_bytes": done.output_bytes,
            "records": done.records,
            "ticks": done.ticks,
        });
        writeln!(out, "{done}")?;
    } else if done.inputs == 0 {
        writeln!(out, "nothing to compact")?;
    } else {
        let (inputs, outputs) = (counted(done.inputs as u64, "segment"), done.outputs);
        writeln!(
            out,
            "{inputs} ({}) became {} ({}), with {}",
            bytes(done.input_bytes),
            count(outputs as u64),
            bytes(done.output_bytes),
            held(done.records, done.ticks)
        )?;
    }
    out.finish()?;
    if is_interrupted {
        let what = "interrupted; what was compacted is kept, the rest is as it was";
        return Err(Failure::interrupted(what));
    }
    Ok(Outcome::Fine)
}
