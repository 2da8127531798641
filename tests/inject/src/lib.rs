//! Runs a process and lets the k-th of its system calls that change files fail, end short, or be
//! its last. No library below the program can hide a call: the kernel tells of each (ptrace).
//!
//! # Invariants
//! - Only calls on files below one directory count, so a run is repeatable: what it tells
//!   to pipes and to files elsewhere is left alone.
//! - A call that is to fail is not executed; one that is to be short is executed with half of its
//!   bytes; all others go through unchanged.
//! - The process does not outlive the call of [`run`], however that ends.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod call;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod trace;

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::Command;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It returns this error (an `errno`) and does nothing.
    Error(i32),
    /// A write takes half of its bytes and says so; any other call goes through.
    Short,
    /// A write takes half of its bytes; from then on every call returns `ENOSPC`.
    Full,
    /// The process is killed before the call does anything.
    KillBefore,
    /// The process is killed after half of a write; after any other call.
    KillHalf,
    /// The process is killed after the call.
    KillAfter,
}

/// Which call, and what happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Counted from 1; 0 for none.
    pub at: u64,
    /// What happens to it.
    pub effect: Effect,
    /// Whether it happens to all from there on, or to one alone.
    pub sticky: bool,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Never: it went on calling what failed, and was killed for it.
    Hung,
}

/// What a run did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// How it ended.
    pub end: End,
    /// Calls that counted.
    pub calls: u64,
    /// Those that the plan met. Zero says that the run has fewer calls than `at`.
    pub fired: u64,
    /// The name of the first one that the plan met.
    pub first: Option<&'static str>,
}

/// Whether processes can be traced here; the reason where they cannot.
///
/// # Errors
/// In words, for a notice.
pub fn available() -> Result<(), String> {
    let null = || File::options().write(true).open("/dev/null");
    let probe = || {
        let plan = Plan { at: 0, effect: Effect::Short, sticky: false };
        run(&Command::new("true"), Path::new("/"), plan, null()?, null()?)
    };
    match probe() {
        Ok(Ran { end: End::Code(0), .. }) => Ok(()),
        Ok(ran) => Err(format!("a traced process ended with {:?}", ran.end)),
        Err(error) => Err(format!("processes cannot be traced here: {error}")),
    }
}

/// Runs `command` with `plan` for its calls on files in or below `directory`. Its standard input is
/// empty.
///
/// # Errors
/// Where processes cannot be started or traced.
pub fn run(
    command: &Command,
    directory: &Path,
    plan: Plan,
    stdout: File,
    stderr: File,
) -> io::Result<Ran> {
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    return trace::run(command, directory, plan, stdout, stderr);
    #[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
    {
        let _unused = (command, directory, plan, stdout, stderr);
        Err(io::Error::new(io::ErrorKind::Unsupported, "this is not Linux on x86-64"))
    }
}
