//! Representations against naive versions, on random and real streams.

use std::collections::HashMap;

use presence_events::represent::{
    EventFrame, MixedDensity, Span, StackedHistogram, TimeSurface, VoxelGrid,
};
use presence_events::{Event, EventBatch, Options, SensorSize};
use proptest::prelude::*;

use crate::support::{recording, scaled, whole};

const SIZE: SensorSize = SensorSize { width: 5, height: 4 };

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = (0..1_000_i64, 0..6_u16, 0..5_u16, 0..2_u8);
    proptest::collection::vec(event, 1..200).prop_map(|events| {
        let each = events.into_iter().map(|(t, x, y, polarity)| Event { t, x, y, polarity });
        let mut events: Vec<_> = each.collect();
        events.sort_by_key(|event| event.t);
        events
    })
}

fn span(events: &[Event]) -> Span {
    Span { first: events[0].t, last: events[events.len() - 1].t }
}

fn batches(events: &[Event], size: usize) -> Vec<EventBatch> {
    events.chunks(size).map(|part| part.iter().copied().collect()).collect()
}

fn signed(event: &Event) -> f64 {
    if event.polarity == 1 { 1.0 } else { -1.0 }
}

/// Sums of weights at `(channel, y, x)`, laid out.
fn grid(size: SensorSize, channels: usize, cells: HashMap<(usize, u16, u16), f64>) -> Vec<f64> {
    let mut values = vec![0.0; channels * size.pixels()];
    for ((channel, y, x), value) in cells {
        values[channel * size.pixels() + size.index(x, y)] = value;
    }
    values
}

fn naive(
    size: SensorSize,
    channels: usize,
    events: &[Event],
    weights: impl Fn(&Event) -> Vec<(usize, f64)>,
) -> Vec<f64> {
    let mut cells: HashMap<_, f64> = HashMap::new();
    for event in events.iter().filter(|event| size.contains(event.x, event.y)) {
        for (channel, weight) in weights(event) {
            *cells.entry((channel, event.y, event.x)).or_default() += weight;
        }
    }
    grid(size, channels, cells)
}

fn check(size: SensorSize, events: &[Event], batch: usize, bins: usize) {
    let span = span(events);
    let us = span.last - span.first;
    let floats = |values: &[u32]| values.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();

    let mut frame = EventFrame::new(size, span, bins);
    let mut histogram = StackedHistogram::new(size, span.first, 70, bins);
    let mut voxels = VoxelGrid::new(size, span, bins);
    let mut surface = TimeSurface::new(size);
    let mut density = MixedDensity::new(size, span, bins);
    for part in batches(events, batch) {
        frame.add(&part);
        histogram.add(&part);
        voxels.add(&part);
        surface.add(&part);
        density.add(&part);
    }

    let width = us / bins as i64;
    let want = naive(size, bins * 2, events, |e| {
        let bin = if width == 0 { 0 } else { ((e.t - span.first) / width) as usize };
        vec![(bin.min(bins - 1) * 2 + usize::from(e.polarity), 1.0)]
    });
    assert_eq!(floats(&frame.values()), want);
    assert_eq!(frame.shape()[..2], [bins, 2]);

    let want = naive(size, bins * 2, events, |e| {
        let bin = ((e.t - span.first) / 70) as usize;
        let inside = (bin < bins).then_some((bin * 2 + usize::from(e.polarity), 1.0));
        inside.into_iter().collect()
    });
    assert_eq!(floats(&histogram.values()), want);

    let want = naive(size, bins, events, |e| {
        let place = if us == 0 { 0.0 } else { (e.t - span.first) as f64 / us as f64 * bins as f64 };
        let bin = (place + 1e-9).floor();
        let share = (place - bin).max(0.0);
        let into = |bin: f64| (bin as usize).min(bins - 1);
        vec![(into(bin), signed(e) * (1.0 - share)), (into(bin + 1.0), signed(e) * share)]
    });
    for (got, want) in voxels.values().iter().zip(&want) {
        assert!((f64::from(*got) - want).abs() < 1e-3 * want.abs().max(1.0), "{got} {want}");
    }

    let mut last: HashMap<(usize, u16, u16), f64> = HashMap::new();
    for event in events.iter().filter(|event| size.contains(event.x, event.y)) {
        let faded = (-((span.last + 5 - event.t) as f64) / 300.0).exp();
        last.insert((usize::from(event.polarity), event.y, event.x), faded);
    }
    let want = grid(size, 2, last);
    for (got, want) in surface.at(span.last + 5, 300.0).iter().zip(&want) {
        assert!((f64::from(*got) - want).abs() < 1e-6);
    }

    let level = |e: &Event, i: usize| (span.last - e.t) * (1 << i) <= us;
    let levels = |e: &Event, weight: f64| {
        (0..bins).filter(|i| level(e, *i)).map(|i| (i, weight)).collect::<Vec<_>>()
    };
    assert_eq!(floats(&density.counts()), naive(size, bins, events, |e| levels(e, 1.0)));
    let sums: Vec<_> = density.polarity_sums().iter().map(|&v| f64::from(v)).collect();
    assert_eq!(sums, naive(size, bins, events, |e| levels(e, signed(e))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(scaled(200)))]

    #[test]
    fn representations_equal_naive_ones(
        events in events(),
        batch in 1..100_usize,
        bins in 1..12_usize,
    ) {
        check(SIZE, &events, batch, bins);
    }
}

#[test]
fn a_real_stream() {
    let Some(bytes) = recording("neuromorphs+tonic/sample_nmnist.bin") else { return };
    let events = whole(&bytes, &Options::default()).events();
    let size = SensorSize { width: 34, height: 34 };
    check(size, &events, 777, 10);
}

#[test]
fn the_last_event_is_not_lost() {
    let events = [0, 10, 100].map(|t| Event { t, x: 1, y: 1, polarity: 1 });
    let batch: EventBatch = events.into_iter().collect();
    let mut voxels = VoxelGrid::new(SIZE, span(&events), 5);
    voxels.add(&batch);
    let sum: f32 = voxels.values().iter().sum();
    assert!((sum - 3.0).abs() < 1e-6);
    let mut frame = EventFrame::new(SIZE, span(&events), 7);
    frame.add(&batch);
    assert_eq!(frame.values().iter().sum::<u32>(), 3);
}

#[test]
fn histograms_as_bytes_are_cut_off() {
    let batch: EventBatch = (0..300).map(|_| Event { t: 0, x: 0, y: 0, polarity: 0 }).collect();
    let mut histogram = StackedHistogram::new(SIZE, 0, 1, 1);
    histogram.add(&batch);
    assert_eq!(
        (histogram.values()[0], histogram.to_u8(255)[0], histogram.to_u8(10)[0]),
        (300, 255, 10)
    );
    (0..3).for_each(|_| histogram.add(&batch));
    assert_eq!(histogram.values().iter().sum::<u32>(), 1_200);
}
