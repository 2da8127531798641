//! `presence intervals`: from when to when something was seen.
//!
//! # Invariants
//! - An interval ends where the first microsecond without it begins.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use presence::{Interval, IntervalOptions, TimeUnit};
use serde_json::{Value, json};

use crate::question::Question;
use presence_cli::failure::{Outcome, Result};
use presence_cli::moment::{self, Span};
use presence_cli::output::Output;
use presence_cli::quantity::counted;
use presence_cli::table::{Align, Table};
use presence_cli::terminal::say;

/// What to ask.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    question: Question,
    /// Close gaps up to so long, whether nothing was seen in them or nobody looked: 2s, 200ms, or
    /// an integer in microseconds.
    #[arg(long, value_name = "SPAN")]
    close_gaps: Option<Span>,
    /// Leave out intervals shorter than this, after gaps were closed.
    #[arg(long, value_name = "SPAN")]
    drop_shorter: Option<Span>,
}

impl Arguments {
    fn options(&self) -> IntervalOptions {
        let length = |span: Option<Span>| match span {
            // A bare integer is in microseconds, as the track's timestamps are.
            Some(Span::Raw(us)) => Duration::from_micros(us),
            Some(span) => Duration::from_nanos(span.units(TimeUnit::Ns)),
            None => Duration::ZERO,
        };
        IntervalOptions::new()
            .close_gaps(length(self.close_gaps))
            .drop_shorter_than(length(self.drop_shorter))
    }
}

/// Lists the intervals, with --json as a list of `{"enter", "leave", "length"}`.
///
/// # Errors
/// As [`presence::PresenceTrack::intervals`], and where there is no such track.
pub(crate) fn run(arguments: &Arguments, json: bool) -> Result<Outcome> {
    let asked = arguments.question.ask()?;
    let intervals = asked.track.intervals(&asked.expression, asked.range, arguments.options())?;
    let mut out = Output::stdout();
    if json {
        let list: Vec<Value> = intervals.iter().map(to_json).collect();
        serde_json::to_writer(&mut out, &list)?;
        writeln!(out)?;
    } else if !intervals.is_empty() {
        write(&intervals, &mut out)?;
    }
    out.finish()?;
    if intervals.is_empty() && !json {
        say(&format!("presence: no data: never so in track {:?} there", asked.track.name()));
    }
    Ok(if intervals.is_empty() { Outcome::NoData } else { Outcome::Fine })
}

fn to_json(interval: &Interval) -> Value {
    json!({
        "enter": interval.enter_us,
        "leave": interval.leave_us,
        "length": interval.length_us(),
    })
}

fn write(intervals: &[Interval], out: &mut impl Write) -> Result<()> {
    let mut table =
        Table::new(&[("enter", Align::Left), ("leave", Align::Left), ("length", Align::Right)]);
    let time = |t_us: i64| moment::describe(t_us, TimeUnit::Us);
    let length = |us: u128| moment::seconds(i128::try_from(us).unwrap_or(i128::MAX), TimeUnit::Us);
    let mut all_us = 0;
    for interval in intervals {
        let length_us = u128::from(interval.length_us());
        all_us += length_us;
        table.line([time(interval.enter_us), time(interval.leave_us), length(length_us)]);
    }
    table.write(out)?;
    let number = counted(intervals.len() as u64, "interval");
    writeln!(out, "{number}, {} together", length(all_us))?;
    Ok(())
}
