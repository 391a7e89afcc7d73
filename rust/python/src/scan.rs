//! Lines of events, read without the interpreter into the steps that they state.
//!
//! A [`Scan`] holds the IDs alone and not the text that they stood in, unless it shall have the events as
//! columns too. A line about which the parser is not certain is a hole: a row without a step, whose bytes
//! Python reads.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, RwLock};

use idmerge_core::{Id, Kind, Operand, Step};
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::{PyBytes, PyList, PyString};

use crate::errors::Failure;
use crate::events::{Rules, Stated};
use crate::learning::{Columns, Expected, Learner};
use crate::lines::{Line, each_line};
use crate::shape::Shape;

/// The code of a row that observes an ID; lower codes are the core's kinds.
const OBSERVE: u8 = 4;
/// The code of an ordinary event without an ID.
const NOTHING: u8 = 5;
/// The code of a row that Python must read.
const HOLE: u8 = 6;

/// Reads lines of events by the rules that Python states.
#[pyclass(frozen, module = "idmerge._core")]
pub struct Scanner {
    rules: Rules,
    longest: usize,
    /// Whether somebody asks which properties the events have.
    is_shape_wanted: bool,
    /// What is known of the properties; None where no columns are wanted.
    expected: RwLock<Option<Arc<Expected>>>,
}

/// The steps that some lines state, a row for each line that is not blank.
#[pyclass(frozen, module = "idmerge._core")]
pub struct Scan {
    rows: Vec<Row>,
    /// The operands of all rows, one behind the other.
    operands: String,
    holes: Vec<Hole>,
    lines: u32,
    shape: Option<Shape>,
    /// The events as columns, until somebody takes them.
    columns: Mutex<Option<Columns>>,
    /// The lines that Python must read before there are columns: their numbers, counted from 0, and their bytes.
    unread: Vec<(u32, Vec<u8>)>,
    /// Rows that are no events, and so not in the columns.
    left_out: Vec<usize>,
    /// What the resolver said that took the rows last.
    observed: Mutex<Observed>,
}

/// Which ID each row observed, by the numbers of a resolver in one era.
#[derive(Default)]
struct Observed {
    era: u64,
    ids: Vec<Option<Id>>,
}

struct Row {
    /// The line, counted from 0.
    line: u32,
    /// Where the first operand ends in `operands`; it begins where the row before ends.
    middle: u32,
    end: u32,
    code: u8,
}

struct Hole {
    row: usize,
    text: Vec<u8>,
    /// Whether the shape has its properties.
    is_in_shape: bool,
}

#[pymethods]
impl Scanner {
    #[new]
    #[pyo3(signature = (events, longest, shape=false, columns=false, chosen=None))]
    fn new(
        events: Vec<(String, u8, Vec<Vec<String>>)>,
        longest: usize,
        shape: bool,
        columns: bool,
        chosen: Option<HashSet<String>>,
    ) -> PyResult<Self> {
        let Some(rules) = Rules::new(events) else {
            return Err(PyValueError::new_err("each event needs one or two groups of few keys"));
        };
        let expected = columns.then(|| Arc::new(Expected::of(chosen)));
        Ok(Self { rules, longest, is_shape_wanted: shape || columns, expected: RwLock::new(expected) })
    }

    /// Take the kinds that the values of properties have, so that columns need not be guessed.
    fn expect(&self, properties: Vec<(String, u8)>) -> PyResult<()> {
        if let Some(expected) = self.expected.write().map_err(Failure::from)?.as_mut() {
            Arc::make_mut(expected).take(properties);
        }
        Ok(())
    }

    /// Make no more columns.
    fn end_columns(&self) -> PyResult<()> {
        *self.expected.write().map_err(Failure::from)? = None;
        Ok(())
    }

    /// Read the lines of ``head`` and of the first ``end`` bytes of ``text`` behind it.
    ///
    /// If columns are wanted and some lines are unread, call again with an event's JSON for each of these, or
    /// None for what is no event.
    #[pyo3(signature = (head, text, end, filled=None))]
    #[expect(clippy::needless_pass_by_value, reason = "it is made for this call")]
    fn scan(
        &self,
        head: &Bound<'_, PyBytes>,
        text: &Bound<'_, PyBytes>,
        end: usize,
        filled: Option<Vec<Option<PyBackedBytes>>>,
    ) -> PyResult<Scan> {
        let py = text.py();
        let (head, text) = (PyBackedBytes::from(head.clone()), PyBackedBytes::from(text.clone()));
        let text = text.get(..end).ok_or_else(|| PyIndexError::new_err("end is behind the text"))?;
        if i32::try_from(head.len() + text.len()).is_err() {
            return Err(PyValueError::new_err("head and text must be shorter than 2 GiB"));
        }
        let expected = self.expected.read().map_err(Failure::from)?.clone();
        py.detach(|| match expected {
            None => Ok(Scan::of(self, &head, text)),
            Some(expected) => Scan::with_columns(self, &head, text, &expected, filled.as_deref()),
        })
    }
}

impl Scan {
    fn empty(shape: Option<Shape>) -> Self {
        Self {
            rows: Vec::new(),
            operands: String::new(),
            holes: Vec::new(),
            lines: 0,
            shape,
            columns: Mutex::new(None),
            unread: Vec::new(),
            left_out: Vec::new(),
            observed: Mutex::default(),
        }
    }

    fn of(scanner: &Scanner, head: &[u8], text: &[u8]) -> Self {
        let mut scan = Self::empty(scanner.is_shape_wanted.then(Shape::default));
        let mut unescaped = String::new();
        scan.lines = each_line(head, text, scanner.longest, |line| {
            let known = scan.shape.as_ref().map_or(0, Shape::rows);
            let shape = scan.shape.as_mut().map(|shape| (shape, scan.rows.len()));
            let stated =
                line.text.and_then(|text| scanner.rules.stated(text, OBSERVE, &mut unescaped, shape));
            let is_in_shape = scan.shape.as_ref().map_or(0, Shape::rows) > known;
            scan.push(line, stated, is_in_shape);
        });
        scan
    }

    /// Reads lines as columns too. If these are not of the kinds that were expected, reads them again.
    fn with_columns(
        scanner: &Scanner,
        head: &[u8],
        text: &[u8],
        expected: &Expected,
        filled: Option<&[Option<PyBackedBytes>]>,
    ) -> PyResult<Self> {
        let mut expected = expected.clone();
        let mut unescaped = String::new();
        loop {
            let mut scan = Self::empty(None);
            let mut learner = Learner::of(&scanner.rules, &expected, head.len() + text.len());
            let mut filled = filled.map(<[_]>::iter);
            let mut wrong = None;
            scan.lines = each_line(head, text, scanner.longest, |line| {
                let read = line.text.map(|text| learner.read(text, scan.rows.len(), OBSERVE, &mut unescaped));
                let read = read.unwrap_or_default();
                scan.push(line, read.stated, read.is_in_shape);
                if read.is_in_columns {
                    return;
                }
                match &mut filled {
                    None => scan.unread.push((line.number, line.seen.to_vec())),
                    Some(filled) => match filled.next() {
                        Some(None) => scan.left_out.push(scan.rows.len() - 1),
                        Some(Some(event)) if str::from_utf8(event).is_ok_and(|text| learner.fill(text)) => (),
                        _ => wrong = Some(line.number),
                    },
                }
            });
            if let Some(line) = wrong {
                return Err(PyValueError::new_err(format!("line {line} is filled with no event")));
            }
            match learner.finish() {
                Err(misfits) => expected.take(misfits),
                Ok((shape, columns)) => {
                    scan.shape = Some(shape);
                    scan.columns = Mutex::new(columns.filter(|_| scan.unread.is_empty()));
                    return Ok(scan);
                }
            }
        }
    }

    /// Adds the row of `line`.
    #[inline]
    fn push(&mut self, line: Line<'_>, stated: Option<Stated<'_>>, is_in_shape: bool) {
        let code = match stated {
            Some((OBSERVE, None, _)) => NOTHING,
            Some((code, ..)) => code,
            None => HOLE,
        };
        if code == HOLE {
            self.holes.push(Hole { row: self.rows.len(), text: line.seen.to_vec(), is_in_shape });
        }
        let (_, left, right) = stated.unwrap_or_default();
        self.operands.push_str(left.unwrap_or_default());
        let middle = self.operands.len() as u32;
        self.operands.push_str(right.unwrap_or_default());
        self.rows.push(Row { line: line.number, middle, end: self.operands.len() as u32, code });
    }

    /// Returns whether there are columns that nobody has taken.
    pub fn has_columns(&self) -> Result<bool, Failure> {
        Ok(self.columns.lock()?.is_some())
    }

    /// Returns the events as columns, if these were wanted and nobody has taken them.
    pub fn take_columns(&self) -> Result<Option<Columns>, Failure> {
        Ok(self.columns.lock()?.take())
    }

    /// Remembers which IDs the rows from `start` on observed, by a resolver's numbers.
    pub fn remember(&self, era: u64, start: usize, ids: &[Option<Id>]) -> Result<(), Failure> {
        let mut observed = self.observed.lock()?;
        if observed.era != era {
            *observed = Observed { era, ids: Vec::new() };
        }
        observed.ids.resize(self.rows.len(), None);
        observed.ids[start..start + ids.len()].copy_from_slice(ids);
        Ok(())
    }

    /// Returns which ID each row of the columns observed, as far as a resolver has said that is still in this era.
    pub fn observed_ids(&self, era: u64) -> Result<Vec<Option<Id>>, Failure> {
        let observed = self.observed.lock()?;
        let mut ids = if observed.era == era { observed.ids.clone() } else { Vec::new() };
        ids.resize(self.rows.len(), None);
        let (mut row, mut left_out) = (0, self.left_out.iter().peekable());
        ids.retain(|_| {
            row += 1;
            left_out.next_if(|&&other| other + 1 == row).is_none()
        });
        Ok(ids)
    }

    /// Returns the operands of a row; those that it lacks are empty.
    fn texts(&self, row: usize) -> (&str, &str) {
        let start = if row == 0 { 0 } else { self.rows[row - 1].end as usize };
        let (middle, end) = (self.rows[row].middle as usize, self.rows[row].end as usize);
        (&self.operands[start..middle], &self.operands[middle..end])
    }

    fn row(&self, row: usize) -> PyResult<&Row> {
        self.rows
            .get(row)
            .ok_or_else(|| PyIndexError::new_err(format!("no row {row} in {}", self.rows.len())))
    }
}

#[pymethods]
impl Scan {
    /// How many lines were read, blank ones included.
    #[getter]
    fn lines(&self) -> u32 {
        self.lines
    }

    /// Return the number of rows.
    fn __len__(&self) -> usize {
        self.rows.len()
    }

    /// Return the line of a row, counted from 0.
    fn line(&self, row: usize) -> PyResult<u32> {
        Ok(self.row(row)?.line)
    }

    /// Return the kind and the operands of a row that states a link, else None.
    fn link(&self, row: usize) -> PyResult<Option<(u8, &str, &str)>> {
        let code = self.row(row)?.code;
        let (left, right) = self.texts(row);
        Ok((code < OBSERVE).then_some((code, left, right)))
    }

    /// Return the ID that a row observes, else None.
    fn observed(&self, row: usize) -> PyResult<Option<&str>> {
        let code = self.row(row)?.code;
        Ok((code == OBSERVE).then(|| self.texts(row).0))
    }

    /// Return each property's name, its kinds, and the row where it came first.
    ///
    /// Lines that are JSON only to Python, if at all, have none here.
    fn properties(&self) -> Vec<(&str, u8, usize)> {
        self.shape.as_ref().map_or_else(Vec::new, Shape::properties)
    }

    /// Return the rows whose properties `properties` lacks.
    fn rows_without_properties(&self) -> Vec<usize> {
        self.holes.iter().filter(|hole| !hole.is_in_shape).map(|hole| hole.row).collect()
    }

    /// Return the lines that Python must read before there are columns: their numbers, counted from 0, and bytes.
    fn unread<'py>(&self, py: Python<'py>) -> Vec<(u32, Bound<'py, PyBytes>)> {
        self.unread.iter().map(|(line, text)| (*line, PyBytes::new(py, text))).collect()
    }

    /// Return how many rows the columns have, and how many bytes; None without columns.
    fn columns_size(&self) -> PyResult<Option<(usize, usize)>> {
        let columns = self.columns.lock().map_err(Failure::from)?;
        Ok(columns.as_ref().map(|columns| (columns.rows(), columns.bytes())))
    }

    /// Return the rows that Python must read, with their bytes.
    fn holes<'py>(&self, py: Python<'py>) -> Vec<(usize, Bound<'py, PyBytes>)> {
        self.holes.iter().map(|hole| (hole.row, PyBytes::new(py, &hole.text))).collect()
    }
}

/// The rows of a scan from `start` to `stop`, their holes filled.
pub struct Steps<'a> {
    scan: &'a Scan,
    start: usize,
    stop: usize,
    codes: &'a [u8],
    /// The two operands that fill each hole.
    filled: Vec<[Filled; 2]>,
}

/// What fills an operand of a hole.
enum Filled {
    Missing,
    NotUnicode,
    Text(PyBackedStr),
}

impl Filled {
    fn of(object: Bound<'_, PyAny>) -> Self {
        match object.cast_into::<PyString>() {
            // Python holds lone surrogates; they are no Unicode text and have no UTF-8.
            Ok(text) => PyBackedStr::try_from(text).map_or(Self::NotUnicode, Self::Text),
            Err(_) => Self::Missing,
        }
    }

    fn operand(&self) -> Operand<'_> {
        match self {
            Self::Missing => Operand::Missing,
            Self::NotUnicode => Operand::NotUnicode,
            Self::Text(text) => Operand::Text(text),
        }
    }
}

impl<'a> Steps<'a> {
    /// Takes a code and two operands for each hole, in their order.
    pub fn new(
        scan: &'a Scan,
        (start, stop): (usize, usize),
        codes: &'a [u8],
        left: &Bound<'_, PyList>,
        right: &Bound<'_, PyList>,
    ) -> PyResult<Self> {
        let rows = scan.rows.get(start..stop).ok_or_else(|| PyIndexError::new_err("no such rows"))?;
        let holes = rows.iter().filter(|row| row.code == HOLE).count();
        let filled = [codes.len(), left.len(), right.len()];
        if filled != [holes; 3] || codes.iter().any(|&code| code > OBSERVE) {
            return Err(PyValueError::new_err(format!(
                "{holes} holes must be filled with steps, got {filled:?}"
            )));
        }
        let filled = left.iter().zip(right.iter()).map(|(left, right)| [left, right].map(Filled::of));
        Ok(Self { scan, start, stop, codes, filled: filled.collect() })
    }

    /// Returns the steps in order.
    pub fn iter(&self) -> impl Iterator<Item = Step<'_>> {
        let mut filled = self.codes.iter().zip(&self.filled);
        (self.start..self.stop).map(move |row| match self.scan.rows[row].code {
            HOLE => {
                let (&code, [left, right]) = filled.next().expect("each hole is filled");
                step(code, left.operand(), right.operand())
            }
            NOTHING => Step::Observe(Operand::Missing),
            code => {
                let (left, right) = self.scan.texts(row);
                step(code, left.into(), right.into())
            }
        })
    }

    /// Returns which of the rows state links, counted from `start`.
    pub fn links(&self) -> Vec<i64> {
        let mut filled = self.codes.iter();
        let rows = self.scan.rows[self.start..self.stop].iter().zip(0..);
        let mut is_link = |row: &Row| match row.code {
            HOLE => *filled.next().expect("each hole is filled") < OBSERVE,
            code => code < OBSERVE,
        };
        rows.filter_map(|(row, index)| is_link(row).then_some(index)).collect()
    }
}

fn step<'a>(code: u8, left: Operand<'a>, right: Operand<'a>) -> Step<'a> {
    match Kind::from_code(code) {
        Some(kind) => Step::Link(kind, left, right),
        None => Step::Observe(left),
    }
}
