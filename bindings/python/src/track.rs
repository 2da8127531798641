//! Presence tracks: which class was seen when, and every question about it.
//!
//! # Invariants
//! - All times are microseconds; many of them are one array.

use numpy::{PyArray1, PyReadonlyArray1};
use presence::{
    Bucket, Edge, Expression, Interval, IntervalOptions, Over, Presence, PresenceTrack as Engine,
    TimeUnit, Zone,
};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt};

use crate::error::{OrRaise, invalid};
use crate::moment::{Range, Round, duration, range, timestamp};
use crate::stream::times;

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

/// Counts of a range.
///
/// >>> import presence
/// >>> track = presence.PresenceTrack(10)
/// >>> for tick in range(5):
/// ...     track.update_batch(tick * 100_000, {"cat": 1.0} if tick < 2 else {}, 0.5)
/// >>> ratio = track.ratio("cat", 0, "1s")
/// >>> ratio.present, ratio.observed, ratio.range_ticks
/// (2, 5, 10)
/// >>> ratio.over_observed, ratio.over_range, float(ratio)
/// (0.4, 0.2, 0.4)
#[pyclass(frozen, get_all, module = "presence", name = "Ratio")]
pub(crate) struct Ratio {
    /// Ticks at which the expression held.
    present: u64,
    /// Ticks at which somebody looked.
    observed: u64,
    /// Ticks of the range.
    range_ticks: u64,
    /// The part of the observed ticks; ``None`` where nothing was observed.
    over_observed: Option<f64>,
    /// The part of all ticks of the range; ``None`` of a range without ticks.
    over_range: Option<f64>,
}

#[pymethods]
impl Ratio {
    fn __float__(&self) -> f64 {
        self.over_observed.unwrap_or(f64::NAN)
    }

    fn __repr__(&self) -> String {
        let Self { present, observed, range_ticks, .. } = self;
        format!("Ratio(present={present}, observed={observed}, range_ticks={range_ticks})")
    }
}

/// The expression that `object` is: a class by number, or text.
fn expression(object: &Bound<'_, PyAny>) -> PyResult<Expression> {
    if object.is_instance_of::<PyInt>() {
        return Ok(presence::class(object.extract::<u16>()?));
    }
    let text: String = object.extract()?;
    text.parse().map_err(|why: presence::ExpressionError| invalid(object.py(), why))
}

fn micros(
    py: Python<'_>,
    start: Option<&Bound<'_, PyAny>>,
    end: Option<&Bound<'_, PyAny>>,
    closed: &str,
) -> PyResult<Range> {
    range(py, start, end, closed, TimeUnit::Us)
}

fn moment_us(t: &Bound<'_, PyAny>) -> PyResult<i64> {
    timestamp(t, TimeUnit::Us, Round::Down)
}

/// An array of records whose fields are all of eight bytes.
fn table<'py>(
    py: Python<'py>,
    cells: Vec<i64>,
    fields: &[(&str, &str)],
) -> PyResult<Bound<'py, PyAny>> {
    let array = PyArray1::from_vec(py, cells);
    read_only(&array)?;
    array.call_method1("view", (fields.to_vec(),))
}

/// Nobody writes to a result.
fn read_only<'py, T: numpy::Element>(array: &Bound<'py, PyArray1<T>>) -> PyResult<()> {
    let named = PyDict::new(array.py());
    named.set_item("write", false)?;
    array.call_method("setflags", (), Some(&named)).map(|_| ())
}

fn numbers<'py, T: numpy::Element>(
    py: Python<'py>,
    values: Vec<T>,
) -> PyResult<Bound<'py, PyArray1<T>>> {
    let array = PyArray1::from_vec(py, values);
    read_only(&array)?;
    Ok(array)
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

    fn asked<R: Send>(
        &self,
        py: Python<'_>,
        of: &Bound<'_, PyAny>,
        question: impl Send + FnOnce(&Engine, &Expression) -> presence::Result<R>,
    ) -> PyResult<R> {
        let expression = expression(of)?;
        py.detach(|| question(&self.engine, &expression)).or_raise(py)
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

    /// How many ticks of the range are present, observed, and in it.
    ///
    /// >>> import presence
    /// >>> track = presence.PresenceTrack(1)
    /// >>> track.name_class(1, "person")
    /// >>> track.name_class(2, "car")
    /// >>> for second, seen in enumerate(([1], [1, 2], [2], [1])):
    /// ...     track.update_batch(f"{second}s", [(one, 1.0) for one in seen])
    /// >>> track.ratio("person"), float(track.ratio("person & car"))
    /// (Ratio(present=3, observed=4, range_ticks=4), 0.25)
    #[pyo3(signature = (of, start = None, end = None, *, closed = "left"))]
    fn ratio(
        &self,
        py: Python<'_>,
        of: &Bound<'_, PyAny>,
        start: Option<&Bound<'_, PyAny>>,
        end: Option<&Bound<'_, PyAny>>,
        closed: &str,
    ) -> PyResult<Ratio> {
        let range = micros(py, start, end, closed)?;
        let ratio = self.asked(py, of, |track, of| track.ratio(of, range))?;
        Ok(Ratio {
            present: ratio.present,
            observed: ratio.observed,
            range_ticks: ratio.range_ticks,
            over_observed: ratio.over_observed(),
            over_range: ratio.over_range(),
        })
    }

    /// How many ticks of the range are present.
    #[pyo3(signature = (of, start = None, end = None, *, closed = "left"))]
    fn count(
        &self,
        py: Python<'_>,
        of: &Bound<'_, PyAny>,
        start: Option<&Bound<'_, PyAny>>,
        end: Option<&Bound<'_, PyAny>>,
        closed: &str,
    ) -> PyResult<u64> {
        let range = micros(py, start, end, closed)?;
        self.asked(py, of, |track, of| track.count(of, range))
    }

    /// Whether any tick of the range is present.
    #[pyo3(signature = (of, start = None, end = None, *, closed = "left"))]
    fn any(
        &self,
        py: Python<'_>,
        of: &Bound<'_, PyAny>,
        start: Option<&Bound<'_, PyAny>>,
        end: Option<&Bound<'_, PyAny>>,
        closed: &str,
    ) -> PyResult<bool> {
        let range = micros(py, start, end, closed)?;
        self.asked(py, of, |track, of| track.any(of, range))
    }

    /// Whether every tick of the range is present, of those ``'observed'`` or of the whole
    /// ``'range'``.
    #[pyo3(signature = (of, start = None, end = None, *, closed = "left", over = "observed"))]
    fn all(
        &self,
        py: Python<'_>,
        of: &Bound<'_, PyAny>,
        start: Option<&Bound<'_, PyAny>>,
        end: Option<&Bound<'_, PyAny>>,
        closed: &str,
        over: &str,
    ) -> PyResult<bool> {
        let over = match over {
            "observed" => Over::Observed,
            "range" => Over::Range,
            other => {
                let text = format!("over is 'observed' or 'range', not {other:?}");
                return Err(invalid(py, text));
            }
        };
        let range = micros(py, start, end, closed)?;
        self.asked(py, of, |track, of| track.all(of, range, over))
    }

    /// ``True`` where the tick that holds ``t`` is present, ``False`` where it is absent, ``None``
    /// where nobody looked.
    fn at(
        &self,
        py: Python<'_>,
        of: &Bound<'_, PyAny>,
        t: &Bound<'_, PyAny>,
    ) -> PyResult<Option<bool>> {
        let t_us = moment_us(t)?;
        Ok(match self.asked(py, of, |track, of| track.at(of, t_us))? {
            Presence::Present => Some(true),
            Presence::Absent => Some(false),
            Presence::NotObserved => None,
        })
    }

    /// Start of the first present tick of the range.
    #[pyo3(signature = (of, start = None, end = None, *, closed = "left"))]
    fn first(
        &self,
        py: Python<'_>,
        of: &Bound<'_, PyAny>,
        start: Option<&Bound<'_, PyAny>>,
        end: Option<&Bound<'_, PyAny>>,
        closed: &str,
    ) -> PyResult<Option<i64>> {
        let range = micros(py, start, end, closed)?;
        self.asked(py, of, |track, of| track.first(of, range))
    }

    /// Start of the last present tick of the range.
    #[pyo3(signature = (of, start = None, end = None, *, closed = "left"))]
    fn last(
        &self,
        py: Python<'_>,
        of: &Bound<'_, PyAny>,
        start: Option<&Bound<'_, PyAny>>,
        end: Option<&Bound<'_, PyAny>>,
        closed: &str,
    ) -> PyResult<Option<i64>> {
        let range = micros(py, start, end, closed)?;
        self.asked(py, of, |track, of| track.last(of, range))
    }

    /// Start of the first present tick behind the one that holds ``t``.
    fn next_after(
        &self,
        py: Python<'_>,
        of: &Bound<'_, PyAny>,
        t: &Bound<'_, PyAny>,
    ) -> PyResult<Option<i64>> {
        let t_us = moment_us(t)?;
        self.asked(py, of, |track, of| track.next_after(of, t_us))
    }

    /// Start of the last present tick before the one that holds ``t``.
    fn previous_before(
        &self,
        py: Python<'_>,
        of: &Bound<'_, PyAny>,
        t: &Bound<'_, PyAny>,
    ) -> PyResult<Option<i64>> {
        let t_us = moment_us(t)?;
        self.asked(py, of, |track, of| track.previous_before(of, t_us))
    }

    /// The starts of all present ticks of the range: int64.
    ///
    /// >>> import presence
    /// >>> track = presence.PresenceTrack(1)
    /// >>> track.name_class(1, "person")
    /// >>> track.name_class(2, "car")
    /// >>> for second, seen in enumerate(([1], [1, 2], [2], [1])):
    /// ...     track.update_batch(f"{second}s", [(one, 1.0) for one in seen])
    /// >>> track.timestamps("person")
    /// array([      0, 1000000, 3000000])
    #[pyo3(signature = (of, start = None, end = None, *, closed = "left"))]
    fn timestamps<'py>(
        &self,
        py: Python<'py>,
        of: &Bound<'py, PyAny>,
        start: Option<&Bound<'py, PyAny>>,
        end: Option<&Bound<'py, PyAny>>,
        closed: &str,
    ) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let range = micros(py, start, end, closed)?;
        let times = self.asked(py, of, |track, of| {
            let mut times = Vec::new();
            track.timestamps(of, range)?.read_all(&mut times)?;
            Ok(times)
        })?;
        numbers(py, times)
    }

    /// From when to when it was present: records of ``enter_us`` and ``leave_us``. Gaps up to
    /// ``close_gaps`` are closed, then what is shorter than ``drop_shorter_than`` is left out.
    ///
    /// >>> import presence
    /// >>> track = presence.PresenceTrack(1)
    /// >>> track.name_class(1, "person")
    /// >>> track.name_class(2, "car")
    /// >>> for second, seen in enumerate(([1], [1, 2], [2], [1])):
    /// ...     track.update_batch(f"{second}s", [(one, 1.0) for one in seen])
    /// >>> track.intervals("person").tolist(), track.intervals("person", close_gaps="1s").tolist()
    /// ([(0, 2000000), (3000000, 4000000)], [(0, 4000000)])
    #[pyo3(signature = (
        of, start = None, end = None, *, closed = "left", close_gaps = None,
        drop_shorter_than = None,
    ))]
    #[expect(clippy::too_many_arguments, reason = "named arguments of Python")]
    fn intervals<'py>(
        &self,
        py: Python<'py>,
        of: &Bound<'py, PyAny>,
        start: Option<&Bound<'py, PyAny>>,
        end: Option<&Bound<'py, PyAny>>,
        closed: &str,
        close_gaps: Option<&Bound<'py, PyAny>>,
        drop_shorter_than: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let range = micros(py, start, end, closed)?;
        let mut options = IntervalOptions::new();
        if let Some(longest) = close_gaps {
            options = options.close_gaps(duration(longest)?);
        }
        if let Some(shortest) = drop_shorter_than {
            options = options.drop_shorter_than(duration(shortest)?);
        }
        let found = self.asked(py, of, |track, of| track.intervals(of, range, options))?;
        let cells = found.iter().flat_map(|one: &Interval| [one.enter_us, one.leave_us]);
        table(py, cells.collect(), &[("enter_us", "<i8"), ("leave_us", "<i8")])
    }

    /// The counts in each bucket of the range: records of ``from_us``, ``to_us``, ``present``,
    /// ``observed`` and ``range_ticks``. ``every`` is a span of time, or ``'hour'`` or ``'day'`` of
    /// the clocks of ``zone``.
    #[pyo3(signature = (of, every, start = None, end = None, *, closed = "left", zone = "UTC"))]
    #[expect(clippy::too_many_arguments, reason = "named arguments of Python")]
    fn ratio_every<'py>(
        &self,
        py: Python<'py>,
        of: &Bound<'py, PyAny>,
        every: &Bound<'py, PyAny>,
        start: Option<&Bound<'py, PyAny>>,
        end: Option<&Bound<'py, PyAny>>,
        closed: &str,
        zone: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let range = micros(py, start, end, closed)?;
        let zone: Zone = zone.parse().or_raise(py)?;
        let bucket = match every.extract::<String>().as_deref() {
            Ok("hour") => Bucket::Hour(zone),
            Ok("day") => Bucket::Day(zone),
            _ => Bucket::Every(duration(every)?),
        };
        let found = self.asked(py, of, |track, of| track.ratio_every(of, range, &bucket))?;
        let cells = found.iter().flat_map(|one| {
            let counts = [one.ratio.present, one.ratio.observed, one.ratio.range_ticks];
            [one.from_us, one.to_us].into_iter().chain(counts.map(|count| count as i64))
        });
        let fields = ["from_us", "to_us", "present", "observed", "range_ticks"];
        table(py, cells.collect(), &fields.map(|field| (field, "<i8")))
    }

    /// For each pair of ``classes`` (all, without any), the ticks of the range at which both were
    /// present: the classes, ascending, and a matrix of counts.
    ///
    /// >>> import presence
    /// >>> track = presence.PresenceTrack(1)
    /// >>> track.name_class(1, "person")
    /// >>> track.name_class(2, "car")
    /// >>> for second, seen in enumerate(([1], [1, 2], [2], [1])):
    /// ...     track.update_batch(f"{second}s", [(one, 1.0) for one in seen])
    /// >>> classes, counts = track.co_occurrence()
    /// >>> classes.tolist(), counts.tolist()
    /// ([1, 2], [[3, 1], [1, 2]])
    #[pyo3(signature = (classes = None, start = None, end = None, *, closed = "left"))]
    fn co_occurrence<'py>(
        &self,
        py: Python<'py>,
        classes: Option<Vec<Bound<'py, PyAny>>>,
        start: Option<&Bound<'py, PyAny>>,
        end: Option<&Bound<'py, PyAny>>,
        closed: &str,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let range = micros(py, start, end, closed)?;
        let classes = match classes {
            None => self.engine.classes().into_iter().map(|class| class.id).collect(),
            Some(given) => given
                .iter()
                .map(|class| self.class_of(py, class))
                .collect::<PyResult<Vec<u16>>>()?,
        };
        let found = py.detach(|| self.engine.co_occurrence(&classes, range)).or_raise(py)?;
        let counts: Vec<u64> = found.rows().flatten().copied().collect();
        let side = found.classes().len();
        let matrix = numbers(py, counts)?.call_method1("reshape", ((side, side),))?;
        Ok((numbers(py, found.classes().to_vec())?.into_any(), matrix))
    }

    /// The ticks of a class as a 64-bit Roaring bitmap in its portable format.
    #[pyo3(signature = (class_, start = None, end = None, *, closed = "left"))]
    fn to_roaring<'py>(
        &self,
        py: Python<'py>,
        class_: &Bound<'py, PyAny>,
        start: Option<&Bound<'py, PyAny>>,
        end: Option<&Bound<'py, PyAny>>,
        closed: &str,
    ) -> PyResult<Bound<'py, pyo3::types::PyBytes>> {
        let range = micros(py, start, end, closed)?;
        let class = self.class_of(py, class_)?;
        let mut bytes = Vec::new();
        py.detach(|| self.engine.write_roaring(class, range, &mut bytes)).or_raise(py)?;
        Ok(pyo3::types::PyBytes::new(py, &bytes))
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
