//! The class that finds rows that came before.

use std::sync::Mutex;

use arrow_array::cast::AsArray;
use arrow_schema::DataType;
use numpy::PyArray1;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::columns::read_arrow;
use crate::errors::Failure;

/// The distinct rows of text so far.
#[pyclass(frozen, module = "idmerge._core")]
pub struct DistinctRows(Mutex<idmerge_events::dedupe::DistinctRows>);

#[pymethods]
impl DistinctRows {
    #[new]
    fn new() -> Self {
        Self(Mutex::default())
    }

    /// Add the rows of text ``columns``, and return for each whether no row before it was equal.
    ///
    /// A row that is null in the last of them equals no other.
    #[expect(clippy::needless_pass_by_value, reason = "it is made for this call")]
    fn add<'py>(
        &self,
        py: Python<'py>,
        columns: Vec<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray1<bool>>> {
        let mut arrays = Vec::new();
        for column in &columns {
            let (chunks, _) = read_arrow(column, "a column")?;
            let [chunk] = chunks.as_slice() else {
                return Err(PyValueError::new_err(format!("a column has {} chunks, not one", chunks.len())));
            };
            let kind = chunk.data_type();
            if *kind != DataType::Utf8 {
                return Err(PyTypeError::new_err(format!("a column must be utf8, got {kind}")));
            }
            arrays.push(chunk.clone());
        }
        let texts: Vec<_> = arrays.iter().map(AsArray::as_string::<i32>).collect();
        let are_new = py.detach(|| Ok::<_, Failure>(self.0.lock()?.add(&texts)?))?;
        Ok(PyArray1::from_vec(py, are_new))
    }

    /// Return the number of distinct rows.
    fn __len__(&self) -> PyResult<usize> {
        Ok(self.0.lock().map_err(Failure::from)?.len())
    }
}
