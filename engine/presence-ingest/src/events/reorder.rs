//! Events sorted within a bounded window.
//!
//! # Invariants
//! - What leaves is in the order of time; events of equal times leave as they came.
//! - At most the window and what was given last is held. An event that comes after a later one has
//!   left is counted, and left out.
//! - Batches that come in order are handed on as they are, without a copy.

use std::collections::VecDeque;

use presence_events::EventBatch;

/// Holds events back until none that is earlier can be waited for.
#[derive(Debug)]
pub(super) struct Reorder {
    window_events: usize,
    /// Each sorted, each beginning at or after the end of the one before.
    held: VecDeque<EventBatch>,
    held_events: usize,
    /// The timestamp of the last event that left.
    floor: i64,
    /// Events that came in another place than where they belong, and were put there.
    sorted: u64,
    late: u64,
    /// Memory of batches that are used up.
    spare: Vec<EventBatch>,
    keys: Vec<(i64, u32)>,
}

const SPARE_MAX: usize = 4;

impl Reorder {
    pub(super) fn new(window_events: usize) -> Self {
        Self {
            window_events,
            held: VecDeque::new(),
            held_events: 0,
            floor: i64::MIN,
            sorted: 0,
            late: 0,
            spare: Vec::new(),
            keys: Vec::new(),
        }
    }

    /// Events that came too late to be put where they belong.
    pub(super) const fn late(&self) -> u64 {
        self.late
    }

    /// Events that were put where they belong.
    pub(super) const fn sorted(&self) -> u64 {
        self.sorted
    }

    /// Takes all events of `batch`, which is empty then.
    pub(super) fn push(&mut self, batch: &mut EventBatch) {
        let Some(&first) = batch.t().first() else { return };
        let events = batch.len();
        let end = self.held.back().and_then(|held| held.t().last()).map_or(self.floor, |end| *end);
        let taken = std::mem::replace(batch, self.empty());
        if first >= end && taken.t().is_sorted() {
            self.held_events += events;
            self.held.push_back(taken);
        } else {
            self.merge(taken);
        }
    }

    /// The next batch that may leave: none while the window is not full. With `all`, whatever is
    /// held. Give it back with [`Reorder::recycle`].
    pub(super) fn pop(&mut self, all: bool) -> Option<EventBatch> {
        let first = self.held.front()?;
        if !all && self.held_events - first.len() < self.window_events {
            return None;
        }
        let batch = self.held.pop_front()?;
        self.held_events -= batch.len();
        self.floor = batch.t().last().copied().unwrap_or(self.floor);
        Some(batch)
    }

    /// Takes the memory of a batch that was used.
    pub(super) fn recycle(&mut self, mut batch: EventBatch) {
        if self.spare.len() < SPARE_MAX {
            batch.clear();
            self.spare.push(batch);
        }
    }

    fn empty(&mut self) -> EventBatch {
        self.spare.pop().unwrap_or_default()
    }

    /// Puts a batch in any order among those held.
    fn merge(&mut self, batch: EventBatch) {
        let events = batch.len();
        let Some(&earliest) = batch.t().iter().min() else { return };
        // Only what ends after its first event has to move.
        let mut moved = vec![batch];
        while let Some(last) = self.held.pop_back_if(|held| held.t().last() > Some(&earliest)) {
            self.held_events -= last.len();
            moved.push(last);
        }
        moved.reverse();
        let total = moved.iter().map(EventBatch::len).sum();
        let mut all = EventBatch::with_capacity(total);
        moved.iter().for_each(|part| all.extend_from(part, 0..part.len()));
        moved.into_iter().for_each(|part| self.recycle(part));
        let new_from = all.len() - events;
        let floor = self.floor;
        self.keys.clear();
        let mut highest = i64::MIN;
        for (at, &t) in all.t().iter().enumerate() {
            self.late += u64::from(t < floor);
            self.sorted += u64::from(at >= new_from && t >= floor && t < highest);
            highest = highest.max(t);
            if t >= floor {
                self.keys.push((t, at as u32));
            }
        }
        // Two runs in order, mostly: the stable sort merges them.
        self.keys.sort();
        self.hold_in_parts(&all, events);
    }

    /// Holds the events that the keys name, in parts of about `events`.
    fn hold_in_parts(&mut self, all: &EventBatch, events: usize) {
        let keys = std::mem::take(&mut self.keys);
        for part in keys.chunks(events.max(1)) {
            let mut sorted = self.empty();
            sorted.extend(part.iter().filter_map(|&(_, at)| all.get(at as usize)));
            self.held_events += sorted.len();
            self.held.push_back(sorted);
        }
        self.keys = keys;
    }
}

#[cfg(test)]
mod tests {
    use presence_events::Event;
    use proptest::prelude::*;

    use super::*;

    fn run(times: &[i64], chunk: usize, window: usize) -> (Vec<(i64, u16)>, u64) {
        let mut reorder = Reorder::new(window);
        let mut out = Vec::new();
        let mut take = |reorder: &mut Reorder, all| {
            while let Some(batch) = reorder.pop(all) {
                out.extend(batch.iter().map(|event| (event.t, event.x)));
                reorder.recycle(batch);
            }
        };
        for (index, part) in times.chunks(chunk).enumerate() {
            let x = |at: usize| (index * chunk + at) as u16;
            let events = part.iter().enumerate();
            let events = events.map(|(at, &t)| Event { t, x: x(at), y: 0, polarity: 0 });
            let mut batch: EventBatch = events.collect();
            reorder.push(&mut batch);
            assert!(batch.is_empty());
            take(&mut reorder, false);
            assert!(reorder.held_events <= window + chunk, "{}", reorder.held_events);
        }
        take(&mut reorder, true);
        assert_eq!(reorder.held_events, 0);
        (out, reorder.late())
    }

    proptest! {
        #[test]
        fn a_window_that_holds_all_sorts_all(
            times in prop::collection::vec(-50_i64..50, 0..400),
            chunk in 1_usize..50,
        ) {
            let mut want: Vec<_> = times.iter().zip(0_u16..).map(|(&t, x)| (t, x)).collect();
            want.sort_by_key(|(t, _)| *t);
            prop_assert_eq!(run(&times, chunk, 1 << 10), (want, 0));
        }

        #[test]
        fn a_small_window_loses_only_what_it_counts(
            times in prop::collection::vec(-50_i64..50, 0..400),
            chunk in 1_usize..50,
            window in 0_usize..60,
        ) {
            let (out, late) = run(&times, chunk, window);
            prop_assert!(out.is_sorted_by_key(|(t, _)| *t));
            prop_assert_eq!(out.len() + late as usize, times.len());
        }
    }

    #[test]
    fn one_stray_event_is_put_back_and_a_later_one_is_late() {
        let mut times: Vec<i64> = (0..1000).collect();
        times.swap(500, 505);
        let (out, late) = run(&times, 16, 64);
        assert!(late == 0 && out.len() == 1000 && out.is_sorted());
        times.insert(900, 3);
        let (out, late) = run(&times, 16, 64);
        assert_eq!((out.len(), late), (1000, 1));
    }
}
