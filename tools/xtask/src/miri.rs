//! Runs tests under an interpreter that finds undefined behaviour, and under the thread sanitizer.
//!
//! Both need a nightly toolchain, which is fetched into a folder of its own under `target`: the
//! machine's toolchains stay as they are. Where it cannot be fetched, they are skipped.
//!
//! # Invariants
//! - The toolchain is pinned: another one may find other things, on a day of its own choice.
//! - A test that fails here fails the step; only a missing toolchain skips it.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::Result;
use crate::figures;
use crate::models::target;
use crate::steps::{Outcome, execute};

const TOOLCHAIN: &str = "nightly-2026-05-20";
const HOST: &str = "x86_64-unknown-linux-gnu";

/// One run of the interpreter.
struct Run {
    package: &'static str,
    flags: &'static str,
    /// Parts of the names of the tests; all tests where there is none.
    only: &'static [&'static str],
    /// What takes minutes when interpreted, and touches nothing that the others do not.
    skip: &'static [&'static str],
}

/// What reads bytes of others; it is safe code, so the rest of its crate is left out.
const DECODERS: &[&str] =
    &["codec::tests", "catalog::", "entry::", "frame::", "index::", "schema::", "segment::"];
/// What touches `unsafe`: the tail, and pages of bytes as numbers.
const UNSAFE: &[&str] = &[
    "tail::",
    "read::page",
    "read::cache::tests::a_lane",
    "read::cache::tests::two",
    "store::live",
];
/// What several threads do there, and where borrows are what counts.
const SHARED: &[&str] = &["tail::", "read::page"];
/// What depends on the order of threads alone.
const ORDERED: &[&str] = &["tail::"];

const RUNS: &[Run] = &[
    Run {
        package: "presence-format",
        flags: "",
        only: DECODERS,
        skip: &["measure", "bounds_are_told_of_values", "refused_for_any_flipped_bit"],
    },
    Run { package: "presence-engine", flags: "", only: UNSAFE, skip: &[] },
    Run { package: "presence-engine", flags: "-Zmiri-tree-borrows", only: SHARED, skip: &[] },
    Run { package: "presence-engine", flags: "-Zmiri-many-seeds=0..8", only: ORDERED, skip: &[] },
];

/// Runs the tests that touch bytes, with both models of what a borrow is, and those of threads in
/// eight orders.
pub(crate) fn run(root: &Path) -> Result<Outcome> {
    if let Err(why) = fetch(root, &["miri", "setup"]) {
        figures::add("skipped: miri", 1)?;
        return Ok(Outcome::Skipped(why));
    }
    let mut tests = 0;
    for run in RUNS {
        tests += interpreted(root, run, run.flags)?;
    }
    figures::add("tests under miri", tests)?;
    Ok(Outcome::DoneNote(format!("{tests} tests, counted once for each run")))
}

/// Runs the tests of threads in `count` other orders: those that follow from the seeds from `first`
/// on.
pub(crate) fn run_orders(root: &Path, first: u32, count: u32) -> Result<()> {
    if let Err(why) = fetch(root, &["miri", "setup"]) {
        figures::add("skipped: miri", 1)?;
        println!("SKIPPED: {why}");
        return Ok(());
    }
    let run = Run { package: "presence-engine", flags: "", only: ORDERED, skip: &[] };
    let end = first.saturating_add(count);
    let tests = interpreted(root, &run, &format!("-Zmiri-many-seeds={first}..{end}"))?;
    figures::add("tests under miri", tests)?;
    figures::add("orders of threads under miri", u64::from(end - first))?;
    println!("    {tests} tests passed, in {count} orders");
    Ok(())
}

/// Interprets the tests of one run. Returns how many passed.
fn interpreted(root: &Path, run: &Run, flags: &str) -> Result<u64> {
    let start = Instant::now();
    let package = run.package;
    let mut command = nightly(root, "miri");
    command.env("MIRIFLAGS", format!("-Zmiri-disable-isolation {flags}"));
    command.env("PROPTEST_CASES", "4");
    command.args(["miri", "test", "--quiet", "--package", package, "--lib", "--"]);
    command.args(run.only);
    for name in run.skip {
        command.args(["--skip", name]);
    }
    println!("  $ cargo +{TOOLCHAIN} miri test -p {package} {flags}");
    let output = command.output().map_err(|error| format!("cargo does not run: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        let only = run.only.join(" ");
        let again = format!(
            "again: MIRIFLAGS='-Zmiri-disable-isolation {flags}' cargo +{TOOLCHAIN} miri test \
             -p {package} --lib -- {only}"
        );
        return Err(format!("miri ended with {}:\n{text}{errors}\n{again}", output.status));
    }
    println!("    {:.1} s", start.elapsed().as_secs_f64());
    Ok(passed(&text))
}

/// Runs the tests of readers beside a writer with every access to memory watched.
pub(crate) fn tsan(root: &Path) -> Result<()> {
    if let Err(why) = fetch(root, &["--version"]) {
        figures::add("skipped: thread sanitizer", 1)?;
        println!("SKIPPED: {why}");
        return Ok(());
    }
    let mut command = nightly(root, "tsan");
    command.env("RUSTFLAGS", "-Zsanitizer=thread");
    command.args(["-Zbuild-std", "test", "--target", HOST, "--package", "presence-tests"]);
    command.args(["--test", "all", "--", "concurrent::", "slow_streams::", "--nocapture"]);
    execute(&mut command)
}

/// Gets the toolchain, where it is not there, and what `check` prepares. The error is the reason
/// why it cannot be had.
fn fetch(root: &Path, check: &[&str]) -> Result<()> {
    let ready = |root: &Path| {
        let mut command = nightly(root, "miri");
        command.args(check).output().is_ok_and(|output| output.status.success())
    };
    if ready(root) {
        return Ok(());
    }
    let mut install = Command::new("rustup");
    install.env("RUSTUP_HOME", home(root)).env_remove("RUSTUP_TOOLCHAIN");
    install.args(["toolchain", "install", TOOLCHAIN, "--profile", "minimal"]);
    install.args(["--component", "miri", "--component", "rust-src", "--no-self-update"]);
    execute(&mut install).map_err(|why| format!("{TOOLCHAIN} cannot be fetched: {why}"))?;
    if ready(root) { Ok(()) } else { Err(format!("{TOOLCHAIN} is there and does not work")) }
}

/// A private home for the toolchain.
fn home(root: &Path) -> std::path::PathBuf {
    target(root).join("nightly")
}

/// Cargo of the pinned toolchain, with a folder of its own for what it builds.
fn nightly(root: &Path, folder: &str) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root).env("RUSTUP_HOME", home(root));
    command.env("RUSTUP_TOOLCHAIN", format!("{TOOLCHAIN}-{HOST}"));
    command.env("CARGO_TARGET_DIR", target(root).join(folder));
    for name in ["CARGO", "RUSTC", "RUSTFLAGS"] {
        command.env_remove(name);
    }
    command
}

/// The tests that a runner says have passed.
fn passed(text: &str) -> u64 {
    let results = text.lines().filter_map(|line| line.strip_prefix("test result: ok. "));
    results.filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passed_tests_are_added_up() {
        let text = "running 2 tests\ntest result: ok. 2 passed; 0 failed\n\
                    test result: ok. 11 passed; 0 failed\n";
        assert_eq!(passed(text), 13);
    }
}
