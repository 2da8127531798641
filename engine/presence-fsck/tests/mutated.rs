//! Each golden vector with every bit flipped and at every length: damage is never called sound.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a helper of a test fails it")]

use std::path::{Path, PathBuf};

use presence::device::MemoryDevice;
use presence_fsck::{Code, Level, Options, Report, check_device};

/// A vector: its name, the name that its segment has in a database, its bytes.
struct Vector {
    name: String,
    file: String,
    bytes: Vec<u8>,
}

fn vectors() -> Vec<Vector> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../format-spec/vectors/v1");
    let mut paths: Vec<PathBuf> =
        folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "presence"));
    paths.sort();
    let vector = |path: &PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        let number = u32::from_le_bytes(bytes[32..36].try_into().unwrap());
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        Vector { name, file: format!("seg-{number:08x}.presence"), bytes }
    };
    paths.iter().map(vector).collect()
}

fn judge(file: &str, bytes: &[u8], level: Level) -> Option<Report> {
    let device = MemoryDevice::with_files([(file, bytes)]);
    check_device(&device, &Options::at(level), &mut |_| true).ok()
}

/// Whether bytes of `vector` may differ without anybody missing them: the torn ones that a crash
/// left, and those behind what was durable of a segment that is not sealed.
fn is_undecidable(vector: &Vector, report: &Report) -> bool {
    let torn = [Code::TornTail, Code::TornInside, Code::TornSeal];
    report.findings.iter().any(|finding| torn.contains(&finding.code)) && {
        let whole = judge(&vector.file, &vector.bytes, Level::Default).unwrap();
        let unsealed = whole.of(Code::Unsealed).next().is_some();
        unsealed || whole.of(Code::TornInside).next().is_some()
    }
}

#[test]
fn every_bit() {
    let mut flips = 0_u64;
    for vector in vectors() {
        let clean = judge(&vector.file, &vector.bytes, Level::Default).unwrap();
        let mut bytes = vector.bytes.clone();
        // Of the one that is large by its content, a part.
        let step = if bytes.len() > 16 << 10 { 13 } else { 1 };
        for bit in (0..bytes.len() * 8).step_by(step) {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let report = judge(&vector.file, &bytes, Level::Default);
            let Some(report) = report else { panic!("{} bit {bit}: no report", vector.name) };
            // Just this is what a torn write leaves, of the footer or of what is before it.
            let is_zeros =
                |range: std::ops::Range<usize>| bytes[range].iter().all(|&byte| byte == 0);
            let footer = bytes.len() - 64;
            let is_cut =
                is_zeros(bit / 8..bytes.len()) || (bit / 8 < footer && is_zeros(bit / 8..footer));
            bytes[bit / 8] ^= 1 << (bit % 8);
            flips += 1;
            if report.exit_code == clean.exit_code && report.findings == clean.findings {
                // Inside torn bytes anything may stand.
                let inside = clean.findings.iter().any(|finding| {
                    let torn = matches!(finding.code, Code::TornInside | Code::TornTail);
                    let range = finding.offset.unwrap_or(0)..finding.end.unwrap_or(0);
                    torn && range.contains(&(bit as u64 / 8))
                });
                let is_same = vector.name == "rot";
                assert!(inside || is_same, "{} bit {bit} unnoticed: {report:#?}", vector.name);
            } else if report.exit_code == 0 {
                // One flip of the rotten vector heals it.
                let fine = is_cut || vector.name == "rot" || is_undecidable(&vector, &report);
                assert!(fine, "{} bit {bit} called sound: {report:#?}", vector.name);
            }
        }
    }
    println!("{flips} flips");
}

#[test]
fn every_length() {
    for vector in vectors() {
        for len in 0..vector.bytes.len() {
            let report = judge(&vector.file, &vector.bytes[..len], Level::Deep).unwrap();
            if report.exit_code == 0 {
                let torn = [Code::TornTail, Code::TornSeal, Code::Unsealed];
                let told = report.findings.iter().any(|finding| torn.contains(&finding.code));
                assert!(told, "{} of {len} bytes: {report:#?}", vector.name);
            }
        }
    }
}
