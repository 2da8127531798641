//! `presence import`.

use crate::support::{Place, program};

const MOT: &str = "1,1,10,20,30,40,1,1,0.5\n2,1,11,20,30,40,1,1,0.5\n1,2,50,60,30,40,1,3,1\n";
const KITTI: &str = "0 1 Van 0 0 -1.79 296.7 161.7 455.2 292.3 2.0 1.8 4.4 -4.5 1.8 13.4 -2.1\n\
     1 1 Van 0 0 -1.79 297.7 161.7 455.2 292.3 2.0 1.8 4.4 -4.5 1.8 13.4 -2.1\n";

#[test]
fn files_become_streams() {
    let place = Place::new();
    place.file("a.csv", "time_us,x,ok\n10,0.5,true\n20,1.5,false\n");
    place.file("gt.txt", MOT);
    place.file("0000.txt", KITTI);
    let answer = place.run("import a.csv gt.txt 0000.txt --into db --json").code(0).json();
    let streams = answer["streams"].as_array().unwrap();
    let names: Vec<_> = streams
        .iter()
        .map(|s| (s["name"].as_str().unwrap(), s["records"].as_u64().unwrap()))
        .collect();
    assert_eq!(names, [("a", 2), ("gt", 3), ("0000", 2)]);
    assert_eq!(answer["skipped"].as_array().unwrap().len(), 0);
    assert_eq!(streams[2]["classes"][1]["name"], "Van");
    // MOT: frames in order of time, equals in the order of the file.
    let ids: Vec<_> = place
        .run("window db gt 0 1s --json")
        .code(0)
        .lines()
        .iter()
        .map(|line| (line["ts"].as_i64().unwrap(), line["track_id"].as_i64().unwrap()))
        .collect();
    assert_eq!(ids, [(0, 1), (0, 2), (33_333, 1)]);
    let text = place.run("info db").code(0).out;
    assert!(text.contains("3 streams") && text.contains("0000"), "{text}");
}

#[test]
fn standard_input_and_skipped_lines() {
    let place = Place::new();
    let text = "t;x\n1.5;1\nbad;2\n2.5;x\n0.5;3\n";
    let ran = place.run_with_input("import - --into db --stream sensor --json", text).code(0);
    let answer = ran.json();
    assert_eq!(answer["streams"][0]["name"], "sensor");
    assert_eq!(answer["streams"][0]["records"], 2);
    assert_eq!(answer["skipped_total"], 2);
    let lines: Vec<_> = answer["skipped"].as_array().unwrap().iter().map(|s| &s["line"]).collect();
    assert_eq!(lines, [3, 4]);
    assert!(answer["skipped"][0]["reason"].as_str().unwrap().len() > 5);
    // Unsorted input is sorted.
    let ts: Vec<_> = place.run("window db sensor 0 9s --json").lines();
    assert_eq!(ts[0]["ts"], 500_000);
    assert_eq!(ts[1]["ts"], 1_500_000);
    // For people the same, in words.
    let ran = place.run_with_input("import - --into db --stream other", text).code(0);
    assert!(ran.out.contains("skipped 2 lines") && ran.out.contains("line 3"), "{}", ran.out);
}

#[test]
fn strict_refuses_and_leaves_nothing() {
    let place = Place::new();
    place.file("a.csv", "t_us,x\n1,1\nbad,2\n");
    let ran = place.run("import a.csv --into db --strict --json").code(2);
    assert_eq!(ran.kind(), "malformed");
    assert!(ran.err.contains("a.csv:3"), "{}", ran.err);
    assert!(!place.path("db").exists());
}

#[test]
fn appending_wants_the_same_columns_and_later_times() {
    let place = Place::new();
    place.file("a.csv", "t_us,x\n1,1\n2,2\n");
    place.file("b.csv", "t_us,x\n3,3\n");
    place.file("c.csv", "t_us,y\n9,3\n");
    place.run("import a.csv b.csv --into db --stream s --compression packed").code(0);
    assert_eq!(place.run("info db --json").json()["streams"][0]["records"], 3);
    assert_eq!(place.run("info db --json").json()["streams"][0]["compression"], "packed");
    let ran = place.run("import a.csv --into db --stream s").code(2);
    assert!(ran.err.contains("ends at 3") && ran.err.contains("--stream"), "{}", ran.err);
    let ran = place.run("import c.csv --into db --stream s").code(2);
    assert!(ran.err.contains("another schema"), "{}", ran.err);
    place.file("d.csv", "t_us,x\n10,3\n");
    let ran = place.run("import d.csv --into db --stream s --compression lz4").code(2);
    assert!(ran.err.contains("packed"), "{}", ran.err);
    place.run("import d.csv --into db --stream s").code(0);
    assert_eq!(place.run("info db --json").json()["streams"][0]["records"], 4);
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_made() {
    let place = Place::new();
    place.file("a.csv", "t,x\n1,1\n2,2\n");
    place.file("b.bin", "\u{1}\0\u{2}");
    std::fs::create_dir(place.path("sub")).unwrap();
    place.file("sub/a.csv", "t_us,x\n1,1\n");
    for (words, code, kind) in [
        ("import a.csv --into db", 2, "no_time_unit"),
        ("import b.bin --into db", 2, "unknown_format"),
        ("import none.csv --into db", 3, "io"),
        ("import a.csv sub/a.csv --into db", 2, "usage"),
        ("import a.csv --time-unit s --into a.csv", 3, "not_a_database"),
        ("import a.csv --time-unit s --into sub", 3, "not_a_database"),
        ("import a.csv --time-unit fortnights --into db", 2, "usage"),
        ("import a.csv --time-column z --into db", 2, "no_time_column"),
        ("import --into db", 2, "usage"),
    ] {
        let ran = place.run(&format!("{words} --json")).code(code);
        assert_eq!(ran.kind(), kind, "{words}: {}", ran.err);
        assert!(!place.path("db").exists(), "{words}");
    }
}

#[test]
fn options_reach_the_importer() {
    let place = Place::new();
    place.file("a.csv", "when|x\n1|1\n2|2\n");
    let words = "import a.csv --into db --delimiter | --time-column when --time-unit ms \
                 --stream-unit ns --memory-limit 1MiB";
    place.run(words).code(0);
    let stream = place.run("info db --json").json()["streams"][0].clone();
    assert_eq!((&stream["time_unit"], &stream["last_ts"]), (&"ns".into(), &2_000_000.into()));
    place.file("gt.txt", MOT);
    place.run("import gt.txt --into db --frame-rate 30000/1001 --format mot").code(0);
    let streams = place.run("info db --json").json();
    assert_eq!(streams["streams"][1]["last_ts"], 33_367);
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_a_good_database() {
    use std::io::Write;
    use std::process::Stdio;

    let place = Place::new();
    place.file("a.csv", "t_us,x\n1,1\n2,2\n");
    place.run("import a.csv --into db").code(0);
    let mut child = program()
        .args(["import", "-", "--into", "db", "--json"])
        .current_dir(place.dir.path())
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // More than a pipe holds: once all is written, the import is reading, and thus listens to
    // signals. The pipe stays open until the import has ended: it waits for more.
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"t_us,x\n").unwrap();
    let pipe_bytes = 64 << 10;
    (0..pipe_bytes / 2).for_each(|i| writeln!(stdin, "{i},{i}").unwrap());
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{err}");
    assert!(err.contains("interrupted") && err.contains("nothing was imported"), "{err}");
    let info = place.run("info db --json").code(0).json();
    assert_eq!(info["streams"][0]["records"], 2);
    assert_eq!(info["report"]["clean"], true);
}
