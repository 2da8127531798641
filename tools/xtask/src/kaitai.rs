//! The second reader: generated from `presence.ksy`, it reads every golden vector.
//!
//! # Invariants
//! - What it needs is installed below `target/spec-tools`, never into the system.
//! - Where that cannot be installed the step is skipped with the reason; a vector that is read
//!   differently is always a failure.

use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::steps::{Outcome, execute, output_of};

const MODULES: [&str; 2] = ["kaitai-struct-compiler@0.11.0", "js-yaml@4.1.0"];
const WHEELS: [&str; 2] = ["kaitaistruct==0.11", "lz4==4.4.5"];
/// Names what is installed, so that another version is installed anew.
const STAMP: &str = "installed";

/// Installs, compiles the description, and reads the vectors.
pub(crate) fn run(root: &Path) -> Result<Outcome> {
    let tools = root.join("target/spec-tools");
    if let Some(why) = install(&tools)? {
        return Ok(Outcome::Skipped(why));
    }
    let spec = root.join("format-spec");
    let generated = tools.join("generated");
    execute(
        Command::new("node")
            .arg(spec.join("compile_ksy.js"))
            .arg(tools.join("node_modules"))
            .arg(&generated),
    )?;
    execute(
        Command::new(tools.join("venv/bin/python"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .arg(spec.join("read_vectors.py"))
            .arg(&generated),
    )?;
    Ok(Outcome::Done)
}

/// Installs what is missing; the reason where it cannot be.
fn install(tools: &Path) -> Result<Option<String>> {
    for (program, version) in [("node", "--version"), ("npm", "--version"), ("python3", "-V")] {
        if output_of(Command::new(program).arg(version)).is_none() {
            return Ok(Some(format!("{program} is missing, so no second reader could be made")));
        }
    }
    let wanted = [MODULES, WHEELS].concat().join("\n");
    let stamp = tools.join(STAMP);
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(None);
    }
    println!("  installing the Kaitai compiler and its runtime into target/spec-tools");
    let fault = |error| format!("{}: {error}", tools.display());
    std::fs::create_dir_all(tools).map_err(fault)?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--no-save", "--fetch-retries=1", "--prefix"]);
    npm.arg(tools);
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv"]).arg(tools.join("venv"));
    let mut pip = Command::new(tools.join("venv/bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(WHEELS);
    for command in [npm.args(MODULES), &mut venv, &mut pip] {
        if let Err(why) = execute(command) {
            return Ok(Some(format!("the second reader's tools cannot be installed: {why}")));
        }
    }
    std::fs::write(&stamp, wanted).map_err(fault)?;
    Ok(None)
}
