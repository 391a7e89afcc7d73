//! Memory that may not be there: Python objects that are as large as an answer.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Returns a copy of `bytes`.
///
/// # Errors
///
/// `MemoryError`, where pyo3's own constructor panics.
pub fn py_bytes<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, bytes.len(), |copy| {
        copy.copy_from_slice(bytes);
        Ok(())
    })
}
