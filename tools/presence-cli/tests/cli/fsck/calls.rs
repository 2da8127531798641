//! How `presence-fsck` is called: its arguments, what it asks, and how it ends.

use std::process::Stdio;

use presence::{Database, Options, schema_of};

use super::corpus::{Golden, command, fsck, quick_dir, read, seen, write};
use super::shapes;
use crate::support::{Place, figure};

fn golden() -> Golden {
    Golden::all().swap_remove(0)
}

/// A sound database, one whose third segment has a wrong bit, and one that a crash ended.
fn place() -> tempfile::TempDir {
    let place = quick_dir();
    let mut files = golden().files;
    write(&place.path().join("sound"), &files);
    let third = files.get_mut("seg-00000003.presence").unwrap();
    let half = third.len() / 2;
    third[half] ^= 1;
    write(&place.path().join("damaged"), &files);
    let mut crashed = Golden::all().swap_remove(1).files;
    crashed.last_entry().unwrap().get_mut().extend([9; 5]);
    write(&place.path().join("crashed"), &crashed);
    place
}

#[test]
fn wrong_arguments_are_16() {
    let place = place();
    for words in [
        "",
        "sound damaged",
        "--frobnicate sound",
        "--quick --deep sound",
        "-n sound",
        "-y sound",
        "--repair -n -y sound",
        "--repair --quick sound",
        "--repair --strict sound",
        "--repair --salvage out sound",
        "--salvage out",
        "--salvage out --quick sound",
        "--salvage out --deep sound",
        "--salvage out --strict sound",
        "--salvage damaged sound",
        "--salvage damaged/seg-00000001.presence sound",
    ] {
        let json = fsck(place.path(), &format!("{words} --json")).code(16);
        assert_eq!((json.kind().as_str(), json.out.as_str()), ("usage", ""), "{words}");
        let told = fsck(place.path(), words).code(16);
        assert!(!told.err.is_empty() && told.out.is_empty(), "{words}: {}", told.err);
    }
    let help = fsck(place.path(), "--help").code(0).out;
    let version = fsck(place.path(), "--version").code(0).out;
    assert!(help.contains("Exit codes") && version.starts_with("presence-fsck 0."), "{help}");
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 3);
}

#[test]
fn what_cannot_be_looked_at_is_8() {
    let place = place();
    std::fs::create_dir(place.path().join("empty")).unwrap();
    std::fs::write(place.path().join("file"), "no segment").unwrap();
    for (words, kind) in [
        ("none", "cannot"),
        ("--repair -n none", "io"),
        ("--repair -y file", "io"),
        ("--salvage out none", "cannot"),
        ("--salvage nowhere/out sound", "cannot"),
        ("empty", "cannot"),
        ("--repair -y empty", "cannot"),
    ] {
        let ran = fsck(place.path(), &format!("{words} --json")).code(8);
        assert_eq!((ran.kind().as_str(), ran.out.as_str()), (kind, ""), "{words}: {}", ran.err);
        assert_eq!(fsck(place.path(), words).code(8).err.lines().count(), 1, "{words}");
    }
    // One file that is no segment is a damaged segment, and holds nothing to copy.
    fsck(place.path(), "file").code(4);
    for words in ["--salvage out file", "--salvage out empty"] {
        assert_eq!(fsck(place.path(), &format!("{words} --json")).code(4).kind(), "corrupt");
    }
    assert!(!place.path().join("out").exists());
}

#[test]
fn one_segment_is_judged_alone() {
    let place = place();
    for level in ["--quick", "", "--deep"] {
        let words = format!("{level} sound/seg-00000003.presence --json");
        let json = fsck(place.path(), &words).code(0).json();
        shapes::report(&json);
        let name = if level.is_empty() { "default" } else { level.trim_start_matches('-') };
        assert_eq!((&json["level"], &json["totals"]["segments"]), (&name.into(), &1.into()));
    }
    fsck(place.path(), "damaged/seg-00000003.presence").code(4);
    fsck(place.path(), "--salvage one damaged/seg-00000004.presence").code(0);
    fsck(place.path(), "--deep one").code(0);
    // Streams without a record are streams.
    let ran = fsck(place.path(), "--salvage bare damaged/seg-00000002.presence --json").code(0);
    assert_eq!((&ran.json()["streams"], &ran.json()["records"]), (&2.into(), &0.into()));
    fsck(place.path(), "--deep bare").code(0);
    // Into an empty directory, too.
    std::fs::create_dir(place.path().join("there")).unwrap();
    fsck(place.path(), "--salvage there sound").code(0);
    fsck(place.path(), "--deep there").code(0);
}

#[test]
fn what_a_crash_leaves_is_damage_to_the_strict() {
    let place = place();
    let usual = fsck(place.path(), "crashed --json").code(0).json();
    let strict = fsck(place.path(), "crashed --strict --json").code(4).json();
    assert_eq!((&usual["strict"], &strict["strict"]), (&false.into(), &true.into()));
    assert_eq!(usual["findings"], strict["findings"]);
    let torn = usual["findings"].as_array().unwrap().iter().any(|one| one["code"] == "torn-tail");
    assert!(torn && usual["totals"]["torn_bytes"] != 0, "{usual}");
    // Not to a repair: the next writer tidies up.
    assert_eq!(fsck(place.path(), "--repair -y crashed").code(0).out, "nothing to repair\n");
}

#[test]
fn beside_a_writer_it_judges_and_refuses_to_repair() {
    let place = Place::new();
    let mut options = Options::default();
    options.segment_bytes = 64 << 10;
    let db = Database::create(place.path("db"), options).unwrap();
    let stream = db.create_stream("s", schema_of::<f64>().unwrap()).unwrap();
    let mut writer = stream.writer::<f64>().unwrap();
    (0..30_000).for_each(|ts| writer.append(ts, 0.5).unwrap());
    db.flush(presence::Level::Disk).unwrap();
    let json = fsck(place.dir.path(), "db --deep --json").code(0).json();
    assert_eq!(json["totals"]["records"], 30_000);
    let sealed = place.segments("db").remove(1);
    let mut bytes = std::fs::read(&sealed).unwrap();
    bytes[5000] ^= 1;
    std::fs::write(&sealed, bytes).unwrap();
    fsck(place.dir.path(), "--repair -n db").code(4);
    // The writer may seal or begin segments meanwhile.
    let touched = || {
        let mut files = read(&place.path("db"));
        files.retain(|name, _| !name.starts_with("seg-"));
        (std::fs::read(&sealed).unwrap(), files)
    };
    let before = touched();
    let refused = fsck(place.dir.path(), "--repair -y db --json").code(8);
    assert_eq!(refused.kind(), "cannot");
    assert!(refused.err.contains(&std::process::id().to_string()), "{}", refused.err);
    assert_eq!(touched(), before);
    drop((writer, stream));
    db.close().unwrap();
    fsck(place.dir.path(), "--repair -y db").code(1);
    fsck(place.dir.path(), "db").code(0);
}

/// What the program does when somebody at a terminal answers.
#[cfg(unix)]
#[test]
fn it_asks_first() {
    use std::io::Write;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    for (answer, code) in [("n\n", 4), ("\n", 4), ("maybe\n", 4), ("y\n", 1), ("yes\n", 1)] {
        let place = place();
        let db = place.path().join("damaged");
        let before = seen(&db);
        let Ok(master) = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY) else {
            return crate::support::say_skipped("questions at a terminal: there is none");
        };
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let terminal = std::fs::File::options().read(true).write(true).open(name).unwrap();
        let child = command("--repair damaged")
            .current_dir(place.path())
            .stdin(Stdio::from(terminal))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut master = std::fs::File::from(master);
        master.write_all(answer.as_bytes()).unwrap();
        let ran = crate::support::Ran::new(child.wait_with_output().unwrap()).code(code);
        let plan = ran.err.find("write what is sound").unwrap();
        assert!(ran.err.find("Do this? [y/N]").is_some_and(|asked| plan < asked), "{}", ran.err);
        assert_eq!(ran.err.contains("nothing was changed"), code == 4, "{}", ran.err);
        assert_eq!(seen(&db) == before, code == 4);
    }
}

/// Ctrl-C in the middle: 32, and all is as it was.
#[cfg(target_os = "linux")]
#[test]
fn an_interrupt_is_32() {
    let place = Place::new();
    let mut options = Options::default();
    options.background = false;
    let db = Database::create(place.path("db"), options).unwrap();
    let stream = db.create_stream("s", schema_of::<f64>().unwrap()).unwrap();
    let mut writer = stream.column_writer().unwrap();
    for part in 0..20 {
        let times: Vec<i64> = (part * 100_000..(part + 1) * 100_000).collect();
        let values: Vec<u8> = times.iter().flat_map(|ts| ts.to_le_bytes()).collect();
        writer.append_columns(&times, &[&values]).unwrap();
    }
    drop((writer, stream));
    db.close().unwrap();
    let segment = place.segments("db").pop().unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[5000] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let before = seen(&place.path("db"));
    for words in ["--deep db --json", "--repair -n --deep db --json", "--salvage out db --json"] {
        let ran = interrupted(&place, words);
        match words.starts_with("--deep") {
            // The report tells of what was looked at, and that there is more.
            true => {
                let json = ran.json();
                shapes::report(&json);
                assert_eq!(
                    (&json["interrupted"], &json["exit_code"]),
                    (&true.into(), &ran.code.into())
                );
            }
            false => assert_eq!((ran.kind().as_str(), ran.out.as_str()), ("interrupted", "")),
        }
        assert_eq!(seen(&place.path("db")), before, "{words}");
        assert_eq!(std::fs::read_dir(place.dir.path()).unwrap().count(), 1, "{words}");
    }
    figure("tools interrupted", 3);
}

/// Runs until an interrupt came before the end, and not before anybody listened.
#[cfg(target_os = "linux")]
fn interrupted(place: &Place, words: &str) -> crate::support::Ran {
    for _ in 0..200 {
        let mut child = command(words)
            .current_dir(place.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = child.id();
        let status = format!("/proc/{pid}/status");
        let listens = || {
            let status = std::fs::read_to_string(&status).unwrap_or_default();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:\t"));
            // The second bit is that of SIGINT.
            caught.is_some_and(|mask| u64::from_str_radix(mask, 16).unwrap() & 2 != 0)
        };
        while !listens() && child.try_wait().unwrap().is_none() {}
        let kill = std::process::Command::new("kill").args(["-INT", &pid.to_string()]).output();
        let _ended_before = kill.unwrap();
        let output = child.wait_with_output().unwrap();
        // With what was found until then.
        if output.status.code().is_some_and(|code| code & !4 == 32) {
            return crate::support::Ran::new(output);
        }
        // It was faster, or the thread that listens was not there yet.
        assert!(matches!(output.status.code(), Some(0 | 1 | 4)), "{:?}", output.status);
        let _copied = std::fs::remove_dir_all(place.path("out"));
    }
    panic!("{words}: always done before the interrupt came")
}
