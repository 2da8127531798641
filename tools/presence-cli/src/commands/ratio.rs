//! `presence ratio`: how much of a time something was seen.
//!
//! # Invariants
//! - Where nobody looked there is no ratio, which is not a ratio of zero.

use std::io::Write;
use std::time::Duration;

use clap::{Args, ValueEnum};
use presence::{Bucket, BucketRatio, Over, Ratio, TimeUnit, Zone};
use serde_json::{Value, json};

use crate::question::Question;
use presence_cli::failure::{Failure, Outcome, Result};
use presence_cli::moment::{self, Span};
use presence_cli::output::Output;
use presence_cli::progress::bar;
use presence_cli::quantity::{count, counted};
use presence_cli::table::{Align, Table};
use presence_cli::terminal::say;

/// What to ask.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    question: Question,
    /// A ratio for each piece of time so long: 1h, 1d, 10s, 200ms, or an integer in microseconds.
    /// One of them begins at time zero.
    #[arg(long, value_name = "SPAN")]
    every: Option<Span>,
    /// With --every 1d or 1h: days or hours of the clocks there, as Europe/Berlin or +02:00.
    #[arg(long, value_name = "ZONE", requires = "every", allow_hyphen_values = true)]
    zone: Option<Zone>,
    /// What the ratio is a part of: the ticks that were observed, or all of the range.
    #[arg(long, value_enum, default_value_t)]
    over: Whole,
}

/// What a ratio is a part of.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Whole {
    /// The ticks that were observed.
    #[default]
    Observed,
    /// All ticks of the range.
    Range,
}

impl Whole {
    const fn over(self) -> Over {
        match self {
            Self::Observed => Over::Observed,
            Self::Range => Over::Range,
        }
    }

    const fn adjective(self) -> &'static str {
        match self {
            Self::Observed => "observed ",
            Self::Range => "",
        }
    }
}

impl Arguments {
    fn bucket(&self) -> Result<Option<Bucket>> {
        let Some(every) = self.every else { return Ok(None) };
        let length = Duration::from_micros(every.units(TimeUnit::Us));
        let Some(zone) = &self.zone else { return Ok(Some(Bucket::Every(length))) };
        match length.as_secs() {
            3_600 => Ok(Some(Bucket::Hour(zone.clone()))),
            86_400 => Ok(Some(Bucket::Day(zone.clone()))),
            _ => Err(Failure::usage("--zone goes with --every 1d or --every 1h")),
        }
    }
}

/// Answers.
///
/// # Errors
/// As [`presence::PresenceTrack::ratio`], and where there is no such track.
pub(crate) fn run(arguments: &Arguments, json: bool) -> Result<Outcome> {
    let bucket = arguments.bucket()?;
    let asked = arguments.question.ask()?;
    let over = arguments.over.over();
    let mut out = Output::stdout();
    let has_any = if let Some(bucket) = bucket {
        let ratios = asked.track.ratio_every(&asked.expression, asked.range, &bucket)?;
        if json {
            let pieces: Vec<Value> = ratios.iter().map(|piece| piece_json(piece, over)).collect();
            serde_json::to_writer(&mut out, &pieces)?;
            writeln!(out)?;
        } else {
            write_pieces(&ratios, over, &mut out)?;
        }
        ratios.iter().any(|piece| piece.ratio.over(over).is_some())
    } else {
        let ratio = asked.track.ratio(&asked.expression, asked.range)?;
        if json {
            serde_json::to_writer(&mut out, &to_json(&ratio, over))?;
            writeln!(out)?;
        } else {
            write_one(&ratio, arguments.over, &mut out)?;
        }
        ratio.over(over).is_some()
    };
    out.finish()?;
    if !has_any && !json {
        let name = asked.track.name();
        say(&format!("presence: no data: nothing of track {name:?} was observed there"));
    }
    Ok(if has_any { Outcome::Fine } else { Outcome::NoData })
}

fn to_json(ratio: &Ratio, over: Over) -> Value {
    json!({
        "ratio": ratio.over(over),
        "present": ratio.present,
        "observed": ratio.observed,
        "range_ticks": ratio.range_ticks,
    })
}

fn piece_json(piece: &BucketRatio, over: Over) -> Value {
    json!({
        "from": piece.from_us,
        "to": piece.to_us,
        "ratio": piece.ratio.over(over),
        "present": piece.ratio.present,
        "observed": piece.ratio.observed,
        "range_ticks": piece.ratio.range_ticks,
    })
}

fn write_one(ratio: &Ratio, whole: Whole, out: &mut impl Write) -> Result<()> {
    let Some(part) = ratio.over(whole.over()) else { return Ok(()) };
    let of = match whole {
        Whole::Observed => ratio.observed,
        Whole::Range => ratio.range_ticks,
    };
    writeln!(
        out,
        "{part:.6}  present in {} of {} {}ticks; {} in the range, {} observed",
        count(ratio.present),
        count(of),
        whole.adjective(),
        counted(ratio.range_ticks, "tick"),
        count(ratio.observed),
    )?;
    Ok(())
}

fn write_pieces(pieces: &[BucketRatio], over: Over, out: &mut impl Write) -> Result<()> {
    let mut table = Table::new(&[
        ("from", Align::Left),
        ("to", Align::Left),
        ("ratio", Align::Right),
        ("", Align::Left),
        ("present", Align::Right),
        ("observed", Align::Right),
        ("ticks", Align::Right),
    ]);
    for piece in pieces {
        let ratio = piece.ratio.over(over);
        table.line([
            moment::describe(piece.from_us, TimeUnit::Us),
            moment::describe(piece.to_us, TimeUnit::Us),
            ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.4}")),
            // Without its empty part, which a timeline draws where nobody looked.
            ratio.map_or_else(String::new, |ratio| bar(ratio).trim_end_matches('░').to_owned()),
            count(piece.ratio.present),
            count(piece.ratio.observed),
            count(piece.ratio.range_ticks),
        ]);
    }
    if !pieces.is_empty() {
        table.write(out)?;
    }
    Ok(())
}
