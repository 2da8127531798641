//! Results of several columns as tables of other libraries.
//!
//! # Invariants
//! - Every result is converted by the same functions, under the same names.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::samples::Samples;
use crate::schema::time_name;
use crate::window::Window;

/// What a function of `presence._convert` makes of a result.
pub(crate) fn converted<T>(py: Python<'_>, name: &str, result: T) -> PyResult<Py<PyAny>>
where
    T: pyo3::PyClass + Into<PyClassInitializer<T>>,
{
    convert(Bound::new(py, result)?.as_any(), name).map(Bound::unbind)
}

fn convert<'py>(result: &Bound<'py, PyAny>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    result.py().import("presence._convert")?.getattr(name)?.call1((result,))
}

/// What has timestamps and an array for each of its columns.
macro_rules! table {
    ($result:ident) => {
        #[pymethods]
        impl $result {
            /// Timestamps and columns as arrays, by name; the time is called ``ts``.
            pub(crate) fn to_numpy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
                let all = PyDict::new(py);
                all.set_item(time_name(self.columns()), self.timestamps(py)?)?;
                for (index, column) in self.columns().iter().enumerate() {
                    all.set_item(column.name(), self.array(py, index)?)?;
                }
                Ok(all)
            }

            /// A ``pyarrow.Table``.
            fn to_arrow(this: Bound<'_, Self>) -> PyResult<Bound<'_, PyAny>> {
                convert(this.as_any(), "to_arrow")
            }

            /// A ``polars.DataFrame``.
            fn to_polars(this: Bound<'_, Self>) -> PyResult<Bound<'_, PyAny>> {
                convert(this.as_any(), "to_polars")
            }

            /// A ``pandas.DataFrame``, indexed by time.
            fn to_pandas(this: Bound<'_, Self>) -> PyResult<Bound<'_, PyAny>> {
                convert(this.as_any(), "to_pandas")
            }
        }
    };
}

table!(Samples);
table!(Window);
