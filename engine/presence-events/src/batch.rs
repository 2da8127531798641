//! A batch of events as columns, and the size of a sensor.
//!
//! # Invariants
//! - All four columns have one length; polarity is 0 (off) or 1 (on).
//! - Cleared memory is kept: decoding into the same batch again allocates nothing, and does not
//!   fill the columns with zeros first.

/// Width and height of a sensor in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SensorSize {
    /// Pixels in a row.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

impl SensorSize {
    /// Whether the pixel is on the sensor.
    #[must_use]
    pub fn contains(self, x: u16, y: u16) -> bool {
        x < self.width && y < self.height
    }

    /// Pixels of the sensor.
    #[must_use]
    pub fn pixels(self) -> usize {
        usize::from(self.width) * usize::from(self.height)
    }

    /// Where a pixel lies in a row-major table of [`SensorSize::pixels`] values.
    #[must_use]
    pub fn index(self, x: u16, y: u16) -> usize {
        usize::from(y) * usize::from(self.width) + usize::from(x)
    }

    /// The same of many pixels, in a table whose rows have `stride` values, at most two more than
    /// the sensor; beyond any table where a pixel is beyond the sensor.
    #[inline]
    pub(crate) fn places(self, stride: u32, x: &[u16], y: &[u16], places: &mut [u32]) {
        for (place, (x, y)) in places.iter_mut().zip(x.iter().zip(y)) {
            let is_inside = (*x < self.width) & (*y < self.height);
            let index = u32::from(*y).wrapping_mul(stride).wrapping_add(u32::from(*x));
            *place = index | u32::from(is_inside).wrapping_sub(1);
        }
    }
}

/// One event of a camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Event {
    /// Microseconds.
    pub t: i64,
    /// Column of the pixel.
    pub x: u16,
    /// Row of the pixel.
    pub y: u16,
    /// 1 where the light rose, 0 where it fell.
    pub polarity: u8,
}

/// Events in columns, with the sensor and the source they come from.
#[derive(Debug, Clone, Default)]
pub struct EventBatch {
    /// The sensor's size, where the input or the caller says it.
    pub sensor_size: Option<SensorSize>,
    /// The camera or recording, where the input names it.
    pub source: Option<Box<str>>,
    t: Vec<i64>,
    x: Vec<u16>,
    y: Vec<u16>,
    p: Vec<u8>,
    len: usize,
}

/// The columns of a range of a batch, to be written.
#[derive(Debug)]
pub struct ColumnsMut<'a> {
    /// Microseconds.
    pub t: &'a mut [i64],
    /// Columns of pixels.
    pub x: &'a mut [u16],
    /// Rows of pixels.
    pub y: &'a mut [u16],
    /// Polarities, 0 or 1.
    pub p: &'a mut [u8],
}

impl EventBatch {
    /// A batch with nothing in it and of no known sensor.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty batch with room for `events`.
    #[must_use]
    pub fn with_capacity(events: usize) -> Self {
        let mut batch = Self::default();
        batch.grow(events);
        batch
    }

    /// Number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Timestamps in microseconds.
    #[must_use]
    pub fn t(&self) -> &[i64] {
        self.t.get(..self.len).unwrap_or_default()
    }

    /// Columns of the pixels.
    #[must_use]
    pub fn x(&self) -> &[u16] {
        self.x.get(..self.len).unwrap_or_default()
    }

    /// Rows of the pixels.
    #[must_use]
    pub fn y(&self) -> &[u16] {
        self.y.get(..self.len).unwrap_or_default()
    }

    /// Polarities as 0 (off) and 1 (on).
    #[must_use]
    pub fn polarity(&self) -> &[u8] {
        self.p.get(..self.len).unwrap_or_default()
    }

    /// Polarities as `false` (off) and `true` (on).
    pub fn polarity_bool(&self) -> impl ExactSizeIterator<Item = bool> + '_ {
        self.polarity().iter().map(|&p| p != 0)
    }

    /// Polarities as -1 (off) and 1 (on).
    pub fn polarity_signed(&self) -> impl ExactSizeIterator<Item = i8> + '_ {
        self.polarity().iter().map(|&p| if p == 0 { -1 } else { 1 })
    }

    /// The events one by one.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Event> + '_ {
        let pixels = self.x().iter().zip(self.y());
        let rest = pixels.zip(self.polarity());
        let events = self.t().iter().zip(rest);
        events.map(|(&t, ((&x, &y), &polarity))| Event { t, x, y, polarity })
    }

    /// The event at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Event> {
        Some(Event {
            t: *self.t().get(index)?,
            x: *self.x().get(index)?,
            y: *self.y().get(index)?,
            polarity: *self.polarity().get(index)?,
        })
    }

    /// Appends one event; a polarity other than 0 is 1.
    pub fn push(&mut self, event: Event) {
        let columns = self.spare(1);
        columns.t.fill(event.t);
        columns.x.fill(event.x);
        columns.y.fill(event.y);
        columns.p.fill(u8::from(event.polarity != 0));
        self.commit(1);
    }

    /// Appends the events `range` of another batch, as far as it has them.
    pub fn extend_from(&mut self, other: &Self, range: std::ops::Range<usize>) {
        let end = range.end.min(other.len);
        let start = range.start.min(end);
        let events = end - start;
        let into = self.spare(events);
        into.t.copy_from_slice(other.t.get(start..end).unwrap_or_default());
        into.x.copy_from_slice(other.x.get(start..end).unwrap_or_default());
        into.y.copy_from_slice(other.y.get(start..end).unwrap_or_default());
        into.p.copy_from_slice(other.p.get(start..end).unwrap_or_default());
        self.commit(events);
    }

    /// Appends events given as columns, as many as the shortest has; a polarity other than 0 is 1.
    pub fn extend_columns(&mut self, t: &[i64], x: &[u16], y: &[u16], polarity: &[u8]) {
        self.extend_judged(t, x, y, polarity, |polarity| polarity != 0);
    }

    /// Appends events given as columns, as many as the shortest has; a polarity above 0 is 1.
    pub fn extend_signed_columns(&mut self, t: &[i64], x: &[u16], y: &[u16], polarity: &[i8]) {
        self.extend_judged(t, x, y, polarity, |polarity| polarity > 0);
    }

    fn extend_judged<P: Copy>(
        &mut self,
        t: &[i64],
        x: &[u16],
        y: &[u16],
        polarity: &[P],
        is_on: impl Fn(P) -> bool,
    ) {
        let events = t.len().min(x.len()).min(y.len()).min(polarity.len());
        let into = self.spare(events);
        into.t.copy_from_slice(t.get(..events).unwrap_or_default());
        into.x.copy_from_slice(x.get(..events).unwrap_or_default());
        into.y.copy_from_slice(y.get(..events).unwrap_or_default());
        for (into, &polarity) in into.p.iter_mut().zip(polarity) {
            *into = u8::from(is_on(polarity));
        }
        self.commit(events);
    }

    /// Removes all events and keeps the memory.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Keeps the first `events`.
    pub fn truncate(&mut self, events: usize) {
        self.len = self.len.min(events);
    }

    /// The columns from event `from` on, to be changed in place.
    pub fn columns_mut(&mut self, from: usize) -> ColumnsMut<'_> {
        let range = from.min(self.len)..self.len;
        self.columns_of(range)
    }

    /// Columns of `events` behind the end, holding anything; [`EventBatch::commit`] makes them
    /// events.
    pub(crate) fn spare(&mut self, events: usize) -> ColumnsMut<'_> {
        let end = self.len + events;
        self.grow(end);
        self.columns_of(self.len..end)
    }

    /// Makes the first `events` of what [`EventBatch::spare`] handed out part of the batch.
    pub(crate) fn commit(&mut self, events: usize) {
        self.len = (self.len + events).min(self.t.len());
    }

    /// Bytes of memory the columns hold.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.t.capacity() * 8 + self.x.capacity() * 2 + self.y.capacity() * 2 + self.p.capacity()
    }

    fn columns_of(&mut self, range: std::ops::Range<usize>) -> ColumnsMut<'_> {
        ColumnsMut {
            t: self.t.get_mut(range.clone()).unwrap_or_default(),
            x: self.x.get_mut(range.clone()).unwrap_or_default(),
            y: self.y.get_mut(range.clone()).unwrap_or_default(),
            p: self.p.get_mut(range).unwrap_or_default(),
        }
    }

    fn grow(&mut self, events: usize) {
        if events > self.t.len() {
            self.t.resize(events, 0);
            self.x.resize(events, 0);
            self.y.resize(events, 0);
            self.p.resize(events, 0);
        }
    }
}

impl PartialEq for EventBatch {
    fn eq(&self, other: &Self) -> bool {
        self.t() == other.t()
            && self.x() == other.x()
            && self.y() == other.y()
            && self.polarity() == other.polarity()
    }
}

impl Eq for EventBatch {}

impl Extend<Event> for EventBatch {
    fn extend<I: IntoIterator<Item = Event>>(&mut self, events: I) {
        for event in events {
            self.push(event);
        }
    }
}

impl FromIterator<Event> for EventBatch {
    fn from_iter<I: IntoIterator<Item = Event>>(events: I) -> Self {
        let mut batch = Self::new();
        batch.extend(events);
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polarity_has_three_shapes() {
        let event = |polarity| Event { t: 1, x: 2, y: 3, polarity };
        let batch: EventBatch = [event(0), event(1), event(7)].into_iter().collect();
        assert_eq!(batch.polarity(), [0, 1, 1]);
        assert_eq!(batch.polarity_bool().collect::<Vec<_>>(), [false, true, true]);
        assert_eq!(batch.polarity_signed().collect::<Vec<_>>(), [-1, 1, 1]);
    }

    #[test]
    fn columns_are_taken_as_far_as_all_have_them() {
        let mut batch = EventBatch::new();
        batch.extend_columns(&[1, 2, 3], &[4, 5, 6], &[7, 8, 9], &[0, 255]);
        assert_eq!((batch.t(), batch.x(), batch.y()), (&[1, 2][..], &[4, 5][..], &[7, 8][..]));
        assert_eq!(batch.polarity(), [0, 1]);
    }

    #[test]
    fn signed_columns_are_taken_as_far_as_all_have_them() {
        let mut batch = EventBatch::new();
        batch.extend_signed_columns(&[5], &[6], &[7], &[-1]);
        batch.extend_signed_columns(&[8, 9, 10], &[11, 12], &[13, 14, 15], &[1, 0, 1]);
        let event = |t, x, y, polarity| Event { t, x, y, polarity };
        let wanted = [event(5, 6, 7, 0), event(8, 11, 13, 1), event(9, 12, 14, 0)];
        assert!(batch.iter().eq(wanted));
    }

    #[test]
    fn coordinates_beyond_the_signed_range_stay() {
        let event = Event { t: -5, x: 40_000, y: 65_535, polarity: 1 };
        let batch: EventBatch = std::iter::once(event).collect();
        assert_eq!(batch.get(0), Some(event));
        assert_eq!(batch.get(1), None);
    }

    #[test]
    fn a_cleared_batch_keeps_its_memory() {
        let mut batch = EventBatch::with_capacity(100);
        let memory = batch.memory_bytes();
        for _ in 0..10 {
            batch.extend((0..100).map(|t| Event { t, x: 0, y: 0, polarity: 0 }));
            assert_eq!((batch.len(), batch.memory_bytes()), (100, memory));
            batch.clear();
        }
    }
}
