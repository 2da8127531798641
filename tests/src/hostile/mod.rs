//! Hostile files and directories: each case says what judge and engine make of it.
//!
//! Right checksums stand wherever the attack lies behind one. A child opens each case under a limit
//! of memory and of time, judges it at all levels, reads every stream in every way, opens it for
//! writing and appends; its three answers must be those of the table. Then the tools are run.
//!
//! `PRESENCE_TEST_HOSTILE=<part of a name>` runs the cases that have it in their name, and prints
//! what was found.

mod blocks;
mod build;
mod catalogs;
mod codecs;
mod directories;
mod entries;
mod frames;
mod headers;
mod indexes;
mod planes;
mod saved;
mod sets;
mod sizes;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{figure, skipped};

/// Bytes that answers may cost above those of an empty database.
const MEMORY_MAX_KIB: u64 = 64 << 10;
/// Bytes of private memory that a child is given at all: the same, two blocks of the largest size,
/// and what a process costs.
const LIMIT_KIB: u64 = (64 + 2 * 32 + 32) << 10;
/// Five seconds, on a machine that is six times slower than any we know.
const TIME_MAX: Duration = Duration::from_secs(30);

/// Where the subject stands in the arguments of a tool, and where its output goes.
const SUBJECT: &str = "{subject}";
const OUTPUT: &str = "{output}";

/// The tools: those that are built are run.
const TOOLS: &[(&str, &[&str])] = &[
    ("presence", &["info", SUBJECT]),
    ("presence-fsck", &["--deep", SUBJECT]),
    ("presence-fsck", &["--salvage", OUTPUT, SUBJECT]),
];

/// The case that has as many streams as can be.
const MANY_STREAMS: &str = "65536 streams";

/// A hostile file or directory.
struct Case {
    name: &'static str,
    /// Makes it, in an empty directory.
    make: fn(&Path),
    /// Exit codes of the judge at its three levels, and what the deepest finds.
    judge: &'static str,
    /// What a reader finds: what opening reports, the records of each stream, errors.
    read: &'static str,
    /// The same of a writer, and whether it can append.
    write: &'static str,
    /// Memory that is in order, where that is more than usual.
    memory_max_kib: u64,
}

const fn case(
    name: &'static str,
    make: fn(&Path),
    [judge, read, write]: [&'static str; 3],
) -> Case {
    Case { name, make, judge, read, write, memory_max_kib: MEMORY_MAX_KIB }
}

impl Case {
    /// The same, with more memory: where a sound file of this size needs it, too.
    const fn with_memory(self, kib: u64) -> Self {
        Self { memory_max_kib: kib, ..self }
    }
}

/// What the child told.
#[derive(Debug, Default)]
struct Told {
    judge: String,
    read: String,
    write: String,
    peak_kib: u64,
}

/// Runs the cases of a family.
#[expect(clippy::print_stderr, reason = "what was found is printed where it was asked for")]
fn run(cases: &[Case]) {
    let only = std::env::var("PRESENCE_TEST_HOSTILE").ok();
    let base = baseline();
    let mut faults = String::new();
    let mut count = 0;
    for case in cases {
        if only.as_ref().is_some_and(|only| !case.name.contains(only.as_str())) {
            continue;
        }
        let begun = Instant::now();
        match run_case(case) {
            Ok(told) => {
                count += 1;
                let above = told.peak_kib.saturating_sub(base);
                if only.is_some() {
                    let took = begun.elapsed();
                    eprintln!("{:?}: {told:#?} {took:?}, {above} KiB above none", case.name);
                }
                compare(case, &told, above, &mut faults);
            }
            Err(what) => {
                let _written = writeln!(faults, "{:?}: {what}", case.name);
            }
        }
    }
    figure("hostile cases", count);
    if cfg!(target_os = "linux") {
        figure("hostile cases under a memory limit", count);
    }
    assert!(faults.is_empty(), "{faults}\nreplay: PRESENCE_TEST_HOSTILE=<name> cargo test hostile");
}

fn compare(case: &Case, told: &Told, above_kib: u64, faults: &mut String) {
    for (what, is, should) in [
        ("judge", &told.judge, case.judge),
        ("read", &told.read, case.read),
        ("write", &told.write, case.write),
    ] {
        if is != should {
            let _written =
                writeln!(faults, "{:?}: {what}\n     is {is:?}\n  not {should:?}", case.name);
        }
    }
    if above_kib > case.memory_max_kib {
        let max = case.memory_max_kib;
        let _written = writeln!(faults, "{:?}: {above_kib} KiB of memory, not {max}", case.name);
    }
}

/// Memory of a child that opens an empty database.
fn baseline() -> u64 {
    let directory = tempfile::tempdir().unwrap();
    build::Log::new(1).opened().put(directory.path());
    probe(directory.path(), &subject(directory.path())).unwrap().peak_kib
}

/// The directory, or the one file in it that is to be opened alone.
fn subject(directory: &Path) -> PathBuf {
    let alone = directory.join("alone");
    if alone.exists() { alone } else { directory.to_owned() }
}

fn run_case(case: &Case) -> Result<Told, String> {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("db");
    std::fs::create_dir(&place).unwrap();
    (case.make)(&place);
    let subject = subject(&place);
    let deep = tools(case.name, directory.path(), &subject)?;
    let told = probe(directory.path(), &subject)?;
    let expected = told.judge.split(' ').next().and_then(|exits| exits.rsplit('/').next());
    let expected = expected.and_then(|exit| exit.parse::<i32>().ok());
    if let (Some(exit), Some(expected)) = (deep, expected)
        && exit != expected
    {
        return Err(format!("presence-fsck --deep ends with {exit}, the library with {expected}"));
    }
    Ok(told)
}

/// Runs each tool that is there: it must end, by itself, with an exit code that is no panic's.
/// Returns that of the judge.
fn tools(name: &str, scratch: &Path, subject: &Path) -> Result<Option<i32>, String> {
    let mut judged = None;
    for (number, (tool, arguments)) in TOOLS.iter().enumerate() {
        // The engine makes streams one by one, each with a sync: sound, and slow for so many.
        if name == MANY_STREAMS && arguments.contains(&"--salvage") {
            continue;
        }
        let Some(path) = tool_path(tool) else { continue };
        let output = scratch.join(format!("output{number}"));
        let mut command = limited(&path);
        for &argument in *arguments {
            match argument {
                SUBJECT => command.arg(subject),
                OUTPUT => command.arg(&output),
                _ => command.arg(argument),
            };
        }
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| format!("{tool}: {error}"))?;
        let code = wait(&mut child).map_err(|what| format!("{tool} {arguments:?} {what}"))?;
        if code >= 64 {
            return Err(format!("{tool} {arguments:?} ended with {code}"));
        }
        if arguments.contains(&"--deep") {
            judged = Some(code);
        }
    }
    Ok(judged)
}

/// A tool that was built beside this test.
fn tool_path(tool: &str) -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let path = own.parent()?.parent()?.join(tool);
    path.is_file().then_some(path)
}

/// A command whose private memory is limited, where the system can do that.
fn limited(program: &Path) -> Command {
    let mut command = Command::new("sh");
    let script = format!("ulimit -d {LIMIT_KIB} 2>/dev/null; exec \"$0\" \"$@\"");
    command.arg("-c").arg(script).arg(program);
    command
}

/// Opens `subject` in a child.
fn probe(scratch: &Path, subject: &Path) -> Result<Told, String> {
    let output = scratch.join("told");
    let file = std::fs::File::create(&output).unwrap();
    let mut command = limited(Path::new(env!("CARGO_BIN_EXE_presence-probe")));
    command.arg(subject).stdin(Stdio::null());
    command.stdout(file.try_clone().unwrap()).stderr(file);
    let mut child = command.spawn().unwrap();
    let ended = wait(&mut child);
    let text = std::fs::read(&output).unwrap();
    let text = String::from_utf8_lossy(&text);
    match ended {
        Ok(0) => {}
        Ok(code) => return Err(format!("the child ended with {code}: {text}")),
        Err(what) => return Err(format!("the child {what}: {text}")),
    }
    let of = |word: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(word));
        found.unwrap_or_default().to_owned()
    };
    let peak_kib = of("peak: ").parse().unwrap_or(0);
    Ok(Told { judge: of("judge: "), read: of("read: "), write: of("write: "), peak_kib })
}

/// The child's exit code; it is ended where it takes too long.
fn wait(child: &mut Child) -> Result<i32, String> {
    let begun = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => {
                return status.code().ok_or_else(|| format!("was ended: {status}"));
            }
            Ok(None) if begun.elapsed() > TIME_MAX => {
                let _ended = (child.kill(), child.wait());
                return Err(format!("did not end in {TIME_MAX:?}"));
            }
            Ok(None) => std::thread::sleep(Duration::from_millis(1)),
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Tells which tools could not be run, once.
#[test]
fn tools_are_built() {
    for (tool, _) in TOOLS {
        if tool_path(tool).is_none() {
            skipped(&format!("{tool} on hostile files: it is not built"));
            figure("skipped: a tool on hostile files", 1);
        }
    }
}
