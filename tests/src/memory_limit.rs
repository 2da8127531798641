//! Hostile files in little memory: a child opens and reads them under a limit of its address
//! space, and tells the most memory that it ever held.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use presence::Database;
use presence_format::checksum::header_crc32;
use presence_format::entry::EntryKind;
use presence_tests::held_kib_max;

use crate::script::{Step, bare, play};
use crate::support::{Random, figure, rerun, scaled, skipped, small};

/// Set for the child: the directory whose directories it opens.
const CHILD_DIRECTORY: &str = "PRESENCE_TEST_MEMORY_DIRECTORY";
/// Memory that a process may hold, whatever it reads.
const HELD_KIB_MAX: u64 = 64 << 10;
/// Address space beyond that: the program, its libraries, stacks, and what allocators set aside.
const BESIDE_KIB: u64 = 192 << 10;

/// Runs `command` with an address space of `kib` KiB; larger requests for memory fail.
pub(crate) fn limited(command: &Command, kib: u64) -> std::io::Result<Output> {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "ulimit -v \"$0\" && exec \"$@\""]).arg(kib.to_string());
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    shell.stdin(Stdio::null()).output()
}

/// Not a test by itself: opens what it is given.
#[test]
fn child_in_little_memory() {
    let Ok(directory) = std::env::var(CHILD_DIRECTORY) else { return };
    let mut opened = 0;
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        // Errors are right answers; a panic, an abort or too much memory are not.
        let Ok(db) = Database::open_read_only(entry.path(), small()) else { continue };
        opened += 1;
        for stream in db.streams() {
            let Ok(window) = stream.window(..) else { continue };
            for slice in window.slices() {
                let _read = slice.map(|slice| slice.len());
            }
            let _answer = stream.at(0).map(|record| record.is_some());
        }
    }
    println!("\nOPENED {opened}");
    println!("HELD {}", held_kib_max().unwrap_or(0));
}

/// A sound segment whose headers claim what they like: their checksums are right all the same.
fn hostile(sound: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    let entries: Vec<usize> = (128..bytes.len().saturating_sub(64))
        .step_by(64)
        .filter(|at| bytes[*at..].starts_with(b"PRSe"))
        .collect();
    let at = entries[random.below(entries.len() as u64) as usize];
    let header_bytes = if bytes[at + 20] == EntryKind::Block as u8 { 128 } else { 64 };
    // Behind its place in the segment every field is fair game, and huge values most of all.
    for _ in 0..1 + random.below(3) {
        let field = at + 32 + random.below((header_bytes - 32) / 4) as usize * 4;
        let value = [u32::MAX, i32::MAX as u32, 1 << 30, 0x00ff_ffff][random.below(4) as usize];
        bytes[field..field + 4].copy_from_slice(&value.to_le_bytes());
    }
    let crc = header_crc32(&bytes[at..at + header_bytes as usize], 4);
    bytes[at + 4..at + 8].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn make_hostile(directory: &Path) -> u64 {
    let three = [Step::Create, Step::Create, Step::Create];
    let some = [Step::Batch(0, 200), Step::Batch(1, 90), Step::Batch(2, 90), Step::Close];
    let files = play(&[&three[..], &some].concat(), bare).unwrap().sim.files();
    let count = scaled(200);
    for seed in 0..count {
        let mut random = Random(seed * 101);
        let database = directory.join(format!("db{seed}"));
        std::fs::create_dir(&database).unwrap();
        for (name, bytes) in &files {
            let path = database.join(name);
            std::fs::write(&path, hostile(bytes, &mut random)).unwrap();
            // Longer than what it may hold, and no room taken on the disk.
            if seed % 50 == 0 {
                let file = std::fs::File::options().write(true).open(path).unwrap();
                file.set_len(HELD_KIB_MAX << 11).unwrap();
            }
        }
    }
    count
}

#[test]
fn hostile_files_in_little_memory() {
    if held_kib_max().is_none() {
        return skipped("memory of hostile files: the system does not tell it");
    }
    let directory = crate::support::quick_dir();
    let files = make_hostile(directory.path());
    let mut child = rerun("memory_limit::child_in_little_memory");
    child.env(CHILD_DIRECTORY, directory.path());
    let output = limited(&child, HELD_KIB_MAX + BESIDE_KIB).unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}{words}", output.status);
    let held = said.lines().find_map(|line| line.strip_prefix("HELD ")).unwrap();
    let held: u64 = held.parse().unwrap();
    assert!(held <= HELD_KIB_MAX, "{held} KiB held");
    // The limit is one: what is above it fails.
    let large = limited(&child, 4 << 10).unwrap();
    assert!(!large.status.success(), "the limit does nothing");
    figure("hostile databases in 64 MiB", files);
    println!("{files} hostile databases, {held} KiB held at most: {said}");
}
