//! Recordings of other programs, where they are present: counts and values as a plain reading of
//! the same text finds them.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use presence_format::TimeUnit;
use presence_ingest::{Format, MotFile, Options, Source};
use serde_json::Value;

use crate::support::{Imported, import, strict};

/// The directory of recordings, or a plain word that the test is skipped.
fn data() -> Option<PathBuf> {
    let dir = std::env::var_os("PRESENCE_TEST_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    if dir.join("MANIFEST.json").is_file() {
        return Some(dir);
    }
    // Not println!: the harness would keep it from those who should read it.
    let said = writeln!(
        std::io::stderr(),
        "SKIPPED: no recordings at {} (set PRESENCE_TEST_DATA)",
        dir.display()
    );
    drop(said);
    None
}

fn load(name: &str) -> Option<(Imported, String)> {
    let path = data()?.join(name);
    let got = import(Source::path(&path), strict()).unwrap();
    assert_eq!(got.report.skipped_total, 0, "{name}");
    Some((got, std::fs::read_to_string(path).unwrap()))
}

#[test]
fn every_file_gives_the_rows_of_the_manifest() {
    let Some(dir) = data() else { return };
    let manifest = std::fs::read(dir.join("MANIFEST.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let mut files = 0;
    for entry in manifest.as_array().unwrap() {
        let (path, kind) = (entry["path"].as_str().unwrap(), entry["format"].as_str().unwrap());
        let format = match kind {
            kind if kind.starts_with("MOT") => Format::Mot,
            kind if kind.starts_with("KITTI") => Format::Kitti,
            kind if kind.contains("CSV") && !kind.contains("x,y,p,t") => Format::Csv,
            _ => continue,
        };
        for memory_bytes in [1 << 27, 1 << 16] {
            let options = Options { memory_bytes, ..strict() };
            let got = import(Source::path(dir.join(path)), options).unwrap();
            let rows = entry["facts"]["rows"].as_u64().unwrap();
            assert_eq!((got.report.records, got.report.skipped_total), (rows, 0), "{path}");
            assert_eq!(got.description.format, format, "{path}");
            if let Some(sorted) = entry["facts"]["frame_sorted"].as_bool() {
                assert_eq!(got.description.is_sorted, sorted, "{path}");
            }
        }
        files += 1;
    }
    assert_eq!(files, 17, "files of the manifest that this crate reads");
}

/// What a line of text gives for a frame: track, box and confidence.
type Found = (i64, [f64; 5]);

#[test]
fn mot_frames_are_those_of_a_plain_reading() {
    let Some(dir) = data() else { return };
    let manifest = std::fs::read(dir.join("MANIFEST.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let mut files = 0;
    for entry in manifest.as_array().unwrap() {
        if !entry["format"].as_str().unwrap().starts_with("MOT") {
            continue;
        }
        let text = std::fs::read_to_string(dir.join(entry["path"].as_str().unwrap())).unwrap();
        let mut want: BTreeMap<u32, Vec<Found>> = BTreeMap::new();
        for line in text.lines() {
            let f: Vec<f64> = line.split(',').map(|field| field.parse().unwrap()).collect();
            let found = (f[1] as i64, [f[2], f[3], f[4], f[5], f[6]]);
            want.entry(f[0] as u32).or_default().push(found);
        }
        let copy = tempfile::tempdir().unwrap();
        for end in ["\n", "\r\n"] {
            let path = copy.path().join("a.txt");
            std::fs::write(&path, text.replace('\n', end)).unwrap();
            let file = MotFile::open(&path).unwrap();
            assert_eq!(Some(file.report().records), entry["facts"]["rows"].as_u64());
            assert!(file.frames().eq(want.keys().copied()));
            // Backward, so that nothing is read in the order of the file.
            for (&number, want) in want.iter().rev() {
                let frame = file.frame(number).unwrap();
                let found = frame.detections.iter().map(|found| {
                    let boxed = [found.left, found.top, found.width, found.height];
                    (found.track_id, [boxed[0], boxed[1], boxed[2], boxed[3], found.confidence])
                });
                assert!(found.eq(want.iter().copied()), "{} {number}", entry["path"]);
            }
            let beyond = want.keys().last().unwrap() + 1;
            assert!(file.frame(beyond).unwrap().detections.is_empty());
        }
        files += 1;
    }
    assert!(files >= 9, "{files} files of MOT text");
}

#[test]
fn robot_state() {
    let Some((got, text)) = load("huggingface+lerobot/so100_follower_robot_state.csv") else {
        return;
    };
    assert_eq!(got.schema().time_unit(), TimeUnit::Ns);
    assert!(got.types().starts_with("step:i64 robot_connected:bool shoulder_pan.pos:f64"));
    assert_eq!(got.batch.timestamps[0], 2_661_818_542);
    let pans: Vec<f64> =
        text.lines().skip(1).map(|l| l.split(',').nth(3).unwrap().parse().unwrap()).collect();
    assert_eq!(got.f64s("shoulder_pan.pos"), pans);
    assert!(got.i64s("step").is_sorted());
}

#[test]
fn series_with_repeated_times() {
    for name in ["machine_temperature_system_failure", "nyc_taxi"] {
        let Some((got, text)) = load(&format!("numenta+NAB/{name}.csv")) else { return };
        assert_eq!(got.description.stream_name, name);
        let mut want: Vec<(i64, f64)> = text
            .lines()
            .skip(1)
            .map(|line| {
                let (time, value) = line.split_once(',').unwrap();
                let time: jiff::civil::DateTime = time.parse().unwrap();
                let time = time.to_zoned(jiff::tz::TimeZone::UTC).unwrap();
                (time.timestamp().as_microsecond(), value.parse().unwrap())
            })
            .collect();
        want.sort_by_key(|&(time, _)| time);
        let values = if name == "nyc_taxi" {
            got.i64s("value").iter().map(|&v| v as f64).collect()
        } else {
            got.f64s("value")
        };
        let have: Vec<(i64, f64)> = got.batch.timestamps.iter().copied().zip(values).collect();
        assert_eq!(have, want, "{name}");
    }
}

#[test]
fn trajectories() {
    let Some((got, _)) = load("movingpandas+movingpandas/demodata_geolife.csv") else { return };
    assert_eq!(
        got.types(),
        "X:f64 Y:f64 fid:i64 id:i64 sequence:i64 trajectory_id:i64 tracker:i64"
    );
    assert_eq!(got.batch.timestamps[0], 1_228_970_534_000_000);
    assert_eq!(got.report.notes, Vec::<String>::new());
}

#[test]
fn ground_truth_is_sorted_by_frame() {
    let Some((got, text)) = load("JonathonLuiten+TrackEval/MOT17-05-DPM_gt.txt") else { return };
    let mut want: Vec<(i64, i64, f64, f64)> = text
        .lines()
        .map(|line| {
            let f: Vec<f64> = line.split(',').map(|field| field.parse().unwrap()).collect();
            (f[0] as i64, f[1] as i64, f[2], f[8])
        })
        .collect();
    want.sort_by_key(|row| row.0);
    let (lefts, visible) = (got.f64s("left"), got.f64s("visibility"));
    for (index, (frame, id, left, visibility)) in want.into_iter().enumerate() {
        let time = ((frame - 1) as f64 * 1e6 / 30.0).round() as i64;
        assert_eq!(got.batch.timestamps[index], time);
        assert_eq!(got.i64s("track_id")[index], id);
        assert_eq!((lefts[index], visible[index]), (left, visibility));
        if index > 500 {
            break;
        }
    }
}
