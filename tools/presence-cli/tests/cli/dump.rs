//! `presence-dump`: on every golden vector, and on what damage makes of them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{Place, Ran, figure};

fn dump(file: &Path, words: &str) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_presence-dump"));
    let command = command.arg(file).args(words.split_whitespace()).stdin(Stdio::null());
    Ran::new(command.output().unwrap())
}

/// The golden vectors, by name.
fn vectors() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../format-spec/vectors/v1");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "presence")).collect();
    paths.sort();
    assert!(paths.len() > 20);
    paths
}

fn vector(name: &str) -> PathBuf {
    let is_named = |path: &PathBuf| path.file_stem().is_some_and(|stem| stem == name);
    vectors().into_iter().find(is_named).unwrap()
}

/// Fields of an entry that the vectors' twins have too.
fn facts(entry: &Value) -> Value {
    let names = ["offset", "number", "header_crc", "payload_bytes", "payload_crc", "previous_crc"];
    names.iter().map(|name| entry[*name].clone()).collect()
}

/// A word and its records: `[ts, ...]` of a block or of the sections of a frame.
fn times(shown: &Value) -> Vec<i64> {
    let sections = shown["sections"].as_array().into_iter().flatten();
    let records = sections.map(|section| &section["records"]).chain([&shown["records"]]);
    let records = records.flat_map(|records| records.as_array().into_iter().flatten());
    records.map(|record| record["ts"].as_i64().unwrap()).collect()
}

#[test]
fn every_vector_is_shown_as_its_twin_has_it() {
    let unsound = ["resumed", "resumed-sealed", "rot", "torn-tail", "torn-zeros"];
    for path in vectors() {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let code = if unsound.contains(&name) { 4 } else { 0 };
        let text = dump(&path, "").code(code).out;
        assert_eq!(text.contains("everything is sound"), code == 0, "{text}");
        assert_eq!(text.contains("UNSOUND"), code == 4, "{text}");
        let shown = dump(&path, "--json").code(code).json();
        assert_eq!(shown["summary"]["sound"], code == 0, "{name}");

        let twin = std::fs::read_to_string(path.with_extension("json")).unwrap();
        let twin: Value = serde_json::from_str(&twin).unwrap();
        assert_eq!(shown["bytes"], twin["file_bytes"], "{name}");
        let entries = shown["entries"].as_array().unwrap();
        for wanted in twin["entries"].as_array().unwrap() {
            let header = &wanted["header"];
            if header.is_null() {
                continue;
            }
            let is_it = |entry: &&Value| entry["header_crc"] == header["header_crc"];
            let found = entries.iter().find(is_it).unwrap_or_else(|| panic!("{name}: {header}"));
            assert_eq!(facts(found), facts(header), "{name}");
            assert_eq!(found["kind"], wanted["kind"], "{name}");
        }
    }
}

#[test]
fn every_entry_of_every_vector_is_shown_alone() {
    let mut shown_entries = 0;
    for path in vectors() {
        let whole = dump(&path, "--json").json();
        for entry in whole["entries"].as_array().unwrap() {
            let is_sound = entry["fault"].is_null() && entry["number"].is_u64();
            if !is_sound {
                continue;
            }
            let at = entry["offset"].as_u64().unwrap();
            let shown = dump(&path, &format!("--at {at} --json")).code(0).json();
            assert_eq!(&shown["entry"], entry, "{path:?}");
            assert!(shown["contents_fault"].is_null());
            if let Some(block) = entry["block"].as_u64() {
                let other = dump(&path, &format!("--block {block} --json")).code(0).json();
                assert_eq!(other, shown);
                assert_eq!(times(&shown).len() as u64, entry["records"].as_u64().unwrap());
                assert_eq!(times(&shown).first(), entry["first_ts"].as_i64().as_ref());
                assert_eq!(times(&shown).last(), entry["last_ts"].as_i64().as_ref());
            }
            let hex = dump(&path, &format!("--at {at:#x} --hex --json")).code(0).json();
            assert!(hex["hex"].as_str().unwrap().starts_with("50525365"), "{hex}");
            dump(&path, &format!("--at {at}")).code(0);
            shown_entries += 1;
        }
    }
    figure("entries of golden vectors dumped alone", shown_entries);
}

/// Ranges of a sound file that its checksums cover.
fn covered(whole: &Value) -> Vec<std::ops::Range<u64>> {
    let mut ranges: Vec<_> = std::iter::once(0..128).collect();
    for entry in whole["entries"].as_array().unwrap() {
        if let (Some(at), Some(bytes)) = (entry["offset"].as_u64(), entry["payload_bytes"].as_u64())
        {
            let header = if entry["kind"] == "block" { 128 } else { 64 };
            ranges.push(at..at + header + bytes);
        }
    }
    if whole["sealed"] == true {
        let bytes = whole["bytes"].as_u64().unwrap();
        ranges.push(bytes - 64..bytes);
    }
    ranges
}

#[test]
fn damage_is_told_and_what_is_sound_is_shown() {
    let place = Place::new();
    let file = place.path("damaged");
    let (mut flips, mut cuts) = (0, 0);
    for (index, path) in vectors().into_iter().enumerate() {
        let bytes = std::fs::read(&path).unwrap();
        let whole = dump(&path, "--json").json();
        let covered = covered(&whole);
        // Odd steps, another for each vector: together they fall on every kind of byte.
        let step = (bytes.len() / 24).max(1) | 1;
        for at in (index % step..bytes.len()).step_by(step) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            std::fs::write(&file, &damaged).unwrap();
            let ran = dump(&file, "--json");
            let tell = || format!("bit {} of byte {at} of {path:?}", at % 8);
            // A flip in the version makes a later one of it: that is refused, with 8.
            let is_version = (8..12).contains(&at) || (72..76).contains(&at);
            if covered.iter().any(|range| range.contains(&(at as u64))) {
                assert!(ran.code == 4 || (is_version && ran.code == 8), "{}: {}", tell(), ran.err);
            }
            assert!(matches!(ran.code, 0 | 4 | 8), "{}: {}", tell(), ran.err);
            if ran.code != 8 {
                let shown = ran.json()["summary"]["entries"].as_u64().unwrap();
                let all = whole["summary"]["entries"].as_u64().unwrap();
                assert!(shown + 1 >= all, "{}: {shown} of {all} entries", tell());
            }
            flips += 1;
        }
        for len in (index % step..bytes.len()).step_by(step) {
            std::fs::write(&file, &bytes[..len]).unwrap();
            let ran = dump(&file, "--json");
            assert!(matches!(ran.code, 0 | 4), "{len} bytes of {path:?}: {}", ran.err);
            ran.json();
            cuts += 1;
        }
    }
    figure("bit flips dumped", flips);
    figure("truncations dumped", cuts);
}

#[test]
fn entries_behind_a_lost_header_and_a_lost_catalog_are_found() {
    let place = Place::new();
    let mut bytes = std::fs::read(vector("lz4")).unwrap();
    bytes[..192].fill(0xff);
    std::fs::write(place.path("lost"), &bytes).unwrap();
    let shown = dump(&place.path("lost"), "--json").code(4).json();
    assert!(shown["header"].is_null() && shown["header_fault"].is_string());
    // The index at the end knows the streams.
    let block = dump(&place.path("lost"), "--block 1 --json --limit 3").code(0).json();
    assert_eq!(block["records"].as_array().unwrap().len(), 3);
    assert_eq!(block["entry"]["stream_name"], "compressed");
}

#[test]
fn the_last_word_on_a_stream_is_shown() {
    let shown = dump(&vector("compacted"), "--json").code(0).json();
    assert_eq!(shown["streams"][0]["sequence"], 12);
    assert_eq!(shown["streams"][0]["last_ts"], shown["entries"][1]["last_ts"]);
    assert_eq!(shown["index"]["streams"][1]["blocks"][0]["records"], 4);
}

#[test]
fn names_from_a_file_are_escaped() {
    // A sound file cannot hold a control character in a name, but text that turns round.
    let text = dump(&vector("unicode-names"), "").code(0).out;
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    assert!(!text.contains('\u{202e}'));
}

#[test]
fn what_is_no_segment_is_refused_or_unsound() {
    let place = Place::new();
    place.file("empty", "");
    place.file("text", "timestamp,value\n1,2\n");
    for name in ["empty", "text"] {
        assert!(dump(&place.path(name), "").code(4).out.contains("no presence segment"));
        dump(&place.path(name), "--at 0 --hex").code(if name == "empty" { 16 } else { 4 });
    }
    dump(&place.path("none"), "").code(8);
    dump(place.dir.path(), "").code(16);
    #[cfg(unix)]
    {
        let fifo = place.path("fifo");
        let made = Command::new("mkfifo").arg(&fifo).status().is_ok_and(|status| status.success());
        if made {
            assert!(dump(&fifo, "").code(8).err.contains("not a regular file"));
        }
        std::os::unix::fs::symlink(vector("lz4"), place.path("link")).unwrap();
        dump(&place.path("link"), "").code(8);
    }
}

#[test]
fn a_sparse_giant_is_looked_at_as_far_as_a_segment_goes() {
    let place = Place::new();
    let path = place.path("giant");
    std::fs::copy(vector("lz4"), &path).unwrap();
    let Ok(()) = std::fs::File::options().write(true).open(&path).unwrap().set_len(1 << 40) else {
        figure("skipped: sparse giant, the file system has none", 1);
        return;
    };
    let shown = dump(&path, "--json").code(4).json();
    assert_eq!(shown["summary"]["blocks"], 2);
    assert_eq!(shown["summary"]["entries"], 4);
}

#[test]
fn entries_that_overlap_are_not_checked_for_ever() {
    use presence_format::entry::{EntryBuilder, EntryKind, Place as At};
    use presence_format::segment::{DatabaseId, SegmentHeader};
    // A sound header at every place where one can be, each of them with a payload that is not.
    let header = SegmentHeader::first(DatabaseId([7; 16]), 1, 0);
    let at = At { database: DatabaseId([7; 16]).short(), segment: 1 };
    let mut bytes = header.encode().to_vec();
    while bytes.len() < 4 << 20 {
        let mut builder = EntryBuilder::new(at, bytes.len() as u32, 1, 0);
        builder.header.payload_bytes = (64 << 10).into();
        let (header, len, _) = builder.finish(EntryKind::Frame);
        bytes.extend_from_slice(&header[..len]);
    }
    let place = Place::new();
    std::fs::write(place.path("overlaps"), &bytes).unwrap();
    let ran = dump(&place.path("overlaps"), "").code(4);
    assert!(ran.out.contains("not checked: too many entries that overlap"));
    assert!(ran.out.contains("65,534 entries"), "{}", &ran.out[ran.out.len() - 300..]);
}

#[test]
fn usage_is_sixteen() {
    let path = vector("lz4");
    for words in ["--block x", "--block 1 --entry 2", "--hex", "--at 12z", "--frobnicate"] {
        dump(&path, words).code(16);
        assert_eq!(dump(&path, &format!("{words} --json")).code(16).kind(), "usage", "{words}");
    }
    assert!(dump(&path, "--block 9").code(16).err.contains("2 blocks"));
    assert!(dump(&path, "--at 99999999").code(16).err.contains("behind the file"));
    assert!(dump(&path, "--help").code(0).out.contains("--block"));
    // Inside an entry there is none, and the bytes can be seen all the same.
    assert!(dump(&path, "--at 321 --hex").code(4).out.contains("UNSOUND"));
    let some = dump(&path, "--json --limit 1").code(0).json();
    assert_eq!(
        (some["entries"].as_array().unwrap().len(), &some["entries_hidden"]),
        (1, &3.into())
    );
}

#[test]
fn planes_of_tracks_are_shown() {
    for name in ["track-sealed", "track-unsealed"] {
        let path = vector(name);
        let whole = dump(&path, "").code(0).out;
        assert!(whole.contains("class 0 (\"person\") of track \"cam/front\""), "{whole}");
        assert!(whole.contains("what was observed of track \"cam/front\": 30000/1001"), "{whole}");
        let streams = dump(&path, "--json").code(0).json()["streams"].clone();
        assert_eq!(streams[1]["plane"]["class"]["name"], "person");
        assert_eq!(streams[0]["plane"]["rate"], "30000/1001");
        let block = dump(&path, "--block 0").code(0).out;
        for line in [
            "region 0: 85528 set ticks in",
            "container 0: runs, 19990 set ticks behind 0",
            "container 3: sparse, 1 set ticks behind 85526",
            "ticks 10 to 19999 (",
        ] {
            assert!(block.contains(line), "{line}: {block}");
        }
        let region = dump(&path, "--block 1 --json --limit 3").code(0).json()["region"].clone();
        assert_eq!(region["containers"][1]["form"], "dense");
        assert_eq!((&region["runs"][0][0], &region["runs"][0][1]), (&100.into(), &164.into()));
        assert_eq!(region["runs"].as_array().unwrap().len(), 3);
        assert!(region["further_runs"].as_u64().unwrap() > 1_000);
        // A block of words, and a region that was cleared.
        assert!(dump(&path, "--block 3").code(0).out.contains("-128"));
        assert!(dump(&path, "--block 4").code(0).out.contains("region 0: 0 set ticks in 1 words"));
    }
}
