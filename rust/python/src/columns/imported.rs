//! Arrow arrays in, by the `PyCapsule` interface, checked before their values are read.
//!
//! The sizes of buffers, which the interface does not carry, pyarrow compares for its own arrays;
//! those of other producers remain their promise.

use arrow_array::ArrayRef;
use arrow_schema::{DataType, FieldRef};
use idmerge_events::checked;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3_arrow::input::AnyArray;

/// Returns the arrays of a column that exports one or a stream of them, checked.
///
/// # Errors
///
/// `ValueError` if they are damaged; `name` is that of the argument.
pub fn read_arrow(column: &Bound<'_, PyAny>, name: &str) -> PyResult<(Vec<ArrayRef>, FieldRef)> {
    check_sizes(column, name)?;
    let (arrays, field) = column.extract::<AnyArray>()?.into_chunked_array()?.into_inner();
    check(&arrays, name)?;
    Ok((arrays, field))
}

/// Checks arrays that were imported as they came.
///
/// # Errors
///
/// As [`read_arrow`].
pub fn check(arrays: &[ArrayRef], name: &str) -> PyResult<()> {
    checked::check(arrays).map_err(|fault| {
        let what = format!("{name} is a damaged Arrow column: {fault}; get it from an intact source");
        PyValueError::new_err(what)
    })
}

/// Has pyarrow, which has the sizes of its buffers, compare them with a column's lengths and last
/// offsets.
///
/// That takes the same time for any number of rows. Import already reads the last offsets.
///
/// # Errors
///
/// As [`read_arrow`].
pub fn check_sizes(column: &Bound<'_, PyAny>, name: &str) -> PyResult<()> {
    let py = column.py();
    if column.get_type().module()?.to_str()? != "pyarrow.lib" {
        return Ok(());
    }
    let Ok(validate) = column.getattr(intern!(py, "validate")) else { return Ok(()) };
    validate.call0().map(drop).map_err(|error| {
        PyValueError::new_err(format!("{name} is a damaged Arrow column: {}", error.value(py)))
    })
}

/// Returns the arrays of an Arrow column of utf8, checked.
pub fn read_utf8(column: &Bound<'_, PyAny>, name: &str) -> PyResult<Vec<ArrayRef>> {
    let (arrays, _) = read_arrow(column, name)?;
    if arrays.iter().any(|array| *array.data_type() != DataType::Utf8) {
        return Err(PyTypeError::new_err(format!("{name} must be a column of utf8")));
    }
    Ok(arrays)
}

/// Returns whether `object` speaks Arrow's `PyCapsule` interface.
pub fn is_arrow(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = object.py();
    Ok(object.hasattr(intern!(py, "__arrow_c_stream__"))?
        || object.hasattr(intern!(py, "__arrow_c_array__"))?)
}
