//! `presence scrub`: jumps through frames, and shows what the cache makes of it.
//!
//! # Invariants
//! - At a terminal the cache is seen at work; elsewhere only results are written.
//! - Every pattern has a cache of its own, empty at first.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use presence_cache::PrefetchCache;
use presence_cache::policy::{Lru, ScanResistant};
use presence_cache::predict::{Adaptive, DistanceDecay, DynamicDistanceDecay, Silent};
use presence_cli::failure::{Failure, Outcome, Result};
use presence_cli::output::Output;
use presence_cli::quantity::{count, duration};
use presence_cli::terminal;
use serde_json::json;

use crate::scrub::frames::Frames;
use crate::scrub::live::{Key, Picture, Screen};
use crate::scrub::pattern::{self, Pattern};
use crate::scrub::replay::{self, Cache, Measured};
use crate::scrub::strip::{Now, States};

/// What to jump through, and how.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// MOT text, or a database into which it was imported.
    #[arg(value_name = "FILE|DB")]
    path: PathBuf,
    /// The stream of the database.
    #[arg(long)]
    stream: Option<String>,
    /// How to jump, several times if wanted. At a terminal, without this: by keys; elsewhere: in
    /// each of these ways.
    #[arg(short, long, value_enum)]
    pattern: Vec<Pattern>,
    /// Jump as a file says: a frame number on each line.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Jumps of a pattern.
    #[arg(long, default_value_t = 500)]
    steps: u32,
    /// Milliseconds between two jumps.
    #[arg(long, value_name = "MS", default_value_t = 10)]
    think: u64,
    /// Milliseconds that each load takes longer: as if frames were pictures.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    slower: u64,
    /// Frames to keep.
    #[arg(long, value_name = "FRAMES", default_value_t = 100)]
    keep: usize,
    /// Frames to look ahead.
    #[arg(long, value_name = "FRAMES", default_value_t = 20)]
    ahead: usize,
    /// Threads that load ahead.
    #[arg(long, default_value_t = 4)]
    workers: usize,
    /// What is expected next.
    #[arg(long, value_enum, default_value_t = Predictor::Adaptive)]
    predictor: Predictor,
    /// Who goes when room is needed.
    #[arg(long, value_enum, default_value_t = Policy::Lru)]
    policy: Policy,
    /// Where the random numbers begin.
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Predictor {
    /// Learns from what was asked for.
    Adaptive,
    /// What is near.
    Distance,
    /// What is near, rather before than behind.
    DynamicDistance,
    /// Nothing.
    Silent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Policy {
    /// What was not used for longest.
    Lru,
    /// What was used once goes before what is used again and again.
    ScanResistant,
}

/// Jumps.
///
/// # Errors
/// Where frames cannot be read, and where it was interrupted.
pub(crate) fn run(arguments: &Arguments, json: bool) -> Result<Outcome> {
    let is_live = !json && terminal::stdout_is_live();
    let by_keys = arguments.pattern.is_empty() && arguments.trace.is_none();
    if is_live && by_keys && std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        return jump_by_keys(arguments);
    }
    let patterns = if by_keys { &Pattern::ALL[..] } else { &arguments.pattern };
    let mut measured = Vec::new();
    let mut screen = if is_live { Some(Screen::take(false)?) } else { None };
    let frames = open(arguments)?;
    let (first, all) = (frames.first(), frames.count());
    let patterns = patterns
        .iter()
        .map(|pattern| (pattern.name(), Ok(pattern.steps(arguments.steps, all, arguments.seed))));
    let trace = arguments.trace.iter().map(|path| ("trace", pattern::trace(path, first, all)));
    for (name, steps) in patterns.chain(trace) {
        measured.push(replay(arguments, frames.clone(), name, &steps?, screen.as_mut())?);
        if screen.as_ref().is_some_and(Screen::is_over) {
            drop(screen);
            return Err(Failure::interrupted("interrupted"));
        }
    }
    drop(screen);
    let mut out = Output::stdout();
    if json {
        writeln!(out, "{}", to_json(&measured))?;
    } else {
        write(&measured, &mut out)?;
    }
    out.finish()?;
    Ok(Outcome::Fine)
}

fn open(arguments: &Arguments) -> Result<Frames> {
    let slower = Duration::from_millis(arguments.slower);
    Frames::open(&arguments.path, arguments.stream.as_deref(), slower)
}

fn cache(arguments: &Arguments, frames: Frames, states: &Arc<States>) -> Cache {
    let told = Arc::clone(states);
    let cache = PrefetchCache::builder(frames)
        .bytes_max(u64::MAX)
        .entries_max(arguments.keep)
        .prefetch_max(arguments.ahead)
        .workers(arguments.workers)
        .on_event(move |event| told.happened(event));
    let cache = match arguments.policy {
        Policy::Lru => cache.policy(Lru::new()),
        Policy::ScanResistant => cache.policy(ScanResistant::new()),
    };
    match arguments.predictor {
        Predictor::Adaptive => cache.predictor(Adaptive::new()),
        Predictor::Distance => cache.predictor(DistanceDecay::default()),
        Predictor::DynamicDistance => cache.predictor(DynamicDistanceDecay::default()),
        Predictor::Silent => cache.predictor(Silent),
    }
    .build()
}

/// Between two pictures, at least.
const REDRAW: Duration = Duration::from_millis(33);

fn replay(
    arguments: &Arguments,
    frames: Frames,
    name: &str,
    steps: &[u32],
    mut screen: Option<&mut Screen>,
) -> Result<Measured> {
    let first = frames.first();
    let ends = (first, first + (frames.count() - 1));
    let states = Arc::new(States::default());
    let cache = cache(arguments, frames, &states);
    let think = Duration::from_millis(arguments.think);
    let mut drawn = Instant::now();
    let mut failed = None;
    let shown = cache.clone();
    let measured = replay::replay(name, &cache, (first, steps), think, |at, wait| {
        let Some(screen) = screen.as_deref_mut() else { return true };
        states.asked(at);
        if drawn.elapsed() >= REDRAW {
            drawn = Instant::now();
            let stats = shown.stats();
            let now = Now::of(&shown);
            let picture = Picture { title: name, at, ends, wait, now: &now, stats: &stats };
            failed = screen.draw(&states, &picture).err();
        }
        failed.is_none() && !screen.is_over()
    })?;
    failed.map_or(Ok(measured), Err)
}

fn jump_by_keys(arguments: &Arguments) -> Result<Outcome> {
    let frames = open(arguments)?;
    let ends = (frames.first(), frames.first() + (frames.count() - 1));
    let states = Arc::new(States::default());
    let cache = cache(arguments, frames, &states);
    let ask = |at: u32| -> Result<Duration> {
        let asked = Instant::now();
        cache.get(&at).map_err(|error| Failure::cannot(error.to_string()))?;
        let wait = asked.elapsed();
        states.asked(at);
        Ok(wait)
    };
    let mut screen = Screen::take(true)?;
    let mut at = ends.0;
    let mut wait = ask(at)?;
    while !screen.is_over() {
        let stats = cache.stats();
        let now = Now::of(&cache);
        let picture = Picture { title: "keys", at, ends, wait, now: &now, stats: &stats };
        screen.draw(&states, &picture)?;
        for key in screen.keys()? {
            let Key::Jump(by) = key else { return Ok(Outcome::Fine) };
            let to = (i64::from(at) + by).clamp(i64::from(ends.0), i64::from(ends.1));
            at = u32::try_from(to).unwrap_or(at);
            wait = ask(at)?;
        }
    }
    drop(screen);
    Err(Failure::interrupted("interrupted"))
}

fn write(measured: &[Measured], out: &mut impl Write) -> Result<()> {
    writeln!(
        out,
        "{:12}{:>7}{:>9}{:>12}{:>12}{:>9}{:>9}{:>9}{:>12}",
        "pattern", "steps", "hits", "p50", "p99", "loads", "useful", "wasted", "time"
    )?;
    for one in measured {
        writeln!(
            out,
            "{:12}{:>7}{:>7.1} %{:>12}{:>12}{:>9}{:>9}{:>9}{:>12}",
            one.name,
            one.steps,
            100.0 * one.stats.hit_rate(),
            duration(one.wait(0.5)),
            duration(one.wait(0.99)),
            count(one.loads()),
            count(one.useful()),
            count(one.wasted()),
            duration(one.time),
        )?;
    }
    Ok(())
}

fn to_json(measured: &[Measured]) -> serde_json::Value {
    let patterns = measured.iter().map(|one| {
        json!({
            "pattern": one.name,
            "steps": one.steps,
            "detections": one.detections,
            "hits": one.stats.hits,
            "misses": one.stats.misses,
            "hit_rate": one.stats.hit_rate(),
            "p50_ns": one.wait(0.5).as_nanos() as u64,
            "p99_ns": one.wait(0.99).as_nanos() as u64,
            "loads": one.loads(),
            "loads_useful": one.useful(),
            "loads_wasted": one.wasted(),
            "late": one.stats.prefetches_late,
            "cancelled": one.stats.prefetches_cancelled,
            "evictions": one.stats.evictions,
            "time_us": one.time.as_micros() as u64,
        })
    });
    json!({ "patterns": patterns.collect::<Vec<_>>() })
}
