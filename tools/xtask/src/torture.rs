//! `cargo xtask torture`: the randomised tests again and again, with fresh seeds and growing
//! numbers, until the time is over.
//!
//! # Invariants
//! - The list [`PARTS`] is the whole truth: a new part is one more line in it.
//! - A part is given a seed, a scale and nothing else that changes: both replay it.
//! - Between two parts it is looked whether the time is over; no part is asked for more than fits.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::steps::execute;
use crate::{Result, figures, fuzz, miri, models};

/// Something that finds more the longer it runs.
struct Part {
    name: &'static str,
    about: &'static str,
    run: fn(&Path, &Round) -> Result<()>,
}

/// What changes from round to round.
struct Round {
    seed: u64,
    scale: f64,
}

const PARTS: &[Part] = &[
    Part {
        name: "crash",
        about: "crashes at every call, and within recoveries",
        run: |root, round| tests(root, round, "crash::"),
    },
    Part {
        name: "faults",
        about: "calls that fail",
        run: |root, round| tests(root, round, "faults::"),
    },
    Part {
        name: "kills",
        about: "processes killed at any moment",
        run: |root, round| tests(root, round, "kills::"),
    },
    Part {
        name: "model",
        about: "operations against a naive model",
        run: |root, round| tests(root, round, "model::"),
    },
    Part {
        name: "damage",
        about: "files overwritten with garbage",
        run: |root, round| tests(root, round, "damage::cut"),
    },
    Part {
        name: "concurrent",
        about: "readers beside a writer",
        run: |root, round| tests(root, round, "concurrent::"),
    },
    Part {
        name: "fuzz",
        about: "every target under libFuzzer",
        run: |root, round| fuzz::run_for(root, (12.0 * round.scale).ceil() as u64).map(drop),
    },
    Part {
        name: "models",
        about: "every interleaving of what threads share, with more preemptions",
        run: |root, round| models::run_deeper(root, preemptions(round), seconds_a_model(round)),
    },
    Part {
        name: "miri",
        about: "threads under the interpreter, in other orders",
        run: |root, round| miri::run_orders(root, first_order(round), orders(round)),
    },
];

/// More than this at once cannot be interrupted soon.
const SCALE_MAX: f64 = 16.0;
const SCALE_MIN: f64 = 0.1;
/// Between the seeds of two rounds: tests count from theirs on.
const SEED_STEP: u64 = 1_000_003;

/// One more than in a run of all tests, and one more whenever the scale is doubled.
fn preemptions(round: &Round) -> u64 {
    4 + round.scale.max(1.0).log2() as u64
}

/// Many more preemptions than models have been through in any time: how long each may take.
fn seconds_a_model(round: &Round) -> u64 {
    (10.0 * round.scale).ceil() as u64
}

fn orders(round: &Round) -> u32 {
    (16.0 * round.scale).ceil() as u32
}

/// The interpreter takes seeds of 32 bits.
fn first_order(round: &Round) -> u32 {
    (round.seed % (1 << 31)) as u32
}

/// Options of `cargo xtask torture`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// End after about so many minutes.
    #[arg(long, value_name = "N", required_unless_present = "list")]
    minutes: Option<f64>,
    /// Begin with this seed; without it with one from the clock, which is printed.
    #[arg(long)]
    seed: Option<u64>,
    /// Run only this part; may be given more than once.
    #[arg(long, value_name = "PART")]
    only: Vec<String>,
    /// List the parts and do nothing.
    #[arg(long)]
    list: bool,
}

/// Runs the parts that `options` asks for, round after round.
pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    let parts = choose(&options.only)?;
    if options.list {
        parts.iter().for_each(|part| println!("{:10}  {}", part.name, part.about));
        return Ok(());
    }
    let minutes = options.minutes.unwrap_or_default().clamp(0.0, 1e6);
    let budget = Duration::from_secs_f64(minutes * 60.0);
    figures::gathered(root, || {
        if parts.iter().any(|part| !["fuzz", "models", "miri"].contains(&part.name)) {
            execute(&mut cargo_test(root, &["--no-run"]))?;
        }
        let seed = options.seed.unwrap_or_else(seed_of_the_clock);
        rounds(budget, seed, &parts, |part, round| (part.run)(root, round))
    })
}

fn choose(only: &[String]) -> Result<Vec<&'static Part>> {
    if let Some(name) = only.iter().find(|name| PARTS.iter().all(|part| part.name != **name)) {
        let known = PARTS.iter().map(|part| part.name).collect::<Vec<_>>().join(", ");
        return Err(format!("there is no part `{name}`; the parts are {known}"));
    }
    let chosen = |part: &&Part| only.is_empty() || only.iter().any(|name| name == part.name);
    Ok(PARTS.iter().filter(chosen).collect())
}

/// Round after round until `budget` is over; the first failure ends it.
fn rounds(
    budget: Duration,
    first_seed: u64,
    parts: &[&Part],
    run: impl Fn(&Part, &Round) -> Result<()>,
) -> Result<()> {
    let start = Instant::now();
    let mut scales = vec![1.0_f64; parts.len()];
    for number in 0.. {
        let seed = first_seed.wrapping_add(number * SEED_STEP);
        for (part, scale) in parts.iter().zip(&mut scales) {
            let left = budget.saturating_sub(start.elapsed());
            if left.is_zero() {
                println!("\ntorture: the time is over after {number} whole rounds");
                return Ok(());
            }
            let (name, seconds) = (part.name, left.as_secs());
            println!("\n==> round {number}, {name}: seed {seed}, scale {scale}, {seconds} s left");
            let part_start = Instant::now();
            run(part, &Round { seed, scale: *scale })
                .map_err(|why| format!("{name} failed with seed {seed}, scale {scale}: {why}"))?;
            figures::add("torture rounds", 1)?;
            *scale =
                next_scale(*scale, part_start.elapsed(), budget.saturating_sub(start.elapsed()));
        }
    }
    Ok(())
}

/// Twice as much as last time where that takes less than a quarter of what is left, else as much
/// as that quarter holds.
fn next_scale(scale: f64, took: Duration, left: Duration) -> f64 {
    let fits = scale * left.as_secs_f64() / 4.0 / took.as_secs_f64().max(0.01);
    // Two digits: the scale is to be typed again.
    let scale = (scale * 2.0).min(fits).clamp(SCALE_MIN, SCALE_MAX);
    (scale * 10.0).floor() / 10.0
}

fn seed_of_the_clock() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() ^ u64::from(since.subsec_nanos()) << 32
}

/// The integration tests whose names begin with `filter`.
fn tests(root: &Path, round: &Round, filter: &str) -> Result<()> {
    let mut command = cargo_test(root, &["--", filter]);
    command.env("PRESENCE_TEST_SEED", round.seed.to_string());
    command.env("PRESENCE_TEST_SCALE", round.scale.to_string());
    execute(&mut command)
}

fn cargo_test(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root).args([
        "test",
        "--quiet",
        "--package",
        "presence-tests",
        "--test",
        "all",
    ]);
    command.args(arguments);
    command
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn parts_are_chosen_by_name() {
        assert_eq!(choose(&[]).unwrap().len(), PARTS.len());
        assert_eq!(choose(&["kills".to_owned()]).unwrap()[0].name, "kills");
        let why = choose(&["kill".to_owned()]).err().unwrap();
        assert!(why.starts_with("there is no part `kill`; the parts are crash, "), "{why}");
    }

    #[test]
    fn every_round_has_another_seed_until_something_fails() {
        let seen = RefCell::new(Vec::new());
        let parts = choose(&["model".to_owned()]).unwrap();
        let failed = rounds(Duration::from_secs(3600), 7, &parts, |_, round| {
            seen.borrow_mut().push(round.seed);
            if seen.borrow().len() == 3 { Err("a reason".to_owned()) } else { Ok(()) }
        });
        assert_eq!(*seen.borrow(), [7, 7 + SEED_STEP, 7 + 2 * SEED_STEP]);
        let why = failed.unwrap_err();
        assert!(why.starts_with("model failed with seed 2000013, scale 4: a reason"), "{why}");
        assert!(rounds(Duration::ZERO, 7, &parts, |_, _| Err(String::new())).is_ok());
    }

    #[test]
    fn a_round_says_how_deep_models_and_the_interpreter_go() {
        let round = |scale| Round { seed: u64::MAX, scale };
        assert_eq!([0.1, 1.0, 2.0, 16.0].map(|scale| preemptions(&round(scale))), [4, 4, 5, 8]);
        assert_eq!([0.1, 1.0, 16.0].map(|scale| seconds_a_model(&round(scale))), [1, 10, 160]);
        assert_eq!([0.1, 1.0, 16.0].map(|scale| orders(&round(scale))), [2, 16, 256]);
        assert!(first_order(&round(1.0)).checked_add(orders(&round(SCALE_MAX))).is_some());
    }

    #[test]
    fn scales_grow_as_long_as_they_fit() {
        let seconds = Duration::from_secs;
        assert_eq!(next_scale(1.0, seconds(1), seconds(100)), 2.0);
        assert_eq!(next_scale(16.0, seconds(1), seconds(1000)), 16.0);
        assert_eq!(next_scale(4.0, seconds(10), seconds(20)), 2.0);
        assert_eq!(next_scale(1.0, seconds(100), seconds(1)), 0.1);
    }
}
