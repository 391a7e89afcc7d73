//! Lines of events as columns: one for each property, typed by what the events were seen to hold.
//!
//! The columns that every table has come first: `event`, `time`, `distinct_id` as it was sent, and
//! `$distinct_id_before_identity`. Only cells that are there cost something, so thousands of sparse columns
//! are as cheap as a few.

#![expect(clippy::cast_precision_loss, reason = "what is beyond 53 bits goes into no column of doubles")]

use std::sync::Arc;

use arrow_array::builder::{ArrayBuilder, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder};
use arrow_array::timezone::Tz;
use arrow_array::{ArrayRef, RecordBatch, TimestampMillisecondArray};
use arrow_cast::parse::string_to_datetime;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyCapsule};
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::to_schema_pycapsule;

use crate::cells::{Cell, Cells};
use crate::lines::each_line;
use crate::shape::{Names, kind};
use crate::table::Table;

/// Bytes of a line with ten properties.
const USUAL_LINE: usize = 200;
/// Numbers from here on are milliseconds: as seconds they would be beyond the year 5000.
const MILLISECONDS_FROM: u64 = 100_000_000_000;
/// The years 1 to 9999, in milliseconds since 1970: what dates reach in the libraries that read them.
const TIMES: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

/// What a property is to an event.
#[derive(Clone, Copy)]
enum Role {
    Time,
    DistinctId,
    Before,
    /// The property of this column.
    Plain(usize),
}

/// Turns lines of events into columns whose names and kinds are known.
#[pyclass(frozen, module = "idmerge._core")]
pub struct Flattener {
    names: Vec<String>,
    roles: Vec<Role>,
    kinds: Vec<u8>,
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
        let mut fields = vec![
            Field::new("event", DataType::Utf8, true),
            Field::new("time", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), true),
            Field::new("distinct_id", DataType::Utf8, true),
            Field::new("$distinct_id_before_identity", DataType::Utf8, true),
        ];
        let (mut names, mut roles, mut plain_kinds) = (Vec::new(), Vec::new(), Vec::new());
        for (name, column, kinds) in properties {
            roles.push(match name.as_str() {
                "time" => Role::Time,
                "distinct_id" => Role::DistinctId,
                "$distinct_id_before_identity" => Role::Before,
                _ => {
                    fields.push(Field::new(column, arrow_type(kinds), true));
                    plain_kinds.push(kinds);
                    Role::Plain(plain_kinds.len() - 1)
                }
            });
            names.push(name);
        }
        Self { names, roles, kinds: plain_kinds, schema: Arc::new(Schema::new(fields)), longest }
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
            let mut rows = Rows::of(self, head.len() + text.len());
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
            let batch = if holes.is_empty() { Some(rows.finish()?) } else { None };
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

/// Returns the type of a column whose values are of these kinds: text, unless it would hold all of them exactly.
fn arrow_type(kinds: u8) -> DataType {
    match kinds & !kind::NULL {
        0 => DataType::Utf8,
        kind::BOOL => DataType::Boolean,
        integers if integers & !(kind::INTEGER | kind::LARGE) == 0 => DataType::Int64,
        numbers if numbers & !(kind::INTEGER | kind::FLOAT) == 0 => DataType::Float64,
        _ => DataType::Utf8,
    }
}

/// The rows that were read, as columns that grow.
struct Rows<'f> {
    flattener: &'f Flattener,
    names: Names,
    room: String,
    count: usize,
    /// Values of another kind than their column's.
    misfits: usize,
    event: StringBuilder,
    time: Vec<Option<i64>>,
    distinct_id: StringBuilder,
    before: StringBuilder,
    plain: Vec<Growing>,
    /// The row in which each plain column was written last, counted from 1.
    written: Vec<usize>,
}

impl<'f> Rows<'f> {
    /// Returns no rows, with room for those in a text of `length` bytes, should they be as usual.
    fn of(flattener: &'f Flattener, length: usize) -> Self {
        let rows = length / USUAL_LINE;
        Self {
            flattener,
            names: Names::new(&flattener.names),
            room: String::new(),
            count: 0,
            misfits: 0,
            event: StringBuilder::with_capacity(rows, rows * 12),
            time: Vec::with_capacity(rows),
            distinct_id: StringBuilder::with_capacity(rows, rows * 36),
            before: StringBuilder::with_capacity(rows, rows * 36),
            plain: flattener.kinds.iter().map(|&kinds| Growing::of(&arrow_type(kinds))).collect(),
            written: vec![0; flattener.kinds.len()],
        }
    }

    /// Adds the event in `line` and returns whether that could be read here.
    fn add(&mut self, line: &str) -> bool {
        let Some(cells) = Cells::read(line, &mut self.names, &mut self.room) else { return false };
        let (mut time, mut distinct_id, mut before) = (None, None, None);
        for (place, cell) in &cells.properties {
            match self.flattener.roles[*place] {
                Role::Time => time = Some(cell),
                Role::DistinctId => distinct_id = Some(cell),
                Role::Before => before = Some(cell),
                Role::Plain(_) => (),
            }
        }
        if matches!(distinct_id, Some(Cell::Float(_))) {
            return false; // It may be an integer to Python.
        }
        self.count += 1;
        for (place, cell) in cells.properties.iter().rev() {
            if let Role::Plain(column) = self.flattener.roles[*place]
                && self.written[column] != self.count
            {
                self.written[column] = self.count;
                self.misfits += usize::from(!self.plain[column].set(self.count - 1, cell, &self.room));
            }
        }
        let id = distinct_id.filter(|cell| cell.is_id());
        let own = id.and_then(|cell| cell.text(&self.room));
        self.before.append_option(before.and_then(|cell| cell.text(&self.room)).or(own.clone()));
        self.distinct_id.append_option(own);
        self.event.append_option(cells.event.as_ref().and_then(|name| name.text(&self.room)));
        self.time.push(time.and_then(|cell| milliseconds(cell, &self.room)));
        true
    }

    /// Returns the columns.
    fn finish(mut self) -> PyResult<RecordBatch> {
        if self.misfits > 0 {
            return Err(PyValueError::new_err("the events are not those whose properties were looked at"));
        }
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.event.finish()),
            Arc::new(TimestampMillisecondArray::from(self.time).with_timezone("UTC")),
            Arc::new(self.distinct_id.finish()),
            Arc::new(self.before.finish()),
        ];
        columns.extend(self.plain.into_iter().map(|column| column.finish(self.count)));
        RecordBatch::try_new(self.flattener.schema.clone(), columns)
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }
}

/// A column that grows: rows that are not written are null.
enum Growing {
    Text(StringBuilder),
    Integer(Int64Builder),
    Float(Float64Builder),
    Bool(BooleanBuilder),
}

impl Growing {
    fn of(kind: &DataType) -> Self {
        match kind {
            DataType::Int64 => Self::Integer(Int64Builder::new()),
            DataType::Float64 => Self::Float(Float64Builder::new()),
            DataType::Boolean => Self::Bool(BooleanBuilder::new()),
            _ => Self::Text(StringBuilder::new()),
        }
    }

    /// Writes a cell into `row`, which is behind all rows that are written; returns whether it fits.
    #[inline]
    fn set(&mut self, row: usize, cell: &Cell<'_>, room: &str) -> bool {
        self.grow(row);
        match (self, cell) {
            (_, Cell::Null) => (),
            (Self::Text(column), Cell::There(text)) => column.append_value(text),
            (Self::Text(column), cell) => column.append_option(cell.text(room)),
            (Self::Integer(column), Cell::Integer(number)) => column.append_value(*number),
            (Self::Float(column), Cell::Integer(number)) => column.append_value(*number as f64),
            (Self::Float(column), Cell::Float(number)) => {
                column.append_option(Some(*number).filter(|number| number.is_finite()));
            }
            (Self::Bool(column), Cell::Bool(value)) => column.append_value(*value),
            _ => return false,
        }
        true
    }

    /// Adds nulls until there are this many rows.
    #[inline]
    fn grow(&mut self, rows: usize) {
        let count = match self {
            Self::Text(column) => column.len(),
            Self::Integer(column) => column.len(),
            Self::Float(column) => column.len(),
            Self::Bool(column) => column.len(),
        };
        if count < rows {
            self.append_nulls(rows - count);
        }
    }

    fn append_nulls(&mut self, count: usize) {
        match self {
            Self::Text(column) => column.append_nulls(count),
            Self::Integer(column) => column.append_nulls(count),
            Self::Float(column) => column.append_nulls(count),
            Self::Bool(column) => column.append_nulls(count),
        }
    }

    fn finish(mut self, rows: usize) -> ArrayRef {
        self.grow(rows);
        match self {
            Self::Text(mut column) => Arc::new(column.finish()),
            Self::Integer(mut column) => Arc::new(column.finish()),
            Self::Float(mut column) => Arc::new(column.finish()),
            Self::Bool(mut column) => Arc::new(column.finish()),
        }
    }
}

/// Returns a time in milliseconds since 1970: a number of seconds or milliseconds, in digits too, or ISO 8601.
fn milliseconds(cell: &Cell<'_>, room: &str) -> Option<i64> {
    let time = match cell {
        Cell::Integer(number) => of_integer(*number),
        Cell::Float(number) => of_number(*number)?,
        Cell::There(_) | Cell::Written(_) | Cell::Digits(_) => {
            let text = cell.text(room)?;
            match text.parse() {
                Ok(number) => of_number(number)?,
                Err(_) => string_to_datetime(&utc(), &text).ok()?.timestamp_millis(),
            }
        }
        Cell::Null | Cell::Bool(_) | Cell::Nested(_) => return None,
    };
    TIMES.contains(&time).then_some(time)
}

fn utc() -> Tz {
    "UTC".parse().expect("UTC is a time zone")
}

/// Returns milliseconds, whether `number` counts these or seconds.
fn of_integer(number: i64) -> i64 {
    if number.unsigned_abs() < MILLISECONDS_FROM { number * 1000 } else { number }
}

/// The same for numbers that are not whole.
fn of_number(number: f64) -> Option<i64> {
    let time = if number.abs() < MILLISECONDS_FROM as f64 { number * 1000.0 } else { number };
    // Rounded, for 0.001 s times 1,000 is no whole number; what is no number or too large fails the range.
    time.is_finite().then(|| time.round() as i64)
}
