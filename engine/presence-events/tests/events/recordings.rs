//! Recordings of other programs, where they are present: the facts of their manifest.

use presence_events::{EventErrorKind, Format, Options, TimeUnit};
use serde_json::Value;

use crate::support::{Decoded, data, text_options, whole};

/// How a file is opened: nothing is declared but what it does not say.
fn options(path: &str) -> Options {
    match path {
        path if path.ends_with("feedback-sorted.csv") => {
            text_options("x,y,p,t", TimeUnit::Microseconds)
        }
        _ => Options::default(),
    }
}

fn format(kind: &str) -> Option<Format> {
    Some(match kind {
        kind if kind.starts_with("EVT2") => Format::Evt2,
        kind if kind.starts_with("EVT3") => Format::Evt3,
        kind if kind.starts_with("DAT") => Format::Dat,
        kind if kind.starts_with("AEDAT2") => Format::Aedat2,
        kind if kind.starts_with("AEDAT4") => Format::Aedat4,
        kind if kind.starts_with("Event Stream") => Format::EventStream,
        kind if kind.starts_with("N-MNIST") => Format::Bin40,
        kind if kind.starts_with("text t x y p") || kind.contains("x,y,p,t") => Format::Text,
        _ => return None,
    })
}

/// The time a fact says, in microseconds.
fn us(value: &Value, is_seconds: bool) -> i64 {
    if is_seconds {
        (value.as_f64().unwrap() * 1e6).round() as i64
    } else {
        value.as_i64().unwrap()
    }
}

fn check(path: &str, facts: &Value, got: &Decoded) {
    let number = |name: &str| facts[name].as_u64();
    if let Some(events) = number("events") {
        assert_eq!(got.report.events, events, "{path}");
        assert_eq!(got.out.events.len() as u64, events, "{path}");
    }
    if let Some(on) = number("on") {
        assert_eq!(got.report.on, on, "{path}");
    }
    if let Some(triggers) = number("triggers") {
        assert_eq!(got.report.triggers, triggers, "{path}");
    }
    if let Some(x) = number("xmax") {
        assert_eq!(u64::from(*got.out.events.x().iter().max().unwrap()), x, "{path}");
    }
    if let Some(y) = number("ymax") {
        assert_eq!(u64::from(*got.out.events.y().iter().max().unwrap()), y, "{path}");
    }
    if let (Some(t), None) = (facts["t"].as_array(), number("records")) {
        let is_seconds = facts["cols"].as_str().is_some_and(|cols| cols.contains("seconds"));
        let want = (Some(us(&t[0], is_seconds)), Some(us(&t[1], is_seconds)));
        assert_eq!((got.report.min_t, got.report.max_t), want, "{path}");
    }
    for (kind, count) in facts["other_words"].as_object().into_iter().flatten() {
        let kind = usize::from_str_radix(kind.trim_start_matches("0x"), 16).unwrap();
        assert_eq!(Some(got.report.other_words[kind]), count.as_u64(), "{path}");
    }
    if let Some(records) = number("records") {
        let report = &got.report;
        let events = report.events + report.triggers;
        assert_eq!(Some(events), number("dvs_type_bit0"), "{path}: {report:?}");
        assert!(report.imu * 7 + events <= records, "{path}");
    }
    for (name, count) in facts["packets"].as_object().into_iter().flatten() {
        if name == "frame" {
            assert_eq!(Some(got.report.frames), count.as_u64(), "{path}");
        }
    }
}

#[test]
fn every_file_gives_the_facts_of_the_manifest() {
    let Some(dir) = data() else { return };
    let manifest = std::fs::read(dir.join("MANIFEST.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let mut files = 0;
    for entry in manifest.as_array().unwrap() {
        let (path, kind) = (entry["path"].as_str().unwrap(), entry["format"].as_str().unwrap());
        let Some(format) = format(kind) else { continue };
        let bytes = std::fs::read(dir.join(path)).unwrap();
        let got = whole(&bytes, &options(path));
        files += 1;
        if path.ends_with("generic.es") {
            let error = got.error.unwrap();
            assert_eq!(error.kind, EventErrorKind::Unsupported);
            assert!(error.what.contains("generic"), "{error}");
            continue;
        }
        assert_eq!(got.error, None, "{path}");
        assert_eq!(got.format, format, "{path}");
        if std::env::var_os("PRESENCE_EVENTS_TABLE").is_some() {
            let streams = (got.report.triggers, got.report.frames, got.report.imu);
            eprintln!("{path}: {format} {:?} {streams:?} {:?}", got.report, got.size);
        }
        check(path, &entry["facts"], &got);
    }
    assert_eq!(files, 15, "event files of the manifest");
}
