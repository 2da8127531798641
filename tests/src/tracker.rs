//! What went wrong in the tracker that this one replaces, each by its name.

use std::sync::Arc;

use presence::device::MemoryDevice;
use presence::{
    Bucket, Config, Database, Error, Grid, IntervalOptions, Options, PresenceTrack,
    PresenceTracker, Retention, class,
};

use crate::support::small;

const FRAME_US: i64 = 33_334;

fn frame(number: i64) -> i64 {
    (number * 1_000_000 + 29) / 30
}

fn seen(tracker: &PresenceTracker, id: u16) -> Vec<i64> {
    tracker.list_presence_times(id, ..).unwrap()
}

#[test]
fn a_range_of_whole_blocks_is_not_zero() {
    let tracker = PresenceTracker::new();
    for number in 0..108_000 {
        tracker.update_batch(frame(number), &[(1, 0.9)], 0.5).unwrap();
    }
    assert_eq!(tracker.query_presence(1, ..).unwrap(), 1.0);
    assert_eq!(tracker.query_presence(1, 0..frame(128)).unwrap(), 1.0, "two blocks of 64");
}

#[test]
fn an_answer_is_never_that_of_before() {
    let tracker = PresenceTracker::new();
    tracker.update_batch(frame(0), &[(1, 0.9)], 0.5).unwrap();
    for number in 1..31 {
        let ratio = tracker.query_presence(1, 0..1_000_000).unwrap();
        assert_eq!(ratio, 1.0, "of what was observed until {number}");
        let count = tracker.track().count(&class(1), 0..1_000_000).unwrap();
        assert_eq!(count, (number as u64).min(30));
        tracker.update_batch(frame(number), &[(1, 0.9)], 0.5).unwrap();
    }
    // Two ranges in the same second are two questions.
    tracker.update_batch(10_900_000, &[(2, 0.9)], 0.5).unwrap();
    assert_eq!(tracker.query_presence(2, 10_000_000..10_100_000).unwrap(), 0.0);
    assert_eq!(tracker.query_presence(2, 10_900_000..11_000_000).unwrap(), 1.0);
}

#[test]
fn cleaning_up_frees_the_first_block_and_keeps_the_rest() {
    let tracker = PresenceTracker::new();
    for number in 0..300 {
        tracker.update_batch(frame(number), &[(1, 0.9), (2, 0.9)], 0.5).unwrap();
    }
    for before in [0, 1, 64, 65, 128, 200, 299, 300, 5000] {
        tracker.cleanup_old_data(frame(before)).unwrap();
        let left: Vec<i64> = (before.min(300)..300).map(frame).collect();
        assert_eq!(seen(&tracker, 1), left, "before frame {before}");
        assert_eq!(seen(&tracker, 2), left, "before frame {before}");
    }
    tracker.update_batch(frame(7), &[(1, 0.9)], 0.5).unwrap();
    assert_eq!(seen(&tracker, 1), [frame(7)], "usable afterwards");
    // The frame under way stays.
    tracker.cleanup_old_data(frame(7) + 10).unwrap();
    assert_eq!(seen(&tracker, 1), [frame(7)]);
}

#[test]
fn late_detections_are_kept_and_a_batch_is_all_or_nothing() {
    let tracker = PresenceTracker::new();
    for number in [100, 50, 99, 0, 98] {
        tracker.update_batch(frame(number), &[(1, 0.9)], 0.5).unwrap();
    }
    let times: Vec<i64> = [0, 50, 98, 99, 100].map(frame).to_vec();
    assert_eq!(seen(&tracker, 1), times);
    for bad in [f32::NAN, -0.1, 1.1, f32::INFINITY] {
        let refused = tracker.update_batch(frame(500), &[(1, 0.9)], bad);
        assert!(matches!(refused, Err(Error::Invalid { .. })), "a threshold of {bad}");
    }
    let refused = tracker.update_batch(frame(500), &[(1, 0.9), (2, f32::NAN)], 0.5);
    assert!(refused.unwrap_err().to_string().contains("class 2"));
    assert_eq!(seen(&tracker, 1), times, "part of a batch was set");
    assert!(seen(&tracker, 2).is_empty());
}

#[test]
fn a_detection_at_zero_stays_at_zero() {
    let tracker = PresenceTracker::new();
    for number in 0..4 {
        tracker.update_batch(frame(number), &[(1, 0.5)], 0.5).unwrap();
    }
    assert_eq!(seen(&tracker, 1), [0, frame(1), frame(2), frame(3)], "equal to the threshold");
}

#[test]
fn years_between_detections_cost_bytes() {
    const YEAR_US: i64 = 365 * 86_400_000_000;
    let tracker = PresenceTracker::new();
    let now_us = 1_700_000_000_000_000;
    for t_us in [0, YEAR_US, now_us, 100 * YEAR_US] {
        tracker.update_batch(t_us, &[(1, 0.9)], 0.5).unwrap();
    }
    assert_eq!(seen(&tracker, 1).len(), 4);
    assert!(tracker.track().memory_bytes() < 4096, "{}", tracker.track().memory_bytes());
}

#[test]
fn a_week_is_saved_loaded_and_dropped_without_recursion() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("week.presence");
    let tracker = PresenceTracker::new();
    let week_us = 7 * 86_400_000_000;
    tracker.track().set_range(1, 0..week_us).unwrap();
    tracker.track().name_class(7, "person").unwrap();
    tracker.update_batch(week_us, &[(7, 0.9)], 0.5).unwrap();
    tracker.save_to_file(&path).unwrap();
    tracker.save_to_file(&path).unwrap();
    let loaded = PresenceTracker::load_from_file(&path).unwrap();
    assert_eq!(loaded.track().count(&class(1), ..).unwrap(), 7 * 86_400 * 30);
    assert_eq!(loaded.track().count(&class("person"), ..).unwrap(), 1);
    assert_eq!(loaded.track().classes(), tracker.track().classes());
    drop((tracker, loaded));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "left-overs");
}

#[test]
fn sixty_four_frames_take_eight_bytes() {
    let tracker = PresenceTracker::new();
    let frames = 4 * 65_536_i64;
    let mut mix = 1_u64;
    for number in 0..frames {
        mix = mix.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let seen = if mix >> 63 == 1 { 0.9 } else { 0.1 };
        tracker.update_batch(frame(number), &[(1, seen)], 0.5).unwrap();
    }
    assert!(tracker.track().any(&class(1), ..).unwrap());
    // The class and what was observed, which is full.
    let bytes = tracker.track().memory_bytes() as i64;
    assert!(bytes <= frames / 8 + 4096, "{bytes} for {frames} frames");
}

#[test]
fn half_a_million_updates_are_no_walk_along_all_before() {
    // With a walk along all frames at each update this takes an hour; how long one update takes is
    // measured by the benchmarks.
    let tracker = PresenceTracker::new();
    for number in 0..500_000 {
        tracker.update_batch(frame(number), &[(1, 0.9)], 0.5).unwrap();
    }
    assert_eq!(tracker.track().count(&class(1), ..).unwrap(), 500_000);
}

#[test]
fn a_broken_file_is_an_error_and_not_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tracker");
    let load = |path| PresenceTracker::load_from_file(path).unwrap_err();
    assert!(matches!(load(&path), Error::NotADatabase { .. }), "missing");
    assert!(PresenceTracker::new().save_to_file(folder.path().join("no/where")).is_err());
    let tracker = PresenceTracker::new();
    (0..1000).for_each(|n| tracker.update_batch(frame(3 * n), &[(1, 0.9)], 0.5).unwrap());
    tracker.save_to_file(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let mut refused = 0;
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        std::fs::write(&path, &bytes).unwrap();
        match PresenceTracker::load_from_file(&path) {
            // Padding.
            Ok(loaded) => assert_eq!(seen(&loaded, 1), seen(&tracker, 1), "at byte {at}"),
            Err(error) => {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
    for len in [0, 1, 127, 128, whole.len() / 2] {
        std::fs::write(&path, &whole[..len]).unwrap();
        load(&path);
    }
}

#[test]
fn listing_and_asking_agree_about_every_moment() {
    let tracker = PresenceTracker::new();
    tracker.update_batch(1_000_000, &[(1, 0.9)], 0.5).unwrap();
    tracker.update_batch(1_040_000, &[(1, 0.9)], 0.5).unwrap();
    assert_eq!(seen(&tracker, 1), [1_000_000, 1_033_334], "one grid for all classes");
    for from in (990_000..1_080_000).step_by(777) {
        let range = from..from + 3000;
        let listed = tracker.list_presence_times(1, range.clone()).unwrap();
        let ratio = tracker.query_presence(1, range.clone()).unwrap();
        assert_eq!(listed.is_empty(), ratio == 0.0, "{range:?}");
    }
    // A moment is a range too.
    assert_eq!(tracker.query_presence(1, 1_040_000..=1_040_000).unwrap(), 1.0);
    let at = tracker.track().at(&class(1), 1_040_000 + 2 * FRAME_US).unwrap();
    assert_eq!(at, presence::Presence::NotObserved);
}

#[test]
fn true_thirty_a_second_never_skips_a_frame() {
    let tracker = PresenceTracker::new();
    for number in 0..300_000 {
        tracker.update_batch(frame(number), &[(1, 0.9)], 0.5).unwrap();
    }
    assert_eq!(seen(&tracker, 1).len(), 300_000);
    let one_by_one = tracker.iter_presence_times(1, ..).unwrap().map(Result::unwrap);
    assert!(one_by_one.eq((0..300_000).map(frame)));
}

#[test]
fn the_configuration_can_be_named_and_used() {
    let config = Config { time_resolution_us: Some(50), ..Config::default() };
    let tracker = PresenceTracker::with_config(config).unwrap();
    tracker.update_batch(1100, &[(1, 0.9)], 0.5).unwrap();
    assert_eq!(seen(&tracker, 1), [1100]);
    for bad in [
        Config { fps: 0, ..Config::default() },
        Config { time_resolution_us: Some(0), ..Config::default() },
        Config { bits_per_block: 0, ..Config::default() },
    ] {
        assert!(PresenceTracker::with_config(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn many_threads_lose_nothing() {
    let track = PresenceTrack::in_memory(Grid::new("1000000".parse().unwrap(), 0));
    let (threads, each) = (16_i64, 4000_i64);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let track = &track;
            scope.spawn(move || {
                for number in 0..each {
                    // Neighbours share words, and everyone a class.
                    let tick = number * threads + thread;
                    track.update_batch(tick, &[(0, 0.9), (1 + thread as u16, 0.9)], 0.5).unwrap();
                    if number % 1000 == 0 {
                        assert!(track.count(&class(0), ..).unwrap() > number as u64);
                    }
                }
            });
        }
    });
    assert_eq!(track.count(&class(0), ..).unwrap(), (threads * each) as u64);
    for thread in 0..threads {
        let mut times = Vec::new();
        let id = class(1 + thread as u16);
        track.timestamps(&id, ..).unwrap().read_all(&mut times).unwrap();
        assert!(times.iter().copied().eq((0..each).map(|n| n * threads + thread)));
    }
}

#[test]
fn a_track_reads_as_roaring() {
    let track = PresenceTrack::in_memory(Grid::new("30".parse().unwrap(), 0));
    track.set_range(3, 0..frame(100)).unwrap();
    track.set(3, frame(5_000_000_000)).unwrap();
    let mut bytes = Vec::new();
    assert_eq!(track.write_roaring(3, .., &mut bytes).unwrap(), 101);
    let read = roaring::RoaringTreemap::deserialize_from(&bytes[..]).unwrap();
    assert!(read.iter().eq((0..100).chain([5_000_000_000])));
    track.set(3, -1).unwrap();
    let refused = track.write_roaring(3, .., Vec::new());
    assert!(matches!(refused, Err(Error::Invalid { .. })), "ticks before the epoch");
    assert_eq!(track.write_roaring(3, 0.., Vec::new()).unwrap(), 101);
}

/// Ticks of a region, which is a block.
const REGION: i64 = 4_194_304;

fn micros() -> Grid {
    Grid::new("1000000".parse().unwrap(), 0)
}

fn in_segments(options: &Options) -> MemoryDevice {
    let device = MemoryDevice::new();
    let write = |set: &dyn Fn(&PresenceTrack)| {
        let db = Database::open_on(Arc::new(device.clone()), options.clone()).unwrap();
        set(&db.track("cam").unwrap());
        db.close().unwrap();
    };
    let db = Database::create_on(Arc::new(device.clone()), options.clone()).unwrap();
    let track = db.create_track("cam", micros()).unwrap();
    track.set_range(0, 0..100).unwrap();
    track.set_range(1, 50..100).unwrap();
    drop(track);
    db.close().unwrap();
    write(&|track| track.set_range(0, 2 * REGION..2 * REGION + 100).unwrap());
    write(&|track| track.set_range(1, 4 * REGION..4 * REGION + 100).unwrap());
    device
}

#[test]
fn a_lost_segment_refuses_only_what_it_touched() {
    let mut options = small();
    options.segment_bytes = 1 << 16;
    let device = in_segments(&options);
    let mut names: Vec<String> = device.files().into_keys().collect();
    names.retain(|name| name.starts_with("seg-"));
    assert_eq!(names.len(), 3);
    let is_gap = |error: Error| match error {
        Error::Gap(gap) => (gap.after_ts, gap.before_ts),
        other => panic!("{other}"),
    };
    let bounds = (Some(2 * REGION - 1), Some(3 * REGION));
    for damage in ["removed", "its header damaged"] {
        let device = device.fork();
        match damage {
            "removed" => presence::device::Device::unlink(&device, &names[1]).unwrap(),
            _ => {
                let mut bytes = device.files()[&names[1]].clone();
                bytes[40] ^= 1;
                device.replace(&names[1], &bytes);
            }
        }
        let db = Database::open_read_only_on(Arc::new(device), small()).unwrap();
        let track = db.track("cam").unwrap();
        let (first, second) = (class(0), class(1));
        // Before it, behind it, and up to it.
        assert_eq!(track.count(&first, 0..2 * REGION).unwrap(), 100);
        assert_eq!(track.ratio(&second, 0..2 * REGION).unwrap().present, 50);
        assert_eq!(track.count(&second, 3 * REGION..5 * REGION).unwrap(), 100);
        assert_eq!(track.first(&second, ..).unwrap(), Some(50));
        assert_eq!(track.last(&second, ..).unwrap(), Some(4 * REGION + 99));
        assert_eq!(track.next_after(&first, 98).unwrap(), Some(99));
        assert_eq!(track.previous_before(&second, 4 * REGION + 1).unwrap(), Some(4 * REGION));
        let at = track.at(&first, 4 * REGION).unwrap();
        assert_eq!(at, presence::Presence::Absent);
        // Across it.
        for (from, to) in [(0, 2 * REGION + 1), (3 * REGION - 1, 5 * REGION), (0, i64::MAX)] {
            let range = from..to;
            assert_eq!(is_gap(track.count(&first, range.clone()).unwrap_err()), bounds);
            assert_eq!(is_gap(track.ratio(&second, range.clone()).unwrap_err()), bounds);
            assert_eq!(is_gap(track.timestamps(&first, range.clone()).unwrap_err()), bounds);
            let options = IntervalOptions::new();
            assert_eq!(
                is_gap(track.intervals(&first, range.clone(), options).unwrap_err()),
                bounds
            );
            // Of this class the lost segment held nothing; of what was observed, it did.
            assert!(track.count(&second, range.clone()).is_ok());
            is_gap(track.count(&!second.clone(), range).unwrap_err());
        }
        is_gap(track.next_after(&first, 99).unwrap_err());
        is_gap(track.last(&first, ..).unwrap_err());
        is_gap(track.at(&second, 2 * REGION).unwrap_err());
        is_gap(track.co_occurrence(&[0, 1], ..).unwrap_err());
        let bucket = Bucket::Every(std::time::Duration::from_secs(3600));
        is_gap(track.ratio_every(&first, .., &bucket).unwrap_err());
        is_gap(track.write_roaring(0, .., Vec::new()).unwrap_err());
        // Of this class the lost segment held nothing: so its words count on.
        assert_eq!(track.write_roaring(1, .., Vec::new()).unwrap(), 150);
        is_gap(PresenceTrack::in_memory(micros()).merge(&track).unwrap_err());
        let lost = &db.report().lost;
        assert!(lost.iter().all(|lost| (lost.after_ts, lost.before_ts) == bounds), "{lost:?}");
        assert_eq!(lost.len(), 2, "{lost:?}");
        assert_eq!(track.skip_gaps().count(&first, ..).unwrap(), 100);
    }
}

#[test]
fn retention_gives_up_a_tick_in_all_planes_or_in_none() {
    let device = MemoryDevice::new();
    let db = Database::create_on(Arc::new(device.clone()), small()).unwrap();
    let track = db.create_track("cam", micros()).unwrap();
    let seal = || {
        db.compact(|_, _| true).unwrap();
    };
    // What was observed in the first segment, a class in the second; and the other way round.
    track.observe_range(0..1000).unwrap();
    track.set_range(0, 3 * REGION..3 * REGION + 5).unwrap();
    track.set_range(1, 7 * REGION..7 * REGION + 5).unwrap();
    seal();
    track.set_range(0, 10..20).unwrap();
    track.observe_range(3 * REGION..3 * REGION + 50).unwrap();
    seal();
    let first = db.segments()[0].bytes;
    let all: u64 = db.segments().iter().map(|segment| segment.bytes).sum();
    let retained = db.retain(Retention::bytes_max(all - first)).unwrap();
    assert_eq!(retained.files.len(), 1);
    for crashed in [false, true] {
        let db = match crashed {
            false => db.clone(),
            true => Database::open_on(Arc::new(device.fork()), small()).unwrap(),
        };
        let track = db.track("cam").unwrap();
        let ratio = |id: u16, range| {
            let ratio = track.ratio(&class(id), range).unwrap();
            (ratio.present, ratio.observed)
        };
        assert_eq!(ratio(0, 0..REGION), (10, 1000));
        assert_eq!(ratio(0, 3 * REGION..4 * REGION), (5, 50));
        assert_eq!(ratio(1, 7 * REGION..8 * REGION), (0, 0), "this alone was given up");
    }
}
