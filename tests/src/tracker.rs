//! What went wrong in the tracker that this one replaces, each by its name.

use presence::{Config, Error, Grid, PresenceTrack, PresenceTracker, class};

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
