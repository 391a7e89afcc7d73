//! The class that reads events as Python's objects into the steps that they state.
//!
//! Here are read: exact dicts whose name, properties and values of the keys that count are exact
//! dicts, lists, str, int, float or bool, or None; and JSON text in an exact str or bytes. Every
//! other event is left to Python, one at a time and in its order, and so is one of which the rules
//! of `idmerge_events` are not certain. A subclass can show other values than it holds; a look-up
//! in an exact dict is the one that Python makes.
//!
//! The body of a request is read as lines of JSON text.

use std::borrow::Cow;

use idmerge_core::OBSERVE;
use idmerge_events::bodies::{self, Body};
use idmerge_events::columns::milliseconds;
use idmerge_events::json::cells::Cell;
use idmerge_events::links::{End, MAX_KEYS, Stated, Value};
use idmerge_events::scan::{self, FilledOperand, has_position};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyIterator, PyList, PyString};

use crate::errors::{Failure, MalformedEventError};
use crate::events::scanner::{NamedRule, filled_operand, rules};

/// The longest text of an ID that is copied, in bytes: longer ones are left to Python, of which a
/// reference is kept.
const COPIED: usize = 1024;

/// The longest line of a body: as long as all of it may be.
const LONGEST: usize = 1 << 31;

/// The bytes of a body's lines that are read and applied at once.
const PIECE: usize = 1 << 20;

/// Reads events by the rules that Python states.
#[pyclass(frozen, module = "idmerge._core")]
pub struct EventReader {
    /// Reads lines, and has the rules.
    scanner: scan::Scanner,
    name: Py<PyString>,
    properties: Py<PyString>,
    keys: Vec<Py<PyString>>,
    /// The code of the link without operands that stands for what is no event.
    malformed: u8,
    /// Takes an event, and returns its step: a code and two operands.
    step_of: Py<PyAny>,
    /// Where the times of links are wanted, takes an event and returns its time.
    time_of: Option<Py<PyAny>>,
    time: Py<PyString>,
}

/// The steps of some events.
pub struct ReadEvents {
    pub scan: scan::Scan,
    /// The codes and operands of the events that Python read.
    pub codes: Vec<u8>,
    pub filled: Vec<[FilledOperand<PyBackedStr>; 2]>,
    /// The exception behind these events, of the iterator or of an event.
    pub error: Option<PyErr>,
    /// Whether the scan has the times of links.
    pub has_times: bool,
}

#[pymethods]
impl EventReader {
    #[new]
    #[pyo3(signature = (events, step_of, simplified, malformed, time_of=None))]
    fn new(
        py: Python<'_>,
        events: Vec<NamedRule>,
        step_of: Py<PyAny>,
        simplified: bool,
        malformed: u8,
        time_of: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let rules = rules(events, simplified)?.taking_unnamed();
        let text = |text: &str| PyString::intern(py, text).unbind();
        let keys = rules.keys().iter().map(|key| text(key)).collect();
        let scanner = scan::Scanner::new(rules, LONGEST, false);
        let scanner = if time_of.is_some() { scanner.with_times() } else { scanner };
        let [name, properties, time] = ["event", "properties", "time"].map(text);
        Ok(Self { scanner, name, properties, keys, malformed, step_of, time_of, time })
    }
}

impl EventReader {
    /// Reads events, at `most` so many.
    pub fn read(&self, events: &Bound<'_, PyIterator>, most: usize) -> ReadEvents {
        let (scan, codes, filled) = (scan::Scan::of_events(), Vec::new(), Vec::new());
        let mut read = ReadEvents { scan, codes, filled, error: None, has_times: self.time_of.is_some() };
        let mut kept = String::new();
        for event in events.clone().take(most) {
            if let Err(error) = event.and_then(|event| self.read_one(&event, &mut kept, &mut read)) {
                read.error = Some(error);
                break;
            }
        }
        read
    }

    /// Reads the body of a request, which may hold `most` bytes, and calls `take` with its events,
    /// a part of them at a time.
    ///
    /// # Errors
    ///
    /// `MalformedEventError` if it holds no events, or more bytes; nothing is taken then. An
    /// exception of `take`.
    pub fn read_body(
        &self,
        py: Python<'_>,
        body: &[u8],
        kind: Option<&str>,
        most: usize,
        mut take: impl FnMut(ReadEvents) -> PyResult<()>,
    ) -> PyResult<()> {
        let wrong = |error: idmerge_events::Error| MalformedEventError::new_err(error.to_string());
        let (scan, lines) = py
            .detach(|| {
                let body = Body::of(body, kind, most)?;
                match body.array().and_then(|items| self.scanner.scan_items(items, End::Array)) {
                    Some(scan) => Ok((Some(scan), Cow::default())),
                    None => Ok((None, body.into_lines()?)),
                }
            })
            .map_err(wrong)?;
        scan.map_or(Ok(()), |scan| take(self.filled(py, scan)?))?;
        bodies::pieces(&lines, PIECE).try_for_each(|piece| {
            let scan = py.detach(|| self.scanner.scan(&[], piece, None, None)).map_err(Failure::from)?;
            take(self.filled(py, scan)?)
        })
    }

    /// Reads those items of a scan that are left to Python.
    fn filled(&self, py: Python<'_>, mut scan: scan::Scan) -> PyResult<ReadEvents> {
        let (mut codes, mut filled, mut times) = (Vec::new(), Vec::new(), Vec::new());
        for (row, text) in scan.holes() {
            if text.trim_ascii_start().starts_with(b"{") {
                let time = self.fill(PyBytes::new(py, text).as_any(), &mut codes, &mut filled)?;
                times.extend(time.map(|time| (row, time)));
            } else {
                // No event: as Python would have it, a link without operands.
                codes.push(self.malformed);
                filled.push([FilledOperand::Missing, FilledOperand::Missing]);
            }
        }
        for (row, time) in times {
            scan.note_time(row, time);
        }
        Ok(ReadEvents { scan, codes, filled, error: None, has_times: self.time_of.is_some() })
    }

    #[inline]
    fn read_one(&self, event: &Bound<'_, PyAny>, kept: &mut String, read: &mut ReadEvents) -> PyResult<()> {
        if self.push_dict(event, kept, &mut read.scan).is_some()
            || self.push_text(event, kept, &mut read.scan).is_some()
        {
            return Ok(());
        }
        let time = self.fill(event, &mut read.codes, &mut read.filled)?;
        push(&mut read.scan, None, time);
        Ok(())
    }

    /// Adds the step of an event that Python reads, and returns the event's time if it is wanted.
    fn fill(
        &self,
        event: &Bound<'_, PyAny>,
        codes: &mut Vec<u8>,
        filled: &mut Vec<[FilledOperand<PyBackedStr>; 2]>,
    ) -> PyResult<Option<i64>> {
        let step = self.step_of.bind(event.py()).call1((event,))?;
        let (code, first, second): (u8, Bound<'_, PyAny>, Bound<'_, PyAny>) = step.extract()?;
        codes.push(code);
        filled.push([first, second].map(filled_operand));
        if has_position(code) { self.time_by_python(event) } else { Ok(None) }
    }

    /// Returns an event's time as Python reads it, if it is wanted.
    fn time_by_python(&self, event: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
        let Some(time_of) = &self.time_of else { return Ok(None) };
        time_of.bind(event.py()).call1((event,))?.extract()
    }

    /// Returns the time of an exact dict that states something with a position, if it is wanted.
    #[inline]
    fn time_of_dict(
        &self,
        code: u8,
        properties: Option<&Bound<'_, PyDict>>,
    ) -> Result<Option<i64>, LeftToPython> {
        let wanted = self.time_of.is_some() && has_position(code);
        let Some(properties) = properties.filter(|_| wanted) else { return Ok(None) };
        match properties.get_item(self.time.bind(properties.py())) {
            Ok(None) => Ok(None),
            Ok(Some(time)) => time_of_value(&time),
            Err(_) => Err(LeftToPython),
        }
    }

    /// Adds the step of an exact dict; None leaves it to Python, which also meets any error again.
    #[inline]
    fn push_dict(&self, event: &Bound<'_, PyAny>, kept: &mut String, scan: &mut scan::Scan) -> Option<()> {
        let py = event.py();
        let event = event.cast_exact::<PyDict>().ok()?;
        let rule = match event.get_item(self.name.bind(py)).ok()?.filter(|name| !name.is_none()) {
            Some(name) => self.scanner.rules().rule(name.cast_exact::<PyString>().ok()?.to_str().ok()?),
            None => None,
        };
        let mut found = [const { None }; MAX_KEYS];
        let properties = event.get_item(self.properties.bind(py)).ok()?;
        let properties = properties.filter(|properties| !properties.is_none());
        let properties = properties.as_ref().map(|properties| properties.cast_exact::<PyDict>());
        let properties = properties.transpose().ok()?;
        if let Some(properties) = properties {
            for &place in self.scanner.rules().counting(rule) {
                found[place] = properties.get_item(self.keys[place].bind(py)).ok()?;
            }
        }
        let value = |place: usize, kept: &mut String| match &found[place] {
            Some(object) => value(object, kept),
            None => Some(Value::Absent),
        };
        let stated = self.scanner.rules().stated_by_values(rule, OBSERVE, kept, value)?;
        let time = self.time_of_dict(stated.0, properties).ok()?;
        push(scan, Some(stated), time);
        Some(())
    }

    /// Adds the step of JSON text; None likewise.
    fn push_text(&self, event: &Bound<'_, PyAny>, kept: &mut String, scan: &mut scan::Scan) -> Option<()> {
        let text = match event.cast_exact::<PyString>() {
            Ok(text) => text.to_str().ok()?,
            Err(_) => str::from_utf8(event.cast_exact::<PyBytes>().ok()?.as_bytes()).ok()?,
        };
        let stated = self.scanner.rules().stated(text, OBSERVE, kept, None)?;
        let (_, first, second, _) = stated;
        if [first, second].iter().flatten().any(|operand| operand.len() > COPIED) {
            return None;
        }
        let time = if self.time_of.is_some() && has_position(stated.0) { scan.time_in(text) } else { None };
        push(scan, Some(stated), time);
        Some(())
    }
}

/// Adds the step of an event, with its time if that is known.
#[inline]
fn push(scan: &mut scan::Scan, stated: Option<Stated<'_>>, time: Option<i64>) {
    if let Some(time) = time {
        scan.note_time(scan.len(), time);
    }
    scan.push_event(stated);
}

/// The object is none that is read here.
struct LeftToPython;

/// Returns the time that an object is in milliseconds since 1970, as it is read in JSON text.
fn time_of_value(object: &Bound<'_, PyAny>) -> Result<Option<i64>, LeftToPython> {
    if let Ok(integer) = object.cast_exact::<PyInt>() {
        // Beyond 64 bits it is the nearest float, as in JSON text.
        let cell = match integer.extract() {
            Ok(integer) => Cell::Integer(integer),
            Err(_) => Cell::Float(integer.extract().map_err(|_| LeftToPython)?),
        };
        return Ok(milliseconds(&cell, ""));
    }
    if let Ok(float) = object.cast_exact::<PyFloat>() {
        return Ok(milliseconds(&Cell::Float(float.value()), ""));
    }
    if let Ok(text) = object.cast_exact::<PyString>() {
        return Ok(text.to_str().ok().and_then(|text| milliseconds(&Cell::Borrowed(text), "")));
    }
    if object.is_none() || object.is_exact_instance_of::<PyBool>() { Ok(None) } else { Err(LeftToPython) }
}

/// Returns the time that a value of JSON states, in milliseconds since 1970 (SPEC 9).
#[pyfunction]
pub fn milliseconds_of(value: &Bound<'_, PyAny>) -> Option<i64> {
    time_of_value(value).ok().flatten()
}

/// Returns an object as the value of a property; None leaves it to Python.
#[inline]
fn value<'a>(object: &'a Bound<'_, PyAny>, kept: &mut String) -> Option<Value<'a>> {
    if let Ok(text) = object.cast_exact::<PyString>() {
        return text.to_str().ok().filter(|text| text.len() <= COPIED).map(Value::of_text);
    }
    if let Ok(list) = object.cast_exact::<PyList>() {
        if list.len() != 2 {
            return Some(Value::NoId);
        }
        let [first, second] = [0, 1].map(|place| Some(entry(&list.get_item(place).ok()?, kept)));
        return Some(Value::of_pair(first??, second??));
    }
    no_text(object, kept)
}

/// Returns an object that is neither a text nor a list, likewise.
fn no_text<'a>(object: &Bound<'_, PyAny>, kept: &mut String) -> Option<Value<'a>> {
    if let Ok(integer) = object.cast_exact::<PyInt>() {
        return integer.extract::<i64>().ok().map(|integer| Value::of_copy(integer, kept));
    }
    if let Ok(float) = object.cast_exact::<PyFloat>() {
        return Some(Value::of_float(float.value(), kept));
    }
    if object.is_none() {
        return Some(Value::Null);
    }
    object.is_exact_instance_of::<PyBool>().then_some(Value::NoId)
}

/// Returns an entry of a list, likewise; a copy of its text is kept.
fn entry<'a>(object: &Bound<'_, PyAny>, kept: &mut String) -> Option<Value<'a>> {
    match object.cast_exact::<PyString>() {
        Ok(text) => {
            text.to_str().ok().filter(|text| text.len() <= COPIED).map(|text| Value::of_copy(text, kept))
        }
        Err(_) => no_text(object, kept),
    }
}
