//! Recordings of event cameras: imported, and asked.

use presence::{Database, Options};
use presence_events::{AutoDecoder, Decoder, Format, Output};
use serde_json::Value;

use crate::support::{Place, recordings};

/// Timestamps and columns of a stream of events in `db`.
fn stored(place: &Place, stream: &str) -> Vec<(i64, u16, u16, u8)> {
    let db = Database::open_read_only(place.path("db"), Options::default()).unwrap();
    let stream = db.stream(stream).unwrap();
    let record = |record: presence::RecordRef| {
        let u16_of = |column| u16::from_le_bytes(record.column_bytes(column).try_into().unwrap());
        (record.ts(), u16_of(0), u16_of(1), record.column_bytes(2)[0])
    };
    stream.iter().unwrap().map(|next| record(next.unwrap())).collect()
}

/// Files of events of the manifest, with their facts.
fn manifest() -> Vec<(String, String, Value)> {
    let Some(dir) = recordings() else { return Vec::new() };
    let manifest = std::fs::read(dir.join("MANIFEST.json")).unwrap();
    let manifest: Vec<Value> = serde_json::from_slice(&manifest).unwrap();
    let entry = |entry: &Value| {
        let path = entry["path"].as_str().unwrap().to_owned();
        let kind = entry["format"].as_str().unwrap().to_owned();
        let is_hdf5 = kind.to_lowercase().contains("hdf5") || path.ends_with(".h5");
        let is_events = ["EVT", "DAT", "AEDAT", "Event Stream", "N-MNIST", "text", "CSV x,y,p,t"]
            .iter()
            .any(|word| kind.contains(word));
        let has_facts = entry["facts"]["t"].is_array() && !path.contains("generic");
        (is_events && has_facts && !is_hdf5).then(|| (path, kind, entry["facts"].clone()))
    };
    manifest.iter().filter_map(entry).collect()
}

#[test]
fn every_recording_gives_its_facts_and_its_events() {
    let Some(dir) = recordings() else { return };
    let mut files = 0;
    for (path, kind, facts) in manifest() {
        let place = Place::new();
        let full = dir.join(&path);
        let mut words =
            vec!["import", full.to_str().unwrap(), "--into", "db", "--stream", "s", "--json"];
        let is_moke = path.contains("EvCamMOKE");
        if is_moke {
            words.extend(["--columns", "x,y,p,t", "--time-unit", "us"]);
        }
        // A small window, so that it is not all held to the end.
        words.extend(["--memory-limit", "50MiB"]);
        let answer = place.run_words(&words).code(0).json();
        let stream = &answer["streams"][0];
        let events = facts["events"].as_u64().or(facts["dvs_type_bit0"].as_u64());
        let events = events.unwrap_or_else(|| panic!("{path} ({kind}): {facts}"));
        assert_eq!(stream["records"], events, "{path}");
        // AEDAT 2 facts are of all records, DVS or not.
        if facts["records"].is_null() {
            // Those of text in seconds are seconds.
            let us = |t: &Value| {
                t.as_i64().unwrap_or_else(|| (t.as_f64().unwrap() * 1e6).round() as i64)
            };
            let (first, last) = (us(&facts["t"][0]), us(&facts["t"][1]));
            assert_eq!([&stream["first_ts"], &stream["last_ts"]], [first, last], "{path}");
        }
        for lost in ["late", "dropped", "untimed", "tail_bytes"] {
            assert_eq!(stream[lost], 0, "{path}: {lost}");
        }
        if let Some(triggers) = facts["triggers"].as_u64().filter(|triggers| *triggers > 0) {
            let beside = answer["streams"].as_array().unwrap();
            let found = beside.iter().find(|stream| stream["name"] == "s.triggers").unwrap();
            assert_eq!(found["records"], triggers, "{path}");
        }
        // Event by event as the decoder gives them.
        let mut decode = presence_events::Options::default();
        if is_moke {
            decode.text.columns =
                Some(presence_events::TextOptions::columns_of("x,y,p,t").unwrap());
            decode.text.time_unit = presence_events::TimeUnit::Microseconds;
        }
        let mut out = Output::default();
        let bytes = std::fs::read(&full).unwrap();
        AutoDecoder::new(decode).decode_all(&bytes, &mut out).unwrap();
        let want: Vec<_> = out.events.iter().map(|e| (e.t, e.x, e.y, e.polarity)).collect();
        assert!(stored(&place, "s") == want, "{path}");
        files += 1;
    }
    assert!(files >= 12, "{files} files of the manifest");
}

#[test]
fn streams_beside_the_events() {
    let Some(dir) = recordings() else { return };
    let place = Place::new();
    let file = dir.join("shiba24+event-vision-library/sample.aedat4");
    let words = ["import", file.to_str().unwrap(), "--into", "db", "--stream", "s", "--json"];
    let answer = place.run_words(&words).code(0).json();
    let streams = answer["streams"].as_array().unwrap();
    let mut names: Vec<_> = streams
        .iter()
        .map(|stream| (stream["name"].as_str().unwrap(), stream["records"].as_u64().unwrap()))
        .collect();
    names.sort_unstable();
    let want = [("s", 6676), ("s.frames", 4), ("s.imu", 160), ("s.sensor", 1), ("s.triggers", 17)];
    assert_eq!(names, want);
    assert_eq!([&streams[0]["width"], &streams[0]["height"]], [346, 260]);
    let db = Database::open_read_only(place.path("db"), Options::default()).unwrap();
    let sensor = db.stream("s.sensor").unwrap().iter().unwrap().next().unwrap().unwrap();
    assert_eq!((sensor.column_bytes(0), sensor.column_bytes(1)), (&[90, 1][..], &[4, 1][..]));
    drop(db);
    let info = place.run("info db --json").code(0).json();
    let frames = info["streams"].as_array().unwrap().iter().find(|s| s["name"] == "s.frames");
    assert!(frames.unwrap().to_string().contains("260"), "{info}");
}

#[test]
fn events_out_of_order_are_sorted_or_counted_or_refused() {
    let place = Place::new();
    let rows = |count: i64, stray: i64| {
        let row = |t: i64| format!("{t} {} 2 1\n", t % 100);
        let mut rows: Vec<String> = (0..count).map(|index| row(100 + index)).collect();
        rows.insert(rows.len() - 1, row(stray));
        "t x y p\n".to_owned() + &rows.concat()
    };
    // Near: it finds its place.
    place.file("near.txt", &rows(1000, 105));
    let words = "import near.txt --into db --time-unit us --json";
    let stream = place.run(words).code(0).json()["streams"][0].clone();
    assert_eq!((&stream["records"], &stream["late"]), (&1001.into(), &0.into()), "{stream}");
    assert_eq!((&stream["out_of_order"], &stream["sorted"]), (&1.into(), &1.into()));
    let times: Vec<i64> = stored(&place, "near").iter().map(|event| event.0).collect();
    assert!(times.is_sorted() && times[5..7] == [105, 105]);
    // Farther back than what is held: left out, counted, told.
    place.file("far.txt", &rows(20_000, 105));
    let words = "import far.txt --into db --time-unit us --memory-limit 1MiB";
    let told = place.run(words).code(0).out;
    assert!(told.contains("1 event LEFT OUT: too late"), "{told}");
    let times: Vec<i64> = stored(&place, "far").iter().map(|event| event.0).collect();
    assert_eq!((times.len(), times.is_sorted()), (20_000, true));
    // Strict: nothing is made.
    for file in ["near.txt", "far.txt"] {
        let words = format!("import {file} --into other --time-unit us --strict --json");
        assert_eq!(place.run(&words).code(2).kind(), "malformed");
        assert!(!place.path("other").exists());
    }
}

#[test]
fn damage_is_told_and_what_comes_before_it_is_kept() {
    let place = Place::new();
    let file = place.events("made.raw", Format::Evt2, 5000);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(place.path("cut.raw"), &bytes[..bytes.len() - 1]).unwrap();
    let stream = place.run("import cut.raw --into db --json").code(0).json()["streams"][0].clone();
    assert_eq!((&stream["records"], &stream["tail_bytes"]), (&4999.into(), &3.into()), "{stream}");
    assert_eq!([&stream["width"], &stream["height"]], [640, 480]);
    assert_eq!(
        place.run("import cut.raw --into other --strict --json").code(2).kind(),
        "malformed"
    );
    assert!(!place.path("other").exists());
    // A name that is taken by something else; a sensor that cuts events off; appending.
    place.file("made.csv", "t_us,a\n1,2\n");
    place.run("import made.csv --into third --stream made").code(0);
    assert_eq!(place.run("import made.raw --into third --json").code(2).kind(), "usage");
    let words = "import made.raw --into fourth --sensor 320x240 --json";
    let stream = place.run(words).code(0).json()["streams"][0].clone();
    let (kept, dropped) = (stream["records"].as_u64(), stream["dropped"].as_u64());
    assert_eq!(kept.unwrap() + dropped.unwrap(), 5000);
    assert!(dropped > Some(3000), "{stream}");
    assert_eq!(place.run("import made.raw --into fourth --json").code(2).kind(), "usage");
}
