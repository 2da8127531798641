//! Filters against naive versions, on random streams in random batches; hot pixels put over real
//! recordings.

use std::collections::HashMap;

use presence_events::filter::{
    ActivityFilter, BackgroundActivity, Chain, Crop, Decimate, Downsample, Filter, Flip,
    HotPixelFilter, HotPixelRule, PixelCounts, PolarityFilter, Preprocess, PreprocessOptions,
    Refractory, RefractoryReset, Remap, Roi, RoiFilter, TimeFilter, Transpose,
};
use presence_events::{Event, EventBatch, Options, SensorSize};
use proptest::prelude::*;

use crate::support::{figure, recording, scaled, whole};

const SIZE: SensorSize = SensorSize { width: 12, height: 9 };

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = (-3..20_i64, 0..14_u16, 0..10_u16, 0..2_u8);
    proptest::collection::vec(event, 0..500).prop_map(|steps| {
        let mut t = -50;
        let each = steps.into_iter().map(|(step, x, y, polarity)| {
            t += step;
            Event { t, x, y, polarity }
        });
        each.collect()
    })
}

/// What a filter keeps of a stream in batches of `size`.
fn kept(mut filter: impl Filter, events: &[Event], size: usize) -> Vec<Event> {
    let mut all = Vec::new();
    for part in events.chunks(size) {
        let mut batch: EventBatch = part.iter().copied().collect();
        filter.apply(&mut batch);
        all.extend(batch.iter());
    }
    let mut rest = EventBatch::new();
    filter.finish(&mut rest);
    all.extend(rest.iter());
    all
}

fn only(events: &[Event], keep: impl FnMut(&Event) -> bool) -> Vec<Event> {
    let mut keep = keep;
    events.iter().copied().filter(|event| keep(event)).collect()
}

fn naive_refractory(
    size: SensorSize,
    events: &[Event],
    period: i64,
    reset: RefractoryReset,
) -> Vec<Event> {
    let mut last: HashMap<(u16, u16), i64> = HashMap::new();
    only(events, |event| {
        let pixel = (event.x, event.y);
        let inside = size.contains(event.x, event.y);
        let keep = inside && last.get(&pixel).is_none_or(|before| event.t - before > period);
        if keep || reset == RefractoryReset::ByAny {
            last.insert(pixel, event.t);
        }
        keep
    })
}

fn naive_background(size: SensorSize, events: &[Event], window: i64) -> Vec<Event> {
    // When each pixel fired last: as which event, and at what time.
    let mut last: HashMap<(i32, i32), (usize, i64)> = HashMap::new();
    let mut n = 0;
    only(events, |event| {
        if !size.contains(event.x, event.y) {
            return false;
        }
        let (x, y) = (i32::from(event.x), i32::from(event.y));
        let around = (-1..=1).flat_map(|dx| (-1..=1).map(move |dy| (dx, dy)));
        let neighbours = around.filter(|pixel| *pixel != (0, 0));
        let before = neighbours.filter_map(|(dx, dy)| last.get(&(x + dx, y + dy))).max();
        let keep = before.is_some_and(|(_, t)| *t <= event.t && event.t - t <= window);
        n += 1;
        last.insert((x, y), (n, event.t));
        keep
    })
}

/// Without the pixels that have more events than the one at this rank among those that have any.
fn naive_percentile(events: &[Event], part: f64) -> Vec<Event> {
    let mut counts: HashMap<_, u32> = HashMap::new();
    for event in events {
        *counts.entry((event.x, event.y)).or_default() += 1;
    }
    let mut active: Vec<_> = counts.values().copied().collect();
    active.sort_unstable();
    let rank = (active.len().saturating_sub(1) as f64 * part + 0.5) as usize;
    let limit = active.get(rank).copied().unwrap_or(0);
    only(events, |event| counts[&(event.x, event.y)] <= limit)
}

fn naive_activity(events: &[Event], window: i64, min: usize, max: usize) -> Vec<Event> {
    let mut windows: Vec<(i64, Vec<Event>)> = Vec::new();
    for event in events {
        let at = event.t.div_euclid(window);
        match windows.last_mut() {
            Some((open, of)) if at <= *open => of.push(*event),
            _ => windows.push((at, vec![*event])),
        }
    }
    windows.retain(|(_, of)| (min..=max).contains(&of.len()));
    windows.into_iter().flat_map(|(_, of)| of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(scaled(200)))]

    #[test]
    fn filters_equal_naive_ones(
        events in events(),
        size in 1..200_usize,
        bounds in (0..14_u16, 0..14_u16, 0..10_u16, 0..10_u16),
        times in (-60..500_i64, -60..3_000_i64),
        small in 0..30_i64,
    ) {
        let (first, last) = times;
        let time = TimeFilter { first: Some(first), last: Some(last) };
        prop_assert_eq!(kept(time, &events, size), only(&events, |e| e.t >= first && e.t <= last));
        let (x_min, x_max, y_min, y_max) = bounds;
        let roi = Roi { x_min, x_max, y_min, y_max };
        let is_in = |e: &Event| e.x >= x_min && e.x <= x_max && e.y >= y_min && e.y <= y_max;
        let rois = RoiFilter(vec![roi, Roi { x_min: 0, x_max: 1, y_min: 0, y_max: 9 }]);
        prop_assert_eq!(kept(rois, &events, size), only(&events, |e| is_in(e) || e.x <= 1));
        prop_assert_eq!(kept(RoiFilter(vec![]), &events, size), events.clone());
        let on = only(&events, |e| e.polarity == 1);
        prop_assert_eq!(kept(PolarityFilter(1), &events, size), on);
        let every = small as u64;
        let third = events.iter().copied().step_by(small.max(1) as usize).collect::<Vec<_>>();
        prop_assert_eq!(kept(Decimate::new(every), &events, size), third);
        for reset in [RefractoryReset::ByAny, RefractoryReset::ByKept] {
            let got = kept(Refractory::new(SIZE, small * 9, reset), &events, size);
            prop_assert_eq!(got, naive_refractory(SIZE, &events, small * 9, reset));
        }
        let background = BackgroundActivity::new(SIZE, small);
        prop_assert_eq!(kept(background, &events, size), naive_background(SIZE, &events, small));
        let (min, max) = (small as usize / 3, small as usize);
        let activity = ActivityFilter::new(40, min as u64, Some(max as u64));
        prop_assert_eq!(kept(activity, &events, size), naive_activity(&events, 40, min, max));
        let activity = ActivityFilter::new(40, min as u64, None);
        let want = naive_activity(&events, 40, min, usize::MAX);
        prop_assert_eq!(kept(activity, &events, size), want);
    }

    #[test]
    fn moves_equal_naive_ones(events in events(), size in 1..200_usize) {
        let mapped = |change: &dyn Fn(&mut Event)| {
            let mut events = events.clone();
            events.iter_mut().for_each(change);
            events
        };
        let roi = Roi { x_min: 3, x_max: 10, y_min: 2, y_max: 7 };
        let mut want = only(&events, |e| roi.contains(e.x, e.y));
        want.iter_mut().for_each(|e| (e.x, e.y) = (e.x - 3, e.y - 2));
        prop_assert_eq!(kept(Crop(roi), &events, size), want);
        let want = mapped(&|e| (e.x, e.y) = (e.x / 3, e.y / 2));
        prop_assert_eq!(kept(Downsample { columns: 3, rows: 2 }, &events, size), want);
        let want = mapped(&|e| (e.x, e.y) = (e.y, e.x));
        prop_assert_eq!(kept(Transpose, &events, size), want);
        let mut want = only(&events, |event| SIZE.contains(event.x, event.y));
        want.iter_mut().for_each(|e| (e.x, e.y) = (11 - e.x, 8 - e.y));
        let flip = Flip { size: SIZE, horizontally: true, vertically: true };
        prop_assert_eq!(kept(flip, &events, size), want);
        let positions: Vec<_> = (0..9_u8)
            .flat_map(|y| (0..12_u8).map(move |x| (f32::from(x) * 0.9 - 0.6, f32::from(y) + 0.4)))
            .collect();
        let map = Remap::of_positions(SIZE, SIZE, &positions);
        let target = |e: &Event| {
            let x = (f32::from(e.x) * 0.9 - 0.6 + 0.5).floor();
            (x >= 0.0 && SIZE.contains(e.x, e.y)).then_some(x as u16)
        };
        let mut want = only(&events, |e| target(e).is_some());
        want.iter_mut().for_each(|e| e.x = target(e).unwrap());
        prop_assert_eq!(kept(map, &events, size), want);
    }

    #[test]
    fn the_chain_is_its_filters_in_order(events in events(), size in 1..200_usize) {
        let roi = Roi { x_min: 1, x_max: 10, y_min: 0, y_max: 8 };
        let mut options = PreprocessOptions::new(SIZE);
        options.first = Some(100);
        options.roi = Some(roi);
        options.hot_pixels = Some(HotPixelRule::Percentile(90.0));
        options.refractory = Some((50, RefractoryReset::ByAny));
        let mut chain = Preprocess::new(options);
        for part in events.chunks(size) {
            chain.count(&part.iter().copied().collect());
        }
        let selected = only(&events, |e| e.t >= 100 && roi.contains(e.x, e.y));
        let cold = naive_percentile(&selected, 0.9);
        let want = naive_refractory(SIZE, &cold, 50, RefractoryReset::ByAny);
        prop_assert_eq!(kept(chain, &events, size), want);
    }

    #[test]
    fn held_events_pass_the_later_filters(events in events(), size in 1..200_usize) {
        let chain = Chain(vec![
            Box::new(ActivityFilter::new(40, 3, Some(30))),
            Box::new(PolarityFilter(1)),
        ]);
        let want = only(&naive_activity(&events, 40, 3, 30), |e| e.polarity == 1);
        prop_assert_eq!(kept(chain, &events, size), want);
    }
}

/// Recordings, their sensors, and a rectangle in the midst of what they see.
const REAL: [(&str, (u16, u16)); 4] = [
    ("derived/test_data_evt3_trigger_0.evt3.raw", (1280, 720)),
    ("neuromorphs+tonic/sample.aedat4", (320, 240)),
    ("neuromorphs+tonic/sample_ncars.dat", (120, 100)),
    ("neuromorphs+tonic/sample_nmnist.bin", (34, 34)),
];

#[test]
fn filters_of_real_streams_equal_naive_ones() {
    let mut compared = 0;
    for (name, (width, height)) in REAL {
        let Some(bytes) = recording(name) else { return };
        let events = whole(&bytes, &Options::default()).events();
        let size = SensorSize { width, height };
        for reset in [RefractoryReset::ByAny, RefractoryReset::ByKept] {
            let got = kept(Refractory::new(size, 1_000, reset), &events, 5_000);
            assert_eq!(got, naive_refractory(size, &events, 1_000, reset), "{name}");
        }
        let got = kept(BackgroundActivity::new(size, 2_000), &events, 5_000);
        let want = naive_background(size, &events, 2_000);
        assert!(!want.is_empty() && want.len() < events.len(), "{name} has both kinds of events");
        assert_eq!(got, want, "{name}");
        compared += 3 * events.len() as u64;
    }
    figure("events of real streams through filters and naive ones", compared);
}

#[test]
fn the_chain_over_real_streams_is_its_filters_in_order() {
    for (name, (width, height)) in REAL {
        let Some(bytes) = recording(name) else { return };
        let events = whole(&bytes, &Options::default()).events();
        let middle = events[events.len() / 3].t;
        let roi = Roi { x_min: width / 5, x_max: width / 5 * 4, y_min: 3, y_max: height - 3 };
        let mut options = PreprocessOptions::new(SensorSize { width, height });
        options.first = Some(middle);
        options.roi = Some(roi);
        options.polarity = Some(1);
        options.hot_pixels = Some(HotPixelRule::Percentile(99.0));
        options.refractory = Some((1_000, RefractoryReset::ByAny));
        let mut chain = Preprocess::new(options);
        for part in events.chunks(7_000) {
            chain.count(&part.iter().copied().collect());
        }
        let selected = only(&events, |event| {
            event.t >= middle && roi.contains(event.x, event.y) && event.polarity == 1
        });
        let cold = naive_percentile(&selected, 0.99);
        assert!(cold.len() < selected.len() && !cold.is_empty(), "{name} has hot pixels");
        let size = SensorSize { width, height };
        let want = naive_refractory(size, &cold, 1_000, RefractoryReset::ByAny);
        assert_eq!(kept(chain, &events, 7_000), want, "{name}");
    }
}

/// The reference's own example: a dropped event starts the period again.
#[test]
fn a_dropped_event_resets_the_period_as_in_the_reference() {
    let events = [0, 500, 1_000, 2_001].map(|t| Event { t, x: 0, y: 0, polarity: 1 });
    let times = |reset| {
        let kept = kept(Refractory::new(SIZE, 999, reset), &events, 2);
        kept.iter().map(|event| event.t).collect::<Vec<_>>()
    };
    assert_eq!(times(RefractoryReset::ByAny), [0, 2_001]);
    assert_eq!(times(RefractoryReset::ByKept), [0, 1_000, 2_001]);
}

/// A percentile always removes; the comparison with neighbours removes what is hot.
#[test]
fn hot_pixels_over_real_recordings_are_found() {
    for (name, size) in [
        ("open-neuromorphic+expelliarmus/evt2_sample.raw", (640, 480)),
        ("believeinlain+PyAedatTools/IMU_translBoxes.aedat", (240, 180)),
        ("neuromorphicsystems+faery/dvs.es", (320, 240)),
        ("neuromorphs+tonic/sample.aedat4", (320, 240)),
    ] {
        let Some(bytes) = recording(name) else { return };
        let size = SensorSize { width: size.0, height: size.1 };
        let scene = whole(&bytes, &Options::default()).out.events;
        let mut counts = PixelCounts::new(size);
        counts.add(&scene);
        let before = HotPixelFilter::new(&counts, HotPixelRule::default()).hot_pixels();
        let clean = counts.hot(HotPixelRule::default());
        // One pixel of 500 fires by itself, 20 to 200 times as often as the mean pixel.
        let mean = scene.len() as f64 / size.pixels() as f64;
        let mut random = 1_u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % below
        };
        let mut noise = EventBatch::new();
        let mut hot = vec![false; size.pixels()];
        for _ in 0..size.pixels() / 500 {
            let (x, y) = (next(size.width.into()) as u16, next(size.height.into()) as u16);
            hot[size.index(x, y)] = true;
            for _ in 0..((20 + next(180)) as f64 * mean.max(2.0)) as usize {
                noise.push(Event { t: 0, x, y, polarity: 1 });
            }
        }
        counts.add(&noise);
        let found = counts.hot(HotPixelRule::default());
        let judged: Vec<_> = found.iter().zip(&hot).zip(&clean).collect();
        let hits = judged.iter().filter(|((found, hot), _)| **found && **hot).count();
        let wrong = judged.iter().filter(|((found, hot), was)| **found && !**hot && !**was).count();
        let all = hot.iter().filter(|hot| **hot).count();
        figure("hot pixels found", hits as u64);
        figure("pixels taken for hot that are not", wrong as u64);
        eprintln!("{name}: {hits} of {all}, wrong {wrong}, before {before} of {}", size.pixels());
        assert!(hits * 100 > all * 95, "{name}: {hits} of {all} found");
        assert!(wrong * 1_000 < size.pixels(), "{name}: {wrong} wrong");
        assert!(before * 1_000 < size.pixels() * 10, "{name}: {before} without noise");
    }
}
