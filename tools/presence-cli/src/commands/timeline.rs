//! `presence timeline`: when each class was seen, a lane for each.
//!
//! # Invariants
//! - All columns hold as many ticks, but for one; a tick is never split between two.
//! - Nobody was there, and nobody looked, are drawn differently.

use std::io::Write;
use std::ops::{Bound, Range as Span};
use std::path::PathBuf;

use clap::Args;
use presence::{Expression, PresenceTrack, Ratio, TimeUnit, class};
use serde_json::{Value, json};

use crate::open;
use crate::question::{self, Range};
use presence_cli::failure::{Outcome, Result};
use presence_cli::moment;
use presence_cli::output::Output;
use presence_cli::quantity::{count, counted};
use presence_cli::terminal::{self, escape, say};

/// What to draw.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The database.
    #[arg(value_name = "DB")]
    db: PathBuf,
    /// The presence track.
    track: String,
    #[command(flatten)]
    range: Range,
    /// A lane for this expression over classes; by default one for each class that was seen there.
    #[arg(long, value_name = "EXPRESSION")]
    lane: Vec<String>,
    /// Characters in a line; by default as many as the terminal has, else 80.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(20..=10_000))]
    width: Option<u16>,
}

/// An expression, with its counts over all columns and in each.
#[derive(Debug)]
struct Lane {
    title: String,
    expression: Expression,
    all: Ratio,
    columns: Vec<Ratio>,
}

/// Ticks cut into columns.
#[derive(Debug)]
struct Cut {
    ticks: Span<i64>,
    columns: usize,
}

impl Cut {
    /// The ends of column `index`, in microseconds.
    fn column(&self, track: &PresenceTrack, index: usize) -> Result<Span<i64>> {
        let ticks = i128::from(self.ticks.end) - i128::from(self.ticks.start);
        let tick = |index: usize| {
            let behind = ticks * index as i128 / self.columns.max(1) as i128;
            self.ticks.start + behind as i64
        };
        let grid = track.grid();
        Ok(grid.start_us(tick(index))?..grid.start_us(tick(index + 1))?)
    }

    fn fill(&self, track: &PresenceTrack, lane: &mut Lane) -> Result<()> {
        for index in 0..self.columns {
            let ratio = track.ratio(&lane.expression, self.column(track, index)?)?;
            lane.columns.push(ratio);
        }
        Ok(())
    }
}

/// Draws.
///
/// # Errors
/// As [`PresenceTrack::ratio`], and where there is no such track.
pub(crate) fn run(arguments: &Arguments, json: bool) -> Result<Outcome> {
    let mut expressions = Vec::new();
    for text in &arguments.lane {
        expressions.push((text.clone(), question::parsed(text)?));
    }
    let range = arguments.range.bounds()?;
    let db = open::to_read(&arguments.db)?;
    let track = question::track(&db, &arguments.track)?;
    for (_, expression) in &expressions {
        question::known(&track, expression)?;
    }
    let is_chosen = !expressions.is_empty();
    if !is_chosen {
        expressions.extend(track.classes().into_iter().map(|one| {
            let title = one.name.unwrap_or_else(|| one.id.to_string());
            (title, class(one.id))
        }));
    }
    let Some(ticks) = ticks(&track, range)? else {
        if json {
            println_json(&json!({"from": null, "to": null, "lanes": []}))?;
        }
        say(&format!("presence: no data: nothing of track {:?} was observed there", track.name()));
        return Ok(Outcome::NoData);
    };
    let span = track.grid().start_us(ticks.start)?..track.grid().start_us(ticks.end)?;
    let mut lanes = Vec::new();
    let mut unseen = Vec::new();
    for (title, expression) in expressions {
        let all = track.ratio(&expression, span.clone())?;
        let title = escape(&title).into_owned();
        if all.present == 0 && !is_chosen {
            unseen.push(title);
        } else {
            lanes.push(Lane { title, expression, all, columns: Vec::new() });
        }
    }
    let (shape, cut) = laid_out(arguments.width, &lanes, ticks);
    for lane in &mut lanes {
        cut.fill(&track, lane)?;
    }
    if json {
        println_json(&to_json(&lanes, &span))?;
        return Ok(Outcome::Fine);
    }
    let mut out = Output::stdout();
    write(&shape, &lanes, &span, &mut out)?;
    if !unseen.is_empty() {
        writeln!(out, "not seen there: {}", unseen.join(", "))?;
    }
    out.finish()?;
    Ok(Outcome::Fine)
}

/// How many columns there are, and how wide they and the titles are.
fn laid_out(width: Option<u16>, lanes: &[Lane], ticks: Span<i64>) -> (Shape, Cut) {
    let width = usize::from(width.unwrap_or_else(terminal::width));
    let titles = lanes.iter().map(|lane| lane.title.chars().count());
    let title_width = titles.max().unwrap_or(0).min(width / 3);
    let room = width.saturating_sub(title_width + PERCENT_CHARS + 1).max(4);
    let number = usize::try_from(ticks.end.abs_diff(ticks.start)).unwrap_or(usize::MAX);
    let columns = room.min(number);
    (Shape { title_width, repeat: room / columns.max(1) }, Cut { ticks, columns })
}

/// The ticks that begin in the range, its open ends put to where observation begins and ends;
/// `None` where nothing was observed in it.
fn ticks(track: &PresenceTrack, range: (Bound<i64>, Bound<i64>)) -> Result<Option<Span<i64>>> {
    let all = class(0) | !class(0);
    let grid = track.grid();
    let ends = track.first(&all, range)?.zip(track.last(&all, range)?);
    let Some((first_us, last_us)) = ends else { return Ok(None) };
    let from = |t_us: i64| -> Result<i64> {
        let tick = grid.tick_of(t_us)?;
        Ok(if grid.start_us(tick)? < t_us { tick + 1 } else { tick })
    };
    let start = match range.0 {
        Bound::Included(t_us) => from(t_us)?,
        _ => grid.tick_of(first_us)?,
    };
    let end = match range.1 {
        Bound::Excluded(t_us) => from(t_us)?,
        _ => grid.tick_of(last_us)? + 1,
    };
    Ok(Some(start..end))
}

fn println_json(value: &Value) -> Result<()> {
    let mut out = Output::stdout();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)?;
    out.finish()
}

fn to_json(lanes: &[Lane], span: &Span<i64>) -> Value {
    let lane = |lane: &Lane| {
        let columns: Vec<Option<f64>> = lane.columns.iter().map(Ratio::over_observed).collect();
        json!({
            "class": lane.title,
            "ratio": lane.all.over_observed(),
            "present": lane.all.present,
            "observed": lane.all.observed,
            "columns": columns,
        })
    };
    let lanes: Vec<Value> = lanes.iter().map(lane).collect();
    json!({"from": span.start, "to": span.end, "lanes": lanes})
}

/// ` 100.0 %`.
const PERCENT_CHARS: usize = 8;
const EIGHTHS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
const ABSENT: &str = "·";
const NOT_OBSERVED: &str = "░";

/// How lanes are laid out.
#[derive(Debug)]
struct Shape {
    title_width: usize,
    /// Characters in a column.
    repeat: usize,
}

/// The character of a column: the more was present of what was observed, the higher.
fn cell(ratio: &Ratio) -> &'static str {
    let (present, observed) = (u128::from(ratio.present), u128::from(ratio.observed));
    if observed == 0 {
        return NOT_OBSERVED;
    }
    // Full where all was present, never empty where any was.
    let Some(above) = (present * 8).checked_sub(1) else { return ABSENT };
    let eighth = usize::try_from(above / observed).unwrap_or(0);
    EIGHTHS.get(eighth).copied().unwrap_or("█")
}

fn write(shape: &Shape, lanes: &[Lane], span: &Span<i64>, out: &mut impl Write) -> Result<()> {
    let width = shape.title_width;
    for lane in lanes {
        let title: String = lane.title.chars().take(width).collect();
        let bar: String = lane.columns.iter().map(|one| cell(one).repeat(shape.repeat)).collect();
        let part = lane.all.over_observed();
        let part = part.map_or_else(|| "-".to_owned(), |part| format!("{:.1} %", part * 100.0));
        writeln!(out, "{title:<width$} {bar} {part:>7}")?;
    }
    let describe = |t_us| moment::describe(t_us, TimeUnit::Us);
    let (from, to) = (describe(span.start), describe(span.end));
    let columns = lanes.first().map_or(0, |lane| lane.columns.len() * shape.repeat);
    let gap = columns.saturating_sub(from.chars().count() + to.chars().count()).max(1);
    writeln!(out, "{:width$} {from}{}{to}", "", " ".repeat(gap))?;
    if let Some(lane) = lanes.first() {
        let (observed, ticks) = (lane.all.observed, lane.all.range_ticks);
        let ticks = counted(ticks, "tick");
        writeln!(
            out,
            "{} of {ticks} observed; ▁ to █ part of them with it, {ABSENT} none, \
                       {NOT_OBSERVED} nobody looked",
            count(observed)
        )?;
    }
    Ok(())
}
