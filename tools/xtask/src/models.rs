//! Runs the models of concurrent structures under a model checker, and each with a planted fault
//! that it must find.
//!
//! # Invariants
//! - A planted fault that goes unnoticed fails the step: a model that cannot fail proves nothing.
//! - Faults are planted when the model runs, so that all of them need one build.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::steps::{Outcome, execute};
use crate::{Result, figures};

/// What has models.
const PACKAGES: &[&str] = &["presence-engine", "presence-cache"];

/// Planted faults (`shim::planted`) in the engine, each with the models that must find it.
const PLANTED: &[(&str, &str)] = &[
    ("relaxed_publish", "tail::models"),
    ("failed_before_failure", "store::gate::models"),
    ("unlocked_notify", "write::handover::models::writers"),
    ("join_running_round", "write::sync::models::nobody"),
    ("round_without_wakeup", "write::sync::models::nobody"),
    ("hung_though_gone", "read::cache::models"),
    ("close_without_halt", "store::models::closing"),
    ("halt_unseen", "store::models::closing"),
    ("blind_update", "store::models::snapshots_beside_retention"),
    ("blind_update", "store::models::snapshots_beside_compaction"),
    ("looked_before_lock", "track::pending::models"),
    ("cooled_unseen", "track::models::ticks_set_while"),
];

/// The same in the cache.
const PLANTED_IN_CACHE: &[(&str, &str)] = &[
    ("told_before_landed", "flight::models"),
    ("awaited_before_landed", "flight::models"),
    ("met_without_lock", "store::models::one_load"),
    ("pins_looked_at_before", "store::models::what_is_pinned"),
    ("room_given_back", "store::models::the_budget"),
    ("demand_overlooked", "store::models::a_reader_beside"),
    ("kept_though_dismissed", "store::models::what_was_taken_out"),
    ("woken_without_lock", "queue::models::every_step"),
    ("closed_in_silence", "queue::models::a_close"),
    ("counted_before", "queue::models::planned_keys"),
    ("closed_before_lock", "worker::models::nobody_begins"),
    ("claimed_and_closed", "worker::models::a_close_beside"),
];

/// Runs all models, then each planted fault.
pub(crate) fn run(root: &Path) -> Result<Outcome> {
    let (models, all) = explored(root, &[])?;
    figures::add("models", models)?;
    let mut plants = 0;
    for (package, planted) in PACKAGES.iter().zip([PLANTED, PLANTED_IN_CACHE]) {
        for (plant, name) in planted {
            println!("  planted: {plant}; {name} must fail");
            let told = ended(model(root, package, name).env("PRESENCE_PLANT", plant))?;
            if told.success || !told.text.contains("panicked at") {
                return Err(format!("the planted fault `{plant}` was not found:\n{}", told.text));
            }
            plants += 1;
        }
    }
    figures::add("planted orderings found", plants)?;
    Ok(Outcome::DoneNote(format!("{models} models, {all} interleavings, {plants} plants found")))
}

/// Runs all models with up to `preemptions` switches that no thread asked for, each model for about
/// so many seconds at most.
pub(crate) fn run_deeper(root: &Path, preemptions: u64, seconds: u64) -> Result<()> {
    let limits = [("LOOM_MAX_PREEMPTIONS", preemptions), ("LOOM_MAX_DURATION", seconds)];
    let (models, all) = explored(root, &limits)?;
    println!("  {models} models, {all} interleavings with up to {preemptions} preemptions");
    Ok(())
}

/// Runs all models within `limits`. Returns how many there are, and in how many orders they ran.
fn explored(root: &Path, limits: &[(&str, u64)]) -> Result<(u64, u64)> {
    let mut orders: Vec<u64> = Vec::new();
    for package in PACKAGES {
        execute(model(root, package, "models").arg("--no-run"))?;
        let mut command = model(root, package, "models");
        command.envs(limits.iter().map(|(name, limit)| (name, limit.to_string())));
        let told = ended(command.args(["--", "--nocapture"]))?;
        if !told.success {
            let limits = limits.iter().map(|(name, limit)| format!("{name}={limit} "));
            let again = "RUSTFLAGS='--cfg loom' CARGO_TARGET_DIR=target/models cargo test \
                         --profile models";
            let limits: String = limits.collect();
            return Err(format!(
                "a model failed:\n{}\nagain: {limits}{again} -p {package} --lib models",
                told.text
            ));
        }
        let counts = told.text.lines().filter_map(|line| line.split_once("interleavings\t"));
        orders.extend(counts.filter_map(|(_, count)| count.trim().parse::<u64>().ok()));
    }
    let all = orders.iter().sum();
    figures::add("interleavings", all)?;
    Ok((orders.len() as u64, all))
}

/// How a command ended, and all that it printed.
struct Told {
    success: bool,
    text: String,
}

fn ended(command: &mut Command) -> Result<Told> {
    let output = command.output().map_err(|error| format!("cargo does not run: {error}"))?;
    let text = [&output.stdout, &output.stderr].map(|part| String::from_utf8_lossy(part));
    Ok(Told { success: output.status.success(), text: text.concat() })
}

fn model(root: &Path, package: &str, name: &str) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root).env("RUSTFLAGS", "--cfg loom");
    command.env("CARGO_TARGET_DIR", target(root).join("models"));
    command.args(["test", "--quiet", "--profile", "models", "--package", package, "--lib", name]);
    command
}

/// Where builds of their own kind go.
pub(crate) fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}
