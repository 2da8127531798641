//! `cargo xtask test`: everything a change must pass, and with `--all` what CI looks at besides.
//!
//! # Invariants
//! - The list [`STEPS`] is the whole truth: a new check is one more line in it.
//! - What is missing is installed where that is quick and possible; where it is not, the step says
//!   what is missing and how to get it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::steps::{Beside, Outcome, Step, execute, output_of};
use crate::{
    Result, figures, fuzz, kaitai, miri, models, python, spec, steps, supply, tidy, vectors,
};

/// All steps: cheap ones first, so that simple mistakes are told early.
const STEPS: &[Step] = &[
    Step { name: "tools", about: "what the later steps need", run: tools },
    Step { name: "fmt", about: "formatting, by rustfmt", run: fmt },
    Step { name: "tidy", about: "style rules that need no compiler", run: tidy_step },
    Step { name: "spec", about: "the format's text and code agree", run: spec_step },
    Step { name: "vectors", about: "golden vectors are as generated", run: vectors_step },
    Step { name: "kaitai", about: "a second reader reads every vector", run: kaitai::run },
    Step { name: "supply", about: "licences and sources of dependencies", run: supply::run },
    Step { name: "clippy", about: "lints, warnings refused", run: clippy },
    Step { name: "test", about: "unit and integration tests", run: tests },
    Step { name: "models", about: "every interleaving of what threads share", run: models::run },
    Step { name: "miri", about: "no undefined behaviour in what touches bytes", run: miri::run },
    Step { name: "python", about: "the wheel, in a fresh environment", run: python::run },
    Step { name: "doctest", about: "examples in the documentation", run: doc_tests },
    Step { name: "doc", about: "documentation, warnings refused", run: doc },
    Step { name: "bench", about: "every benchmark once, as a test", run: bench },
    Step { name: "fuzz", about: "every fuzz target for a short time", run: fuzz::run },
    Step { name: "msrv", about: "the oldest supported Rust", run: msrv },
];

/// Steps that build everything anew, to run tests under an interpreter and decoders under a
/// sanitizer: with `--all`, or by name.
const DEEPER: &[&str] = &["miri", "fuzz"];

/// Steps that build in folders of their own, and mostly on one core: they run beside the others
/// that take long, where there is a second core.
const BESIDE: &[&str] = &["models", "miri", "fuzz"];

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run the steps that CI runs besides, too: miri, fuzz.
    #[arg(long)]
    all: bool,
    /// Run only this step; may be given more than once.
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// Leave out this step; may be given more than once.
    #[arg(long, value_name = "STEP")]
    skip: Vec<String>,
    /// List the steps and do nothing.
    #[arg(long)]
    list: bool,
}

/// Runs the steps that `options` asks for.
pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    let chosen = choose(STEPS, options)?;
    if options.list {
        for step in chosen {
            println!("{:8}  {}", step.name, step.about);
        }
        return Ok(());
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let beside = Beside { names: if cores > 1 { BESIDE } else { &[] }, from: "clippy" };
    figures::gathered(root, || {
        if !options.all && options.only.is_empty() {
            println!("without {}: `--all` runs them, too", DEEPER.join(" and "));
        }
        steps::run(root, &chosen, beside)
    })
}

fn choose(all: &[Step], options: &Options) -> Result<Vec<Step>> {
    for name in options.only.iter().chain(&options.skip) {
        if !all.iter().any(|step| step.name == name) {
            let known = all.iter().map(|step| step.name).collect::<Vec<_>>().join(", ");
            return Err(format!("there is no step `{name}`; the steps are {known}"));
        }
    }
    let named = |list: &[String], step: &Step| list.iter().any(|name| name == step.name);
    let chosen = all
        .iter()
        .filter(|step| match options.only.is_empty() {
            true => options.all || !DEEPER.contains(&step.name),
            false => named(&options.only, step),
        })
        .filter(|step| !named(&options.skip, step));
    Ok(chosen.copied().collect())
}

fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root).args(arguments);
    command
}

fn run_cargo(root: &Path, arguments: &[&str]) -> Result<Outcome> {
    execute(&mut cargo(root, arguments)).map(|()| Outcome::Done)
}

/// Installs the toolchain's components, and tells what else is missing.
fn tools(root: &Path) -> Result<Outcome> {
    for (component, subcommand) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if !has_subcommand(root, subcommand) {
            println!("  {component} is missing; installing it");
            execute(Command::new("rustup").current_dir(root).args(["component", "add", component]))
                .map_err(|why| format!("{why}: install {component} by hand, then try again"))?;
        }
    }
    let mut missing = Vec::new();
    if !has_subcommand(root, "nextest") {
        missing.push(
            "cargo-nextest is missing, so `cargo test` runs the tests \
             (to get it: cargo install --locked cargo-nextest)",
        );
    }
    if !has_program("mkfs.xfs") && !install_quietly("xfsprogs") {
        missing.push("mkfs.xfs is missing, so power is not cut on XFS (to get it: xfsprogs)");
    }
    if !recordings(root).is_dir() {
        missing.push(
            "the real recordings are missing, so tests on them cannot run \
             (name their folder in PRESENCE_TEST_DATA)",
        );
    }
    Ok(match missing.is_empty() {
        true => Outcome::Done,
        false => Outcome::DoneNote(missing.join("; ")),
    })
}

fn has_program(name: &str) -> bool {
    let mut paths = std::env::var_os("PATH").unwrap_or_default();
    // Tools for the administrator are there whether or not the path says so.
    paths.push(":/usr/sbin:/sbin");
    std::env::split_paths(&paths).any(|path| path.join(name).is_file())
}

/// Installs a package of the system where that is allowed. Returns whether it is there then.
fn install_quietly(package: &str) -> bool {
    let mut command = Command::new("apt-get");
    command.args(["install", "-y", "-qq", package]).env("DEBIAN_FRONTEND", "noninteractive");
    output_of(&mut command).is_some()
}

fn has_subcommand(root: &Path, name: &str) -> bool {
    output_of(&mut cargo(root, &[name, "--version"])).is_some()
}

/// Where the tests look for real recordings.
fn recordings(root: &Path) -> PathBuf {
    std::env::var_os("PRESENCE_TEST_DATA")
        .map_or_else(|| root.join("../shared/data"), PathBuf::from)
}

fn fmt(root: &Path) -> Result<Outcome> {
    run_cargo(root, &["fmt", "--all", "--check"])
}

fn tidy_step(root: &Path) -> Result<Outcome> {
    tidy::run(root).map(|()| Outcome::Done)
}

fn spec_step(root: &Path) -> Result<Outcome> {
    spec::run(root).map(|()| Outcome::Done)
}

fn vectors_step(root: &Path) -> Result<Outcome> {
    vectors::verify(root).map(|()| Outcome::Done)
}

fn clippy(root: &Path) -> Result<Outcome> {
    run_cargo(root, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
}

fn tests(root: &Path) -> Result<Outcome> {
    if has_subcommand(root, "nextest") {
        return run_cargo(root, &["nextest", "run", "--workspace"]);
    }
    run_cargo(root, &["test", "--workspace", "--lib", "--bins", "--tests", "--examples"])
}

fn doc_tests(root: &Path) -> Result<Outcome> {
    run_cargo(root, &["test", "--doc", "--workspace"])
}

/// Libraries only: the library and the command-line tool share the name `presence`, and would
/// write the same pages.
fn doc(root: &Path) -> Result<Outcome> {
    let mut command = cargo(root, &["doc", "--workspace", "--no-deps", "--lib"]);
    execute(command.env("RUSTDOCFLAGS", "-D warnings")).map(|()| Outcome::Done)
}

/// Built like the tests, with which they share nearly everything: only that they run is looked at.
fn bench(root: &Path) -> Result<Outcome> {
    run_cargo(root, &["test", "--workspace", "--bench", "*", "--", "--test"])
}

/// Checks that the workspace builds with the `rust-version` it states.
fn msrv(root: &Path) -> Result<Outcome> {
    let manifest = std::fs::read_to_string(root.join("Cargo.toml"))
        .map_err(|error| format!("Cargo.toml cannot be read: {error}"))?;
    let stated = rust_version(&manifest)
        .ok_or("Cargo.toml states no `rust-version = \"...\"` in [workspace.package]")?;
    let rustc = output_of(Command::new("rustc").current_dir(root).arg("--version"))
        .ok_or("`rustc --version` does not run")?;
    let used = rustc.split_whitespace().nth(1).unwrap_or("unknown");
    if used == stated {
        return Ok(Outcome::DoneNote(format!(
            "tested: building with the MSRV itself, {stated}, in the steps before"
        )));
    }
    if !has_toolchain(&stated) && !install_toolchain(&stated) {
        return Ok(Outcome::Skipped(format!(
            "the MSRV {stated} was not tested: this is {used}, and {stated} cannot be installed \
             (by hand: rustup toolchain install {stated})"
        )));
    }
    let mut command = Command::new("rustup");
    command.current_dir(root).args(["run", &stated, "cargo", "check", "--workspace"]);
    execute(command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO"))?;
    Ok(Outcome::DoneNote(format!("tested: building with the MSRV {stated} beside {used}")))
}

fn has_toolchain(version: &str) -> bool {
    let list = output_of(Command::new("rustup").args(["toolchain", "list"])).unwrap_or_default();
    list.lines().any(|line| {
        let name = line.split_whitespace().next().unwrap_or_default();
        name == version || name.strip_prefix(version).is_some_and(|rest| rest.starts_with('-'))
    })
}

fn install_toolchain(version: &str) -> bool {
    println!("  the MSRV {version} is missing; installing it");
    let arguments = ["toolchain", "install", version, "--profile", "minimal", "--no-self-update"];
    execute(Command::new("rustup").args(arguments)).is_ok()
}

/// The workspace's `rust-version` with three numbers, as toolchains are named.
fn rust_version(manifest: &str) -> Option<String> {
    let line = manifest.lines().find_map(|line| line.trim().strip_prefix("rust-version"))?;
    let version = line.trim_start().strip_prefix('=')?.trim().split('"').nth(1)?;
    match version.split('.').count() {
        2 => Some(format!("{version}.0")),
        3 => Some(version.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(only: &[&str], skip: &[&str]) -> Result<Vec<&'static str>> {
        let owned = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect();
        let options = Options { all: false, only: owned(only), skip: owned(skip), list: false };
        Ok(choose(STEPS, &options)?.iter().map(|step| step.name).collect())
    }

    #[test]
    fn what_is_deeper_runs_when_it_is_asked_for() {
        let all = Options { all: true, only: Vec::new(), skip: Vec::new(), list: false };
        assert_eq!(choose(STEPS, &all).unwrap().len(), STEPS.len());
        assert_eq!(names(&[], &[]).unwrap().len(), STEPS.len() - DEEPER.len());
        assert_eq!(names(&["miri"], &[]).unwrap(), ["miri"]);
    }

    #[test]
    fn steps_are_chosen_by_name() {
        assert_eq!(names(&["doc", "fmt"], &[]).unwrap(), ["fmt", "doc"]);
        assert_eq!(names(&["doc", "fmt"], &["fmt"]).unwrap(), ["doc"]);
        assert!(names(&[], &["bench"]).unwrap().iter().all(|&name| name != "bench"));
        assert!(names(&["dco"], &[]).unwrap_err().contains("no step `dco`; the steps are tools, "));
    }

    #[test]
    fn step_names_are_distinct() {
        let mut names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STEPS.len());
    }

    #[test]
    fn the_stated_rust_version_becomes_a_toolchain() {
        let of = |line: &str| rust_version(&format!("[workspace.package]\n{line}\n"));
        assert_eq!(of("rust-version = \"1.95\""), Some("1.95.0".to_owned()));
        assert_eq!(of("rust-version=\"1.95.1\" # oldest"), Some("1.95.1".to_owned()));
        assert_eq!(of("rust-version = \"1\""), None);
        assert_eq!(of("edition = \"2024\""), None);
    }
}
