//! Recordings of event cameras: imported, and asked.

use presence::{Database, Options};
use presence_events::{AutoDecoder, Decoder, Event, Format, Output};
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
        let is_events =
            ["EVT", "DAT", "AEDAT", "Event Stream", "N-MNIST", "HDF5", "text", "CSV x,y,p,t"]
                .iter()
                .any(|word| kind.contains(word));
        let has_facts = entry["facts"]["t"].is_array() && !path.contains("generic");
        (is_events && has_facts).then(|| (path, kind, entry["facts"].clone()))
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
        // The tool counts the same in the file and in its stream.
        let mut of_file = vec!["events", "stats", full.to_str().unwrap(), "--json"];
        if is_moke {
            of_file.extend(["--columns", "x,y,p,t", "--time-unit", "us"]);
        }
        let of_file = place.run_words(&of_file).code(0).json();
        let of_stream = place.run("events stats db s --json").code(0).json();
        for name in ["events", "on", "first_ts", "last_ts", "duration_us", "width", "triggers"] {
            assert!(
                of_file["out_of_order"] != 0 || of_file[name] == of_stream[name],
                "{path} {name}"
            );
        }
        assert_eq!(of_file["events"], events, "{path}");
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

#[test]
fn stats_of_a_file_and_of_its_stream_are_the_same() {
    let Some(dir) = recordings() else { return };
    let place = Place::new();
    let file = dir.join("derived/test_data_evt3_trigger_0.evt3.raw");
    let file = file.to_str().unwrap();
    place.run_words(&["import", file, "--into", "db", "--stream", "s"]).code(0);
    let info = place.run("info db --json").json();
    for (name, compression) in [("s", "split"), ("s.triggers", "packed")] {
        let stream = info["streams"].as_array().unwrap().iter().find(|s| s["name"] == name);
        assert_eq!(stream.unwrap()["compression"], compression, "{name}");
    }
    let of_file = place.run_words(&["events", "stats", file, "--json"]).code(0).json();
    let names: Vec<_> = of_file.as_object().unwrap().keys().map(String::as_str).collect();
    let want = "format events on off first_ts last_ts duration_us rate width height triggers \
                dropped unknown_words out_of_order";
    assert_eq!(names.join(" "), want);
    assert_eq!(of_file["format"], "evt3");
    assert_eq!((&of_file["events"], &of_file["on"]), (&82_469.into(), &41_439.into()));
    assert_eq!((&of_file["width"], &of_file["triggers"]), (&1280.into(), &2.into()));
    let mut of_stream = place.run("events stats db s --json").code(0).json();
    assert_eq!(of_stream["format"], "presence");
    of_stream["format"] = "evt3".into();
    assert_eq!(of_stream, of_file);
    // A part of the time, alike: half of the recording with one of its triggers.
    let range = ["--from", "14300000", "--until", "14548000", "--json"];
    let words = |source: &[&'static str]| [&["events", "stats"], source, &range[..]].concat();
    let mut part = place.run_words(&words(&["db", "s"])).code(0).json();
    assert!(part["events"].as_u64().unwrap() > 1000 && part["triggers"] == 1, "{part}");
    part["format"] = "evt3".into();
    let mut words = words(&[]);
    words.insert(2, file);
    assert_eq!(place.run_words(&words).code(0).json(), part);
    // Through other formats and back nothing changes but the format.
    for format in ["evt2", "evt3", "dat", "aedat4", "hdf5", "text"] {
        let words = format!("events convert db s -o out.{format} --to {format} --json");
        let told = place.run(&words).code(0).json();
        assert_eq!((&told["events"], &told["events_read"]), (&82_469.into(), &82_469.into()));
        let triggers = told["triggers"].as_u64().unwrap();
        assert_eq!(triggers + told["triggers_left_out"].as_u64().unwrap(), 2, "{format}");
        let words = format!("events stats out.{format} --json --sensor 1280x720");
        let mut again = place.run(&words).code(0).json();
        assert_eq!((&again["format"], &again["triggers"]), (&format.into(), &triggers.into()));
        again["format"] = "evt3".into();
        again["triggers"] = 2.into();
        assert_eq!(again, of_file, "{format}");
    }
}

#[test]
fn filters_over_a_file_and_over_its_stream_keep_the_same() {
    let place = Place::new();
    // Events anywhere in a part of the sensor, and a pixel that has every fiftieth.
    let mut state = 1_u64;
    let event = |index: i64| {
        state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        let (x, y) = ((state >> 33) % 200, (state >> 43) % 150);
        let (x, y) = if index % 50 == 0 { (17, 33) } else { (x as u16, y as u16) };
        let polarity = (state >> 60 & 1) as u8;
        Event { t: 1_000_000 + index * 3, x, y, polarity }
    };
    place.recording("made.raw", Format::Evt2, (0..20_000).map(event));
    place.run("import made.raw --into db").code(0);
    // Pixels go one to the right, and those of the last column nowhere.
    let mut map = "x,y,to_x,to_y\n".to_owned();
    for (x, y) in (0..640).flat_map(|x| (0..480).map(move |y| (x, y))) {
        map += &format!("{x},{y},{}.25,{y}\n", x + 1);
    }
    place.file("map.csv", &map);
    let kept = |source: &str, filters: &str| {
        let words = format!("events filter {source} -o out.txt --to text --json {filters}");
        let told = place.run(&words).code(0).json();
        let numbers = ["events", "events_read"].map(|name| told[name].as_u64().unwrap());
        (numbers, std::fs::read(place.path("out.txt")).unwrap())
    };
    for filters in [
        "--roi 17,33,17,33",
        "--roi 0,0,9,9 --roi 150,100,160,120 --polarity off",
        "--polarity on",
        "--undistort map.csv --flip-x",
        "--activity 1ms --at-least 334 --at-most 1000",
        "--numbers 5000..5100 --roi 0,0,99,479",
        "--numbers 19990.. --from 1000000",
        "--roi 0,0,99,479 --polarity on",
        "--hot-pixels neighbours --refractory 1000",
        "--hot-pixels 99 --refractory 500 --from-kept --every 3",
        "--background 5000",
        "--crop 100,50,299,149 --downsample 2 --transpose --flip-x --flip-y",
        "--from 1020000 --until 1040000",
    ] {
        let (of_file, of_stream) = (kept("made.raw", filters), kept("db made", filters));
        assert!((1..=20_000).contains(&of_file.0[0]), "{filters}");
        assert!(of_file.0[0] < 20_000 || filters.starts_with("--undistort"), "{filters}");
        assert_eq!(of_file.0[0], of_stream.0[0], "{filters}");
        assert!(of_file.1 == of_stream.1, "{filters}");
        // What was passed over unread counts too.
        if !["--from", "--numbers"].iter().any(|part| filters.starts_with(part)) {
            assert_eq!([of_file.0[1], of_stream.0[1]], [20_000; 2], "{filters}");
        }
    }
    // Every event of the region is kept, and no other.
    let want = stored(&place, "made").iter().filter(|e| e.1 <= 99 && e.3 == 1).count() as u64;
    assert_eq!(kept("db made", "--roi 0,0,99,479 --polarity on").0, [want, 20_000]);
    assert_eq!(kept("db made", "--numbers 5000..5100").0, [100, 100]);
    let moved = stored(&place, "made").iter().filter(|e| e.1 == 16).count() as u64;
    assert_eq!(kept("db made", "--undistort map.csv --crop 17,0,17,479").0[0], moved);
    place.file("bad.csv", "x,y,to_x,to_y\n640,0,1,1\n");
    for wrong in [
        "--numbers 9..9",
        "--numbers 9",
        "--activity 1ms",
        "--at-least 3",
        "--undistort bad.csv",
        "--roi 9,9,1,1",
        "--polarity up",
        "--hot-pixels 101",
        "--to hdf5x",
    ] {
        let words = format!("events filter made.raw -o none.txt --to text --json {wrong}");
        assert_eq!(place.run(&words).code(2).kind(), "usage", "{wrong}");
        assert!(!place.path("none.txt").exists());
    }
}

#[test]
fn pictures_and_plots() {
    let place = Place::new();
    place.events("made.raw", Format::Evt2, 20_000);
    place.run("import made.raw --into db").code(0);
    for source in ["made.raw", "db made"] {
        place.run(&format!("events frame {source} -o frame.png")).code(0);
        let png = std::fs::read(place.path("frame.png")).unwrap();
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0"));
        let told = place.run(&format!("events frame {source} -o frame.png --json")).code(0).json();
        assert_eq!((&told["width"], &told["events"]), (&640.into(), &20_000.into()), "{told}");
        let drawn = place.run(&format!("events frame {source}")).code(0).out;
        assert_eq!(drawn.lines().count(), 30, "{drawn}");
        let plot = place.run(&format!("events rate {source}")).code(0).out;
        assert!(plot.contains('█') && plot.contains("events a second"), "{plot}");
        place.run(&format!("events rate {source} --svg rate.svg")).code(0);
        assert!(std::fs::read_to_string(place.path("rate.svg")).unwrap().starts_with("<svg"));
        let words = format!("events rate {source} --bin 10ms --json");
        let bins = place.run(&words).code(0).json();
        let events = |bin: &Value| bin["on"].as_u64().unwrap() + bin["off"].as_u64().unwrap();
        let all = bins["bins"].as_array().unwrap();
        assert_eq!(
            (bins["bin_us"].as_u64(), all[0]["ts"].as_i64()),
            (Some(10_000), Some(1_000_000))
        );
        assert_eq!(all.iter().map(events).sum::<u64>(), 20_000);
    }
    let far = ["--from", "5s"];
    assert_eq!(place.run_words(&[&["events", "frame", "db", "made"], &far[..]].concat()).code, 1);
    for (words, kind) in [
        ("events stats db none", "no_such_stream"),
        ("events stats db made.sensor", "usage"),
        ("events stats none.raw", "io"),
        ("events stats made.raw s", "usage"),
        ("events stats made.raw --from 2 --until 1", "usage"),
    ] {
        assert_eq!(place.run(&format!("{words} --json")).kind(), kind, "{words}");
    }
}

#[test]
fn slices_of_time_and_of_count() {
    let place = Place::new();
    place.events("made.raw", Format::Evt2, 20_000);
    place.run("import made.raw --into db").code(0);
    let times: Vec<i64> = stored(&place, "made").iter().map(|event| event.0).collect();
    for how in ["--every 7ms", "--count 3000", "--every 10ms --from 1010000 --until 1040000"] {
        let answers = ["made.raw", "db"].map(|source| {
            let words = format!("events slice {source} {how} -o out --to evt3 --json");
            place.run(&words).code(0).json()
        });
        assert_eq!(answers[0], answers[1], "{how}");
        let slices = answers[0]["slices"].as_array().unwrap();
        let (step, begin) =
            if how.contains("7ms") { (7_000, times[0]) } else { (10_000, 1_010_000) };
        let mut all = 0;
        for (index, slice) in slices.iter().enumerate() {
            let want: Vec<i64> = if how.contains("--count") {
                times.iter().copied().skip(index * 3000).take(3000).collect()
            } else {
                let from = begin + index as i64 * step;
                times.iter().copied().filter(|t| (from..from + step).contains(t)).collect()
            };
            assert_eq!(slice["events"], want.len(), "{how} {index}");
            assert_eq!([&slice["first_ts"], &slice["last_ts"]], [want[0], want[want.len() - 1]]);
            let stats = format!("events stats out/{index:08}.raw --json");
            let stats = place.run(&stats).code(0).json();
            for name in ["events", "on", "first_ts", "last_ts"] {
                assert_eq!(stats[name], slice[name], "{how} {index} {name}");
            }
            all += want.len();
        }
        let whole =
            times.iter().filter(|t| !how.contains("from") || (1_010_000..1_040_000).contains(*t));
        assert_eq!(all, whole.count(), "{how}");
    }
    let table = place.run("events slice db --count 15000").code(0).out;
    assert_eq!(table.lines().count(), 3, "{table}");
    assert_eq!(place.run("events slice db --count 0 --json").code(2).kind(), "usage");
    assert_eq!(place.run("events slice db --from 9s --count 5").code, 1);
}

#[test]
fn damage_in_a_file_is_told_by_every_command_or_refused() {
    let place = Place::new();
    let file = place.events("made.raw", Format::Evt2, 5000);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(place.path("cut.raw"), &bytes[..bytes.len() - 1]).unwrap();
    for command in ["info", "rate", "frame", "slice --count 100", "convert -o out.dat --to dat"] {
        let words = format!("events {command} cut.raw");
        let ran = place.run(&words).code(0);
        assert!((ran.out.clone() + &ran.err).contains("3 bytes at the end"), "{command}");
        let refused = place.run(&format!("{words} --strict --json")).code(2);
        assert_eq!(refused.kind(), "malformed", "{command}");
    }
    assert_eq!(place.run("events stats cut.raw --json").code(0).json()["events"], 4999);
    let info = place.run("events info cut.raw --json").code(0).json();
    assert_eq!((&info["tail_bytes"], info["faults"].as_array().unwrap().len()), (&3.into(), 1));
    // What a file does not tell can be declared.
    place.file("bare.csv", "5,6,1,1000\n7,8,0,1001\n");
    let error = place.run("events stats bare.csv").code(2).err;
    assert!(error.contains("--columns"), "{error}");
    let declared = "events stats bare.csv --columns x,y,p,t --time-unit us --json";
    assert_eq!(place.run(declared).code(0).json()["last_ts"], 1001);
    std::fs::write(place.path("not.raw"), b"hello world\n").unwrap();
    assert_eq!(place.run("events info not.raw --json").code(2).kind(), "unknown_format");
}
