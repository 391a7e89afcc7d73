//! The class that turns the text of a JSON array into lines.

use std::sync::Mutex;

use idmerge_events::array::ArrayLines;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::errors::Failure;

/// Turns the text of a JSON array, behind its opening bracket, into lines.
#[pyclass(frozen, module = "idmerge._core")]
pub struct Items(Mutex<ArrayLines>);

#[pymethods]
impl Items {
    #[new]
    fn new() -> Self {
        Self(Mutex::default())
    }

    /// Turn the next piece of text into lines; an empty one ends it.
    ///
    /// Returns the lines, and what is wrong behind them, if anything is.
    fn cut<'py>(&self, text: &Bound<'py, PyBytes>) -> PyResult<(Bound<'py, PyBytes>, Option<String>)> {
        let py = text.py();
        let text = PyBackedBytes::from(text.clone());
        let (lines, wrong) = py.detach(|| -> Result<_, Failure> {
            let mut lines = Vec::with_capacity(text.len() + 1);
            let wrong = self.0.lock()?.cut(&text, &mut lines);
            Ok((lines, wrong.err()))
        })?;
        Ok((PyBytes::new(py, &lines), wrong))
    }
}
