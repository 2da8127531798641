//! `presence events frame`: the events of a time as a picture.
//!
//! # Invariants
//! - Where the sensor's size is unknown it is as large as the events need, and that is said.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use presence_events::SensorSize;
use serde_json::json;

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
    source.say_losses();
    let Some(picture) = picture.filter(|_| drawn > 0) else {
        say("presence: no data: there are no events there");
        return Ok(Outcome::NoData);
    };
    if picture.outside > 0 {
        say(&format!("presence: {} beyond the sensor", counted(picture.outside, "event")));
    }
    put(&picture, arguments.output.as_deref(), json)?;
    if json {
        let told = json!({
            "width": size.width,
            "height": size.height,
            "events": drawn,
            "beyond_sensor": picture.outside,
            "file": arguments.output.as_ref().map(|path| path.display().to_string()),
        });
        if arguments.output.as_ref().is_some_and(|path| path.as_os_str() == "-") {
            say(&told.to_string());
        } else {
            let mut out = Output::stdout();
            writeln!(out, "{told}")?;
            out.finish()?;
        }
    }
    Ok(Outcome::Fine)
}

/// Into the file, or for people onto the terminal.
fn put(picture: &Picture, path: Option<&Path>, json: bool) -> Result<()> {
    let mut out = match path {
        None if json => return Ok(()),
        path => Output::open(path)?,
    };
    match path {
        Some(_) => picture.png(&mut out)?,
        None => {
            let columns = usize::from(terminal::width());
            picture.draw(columns, terminal::stdout_is_live(), &mut out)?;
        }
    }
    out.finish()
}
