//! Fuzzing without a fuzzer: every golden vector and every input that ever failed through its
//! targets, and some mutations of them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails the test")]

use std::io::Write as _;
use std::panic::catch_unwind;

use presence_fuzz_harness::{Mutator, TARGETS, Target, regressions, seeds, vectors};

/// How much more than usual is tested.
fn scaled(count: u64) -> u64 {
    let scale = std::env::var("PRESENCE_TEST_SCALE").ok();
    let scale: f64 = scale.and_then(|scale| scale.parse().ok()).unwrap_or(1.0);
    ((count as f64 * scale) as u64).max(1)
}

/// Appends a line to the file of figures, where there is one.
fn figure(name: &str, count: u64) {
    let Some(path) = std::env::var_os("PRESENCE_FIGURES") else { return };
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(format!("{name}\t{count}\n").as_bytes()).unwrap();
}

/// Runs one input. Where it fails it is kept, and the line that replays it is told.
fn run(name: &str, target: Target, what: &str, bytes: &[u8]) {
    if catch_unwind(|| target(bytes)).is_err() {
        let file = std::env::temp_dir().join(format!("presence-{name}-{}", std::process::id()));
        std::fs::write(&file, bytes).unwrap();
        panic!(
            "{name} fails with {what}; replay: \
             cargo run -p presence-fuzz-harness --bin replay -- {name} {}",
            file.display()
        );
    }
}

#[test]
fn vectors_and_regressions_through_every_target() {
    let vectors = vectors();
    assert!(vectors.len() > 20, "the golden vectors are missing");
    let mut executions = 0;
    for (name, target) in TARGETS {
        let inputs = vectors.clone().into_iter().chain(seeds(name)).chain(regressions(name));
        for (file, bytes) in inputs {
            run(name, *target, &file, &bytes);
            executions += 1;
        }
    }
    figure("inputs of the fuzzing corpus replayed", executions);
}

/// What failed in one target is tried in all others, too.
#[test]
fn regressions_of_all_targets_through_every_target() {
    let all = TARGETS.iter().flat_map(|(name, _)| regressions(name));
    let all: Vec<(String, Vec<u8>)> = all.collect();
    for (name, target) in TARGETS {
        all.iter().for_each(|(file, bytes)| run(name, *target, file, bytes));
    }
}

#[test]
fn mutations_of_the_corpus() {
    let mut executions = 0;
    for (index, (name, target)) in TARGETS.iter().enumerate() {
        let seeds = seeds(name);
        let mut mutator = Mutator::new(index as u64);
        for round in 0..scaled(400) {
            let pick = |number: u64| &seeds[(number % seeds.len() as u64) as usize].1;
            let bytes = mutator.mutate(pick(round), pick(round / 3 + 1));
            run(name, *target, &format!("mutation {round}"), &bytes);
            executions += 1;
        }
    }
    figure("mutated inputs through fuzz targets", executions);
}

/// cargo-fuzz has one program for each target, and `fuzz/Cargo.toml` names them all.
#[test]
fn every_target_has_its_program() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let manifest = std::fs::read_to_string(format!("{folder}/Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        let path = format!("fuzz_targets/{name}.rs");
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"{path}\"")), "{name}");
        let program = std::fs::read_to_string(format!("{folder}/{path}")).unwrap();
        assert!(program.contains(&format!("presence_fuzz::fuzz!(\"{name}\");")), "{path}");
    }
}

/// A segment copied alone opens or is refused. No target reaches this, as it takes files.
#[test]
fn single_segments_open_or_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copied alone");
    let mut mutator = Mutator::new(1);
    let vectors = vectors();
    for (index, (name, bytes)) in vectors.iter().enumerate() {
        let (_, other) = &vectors[(index * 7 + 1) % vectors.len()];
        for round in 0..scaled(12) {
            let bytes = if round == 0 { bytes.clone() } else { mutator.mutate(bytes, other) };
            std::fs::write(&file, &bytes).unwrap();
            let alone = || {
                let mut options = presence::Options::default();
                options.background = false;
                let db = presence::Database::open_read_only(&file, options);
                db.iter().flat_map(presence::Database::streams).for_each(|stream| {
                    let records = stream.iter().into_iter().flatten();
                    let _readable = records.filter(Result::is_ok).count();
                });
                db.is_ok()
            };
            let opened = catch_unwind(alone);
            assert!(opened.is_ok(), "{name}, mutation {round}");
            assert!(round > 0 || opened.unwrap(), "{name} is sound");
        }
    }
}
