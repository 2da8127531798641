//! What users set in a track, and take back.
//!
//! # Invariants
//! - Any thread may set ticks through a shared reference; none waits for a disk, unless so much was
//!   set that memory would grow without bound.
//! - A batch is all or nothing: it is checked before the first of it is set, and shows whole.
//! - Every tick set for a class is observed.

use std::collections::BTreeSet;
use std::ops::{Bound, Range, RangeBounds};

use super::PresenceTrack;
use crate::error::{Error, Result};
use crate::shim::Arc;
use crate::track::grid::{Edge, TICK_END, TICK_MIN};
use crate::track::pending::{OBSERVED, PlaneKey, Run};
use crate::track::plane::place_of;

/// Most ticks that one call sets or clears: 72 years at 30 a second.
const RANGE_TICKS_MAX: u64 = 1 << 36;

impl PresenceTrack {
    /// Sees to it that `class` has a plane.
    #[inline]
    fn ensure(&self, class: u16) -> Result<()> {
        if self.state.knows(class) { Ok(()) } else { self.ensure_slow(class) }
    }

    #[cold]
    fn ensure_slow(&self, class: u16) -> Result<()> {
        match self.add_class(class, "") {
            Err(Error::ClassInUse { .. }) => Ok(()),
            done => done,
        }
    }

    #[inline]
    fn check_writable(&self) -> Result<()> {
        match &self.handle {
            Some(handle) => handle.core.check_trackable(),
            None => Ok(()),
        }
    }

    /// Memory is bounded: who sets faster than the log writes helps it.
    fn relieve(&self) -> Result<()> {
        let Some(handle) = &self.handle else { return Ok(()) };
        let core = &handle.core;
        core.gate.check_appendable()?;
        if self.state.memory_bytes() > core.options.write_buffer_bytes.saturating_mul(2) {
            core.log()?.relieve(core)?;
        }
        Ok(())
    }

    /// What was detected at `t_us`: each class with its confidence. Classes whose confidence is at
    /// least `threshold` are present in the tick that holds `t_us`, and the tick is observed, also
    /// where none is. Setting twice is the same as once.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a threshold outside 0 to 1, a confidence that is no number, and a
    /// time beyond the grid: nothing is set then. [`Error::ReadOnly`], [`Error::Closed`], and
    /// failures of earlier writes.
    pub fn update_batch(&self, t_us: i64, detections: &[(u16, f32)], threshold: f32) -> Result<()> {
        self.update_many(&[(t_us, detections)], threshold)
    }

    /// Many batches at once, all or nothing: of each the time, and the classes with confidence.
    ///
    /// # Errors
    /// As [`PresenceTrack::update_batch`].
    pub fn update_many(&self, batches: &[(i64, &[(u16, f32)])], threshold: f32) -> Result<()> {
        self.check_writable()?;
        if !(0.0..=1.0).contains(&threshold) {
            let what = format!("the threshold is {threshold}; it is a number from 0 to 1");
            return Err(Error::invalid(what));
        }
        for (t_us, detections) in batches {
            self.grid.tick_of(*t_us)?;
            if let Some((class, _)) = detections.iter().find(|(_, seen)| seen.is_nan()) {
                let what = format!("at {t_us} the confidence of class {class} is not a number");
                return Err(Error::invalid(what));
            }
        }
        let is_kept = |(_, confidence): &&(u16, f32)| *confidence >= threshold;
        for (class, _) in batches.iter().flat_map(|(_, seen)| seen.iter()).filter(is_kept) {
            self.ensure(*class)?;
        }
        let full = self.state.update(self.generation(), |updates| {
            for (t_us, detections) in batches {
                let Ok(tick) = self.grid.tick_of(*t_us) else { continue };
                updates.set(OBSERVED, tick);
                for (class, _) in detections.iter().filter(is_kept) {
                    updates.set(u32::from(*class), tick);
                }
            }
        })?;
        if full { self.relieve() } else { Ok(()) }
    }

    /// Sets the tick that holds `t_us`.
    ///
    /// # Errors
    /// As [`PresenceTrack::update_batch`].
    #[inline]
    pub fn set(&self, class: u16, t_us: i64) -> Result<()> {
        self.check_writable()?;
        let tick = self.grid.tick_of(t_us)?;
        self.ensure(class)?;
        let full = self.state.update(self.generation(), |updates| {
            updates.set(OBSERVED, tick);
            updates.set(u32::from(class), tick);
        })?;
        if full { self.relieve() } else { Ok(()) }
    }

    /// Sets every tick that shares a moment with `range`, whose ends are not open.
    ///
    /// # Errors
    /// As [`PresenceTrack::update_batch`]; [`Error::Invalid`] for an open end or a range of over
    /// 2^36 ticks.
    pub fn set_range(&self, class: u16, range: impl RangeBounds<i64>) -> Result<()> {
        let ticks = self.bounded(&range)?;
        self.ensure(class)?;
        self.set_ticks(&[u32::from(class), OBSERVED], ticks)
    }

    /// Short runs wait with the ticks set one by one; long ones are set at once.
    fn set_ticks(&self, planes: &[PlaneKey], ticks: Range<i64>) -> Result<()> {
        let Range { start: from, end: to } = ticks;
        if from >= to {
            return Ok(());
        }
        if place_of(from).0 != place_of(to - 1).0 {
            return self.change(planes, ticks, true);
        }
        let full = self.state.update(self.generation(), |updates| {
            planes.iter().for_each(|&plane| updates.set_run(Run { plane, from, to }));
        })?;
        if full { self.relieve() } else { Ok(()) }
    }

    /// Observes every tick that shares a moment with `range`: what is not set in it is absent.
    ///
    /// # Errors
    /// As [`PresenceTrack::set_range`].
    pub fn observe_range(&self, range: impl RangeBounds<i64>) -> Result<()> {
        let ticks = self.bounded(&range)?;
        self.set_ticks(&[OBSERVED], ticks)
    }

    /// Makes the class absent in the tick that holds `t_us`; that it was observed stays.
    ///
    /// # Errors
    /// As [`PresenceTrack::set`].
    pub fn unset(&self, class: u16, t_us: i64) -> Result<()> {
        self.unset_range(class, t_us..=t_us)
    }

    /// Makes the class absent in every tick that shares a moment with `range`.
    ///
    /// # Errors
    /// As [`PresenceTrack::set_range`], but any range will do.
    pub fn unset_range(&self, class: u16, range: impl RangeBounds<i64>) -> Result<()> {
        self.check_writable()?;
        let ticks = self.grid.ticks(&range, Edge::Overlap)?;
        if !self.state.knows(class) {
            return Ok(());
        }
        self.change(&[u32::from(class)], ticks, false)
    }

    /// Forgets every tick that ends at or before `t_us`, in all classes and what was observed.
    /// Files get smaller at the next [compaction](crate::Database::compact). Of a track in a
    /// database, what is forgotten shows as absent first, and as not observed when that is in the
    /// log.
    ///
    /// # Errors
    /// As [`PresenceTrack::set`].
    pub fn forget_before(&self, t_us: i64) -> Result<()> {
        self.check_writable()?;
        let mut ticks = self.grid.ticks(&(..t_us), Edge::Overlap)?;
        if self.grid.start_us(ticks.end).is_ok_and(|start| start > t_us) {
            ticks.end -= 1;
        }
        let ticks = (ticks.start, ticks.end);
        match &self.handle {
            Some(handle) => handle.core.log()?.forget_ticks(&handle.core, &self.state, ticks)?,
            None => self.state.clear_all(self.generation(), ticks)?,
        }
        self.relieve()
    }

    fn bounded(&self, range: &impl RangeBounds<i64>) -> Result<Range<i64>> {
        self.check_writable()?;
        let open = |bound| matches!(bound, Bound::Unbounded);
        if open(range.start_bound()) || open(range.end_bound()) {
            return Err(Error::invalid("a range to be set needs a beginning and an end"));
        }
        let ticks = self.grid.ticks(range, Edge::Overlap)?;
        if ticks.end.abs_diff(ticks.start) > RANGE_TICKS_MAX {
            return Err(Error::invalid(format!(
                "the range has {} ticks; at most {RANGE_TICKS_MAX} are set at once",
                ticks.end.abs_diff(ticks.start)
            )));
        }
        Ok(ticks)
    }

    fn change(&self, planes: &[PlaneKey], ticks: Range<i64>, set: bool) -> Result<()> {
        self.state.change_range(self.generation(), planes, (ticks.start, ticks.end), set)?;
        self.relieve()
    }

    /// Sets here what is set in `other`: classes by their name, or by their number where they have
    /// none; and what was observed.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the grids differ, or a number stands for different names; and as
    /// [`PresenceTrack::set`] and [`PresenceTrack::ratio`].
    pub fn merge(&self, other: &Self) -> Result<()> {
        self.check_writable()?;
        if self.grid != other.grid {
            return Err(Error::invalid("tracks of different grids cannot be merged"));
        }
        let planes = other.planes()?;
        other.check_gaps(&planes, |_| true, &(TICK_MIN..TICK_END))?;
        // First what was observed: the log may be written between one plane and the next.
        let mut pairs = vec![(OBSERVED, Arc::clone(&planes.observed))];
        let mut taken: BTreeSet<u16> = self.classes().into_iter().map(|class| class.id).collect();
        for class in other.classes() {
            let id = match &class.name {
                // Keeps its number where that is free.
                Some(name) => match self.state.named(name) {
                    Some(id) => id,
                    None if taken.insert(class.id) => {
                        self.name_class(class.id, name)?;
                        class.id
                    }
                    None => self.class(name)?,
                },
                None => {
                    self.ensure(class.id)?;
                    class.id
                }
            };
            taken.insert(id);
            if let Some(plane) = planes.classes.get(&class.id) {
                pairs.push((u32::from(id), Arc::clone(plane)));
            }
        }
        for (key, plane) in pairs {
            self.state.merge(self.generation(), key, &plane, &mut || self.relieve())?;
        }
        Ok(())
    }
}
