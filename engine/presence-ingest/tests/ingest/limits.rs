//! Bounds: long lines, many faults, files that change, readers that fail.

use std::io::{self, Read};
use std::sync::{Arc, Mutex};

use presence_ingest::{Import, IngestErrorKind, Options, Phase, Source};

use crate::support::{import, text};

#[test]
fn a_line_of_100_mb_is_skipped() {
    let head = io::Cursor::new(b"t_us,x\n1,2\n".to_vec());
    let long = io::repeat(b'7').take(100 << 20);
    let tail = io::Cursor::new(b"\n3,4\n".to_vec());
    let source = Source::reader("long", head.chain(long).chain(tail));
    let got = import(source, Options::default()).unwrap();
    assert_eq!(got.batch.timestamps, [1, 3]);
    assert_eq!(got.skipped_lines(), [3]);
    assert!(got.report.skipped[0].reason.contains("longer than 16777216"));
}

#[test]
fn a_line_of_delimiters_is_skipped() {
    let csv = [b"t_us,x\n1,2\n".as_slice(), &b",".repeat(10 << 20), b"\n3,4\n"].concat();
    let got = text(csv, Options::default()).unwrap();
    assert_eq!((got.batch.timestamps, got.report.skipped[0].line), (vec![1, 3], 3));
}

#[test]
fn skipped_lines_are_counted_beyond_those_kept() {
    let csv = format!("t_us,x\n{}1,2\n", "bad\n".repeat(5000));
    let got = text(csv, Options::default()).unwrap();
    assert_eq!((got.report.skipped.len(), got.report.skipped_total), (1000, 5000));
    assert_eq!(got.report.records, 1);
}

#[test]
fn a_file_that_grows_gives_what_it_held() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "t_us,x\n1,2\n3,4\n").unwrap();
    let mut import = Import::open(Source::path(file.path()), Options::default()).unwrap();
    std::fs::write(file.path(), "t_us,x\n1,2\n3,4\n5,6\n7,8\n").unwrap();
    assert_eq!(import.next_batch().unwrap().unwrap().timestamps, [1, 3]);
    assert!(import.next_batch().unwrap().is_none());
}

#[test]
fn a_file_that_is_rewritten_is_an_error_or_in_order() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "t_us,x\n1,2\n3,4\n").unwrap();
    let mut import = Import::open(Source::path(file.path()), Options::default()).unwrap();
    std::fs::write(file.path(), "t_us,x\n9,2\n3,4\n").unwrap();
    let error = import.next_batch().unwrap_err();
    assert_eq!(error.kind, IngestErrorKind::Changed);
    assert!(import.next_batch().is_err(), "it stays failed");
}

#[test]
fn a_reader_that_fails_is_an_error() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("unplugged"))
        }
    }
    let head = io::Cursor::new(b"t_us,x\n1,2\n".to_vec());
    let error =
        import(Source::reader("pipe", head.chain(Failing)), Options::default()).unwrap_err();
    assert_eq!(error.kind, IngestErrorKind::Io);
    assert!(error.to_string().contains("unplugged"), "{error}");
    let options = Options { temp_dir: Some("/nowhere".into()), ..Options::default() };
    let error = text("t_us,x\n1,2\n", options).unwrap_err();
    assert!(error.to_string().contains("/nowhere"), "{error}");
}

#[test]
fn progress_names_its_phases() {
    let rows: String = (0..500_000).map(|i| format!("{},{i}\n", i ^ 1)).collect();
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let source = Source::reader("p", io::Cursor::new(format!("t_us,x\n{rows}").into_bytes()));
    let options = Options { memory_bytes: 1 << 20, ..Options::default() };
    let mut import =
        Import::open_watched(source, options, move |now| tell.lock().unwrap().push(now)).unwrap();
    while import.next_batch().unwrap().is_some() {}
    let told = told.lock().unwrap();
    let mut phases: Vec<Phase> = told.iter().map(|now| now.phase).collect();
    assert!(told.iter().all(|now| now.bytes_total.is_none_or(|total| now.bytes_done <= total)));
    assert!(phases.len() > 6, "{phases:?}");
    phases.dedup();
    assert_eq!(phases, [Phase::Spool, Phase::Scan, Phase::Sort, Phase::Merge, Phase::Done]);
    assert_eq!(told.last().unwrap().records, 500_000);
}
