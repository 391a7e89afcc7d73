//! The classes that turn lines of events into tables whose columns are known.

use idmerge_events::columns::{self, Flattened, NamedKinds};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyCapsule};
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::to_schema_pycapsule;

use crate::errors::Failure;
use crate::events::scanner::up_to;
use crate::tables::Table;

/// Turns lines of events into columns whose names and kinds are known.
#[pyclass(frozen, module = "idmerge._core")]
pub struct Flattener(columns::Flattener);

/// Some lines as columns, or the lines that Python must read first.
#[pyclass(frozen, module = "idmerge._core")]
pub struct Flat {
    table: Option<Py<Table>>,
    holes: Vec<(u32, Vec<u8>)>,
    lines: u32,
}

#[pymethods]
impl Flattener {
    /// Take each property's name, the name of its column, and its kinds.
    #[new]
    #[pyo3(signature = (properties, longest, simplified=false))]
    fn new(properties: Vec<NamedKinds>, longest: usize, simplified: bool) -> Self {
        let flattener = columns::Flattener::new(properties, longest);
        Self(if simplified { flattener.simplified() } else { flattener })
    }

    /// Export the schema of the tables.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        to_schema_pycapsule(py, self.0.schema().as_ref())
    }

    /// Turn the lines of ``head`` and of the first ``end`` bytes of ``text`` behind it into a
    /// table.
    ///
    /// Lines that Python must read are its holes. Called again with an event's JSON for each of
    /// them, or None for what is no event, it puts these in their places.
    #[pyo3(signature = (head, text, end, filled=None))]
    #[expect(clippy::needless_pass_by_value, reason = "it is made for this call")]
    fn flatten(
        &self,
        head: &Bound<'_, PyBytes>,
        text: &Bound<'_, PyBytes>,
        end: usize,
        filled: Option<Vec<Option<PyBackedBytes>>>,
    ) -> PyResult<Flat> {
        let py = text.py();
        let (head, text) = (PyBackedBytes::from(head.clone()), PyBackedBytes::from(text.clone()));
        let text = up_to(&text, end)?;
        let flattened = py.detach(|| self.0.flatten(&head, text, filled.as_deref()));
        let Flattened { table, holes, lines } = flattened.map_err(Failure::from)?;
        let table = table.map(|batch| Py::new(py, Table::of(batch))).transpose()?;
        Ok(Flat { table, holes, lines })
    }
}

#[pymethods]
impl Flat {
    /// The lines as columns; None while there are holes.
    #[getter]
    fn table(&self, py: Python<'_>) -> Option<Py<Table>> {
        self.table.as_ref().map(|table| table.clone_ref(py))
    }

    /// The number of lines, blank ones included.
    #[getter]
    fn lines(&self) -> u32 {
        self.lines
    }

    /// Return the lines that Python must read: their numbers, counted from 0, and their bytes.
    fn holes<'py>(&self, py: Python<'py>) -> Vec<(u32, Bound<'py, PyBytes>)> {
        self.holes.iter().map(|(line, text)| (*line, PyBytes::new(py, text))).collect()
    }
}
