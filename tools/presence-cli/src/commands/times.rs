//! `presence times`: every tick at which something was seen.
//!
//! # Invariants
//! - Memory does not grow with the range.

use std::io::Write;

use clap::Args;

use crate::question::Question;
use presence_cli::failure::{Outcome, Result};
use presence_cli::output::Output;
use presence_cli::terminal::say;

/// What to ask.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    question: Question,
    /// At most so many: the first ones.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

/// Lists the ticks by their first microsecond: one a line, with --json a list.
///
/// # Errors
/// As [`presence::PresenceTrack::timestamps`], and where there is no such track.
pub(crate) fn run(arguments: &Arguments, json: bool) -> Result<Outcome> {
    let asked = arguments.question.ask()?;
    let mut times = asked.track.timestamps(&asked.expression, asked.range)?;
    let mut out = Output::stdout();
    let limit = arguments.limit.unwrap_or(u64::MAX);
    let mut listed = 0;
    if json {
        write!(out, "[")?;
    }
    while listed < limit
        && let Some(t_us) = times.next().transpose()?
    {
        match (json, listed) {
            (true, 0) => write!(out, "{t_us}")?,
            (true, _) => write!(out, ",{t_us}")?,
            (false, _) => writeln!(out, "{t_us}")?,
        }
        listed += 1;
    }
    if json {
        writeln!(out, "]")?;
    }
    out.finish()?;
    if listed == 0 && !json {
        say(&format!("presence: no data: never so in track {:?} there", asked.track.name()));
    }
    Ok(if listed == 0 { Outcome::NoData } else { Outcome::Fine })
}
