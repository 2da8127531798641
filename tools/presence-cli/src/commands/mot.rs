//! `presence mot generate`: MOT text of objects that move through a picture.
//!
//! # Invariants
//! - The same options give the same bytes on every machine.
//! - Lines have the nine fields of ground truth, which every reader of MOT text takes: frame, id,
//!   left, top, width, height, confidence, class 1, and the share of the box inside the picture.

use std::io::Write;
use std::path::PathBuf;

use clap::builder::TypedValueParser;
use clap::{Args, Subcommand};
use presence_cli::failure::{Failure, Outcome, Result};
use presence_cli::output::Output;
use presence_cli::quantity::{bytes, counted};
use presence_cli::random::Random;
use presence_cli::terminal::say;

/// What to do with MOT text.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a file of detections of made-up objects, for tests and measurements.
    Generate(Generate),
}

#[derive(Debug, Args)]
struct Generate {
    /// The file to write; standard output where it is not given.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Objects.
    #[arg(short, long, default_value_t = 100)]
    tracks: u32,
    /// Frames.
    #[arg(short, long, default_value_t = 10_000)]
    frames: u32,
    /// Width of the picture in pixels.
    #[arg(long, default_value_t = 1920, value_parser = pixels())]
    width: u32,
    /// Height of the picture in pixels.
    #[arg(long, default_value_t = 1080, value_parser = pixels())]
    height: u32,
    /// Frames in which an object is there, at least.
    #[arg(long, value_name = "FRAMES", default_value_t = 10)]
    min_track_length: u32,
    /// Frames in which an object is there, at most.
    #[arg(long, value_name = "FRAMES", default_value_t = 200)]
    max_track_length: u32,
    /// Where the random numbers begin.
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

/// What a picture may measure.
fn pixels() -> impl TypedValueParser<Value = u32> {
    clap::value_parser!(u32).range(10..=100_000)
}

/// Does it.
///
/// # Errors
/// Where the file cannot be written.
pub(crate) fn run(arguments: &Arguments) -> Result<Outcome> {
    let Command::Generate(options) = &arguments.command;
    if options.min_track_length > options.max_track_length {
        return Err(Failure::usage("--min-track-length is more than --max-track-length"));
    }
    let mut out = Output::open(options.output.as_deref())?;
    let (mut lines, mut written) = (0_u64, 0_u64);
    for_each_line(options, |line| {
        lines += 1;
        written += line.len() as u64;
        out.write_all(line.as_bytes())
    })?;
    out.finish()?;
    if options.output.is_some() {
        let frames = counted(u64::from(options.frames), "frame");
        say(&format!("{} in {frames}, {}", counted(lines, "detection"), bytes(written)));
    }
    Ok(Outcome::Fine)
}

/// One object.
#[derive(Debug)]
struct Track {
    id: u32,
    first: u32,
    last: u32,
    centre: [f64; 2],
    velocity: [f64; 2],
    size: [f64; 2],
    confidence: f64,
}

impl Track {
    fn new(id: u32, options: &Generate, random: &mut Random) -> Self {
        let starts = options.frames.saturating_sub(options.min_track_length).max(1);
        let first = 1 + random.below(u64::from(starts)) as u32;
        let more = options.max_track_length - options.min_track_length;
        let length = options.min_track_length + random.below(u64::from(more) + 1) as u32;
        let extent = [f64::from(options.width), f64::from(options.height)];
        let margin = extent.map(|extent| (extent / 4.0).min(100.0));
        let [x, y] = [0, 1].map(|axis: usize| (margin.get(axis), extent.get(axis)));
        let inside = |(margin, extent): (Option<&f64>, Option<&f64>), random: &mut Random| {
            let (margin, extent) = (margin.copied().unwrap_or(0.0), extent.copied().unwrap_or(0.0));
            random.between(margin, extent - margin)
        };
        Self {
            id,
            first,
            last: first.saturating_add(length).min(options.frames),
            centre: [inside(x, random), inside(y, random)],
            velocity: [random.between(-5.0, 5.0), random.between(-5.0, 5.0)],
            size: [random.between(50.0, 200.0), random.between(50.0, 200.0)],
            confidence: random.between(0.4, 0.95),
        }
    }

    /// The line of the object in `frame`, where enough of it is in the picture.
    fn line(&self, frame: u32, options: &Generate, random: &mut Random) -> Option<String> {
        let after = f64::from(frame - self.first);
        let mut axis = |centre: f64, velocity: f64, size: f64, extent: u32| {
            let centre = centre + velocity * after + random.between(-2.0, 2.0);
            let from = (centre - size / 2.0).max(0.0);
            let to = (centre + size / 2.0).min(f64::from(extent));
            (from, to - from)
        };
        let ([cx, cy], [vx, vy], [width, height]) = (self.centre, self.velocity, self.size);
        let (left, across) = axis(cx, vx, width, options.width);
        let (top, down) = axis(cy, vy, height, options.height);
        // Up and down once in 64 frames. No sine: its last digit is not the same everywhere.
        let swing = 0.2 * (f64::from(frame % 64) / 32.0 - 1.0).abs() - 0.1;
        let swing = swing + random.between(-0.05, 0.05);
        let confidence = (self.confidence + swing).clamp(0.1, 1.0);
        let visible = (across * down / (width * height)).clamp(0.0, 1.0);
        (across >= 10.0 && down >= 10.0).then(|| {
            let id = self.id;
            format!(
                "{frame},{id},{left:.1},{top:.1},{across:.1},{down:.1},{confidence:.5},1,\
                 {visible:.3}\n"
            )
        })
    }
}

fn for_each_line(
    options: &Generate,
    mut tell: impl FnMut(&str) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut random = Random::new(options.seed);
    let mut tracks: Vec<Track> =
        (1..=options.tracks).map(|id| Track::new(id, options, &mut random)).collect();
    tracks.sort_by_key(|track| (track.first, track.id));
    let mut coming = tracks.iter().peekable();
    let mut present: Vec<&Track> = Vec::new();
    for frame in 1..=options.frames {
        present.retain(|track| track.last >= frame);
        present.extend(std::iter::from_fn(|| coming.next_if(|track| track.first <= frame)));
        present.sort_by_key(|track| track.id);
        for track in &present {
            if let Some(line) = track.line(frame, options, &mut random) {
                tell(&line)?;
            }
        }
    }
    Ok(())
}
