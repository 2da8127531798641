//! One sealed segment copied alone to another place is a database of its own, read-only.

use presence::{Database, Error, Options, schema_of};

#[test]
fn a_sealed_segment_copied_alone_answers() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = Options::default();
    options.segment_bytes = 32 << 10;
    options.block_bytes = 2048;
    let db = Database::create(directory.path().join("db"), options).unwrap();
    let stream = db.create_stream("a/b", schema_of::<u64>().unwrap()).unwrap();
    let mut writer = stream.writer::<u64>().unwrap();
    for i in 0..20_000 {
        writer.append(i, i as u64 * 3).unwrap();
    }
    drop((writer, stream));
    db.close().unwrap();
    let entries = std::fs::read_dir(directory.path().join("db")).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "presence"));
    files.sort();
    assert!(files.len() > 4);
    let copy = directory.path().join("some other name.bin");
    std::fs::copy(&files[2], &copy).unwrap();
    let db = Database::open_read_only(&copy, Options::default()).unwrap();
    assert!(db.report().is_clean(), "{:?}", db.report());
    let stream = db.stream("a/b").unwrap();
    let first = stream.first().unwrap().unwrap().ts();
    let last = stream.last().unwrap().unwrap().ts();
    assert!(first > 0 && last > first);
    let all = stream.window(..).unwrap().to_vec::<u64>().unwrap();
    assert!(all.iter().zip(first..).all(|(&(ts, value), t)| ts == t && value == t as u64 * 3));
    assert_eq!(all.len() as i64, last - first + 1);
    assert!(matches!(stream.writer::<u64>().unwrap_err(), Error::ReadOnly));
    let not_a_segment = directory.path().join("text");
    std::fs::write(&not_a_segment, "no segment at all").unwrap();
    assert!(Database::open_read_only(&not_a_segment, Options::default()).is_err());
}
