//! `presence events rate`: how many events there were, over time.
//!
//! # Invariants
//! - Bins are aligned to zero of the clock; an event is in one bin.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use presence::TimeUnit;
use serde_json::json;

use super::plot::{BINS_MAX, Plot};
use super::source::SourceArguments;
use presence_cli::failure::{Outcome, Result};
use presence_cli::moment::{self, Span};
use presence_cli::output::Output;
use presence_cli::quantity::{count, counted, duration};
use presence_cli::terminal::{self, say};

/// What to draw.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    source: SourceArguments,
    /// How wide a bin is: 1ms, 100us; by default so that they fill the width of the terminal.
    #[arg(long, value_name = "SPAN")]
    bin: Option<Span>,
    /// Draw an SVG picture into this file instead.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

const ROWS: usize = 10;
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Draws.
///
/// # Errors
/// Where the source cannot be read.
pub(super) fn run(arguments: &Arguments, json: bool) -> Result<Outcome> {
    let columns = usize::from(terminal::width()).saturating_sub(12).max(20);
    let columns = if arguments.svg.is_some() || json { 500 } else { columns };
    let mut plot = match arguments.bin {
        Some(bin) => Plot::fixed(bin.units(TimeUnit::Us)),
        None => Plot::fitted(columns),
    };
    let mut left_out = 0_u64;
    let mut source = arguments.source.open()?;
    source.each(|events, _| {
        for (&t, &polarity) in events.t().iter().zip(events.polarity()) {
            left_out += u64::from(!plot.add(t, polarity != 0));
        }
        Ok(())
    })?;
    source.say_losses();
    if left_out > 0 {
        let why = format!("before the first one, or beyond {} bins", count(BINS_MAX as u64));
        say(&format!("presence: {} not drawn: {why}", counted(left_out, "event")));
    }
    if plot.bins().next().is_none() {
        say("presence: no data: there are no events there");
        return Ok(Outcome::NoData);
    }
    let mut out = Output::open(arguments.svg.as_deref())?;
    if arguments.svg.is_some() {
        out.write_all(svg(&plot).as_bytes())?;
    } else if json {
        let bins = plot.bins().map(|(ts, on, off)| json!({"ts": ts, "on": on, "off": off}));
        let bins: Vec<_> = bins.collect();
        writeln!(out, "{}", json!({"bin_us": plot.width_us(), "bins": bins}))?;
    } else {
        draw(&plot, columns, &mut out)?;
    }
    out.finish()?;
    Ok(Outcome::Fine)
}

/// Events a second, from those of a bin.
fn per_second(plot: &Plot, events: u64) -> f64 {
    events as f64 * 1e6 / plot.width_us() as f64
}

fn draw(plot: &Plot, columns: usize, out: &mut impl Write) -> Result<()> {
    let bins: Vec<(i64, u64)> = plot.bins().map(|(ts, on, off)| (ts, on + off)).collect();
    let most = bins.iter().map(|bin| bin.1).max().unwrap_or(1).max(1);
    let shown = bins.get(..columns.min(bins.len())).unwrap_or_default();
    for row in (0..ROWS).rev() {
        let label = match row {
            _ if row == ROWS - 1 => short(per_second(plot, most)),
            0 => "0".to_owned(),
            _ => String::new(),
        };
        let line: String = shown
            .iter()
            .map(|(_, events)| {
                let eighths = (events * (ROWS * 8) as u64).div_ceil(most) as usize;
                BARS.get(eighths.saturating_sub(row * 8).min(8)).copied().unwrap_or(' ')
            })
            .collect();
        writeln!(out, "{label:>9} │{}", line.trim_end())?;
    }
    let (first, last) = (shown.first(), shown.last());
    let (first, last) = (first.map_or(0, |bin| bin.0), last.map_or(0, |bin| bin.0));
    let end = last.saturating_add_unsigned(plot.width_us());
    let (first, end) = (moment::describe(first, TimeUnit::Us), moment::describe(end, TimeUnit::Us));
    writeln!(out, "          └{}", "─".repeat(shown.len()))?;
    let width = duration(Duration::from_micros(plot.width_us()));
    writeln!(out, "events a second, {first} to {end}, {width} a column")?;
    if shown.len() < bins.len() {
        let hidden = count((bins.len() - shown.len()) as u64);
        writeln!(out, "and {hidden} more columns; a wider --bin, --svg or --json shows all")?;
    }
    Ok(())
}

/// `12.3 M`.
fn short(value: f64) -> String {
    match value {
        v if v >= 1e9 => format!("{:.1} G", v / 1e9),
        v if v >= 1e6 => format!("{:.1} M", v / 1e6),
        v if v >= 1e3 => format!("{:.1} k", v / 1e3),
        v => format!("{v:.0}"),
    }
}

/// Two areas, on above off, with the greatest rate and both ends of time.
fn svg(plot: &Plot) -> String {
    const WIDTH: f64 = 1000.0;
    const HEIGHT: f64 = 240.0;
    let bins: Vec<_> = plot.bins().collect();
    let most = bins.iter().map(|(_, on, off)| on + off).max().unwrap_or(1).max(1);
    let step = WIDTH / bins.len().max(1) as f64;
    let area = |value: &dyn Fn(u64, u64) -> u64| {
        let mut path = format!("M0 {HEIGHT}");
        for (index, (_, on, off)) in bins.iter().enumerate() {
            let y = HEIGHT - value(*on, *off) as f64 / most as f64 * HEIGHT;
            let (left, right) = (index as f64 * step, (index + 1) as f64 * step);
            // Writing to a String cannot fail.
            let _written = write!(path, "L{left:.2} {y:.2}L{right:.2} {y:.2}");
        }
        path + &format!("L{WIDTH} {HEIGHT}Z")
    };
    let (first, last) = (bins.first().map_or(0, |b| b.0), bins.last().map_or(0, |b| b.0));
    let end = last.saturating_add_unsigned(plot.width_us());
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="-10 -30 1020 310"
 font-family="sans-serif" font-size="14">
<path fill="#3465c0" d="{}"/>
<path fill="#c04034" d="{}"/>
<path stroke="#444" fill="none" d="M0 0V{HEIGHT}H{WIDTH}"/>
<text x="4" y="-10">{} events/s; on above off</text>
<text x="0" y="{}">{first} us</text>
<text x="{WIDTH}" y="{}" text-anchor="end">{end} us</text>
</svg>
"##,
        area(&|on, off| on + off),
        area(&|_, off| off),
        short(per_second(plot, most)),
        HEIGHT + 22.0,
        HEIGHT + 22.0,
    )
}
