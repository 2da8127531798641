//! Recordings of other programs, where they are present: counts as their manifest says, answers as
//! a plain reading of the same text gives them.

use serde_json::Value;

use crate::support::{Place, Ran, recordings};

fn import(place: &Place, file: &str, more: &[&str]) -> Option<(Ran, String)> {
    let path = recordings()?.join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut words =
        vec!["import", path.to_str().unwrap(), "--into", "db", "--json", "--stream", "s"];
    words.extend(more);
    Some((place.run_words(&words).code(0), text))
}

#[test]
fn every_file_gives_the_rows_of_the_manifest() {
    let Some(dir) = recordings() else { return };
    let manifest = std::fs::read(dir.join("MANIFEST.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let place = Place::new();
    let mut files = 0;
    for entry in manifest.as_array().unwrap() {
        let (path, kind) = (entry["path"].as_str().unwrap(), entry["format"].as_str().unwrap());
        // Text of events has no header, and is none of these formats.
        let is_csv = kind.contains("CSV") && entry["facts"]["header"].is_string();
        if !is_csv && !kind.starts_with("MOT") && !kind.starts_with("KITTI") {
            continue;
        }
        let full = dir.join(path);
        let words = [
            "import",
            full.to_str().unwrap(),
            "--into",
            "db",
            "--stream",
            path,
            "--json",
            "--strict",
        ];
        let is_lenient = path.contains("geolife");
        let words = if is_lenient { &words[..7] } else { &words[..] };
        let answer = place.run_words(words).code(0).json();
        let rows = &entry["facts"]["rows"];
        assert_eq!(&answer["streams"][0]["records"], rows, "{path}");
        assert_eq!(answer["skipped_total"], 0, "{path}");
        files += 1;
    }
    assert_eq!(files, 17, "files of the manifest");
    let info = place.run("info db --json").code(0).json();
    for stream in info["streams"].as_array().unwrap() {
        let path = stream["name"].as_str().unwrap();
        let entry = manifest.as_array().unwrap().iter().find(|entry| entry["path"] == path);
        assert_eq!(stream["records"], entry.unwrap()["facts"]["rows"], "{path}");
    }
    // All of it again, after compaction.
    place.run("compact db").code(0);
    let after = place.run("info db --json").code(0).json();
    let counts = |info: &Value| -> Vec<Value> {
        info["streams"].as_array().unwrap().iter().map(|s| s["records"].clone()).collect()
    };
    assert_eq!(counts(&info), counts(&after));
}

#[test]
fn robot_state() {
    let place = Place::new();
    let Some((_, text)) = import(&place, "huggingface+lerobot/so100_follower_robot_state.csv", &[])
    else {
        return;
    };
    let names: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|row| row.split(',').collect()).collect();
    let seconds = |row: &[&str]| row[0].parse::<f64>().unwrap();
    let column = names.iter().position(|&name| name == "elbow_flex.pos").unwrap();
    for t in [2.7, 3.0, 7.123_456, 15.5, 29.999] {
        let row = rows.iter().rfind(|row| seconds(row) <= t).unwrap();
        let answer = place.run(&format!("at db s {t}s --json")).code(0).json();
        assert_eq!(answer["ts"].as_i64().unwrap(), (seconds(row) * 1e9).round() as i64, "{t}");
        assert_eq!(answer["value"]["elbow_flex.pos"], row[column].parse::<f64>().unwrap(), "{t}");
        assert_eq!(answer["value"]["robot_connected"], row[2] == "True", "{t}");
    }
    let want = rows.iter().filter(|row| (5.0..10.0).contains(&seconds(row))).count();
    let window = place.run("window db s 5s 10s --columns step --format csv").code(0).out;
    assert_eq!(window.lines().count() - 1, want);
    place.run("at db s 2.6s --json").code(1);
}

#[test]
fn taxi_rides() {
    let place = Place::new();
    let Some((_, text)) = import(&place, "numenta+NAB/nyc_taxi.csv", &["--compression", "packed"])
    else {
        return;
    };
    let rows: Vec<(&str, i64)> = text
        .lines()
        .skip(1)
        .map(|row| row.split_once(',').map(|(time, value)| (time, value.parse().unwrap())).unwrap())
        .collect();
    let at = |t: &str| {
        place.run_words(&["at", "db", "s", t, "--json"]).code(0).json()["value"]["value"].clone()
    };
    // Texts of one layout compare as their times do.
    for t in ["2014-07-01 00:00:00", "2014-11-02 01:29:59", "2015-01-31 23:59:59"] {
        let (_, value) = rows.iter().rfind(|(time, _)| *time <= t).unwrap();
        assert_eq!(at(t), *value, "{t}");
        assert_eq!(at(&format!("{}Z", t.replace(' ', "T"))), *value, "{t}");
    }
    let words = ["window", "db", "s", "2014-08-01", "2014-08-02", "--json"];
    let values: Vec<i64> = place
        .run_words(&words)
        .code(0)
        .lines()
        .iter()
        .map(|line| line["value"].as_i64().unwrap())
        .collect();
    let day = rows.iter().filter(|(time, _)| time.starts_with("2014-08-01"));
    assert_eq!(values, day.map(|(_, value)| *value).collect::<Vec<_>>());
}

#[test]
fn ground_truth_sorted_by_track() {
    let place = Place::new();
    let file = "JonathonLuiten+TrackEval/MOT17-05-DPM_gt.txt";
    let Some((_, text)) = import(&place, file, &["--frame-rate", "14", "--memory-limit", "64KiB"])
    else {
        return;
    };
    let rows: Vec<Vec<&str>> = text.lines().map(|row| row.split(',').collect()).collect();
    // Frame 101 is 100 / 14 s after frame 1; in it the order is that of the file.
    let frame: Vec<_> = rows.iter().filter(|row| row[0] == "101").collect();
    let lines = place.run("window db s 7.14s 7.15s --json").code(0).lines();
    assert_eq!(lines.len(), frame.len());
    for (line, row) in lines.iter().zip(frame) {
        assert_eq!(line["ts"], 7_142_857);
        assert_eq!(line["track_id"], row[1].parse::<i64>().unwrap());
        assert_eq!(line["left"], row[2].parse::<f64>().unwrap());
        assert_eq!(line["class_id"], row[7].parse::<i64>().unwrap());
        assert_eq!(line["visibility"], row[8].parse::<f64>().unwrap());
    }
    let early = rows.iter().filter(|row| row[0].parse::<u32>().unwrap() <= 14).count();
    assert_eq!(place.run("window db s 0 1s --json").lines().len(), early);
}

#[test]
fn tracking_labels() {
    let place = Place::new();
    let Some((ran, text)) = import(&place, "xinshuoweng+AB3DMOT/KITTI_label_0001.txt", &[]) else {
        return;
    };
    let classes = ran.json()["streams"][0]["classes"].clone();
    let name = |id: &Value| {
        let classes = classes.as_array().unwrap();
        classes.iter().find(|class| class["id"] == *id).unwrap()["name"].clone()
    };
    let rows: Vec<Vec<&str>> = text.lines().map(|row| row.split(' ').collect()).collect();
    let wanted = rows.iter().filter(|row| (100..110).contains(&row[0].parse::<i32>().unwrap()));
    let lines = place.run("window db s 10s 11s --json").code(0).lines();
    let mut count = 0;
    for (line, row) in lines.iter().zip(wanted) {
        assert_eq!(line["frame"], row[0].parse::<u32>().unwrap());
        assert_eq!(name(&line["class_id"]), row[2]);
        assert_eq!(line["bbox"][3], row[9].parse::<f64>().unwrap());
        assert_eq!(line["location"][2], row[15].parse::<f64>().unwrap());
        count += 1;
    }
    assert!(count > 10 && count == lines.len(), "{count}");
    // The last of equals.
    let last = rows.iter().rfind(|row| row[0] == "5").unwrap();
    let at = place.run("at db s 599ms --json").code(0).json();
    assert_eq!(
        (&at["ts"], &at["value"]["track_id"]),
        (&500_000.into(), &last[1].parse::<i64>().unwrap().into())
    );
}
