//! Lines of events as columns whose names and types are known.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{Schema, SchemaRef};
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyCapsule};
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::to_schema_pycapsule;

use crate::cells::{Cells, Spare};
use crate::lines::each_line;
use crate::rows::{Rows, fields_of};
use crate::shape::Names;
use crate::table::Table;

/// Turns lines of events into columns whose names and kinds are known.
#[pyclass(frozen, module = "idmerge._core")]
pub struct Flattener {
    /// Each property's name and kinds.
    properties: Vec<(String, u8)>,
    schema: SchemaRef,
    longest: usize,
}

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
    fn new(properties: Vec<(String, String, u8)>, longest: usize) -> Self {
        let schema = Arc::new(Schema::new(fields_of(&properties)));
        let properties = properties.into_iter().map(|(name, _, kinds)| (name, kinds)).collect();
        Self { properties, schema, longest }
    }

    /// Export the schema of the tables.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        to_schema_pycapsule(py, self.schema.as_ref())
    }

    /// Turn the lines of ``head`` and of the first ``end`` bytes of ``text`` behind it into a table.
    ///
    /// Lines that Python must read are its holes. Called again with an event's JSON for each of them, or None
    /// for what is no event, it puts these in their places.
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
        let text = text.get(..end).ok_or_else(|| PyIndexError::new_err("end is behind the text"))?;
        if i32::try_from(head.len() + text.len()).is_err() {
            return Err(PyValueError::new_err("head and text must be shorter than 2 GiB"));
        }
        let (batch, holes, lines) = py.detach(|| {
            let mut rows = Reading::of(self, head.len() + text.len());
            let mut holes = Vec::new();
            let mut filled = filled.as_deref().map(<[_]>::iter);
            let mut wrong = None;
            let lines = each_line(&head, text, self.longest, |line| {
                if line.text.is_some_and(|text| rows.add(text)) {
                    return;
                }
                match &mut filled {
                    None => holes.push((line.number, line.seen.to_vec())),
                    Some(filled) => match filled.next() {
                        Some(None) => (),
                        Some(Some(event)) if str::from_utf8(event).is_ok_and(|text| rows.add(text)) => (),
                        _ => wrong = Some(line.number),
                    },
                }
            });
            if let Some(line) = wrong {
                return Err(PyValueError::new_err(format!("line {line} is filled with no event")));
            }
            let batch = if holes.is_empty() { Some(rows.finish(&self.schema)?) } else { None };
            Ok((batch, holes, lines))
        })?;
        let table = batch.map(|batch| Py::new(py, Table::of(batch))).transpose()?;
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

    /// How many lines there are, blank ones included.
    #[getter]
    fn lines(&self) -> u32 {
        self.lines
    }

    /// Return the lines that Python must read: their numbers, counted from 0, and their bytes.
    fn holes<'py>(&self, py: Python<'py>) -> Vec<(u32, Bound<'py, PyBytes>)> {
        self.holes.iter().map(|(line, text)| (*line, PyBytes::new(py, text))).collect()
    }
}

/// The rows that are being read.
struct Reading {
    names: Names,
    room: String,
    spare: Spare,
    rows: Rows,
}

impl Reading {
    fn of(flattener: &Flattener, length: usize) -> Self {
        let mut reading = Self {
            names: Names::default(),
            room: String::new(),
            spare: Spare::default(),
            rows: Rows::of(length),
        };
        for (name, kinds) in &flattener.properties {
            reading.names.add(name);
            reading.rows.expect(name, *kinds);
        }
        reading
    }

    /// Adds the event in `line` and returns whether that could be read here.
    fn add(&mut self, line: &str) -> bool {
        let cells = Cells::read(line, &mut self.names, &mut self.room, &mut self.spare);
        let Some(cells) = cells else { return false };
        let is_added = self.rows.add(&cells, &self.room);
        self.spare.take_back(cells);
        is_added
    }

    fn finish(self, schema: &SchemaRef) -> PyResult<RecordBatch> {
        if self.rows.misfits().next().is_some() {
            return Err(PyValueError::new_err("the events are not those whose properties were looked at"));
        }
        let count = self.rows.count();
        let (always, plain) = self.rows.finish();
        let plain = plain.into_iter().map(|(_, column)| column.finish_with_nulls(count));
        let columns: Vec<ArrayRef> = always.into_iter().chain(plain).collect();
        RecordBatch::try_new(schema.clone(), columns)
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }
}
