//! Runs the models of concurrent structures under a model checker, and each with a planted fault
//! that it must find.
//!
//! # Invariants
//! - A planted fault that goes unnoticed fails the step: a model that cannot fail proves nothing.

use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::steps::{Outcome, execute};

/// Planted faults (`--cfg presence_plant`), each with the model that must find it.
const PLANTED: &[(&str, &str)] = &[("relaxed_publish", "tail::models")];

/// Runs all models, then each planted fault.
pub(crate) fn run(root: &Path) -> Result<Outcome> {
    execute(&mut model(root, "models", None))?;
    for (plant, name) in PLANTED {
        println!("  planted: {plant}; its model must fail");
        let output = model(root, name, Some(plant))
            .output()
            .map_err(|error| format!("cargo does not run: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if output.status.success() || !text.contains("FAILED") {
            return Err(format!(
                "the planted fault `{plant}` was not found by `{name}`:\n{text}{}",
                String::from_utf8_lossy(&output.stderr)
            ));
        }
    }
    Ok(Outcome::DoneNote(format!("{} planted fault found", PLANTED.len())))
}

fn model(root: &Path, name: &str, plant: Option<&str>) -> Command {
    let mut flags = "--cfg loom".to_owned();
    if let Some(plant) = plant {
        flags.push_str(&format!(" --cfg presence_plant=\"{plant}\""));
    }
    let mut command = Command::new("cargo");
    command.current_dir(root).env("RUSTFLAGS", flags);
    command.env("CARGO_TARGET_DIR", root.join("target/models"));
    command.args(["test", "--package", "presence-engine", "--lib", name]);
    command
}
