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

/// Planted faults (`shim::planted`), each with the models that must find it.
const PLANTED: &[(&str, &str)] = &[
    ("relaxed_publish", "tail::models"),
    ("failed_before_failure", "store::gate::models"),
    ("unlocked_notify", "write::handover::models::writers"),
    ("join_running_round", "write::sync::models::nobody"),
    ("round_without_wakeup", "write::sync::models::nobody"),
    ("insert_twice", "read::cache::models"),
    ("close_without_halt", "store::models::closing"),
    ("halt_unseen", "store::models::closing"),
    ("blind_update", "store::models::snapshots_beside_retention"),
    ("blind_update", "store::models::snapshots_beside_compaction"),
];

/// Runs all models, then each planted fault.
pub(crate) fn run(root: &Path) -> Result<Outcome> {
    let (models, all) = explored(root, &[])?;
    figures::add("models", models)?;
    for (plant, name) in PLANTED {
        println!("  planted: {plant}; {name} must fail");
        let told = ended(model(root, name).env("PRESENCE_PLANT", plant))?;
        if told.success || !told.text.contains("panicked at") {
            return Err(format!("the planted fault `{plant}` was not found:\n{}", told.text));
        }
    }
    figures::add("planted orderings found", PLANTED.len() as u64)?;
    let plants = PLANTED.len();
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
    execute(model(root, "models").arg("--no-run"))?;
    let mut command = model(root, "models");
    command.envs(limits.iter().map(|(name, limit)| (name, limit.to_string())));
    let told = ended(command.args(["--", "--nocapture"]))?;
    if !told.success {
        let limits = limits.iter().map(|(name, limit)| format!("{name}={limit} "));
        let again = "RUSTFLAGS='--cfg loom' CARGO_TARGET_DIR=target/models cargo test \
                     -p presence-engine --lib models";
        let limits: String = limits.collect();
        return Err(format!("a model failed:\n{}\nagain: {limits}{again}", told.text));
    }
    let counts = told.text.lines().filter_map(|line| line.split_once("interleavings\t"));
    let orders: Vec<u64> = counts.filter_map(|(_, count)| count.trim().parse().ok()).collect();
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

fn model(root: &Path, name: &str) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root).env("RUSTFLAGS", "--cfg loom");
    command.env("CARGO_TARGET_DIR", target(root).join("models"));
    command.args(["test", "--quiet", "--package", "presence-engine", "--lib", name]);
    command
}

/// Where builds of their own kind go.
pub(crate) fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}
