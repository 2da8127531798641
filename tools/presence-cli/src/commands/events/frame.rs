//! `presence events frame`: the events of a time as a picture.
//!
//! # Invariants
//! - Where the sensor's size is unknown it is as large as the events need, and that is said.

use std::path::PathBuf;

use clap::Args;
use presence_events::SensorSize;

use super::picture::Picture;
use super::source::SourceArguments;
use presence_cli::failure::{Outcome, Result};
use presence_cli::output::Output;
use presence_cli::quantity::counted;
use presence_cli::terminal::{self, say};

/// What to draw.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    source: SourceArguments,
    /// The PNG to write; by default the picture is drawn on the terminal.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Draws.
///
/// # Errors
/// Where the source cannot be read or the picture not be written.
pub(super) fn run(arguments: &Arguments, json: bool) -> Result<Outcome> {
    let mut source = arguments.source.open()?;
    let (mut events_total, mut needed) = (0_u64, SensorSize { width: 0, height: 0 });
    let mut picture: Option<Picture> = None;
    let mut sizes = |events: &presence_events::EventBatch| {
        let side = |values: &[u16]| values.iter().max().map_or(0, |max| max.saturating_add(1));
        needed.width = needed.width.max(side(events.x()));
        needed.height = needed.height.max(side(events.y()));
        events_total += events.len() as u64;
    };
    if source.sensor().is_none() {
        source.each(|events, _| {
            sizes(events);
            Ok(())
        })?;
    }
    let size = source.sensor().unwrap_or(needed);
    if source.sensor().is_none() && events_total > 0 {
        let (width, height) = (size.width, size.height);
        say(&format!("presence: the sensor's size is unknown; the events need {width} x {height}"));
    }
    let mut drawn = 0;
    source.each(|events, _| {
        drawn += events.len() as u64;
        picture.get_or_insert_with(|| Picture::new(size)).add(events);
        Ok(())
    })?;
    let Some(picture) = picture.filter(|_| drawn > 0) else {
        say("presence: no data: there are no events there");
        return Ok(Outcome::NoData);
    };
    if picture.outside > 0 {
        say(&format!("presence: {} beyond the sensor", counted(picture.outside, "event")));
    }
    let mut out = Output::open(arguments.output.as_deref())?;
    match &arguments.output {
        Some(_) => picture.png(&mut out)?,
        None => {
            let is_colour = terminal::stdout_is_live() && !json;
            picture.draw(usize::from(terminal::width()), is_colour, &mut out)?;
        }
    }
    out.finish()?;
    Ok(Outcome::Fine)
}
