//! Every way to end, of every program: each exit code that is documented and each kind of failure
//! that programs see, provoked from outside.
//!
//! # Invariants
//! - A kind that is added and not provoked here fails.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use presence::{Database, Level, Options, schema_of};
use presence_cli::failure::Kind;
use presence_format::segment::SegmentHeader;

use crate::support::{Place, Ran, figure};

/// A program, the code it ends with, the kind of failure, and its arguments.
type Case = (&'static str, u8, Kind, &'static str);

/// Those that a change of the surroundings while a program runs would call for: the conversion of
/// each has a test beside it.
const FROM_OUTSIDE: [Kind; 2] = [Kind::Changed, Kind::NetworkFileSystem];

const PRESENCE: &str = env!("CARGO_BIN_EXE_presence");
const DUMP: &str = env!("CARGO_BIN_EXE_presence-dump");
const FSCK: &str = env!("CARGO_BIN_EXE_presence-fsck");

fn run(program: &str, place: &Path, words: &str) -> Ran {
    let mut command = Command::new(program);
    command.args(words.split_whitespace()).current_dir(place).env_remove("TERM");
    Ran::new(command.stdin(Stdio::null()).output().unwrap())
}

/// The databases that the cases use. The writer of `locked` stays.
fn place() -> (Place, Database) {
    let place = Place::new();
    place.file("a.csv", "t_us,x\n1,1\n2,2\n");
    place.file("wide.csv", "t_us,x,y\n8,1,1\n9,2,2\n");
    place.file("later.csv", "t_us,x\n8,1\n9,2\n");
    place.file("unit.csv", "t,x\n1,1\n2,2\n");
    place.file("text.csv", "time,b\n0.5,x\n");
    place.file("lines.csv", "t_us,x\n1,2\n2,3\nx,4\n");
    place.file("no_time.csv", "a,b\n1,2\n");
    place.file("binary", "\u{1}\0\u{2}");
    place.file("none.csv", "");
    std::fs::create_dir(place.path("sub")).unwrap();
    place.file("gt.txt", "1,1,1,2,3,4,1,1,1\n");
    place.run("import a.csv --into db").code(0);
    place.run("import a.csv --stream gt:observed --into taken").code(0);
    place.run("import a.csv --into ended").code(0);
    let ended = Database::open(place.path("ended"), Options::default()).unwrap();
    ended.stream("a").unwrap().column_writer().unwrap().finish().unwrap();
    ended.close().unwrap();
    place.run("import a.csv --into locked").code(0);
    let locked = Database::open(place.path("locked"), Options::default()).unwrap();

    place.run("import a.csv --into newer").code(0);
    let newer = place.segments("newer").remove(0);
    let mut bytes = std::fs::read(&newer).unwrap();
    let mut header = SegmentHeader::decode(&bytes).unwrap();
    header.version_major = 2.into();
    bytes[..128].copy_from_slice(&header.encode());
    std::fs::write(&newer, bytes).unwrap();
    damage(&place);
    (place, locked)
}

/// `gap`: a segment in the middle is gone. `rot`: a bit of a block is wrong.
fn damage(place: &Place) {
    for name in ["gap", "rot"] {
        for part in 0..3_i64 {
            let db = Database::open_or_create(place.path(name), Options::default()).unwrap();
            let stream =
                db.stream("s").or_else(|_| db.create_stream("s", schema_of::<f64>().unwrap()));
            let mut writer = stream.unwrap().writer::<f64>().unwrap();
            let range = part * 10_000..(part + 1) * 10_000;
            range.for_each(|ts| writer.append(ts, ts as f64 + 0.5).unwrap());
            writer.flush(Level::Disk).unwrap();
            drop(writer);
            db.close().unwrap();
        }
    }
    std::fs::remove_file(&place.segments("gap")[1]).unwrap();
    let middle = &place.segments("rot")[1];
    let mut bytes = std::fs::read(middle).unwrap();
    let value = 15_000.5_f64.to_le_bytes();
    let at: Vec<usize> = (0..bytes.len() - 8).filter(|&at| bytes[at..at + 8] == value).collect();
    assert!(!at.is_empty());
    at.iter().for_each(|&at| bytes[at] ^= 1);
    std::fs::write(middle, bytes).unwrap();
}

fn cases() -> Vec<Case> {
    let import = [
        (2, Kind::UnknownFormat, "import binary --into new"),
        (2, Kind::Header, "import none.csv --format csv --into new"),
        (2, Kind::NoTimeColumn, "import no_time.csv --into new"),
        (2, Kind::NoTimeUnit, "import unit.csv --into new"),
        (2, Kind::Malformed, "import lines.csv --strict --into new"),
        (2, Kind::Unsupported, "import text.csv --into new"),
        (2, Kind::StreamFinished, "import later.csv --stream a --into ended"),
        (2, Kind::Usage, "import wide.csv --stream a --into db"),
        (2, Kind::Usage, "import a.csv --into db"),
        (3, Kind::Locked, "import a.csv --into locked"),
        (3, Kind::NotADatabase, "import a.csv --into a.csv"),
        (2, Kind::Usage, "import a.csv sub/a.csv --into new"),
        (2, Kind::TrackExists, "import gt.txt --into taken"),
        (3, Kind::Io, "import nowhere.csv --into new"),
    ];
    let ask = [
        (2, Kind::Usage, "at db"),
        (2, Kind::NoSuchStream, "at db nix 5"),
        (2, Kind::ReversedRange, "window db a 30 10"),
        (2, Kind::NoSuchTrack, "ratio db nix 5"),
        (2, Kind::Expression, "times db a )"),
        (3, Kind::Io, "info none"),
        (3, Kind::NotADatabase, "info sub"),
        (3, Kind::Incompatible, "info newer"),
        (3, Kind::Io, "window db a 0 9 -o none/out.csv"),
        (3, Kind::Locked, "compact locked"),
        (4, Kind::Gap, "window gap s 9000 21000"),
        (4, Kind::Corrupt, "window rot s 14000 16000"),
        (4, Kind::Corrupt, "backup rot out"),
    ];
    let dump = [
        (16, Kind::Usage, "db"),
        (16, Kind::Usage, ""),
        (8, Kind::Io, "none"),
        (8, Kind::Incompatible, "newer/seg-00000001.presence"),
    ];
    let fsck = [
        (16, Kind::Usage, "--quick --deep db"),
        (16, Kind::Usage, "--salvage db rot"),
        (16, Kind::Usage, "--repair rot"),
        (8, Kind::Cannot, "none"),
        (8, Kind::Cannot, "sub"),
        (8, Kind::Io, "--repair -n none"),
        (4, Kind::Corrupt, "--salvage out sub"),
    ];
    let mut cases = Vec::new();
    for (program, list) in
        [(PRESENCE, &import[..]), (PRESENCE, &ask[..]), (DUMP, &dump[..]), (FSCK, &fsck[..])]
    {
        cases.extend(list.iter().map(|(code, kind, words)| (program, *code, *kind, *words)));
    }
    cases
}

/// Ends that are no failures: a program, its code, its arguments.
const ANSWERS: [(&str, i32, &str); 17] = [
    (PRESENCE, 0, "info db"),
    (PRESENCE, 1, "at db a 0"),
    (PRESENCE, 4, "info gap"),
    (PRESENCE, 0, "--help"),
    (DUMP, 0, "db/seg-00000001.presence"),
    (DUMP, 4, "rot/seg-00000002.presence"),
    (DUMP, 0, "--version"),
    (FSCK, 0, "--deep db"),
    (FSCK, 4, "gap"),
    (FSCK, 4, "rot"),
    (FSCK, 8, "newer"),
    (FSCK, 4, "--repair -n rot"),
    (FSCK, 0, "--salvage whole db"),
    (FSCK, 1, "--salvage most rot"),
    (FSCK, 1, "--repair -y rot"),
    (FSCK, 0, "--repair -y rot"),
    (FSCK, 0, "rot"),
];

#[test]
fn every_end_of_every_program() {
    let (place, _locked) = place();
    let mut kinds = BTreeSet::new();
    let mut codes = BTreeSet::new();
    for (program, code, kind, words) in cases() {
        let before = place.dir.path().read_dir().unwrap().count();
        let ran = run(program, place.dir.path(), &format!("{words} --json")).code(code.into());
        assert_eq!(ran.kind(), kind.as_str(), "{program} {words}: {}", ran.err);
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
        // The same for people: one line, but for wrong arguments, after which comes the usage.
        let told = run(program, place.dir.path(), words).code(code.into());
        assert!(kind == Kind::Usage || told.err.lines().count() == 1, "{}", told.err);
        assert!(serde_json::from_str::<serde_json::Value>(&told.err).is_err(), "{}", told.err);
        assert_eq!(place.dir.path().read_dir().unwrap().count(), before, "{words}");
        kinds.insert(kind.as_str());
        codes.insert((program, i32::from(code)));
    }
    for (program, code, words) in ANSWERS {
        run(program, place.dir.path(), words).code(code);
        codes.insert((program, code));
    }
    for program in [PRESENCE, DUMP, FSCK] {
        closes_quietly(program, &place);
    }
    kinds.insert(Kind::ClosedPipe.as_str());
    interrupted(&place);
    kinds.insert(Kind::Interrupted.as_str());
    codes.insert((PRESENCE, 130));
    let all = Kind::ALL.iter().filter(|kind| !FROM_OUTSIDE.contains(kind));
    let missed: Vec<&Kind> = all.filter(|kind| !kinds.contains(kind.as_str())).collect();
    assert!(missed.is_empty(), "never provoked: {missed:?}");
    let documented: [(&str, &[i32]); 3] = [
        (PRESENCE, &[0, 1, 2, 3, 4, 130]),
        (DUMP, &[0, 4, 8, 16]),
        // And 32, for which it needs more to do: `fsck::calls` interrupts it.
        (FSCK, &[0, 1, 4, 8, 16]),
    ];
    for (program, wanted) in documented {
        let met = codes.iter().filter(|(one, _)| *one == program).map(|(_, code)| *code);
        assert_eq!(met.collect::<Vec<_>>(), wanted, "{program}");
    }
    figure("exit codes of the tools met", codes.len() as u64 + 1);
    figure("kinds of failure of the tools met", Kind::ALL.len() as u64);
}

/// A program whose reader went away has nothing to say.
fn closes_quietly(program: &str, place: &Place) {
    let words = match program {
        PRESENCE => "window gap s 0 9000 --format jsonl",
        DUMP => "db/seg-00000001.presence",
        _ => "--deep gap",
    };
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(program);
    command.args(words.split_whitespace()).current_dir(place.dir.path()).stdin(Stdio::null());
    let ran = command.stdout(writer).output().unwrap();
    assert!(ran.stderr.is_empty(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(ran.status.code(), Some(0), "{program}");
}

/// An import that waits for more of its input, interrupted.
fn interrupted(place: &Place) {
    use std::io::Write;

    let mut child = Command::new(PRESENCE)
        .args(["import", "-", "--stream", "new", "--into", "db", "--json"])
        .current_dir(place.dir.path())
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // More than a pipe holds: once all is written, somebody reads, and listens to signals.
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"t_us,x\n").unwrap();
    (0..40_000).for_each(|ts| writeln!(stdin, "{ts},{ts}").unwrap());
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let ran = Ran::new(child.wait_with_output().unwrap()).code(130);
    drop(stdin);
    assert_eq!(ran.kind(), Kind::Interrupted.as_str());
}
