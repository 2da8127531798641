//! One system call of a stopped thread: what it is, which file it is about, and how to change it.
//!
//! # Invariants
//! - What is changed for a call is put back when it ends: the program sees nothing but its result.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace;
use nix::unistd::Pid;

/// Bytes of a path that are looked at.
const PATH_BYTES_MAX: usize = 4096;

/// Where the arguments of a call say which file it is about.
enum About {
    /// The first is a file.
    File,
    /// The first is a directory, the second a path.
    Beneath,
    /// The first is a path.
    Path,
}

/// The calls that change what a medium holds.
fn known(number: i64) -> Option<(&'static str, About)> {
    Some(match number {
        libc::SYS_write => ("write", About::File),
        libc::SYS_writev => ("writev", About::File),
        libc::SYS_pwrite64 => ("pwrite64", About::File),
        libc::SYS_pwritev => ("pwritev", About::File),
        libc::SYS_pwritev2 => ("pwritev2", About::File),
        libc::SYS_fsync => ("fsync", About::File),
        libc::SYS_fdatasync => ("fdatasync", About::File),
        libc::SYS_sync_file_range => ("sync_file_range", About::File),
        libc::SYS_fallocate => ("fallocate", About::File),
        libc::SYS_ftruncate => ("ftruncate", About::File),
        libc::SYS_copy_file_range => ("copy_file_range", About::File),
        libc::SYS_rename => ("rename", About::Path),
        libc::SYS_unlink => ("unlink", About::Path),
        libc::SYS_mkdir => ("mkdir", About::Path),
        libc::SYS_rmdir => ("rmdir", About::Path),
        libc::SYS_link => ("link", About::Path),
        libc::SYS_creat => ("creat", About::Path),
        libc::SYS_open => ("open", About::Path),
        libc::SYS_renameat => ("renameat", About::Beneath),
        libc::SYS_renameat2 => ("renameat2", About::Beneath),
        libc::SYS_unlinkat => ("unlinkat", About::Beneath),
        libc::SYS_mkdirat => ("mkdirat", About::Beneath),
        libc::SYS_linkat => ("linkat", About::Beneath),
        libc::SYS_openat => ("openat", About::Beneath),
        libc::SYS_openat2 => ("openat2", About::Beneath),
        _ => return None,
    })
}

/// A call that is about to be made.
pub(crate) struct Call {
    pid: Pid,
    pub(crate) name: &'static str,
    before: libc::user_regs_struct,
    /// A word of the program's memory that was changed, and what it was.
    changed: Option<(u64, i64)>,
}

impl Call {
    /// The call that `pid` is about to make, if it changes a file in or below `directory`.
    pub(crate) fn counted(pid: Pid, directory: &Path) -> Result<Option<Self>, Errno> {
        let before = ptrace::getregs(pid)?;
        let number = before.orig_rax.cast_signed();
        let Some((name, about)) = known(number) else { return Ok(None) };
        if !creates(pid, number, &before)? {
            return Ok(None);
        }
        let file = match about {
            About::File => opened(pid, before.rdi),
            About::Path => path(pid, before.rdi)?.map(|path| in_directory(pid, None, &path)),
            About::Beneath => {
                let at = (before.rdi as i32 != libc::AT_FDCWD).then_some(before.rdi);
                path(pid, before.rsi)?.map(|path| in_directory(pid, at, &path))
            }
        };
        let counts = file.is_some_and(|file| file.starts_with(directory));
        Ok(counts.then_some(Self { pid, name, before, changed: None }))
    }

    /// Lets the kernel make no call at all.
    pub(crate) fn skip(&self) -> Result<(), Errno> {
        let mut registers = self.before;
        registers.orig_rax = u64::MAX;
        ptrace::setregs(self.pid, registers)
    }

    /// Lets a write take half of its bytes, one at least. Returns whether it is one.
    pub(crate) fn halve(&mut self) -> Result<bool, Errno> {
        let mut registers = self.before;
        match self.name {
            "write" | "pwrite64" => {
                registers.rdx = (registers.rdx / 2).max(1);
            }
            "writev" | "pwritev" | "pwritev2" => {
                registers.rdx = self.halve_parts()?;
            }
            _ => return Ok(false),
        }
        ptrace::setregs(self.pid, registers)?;
        Ok(true)
    }

    /// Cuts a list of parts in half. Returns how many there are then.
    fn halve_parts(&mut self) -> Result<u64, Errno> {
        let (list, count) = (self.before.rsi, self.before.rdx);
        let length_at = |index: u64| list + index * 16 + 8;
        let mut total = 0_u64;
        for index in 0..count {
            total += word(self.pid, length_at(index))?.cast_unsigned();
        }
        let mut left = (total / 2).max(1);
        for index in 0..count {
            let length = word(self.pid, length_at(index))?;
            if length.cast_unsigned() < left {
                left -= length.cast_unsigned();
                continue;
            }
            self.changed = Some((length_at(index), length));
            put_word(self.pid, length_at(index), left.cast_signed())?;
            return Ok(index + 1);
        }
        Ok(count)
    }

    /// The call has been made, or skipped: puts back what was changed, and gives it the result
    /// `error` where there is one.
    pub(crate) fn end(&self, error: Option<i32>) -> Result<(), Errno> {
        if let Some((at, value)) = self.changed {
            put_word(self.pid, at, value)?;
        }
        let mut registers = ptrace::getregs(self.pid)?;
        registers.rdx = self.before.rdx;
        registers.orig_rax = self.before.orig_rax;
        if let Some(error) = error {
            registers.rax = i64::from(-error).cast_unsigned();
        }
        ptrace::setregs(self.pid, registers)
    }
}

/// Whether a call that opens may make a file; true for all others.
fn creates(pid: Pid, number: i64, registers: &libc::user_regs_struct) -> Result<bool, Errno> {
    let flags = match number {
        libc::SYS_open => registers.rsi,
        libc::SYS_openat => registers.rdx,
        libc::SYS_openat2 => word(pid, registers.rdx)?.cast_unsigned(),
        _ => return Ok(true),
    };
    Ok(flags as i32 & libc::O_CREAT != 0)
}

fn word(pid: Pid, at: u64) -> Result<i64, Errno> {
    ptrace::read(pid, at as ptrace::AddressType)
}

fn put_word(pid: Pid, at: u64, value: i64) -> Result<(), Errno> {
    ptrace::write(pid, at as ptrace::AddressType, value)
}

/// A path in the program's memory; none where it cannot be read.
fn path(pid: Pid, at: u64) -> Result<Option<PathBuf>, Errno> {
    let mut bytes = Vec::new();
    while bytes.len() < PATH_BYTES_MAX {
        let word = match word(pid, at + bytes.len() as u64) {
            Err(Errno::EIO | Errno::EFAULT) => return Ok(None),
            word => word?.to_le_bytes(),
        };
        let end = word.iter().position(|byte| *byte == 0);
        bytes.extend(word.iter().take(end.unwrap_or(word.len())));
        if end.is_some() {
            return Ok(Some(PathBuf::from(OsString::from_vec(bytes))));
        }
    }
    Ok(None)
}

/// The path by which the program's file `fd` is known.
fn opened(pid: Pid, fd: u64) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/fd/{fd}")).ok()
}

/// `path` as seen from the directory `at` of the program, or from its working directory.
fn in_directory(pid: Pid, at: Option<u64>, path: &Path) -> PathBuf {
    let from = match at {
        Some(fd) => opened(pid, fd),
        None => std::fs::read_link(format!("/proc/{pid}/cwd")).ok(),
    };
    from.unwrap_or_default().join(path)
}
