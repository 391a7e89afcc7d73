//! Arrow's texts and errors as Python's.

use arrow_array::StringArray;
use arrow_schema::ArrowError;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyList;

/// Appends the texts of `array` to `list`, None for a null.
pub fn append_texts(list: &Bound<'_, PyList>, array: &StringArray) -> PyResult<()> {
    array.iter().try_for_each(|text| list.append(text))
}

/// Returns an error of Arrow as a `ValueError`.
#[expect(clippy::needless_pass_by_value, reason = "it is an argument of map_err")]
pub fn arrow_error(error: ArrowError) -> PyErr {
    PyValueError::new_err(error.to_string())
}
