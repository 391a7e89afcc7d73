//! Updates of JSON text, and their values as Python's.

use idmerge_events::updates::{self, Node, Updates};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString};

use crate::errors::Failure;
use crate::events::up_to;
use crate::profiles::texts::Texts;

/// The updates of some lines: a row for each line that is not blank.
#[pyclass(frozen, module = "idmerge._core")]
pub struct UpdateRows(updates::UpdateRows);

#[pymethods]
impl UpdateRows {
    /// Read the lines of ``head`` and of ``text`` behind it, up to its ``end``; those longer than
    /// ``longest`` bytes are left to Python, and so are rows of exports unless ``rows``.
    #[new]
    fn new(
        head: &Bound<'_, PyBytes>,
        text: &Bound<'_, PyBytes>,
        end: usize,
        longest: usize,
        rows: bool,
    ) -> PyResult<Self> {
        let (py, [head, text]) = (head.py(), [head, text].map(|bytes| PyBackedBytes::from(bytes.clone())));
        let text = up_to(&text, end)?;
        let rows = py.detach(|| updates::UpdateRows::scan(&head, text, longest, rows));
        Ok(Self(rows.map_err(Failure::from)?))
    }

    /// The number of lines that were read, blank ones included.
    #[getter]
    fn lines(&self) -> u32 {
        self.0.line_count()
    }

    /// Return the number of rows.
    fn __len__(&self) -> usize {
        self.0.lines().len()
    }

    /// Return the line of a row, counted from 0.
    fn line(&self, row: usize) -> PyResult<u32> {
        let line = self.0.lines().get(row).copied();
        line.ok_or_else(|| PyIndexError::new_err(format!("no row {row}")))
    }

    /// Return the line of each row, counted from ``first``.
    fn numbers(&self, first: u64) -> Vec<u64> {
        self.0.lines().iter().map(|&line| first + u64::from(line)).collect()
    }

    /// Return the rows that Python must read, with their bytes.
    fn holes<'py>(&self, py: Python<'py>) -> Vec<(usize, Bound<'py, PyBytes>)> {
        self.0.holes().iter().map(|(row, text)| (*row, PyBytes::new(py, text))).collect()
    }
}

impl UpdateRows {
    /// Returns the updates.
    pub fn updates(&self) -> &Updates {
        &self.0.updates
    }
}

/// Reads values, one behind the other.
pub struct Reader<'a> {
    pub updates: &'a Updates,
    pub texts: &'a mut Texts,
    /// The place of the next node.
    pub place: u32,
}

impl Reader<'_> {
    #[inline]
    fn next(&mut self) -> Node {
        self.place += 1;
        self.updates.node(self.place - 1)
    }

    /// Reads a text.
    #[inline]
    pub fn text<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyString> {
        match self.next() {
            Node::Text(range) => self.texts.string(py, self.updates.text(range)),
            _ => unreachable!("a key is text"),
        }
    }

    /// Reads a value.
    #[inline]
    pub fn value<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(match self.next() {
            Node::Null => py.None().into_bound(py),
            Node::Bool(value) => PyBool::new(py, value).to_owned().into_any(),
            Node::Integer(number) => PyInt::new(py, number).into_any(),
            Node::Unsigned(number) => PyInt::new(py, number).into_any(),
            Node::Float(number) => PyFloat::new(py, number).into_any(),
            Node::Text(range) => self.texts.string(py, self.updates.text(range)).into_any(),
            Node::List(count) => self.list(py, count)?.into_any(),
            Node::Object(count) => self.object(py, count)?.into_any(),
        })
    }

    fn list<'py>(&mut self, py: Python<'py>, count: u32) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for _ in 0..count {
            list.append(self.value(py)?)?;
        }
        Ok(list)
    }

    fn object<'py>(&mut self, py: Python<'py>, count: u32) -> PyResult<Bound<'py, PyDict>> {
        let object = PyDict::new(py);
        for _ in 0..count {
            let key = self.text(py);
            object.set_item(key, self.value(py)?)?;
        }
        Ok(object)
    }
}
