//! Recordings of other programs, where they are present: counts and values as a plain reading of
//! the same text finds them.

use std::io::Write;
use std::path::PathBuf;

use presence_format::TimeUnit;
use presence_ingest::{Format, Options, Source};
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
