//! What a track is asked.
//!
//! # Invariants
//! - Many times, intervals or counts are one array, which nobody writes to.
//! - Other threads of Python run while the engine answers.

use numpy::PyArray1;
use presence::{
    Bucket, Expression, Interval, IntervalOptions, Over, Presence, PresenceTrack as Engine, Zone,
};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::PresenceTrack;
use super::values::{expression, micros, moment_us, numbers, table};
use crate::error::{OrRaise, invalid};
use crate::moment::duration;

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

impl PresenceTrack {
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
    ) -> PyResult<Bound<'py, PyBytes>> {
        let range = micros(py, start, end, closed)?;
        let class = self.class_of(py, class_)?;
        let mut bytes = Vec::new();
        py.detach(|| self.engine.write_roaring(class, range, &mut bytes)).or_raise(py)?;
        Ok(PyBytes::new(py, &bytes))
    }
}
