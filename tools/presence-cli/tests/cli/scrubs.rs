//! `presence mot generate` and `presence scrub`: what is made is read by everybody, and what is
//! measured is told.

use presence::{Database, Options};
use presence_cache::Provider;
use presence_cli::mot_database::MotDatabase;
use presence_ingest::MotFile;

use crate::support::Place;

/// A small file, in which some frames are empty.
const GENERATE: &str = "mot generate -t 30 -f 400 --max-track-length 40 -o a.txt";

#[test]
fn what_is_generated_reads_back_the_same_from_text_and_database() {
    let place = Place::new();
    let ran = place.run(GENERATE).code(0);
    let text = std::fs::read_to_string(place.path("a.txt")).unwrap();
    assert!(text.lines().all(|line| line.split(',').count() == 9), "{}", ran.err);
    assert_eq!(place.run("mot generate -t 30 -f 400 --max-track-length 40").code(0).out, text);
    place.run(&format!("{GENERATE} --seed 7")).code(0);
    assert_ne!(std::fs::read_to_string(place.path("a.txt")).unwrap(), text);
    place.run(GENERATE).code(0);
    place.run("mot generate --min-track-length 9 --max-track-length 8").code(2);

    place.run("import a.txt --into db").code(0);
    place.run("import a.txt --into slow --frame-rate 30000/1001 --compression packed").code(0);
    let file = MotFile::open(place.path("a.txt")).unwrap();
    assert_eq!(
        (file.report().records, file.report().skipped_total),
        (text.lines().count() as u64, 0)
    );
    for db in ["db", "slow"] {
        let db = Database::open_read_only(place.path(db), Options::default()).unwrap();
        let frames = MotDatabase::new(&db.stream("a").unwrap()).unwrap();
        assert_eq!(frames.range(), file.range());
        let mut empty = 0;
        for number in 0..410 {
            let (of_text, of_database) =
                (file.frame(number).unwrap(), frames.frame(number).unwrap());
            empty += usize::from(of_text.detections.is_empty());
            assert_eq!(of_text.detections.len(), of_database.detections.len(), "{number}");
            for (left, right) in of_text.detections.iter().zip(&of_database.detections) {
                // World coordinates are NaN, which equals nothing: in words they do.
                assert_eq!(format!("{left:?}"), format!("{right:?}"), "{number}");
            }
            let is_there = !of_text.detections.is_empty();
            assert!(!is_there || (file.contains(&number) && frames.contains(&number)));
        }
        assert!(empty > 10 && empty < 400, "{empty}");
    }
}

#[test]
fn patterns_are_replayed_and_measured() {
    let place = Place::new();
    place.run(GENERATE).code(0);
    place.run("import a.txt --into db").code(0);
    for source in ["a.txt", "db"] {
        let json = place.run(&format!("scrub {source} --steps 90 --think 0 --json")).code(0).json();
        let patterns = json["patterns"].as_array().unwrap();
        let names: Vec<_> = patterns.iter().map(|one| one["pattern"].as_str().unwrap()).collect();
        assert_eq!(names, ["sequential", "backward", "random", "stride", "jumps", "mixed", "loop"]);
        for one in patterns {
            let number = |name: &str| one[name].as_u64().unwrap();
            assert_eq!((number("steps"), number("hits") + number("misses")), (90, 90), "{one}");
            assert_eq!(number("loads"), number("loads_useful") + number("loads_wasted"), "{one}");
            assert!(number("p50_ns") <= number("p99_ns") && number("loads_useful") > 0, "{one}");
        }
    }
    let random = "scrub a.txt -p random --steps 60 --predictor silent --json";
    let json = place.run(&format!("{random} --think 0")).code(0).json();
    assert_eq!(json["patterns"][0]["loads_wasted"], 0);
    let table = place.run("scrub db -p loop --steps 40 --think 0").code(0).out;
    assert!(table.starts_with("pattern") && table.contains("\nloop"), "{table}");
    assert!(!table.contains('\u{1b}'), "colours where there is no terminal");
}

/// Jumps by keys at a terminal, and back as it was.
#[cfg(unix)]
#[test]
fn keys_at_a_terminal() {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::process::Stdio;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::tcgetattr;

    let Ok(master) = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY) else {
        return crate::support::say_skipped("keys at a terminal: there is none");
    };
    let place = Place::new();
    place.run(GENERATE).code(0);
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let terminal = || File::options().read(true).write(true).open(&name).unwrap();
    // Kept open, so that the terminal outlives the program.
    let seen = terminal();
    let before = tcgetattr(&seen).unwrap();
    let mut child = crate::support::program()
        .args(["scrub", "a.txt"])
        .env("TERM", "xterm")
        .current_dir(place.dir.path())
        .stdin(Stdio::from(terminal()))
        .stdout(Stdio::from(terminal()))
        .spawn()
        .unwrap();
    let mut master = File::from(master);
    let mut shown = Vec::new();
    // A whole picture whose first line says `what`.
    let mut wait_for = |master: &mut File, what: &str| loop {
        let text = String::from_utf8_lossy(&shown);
        if let Some((_, rest)) = text.split_once(what)
            && let Some((picture, _)) = rest.split_once("q ends")
        {
            let picture = picture.to_owned();
            shown.clear();
            return picture;
        }
        let mut bytes = [0; 4096];
        let count = master.read(&mut bytes).unwrap();
        shown.extend(&bytes[..count]);
    };
    let (first, _) = MotFile::open(place.path("a.txt")).unwrap().range().unwrap();
    let at = |number: u32| format!("frame {number} of {first}");
    wait_for(&mut master, &at(first));
    assert_ne!(tcgetattr(&seen).unwrap().local_modes, before.local_modes);
    for (keys, by) in [("f", 1), ("hhg", 36), ("\u{1b}[5~\u{1b}[D", 50), ("ads", 29)] {
        master.write_all(keys.as_bytes()).unwrap();
        wait_for(&mut master, &at(first + by));
    }
    // Further back than the first frame is the first frame.
    master.write_all(b"aaa").unwrap();
    let drawn = wait_for(&mut master, &at(first));
    assert!(drawn.contains('◆') && drawn.contains('█') && drawn.contains("predicted"), "{drawn}");
    master.write_all(b"q").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(tcgetattr(&seen).unwrap().local_modes, before.local_modes);
}

#[test]
fn traces_and_wrong_calls() {
    let place = Place::new();
    place.run(GENERATE).code(0);
    let file = MotFile::open(place.path("a.txt")).unwrap();
    let (first, last) = file.range().unwrap();
    place.file("trace", &format!("{first}\n{last}\n{first}\n"));
    let json = place.run("scrub a.txt --trace trace --think 0 --json").code(0).json();
    let found = &json["patterns"][0];
    assert_eq!((&found["pattern"], &found["steps"]), (&"trace".into(), &3.into()));
    let twice = file.frame(first).unwrap().detections.len() * 2;
    let all = twice + file.frame(last).unwrap().detections.len();
    assert_eq!((&found["detections"], &found["hits"]), (&all.into(), &1.into()));

    place.file("trace", &format!("{first}\n{}\n", last + 1));
    let refused = place.run("scrub a.txt --trace trace --json").code(2);
    assert_eq!(refused.kind(), "usage");
    place.file("none.txt", "a,b,c\n");
    let ran = place.run("scrub none.txt").code(2);
    assert!(ran.err.contains("1 line left out") && ran.err.contains("no frame"), "{}", ran.err);
    assert_eq!(place.run("scrub missing.txt --json").code(3).kind(), "io");
    place.file("b.csv", "time_us,x\n1,2\n");
    place.run("import b.csv --into other").code(0);
    assert!(place.run("scrub other").code(2).err.contains("no stream holds MOT"));
}
