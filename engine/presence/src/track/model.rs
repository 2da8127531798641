//! What the questions are checked against: ticks in a list, and every answer worked out tick by
//! tick.
//!
//! # Invariants
//! - The list of ticks is all that bitmaps know; whatever they need not write, they fill with junk.
//! - The naive answers share no code with the questions but `Grid::start_us` and buckets' ends.

use std::collections::BTreeMap;
use std::ops::{Bound, RangeBounds};
use std::time::Duration;

use presence_format::Rate;
use proptest::prelude::*;

use super::bucket::{Bucket, BucketRatio};
use super::expression::{ClassRef, Expression, Node, class};
use super::grid::{Edge, Grid};
use super::interval::{Interval, IntervalOptions};
use super::kernels::{WORDS, Words};
use super::question::Questions;
use super::ratio::{Over, Presence, Ratio};
use super::source::{Bitmap, Bitmaps, CONTAINER_TICKS, Fill};
use super::zone::Zone;
use crate::error::{Error, Result};

#[derive(Debug, Clone, Default)]
struct ModelLane {
    ticks: Vec<i64>,
    /// Containers of at most so many ticks are handed out as offsets.
    offsets_max: usize,
    fails: bool,
}

impl ModelLane {
    fn new(mut ticks: Vec<i64>, offsets_max: usize) -> Self {
        ticks.sort_unstable();
        ticks.dedup();
        Self { ticks, offsets_max, fails: false }
    }

    fn within(&self, number: i64) -> &[i64] {
        let from = self.ticks.partition_point(|&tick| tick < number * CONTAINER_TICKS);
        let to = self.ticks.partition_point(|&tick| tick < (number + 1) * CONTAINER_TICKS);
        &self.ticks[from..to]
    }

    fn fail(&self) -> Result<()> {
        if self.fails { Err(Error::invalid("a bitmap that fails")) } else { Ok(()) }
    }
}

impl Bitmap for ModelLane {
    fn rank(&self, tick: i64) -> Result<u64> {
        Ok(self.ticks.partition_point(|&other| other < tick) as u64)
    }

    fn next_container(&self, from: i64) -> Result<Option<i64>> {
        let numbers = self.ticks.partition_point(|&tick| tick.div_euclid(CONTAINER_TICKS) < from);
        Ok(self.ticks.get(numbers).map(|tick| tick.div_euclid(CONTAINER_TICKS)))
    }

    fn previous_container(&self, to: i64) -> Result<Option<i64>> {
        let numbers = self.ticks.partition_point(|&tick| tick.div_euclid(CONTAINER_TICKS) <= to);
        Ok(self.ticks[..numbers].last().map(|tick| tick.div_euclid(CONTAINER_TICKS)))
    }

    fn container(&self, number: i64, words: &mut Words) -> Result<Fill> {
        self.fail()?;
        let ticks = self.within(number);
        words.fill(0xDEAD_BEEF_DEAD_BEEF);
        if ticks.is_empty() || ticks.len() == CONTAINER_TICKS as usize {
            return Ok(if ticks.is_empty() { Fill::Empty } else { Fill::Full });
        }
        words.fill(0);
        for tick in ticks {
            let bit = tick.rem_euclid(CONTAINER_TICKS) as usize;
            words[bit / 64] |= 1 << (bit % 64);
        }
        Ok(Fill::Mixed)
    }

    fn shown(&self, number: i64, read: &mut dyn FnMut(&Words)) -> Result<bool> {
        let mut words = [0; WORDS];
        let mixed = self.offsets_max > 0 && self.container(number, &mut words)? == Fill::Mixed;
        if mixed {
            read(&words);
        }
        Ok(mixed)
    }

    fn offsets(&self, number: i64, offsets: &mut Vec<u16>) -> Result<bool> {
        let ticks = self.within(number);
        if ticks.len() > self.offsets_max {
            return Ok(false);
        }
        offsets.clear();
        offsets.extend(ticks.iter().map(|tick| tick.rem_euclid(CONTAINER_TICKS) as u16));
        Ok(true)
    }
}

/// A track whose classes are named `a`, `b`, `c`, and so on.
#[derive(Debug, Clone)]
struct Model {
    grid: Grid,
    classes: BTreeMap<u16, ModelLane>,
    observed: ModelLane,
}

impl Bitmaps for Model {
    type Bitmap = ModelLane;

    fn class(&self, class: u16) -> Option<&ModelLane> {
        self.classes.get(&class)
    }

    fn observed(&self) -> &ModelLane {
        &self.observed
    }

    fn named(&self, name: &str) -> Option<u16> {
        let [letter @ b'a'..=b'e'] = name.as_bytes() else { return None };
        Some(u16::from(letter - b'a'))
    }
}

impl Model {
    fn holds(&self, expression: &Expression, tick: i64) -> bool {
        match &expression.node {
            Node::Class(ClassRef::Id(id)) => {
                self.classes.get(id).is_some_and(|bitmap| bitmap.ticks.binary_search(&tick).is_ok())
            }
            Node::Class(ClassRef::Name(name)) => {
                self.holds(&class(self.named(name).unwrap()), tick)
            }
            Node::Not(inner) => !self.holds(inner, tick),
            Node::And(parts) => parts.iter().all(|part| self.holds(part, tick)),
            Node::Or(parts) => parts.iter().any(|part| self.holds(part, tick)),
            Node::TooDeep => unreachable!(),
        }
    }

    /// Whether a tick belongs to a range, by the microseconds that it has.
    fn inside(&self, tick: i64, range: &impl RangeBounds<i64>, edge: Edge) -> bool {
        let start = self.grid.start_us(tick).unwrap();
        let last = self.grid.start_us(tick + 1).map_or(i64::MAX, |next| next - 1);
        match edge {
            Edge::Start => range.contains(&start),
            Edge::Overlap => {
                let begins = match range.start_bound() {
                    Bound::Included(&from) => last >= from,
                    Bound::Excluded(&from) => last > from,
                    Bound::Unbounded => true,
                };
                let ends = match range.end_bound() {
                    Bound::Included(&to) => start <= to,
                    Bound::Excluded(&to) => start < to,
                    Bound::Unbounded => true,
                };
                let empty = matches!(
                    (range.start_bound(), range.end_bound()),
                    (Bound::Included(a) | Bound::Excluded(a), Bound::Excluded(b)) if a == b
                ) || matches!(
                    (range.start_bound(), range.end_bound()),
                    (Bound::Excluded(a), Bound::Included(b)) if a == b
                ) || matches!(
                    (range.start_bound(), range.end_bound()),
                    (Bound::Excluded(a), Bound::Excluded(b)) if a.checked_add(1) == Some(*b)
                );
                begins && ends && !empty
            }
        }
    }

    fn seen(&self, range: &Ends, edge: Edge) -> Vec<i64> {
        let ticks = self.observed.ticks.iter().copied();
        ticks.filter(|&tick| self.inside(tick, range, edge)).collect()
    }

    fn present(&self, expression: &Expression, range: &Ends, edge: Edge) -> Vec<i64> {
        let mut ticks = self.seen(range, edge);
        ticks.retain(|&tick| self.holds(expression, tick));
        ticks
    }

    fn intervals(&self, ticks: &[i64], options: IntervalOptions) -> Vec<Interval> {
        let mut intervals: Vec<Interval> = Vec::new();
        for &tick in ticks {
            let enter_us = self.grid.start_us(tick).unwrap();
            let leave_us = self.grid.start_us(tick + 1).unwrap();
            match intervals.last_mut() {
                Some(open)
                    if (enter_us - open.leave_us) as u128 <= options.close_gaps.as_micros() =>
                {
                    open.leave_us = leave_us;
                }
                _ => intervals.push(Interval { enter_us, leave_us }),
            }
        }
        intervals.retain(|one| Duration::from_micros(one.length_us()) >= options.drop_shorter_than);
        intervals
    }
}

type Ends = (Bound<i64>, Bound<i64>);

/// Ticks in stretches: alone, in runs, every other one, whole containers, a year apart.
fn any_ticks() -> impl Strategy<Value = Vec<i64>> {
    let start = prop_oneof![
        -200_000_i64..200_000,
        Just(0),
        Just(-65_536),
        Just(65_535),
        Just(-1),
        (-3_i64..3).prop_map(|years| years * 946_080_000),
    ];
    let stretch = prop_oneof![
        4 => (Just(1_i64), Just(1_i64)),
        4 => (1_i64..400, Just(1_i64)),
        2 => (1_i64..100, 2_i64..40),
        1 => (60_000_i64..140_000, Just(1_i64)),
        1 => (1_i64..20, 1000_i64..70_000),
    ];
    prop::collection::vec((start, stretch), 0..5).prop_map(|stretches| {
        let stretch = |(start, (count, step)): (i64, (i64, i64))| {
            (0..count).map(move |index| start + index * step)
        };
        stretches.into_iter().flat_map(stretch).collect()
    })
}

fn any_grid() -> impl Strategy<Value = Grid> {
    let rate = prop_oneof![
        Just((30, 1)),
        Just((30_000, 1001)),
        Just((2997, 100)),
        Just((1_000_000, 33_333)),
        Just((1_000_000, 1)),
        Just((1, 100)),
        Just((30_000_001, 1_000_003)),
    ];
    (rate, prop_oneof![Just(0), any::<i32>().prop_map(i64::from), Just(1_700_000_000_000_000)])
        .prop_map(|((num, den), epoch_us)| Grid::new(Rate::new(num, den).unwrap(), epoch_us))
}

fn any_model() -> impl Strategy<Value = Model> {
    let bitmaps = prop::collection::vec((any_ticks(), any::<bool>()), 0..4);
    (any_grid(), bitmaps, any_ticks(), any::<bool>()).prop_map(|(grid, bitmaps, extra, offsets)| {
        let most = |offsets: bool| if offsets { 4096 } else { 0 };
        let mut all = extra;
        let mut classes = BTreeMap::new();
        for (id, (ticks, offsets)) in (0..).zip(bitmaps) {
            all.extend_from_slice(&ticks);
            classes.insert(id, ModelLane::new(ticks, most(offsets)));
        }
        Model { grid, classes, observed: ModelLane::new(all, most(offsets)) }
    })
}

fn any_expression() -> impl Strategy<Value = Expression> {
    let leaf = prop_oneof![(0_u16..4).prop_map(class), "[a-d]".prop_map(class),];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| !inner),
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|all| all.into_iter().reduce(|a, b| a & b).unwrap()),
            prop::collection::vec(inner, 2..4)
                .prop_map(|all| all.into_iter().reduce(|a, b| a | b).unwrap()),
        ]
    })
}

/// An end of a range: near a tick that was observed, or none.
#[derive(Debug, Clone)]
struct EndAt {
    tick: prop::sample::Index,
    shift_us: i64,
    kind: u8,
}

fn any_end() -> impl Strategy<Value = EndAt> {
    let shift = prop_oneof![Just(0), Just(1), Just(-1), -100_000_i64..100_000];
    (any::<prop::sample::Index>(), shift, 0_u8..8).prop_map(|(tick, shift_us, kind)| EndAt {
        tick,
        shift_us,
        kind,
    })
}

fn ends(model: &Model, ends: &[EndAt; 2]) -> Ends {
    let time = |end: &EndAt| {
        let ticks = &model.observed.ticks;
        let tick = if ticks.is_empty() { 0 } else { ticks[end.tick.index(ticks.len())] };
        model.grid.start_us(tick).unwrap() + end.shift_us
    };
    let (mut from, mut to) = (time(&ends[0]), time(&ends[1]));
    if from > to {
        (from, to) = (to, from);
    }
    let bound = |end: &EndAt, t_us: i64| match end.kind {
        0 | 1 => Bound::Unbounded,
        2..=4 => Bound::Excluded(t_us),
        _ => Bound::Included(t_us),
    };
    (bound(&ends[0], from), bound(&ends[1], to))
}

/// The counts of some ticks of a range that has `whole`.
fn ratio_of(model: &Model, expression: &Expression, seen: &[i64], whole: u64) -> Ratio {
    let present = seen.iter().filter(|&&tick| model.holds(expression, tick)).count() as u64;
    Ratio { present, observed: seen.len() as u64, range_ticks: whole }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 192 }))]

    #[test]
    fn all_answers_equal_the_naive_ones(
        model in any_model(), expression in any_expression(), at in [any_end(), any_end()],
        edge in prop_oneof![Just(Edge::Overlap), Just(Edge::Start)],
        (close, drop) in (0_u64..5_000_000, 0_u64..5_000_000), room in 1_usize..300,
    ) {
        let range = ends(&model, &at);
        let questions = Questions::new(&model, model.grid, edge);
        let present = model.present(&expression, &range, edge);
        let seen = model.seen(&range, edge);
        let starts: Vec<i64> = present.iter().map(|&t| model.grid.start_us(t).unwrap()).collect();
        // Counts.
        let ratio = questions.ratio(&expression, &range).unwrap();
        prop_assert_eq!(ratio.present, present.len() as u64);
        prop_assert_eq!(ratio.observed, seen.len() as u64);
        prop_assert!(ratio.range_ticks >= ratio.observed);
        prop_assert_eq!(questions.count(&expression, &range).unwrap(), ratio.present);
        prop_assert_eq!(questions.any(&expression, &range).unwrap(), !present.is_empty());
        let all = questions.all(&expression, &range, Over::Observed).unwrap();
        prop_assert_eq!(all, !seen.is_empty() && seen == present);
        let all = questions.all(&expression, &range, Over::Range).unwrap();
        prop_assert_eq!(all, !seen.is_empty() && ratio.range_ticks == ratio.present);
        // Ticks.
        prop_assert_eq!(questions.first(&expression, &range).unwrap(), starts.first().copied());
        prop_assert_eq!(questions.last(&expression, &range).unwrap(), starts.last().copied());
        let mut bulk = Vec::new();
        let count = questions.timestamps(&expression, &range).unwrap().read_all(&mut bulk).unwrap();
        prop_assert_eq!(count, starts.len());
        prop_assert_eq!(&bulk, &starts);
        let mut listed = questions.timestamps(&expression, &range).unwrap();
        let mut some: Vec<i64> = listed.by_ref().take(room).map(Result::unwrap).collect();
        let mut buffer = vec![0; room];
        loop {
            let count = listed.read(&mut buffer).unwrap();
            some.extend_from_slice(&buffer[..count]);
            if count < room {
                break;
            }
        }
        prop_assert_eq!(&some, &starts);
        prop_assert!(listed.next().is_none());
        // Intervals.
        for (close, drop) in [(0, 0), (close, 0), (0, drop), (close, drop)] {
            let options = IntervalOptions::new()
                .close_gaps(Duration::from_micros(close))
                .drop_shorter_than(Duration::from_micros(drop));
            let got = questions.intervals(&expression, &range, options).unwrap();
            let got: Vec<Interval> = got.map(Result::unwrap).collect();
            prop_assert_eq!(got, model.intervals(&present, options));
        }
        // Co-occurrence.
        let matrix = questions.co_occurrence(&[9, 2, 0, 1, 3, 0], &range).unwrap();
        prop_assert_eq!(matrix.classes(), &[0, 1, 2, 3, 9]);
        for (&row, counts) in matrix.classes().iter().zip(matrix.rows()) {
            for (&column, &count) in matrix.classes().iter().zip(counts) {
                let both = class(row) & class(column);
                let want = seen.iter().filter(|&&tick| model.holds(&both, tick)).count();
                prop_assert_eq!(count, want as u64, "{} {}", row, column);
                prop_assert_eq!(matrix.get(row, column), Some(count));
            }
        }
    }

    #[test]
    fn moments_equal_the_naive_ones(
        model in any_model(), expression in any_expression(),
        moments in prop::collection::vec(any_end(), 20),
    ) {
        let questions = Questions::new(&model, model.grid, Edge::Overlap);
        let everything = (Bound::Unbounded, Bound::Unbounded);
        let present = model.present(&expression, &everything, Edge::Overlap);
        for moment in &moments {
            let (_, to) = ends(&model, &[moment.clone(), moment.clone()]);
            let (Bound::Included(t_us) | Bound::Excluded(t_us)) = to else { continue };
            let tick = model.grid.tick_of(t_us).unwrap();
            let want = match model.observed.ticks.binary_search(&tick) {
                Err(_) => Presence::NotObserved,
                Ok(_) if model.holds(&expression, tick) => Presence::Present,
                Ok(_) => Presence::Absent,
            };
            prop_assert_eq!(questions.at(&expression, t_us).unwrap(), want);
            let start = |&tick: &i64| model.grid.start_us(tick).unwrap();
            let next = present.iter().find(|&&other| other > tick).map(start);
            let previous = present.iter().rev().find(|&&other| other < tick).map(start);
            prop_assert_eq!(questions.next_after(&expression, t_us).unwrap(), next);
            prop_assert_eq!(questions.previous_before(&expression, t_us).unwrap(), previous);
        }
    }

    #[test]
    fn buckets_equal_the_naive_ones(
        model in any_model(), expression in any_expression(), at in [any_end(), any_end()],
        edge in prop_oneof![Just(Edge::Overlap), Just(Edge::Start)], pieces in 1_u64..40,
    ) {
        let range = ends(&model, &at);
        let questions = Questions::new(&model, model.grid, edge);
        let seen = model.seen(&range, edge);
        let span = match (seen.first(), seen.last()) {
            (Some(&first), Some(&last)) => {
                model.grid.start_us(last + 1).unwrap().abs_diff(model.grid.start_us(first).unwrap())
            }
            _ => 1_000_000,
        };
        let bucket = Bucket::Every(Duration::from_micros((span / pieces).max(1)));
        let bounded = |bound: Bound<i64>| !matches!(bound, Bound::Unbounded);
        if bounded(range.0) && bounded(range.1) {
            // The range may be a lot longer than what was observed of it.
            let whole = questions.ratio(&expression, &range).unwrap().range_ticks;
            if whole > 1_000_000_000 { return Ok(()); }
        }
        let Ok(ratios) = questions.ratio_every(&expression, &range, &bucket) else { return Ok(()) };
        let mut before: Option<BucketRatio> = None;
        let last = ratios.last().map(|last| last.to_us);
        for one in &ratios {
            prop_assert!(one.from_us < one.to_us);
            let begun = before.is_none();
            if let Some(before) = before.replace(*one) {
                prop_assert_eq!(before.to_us, one.from_us);
                prop_assert_eq!(bucket.next(before.from_us).unwrap(), one.from_us);
            }
            let within: Vec<i64> = seen
                .iter()
                .copied()
                .filter(|&tick| {
                    let start = model.grid.start_us(tick).unwrap();
                    (start >= one.from_us || begun)
                        && (start < one.to_us || Some(one.to_us) == last)
                })
                .collect();
            let want = ratio_of(&model, &expression, &within, one.ratio.range_ticks);
            prop_assert_eq!(one.ratio, want);
        }
        let whole = questions.ratio(&expression, &range).unwrap();
        let sum = |part: fn(&Ratio) -> u64| ratios.iter().map(|one| part(&one.ratio)).sum::<u64>();
        if !ratios.is_empty() {
            prop_assert_eq!(sum(|ratio| ratio.present), whole.present);
            prop_assert_eq!(sum(|ratio| ratio.observed), whole.observed);
            prop_assert_eq!(sum(|ratio| ratio.range_ticks), whole.range_ticks);
        } else {
            prop_assert_eq!(whole.observed, 0);
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 24 }))]

    #[test]
    fn extremes_never_panic(
        rate in prop_oneof![Just((30, 1)), Just((1_000_000, 1)), Just((1, u32::MAX))],
        epoch_us in prop_oneof![Just(0), Just(i64::MIN), Just(i64::MAX), any::<i64>()],
        from: i64, to: i64,
    ) {
        let grid = Grid::new(Rate::new(rate.0, rate.1).unwrap(), epoch_us);
        let times = [from, to, i64::MIN, i64::MIN + 1, 0, i64::MAX - 1, i64::MAX];
        let mut ticks: Vec<i64> = times.iter().filter_map(|&t| grid.tick_of(t).ok()).collect();
        ticks.extend(times.iter().filter_map(|&t| grid.tick_of(t.wrapping_add(from)).ok()));
        let bitmap = ModelLane::new(ticks, 0);
        let classes = BTreeMap::from([(0, bitmap.clone()), (1, ModelLane::default())]);
        let model = Model { grid, classes, observed: bitmap };
        let edge = if from & 1 == 0 { Edge::Overlap } else { Edge::Start };
        let questions = Questions::new(&model, grid, edge);
        for expression in [class(0), !class(1), class(0) & !class(1)] {
            for from in times.map(Bound::Included).into_iter().chain([Bound::Unbounded]) {
                for to in times.map(Bound::Included).into_iter().chain([Bound::Unbounded]) {
                    let range = (from, to);
                    let Ok(ratio) = questions.ratio(&expression, &range) else { continue };
                    prop_assert!(ratio.present <= ratio.observed);
                    prop_assert!(ratio.observed <= ratio.range_ticks);
                    let listed = questions.timestamps(&expression, &range).unwrap();
                    let listed: Vec<i64> = listed.map(Result::unwrap).collect();
                    prop_assert_eq!(listed.len() as u64, ratio.present);
                    for &t_us in &listed {
                        let at = questions.at(&expression, t_us).unwrap();
                        prop_assert_eq!(at, Presence::Present);
                    }
                    let options = IntervalOptions::new().close_gaps(Duration::MAX);
                    let closed = questions.intervals(&expression, &range, options).unwrap();
                    prop_assert_eq!(closed.count(), usize::from(ratio.present > 0));
                    for bucket in [
                        Bucket::Every(Duration::from_micros(1 << 60)),
                        Bucket::Day(Zone::utc()),
                        Bucket::Hour(Zone::utc()),
                        Bucket::Every(Duration::ZERO),
                        Bucket::Every(Duration::MAX),
                    ] {
                        // Hours of all of time are a lot of buckets to refuse.
                        if matches!(bucket, Bucket::Every(_)) || ratio.range_ticks < 10 {
                            let _ = questions.ratio_every(&expression, &range, &bucket);
                        }
                    }
                }
            }
            for t_us in times {
                questions.next_after(&expression, t_us).unwrap();
                questions.previous_before(&expression, t_us).unwrap();
                questions.at(&expression, t_us).unwrap();
            }
        }
    }
}

fn model_of(bitmaps: &[&[i64]]) -> Model {
    let grid = Grid::new("30".parse().unwrap(), 0);
    let observed = ModelLane::new(bitmaps.concat(), 0);
    let bitmap = |ticks: &&[i64]| ModelLane::new(ticks.to_vec(), 0);
    Model { grid, classes: (0..).zip(bitmaps.iter().map(bitmap)).collect(), observed }
}

#[test]
fn a_failing_bitmap_ends_the_answer() {
    let mut model = model_of(&[&[1, 2, 100_000], &[2]]);
    for bitmap in model.classes.values_mut() {
        bitmap.fails = true;
    }
    let questions = Questions::new(&model, model.grid, Edge::Overlap);
    let both = class("a") & class("b");
    let mut listed = questions.timestamps(&both, &..).unwrap();
    assert!(listed.next().unwrap().is_err());
    assert!(listed.next().is_none());
    let mut intervals = questions.intervals(&both, &.., IntervalOptions::new()).unwrap();
    assert!(intervals.next().unwrap().is_err());
    assert!(intervals.next().is_none());
    assert!(questions.ratio(&both, &..).is_err());
    assert!(questions.first(&both, &..).is_err());
    assert_eq!(questions.count(&class("a"), &..).unwrap(), 3, "known by the index");
}

#[test]
fn names_and_depths_are_refused_when_asked() {
    let model = model_of(&[&[1]]);
    let questions = Questions::new(&model, model.grid, Edge::Overlap);
    let error = questions.count(&class("dog"), &..).unwrap_err().to_string();
    assert!(error.contains("\"dog\""), "{error}");
    let deep = (0..1000).fold(class(0), |deep, _| !deep);
    assert!(questions.any(&deep, &..).unwrap_err().to_string().contains("deeper"));
    assert_eq!(questions.count(&class(77), &..).unwrap(), 0, "never seen");
    assert_eq!(questions.count(&!class(77), &..).unwrap(), 1, "observed without it");
    let many: Vec<u16> = (0..2000).collect();
    assert!(questions.co_occurrence(&many, &..).unwrap_err().to_string().contains("2000"));
}

/// The reference lists nothing from inside a frame on, and has a ratio of 1 there.
#[test]
fn listing_and_ratio_agree_inside_a_frame() {
    let mut model = model_of(&[&[30]]);
    let range = 1_000_001..;
    let questions = Questions::new(&model, model.grid, Edge::Overlap);
    assert_eq!(questions.ratio(&class(0), &range).unwrap().over_observed(), Some(1.0));
    let listed: Vec<i64> =
        questions.timestamps(&class(0), &range).unwrap().map(Result::unwrap).collect();
    assert_eq!(listed, [1_000_000]);
    let questions = Questions::new(&model, model.grid, Edge::Start);
    assert_eq!(questions.ratio(&class(0), &range).unwrap().over_observed(), None);
    assert_eq!(questions.timestamps(&class(0), &range).unwrap().count(), 0);
    // Nobody was there, and nobody looked.
    model.observed = ModelLane::new((0..60).collect(), 0);
    let questions = Questions::new(&model, model.grid, Edge::Overlap);
    assert_eq!(questions.at(&class(0), 1_033_333).unwrap(), Presence::Present);
    assert_eq!(questions.at(&class(0), 1_033_334).unwrap(), Presence::Absent);
    assert_eq!(questions.at(&class(0), 2_000_000).unwrap(), Presence::NotObserved);
    let day = Bucket::Day(Zone::utc());
    let ratios = questions.ratio_every(&class(0), &(0..4_000_000), &day).unwrap();
    let [one] = ratios.as_slice() else { panic!("{ratios:?}") };
    assert_eq!((one.from_us, one.to_us), (0, 4_000_000));
    assert_eq!(one.ratio, Ratio { present: 1, observed: 60, range_ticks: 120 });
    assert_eq!(one.ratio.over_range(), Some(1.0 / 120.0));
}
