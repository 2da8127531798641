//! The page cache under readers: answers are the same however small it is, memory stays within its
//! budget, databases share one, and what is given up leaves it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use presence::{
    Compression, DType, Database, Level, Options, PageCache, Retention, Schema, Stream,
    WindowOptions,
};

use crate::support::{Random, figure, mix, replay_line, scaled, seed};

const RECORDS: u64 = 6_000;

/// Timestamps have gaps of 1 to 4.
fn ts(sequence: u64) -> i64 {
    (sequence * 3 + mix(sequence) % 2) as i64
}

fn value(database: u64, sequence: u64) -> i64 {
    (mix(sequence ^ database << 40) % 1000) as i64
}

fn options(cache: &PageCache, map: bool) -> Options {
    let mut options = crate::support::small();
    options.segment_bytes = 16 << 10;
    options.compacted_block_bytes = 512;
    options.cache = Some(cache.clone());
    options.map = map;
    options
}

/// A database with records of which some are still in an active segment.
fn filled(path: &Path, number: u64, options: Options) -> (Database, Stream) {
    let compressions = [Compression::Packed, Compression::Lz4, Compression::None];
    let compression = compressions[number as usize % 3];
    let db = Database::create(path, options).unwrap();
    let schema = Schema::single(DType::I64, &[]).unwrap().with_compression(compression);
    let stream = db.create_stream("a", schema).unwrap();
    let mut writer = stream.writer::<i64>().unwrap();
    for sequence in 0..RECORDS {
        writer.append(ts(sequence), value(number, sequence)).unwrap();
    }
    db.flush(Level::Disk).unwrap();
    drop(writer);
    (db, stream)
}

/// Checks one `at` and one window against what was appended. Returns the records looked at.
fn ask(stream: &Stream, database: u64, first: u64, random: &mut Random) -> u64 {
    let numbers = stream.typed::<i64>().unwrap();
    let sequence = first + random.below(RECORDS - first);
    assert_eq!(numbers.at(ts(sequence)).unwrap(), Some((ts(sequence), value(database, sequence))));
    let end = (sequence + 1 + random.below(200)).min(RECORDS);
    let end_ts = ts(end - 1) + 1;
    let window = stream.window_with(ts(sequence)..end_ts, WindowOptions::default()).unwrap();
    let expected: Vec<_> =
        (sequence..end).map(|sequence| (ts(sequence), value(database, sequence))).collect();
    assert_eq!(window.to_vec::<i64>().unwrap(), expected);
    end - sequence + 1
}

#[test]
fn answers_do_not_depend_on_the_cache() {
    let mut checked = 0;
    for (bytes_max, map) in
        [(0, true), (700, false), (3_000, true), (3_000, false), (1 << 20, false)]
    {
        let dir = tempfile::tempdir().unwrap();
        let cache = PageCache::with_workers(bytes_max, 2);
        let databases = [0_u64, 1, 2].map(|number| {
            let path = dir.path().join(number.to_string());
            filled(&path, number, options(&cache, map))
        });
        std::thread::scope(|scope| {
            let readers = (0..3_u64).map(|reader| {
                let (databases, cache) = (&databases, &cache);
                scope.spawn(move || {
                    let mut random = Random(mix(seed() ^ reader));
                    let mut checked = 0;
                    for _ in 0..scaled(150) {
                        let number = random.below(3);
                        checked += ask(&databases[number as usize].1, number, 0, &mut random);
                        assert!(cache.stats().bytes <= bytes_max as u64);
                    }
                    checked
                })
            });
            let readers: Vec<_> = readers.collect();
            for reader in readers {
                match reader.join() {
                    Ok(records) => checked += records,
                    Err(panic) => {
                        eprintln!("again: {}", replay_line());
                        std::panic::resume_unwind(panic);
                    }
                }
            }
        });
        for (number, (_, stream)) in databases.iter().enumerate() {
            assert_eq!(stream.iter().unwrap().count() as u64, RECORDS, "of {number}");
        }
        assert!(cache.stats().bytes <= bytes_max as u64);
    }
    figure("records read through page caches", checked);
}

#[test]
fn databases_share_a_budget_and_a_closed_one_gives_its_part_back() {
    let dir = tempfile::tempdir().unwrap();
    let cache = PageCache::with_workers(8_000, 0);
    let [left, right] = [0, 1]
        .map(|number| filled(&dir.path().join(number.to_string()), number, options(&cache, false)));
    assert_eq!((left.0.cache(), right.0.cache()), (&cache, &cache));
    let read = |stream: &Stream| stream.window(..).unwrap().timestamps().unwrap().len() as u64;
    assert_eq!((read(&left.1), read(&right.1)), (RECORDS, RECORDS));
    let both = cache.stats();
    assert!(both.bytes > 6_000 && both.bytes <= 8_000 && both.evictions > 0, "{both:?}");
    drop(left);
    read(&right.1);
    drop(right);
    assert_eq!((cache.stats().bytes, cache.stats().entries), (0, 0));
}

#[test]
fn segments_that_are_given_up_leave_the_cache_and_readers_keep_theirs() {
    let dir = tempfile::tempdir().unwrap();
    let cache = PageCache::with_workers(16 << 20, 0);
    let (db, stream) = filled(dir.path(), 0, options(&cache, false));
    let before = stream.window(..).unwrap();
    assert_eq!(before.timestamps().unwrap().len() as u64, RECORDS);
    let all = cache.stats().entries;
    let retained = db.retain(Retention::bytes_max(24 << 10)).unwrap();
    assert!(retained.records > 0);
    assert_eq!(before.timestamps().unwrap().len() as u64, RECORDS, "a reader keeps what it has");
    drop(before);
    let kept = cache.stats().entries;
    assert!(kept < all, "{kept} of {all} pages are left");
    let rest = stream.window(..).unwrap().timestamps().unwrap();
    assert_eq!(rest.len() as u64, RECORDS - retained.records);
    assert_eq!(cache.stats().entries, kept, "those of what is left were there");
    db.compact(|_, _| true).unwrap();
    assert_eq!(stream.window(..).unwrap().timestamps().unwrap(), rest);
    let after = cache.stats();
    assert!(after.entries < all && after.bytes <= 16 << 20, "{after:?}");
}

/// Readers of every kind beside compaction and retention, with room for two pages or three.
#[test]
fn pages_are_evicted_and_given_up_under_readers() {
    let dir = tempfile::tempdir().unwrap();
    let cache = PageCache::with_workers(1_500, 1);
    let (db, stream) = filled(dir.path(), 0, options(&cache, false));
    let (stop, answers) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for reader in 0..2_u64 {
            let (stream, stop, answers) = (&stream, &stop, &answers);
            scope.spawn(move || {
                let mut random = Random(mix(seed() ^ reader));
                while !stop.load(Ordering::Relaxed) || answers.load(Ordering::Relaxed) < 50 {
                    ask(stream, 0, RECORDS / 2, &mut random);
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut bytes = 40 << 10;
        for _ in 0..4 {
            db.compact(|_, _| true).unwrap();
            // Half of the records stay, whatever goes.
            let before = ts(RECORDS / 2 - bytes as u64 / 64) - 1;
            db.retain(Retention::before_us(before)).unwrap();
            bytes /= 2;
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(cache.stats().bytes <= 1_500);
    figure("answers while pages are given up", answers.into_inner());
}

/// A hot set stays through a scan ten times the cache, which is fetched ahead of its reader.
#[test]
fn a_scan_is_read_ahead_and_leaves_the_hot_set() {
    let dir = tempfile::tempdir().unwrap();
    let cache = PageCache::with_workers(20_000, 1);
    let (_db, stream) = filled(dir.path(), 0, options(&cache, false));
    let numbers = stream.typed::<i64>().unwrap();
    let hot: Vec<u64> = (0..12).map(|index| RECORDS - 1 - index * 40).collect();
    let look = |hot: &[u64]| {
        let before = cache.stats().misses;
        for &sequence in hot {
            assert_eq!(numbers.at(ts(sequence)).unwrap().unwrap().1, value(0, sequence));
        }
        cache.stats().misses - before
    };
    let mut colder = Random(seed());
    for _ in 0..20 {
        look(&hot);
        // Others come in between, so that the hot ones are seen to be used at several times.
        for _ in 0..10 {
            numbers.at(ts(colder.below(RECORDS / 2))).unwrap();
        }
    }
    cache.wait_idle();
    let before = cache.stats();
    let window = stream.window(..ts(RECORDS / 2)).unwrap();
    for slice in window.slices() {
        slice.unwrap();
        cache.wait_idle();
    }
    let scanned = cache.stats();
    let useful = scanned.prefetches_useful - before.prefetches_useful;
    let wasted = scanned.prefetches_wasted - before.prefetches_wasted;
    let loads = scanned.loads - before.loads;
    assert!(useful > 10 * loads.max(1), "{useful} fetched ahead, {loads} not: {scanned:?}");
    assert!(wasted * 20 <= useful, "{wasted} of {useful} were wasted");
    assert!(look(&hot) <= 2, "the scan has washed out the hot set: {:?}", cache.stats());
}

#[test]
fn threads_begin_with_the_first_page_that_is_fetched_ahead() {
    let dir = tempfile::tempdir().unwrap();
    let cache = PageCache::with_workers(1 << 20, 2);
    let (_db, stream) = filled(dir.path(), 0, options(&cache, false));
    for sequence in [0, 3_000, 700, 5_900] {
        assert!(stream.at(ts(sequence)).unwrap().is_some());
    }
    let stats = cache.stats();
    assert_eq!((stats.workers, stats.misses), (0, 4), "no page follows from these: {stats:?}");
    assert_eq!(stream.iter().unwrap().count() as u64, RECORDS);
    assert_eq!(cache.stats().workers, 2);
}

/// Without room for any page, a window loads each of its pages once all the same.
#[test]
fn a_window_loads_the_pages_of_its_ends_once() {
    let dir = tempfile::tempdir().unwrap();
    let cache = PageCache::with_workers(0, 0);
    let (_db, stream) = filled(dir.path(), 0, options(&cache, false));
    let (mut slices, mut loads, mut more) = (0, 0, 0);
    for first in (1..RECORDS - 40).step_by(97) {
        let before = cache.stats().loads;
        let window = stream.window(ts(first)..ts(first + 30)).unwrap();
        let here = window.slices().map(Result::unwrap).count() as u64;
        let loaded = cache.stats().loads - before;
        // The first record of a block is found behind the last one of the block before.
        assert!(loaded >= here && loaded <= here + 1, "{loaded} loads of {here} pages");
        (slices, loads, more) = (slices + here, loads + loaded, more + u64::from(loaded > here));
    }
    assert!(loads > 60 && more < slices / 4, "{loads} loads of {slices} pages, {more} more");
}
