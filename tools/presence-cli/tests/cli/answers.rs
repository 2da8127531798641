//! `presence at`, `presence info` and `presence window`, as JSON.

use serde_json::json;

use crate::support::Place;

fn place() -> Place {
    let place = Place::new();
    place.file(
        "s.csv",
        "t_us,x,ok,n\n10,0.5,true,18446744073709551615\n20,NaN,false,2\n30,1e300,true,3\n",
    );
    place.run("import s.csv --into db").code(0);
    place
}

#[test]
fn info_has_the_promised_keys() {
    let place = place();
    let info = place.run("info db --json").code(0).json();
    let stream = &info["streams"][0];
    assert_eq!(stream["name"], "s");
    assert_eq!(stream["records"], 3);
    assert_eq!((stream["first_ts"].as_i64(), stream["last_ts"].as_i64()), (Some(10), Some(30)));
    assert_eq!(stream["time_unit"], "us");
    assert!(stream["bytes"].as_u64().unwrap() > 0);
    let x = json!({"name": "x", "dtype": "f64", "shape": []});
    assert_eq!(stream["columns"][0], x);
    assert_eq!(stream["columns"][1]["dtype"], "bool");
    assert_eq!(info["segments"].as_array().unwrap().len(), 1);
    assert_eq!(info["segments"][0]["sealed"], true);
    assert_eq!(info["report"]["clean"], true);
}

#[test]
fn at_answers_the_record_in_force() {
    let place = place();
    let big = u64::MAX;
    for (t, ts, value) in [
        ("10", 10, json!({"x": 0.5, "ok": true, "n": big})),
        ("19", 10, json!({"x": 0.5, "ok": true, "n": big})),
        ("19999ns", 10, json!({"x": 0.5, "ok": true, "n": big})),
        ("20us", 20, json!({"x": null, "ok": false, "n": 2})),
        ("1970-01-01T00:00:00.000025Z", 20, json!({"x": null, "ok": false, "n": 2})),
        ("now", 30, json!({"x": 1e300, "ok": true, "n": 3})),
        ("9223372036854775807", 30, json!({"x": 1e300, "ok": true, "n": 3})),
    ] {
        let ran = place.run(&format!("at db s {t} --json")).code(0);
        // The importer decides what the integers are; the digits are what was written.
        let mut want = json!({"ts": ts, "value": value});
        let got = ran.json();
        if got["value"]["n"].is_f64() {
            want["value"]["n"] = got["value"]["n"].clone();
        }
        assert_eq!(got, want, "{t}");
    }
    let text = place.run("at db s 25").code(0).out;
    assert!(text.contains("0.000005 s before") && text.contains("NaN"), "{text}");
}

#[test]
fn no_data_is_an_answer() {
    let place = place();
    for words in ["at db s 9", "at db s -5", "at db s 25 --max-age 4us", "at db s 1s --max-age 5"] {
        let ran = place.run(&format!("{words} --json")).code(1);
        assert_eq!(ran.json(), json!({"ts": null, "value": null}), "{words}");
        assert!(place.run(words).code(1).err.contains("no data"), "{words}");
    }
    place.run("at db s 25 --max-age 5us").code(0);
}

#[test]
fn windows_take_the_bounds_they_say() {
    let place = place();
    let ts = |words: &str| -> Vec<i64> {
        let ran = place.run(&format!("window db s {words} --json"));
        ran.lines().iter().map(|line| line["ts"].as_i64().unwrap()).collect()
    };
    assert_eq!(ts("10 30"), [10, 20]);
    assert_eq!(ts("10us 30.5us"), [10, 20, 30]);
    assert_eq!(ts("10001ns 31us"), [20, 30]);
    assert_eq!(ts("--before 30 --span 20us"), [20, 30]);
    assert_eq!(ts("--before 30 --span 1d"), [10, 20, 30]);
    assert_eq!(ts("25 31 --carry-in"), [20, 30]);
    assert_eq!(ts("10 31 --limit 1"), [10]);
    assert_eq!(ts("-9223372036854775808 9223372036854775807"), [10, 20, 30]);
    assert_eq!(ts("11 20"), [0_i64; 0]);
    for (words, code) in [("11 20", 1), ("10 10", 1), ("30 10", 2), ("10", 2), ("--before 3", 2)] {
        place.run(&format!("window db s {words} --json")).code(code);
        place.run(&format!("window db s {words}")).code(code);
    }
    assert_eq!(place.run("window db s 30 10 --json").kind(), "reversed_range");
}

#[test]
fn an_empty_database_is_no_error() {
    let place = Place::new();
    place.file("s.csv", "t_us,x\n1,1\n");
    place.run("import s.csv --into db").code(0);
    place.run("retain db --max-bytes 0").code(0);
    let stream = place.run("info db --json").code(0).json()["streams"][0].clone();
    assert_eq!((&stream["records"], &stream["first_ts"]), (&0.into(), &json!(null)));
    place.run("at db s 1 --json").code(1);
    place.run("window db s 0 9 --json").code(1);
}
