//! Directories that hold other things than segments.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::build::{Log, name, put};
use super::{Case, case, run};

/// A sound database beside what `make` makes under the name of segment 2.
fn beside(at: &Path, make: impl FnOnce(&Path)) {
    Log::standard().put(at);
    make(&at.join(name(2)));
}

/// What `make` makes under the name of the only segment.
fn only(at: &Path, make: impl FnOnce(&Path)) {
    make(&at.join(name(1)));
}

/// A sound database whose `LOCK` is what `make` makes.
fn lock(at: &Path, make: impl FnOnce(&Path)) {
    Log::standard().put(at);
    make(&at.join("LOCK"));
}

fn pipe(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

fn socket(path: &Path) {
    drop(std::os::unix::net::UnixListener::bind(path).unwrap());
}

/// A sound segment elsewhere, to link to.
fn elsewhere(path: &Path) -> std::path::PathBuf {
    let other = path.parent().unwrap().with_file_name("elsewhere");
    std::fs::write(&other, &Log::standard().bytes).unwrap();
    other
}

fn file(at: &Path, name: &str, bytes: &[u8]) {
    std::fs::write(at.join(name), bytes).unwrap();
}

const DIRECTORIES: &[Case] = &[
    case("directory: empty", |_| {}, ["NotADatabase", "NotADatabase", "NotADatabase"]),
    case(
        "directory: a link for a segment",
        |at| beside(at, |p| symlink(name(1), p).unwrap()),
        ["4/4/4 not-a-regular-file unsealed", "damage 1, a=45", "damage 1, a=45; appends"],
    ),
    case(
        "directory: a link out",
        |at| only(at, |p| symlink(elsewhere(p), p).unwrap()),
        ["4/4/4 not-a-regular-file", "NotADatabase", "NotADatabase"],
    ),
    case(
        "directory: a link to itself",
        |at| only(at, |p| symlink(p, p).unwrap()),
        ["4/4/4 not-a-regular-file", "NotADatabase", "NotADatabase"],
    ),
    case(
        "directory: a link to nothing",
        |at| beside(at, |p| symlink("none", p).unwrap()),
        ["4/4/4 not-a-regular-file unsealed", "damage 1, a=45", "damage 1, a=45; appends"],
    ),
    case(
        "directory: a link to /dev/zero",
        |at| only(at, |p| symlink("/dev/zero", p).unwrap()),
        ["4/4/4 not-a-regular-file", "NotADatabase", "NotADatabase"],
    ),
    case(
        "directory: a pipe for a segment",
        |at| beside(at, pipe),
        ["4/4/4 not-a-regular-file unsealed", "damage 1, a=45", "damage 1, a=45; appends"],
    ),
    case(
        "directory: a pipe alone",
        |at| only(at, pipe),
        ["4/4/4 not-a-regular-file", "NotADatabase", "NotADatabase"],
    ),
    case(
        "directory: a socket for a segment",
        |at| beside(at, socket),
        ["4/4/4 not-a-regular-file unsealed", "damage 1, a=45", "damage 1, a=45; appends"],
    ),
    case(
        "directory: a folder for a segment",
        |at| beside(at, |p| std::fs::create_dir(p).unwrap()),
        ["4/4/4 not-a-regular-file unsealed", "damage 1, a=45", "damage 1, a=45; appends"],
    ),
    case(
        "directory: a folder alone",
        |at| only(at, |p| std::fs::create_dir(p).unwrap()),
        ["4/4/4 not-a-regular-file", "NotADatabase", "NotADatabase"],
    ),
    case(
        "directory: a hard link for a segment",
        |at| {
            only(at, |p| std::fs::hard_link(elsewhere(p), p).unwrap());
        },
        ["0/0/0 unsealed", "a=45", "Io"],
    ),
    case(
        "directory: a hard link beside its file",
        |at| {
            beside(at, |p| std::fs::hard_link(p.with_file_name(name(1)), p).unwrap());
        },
        ["4/4/4 unsealed wrong-number", "damage 1, a=45", "Io"],
    ),
    case(
        "directory: LOCK is a link",
        |at| {
            lock(at, |p| symlink(elsewhere(p), p).unwrap());
        },
        ["0/0/0 unsealed", "a=45", "Io"],
    ),
    case(
        "directory: LOCK is a link to a segment",
        |at| {
            lock(at, |p| symlink(name(1), p).unwrap());
        },
        ["0/0/0 unsealed", "a=45", "Io"],
    ),
    case("directory: LOCK is a pipe", |at| lock(at, pipe), ["0/0/0 unsealed", "a=45", "Io"]),
    case(
        "directory: LOCK is a folder",
        |at| lock(at, |p| std::fs::create_dir(p).unwrap()),
        ["0/0/0 unsealed", "a=45", "Io"],
    ),
    case(
        "directory: LOCK is a hard link",
        |at| {
            lock(at, |p| std::fs::hard_link(elsewhere(p), p).unwrap());
        },
        ["0/0/0 unsealed", "a=45", "Io"],
    ),
    case(
        "directory: LOCK of 1 MiB of escapes",
        |at| {
            lock(at, |p| std::fs::write(p, b"\x1b[2J".repeat(1 << 18)).unwrap());
        },
        ["0/0/0 unsealed", "a=45", "a=45; appends"],
    ),
    case(
        "directory: everybody may write",
        |at| {
            Log::standard().put(at);
            let all = |mode| std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(at.join(name(1)), all(0o777)).unwrap();
            std::fs::set_permissions(at, all(0o777)).unwrap();
        },
        ["0/0/0 unsealed", "a=45", "a=45; appends"],
    ),
    case(
        "directory: segment 0",
        |at| {
            Log::standard().put(at);
            file(at, "seg-00000000.presence", &Log::standard().bytes);
        },
        ["0/0/0 ignored-file unsealed", "a=45", "a=45; appends"],
    ),
    case(
        "directory: segment 0 alone",
        |at| {
            file(at, "seg-00000000.presence", &Log::standard().bytes);
        },
        ["NotADatabase", "NotADatabase", "NotADatabase"],
    ),
    case(
        "directory: capital digits",
        |at| {
            Log::standard().put(at);
            file(at, "seg-0000000A.presence", &Log::standard().bytes);
        },
        ["0/0/0 ignored-file unsealed", "a=45", "a=45; appends"],
    ),
    case(
        "directory: names that are nearly right",
        |at| {
            Log::standard().put(at);
            for name in [
                "seg-1.presence",
                "seg-000000001.presence",
                "seg-+0000001.presence",
                "seg-0000000g.presence",
                "SEG-00000001.presence",
                "seg-00000001.presence~",
                "seg-00000001.presence.part",
                " seg-00000001.presence",
                ".tmp-",
                ".tmp-0123456789abcdef0123456789ABCDEF",
                "lock",
            ] {
                file(at, name, &Log::standard().bytes);
            }
        },
        ["0/0/0 ignored-file unsealed", "a=45", "a=45; appends"],
    ),
    case(
        "directory: a temporary segment",
        |at| {
            Log::standard().put(at);
            file(at, ".tmp-0123456789abcdef0123456789abcdef", &Log::standard().bytes);
        },
        ["0/0/0 temporary unsealed", "a=45", "removed 1, a=45; appends"],
    ),
    case(
        "directory: a temporary folder",
        |at| {
            Log::standard().put(at);
            std::fs::create_dir(at.join(".tmp-0123456789abcdef0123456789abcdef")).unwrap();
        },
        ["0/0/0 ignored-file unsealed", "a=45", "a=45; appends"],
    ),
    case(
        "directory: names that are no UTF-8",
        |at| {
            Log::standard().put(at);
            for bytes in [&b"\xff\xfe"[..], b"seg-\xc3\x28000001.presence", b".tmp-\xff"] {
                std::fs::write(at.join(OsStr::from_bytes(bytes)), "x").unwrap();
            }
        },
        ["0/0/0 ignored-file unsealed", "a=45", "a=45; appends"],
    ),
    case(
        "directory: names with escapes",
        |at| {
            Log::standard().put(at);
            file(at, "\x1b]0;owned\x07\r\n\u{202e}", b"x");
        },
        ["0/0/0 ignored-file unsealed", "a=45", "a=45; appends"],
    ),
    case(
        "directory: names of 255 bytes",
        |at| {
            Log::standard().put(at);
            file(at, &"n".repeat(255), b"x");
        },
        ["0/0/0 ignored-file unsealed", "a=45", "a=45; appends"],
    ),
    case(
        "directory: 20000 other files",
        |at| {
            Log::standard().put(at);
            (0..20_000).for_each(|number| file(at, &format!("file-{number}"), &[]));
        },
        ["0/0/0 ignored-file", "a=45", "a=45; appends"],
    ),
    case(
        "directory: 5000 empty segments",
        |at| {
            Log::standard().put(at);
            (2..5_002).for_each(|number| put(at, number, &[]));
        },
        ["4/4/4 segment-header", "damage 5000, a=45", "damage 5000, a=45; appends"],
    ),
    case(
        "directory: 3000 segments of one header",
        |at| {
            Log::standard().put(at);
            let header = |number| {
                presence_format::segment::SegmentHeader::first(super::build::DATABASE, number, 0)
            };
            (2..3_002).for_each(|number| put(at, number, &header(number).encode()));
        },
        ["4/4/4 entry-damaged index-damaged", "damage 9000, a=45", "damage 9000, a=45; appends"],
    ),
    case(
        "directory: 900 segments that do not chain",
        |at| {
            Log::standard().put(at);
            let header = |number| {
                presence_format::segment::SegmentHeader::first(super::build::DATABASE, number, 0)
            };
            (2..902).for_each(|number| put(at, number, &Log::of(header(number)).opened().bytes));
        },
        [
            "4/4/4 index-damaged segment-missing unsealed",
            "damage 1800, a=45",
            "damage 1800, a=45; appends",
        ],
    ),
    case(
        "alone: sound",
        |at| file(at, "alone", &Log::standard().bytes),
        ["0/0/0 unsealed", "a=45", ""],
    ),
    case(
        "alone: sealed",
        |at| file(at, "alone", &Log::standard().whole().sealed()),
        ["0/0/0", "a=45", ""],
    ),
    case("alone: empty", |at| file(at, "alone", &[]), ["4/4/4 segment-header", "NotADatabase", ""]),
    case(
        "alone: text",
        |at| file(at, "alone", b"seg-00000001.presence\n"),
        ["4/4/4 segment-header", "NotADatabase", ""],
    ),
    case(
        "alone: half a header",
        |at| file(at, "alone", &Log::standard().bytes[..64]),
        ["4/4/4 segment-header", "NotADatabase", ""],
    ),
    case(
        "alone: nothing but a header",
        |at| file(at, "alone", &Log::standard().bytes[..128]),
        ["4/4/4 entry-damaged unsealed", "damage 1", ""],
    ),
    case(
        "alone: newer",
        |at| {
            file(at, "alone", &Log::with(|header| header.version_major = 2.into()).bytes);
        },
        ["4/4/4 segment-header", "NotADatabase", ""],
    ),
    case(
        "alone: a link",
        |at| symlink(elsewhere(&at.join("x")), at.join("alone")).unwrap(),
        ["4/4/4 segment-header", "NotADatabase", ""],
    ),
    case(
        "alone: a pipe",
        |at| pipe(&at.join("alone")),
        ["4/4/4 segment-header", "NotADatabase", ""],
    ),
    case(
        "alone: a device",
        |at| symlink("/dev/zero", at.join("alone")).unwrap(),
        ["4/4/4 segment-header", "NotADatabase", ""],
    ),
    case(
        "alone: one part of a compaction",
        |at| {
            let log = Log::with(|header| {
                header.segment = 9.into();
                header.set = 8.into();
                header.generation = 3.into();
                header.part = 1.into();
                header.parts = 9.into();
            });
            file(at, "alone", &log.whole().sealed());
        },
        ["0/0/0", "a=45", ""],
    ),
];

#[test]
fn directories() {
    run(DIRECTORIES);
}
