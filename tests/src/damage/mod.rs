//! Damage, enumerated: every bit of every file flipped, every length it may be cut to, zeros,
//! garbage, blocks and files swapped, older versions put back.

mod changes;
mod golden;
mod judge;

use std::path::Path;

use presence::Database;

use crate::support::{figure, skipped, small};
use changes::{cut, extend, flip_bits, misdirect, move_entries, overwrite};
use golden::{
    Case, Files, Golden, STREAMS, device, files_after, goldens, other_files_after, several,
};
use judge::check_all;

#[test]
fn every_bit_flipped() {
    for golden in goldens() {
        let bits = flip_bits(&golden);
        println!("{}: {bits} bits", golden.name);
    }
}

#[test]
fn cut_to_every_length_and_overwritten() {
    for golden in goldens() {
        cut(&golden);
        overwrite(&golden);
    }
}

#[test]
fn extended_by_every_length() {
    goldens().iter().for_each(extend);
}

#[test]
fn blocks_swapped_repeated_and_lost() {
    goldens().iter().for_each(move_entries);
}

#[test]
fn blocks_of_other_files_and_databases() {
    let golden = Golden::new("several segments", files_after(&several(), false));
    misdirect(&golden, &golden.files, "this database");
    misdirect(&golden, &other_files_after(&several(), false), "another database");
}

#[test]
fn files_of_other_databases_and_older_versions() {
    let steps = several();
    let golden = Golden::new("several segments", files_after(&steps, false));
    let other = other_files_after(&steps, false);
    assert_eq!(other.keys().collect::<Vec<_>>(), golden.files.keys().collect::<Vec<_>>());
    let names: Vec<&String> = golden.files.keys().collect();
    let mut cases: Vec<Case> = Vec::new();
    for name in &names {
        let bytes = other[*name].clone();
        cases.push(golden.damaged(name, "from another database".to_owned(), bytes));
        for from in &names {
            if from != name {
                let bytes = golden.files[*from].clone();
                cases.push(golden.damaged(name, format!("is {from}"), bytes));
            }
        }
        let mut files = golden.files.clone();
        files.remove(*name);
        // The last segment lost whole cannot be known: nothing names it.
        if Some(name) != names.last() {
            let (file, done) = ((*name).clone(), "removed".to_owned());
            cases.push(Case { file, done, files });
        }
    }
    // What each file was after every step of the run.
    for count in STREAMS.len()..steps.len() {
        let older = files_after(&steps[..count], false);
        for (name, bytes) in older {
            let now = golden.files.get(&name);
            if now.is_some_and(|now| *now != bytes) && Some(&&name) != names.last() {
                cases.push(golden.damaged(&name, format!("as it was after {count} steps"), bytes));
            }
        }
    }
    println!("{} swapped, missing and older files", cases.len());
    check_all(&golden, cases.len(), |index| cases[index].clone());
    figure("files swapped or older", cases.len() as u64);
}

/// The golden vectors of the format: each one segment, read alone.
#[test]
fn every_damage_of_the_golden_vectors() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../format-spec/vectors/v1");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        skipped("there are no golden vectors");
        return;
    };
    let mut vectors = 0;
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|e| e == "presence")) {
        let bytes = std::fs::read(path).unwrap();
        let number = u32::from_le_bytes(bytes[32..36].try_into().unwrap());
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let files = Files::from([(format!("seg-{number:08x}.presence"), bytes)]);
        let db = Database::open_read_only_on(device(&files).1, small());
        let db = db.unwrap_or_else(|error| panic!("{name}: {error}"));
        if !db.report().is_clean() {
            // Damaged by intent, or one of several files: what it must give stands in its twin.
            let apart = ["rot", "torn", "resumed", "second-segment", "compacted"];
            assert!(apart.iter().any(|word| name.contains(word)), "{name}");
            continue;
        }
        let golden = Golden::new(&name, files);
        vectors += 1;
        if golden.files.values().all(|bytes| bytes.len() <= 64 << 10) {
            flip_bits(&golden);
        }
        cut(&golden);
        overwrite(&golden);
        move_entries(&golden);
    }
    println!("{vectors} vectors");
    figure("golden vectors damaged", vectors);
}
