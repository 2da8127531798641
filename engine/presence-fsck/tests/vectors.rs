//! The golden vectors, as they are and mutated.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails it")]

use std::path::{Path, PathBuf};

use presence_fsck::{Level, Options, check};

fn vectors() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../format-spec/vectors/v1");
    let mut paths: Vec<PathBuf> =
        folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "presence"));
    paths.sort();
    assert!(paths.len() >= 29, "{paths:?}");
    paths
}

#[test]
fn each_vector_alone() {
    for path in vectors() {
        for level in [Level::Quick, Level::Default, Level::Deep] {
            let report = check(&path, &Options::at(level), &mut |_| true).unwrap();
            let is_rotten = path.ends_with("rot.presence");
            assert_eq!(report.exit_code, if is_rotten { 4 } else { 0 }, "{report:#?}");
            let name = path.file_stem().unwrap().to_str().unwrap();
            let torn = report.totals.torn_bytes > 0;
            let quick_and_sealed = level == Level::Quick && name == "resumed-sealed";
            let is_torn = ["torn-tail", "torn-zeros", "resumed", "resumed-sealed"].contains(&name);
            assert_eq!(torn, is_torn && !quick_and_sealed, "{report:#?}");
            assert_eq!(report.lost.is_empty(), !is_rotten, "{report:#?}");
        }
    }
}
