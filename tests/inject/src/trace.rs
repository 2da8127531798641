//! The tracer: follows every thread of a process from call to call.
//!
//! # Invariants
//! - Only processes and threads of this thread are waited for: tests beside this one keep theirs.
//! - What ends between two looks is no failure of the tracer.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::call::Call;
use crate::{Effect, End, Plan, Ran};

/// Failures in a row after which a program is taken to try for ever.
const FIRED_MAX: u64 = 20_000;

/// What is to happen when the call of a thread ends.
enum Pending {
    /// Nothing: it does not count, or goes through unchanged.
    Pass,
    /// Its result is replaced, or what was changed for it is put back.
    Change { call: Box<Call>, error: Option<i32> },
    /// The process is killed.
    Kill,
}

struct Tracer<'a> {
    directory: &'a Path,
    plan: Plan,
    main: Pid,
    /// The program itself runs: until then it is the shell that waits to be traced.
    begun: bool,
    /// Threads within a call.
    inside: HashMap<Pid, Pending>,
    ran: Ran,
}

/// Kills what was started, unless it has ended.
struct Reaper(Pid);

impl Drop for Reaper {
    fn drop(&mut self) {
        let _gone = kill(self.0, Signal::SIGKILL);
        let _reaped = waitpid(self.0, Some(WaitPidFlag::__WALL));
    }
}

/// As [`crate::run`].
pub(crate) fn run(
    command: &Command,
    directory: &Path,
    plan: Plan,
    stdout: File,
    stderr: File,
) -> io::Result<Ran> {
    let directory = directory.canonicalize()?;
    // The shell waits until it is traced, then becomes the program: so no call is missed.
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "read _ && exec \"$0\" \"$@\""]);
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    if let Some(current) = command.get_current_dir() {
        shell.current_dir(current);
    }
    let mut child = shell.stdin(Stdio::piped()).stdout(stdout).stderr(stderr).spawn()?;
    let main = Pid::from_raw(child.id().cast_signed());
    let reaper = Reaper(main);
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(main, options)?;
    let mut input = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    input.write_all(b"\n")?;
    drop(input);
    let ran = Ran { end: End::Hung, calls: 0, fired: 0, first: None };
    let mut tracer =
        Tracer { directory: &directory, plan, main, begun: false, inside: HashMap::new(), ran };
    tracer.follow()?;
    if tracer.ran.end != End::Hung {
        // It has been waited for: its number may belong to another one already.
        std::mem::forget(reaper);
    }
    Ok(tracer.ran)
}

impl Tracer<'_> {
    /// Follows the process to its end.
    fn follow(&mut self) -> Result<(), Errno> {
        let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        loop {
            match waitpid(None::<Pid>, Some(flags)) {
                Err(Errno::EINTR) => {}
                status => match status? {
                    WaitStatus::Exited(pid, code) if pid == self.main => {
                        self.ran.end = End::Code(code);
                        return Ok(());
                    }
                    WaitStatus::Signaled(pid, signal, _) if pid == self.main => {
                        self.ran.end = End::Signal(signal as i32);
                        return Ok(());
                    }
                    status => match self.step(status) {
                        Err(Errno::ESRCH) => {}
                        step => step?,
                    },
                },
            }
            if self.ran.fired > FIRED_MAX {
                return Ok(());
            }
        }
    }

    /// Looks at a thread that stopped, and lets it go on.
    fn step(&mut self, status: WaitStatus) -> Result<(), Errno> {
        match status {
            WaitStatus::PtraceSyscall(pid) => {
                let going = match self.inside.remove(&pid) {
                    None => self.enter(pid)?,
                    Some(pending) => self.leave(pending)?,
                };
                if going { ptrace::syscall(pid, None) } else { Ok(()) }
            }
            WaitStatus::PtraceEvent(pid, _, libc::PTRACE_EVENT_EXEC) => {
                self.begun = true;
                // The call that became the program is still to end.
                self.inside.insert(pid, Pending::Pass);
                ptrace::syscall(pid, None)
            }
            WaitStatus::PtraceEvent(pid, _, _) if self.begun => ptrace::syscall(pid, None),
            WaitStatus::PtraceEvent(pid, _, _) => ptrace::cont(pid, None),
            WaitStatus::Stopped(pid, signal) if self.begun => ptrace::syscall(pid, signal),
            WaitStatus::Stopped(pid, signal) => ptrace::cont(pid, signal),
            WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, _, _) => {
                self.inside.remove(&pid);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A call is about to be made. Returns whether the process goes on.
    fn enter(&mut self, pid: Pid) -> Result<bool, Errno> {
        let pending = match Call::counted(pid, self.directory)? {
            Some(call) => self.meet(call)?,
            None => Pending::Pass,
        };
        let killed = matches!(pending, Pending::Kill) && self.plan.effect == Effect::KillBefore;
        self.inside.insert(pid, pending);
        Ok(!killed)
    }

    /// Does to a call that counts what the plan says.
    fn meet(&mut self, mut call: Call) -> Result<Pending, Errno> {
        self.ran.calls += 1;
        let plan = self.plan;
        let is_first = self.ran.calls == plan.at;
        let is_later = self.ran.calls > plan.at && plan.at > 0;
        if !is_first && !(is_later && (plan.sticky || plan.effect == Effect::Full)) {
            return Ok(Pending::Pass);
        }
        self.ran.fired += 1;
        self.ran.first.get_or_insert(call.name);
        let fail = |call: Call, error| {
            call.skip()?;
            Ok(Pending::Change { call: Box::new(call), error: Some(error) })
        };
        match plan.effect {
            Effect::Error(error) => fail(call, error),
            Effect::Full if is_later => fail(call, libc::ENOSPC),
            Effect::Full | Effect::Short => {
                if call.halve()? {
                    return Ok(Pending::Change { call: Box::new(call), error: None });
                }
                if plan.effect == Effect::Full {
                    fail(call, libc::ENOSPC)
                } else {
                    Ok(Pending::Pass)
                }
            }
            Effect::KillBefore => {
                call.skip()?;
                kill(self.main, Signal::SIGKILL)?;
                Ok(Pending::Kill)
            }
            Effect::KillHalf => {
                call.halve()?;
                Ok(Pending::Kill)
            }
            Effect::KillAfter => Ok(Pending::Kill),
        }
    }

    /// A call has been made. Returns whether the process goes on.
    fn leave(&mut self, pending: Pending) -> Result<bool, Errno> {
        match pending {
            Pending::Pass => Ok(true),
            Pending::Change { call, error } => call.end(error).map(|()| true),
            Pending::Kill => kill(self.main, Signal::SIGKILL).map(|()| false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a shell script in a directory of its own. Returns what is in the file `a` then.
    fn shell(script: &str, at: u64, effect: Effect, sticky: bool) -> (Ran, String) {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).current_dir(directory.path());
        let null = || File::options().write(true).open("/dev/null").unwrap();
        let plan = Plan { at, effect, sticky };
        let ran = run(&command, directory.path(), plan, null(), null()).unwrap();
        let left = std::fs::read_to_string(directory.path().join("a")).unwrap_or_default();
        (ran, left)
    }

    #[test]
    fn calls_fail_end_short_or_kill() {
        if let Err(why) = crate::available() {
            eprintln!("SKIPPED: {why}");
            return;
        }
        // Opens (1), writes (2), opens (3), writes (4), and removes (5).
        let script = "echo 12345 >a; echo 678 >>a; rm -f b; exit 7";
        let (ran, left) = shell(script, 0, Effect::Short, true);
        assert_eq!((ran.end, ran.fired, left.as_str()), (End::Code(7), 0, "12345\n678\n"));
        let (_, left) = shell(script, 1, Effect::Error(libc::EIO), false);
        assert_eq!(left, "678\n");
        let (ran, left) = shell(script, 1, Effect::Error(libc::EIO), true);
        assert_eq!((left.as_str(), ran.fired), ("", ran.calls));
        let (ran, left) = shell(script, 2, Effect::KillHalf, false);
        assert_eq!((ran.end, left.as_str(), ran.first), (End::Signal(9), "123", Some("write")));
        let (_, left) = shell(script, 2, Effect::KillBefore, false);
        assert_eq!(left, "");
        let (ran, left) = shell(script, 2, Effect::KillAfter, false);
        assert_eq!((ran.end, left.as_str()), (End::Signal(9), "12345\n"));
        let (_, left) = shell(script, 2, Effect::Full, false);
        assert_eq!(left, "123");
    }
}
