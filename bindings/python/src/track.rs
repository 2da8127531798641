//! Presence tracks: which class was seen when.
//!
//! # Invariants
//! - All times are microseconds.

mod questions;
mod values;

use numpy::PyReadonlyArray1;
use presence::{Edge, PresenceTrack as Engine};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt};

use self::values::{micros, moment_us};
use crate::error::{OrRaise, invalid};
use crate::stream::times;

pub(crate) use self::questions::Ratio;

/// At which ticks of a grid each class was present, and which ticks were observed at all.
///
/// Ticks are set in any order, late ones too. What is asked for is a class (its number or name) or
/// an expression over classes: ``"person & !car"``. Times are microseconds, in and out.
///
/// >>> import presence
/// >>> track = presence.PresenceTrack(30)
/// >>> for frame in range(90):
/// ...     seen = {"person": 0.9 if frame < 60 else 0.2}
/// ...     track.update_batch(frame * 1_000_000 // 30 + 1, seen, 0.5)
/// >>> track.ratio("person").over_observed
/// 0.6666666666666666
/// >>> track.intervals("person")
/// array([(0, 2000000)], dtype=[('enter_us', '<i8'), ('leave_us', '<i8')])
#[pyclass(frozen, module = "presence", name = "PresenceTrack")]
pub(crate) struct PresenceTrack {
    pub(crate) engine: Engine,
    /// Where its database is; none in memory.
    pub(crate) path: Option<String>,
}

impl PresenceTrack {
    /// The class of a number or a name, which is made where there is none.
    fn class_of(&self, py: Python<'_>, class: &Bound<'_, PyAny>) -> PyResult<u16> {
        if class.is_instance_of::<PyInt>() {
            return class.extract();
        }
        let name: String = class.extract()?;
        py.detach(|| self.engine.class(&name)).or_raise(py)
    }

    /// Detections as pairs, or as a mapping of classes to confidences.
    fn detections(&self, py: Python<'_>, seen: &Bound<'_, PyAny>) -> PyResult<Vec<(u16, f32)>> {
        let items = match seen.cast::<PyDict>() {
            Ok(seen) => seen.items().into_any(),
            Err(_) => seen.clone(),
        };
        if let Ok(pairs) = items.extract() {
            return Ok(pairs);
        }
        let pairs = items.try_iter()?.map(|pair| {
            let (class, confidence): (Bound<'_, PyAny>, f32) = pair?.extract()?;
            Ok((self.class_of(py, &class)?, confidence))
        });
        pairs.collect()
    }
}

#[pymethods]
impl PresenceTrack {
    /// A track in memory. ``rate`` and ``epoch`` as of ``Database.create_track``.
    #[new]
    #[pyo3(signature = (rate, *, epoch = None))]
    fn new(rate: &Bound<'_, PyAny>, epoch: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let grid = crate::database::grid(rate, epoch)?;
        Ok(Self { engine: Engine::in_memory(grid), path: None })
    }

    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        self.engine.name()
    }

    /// Ticks a second, as a ``fractions.Fraction``.
    #[getter]
    fn rate<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let rate = self.engine.grid().rate();
        py.import("fractions")?.getattr("Fraction")?.call1((rate.num(), rate.den()))
    }

    /// Where tick 0 begins.
    #[getter]
    fn epoch_us(&self) -> i64 {
        self.engine.grid().epoch_us()
    }

    /// The classes that were ever named or set: their names by number, ``None`` where they have
    /// none.
    #[getter]
    fn classes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let classes = PyDict::new(py);
        for class in self.engine.classes() {
            classes.set_item(class.id, class.name)?;
        }
        Ok(classes)
    }

    fn __repr__(&self) -> String {
        format!("PresenceTrack({:?}, rate='{}')", self.engine.name(), self.engine.grid().rate())
    }

    /// The tick that holds ``t``.
    fn tick_of(&self, py: Python<'_>, t: &Bound<'_, PyAny>) -> PyResult<i64> {
        self.engine.grid().tick_of(moment_us(t)?).or_raise(py)
    }

    /// The first microsecond of a tick.
    fn start_us(&self, py: Python<'_>, tick: i64) -> PyResult<i64> {
        self.engine.grid().start_us(tick).or_raise(py)
    }

    /// The number of the class called ``name``, made where there is none.
    #[pyo3(name = "class_")]
    fn class(&self, py: Python<'_>, name: &str) -> PyResult<u16> {
        py.detach(|| self.engine.class(name)).or_raise(py)
    }

    /// Gives a class that was not set or named before its name.
    fn name_class(&self, py: Python<'_>, id: u16, name: &str) -> PyResult<()> {
        py.detach(|| self.engine.name_class(id, name)).or_raise(py)
    }

    /// The same track, whose ranges take ticks at their ends that only share a moment with them
    /// (``'overlap'``), or that begin in them (``'start'``).
    fn with_edge(&self, py: Python<'_>, edge: &str) -> PyResult<Self> {
        let edge = match edge {
            "overlap" => Edge::Overlap,
            "start" => Edge::Start,
            other => {
                let text = format!("edge is 'overlap' or 'start', not {other:?}");
                return Err(invalid(py, text));
            }
        };
        Ok(Self { engine: self.engine.clone().with_edge(edge), path: self.path.clone() })
    }

    /// The same track, answering also where damage took parts of it.
    fn skip_gaps(&self) -> Self {
        Self { engine: self.engine.clone().skip_gaps(), path: self.path.clone() }
    }

    /// What was detected at ``t``: confidences of classes, as pairs or a dict. Those of at least
    /// ``threshold`` are present; the tick is observed also where none is.
    #[pyo3(signature = (t, detections, threshold = 0.0))]
    fn update_batch(
        &self,
        py: Python<'_>,
        t: &Bound<'_, PyAny>,
        detections: &Bound<'_, PyAny>,
        threshold: f32,
    ) -> PyResult<()> {
        let t_us = moment_us(t)?;
        let pairs = self.detections(py, detections)?;
        py.detach(|| self.engine.update_batch(t_us, &pairs, threshold)).or_raise(py)
    }

    /// Detections of many moments at once: three arrays of times, classes and confidences, one
    /// entry a detection. All or nothing.
    #[pyo3(signature = (times, classes, confidences, threshold = 0.0))]
    fn update_many(
        &self,
        py: Python<'_>,
        times: &Bound<'_, PyAny>,
        classes: PyReadonlyArray1<'_, u16>,
        confidences: PyReadonlyArray1<'_, f32>,
        threshold: f32,
    ) -> PyResult<()> {
        let times = self::times(times, "us")?;
        let uneven = |why: numpy::AsSliceError| invalid(py, why);
        let times = times.as_slice().map_err(uneven)?;
        let classes = classes.as_slice().map_err(uneven)?;
        let confidences = confidences.as_slice().map_err(uneven)?;
        if times.len() != classes.len() || times.len() != confidences.len() {
            let (times, classes) = (times.len(), classes.len());
            let text = format!("{times} times, {classes} classes, {} values", confidences.len());
            return Err(invalid(py, text));
        }
        let done = py.detach(|| {
            let pairs = classes.iter().copied().zip(confidences.iter().copied());
            let seen: Vec<(u16, f32)> = pairs.collect();
            let batches: Vec<(i64, &[(u16, f32)])> =
                times.iter().copied().zip(seen.chunks(1)).collect();
            self.engine.update_many(&batches, threshold)
        });
        done.or_raise(py)
    }

    /// Sets the tick that holds ``t``.
    fn set(&self, py: Python<'_>, class_: &Bound<'_, PyAny>, t: &Bound<'_, PyAny>) -> PyResult<()> {
        let (class, t_us) = (self.class_of(py, class_)?, moment_us(t)?);
        py.detach(|| self.engine.set(class, t_us)).or_raise(py)
    }

    /// Sets every tick that shares a moment with the range.
    #[pyo3(signature = (class_, start, end, *, closed = "left"))]
    fn set_range(
        &self,
        py: Python<'_>,
        class_: &Bound<'_, PyAny>,
        start: &Bound<'_, PyAny>,
        end: &Bound<'_, PyAny>,
        closed: &str,
    ) -> PyResult<()> {
        let class = self.class_of(py, class_)?;
        let range = micros(py, Some(start), Some(end), closed)?;
        py.detach(|| self.engine.set_range(class, range)).or_raise(py)
    }

    /// Observes every tick that shares a moment with the range: what is not set in it is absent.
    #[pyo3(signature = (start, end, *, closed = "left"))]
    fn observe_range(
        &self,
        py: Python<'_>,
        start: &Bound<'_, PyAny>,
        end: &Bound<'_, PyAny>,
        closed: &str,
    ) -> PyResult<()> {
        let range = micros(py, Some(start), Some(end), closed)?;
        py.detach(|| self.engine.observe_range(range)).or_raise(py)
    }

    /// Makes the class absent in the tick that holds ``t``.
    fn unset(
        &self,
        py: Python<'_>,
        class_: &Bound<'_, PyAny>,
        t: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let (class, t_us) = (self.class_of(py, class_)?, moment_us(t)?);
        py.detach(|| self.engine.unset(class, t_us)).or_raise(py)
    }

    /// Makes the class absent in every tick that shares a moment with the range.
    #[pyo3(signature = (class_, start = None, end = None, *, closed = "left"))]
    fn unset_range(
        &self,
        py: Python<'_>,
        class_: &Bound<'_, PyAny>,
        start: Option<&Bound<'_, PyAny>>,
        end: Option<&Bound<'_, PyAny>>,
        closed: &str,
    ) -> PyResult<()> {
        let class = self.class_of(py, class_)?;
        let range = micros(py, start, end, closed)?;
        py.detach(|| self.engine.unset_range(class, range)).or_raise(py)
    }

    /// Forgets every tick that ends at or before ``t``.
    fn forget_before(&self, py: Python<'_>, t: &Bound<'_, PyAny>) -> PyResult<()> {
        let t_us = moment_us(t)?;
        py.detach(|| self.engine.forget_before(t_us)).or_raise(py)
    }

    /// Sets here what is set in ``other``, a track of the same grid.
    fn merge(&self, py: Python<'_>, other: &Self) -> PyResult<()> {
        py.detach(|| self.engine.merge(&other.engine)).or_raise(py)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (String, String))> {
        let Some(path) = &self.path else {
            let text = "a track in memory cannot be pickled; one in a database can";
            return Err(pyo3::exceptions::PyTypeError::new_err(text));
        };
        let open = py.import("presence._pickle")?.getattr("track")?;
        Ok((open, (path.clone(), self.engine.name().to_owned())))
    }
}
