//! The classes that read lines of events into the steps that they state.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, RwLock};

use arrow_array::{ArrayRef, RecordBatch};
use idmerge_core::Id;
use idmerge_events::columns::{Columns, ExpectedKinds, Kinds};
use idmerge_events::links::{End, Rules};
use idmerge_events::parquet::IdNumbers;
use idmerge_events::scan::{self, FilledOperand, ObservedIds};
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::{PyBytes, PyList, PyString};

use crate::columns::read_arrow;
use crate::errors::Failure;
use crate::tables::Table;

/// Reads lines of events by the rules that Python states.
#[pyclass(frozen, module = "idmerge._core")]
pub struct Scanner {
    scanner: scan::Scanner,
    /// The kinds that are expected of properties; None where no columns are wanted.
    expected: RwLock<Option<Arc<ExpectedKinds>>>,
}

/// The steps that some lines state, a row for each line that is not blank.
#[pyclass(frozen, module = "idmerge._core")]
pub struct Scan {
    steps: scan::Scan,
    /// The events as columns, until they are taken.
    columns: Mutex<Option<Columns>>,
    /// The IDs that the rows observed, by the resolver that took them last.
    observed: Mutex<ObservedIds>,
}

/// An identity event's name, its code, and the keys of its operands or of a list of both.
pub type NamedRule = (String, u8, Vec<Vec<String>>);

/// Events as columns, and the numbers of their IDs.
pub type Block = (Columns, IdNumbers);

/// Returns the rules for these events, and for ordinary ones.
pub fn rules(events: Vec<NamedRule>, simplified: bool) -> PyResult<Rules> {
    let rules =
        Rules::new(events).and_then(|rules| if simplified { rules.simplified() } else { Some(rules) });
    rules.ok_or_else(|| PyValueError::new_err("each event needs one or two groups of few keys"))
}

/// Returns the first `end` bytes of a text.
pub fn up_to(text: &[u8], end: usize) -> PyResult<&[u8]> {
    text.get(..end).ok_or_else(|| PyIndexError::new_err("end is behind the text"))
}

#[pymethods]
impl Scanner {
    #[new]
    #[pyo3(signature = (events, longest, shape=false, columns=false, chosen=None, simplified=false, times=false))]
    #[expect(clippy::fn_params_excessive_bools, reason = "each is a keyword that Python gives")]
    fn new(
        events: Vec<NamedRule>,
        longest: usize,
        shape: bool,
        columns: bool,
        chosen: Option<HashSet<String>>,
        simplified: bool,
        times: bool,
    ) -> PyResult<Self> {
        let rules = rules(events, simplified)?;
        let expected = columns.then(|| Arc::new(ExpectedKinds::of(chosen)));
        let scanner = scan::Scanner::new(rules, longest, shape || columns);
        let scanner = if times { scanner.with_times() } else { scanner };
        Ok(Self { scanner, expected: RwLock::new(expected) })
    }

    /// Take the kinds that the values of properties have, so that columns need not be guessed.
    fn expect(&self, properties: Kinds) -> PyResult<()> {
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
    /// If columns are wanted and some lines are unread, call again with an event's JSON for each of
    /// these, or None for what is no event.
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
        let text = up_to(&text, end)?;
        let expected = self.expected.read().map_err(Failure::from)?.clone();
        let filled: Option<Vec<_>> =
            filled.as_ref().map(|events| events.iter().map(|event| event.as_deref()).collect());
        let scan = py.detach(|| self.scanner.scan(&head, text, expected.as_deref(), filled.as_deref()));
        Ok(Scan::of(scan.map_err(Failure::from)?))
    }

    /// Read items of an array, each as a line, up to its end, or up to the comma behind one.
    fn scan_items(&self, text: &Bound<'_, PyBytes>, to_end: bool) -> Option<Scan> {
        let py = text.py();
        let text = PyBackedBytes::from(text.clone());
        let end = if to_end { End::Array } else { End::Comma };
        py.detach(|| self.scanner.scan_items(&text, end)).map(Scan::of)
    }
}

impl Scan {
    /// Wraps a scan.
    pub fn of(mut scan: scan::Scan) -> Self {
        let columns = Mutex::new(scan.columns.take());
        Self { steps: scan, columns, observed: Mutex::default() }
    }

    /// Returns the scan itself.
    pub fn get(&self) -> &scan::Scan {
        &self.steps
    }

    fn take_columns(&self) -> Result<Option<Columns>, Failure> {
        Ok(self.columns.lock()?.take())
    }

    /// Returns the IDs that were sent with the events in the columns, unless these are taken.
    pub fn sent(&self) -> Result<Option<ArrayRef>, Failure> {
        Ok(self.columns.lock()?.as_ref().map(|columns| columns.sent().clone()))
    }

    /// Notes the IDs that the rows from `start` on observed, and the canonical IDs of their
    /// senders, by a resolver's numbers.
    pub fn note_observed(
        &self,
        era: u64,
        start: usize,
        ids: &[Option<Id>],
        senders: &[Option<Id>],
    ) -> Result<(), Failure> {
        self.observed.lock()?.note(&self.steps, era, start, ids, senders);
        Ok(())
    }

    /// Takes the columns, and the numbers of the IDs that were noted in the `era`, if one is given.
    ///
    /// Returns None if senders' canonical IDs are wanted and were not noted.
    pub fn take_block(&self, era: Option<u64>, follows: bool) -> Result<Option<Block>, Failure> {
        let Some(columns) = self.take_columns()? else {
            return Err(Failure::Value("a scan has no columns, or they were taken".to_owned()));
        };
        let Some(era) = era else {
            let numbers = IdNumbers { sent: vec![None; columns.rows()], known: None };
            return Ok((!follows).then_some((columns, numbers)));
        };
        let observed = self.observed.lock()?;
        let known = if follows { observed.senders_of_columns(&self.steps, era) } else { None };
        let numbers = IdNumbers { sent: observed.of_columns(&self.steps, era), known };
        Ok((!follows || numbers.known.is_some()).then_some((columns, numbers)))
    }
}

#[pymethods]
impl Scan {
    /// The number of lines that were read, blank ones included.
    #[getter]
    fn lines(&self) -> u32 {
        self.steps.lines()
    }

    /// Return the number of rows.
    fn __len__(&self) -> usize {
        self.steps.len()
    }

    /// Return the line of a row, counted from 0.
    fn line(&self, row: usize) -> Result<u32, Failure> {
        Ok(self.steps.line(row)?)
    }

    /// Return the code and the operands of a row that states a link, else None.
    fn link(&self, row: usize) -> Result<Option<(u8, &str, &str)>, Failure> {
        Ok(self.steps.link(row)?)
    }

    /// Return Mixpanel's reason for refusing the link of a row itself, if it did.
    fn reason(&self, row: usize) -> Option<&str> {
        self.steps.reason(row)
    }

    /// Return the ID that a row observes, else None.
    fn observed(&self, row: usize) -> Result<Option<&str>, Failure> {
        Ok(self.steps.observed(row)?)
    }

    /// Return the rows from ``start`` to ``stop`` of ordinary events whose value for an ID can be
    /// none.
    fn odd_ids(&self, start: usize, stop: usize) -> Vec<usize> {
        self.steps.odd_ids(start, stop)
    }

    /// Return each property's name, its kinds, and the row where it came first.
    ///
    /// Lines that are JSON only to Python, if at all, have none here.
    fn properties(&self) -> Vec<(&str, u8, usize)> {
        self.steps.properties()
    }

    /// Return the rows whose properties `properties` lacks.
    fn rows_without_properties(&self) -> Vec<usize> {
        self.steps.rows_without_properties()
    }

    /// Return the lines that Python must read before there are columns: their numbers, counted from
    /// 0, and bytes.
    fn unread<'py>(&self, py: Python<'py>) -> Vec<(u32, Bound<'py, PyBytes>)> {
        self.steps.unread().iter().map(|(line, text)| (*line, PyBytes::new(py, text))).collect()
    }

    /// Return how many rows the columns have, and how many bytes; None without columns.
    fn columns_size(&self) -> Result<Option<(usize, usize)>, Failure> {
        Ok(self.columns.lock()?.as_ref().map(|columns| (columns.rows(), columns.bytes())))
    }

    /// Return the times of the columns as a table of one column; None without columns.
    fn times(&self) -> Result<Option<Table>, Failure> {
        let columns = self.columns.lock()?;
        let Some(columns) = columns.as_ref() else { return Ok(None) };
        let batch = RecordBatch::try_from_iter([("time", columns.times().clone())]);
        Ok(Some(Table::of(batch.map_err(idmerge_events::Error::from)?)))
    }

    /// Replace the times of the columns.
    fn set_times(&self, times: &Bound<'_, PyAny>) -> PyResult<()> {
        let (arrays, _) = read_arrow(times, "times")?;
        let mut columns = self.columns.lock().map_err(Failure::from)?;
        let ([array], Some(columns)) = (arrays.as_slice(), columns.as_mut()) else {
            return Err(PyValueError::new_err("the times of columns must be one array"));
        };
        Ok(columns.set_times(array.clone()).map_err(Failure::from)?)
    }

    /// Return the rows that Python must read, with their bytes.
    fn holes<'py>(&self, py: Python<'py>) -> Vec<(usize, Bound<'py, PyBytes>)> {
        self.steps.holes().map(|(row, text)| (row, PyBytes::new(py, text))).collect()
    }
}

/// Returns the pairs of operands that fill holes.
///
/// # Errors
///
/// `ValueError` if the lists differ in length.
pub fn holes_filled(
    first: &Bound<'_, PyList>,
    second: &Bound<'_, PyList>,
) -> PyResult<Vec<[FilledOperand<PyBackedStr>; 2]>> {
    if first.len() != second.len() {
        let lengths = [first.len(), second.len()];
        return Err(PyValueError::new_err(format!("holes must be filled with pairs, got {lengths:?}")));
    }
    let pairs = first.iter().zip(second.iter());
    Ok(pairs.map(|(first, second)| [first, second].map(filled_operand)).collect())
}

/// Returns an operand that fills one of a hole.
pub fn filled_operand(object: Bound<'_, PyAny>) -> FilledOperand<PyBackedStr> {
    match object.cast_into::<PyString>() {
        // Python holds lone surrogates; they are no Unicode text and have no UTF-8.
        Ok(text) => PyBackedStr::try_from(text).map_or(FilledOperand::NotUnicode, FilledOperand::Text),
        Err(_) => FilledOperand::Missing,
    }
}
