//! `cargo xtask coverage`: which lines of the code that must not fail are run by tests.
//!
//! # Invariants
//! - The list [`COVERED`] is the whole truth: what is held to the threshold is one more line in it.
//! - Lines of tests do not count: neither as covered nor as lines.
//! - What it needs is installed below `target/`, never into the system.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::steps::{execute, output_of};
use crate::{Result, figures};

/// Percent of lines that each of [`COVERED`] must reach.
const THRESHOLD: f64 = 95.0;

/// What must be covered: a name, and the files or folders that make it up.
const COVERED: &[(&str, &[&str])] = &[
    ("format", &["engine/presence-format/src/"]),
    (
        "recovery",
        &[
            "engine/presence/src/segment/",
            "engine/presence/src/store/live.rs",
            "engine/presence/src/store/load.rs",
            "engine/presence/src/store/recovery.rs",
        ],
    ),
    ("fsck", &["engine/presence-fsck/src/"]),
];

/// Packages whose tests run them. One that is not there is left out.
const PACKAGES: &[(&str, &str)] = &[
    ("presence-format", "engine/presence-format"),
    ("presence-engine", "engine/presence"),
    ("presence-fsck", "engine/presence-fsck"),
    // Tests of hostile files run its tools, too, where they are built.
    ("presence-cli", "tools/presence-cli"),
    ("presence-tests", "tests"),
];

/// Tests that take minutes here, exhaustive or of huge files, and run no other lines than their
/// shorter kin.
const LEFT_OUT: &[&str] = &[
    "crash::every_crash",
    "damage::every_bit",
    "damage::every_damage",
    "damage::extended",
    "faults::every_mutating",
    "hostile::sizes",
    "planted::",
];
/// The share of the usual numbers of random tests.
const SCALE: &str = "0.1";

/// Options of `cargo xtask coverage`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// List the lines that no test runs.
    #[arg(long)]
    missing: bool,
}

/// How often each line of a file was run, by line number.
type Lines = BTreeMap<usize, u64>;

/// Builds the tests with counters, runs them, and compares what they ran with the threshold.
pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    let tools = llvm_tools(root)?;
    let folder = root.join("target/coverage");
    let profiles = folder.join("profiles");
    if profiles.is_dir() {
        fs::remove_dir_all(&profiles).map_err(|e| format!("{}: {e}", profiles.display()))?;
    }
    let binaries = built_tests(root, &folder)?;
    for binary in binaries.iter().filter(|binary| binary.is_test) {
        let mut command = Command::new(&binary.path);
        command.current_dir(&binary.folder).arg("--quiet");
        command.args(LEFT_OUT.iter().flat_map(|name| ["--skip", name]));
        command.env("LLVM_PROFILE_FILE", profiles.join("%4m.profraw"));
        execute(command.env("PRESENCE_TEST_SCALE", SCALE))?;
    }
    let merged = folder.join("merged.profdata");
    let mut merge = Command::new(tools.join("llvm-profdata"));
    merge.args(["merge", "-sparse", "--failure-mode=all", "-o"]).arg(&merged).arg(&profiles);
    execute(&mut merge)?;

    let mut export = Command::new(tools.join("llvm-cov"));
    export.args(["export", "-format=lcov", "-instr-profile"]).arg(&merged);
    for binary in &binaries {
        export.arg("-object").arg(&binary.path);
    }
    let report = output_of(&mut export).ok_or("llvm-cov does not read the profiles")?;
    fs::write(folder.join("lcov.info"), &report).map_err(|error| format!("lcov.info: {error}"))?;
    judge(root, &parsed(&report), options)
}

/// Prints the table, and fails where something is below the threshold.
fn judge(root: &Path, files: &BTreeMap<String, Lines>, options: &Options) -> Result<()> {
    println!("\nCoverage of lines");
    let mut low = Vec::new();
    for (name, paths) in COVERED {
        let mut sums = (0, 0);
        for (path, lines) in files {
            let Some(path) = relative(root, path) else { continue };
            if path.contains("/tests/") || !paths.iter().any(|start| path.starts_with(start)) {
                continue;
            }
            let text = fs::read_to_string(root.join(&path)).unwrap_or_default();
            let lines = without_tests(&text, lines);
            let run = lines.values().filter(|count| **count > 0).count();
            println!("  {path:50} {:>6.1} %  {run} of {}", percent(run, lines.len()), lines.len());
            if options.missing {
                print_missing(&text, &lines);
            }
            sums = (sums.0 + run, sums.1 + lines.len());
        }
        if sums.1 == 0 {
            println!("  {name}: there is no such code");
            continue;
        }
        let share = percent(sums.0, sums.1);
        println!("  {name:50} {share:>6.1} %  {} of {}\n", sums.0, sums.1);
        figures::add(&format!("lines of {name} run by tests"), sums.0 as u64)?;
        figures::add(&format!("lines of {name}"), sums.1 as u64)?;
        if share < THRESHOLD {
            low.push(format!("{name} {share:.1} %"));
        }
    }
    match low.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "below {THRESHOLD} % of lines: {}; `cargo xtask coverage --missing` lists the lines",
            low.join(", ")
        )),
    }
}

fn relative(root: &Path, path: &str) -> Option<String> {
    let path = Path::new(path).strip_prefix(root).ok()?;
    Some(path.to_string_lossy().replace('\\', "/"))
}

fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 { 100.0 } else { part as f64 * 100.0 / whole as f64 }
}

/// Lines before the tests of a file.
fn without_tests(text: &str, lines: &Lines) -> Lines {
    let tests = text.lines().position(|line| line == "mod tests {" || line == "mod models {");
    let end = tests.map_or(usize::MAX, |index| index + 1);
    lines.iter().filter(|(line, _)| **line < end).map(|(line, count)| (*line, *count)).collect()
}

fn print_missing(text: &str, lines: &Lines) {
    for (number, line) in text.lines().enumerate() {
        if lines.get(&(number + 1)) == Some(&0) {
            println!("    {:>5} {line}", number + 1);
        }
    }
}

/// The counts of an lcov report, by file.
fn parsed(report: &str) -> BTreeMap<String, Lines> {
    let mut files = BTreeMap::<String, Lines>::new();
    let mut file = String::new();
    for line in report.lines() {
        if let Some(name) = line.strip_prefix("SF:") {
            file = name.to_owned();
        } else if let Some((number, count)) =
            line.strip_prefix("DA:").and_then(|rest| rest.split_once(','))
            && let (Ok(number), Ok(count)) = (number.parse(), count.parse::<u64>())
        {
            *files.entry(file.clone()).or_default().entry(number).or_default() += count;
        }
    }
    files
}

/// A program, and the folder in which cargo would run it.
struct Binary {
    path: PathBuf,
    /// Or one that tests run.
    is_test: bool,
    folder: PathBuf,
}

fn built_tests(root: &Path, folder: &Path) -> Result<Vec<Binary>> {
    let mut command = Command::new("cargo");
    command.current_dir(root).args(["test", "--no-run", "--lib", "--tests"]);
    command.arg("--message-format=json-render-diagnostics");
    for (package, place) in PACKAGES {
        if root.join(place).is_dir() {
            command.args(["--package", package]);
        }
    }
    command.env("RUSTFLAGS", "-C instrument-coverage").env("CARGO_TARGET_DIR", folder);
    // Programs that run while others are built count, too: not into the working directory.
    command.env("LLVM_PROFILE_FILE", folder.join("build/%4m.profraw"));
    println!("  building the tests with counters");
    let output = command.stderr(std::process::Stdio::inherit()).output();
    let output = output.map_err(|error| format!("cargo does not start: {error}"))?;
    if !output.status.success() {
        return Err("the tests cannot be built with counters".to_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    Ok(messages.filter_map(|message| binary_of(&message)).collect())
}

fn binary_of(message: &serde_json::Value) -> Option<Binary> {
    let path = message.get("executable")?.as_str()?;
    let manifest = Path::new(message.get("manifest_path")?.as_str()?);
    let is_test = message.pointer("/profile/test")?.as_bool()?;
    Some(Binary { path: path.into(), is_test, folder: manifest.parent()?.to_path_buf() })
}

/// The folder of `llvm-cov` and `llvm-profdata`, of the compiler's own version.
fn llvm_tools(root: &Path) -> Result<PathBuf> {
    let version = output_of(Command::new("rustc").current_dir(root).arg("-vV"))
        .ok_or("`rustc -vV` does not run")?;
    let field = |name: &str| version.lines().find_map(|line| line.strip_prefix(name));
    let (Some(host), Some(release)) = (field("host: "), field("release: ")) else {
        return Err(format!("`rustc -vV` tells no host and release: {version}"));
    };
    let sysroot = output_of(Command::new("rustc").current_dir(root).args(["--print", "sysroot"]))
        .ok_or("`rustc --print sysroot` does not run")?;
    let within = |toolchain: &Path| toolchain.join(format!("lib/rustlib/{host}/bin"));
    let private = root.join("target/tools/rustup");
    let toolchain = private.join(format!("toolchains/{release}-{host}"));
    let places = [within(Path::new(sysroot.trim())), within(&toolchain)];
    if let Some(place) = places.iter().find(|place| place.join("llvm-cov").exists()) {
        return Ok(place.clone());
    }
    println!("  llvm-tools are missing; installing them below target/tools");
    let mut install = Command::new("rustup");
    install.args(["toolchain", "install", release, "--profile", "minimal"]);
    install.args(["--component", "llvm-tools", "--no-self-update"]);
    execute(install.env("RUSTUP_HOME", &private)).map_err(|why| {
        format!("{why}: by hand `rustup component add llvm-tools`, then try again")
    })?;
    Ok(within(&toolchain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_summed_by_file_and_line_without_those_of_tests() {
        let report = "SF:/r/a.rs\nDA:1,2\nDA:2,0\nend_of_record\nSF:/r/b.rs\nDA:1,1\n\
                      SF:/r/a.rs\nDA:2,3\nDA:3,0\nDA:5,9\n";
        let files = parsed(report);
        assert_eq!(files["/r/a.rs"], Lines::from([(1, 2), (2, 3), (3, 0), (5, 9)]));
        let text = "a\nb\nc\nmod tests {\nd\n}\n";
        assert_eq!(without_tests(text, &files["/r/a.rs"]), Lines::from([(1, 2), (2, 3), (3, 0)]));
        assert_eq!(relative(Path::new("/r"), "/r/a.rs").unwrap(), "a.rs");
        assert_eq!((percent(1, 4), percent(0, 0)), (25.0, 100.0));
    }
}
