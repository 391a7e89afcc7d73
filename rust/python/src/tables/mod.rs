//! Arrow columns and tables out, by the `PyCapsule` interface.
//!
//! An exported stream is made anew at every call, so the same object can be read many times.

mod column;
mod table;
mod texts;

use arrow_array::StringArray;
use arrow_schema::ArrowError;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyList;

pub use column::Column;
pub use table::Table;
pub use texts::Texts;

/// Appends the texts of `array` to `list`, None for a null.
pub fn append_texts(list: &Bound<'_, PyList>, array: &StringArray) -> PyResult<()> {
    array.iter().try_for_each(|text| list.append(text))
}

#[expect(clippy::needless_pass_by_value, reason = "it is an argument of map_err")]
pub fn arrow_error(error: ArrowError) -> PyErr {
    PyValueError::new_err(error.to_string())
}
