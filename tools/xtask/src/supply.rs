//! What is built into presence: licences, sources and duplicates of all dependencies.
//!
//! # Invariants
//! - Nothing is fetched: advisories, which change daily, are no part of it.

use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::steps::{Outcome, execute, output_of};

/// Checks `deny.toml`, where `cargo-deny` is installed.
pub(crate) fn run(root: &Path) -> Result<Outcome> {
    let deny = || {
        let mut command = Command::new("cargo");
        command.current_dir(root).arg("deny");
        command
    };
    if output_of(deny().arg("--version")).is_none() {
        return Ok(Outcome::Skipped(
            "cargo-deny is missing (to get it: cargo install --locked cargo-deny)".to_owned(),
        ));
    }
    let mut check = deny();
    check.args(["--log-level", "error", "check", "licenses", "bans", "sources"]);
    execute(&mut check).map(|()| Outcome::Done)
}
