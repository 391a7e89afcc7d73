//! Lists of Python's strings, read while attached to the interpreter, a piece of the list at a
//! time.
//!
//! A piece is copied first, which takes a reference to each string and so brings it near, many at
//! once; then each string's text is asked for.

use std::ops::Range;

use idmerge_core::{Batch, Operand, Preparer, prefetch_address};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyList, PyString};

use crate::columns::ids::id_texts;
use crate::columns::purpose::Purpose;

/// The meaning of an element that is no text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Elements {
    /// An ID by the rule of `idmerge._ids`, a missing value, or a `TypeError`.
    Ids,
    /// A missing value, or a `TypeError`.
    Texts,
    /// A missing value: our own code made the list.
    Own,
}

/// A list or a tuple of Python's strings.
pub struct Objects<'py> {
    list: Bound<'py, PyList>,
    len: usize,
}

impl<'py> Objects<'py> {
    /// Takes a list; `name` is the argument that an error names.
    pub fn new(list: Bound<'py, PyList>, name: &str, elements: Elements) -> PyResult<Self> {
        // To copy a long one would cost more than reading it; should it shrink, the call fails.
        let list = if list.len() <= COPIED { list.get_slice(0, list.len()) } else { list };
        let list = match elements {
            Elements::Ids if !are_plain(&list)? => id_texts(&list, name)?,
            Elements::Texts => {
                for (row, object) in list.iter().enumerate() {
                    check_id(&object, name, row)?;
                }
                list
            }
            Elements::Ids | Elements::Own => list,
        };
        Ok(Self { len: list.len(), list })
    }

    /// Returns a copy of its own, which no caller can change.
    pub fn snapshot(&self) -> Self {
        Self { list: self.list.get_slice(0, self.len), len: self.len }
    }

    /// Returns the elements.
    pub fn iter(&self) -> impl Iterator<Item = Bound<'py, PyAny>> {
        self.list.iter()
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Appends these rows to a batch, as far as it is not full.
    ///
    /// A long list that another thread shortens meanwhile has no more rows; what is read stays
    /// alive.
    pub fn fill(&self, batch: &mut Batch, purpose: Purpose, preparer: &Preparer, rows: Range<usize>) {
        let near = Near::of(&self.list, rows);
        purpose.give(batch, preparer, near.operands());
    }
}

/// The most rows of a list that is read as it was when the call began, whatever other threads do.
const COPIED: usize = 8 * Batch::ROWS;

/// Some of a list's objects, referred to and brought near.
struct Near<'py>(Vec<Bound<'py, PyAny>>);

impl<'py> Near<'py> {
    fn of(list: &Bound<'py, PyList>, rows: Range<usize>) -> Self {
        let near: Vec<_> = list.get_slice(rows.start, rows.end).iter().collect();
        for object in &near {
            // Most texts end in the line behind the one that holds the reference count.
            prefetch_address(object.as_ptr().cast::<u8>().wrapping_add(LINE));
        }
        Self(near)
    }

    fn operands(&self) -> impl Iterator<Item = Operand<'_>> {
        self.0.iter().map(|object| match object.cast::<PyString>() {
            // Python holds lone surrogates; they are no Unicode text and have no UTF-8.
            Ok(text) => text.to_str().map_or(Operand::NotUnicode, Operand::Text),
            Err(_) => Operand::Missing,
        })
    }
}

/// Bytes a cache line.
const LINE: usize = 64;

/// Returns whether all objects of a list are text or stand for none.
fn are_plain(list: &Bound<'_, PyList>) -> PyResult<bool> {
    for object in list.iter() {
        if !object.is_exact_instance_of::<PyString>() && !is_plain(&object)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns whether an object is text or stands for none.
fn is_plain(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    if object.is_instance_of::<PyString>() || object.is_none() {
        return Ok(true);
    }
    let is_nan = object.cast::<PyFloat>().is_ok_and(|number| number.value().is_nan());
    // pandas.NA goes by its name, for pandas need not be there to be asked.
    Ok(is_nan || object.get_type().name()?.to_str()? == "NAType")
}

/// Raises unless an object is text or stands for none.
pub fn check_id(object: &Bound<'_, PyAny>, name: &str, row: usize) -> PyResult<()> {
    if is_plain(object)? {
        return Ok(());
    }
    let came = object.get_type().name()?;
    Err(PyTypeError::new_err(format!("{name} must hold str or None, got {came} in row {row}")))
}
