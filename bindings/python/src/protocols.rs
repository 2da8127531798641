//! Results as one array, for those who ask for it by numpy's protocol or by DLPack's.
//!
//! # Invariants
//! - What is handed out is the array of the only column: a view where that is one, read-only.
//! - It keeps alive what it views, whatever is closed.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::samples::Samples;
use crate::schema::column_index;
use crate::window::{Block, Window};

/// The processor's memory, in DLPack's numbers.
const CPU: (i32, i32) = (1, 0);

/// What has an array for each of its columns.
macro_rules! one_array {
    ($result:ident) => {
        #[pymethods]
        impl $result {
            /// The only column, for ``numpy.asarray``; an error where there are several.
            #[pyo3(signature = (dtype = None, copy = None))]
            fn __array__<'py>(
                &self,
                py: Python<'py>,
                dtype: Option<Bound<'py, PyAny>>,
                copy: Option<bool>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let array = self.array(py, column_index(py, self.columns(), None)?)?;
                let numpy = py.import("numpy")?;
                let Some(copy) = copy else {
                    return numpy.getattr("asarray")?.call1((array, dtype));
                };
                let options = PyDict::new(py);
                options.set_item("copy", copy)?;
                numpy.getattr("array")?.call((array, dtype), Some(&options))
            }

            /// The only column as DLPack has it. It is read-only, as DLPack 1.0 can say: who asks
            /// for an older one is refused by numpy, unless for a copy.
            #[pyo3(signature = (**options))]
            fn __dlpack__<'py>(
                &self,
                py: Python<'py>,
                options: Option<&Bound<'py, PyDict>>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let array = self.array(py, column_index(py, self.columns(), None)?)?;
                array.bind(py).getattr("__dlpack__")?.call(PyTuple::empty(py), options)
            }

            /// Where the only column lies: in the processor's memory.
            fn __dlpack_device__(&self) -> (i32, i32) {
                CPU
            }
        }
    };
}

one_array!(Block);
one_array!(Samples);
one_array!(Window);
