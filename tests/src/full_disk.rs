//! Real full disks: small file systems in memory of every size, and a limit on the size of files.
//!
//! The writer gets a clear error, nothing acknowledged is lost, what is there can be read without
//! any room, and with room again the database opens and goes on.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use presence::{Database, Error, Level};

use crate::acks::{Told, Writer, check_left, options};
use crate::power::is_root;
use crate::support::{
    Random, check_numbers, figure, number_at, number_schema, number_ts, rerun, scaled, skipped,
};

/// A file system in memory; it goes away with the value, also in a panic.
struct Memory {
    directory: tempfile::TempDir,
}

impl Memory {
    fn new(bytes: u64) -> Result<Self, String> {
        let memory = Self { directory: tempfile::tempdir().unwrap() };
        memory.mount(&["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])?;
        Ok(memory)
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn grow(&self, bytes: u64) {
        self.mount(&["-o", &format!("remount,size={bytes}")]).unwrap();
    }

    fn mount(&self, arguments: &[&str]) -> Result<(), String> {
        let mount = Command::new("mount").args(arguments).arg(self.path()).output();
        let mount = mount.map_err(|error| error.to_string())?;
        let why = String::from_utf8_lossy(&mount.stderr).trim().to_owned();
        if mount.status.success() { Ok(()) } else { Err(why) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let _ended = Command::new("umount").arg("-l").arg(self.path()).output();
    }
}

/// Writes until the disk is full. Returns what was acknowledged, and the error.
fn fill(path: &Path, seed: u64) -> (Told, Error) {
    let mut told = Told::default();
    let mut random = Random(seed);
    let mut quiet = options();
    quiet.background = false;
    let run = || -> Result<(), Error> {
        let db = Database::open_or_create(path, quiet)?;
        let stream = db.create_stream("numbers 0", number_schema(0))?;
        let mut writer = stream.writer::<i64>()?;
        for sequence in 0.. {
            writer.append(number_ts(sequence), number_at(0, sequence))?;
            if random.below(24) == 0 {
                let level = if random.below(2) == 0 { Level::Os } else { Level::Disk };
                db.flush(level)?;
                told.counts = vec![stream.records_at(level)];
            }
            if random.below(2000) == 0 {
                db.compact(|_, _| true)?;
            }
        }
        Ok(())
    };
    let error = run().unwrap_err();
    (told, error)
}

/// Fills a disk of `bytes`, looks at it, gives it room, and goes on.
fn fill_and_go_on(bytes: u64) -> Result<(), String> {
    let memory = Memory::new(bytes)?;
    let path = memory.path().join("db");
    let (told, error) = fill(&path, bytes);
    let words = error.to_string();
    if !matches!(error, Error::Io { .. }) || !words.contains("space") {
        return Err(format!("no clear error: {words}"));
    }
    if !told.counts.is_empty() {
        let db = Database::open_read_only(&path, options()).map_err(|error| error.to_string())?;
        let stream = db.stream("numbers 0").map_err(|error| error.to_string())?;
        let end = check_numbers(&stream, 0)?.map_or(0, |found| found.end);
        if end < told.counts[0] {
            return Err(format!("a reader finds {end} of {} acknowledged", told.counts[0]));
        }
    }
    // Opening for writing while it is still full either works or says why, and loses nothing.
    match Database::open(&path, options()) {
        Ok(_) | Err(Error::Io { .. } | Error::NotADatabase { .. }) => {}
        Err(error) => return Err(format!("opening while full: {error}")),
    }
    memory.grow(8 << 20);
    check_left(&path, &told)?;
    goes_on(&path).map_err(|error| format!("going on: {error}"))
}

fn goes_on(path: &Path) -> Result<(), Error> {
    let db = Database::open(path, options())?;
    let stream = match db.stream("numbers 0") {
        Ok(stream) => stream,
        Err(_) => db.create_stream("numbers 0", number_schema(0))?,
    };
    let next = stream.records_at(Level::Memory);
    stream.writer::<i64>()?.append(number_ts(next), number_at(0, next))?;
    db.flush(Level::Disk)?;
    db.compact(|_, _| true)?;
    assert_eq!(stream.records_at(Level::Disk), next + 1);
    assert_eq!(check_numbers(&stream, 0).unwrap().unwrap().end, next + 1);
    db.close()
}

#[test]
fn disks_of_every_size_run_full() {
    if !is_root() {
        return skipped("full disks: this is not root");
    }
    if let Err(why) = Memory::new(1 << 20) {
        return skipped(&format!("full disks: {why}"));
    }
    let step = (512.0 / crate::support::scale().min(1.0)) as usize;
    let small = ((64 << 10)..(128 << 10)).step_by(step);
    let larger = (1..=scaled(8)).map(|index| (128 << 10) + index * 77_777);
    let mut disks = 0;
    for bytes in small.chain(larger) {
        if let Err(what) = fill_and_go_on(bytes) {
            panic!(
                "{bytes} bytes: {what}\nreplay: cargo test -p presence-tests --test all -- \
                 --exact full_disk::disks_of_every_size_run_full"
            );
        }
        disks += 1;
    }
    figure("full disks", disks);
    println!("{disks} disks ran full");
}

/// A file may become no longer than so many KiB: the write that would make it so fails, `EFBIG`.
#[test]
fn files_may_grow_no_further() {
    let mut limits = 0;
    // All below the size at which a segment is sealed.
    for kib in 1..=12 {
        let directory = tempfile::tempdir().unwrap();
        let path: PathBuf = directory.path().join("db");
        let child = rerun("acks::child_that_writes");
        // Without the trap the signal SIGXFSZ would end the child.
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "trap '' XFSZ; ulimit -f \"$0\" && exec \"$@\""]);
        // In units of 512 bytes, by POSIX.
        shell.arg((kib * 2).to_string()).arg(child.get_program()).args(child.get_args());
        shell.stdin(Stdio::null());
        let told = Writer::start_as(shell, &path, kib, Level::Disk).end();
        let told = told.unwrap_or_else(|what| panic!("{kib} KiB: {what}"));
        let words = told.failure.clone().unwrap_or_default();
        assert!(words.contains("File too large"), "{kib} KiB: {words}");
        check_left(&path, &told).unwrap_or_else(|what| panic!("{kib} KiB: {what}"));
        limits += 1;
    }
    figure("limits on the size of files", limits);
}
