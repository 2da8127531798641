//! Damage, enumerated: every bit of every file flipped, every length it may be cut to, zeros,
//! garbage, blocks and files swapped, older versions put back.
//!
//! What must hold: no panic; every record that is handed out is the one that was written; where
//! fewer are handed out, the report or an error says so; nothing is written over to repair it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use presence::device::{Device, MemoryDevice, SimDevice};
use presence::{Database, Error, Level, Stream, WindowOptions};
use presence_format::entry::{Entry, EntryKind};
use presence_format::segment::SegmentHeader;

use crate::script::{Player, Step};
use crate::support::{Random, figure, scale, scaled, small};

type Files = BTreeMap<String, Vec<u8>>;
/// One record: its timestamp and the bytes of its columns.
type Row = (i64, Vec<Vec<u8>>);
/// Every stream by name, with its records.
type Content = BTreeMap<String, Vec<Row>>;

fn device(files: &Files) -> (MemoryDevice, Arc<dyn Device>) {
    let files = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    let memory = MemoryDevice::with_files(files);
    (memory.clone(), Arc::new(memory))
}

/// One damage: to which file, what was done, and the files afterwards.
#[derive(Clone)]
struct Case {
    file: String,
    done: String,
    files: Files,
}

/// A database as it should be read.
struct Golden {
    name: String,
    files: Files,
    content: Content,
}

impl Golden {
    fn new(name: &str, files: Files) -> Self {
        let db = Database::open_read_only_on(device(&files).1, small()).unwrap();
        assert!(db.report().is_clean(), "{name}: {:?}", db.report());
        let rows = |stream: Stream| {
            let (rows, error) = read(&stream, false);
            assert!(error.is_none(), "{name}: {error:?}");
            (stream.name().to_owned(), rows)
        };
        let content = db.streams().into_iter().map(rows).collect();
        Self { name: name.to_owned(), files, content }
    }

    /// The files with one of them replaced.
    fn damaged(&self, file: &str, done: String, bytes: Vec<u8>) -> Case {
        let mut files = self.files.clone();
        files.insert(file.to_owned(), bytes);
        Case { file: file.to_owned(), done, files }
    }
}

/// Reads what a stream gives, up to the first error; or all of it, passing over what is missing.
fn read(stream: &Stream, skip_gaps: bool) -> (Vec<Row>, Option<Error>) {
    let mut rows = Vec::new();
    let options = if skip_gaps { WindowOptions::skip_gaps() } else { WindowOptions::default() };
    let window = match stream.window_with(.., options) {
        Ok(window) => window,
        Err(error) => return (rows, Some(error)),
    };
    for slice in window.slices() {
        let slice = match slice {
            Ok(slice) => slice,
            Err(error) => return (rows, Some(error)),
        };
        for (index, &ts) in slice.timestamps().iter().enumerate() {
            let columns = stream.columns().iter().enumerate().map(|(column, shape)| {
                let width = shape.value_bytes();
                slice.column_bytes(column)[index * width..(index + 1) * width].to_vec()
            });
            rows.push((ts, columns.collect()));
        }
    }
    (rows, None)
}

/// Whether `rows` are some of `all`, in their order.
fn are_among(rows: &[Row], all: &[Row]) -> bool {
    let mut rest = all.iter();
    rows.iter().all(|row| rest.any(|other| other == row))
}

/// Whether `rows` lie together in `all`.
fn lie_together(rows: &[Row], all: &[Row]) -> bool {
    rows.is_empty() || all.windows(rows.len()).any(|window| window == rows)
}

fn is_named(error: &Error) -> bool {
    error.is_damage() || matches!(error, Error::Incompatible { .. } | Error::NotADatabase { .. })
}

/// Judges an opened database: what it hands out, and what it says of the rest. Returns how many
/// records it hands out.
fn judge(golden: &Golden, case: &Case, db: &Database) -> Result<usize, String> {
    let report = db.report();
    let told = !report.damage.is_empty() || !report.lost.is_empty();
    let recovered = !matches!(db.flush(Level::Memory), Err(Error::ReadOnly));
    // Nothing but itself tells how long the last file was: cut, it is as a crash leaves it.
    let is_last = golden.files.keys().next_back().map(String::as_str) == Some(case.file.as_str());
    // Zeros behind what is left are space set aside.
    let was_cut = is_last
        && case.files.get(&case.file).is_some_and(|bytes| {
            let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            let sound = &golden.files[&case.file];
            used < sound.len() && sound.starts_with(&bytes[..used])
        });
    // To a reader the end of an open segment is "not yet"; a recovery has to tell. Without
    // its footer or index the last segment is open again.
    let end_is_open = is_last && report.scanned.contains(&case.file);
    let told = told || was_cut || (end_is_open && (!recovered || !report.torn.is_empty()));
    let mut handed_out = 0;
    let known: Vec<String> = db.streams().iter().map(|stream| stream.name().to_owned()).collect();
    if let Some(other) = known.iter().find(|name| !golden.content.contains_key(*name)) {
        return Err(format!("a stream {other:?} out of nowhere"));
    }
    for (name, all) in &golden.content {
        let Ok(stream) = db.stream(name) else {
            if told {
                continue;
            }
            return Err(format!("{name} is missing, and nothing tells"));
        };
        let (rows, error) = read(&stream, false);
        if !are_among(&rows, all) {
            let odd = rows.iter().zip(all).position(|(row, other)| row != other);
            let times: Vec<i64> = rows.iter().map(|row| row.0).collect();
            return Err(format!("{name}: wrong records from {odd:?} on: {times:?}"));
        }
        if let Some(error) = &error {
            if !is_named(error) {
                return Err(format!("{name}: {error}"));
            }
        } else if !lie_together(&rows, all) {
            return Err(format!("{name}: records are missing from the middle of a window"));
        } else if rows.len() < all.len() && !told {
            let missing = all.len() - rows.len();
            return Err(format!("{name}: {missing} records are missing, and nothing tells"));
        }
        let (rows, skipped) = read(&stream, true);
        if !are_among(&rows, all) {
            return Err(format!("{name}: wrong records with gaps passed over"));
        }
        if let Some(error) = skipped.filter(|error| !is_named(error)) {
            return Err(format!("{name}: {error}"));
        }
        handed_out += rows.len();
        for (ts, _) in [all.first(), all.get(all.len() / 2), all.last()].into_iter().flatten() {
            match stream.at(*ts) {
                Err(error) if is_named(&error) => {}
                Err(error) => return Err(format!("{name}: at({ts}): {error}")),
                Ok(None) if told => {}
                Ok(Some(record)) if record.ts() == *ts || (told && record.ts() < *ts) => {}
                Ok(found) => {
                    let found = found.map(|record| record.ts());
                    return Err(format!("{name}: at({ts}) is {found:?}"));
                }
            }
        }
    }
    Ok(handed_out)
}

/// Opens and reads damaged files in every way. `thorough` recovers and opens again, too.
fn check(golden: &Golden, case: &Case, thorough: bool) -> Result<(), String> {
    let files = &case.files;
    let before = match Database::open_read_only_on(device(files).1, small()) {
        Ok(db) => judge(golden, case, &db).map_err(|what| format!("read-only: {what}"))?,
        Err(error) if is_named(&error) => 0,
        Err(error) => return Err(format!("opening read-only: {error}")),
    };
    let (memory, shared) = device(files);
    let db = match Database::open_on(Arc::clone(&shared), small()) {
        Ok(db) => db,
        Err(error) if is_named(&error) => return Ok(()),
        Err(error) => return Err(format!("opening: {error}")),
    };
    let after = judge(golden, case, &db).map_err(|what| format!("recovered: {what}"))?;
    if after < before {
        return Err(format!("{before} records were readable, {after} after recovery"));
    }
    if !thorough {
        return Ok(());
    }
    // Going on with what is there, and opening it again, loses nothing more.
    let more =
        db.create_stream("more", presence::Schema::single(presence::DType::U8, &[]).unwrap());
    let more = more.map_err(|error| format!("going on: {error}"))?;
    let mut writer = more.writer::<u8>().map_err(|error| format!("going on: {error}"))?;
    writer.append(1, 1).and_then(|()| writer.flush(Level::Disk)).map_err(|e| e.to_string())?;
    drop((writer, more));
    db.close().map_err(|error| format!("closing: {error}"))?;
    let kept = memory.files();
    for (name, bytes) in files {
        // Zeros at the end are space set aside, to be written to.
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let untouched = kept.get(name).is_some_and(|now| now.starts_with(&bytes[..used]));
        if !untouched && !name.starts_with(".tmp-") {
            return Err(format!("{name} was changed or removed"));
        }
    }
    let db = Database::open_on(shared, small()).map_err(|error| format!("again: {error}"))?;
    let mut again = 0;
    for name in golden.content.keys() {
        if let Ok(stream) = db.stream(name) {
            again += read(&stream, true).0.len();
        }
    }
    let added = db.stream("more").and_then(|stream| stream.last());
    match added {
        Ok(Some(record)) if record.ts() == 1 => {}
        other => return Err(format!("what was appended afterwards is {other:?}")),
    }
    if again < after {
        return Err(format!("{after} records were readable, {again} after going on"));
    }
    Ok(())
}

/// Checks `count` cases on all cores; tells of each kind of failure once.
fn check_all(golden: &Golden, count: usize, case: impl Fn(usize) -> Case + Sync) {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count || failures.lock().unwrap().len() > 8 {
                return;
            }
            let case = case(index);
            let thorough = index.is_multiple_of(32);
            let run = AssertUnwindSafe(|| check(golden, &case, thorough));
            let what = match catch_unwind(run) {
                Ok(Ok(())) => continue,
                Ok(Err(what)) => what,
                Err(_) => "a panic".to_owned(),
            };
            let line = format!("{}, {}, {}: {what}", golden.name, case.file, case.done);
            failures.lock().unwrap().push(line);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// Flips every `stride`-th bit: every one where it is 1.
fn flip_bits(golden: &Golden, stride: usize) -> usize {
    let mut bits = 0;
    for (name, bytes) in &golden.files {
        check_all(golden, bytes.len() * 8 / stride, |index| {
            let bit = index * stride;
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let done = format!("byte {} bit {} flipped", bit / 8, bit % 8);
            golden.damaged(name, done, bytes)
        });
        bits += bytes.len() * 8 / stride;
    }
    figure("bit flips", bits as u64);
    bits
}

fn other_damage(golden: &Golden) -> usize {
    let mut count = 0;
    for (name, bytes) in &golden.files {
        check_all(golden, bytes.len(), |len| {
            golden.damaged(name, format!("cut to {len} bytes"), bytes[..len].to_vec())
        });
        check_all(golden, 200, |index| {
            let by = if index < 100 { index + 1 } else { (index - 99) * 41 };
            let mut random = Random(index as u64);
            let more = (0..by).map(|_| if index % 2 == 0 { 0 } else { random.next() as u8 });
            let bytes = bytes.iter().copied().chain(more).collect();
            golden.damaged(name, format!("{by} bytes added ({index})"), bytes)
        });
        let sectors = bytes.len().div_ceil(512);
        check_all(golden, sectors, |sector| {
            let mut bytes = bytes.clone();
            let end = bytes.len().min((sector + 1) * 512);
            bytes[sector * 512..end].fill(0);
            golden.damaged(name, format!("sector {sector} zeroed"), bytes)
        });
        check_all(golden, scaled(300) as usize, |seed| {
            let mut random = Random(seed as u64 * 1000);
            let mut bytes = bytes.clone();
            for _ in 0..2 + random.below(6) {
                let at = random.below(bytes.len() as u64) as usize;
                let len = 1 + random.below(40) as usize;
                let end = bytes.len().min(at + len);
                bytes[at..end].iter_mut().for_each(|byte| *byte = random.next() as u8);
            }
            golden.damaged(name, format!("garbage, seed={seed}"), bytes)
        });
        let swaps = swapped_entries(bytes);
        check_all(golden, swaps.len(), |index| {
            let (done, bytes) = swaps[index].clone();
            golden.damaged(name, done, bytes)
        });
        let others = 200 + sectors + scaled(300) as usize + swaps.len();
        figure("truncations", bytes.len() as u64);
        figure("other damages", others as u64);
        count += bytes.len() + others;
    }
    count
}

/// Every pair of entries of one length swapped, and every entry put over each other one.
fn swapped_entries(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let Ok(header) = SegmentHeader::decode(bytes) else { return Vec::new() };
    let entries: Vec<(usize, usize)> = (128..bytes.len())
        .step_by(64)
        .filter_map(|at| {
            let entry = Entry::parse(&bytes[at..], header.place(), at as u32).ok()?;
            let end = entry.end() as usize;
            (end <= bytes.len() && entry.kind != EntryKind::Index).then_some((at, end))
        })
        .collect();
    let mut swaps = Vec::new();
    for (index, &(a, a_end)) in entries.iter().enumerate() {
        for &(b, b_end) in &entries[index + 1..] {
            if a_end - a != b_end - b {
                continue;
            }
            let mut swapped = bytes.to_vec();
            swapped[a..a_end].copy_from_slice(&bytes[b..b_end]);
            let over = swapped.clone();
            swapped[b..b_end].copy_from_slice(&bytes[a..a_end]);
            swaps.push((format!("entries at {a} and {b} swapped"), swapped));
            swaps.push((format!("entry at {b} put over the one at {a}"), over));
        }
    }
    swaps
}

/// Files after these steps; `close` seals the last segment.
fn files_after(steps: &[Step], close: bool) -> Files {
    let sim = SimDevice::new();
    let mut player = Player::create(&sim, Arc::new(sim.clone())).unwrap();
    steps.iter().for_each(|step| player.step(*step).unwrap());
    let db = player.database();
    let trace = player.end();
    if close {
        db.unwrap().close().unwrap();
    }
    trace.sim.files()
}

const STREAMS: [Step; 3] = [Step::Create, Step::Create, Step::Create];

fn goldens() -> Vec<Golden> {
    use Step::{Append, Batch, Compact, Drop, Flush};
    let disk = Flush(Level::Disk);
    let some = [Batch(0, 12), disk, Append(1, 9), Batch(2, 40), disk, Append(0, 3)];
    let open = [Batch(0, 20), Append(1, 5), disk, Append(2, 6), disk, Append(0, 1), disk];
    let several = [Batch(0, 150), disk, Batch(1, 90), disk, Batch(2, 200), disk];
    let with = |steps: &[Step]| [&STREAMS[..], steps].concat();
    let mut compacted = with(&several);
    compacted.extend([Compact, Append(0, 5), disk]);
    let mut dropped = with(&some);
    dropped.extend([Drop, Append(1, 6), Drop, Append(2, 3)]);
    vec![
        Golden::new("one sealed segment", files_after(&with(&some), true)),
        Golden::new("an open segment", files_after(&with(&open), false)),
        Golden::new("several segments, the last open", files_after(&with(&several), false)),
        Golden::new("several sealed segments", files_after(&with(&several), true)),
        Golden::new("compacted segments", files_after(&compacted, false)),
        Golden::new("sealed by recovery", files_after(&dropped, true)),
    ]
}

#[test]
fn every_bit_flipped() {
    for golden in goldens() {
        // A prime: over all bytes every bit of a byte is met.
        let stride = if golden.files.len() > 2 { (19.0 / scale()).max(1.0) as usize } else { 1 };
        let bits = flip_bits(&golden, stride);
        println!("{}: {bits} bits", golden.name);
    }
}

#[test]
fn cut_extended_zeroed_swapped() {
    for golden in goldens() {
        let count = other_damage(&golden);
        println!("{}: {count} damages", golden.name);
    }
}

#[test]
fn files_of_other_databases_and_older_versions() {
    use Step::{Batch, Flush};
    let disk = Flush(Level::Disk);
    let steps = [&STREAMS[..], &[Batch(0, 150), disk, Batch(1, 90), disk, Batch(2, 200), disk]];
    let golden = Golden::new("several segments", files_after(&steps.concat(), false));
    // Another database that did the same: its id differs, and nothing else.
    let other = {
        let sim = SimDevice::new();
        sim.random().unwrap();
        let mut player = Player::create(&sim, Arc::new(sim.clone())).unwrap();
        steps.concat().iter().for_each(|step| player.step(*step).unwrap());
        player.end().sim.files()
    };
    assert_eq!(other.keys().collect::<Vec<_>>(), golden.files.keys().collect::<Vec<_>>());
    let names: Vec<&String> = golden.files.keys().collect();
    let mut cases: Vec<Case> = Vec::new();
    for name in &names {
        let bytes = other[*name].clone();
        cases.push(golden.damaged(name, "from another database".to_owned(), bytes));
        for from in &names {
            if from != name {
                let bytes = golden.files[*from].clone();
                cases.push(golden.damaged(name, format!("is {from}"), bytes));
            }
        }
        let mut files = golden.files.clone();
        files.remove(*name);
        // The last segment lost whole cannot be known: nothing names it.
        if Some(name) != names.last() {
            let (file, done) = ((*name).clone(), "removed".to_owned());
            cases.push(Case { file, done, files });
        }
    }
    // What each file was after every step of the run.
    for count in STREAMS.len()..steps.concat().len() {
        let older = files_after(&steps.concat()[..count], false);
        for (name, bytes) in older {
            let now = golden.files.get(&name);
            if now.is_some_and(|now| *now != bytes) && Some(&&name) != names.last() {
                cases.push(golden.damaged(&name, format!("as it was after {count} steps"), bytes));
            }
        }
    }
    println!("{} swapped, missing and older files", cases.len());
    check_all(&golden, cases.len(), |index| cases[index].clone());
    figure("other damages", cases.len() as u64);
}

/// The golden vectors of the format: each one segment, read alone.
#[test]
fn every_bit_and_length_of_the_golden_vectors() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../format-spec/vectors/v1");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        crate::support::skipped("there are no golden vectors");
        return;
    };
    let mut vectors = 0;
    let mut bits = 0;
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|e| e == "presence")) {
        let bytes = std::fs::read(path).unwrap();
        let number = u32::from_le_bytes(bytes[32..36].try_into().unwrap());
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let files = Files::from([(format!("seg-{number:08x}.presence"), bytes)]);
        let db = Database::open_read_only_on(device(&files).1, small());
        let db = db.unwrap_or_else(|error| panic!("{name}: {error}"));
        if !db.report().is_clean() {
            // Damaged by intent, or one of several files: what it must give stands in its twin.
            let apart = ["rot", "torn", "resumed", "second-segment", "compacted"];
            assert!(apart.iter().any(|word| name.contains(word)), "{name}");
            continue;
        }
        let golden = Golden::new(&name, files);
        vectors += 1;
        if golden.files.values().all(|bytes| bytes.len() <= 64 << 10) {
            bits += flip_bits(&golden, 1);
        }
        other_damage(&golden);
    }
    println!("{vectors} vectors, {bits} bits flipped");
}
