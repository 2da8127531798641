//! Fuzzes every target of `fuzz/harness` for a short time, under libFuzzer and ASAN.
//!
//! The compiler is called as cargo-fuzz calls it, with one program for all targets, so nothing has
//! to be installed but a nightly toolchain and a C++ compiler for libFuzzer.
//! `PRESENCE_FUZZ_SECONDS` says how long a decoder is fuzzed; targets that open whole databases get
//! three times as long.
//!
//! # Invariants
//! - An input that fails is kept in `fuzz/regressions/<target>/`, where the tests replay it on
//!   every toolchain; nothing else of the tree is written to.
//! - Where there is no nightly toolchain, no C++ compiler or no libFuzzer, the step is skipped with
//!   the reason. Targets that fail are always a failure.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;

use crate::steps::{Outcome, execute, output_of};
use crate::{Result, figures};

/// Seconds after which a decoder's turn ends, where nothing else is said: many more than its inputs
/// take, so that a busy machine looks at the same ones.
const SECONDS: u64 = 60;
/// What cargo-fuzz gives to the compiler: coverage for libFuzzer, and ASAN.
const FLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "-Ccodegen-units=16",
    "-Zsanitizer=address",
    "--cfg=fuzzing",
];
/// No input may take more memory or time than this, nor is it longer.
const LIMITS: &[&str] =
    &["-rss_limit_mb=512", "-malloc_limit_mb=128", "-timeout=25", "-max_len=65536"];
const ASAN: &str = "detect_odr_violation=0:quarantine_size_mb=64";

/// Whether a target opens whole databases.
fn is_whole(target: &str) -> bool {
    ["open", "ops", "fsck", "salvage"].iter().any(|start| target.starts_with(start))
}

/// Inputs for a target, where they are to be the same every time.
fn runs_of(target: &str) -> u64 {
    match target {
        // Some hundred operations each, every one compared.
        "tracks_vs_model" => 15,
        "ops_vs_model" => 150,
        _ if is_whole(target) => 300,
        // Slower than the others: what they decode is compared with a slow twin.
        "codec_round_trip" | "block" => 700,
        _ if target.starts_with("codec") => 2_000,
        _ if target.starts_with("events") || target == "region" => 5_000,
        _ => 20_000,
    }
}

/// Fuzzes every target with the same inputs as ever, or, with fresh ones, for as long as the
/// environment says.
pub(crate) fn run(root: &Path) -> Result<Outcome> {
    let seconds = std::env::var("PRESENCE_FUZZ_SECONDS").ok();
    match seconds.map(|text| text.parse::<u64>()) {
        None => run_with(root, SECONDS, true),
        Some(Ok(seconds)) if seconds > 0 => run_for(root, seconds),
        Some(_) => Err("PRESENCE_FUZZ_SECONDS is no number of seconds".to_owned()),
    }
}

/// Fuzzes every target, each decoder for so many seconds.
pub(crate) fn run_for(root: &Path, seconds: u64) -> Result<Outcome> {
    run_with(root, seconds, false)
}

/// The same; where `is_fixed` with inputs that are the same every time, and not more than that.
fn run_with(root: &Path, seconds: u64, is_fixed: bool) -> Result<Outcome> {
    if let Some(why) = missing(root) {
        return Ok(Outcome::Skipped(why));
    }
    let fuzz = Fuzz::new(root, seconds, is_fixed)?;
    let targets = fuzz.targets()?;
    let queue = Mutex::new(targets.iter());
    let ended = Mutex::new(Vec::new());
    let work = || {
        loop {
            let next = queue.lock().map(|mut queue| queue.next());
            let Ok(Some(target)) = next else { break };
            let end = fuzz.target(target);
            println!("  {end}");
            if let Ok(mut ended) = ended.lock() {
                ended.push(end);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let ended = ended.into_inner().map_err(|_| "a thread that fuzzed panicked")?;
    let failed: Vec<String> = ended.iter().filter_map(|end| end.failure.clone()).collect();
    if !failed.is_empty() || ended.len() != targets.len() {
        return Err(format!("{} target(s) failed\n{}", failed.len(), failed.join("\n")));
    }
    let executions: u64 = ended.iter().map(|end| end.executions).sum();
    figures::add("fuzz executions", executions)?;
    Ok(Outcome::DoneNote(format!("{executions} executions of {} targets", targets.len())))
}

/// What fuzzing needs and cannot be had here.
fn missing(root: &Path) -> Option<String> {
    let has = |program: &str, arguments: &[&str]| {
        output_of(Command::new(program).current_dir(root).args(arguments)).is_some()
    };
    if !has("rustup", &["run", "nightly", "cargo", "--version"]) {
        println!("  a nightly toolchain is missing; installing it");
        let arguments = ["toolchain", "install", "nightly", "--profile", "minimal"];
        let mut install = Command::new("rustup");
        if execute(install.args(arguments).arg("--no-self-update")).is_err() {
            return Some("no nightly toolchain (by hand: rustup toolchain install nightly)".into());
        }
    }
    if !has("c++", &["--version"]) {
        return Some("no C++ compiler, which libFuzzer is built with".to_owned());
    }
    let mut fetch = nightly(root, "cargo");
    fetch.args(["fetch", "--quiet", "--locked", "--manifest-path", "fuzz/Cargo.toml"]);
    execute(&mut fetch).err().map(|why| format!("libFuzzer could not be downloaded: {why}"))
}

/// A program of the nightly toolchain, whatever toolchain runs this.
fn nightly(root: &Path, program: &str) -> Command {
    let mut command = Command::new("rustup");
    command.current_dir(root).args(["run", "nightly", program]);
    command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").env_remove("RUSTC");
    command
}

/// Everything that stays the same for all targets.
struct Fuzz {
    root: PathBuf,
    /// Programs, corpora and logs: kept from one run to the next.
    work: PathBuf,
    fuzzer: PathBuf,
    seconds: u64,
    is_fixed: bool,
}

/// How fuzzing of one target ended.
struct End {
    target: String,
    executions: u64,
    coverage: u64,
    seconds: u64,
    failure: Option<String>,
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { target, executions, coverage, seconds, .. } = self;
        write!(f, "{target:22} {executions:>9} executions in {seconds} s, {coverage} edges")?;
        if self.failure.is_some() { write!(f, ", FAILED") } else { Ok(()) }
    }
}

impl Fuzz {
    /// Builds the fuzzer, and writes the seeds.
    fn new(root: &Path, seconds: u64, is_fixed: bool) -> Result<Self> {
        let work = root.join("target/fuzz");
        let version = output_of(nightly(root, "rustc").arg("-vV")).unwrap_or_default();
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.ok_or("`rustc -vV` of the nightly toolchain names no host")?;
        let mut build = nightly(root, "cargo");
        build.args(["build", "--release", "--locked", "--manifest-path", "fuzz/Cargo.toml"]);
        build.args(["--target", host, "--bin", "any"]);
        build.env("CARGO_TARGET_DIR", &work).env("RUSTFLAGS", FLAGS.join(" "));
        if is_fixed {
            // The build takes longer than the inputs.
            build.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
        }
        execute(&mut build)?;
        let fuzzer = work.join(host).join("release/any");
        let fuzz = Self { root: root.to_path_buf(), work, fuzzer, seconds, is_fixed };
        execute(fuzz.replay().arg("--seeds").arg(fuzz.work.join("seeds")))?;
        Ok(fuzz)
    }

    /// The program that replays, on the toolchain that runs this.
    fn replay(&self) -> Command {
        let mut command = Command::new("cargo");
        command.current_dir(&self.root);
        // Without `--package`: with the features of the whole workspace, as the tests are built.
        command.args(["run", "--quiet", "--bin", "replay", "--"]);
        command
    }

    /// The names of the targets. The longest first, so that none is left at the end alone.
    fn targets(&self) -> Result<Vec<String>> {
        let list = output_of(self.replay().arg("--list")).ok_or("`replay --list` does not run")?;
        let mut names: Vec<String> = list.lines().map(str::to_owned).collect();
        names.sort_by_key(|name| std::cmp::Reverse(self.seconds_of(name)));
        Ok(names)
    }

    fn seconds_of(&self, target: &str) -> u64 {
        self.seconds * if is_whole(target) { 3 } else { 1 }
    }

    /// Fuzzes one target.
    fn target(&self, target: &str) -> End {
        let seconds = self.seconds_of(target);
        let start = Instant::now();
        let target_name = target.to_owned();
        let mut end =
            End { target: target_name, executions: 0, coverage: 0, seconds: 0, failure: None };
        let log = self.work.join("logs").join(target);
        if let Err(why) = self.fuzz(target, seconds, &log) {
            end.failure = Some(format!("{target}: {why}"));
        }
        end.seconds = start.elapsed().as_secs();
        let text = std::fs::read(&log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        end.executions = last_number(&text, "stat::number_of_executed_units:");
        end.coverage = last_number(&text, " cov:");
        end
    }

    fn fuzz(&self, target: &str, seconds: u64, log: &Path) -> Result<()> {
        let fault = |error: std::io::Error| format!("{}: {error}", log.display());
        let corpus = self.work.join("corpus").join(target);
        let artifacts = self.work.join("artifacts").join(target);
        let _none_yet = std::fs::remove_dir_all(&artifacts);
        for folder in [&corpus, &artifacts, &self.work.join("logs")] {
            std::fs::create_dir_all(folder).map_err(fault)?;
        }
        let file = std::fs::File::create(log).map_err(fault)?;
        let mut command = Command::new(&self.fuzzer);
        command.env("PRESENCE_FUZZ_TARGET", target).env("ASAN_OPTIONS", ASAN);
        command.env_remove("RUST_BACKTRACE");
        command.args(LIMITS).arg(format!("-max_total_time={seconds}"));
        if self.is_fixed {
            command.args(["-seed=1", &format!("-runs={}", runs_of(target))]);
        }
        command.arg("-print_final_stats=1");
        command.arg(format!("-artifact_prefix={}/", artifacts.display()));
        command.arg(&corpus).arg(self.work.join("seeds").join(target));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        let status = command.status().map_err(fault)?;
        if status.success() {
            return Ok(());
        }
        let kept = self.keep(target, &artifacts).map_err(fault)?;
        let text = std::fs::read(log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let from = text.find("panicked at").or_else(|| text.find("ERROR: "));
        let told: Vec<&str> = text.get(from.unwrap_or(0)..).unwrap_or(&text).lines().collect();
        let told = told.get(..told.len().min(4)).unwrap_or_default().join("\n    ");
        Err(format!("{status}\n    {told}\n    all of it: {}\n{kept}", log.display()))
    }

    /// Keeps the inputs that failed where the tests replay them; the lines that do it now.
    fn keep(&self, target: &str, artifacts: &Path) -> std::io::Result<String> {
        let folder = Path::new("fuzz/regressions").join(target);
        std::fs::create_dir_all(self.root.join(&folder))?;
        let mut lines = String::new();
        for entry in std::fs::read_dir(artifacts)? {
            let entry = entry?;
            // `crash-` and forty digits: eight of them will do.
            let name = entry.file_name().to_string_lossy().chars().take(14).collect::<String>();
            let kept = folder.join(name);
            std::fs::copy(entry.path(), self.root.join(&kept))?;
            lines.push_str(&format!(
                "    replay: cargo run -p presence-fuzz-harness --bin replay -- {target} {}\n",
                kept.display()
            ));
        }
        Ok(lines)
    }
}

/// The number behind the last `label` of a log.
fn last_number(log: &str, label: &str) -> u64 {
    let digits = log.rsplit_once(label).map_or("", |(_, rest)| rest).trim_start();
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits.get(..end).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_from_the_end_of_a_log() {
        let log = "#2 cov: 11 ft: 3\n#9 cov: 12 ft: 4\nstat::number_of_executed_units: 1234\n";
        assert_eq!(last_number(log, "stat::number_of_executed_units:"), 1234);
        assert_eq!(last_number(log, " cov:"), 12);
        assert_eq!(last_number(log, "nothing:"), 0);
    }
}
