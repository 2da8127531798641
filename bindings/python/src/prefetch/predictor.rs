//! Predictors: the engine's under the names that are known, and those written in Python.
//!
//! # Invariants
//! - A class derived from one of these that says itself what is likely is asked, not the engine's.

use std::collections::VecDeque;
use std::sync::Arc;

use presence_cache::Builder;
use presence_cache::predict::{
    Context, DistanceDecay, DynamicData, DynamicDistanceDecay, Feedback, Predictor,
};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyMapping};

use super::provider::PyProvider;
use super::shared::{Shared, attached};

/// What a predictor of the engine says, as a dict.
fn likelihoods<'py>(
    py: Python<'py>,
    mut predictor: impl Predictor<i64>,
    current: i64,
    history: Vec<i64>,
) -> PyResult<Bound<'py, PyDict>> {
    let history = VecDeque::from(history);
    let feedback = Feedback::default();
    let context = Context { current: &current, history: &history, feedback, keys_max: usize::MAX };
    let mut likely = Vec::new();
    predictor.predict(&context, &mut likely);
    let all = PyDict::new(py);
    for (key, likelihood) in likely {
        all.set_item(key, likelihood)?;
    }
    Ok(all)
}

/// Likelihood that falls with distance: ``1 / (distance + 1) ** decay`` for every key within
/// ``max_span`` of the current one, itself included.
///
/// >>> from presence.prefetch import DistanceDecayPredictor
/// >>> DistanceDecayPredictor(max_span=1, decay=1.0).get_likelihoods(10, [])
/// {9: 0.5, 10: 1.0, 11: 0.5}
#[pyclass(frozen, subclass, module = "presence.prefetch")]
pub(super) struct DistanceDecayPredictor {
    #[pyo3(get)]
    max_span: u32,
    #[pyo3(get)]
    decay: f64,
}

impl DistanceDecayPredictor {
    fn engine(&self) -> DistanceDecay {
        DistanceDecay { span_max: self.max_span, decay: self.decay }
    }
}

#[pymethods]
impl DistanceDecayPredictor {
    #[new]
    #[pyo3(signature = (max_span = 60, decay = 1.5))]
    fn new(max_span: u32, decay: f64) -> Self {
        Self { max_span, decay }
    }

    /// The keys that are likely after ``current``, each with its likelihood.
    fn get_likelihoods<'py>(
        &self,
        py: Python<'py>,
        current: i64,
        history: Vec<i64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        likelihoods(py, self.engine(), current, history)
    }
}

/// For playback: ``forward_bias / d ** 0.8`` forward, ``0.3 / d ** 1.2`` back over half of
/// ``max_span``; after a step forward the next nine keys count 1.5 times.
///
/// >>> from presence.prefetch import DynamicDistanceDecayPredictor
/// >>> DynamicDistanceDecayPredictor(max_span=2).get_likelihoods(0, [])[1]
/// 2.0
#[pyclass(frozen, subclass, module = "presence.prefetch")]
pub(super) struct DynamicDistanceDecayPredictor {
    #[pyo3(get)]
    forward_bias: f64,
    #[pyo3(get)]
    max_span: u32,
}

impl DynamicDistanceDecayPredictor {
    fn engine(&self) -> DynamicDistanceDecay {
        DynamicDistanceDecay { forward_bias: self.forward_bias, span_max: self.max_span }
    }
}

#[pymethods]
impl DynamicDistanceDecayPredictor {
    #[new]
    #[pyo3(signature = (forward_bias = 2.0, max_span = 25))]
    fn new(forward_bias: f64, max_span: u32) -> Self {
        Self { forward_bias, max_span }
    }

    /// The keys that are likely after ``current``, each with its likelihood.
    fn get_likelihoods<'py>(
        &self,
        py: Python<'py>,
        current: i64,
        history: Vec<i64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        likelihoods(py, self.engine(), current, history)
    }
}

/// For players with buttons that jump by ``possible_jumps``: likelihood that falls with distance,
/// more of it at and around the targets of jumps, and ahead after two steps forward.
///
/// >>> from presence.prefetch import DynamicDataPredictor
/// >>> predictor = DynamicDataPredictor(possible_jumps=[15], length=1000)
/// >>> max(predictor.get_likelihoods(100, [100]).items(), key=lambda item: item[1])[0]
/// 115
#[pyclass(frozen, subclass, module = "presence.prefetch")]
pub(super) struct DynamicDataPredictor {
    engine: DynamicData,
}

#[pymethods]
impl DynamicDataPredictor {
    #[new]
    #[pyo3(signature = (possible_jumps, *, forward_bias = 2.0, backward_bias = 0.3,
        jump_boost = 5.0, proximity_boost = 2.0, history_boost = 2.0, max_span = 30,
        forward_exp = 0.8, backward_exp = 1.2, proximity_range = 5, length = None))]
    #[expect(clippy::too_many_arguments, reason = "the names that are known")]
    fn new(
        possible_jumps: Vec<i64>,
        forward_bias: f64,
        backward_bias: f64,
        jump_boost: f64,
        proximity_boost: f64,
        history_boost: f64,
        max_span: u32,
        forward_exp: f64,
        backward_exp: f64,
        proximity_range: u32,
        length: Option<i64>,
    ) -> Self {
        let engine = DynamicData {
            possible_jumps,
            forward_bias,
            backward_bias,
            jump_boost,
            proximity_boost,
            history_boost,
            span_max: max_span,
            forward_exponent: forward_exp,
            backward_exponent: backward_exp,
            proximity_range,
            length,
        };
        Self { engine }
    }

    #[getter]
    fn possible_jumps(&self) -> Vec<i64> {
        self.engine.possible_jumps.clone()
    }

    #[getter]
    fn forward_bias(&self) -> f64 {
        self.engine.forward_bias
    }

    #[getter]
    fn backward_bias(&self) -> f64 {
        self.engine.backward_bias
    }

    #[getter]
    fn jump_boost(&self) -> f64 {
        self.engine.jump_boost
    }

    #[getter]
    fn proximity_boost(&self) -> f64 {
        self.engine.proximity_boost
    }

    #[getter]
    fn history_boost(&self) -> f64 {
        self.engine.history_boost
    }

    #[getter]
    fn max_span(&self) -> u32 {
        self.engine.span_max
    }

    #[getter]
    fn forward_exp(&self) -> f64 {
        self.engine.forward_exponent
    }

    #[getter]
    fn backward_exp(&self) -> f64 {
        self.engine.backward_exponent
    }

    #[getter]
    fn proximity_range(&self) -> u32 {
        self.engine.proximity_range
    }

    #[getter]
    fn length(&self) -> Option<i64> {
        self.engine.length
    }

    /// The keys that are likely after ``current``, each with its likelihood.
    fn get_likelihoods<'py>(
        &self,
        py: Python<'py>,
        current: i64,
        history: Vec<i64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        likelihoods(py, self.engine.clone(), current, history)
    }
}

/// A predictor written in Python.
struct PyPredictor {
    ask: Py<PyAny>,
    shared: Arc<Shared>,
}

impl PyPredictor {
    fn call(
        &self,
        py: Python<'_>,
        context: &Context<'_, i64>,
        likely: &mut Vec<(i64, f64)>,
    ) -> PyResult<()> {
        let history = PyList::new(py, context.history)?;
        let said = self.ask.call1(py, (*context.current, history))?;
        for item in said.bind(py).cast::<PyMapping>()?.items()?.iter() {
            likely.push(item.extract()?);
        }
        Ok(())
    }
}

impl Predictor<i64> for PyPredictor {
    fn predict(&mut self, context: &Context<'_, i64>, likely: &mut Vec<(i64, f64)>) {
        attached(|py| {
            if let Err(error) = self.call(py, context, likely) {
                likely.clear();
                self.shared.fail(py, error);
            }
        });
    }
}

/// The settings with `predictor`, the engine's own where it is one.
pub(super) fn with_predictor(
    builder: Builder<i64, PyProvider>,
    predictor: &Bound<'_, PyAny>,
    shared: &Arc<Shared>,
) -> PyResult<Builder<i64, PyProvider>> {
    if let Ok(known) = predictor.cast_exact::<DistanceDecayPredictor>() {
        return Ok(builder.predictor(known.get().engine()));
    }
    if let Ok(known) = predictor.cast_exact::<DynamicDistanceDecayPredictor>() {
        return Ok(builder.predictor(known.get().engine()));
    }
    if let Ok(known) = predictor.cast_exact::<DynamicDataPredictor>() {
        return Ok(builder.predictor(known.get().engine.clone()));
    }
    let ask = predictor.getattr("get_likelihoods")?.unbind();
    Ok(builder.predictor(PyPredictor { ask, shared: Arc::clone(shared) }))
}
