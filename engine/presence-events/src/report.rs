//! What a decoder counted.
//!
//! # Invariants
//! - Every byte of an input is accounted for: it gave something, or it is counted here.
//! - Memory is constant: the first faults are listed, the others counted.

use crate::batch::{EventBatch, SensorSize};
use crate::error::{EventError, EventErrorKind, Fault};

/// Faults that are listed one by one.
const FAULTS_LISTED: usize = 16;

/// Counts over an input so far, and the faults that were skipped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Events handed out.
    pub events: u64,
    /// Those of them with polarity 1.
    pub on: u64,
    /// Timestamp of the first event.
    pub first_t: Option<i64>,
    /// Timestamp of the last event.
    pub last_t: Option<i64>,
    /// Smallest timestamp.
    pub min_t: Option<i64>,
    /// Largest timestamp.
    pub max_t: Option<i64>,
    /// Triggers and special events handed out.
    pub triggers: u64,
    /// Frames handed out.
    pub frames: u64,
    /// Samples of the inertial sensor handed out.
    pub imu: u64,
    /// Events left out because their pixel is beyond the sensor, or they are marked invalid.
    pub dropped: u64,
    /// Events left out because no time is known before the first time word.
    pub untimed: u64,
    /// Words of no kind that the format knows, lines that are no event, packets that are damaged.
    pub unknown_words: u64,
    /// Words that the format knows and that hold no event, by their kind (EVT).
    pub other_words: [u64; 16],
    /// Events whose timestamp is below the one before.
    pub out_of_order: u64,
    /// Bytes at the end that are no whole word, packet or line, or that follow damage.
    pub tail_bytes: u64,
    /// The first faults that were skipped.
    pub faults: Vec<Fault>,
    /// All faults that were skipped.
    pub faults_total: u64,
}

impl Report {
    /// Time from the first event to the last, in microseconds.
    #[must_use]
    pub fn duration_us(&self) -> i64 {
        match (self.min_t, self.max_t) {
            (Some(min), Some(max)) => max.saturating_sub(min),
            _ => 0,
        }
    }

    /// Lists a fault that is skipped.
    pub(crate) fn skip(&mut self, kind: EventErrorKind, offset: u64, what: &str) {
        self.faults_total += 1;
        if self.faults.len() < FAULTS_LISTED {
            self.faults.push(EventError::new(kind, offset, what));
        }
    }

    /// Looks at the events from `from` on: leaves out those beyond the sensor, counts the others.
    /// Returns how many were left out and how many were out of order.
    pub(crate) fn settle(
        &mut self,
        events: &mut EventBatch,
        from: usize,
        size: Option<SensorSize>,
    ) -> (u64, u64) {
        events.sensor_size = size;
        let dropped = size.map_or(0, |size| drop_outside(events, from, size));
        self.dropped += dropped;
        (dropped, self.count(events, from))
    }

    /// Counts the events of a batch that no decoder made.
    pub fn add(&mut self, events: &EventBatch) {
        self.count(events, 0);
    }

    /// Counts the events from `from` on; says how many are out of order.
    fn count(&mut self, events: &EventBatch, from: usize) -> u64 {
        let times = events.t().get(from..).unwrap_or_default();
        let (Some(&first), Some(&last)) = (times.first(), times.last()) else { return 0 };
        let back = descents(times) + u64::from(self.last_t.is_some_and(|before| first < before));
        let (min, max) = if back == 0 { (first, last) } else { bounds(times) };
        self.events += times.len() as u64;
        self.on += ones(events.polarity().get(from..).unwrap_or_default());
        self.first_t = self.first_t.or(Some(first));
        self.last_t = Some(last);
        self.min_t = Some(self.min_t.map_or(min, |t| t.min(min)));
        self.max_t = Some(self.max_t.map_or(max, |t| t.max(max)));
        self.out_of_order += back;
        back
    }
}

/// How often a timestamp is below the one before it.
fn descents(times: &[i64]) -> u64 {
    let later = times.get(1..).unwrap_or_default();
    times.iter().zip(later).map(|(before, after)| u64::from(after < before)).sum()
}

fn bounds(times: &[i64]) -> (i64, i64) {
    times.iter().fold((i64::MAX, i64::MIN), |(min, max), &t| (min.min(t), max.max(t)))
}

/// The sum of bytes that are 0 or 1, in lanes that a compiler keeps in registers.
fn ones(polarity: &[u8]) -> u64 {
    polarity.chunks(255).map(|part| u64::from(part.iter().sum::<u8>())).sum()
}

/// Leaves out events beyond the sensor; says how many.
fn drop_outside(events: &mut EventBatch, from: usize, size: SensorSize) -> u64 {
    let largest = |values: &[u16]| values.iter().fold(0, |max, &value| max.max(value));
    let x = events.x().get(from..).unwrap_or_default();
    let y = events.y().get(from..).unwrap_or_default();
    if x.is_empty() || size.contains(largest(x), largest(y)) {
        return 0;
    }
    let before = events.len();
    let kept: Vec<_> = events.iter().skip(from).filter(|e| size.contains(e.x, e.y)).collect();
    events.truncate(from);
    events.extend(kept);
    (before - events.len()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Event;

    #[test]
    fn events_beyond_the_sensor_are_left_out_and_counted() {
        let event = |t, x| Event { t, x, y: 0, polarity: 1 };
        let mut events: EventBatch =
            [(9, 100), (1, 3), (2, 4), (0, 2)].map(|(t, x)| event(t, x)).into_iter().collect();
        let mut report = Report::default();
        let size = SensorSize { width: 4, height: 1 };
        assert_eq!(report.settle(&mut events, 1, Some(size)), (1, 1));
        assert_eq!(events.t(), [9, 1, 0]);
        assert_eq!((report.events, report.on, report.dropped), (2, 2, 1));
        assert_eq!((report.first_t, report.last_t), (Some(1), Some(0)));
        assert_eq!((report.min_t, report.max_t, report.duration_us()), (Some(0), Some(1), 1));
    }

    #[test]
    fn faults_are_counted_beyond_those_that_are_listed() {
        let mut report = Report::default();
        for offset in 0..100 {
            report.skip(EventErrorKind::Corrupt, offset, "bad");
        }
        assert_eq!((report.faults.len(), report.faults_total), (16, 100));
    }
}
