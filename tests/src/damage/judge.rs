//! What must hold of a damaged database: no panic; every record that is handed out is the one that
//! was written; where fewer are handed out, the report or an error says so; nothing is written over
//! to repair it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use presence::{Database, Error, Level, Stream};
use presence_format::zeros::used_len;

use super::golden::{Case, Golden, Rows, device, read};
use crate::support::{replay_line, small};

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
            let used = used_len(bytes);
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
        if !rows.are_among(all) {
            let odd = rows.iter().zip(all.iter()).position(|(row, other)| row != other);
            let times: Vec<_> = (0..rows.len()).map_while(|index| rows.ts(index)).collect();
            return Err(format!("{name}: wrong records from {odd:?} on: {times:?}"));
        }
        if let Some(error) = &error {
            if !is_named(error) {
                return Err(format!("{name}: {error}"));
            }
        } else if !rows.lie_together(all) {
            return Err(format!("{name}: records are missing from the middle of a window"));
        } else if rows.len() < all.len() && !told {
            let missing = all.len() - rows.len();
            return Err(format!("{name}: {missing} records are missing, and nothing tells"));
        }
        let rows = if rows == *all { rows } else { passing_over(&stream, all)? };
        handed_out += rows.len();
        let some = [0, all.len() / 2, all.len().saturating_sub(1)];
        for ts in some.into_iter().filter_map(|index| all.ts(index)) {
            match stream.at(ts) {
                Err(error) if is_named(&error) => {}
                Err(error) => return Err(format!("{name}: at({ts}): {error}")),
                Ok(None) if told => {}
                Ok(Some(record)) if record.ts() == ts || (told && record.ts() < ts) => {}
                Ok(found) => {
                    let found = found.map(|record| record.ts());
                    return Err(format!("{name}: at({ts}) is {found:?}"));
                }
            }
        }
    }
    Ok(handed_out)
}

/// What a stream gives when gaps are passed over: some of `all`, whatever is damaged.
fn passing_over(stream: &Stream, all: &Rows) -> Result<Rows, String> {
    let name = stream.name();
    let (rows, error) = read(stream, true);
    if !rows.are_among(all) {
        return Err(format!("{name}: wrong records with gaps passed over"));
    }
    match error.filter(|error| !is_named(error)) {
        Some(error) => Err(format!("{name}: {error}")),
        None => Ok(rows),
    }
}

/// How much is done with damaged files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Depth {
    /// Opened read-only, and read in every way.
    Read,
    /// Opened by a writer, too, which recovers, and read again.
    Recover,
    /// Written to after that, closed, and opened once more.
    GoOn,
}

/// Opens and reads damaged files in every way.
fn check(golden: &Golden, case: &Case, depth: Depth) -> Result<(), String> {
    let files = &case.files;
    let before = match Database::open_read_only_on(device(files).1, small()) {
        Ok(db) => judge(golden, case, &db).map_err(|what| format!("read-only: {what}"))?,
        Err(error) if is_named(&error) => 0,
        Err(error) => return Err(format!("opening read-only: {error}")),
    };
    if depth == Depth::Read {
        return Ok(());
    }
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
    if depth == Depth::Recover {
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
        let used = used_len(bytes);
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

/// Checks `count` cases on all cores, recovering from each, and going on with some.
pub(crate) fn check_all(golden: &Golden, count: usize, case: impl Fn(usize) -> Case + Sync) {
    let depth = |index: usize| if index.is_multiple_of(32) { Depth::GoOn } else { Depth::Recover };
    check_all_to(golden, count, depth, case);
}

/// Checks `count` cases on all cores, each as deeply as `depth` says; tells of each kind of failure
/// once.
pub(crate) fn check_all_to(
    golden: &Golden,
    count: usize,
    depth: impl Fn(usize) -> Depth + Sync,
    case: impl Fn(usize) -> Case + Sync,
) {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count || failures.lock().unwrap().len() > 8 {
                return;
            }
            let case = case(index);
            let run = AssertUnwindSafe(|| check(golden, &case, depth(index)));
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
    let again = replay_line();
    assert!(failures.is_empty(), "\n{}\n{again}", failures.join("\n"));
}
