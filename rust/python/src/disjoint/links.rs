//! Links between IDs in, without a policy: two columns of text or two of integers.

use idmerge_core::{Batch, DistinctTexts, Reason, Side, Unnumbered, number_integers};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyString};

use crate::columns::{Elements, Form, Integers, TextColumn, unsigned};
use crate::disjoint::partition::GROUP;
use crate::errors::Failure;
use crate::pipeline::sources::{Acts, MixedRows, PinnedRows};
use crate::pipeline::{run_attached, run_detached};

/// Two immutable columns of one length.
pub enum Links<'py> {
    Texts(TextColumn<'py>, TextColumn<'py>),
    Integers { first: Vec<i64>, second: Vec<i64>, form: Form },
}

/// Distinct values in the order of their numbers, and the links between these.
pub enum Numbered {
    Texts(DistinctTexts),
    Integers { integers: Vec<i64>, links: Vec<[u32; 2]>, form: Form },
}

impl From<Unnumbered> for Failure {
    fn from(Unnumbered { row, side, reason }: Unnumbered) -> Self {
        let matter = match reason {
            Reason::Limit(error) => return error.into(),
            Reason::Missing => "null",
            Reason::NotUnicode => "not valid Unicode",
        };
        let name = match side {
            Side::First => "first",
            Side::Second => "second",
        };
        Self::Value(format!("row {row} of {name} is {matter}"))
    }
}

impl<'py> Links<'py> {
    /// Pins two columns of text or two of integers.
    ///
    /// # Errors
    ///
    /// `TypeError` for anything else or a mix, `ValueError` for different lengths, a missing
    /// integer and integers that no type of 64 bits holds.
    pub fn from_python(first: &Bound<'py, PyAny>, second: &Bound<'py, PyAny>) -> PyResult<Self> {
        // An empty list has no value that shows its type.
        let is_empty = |column: &Bound<'_, PyAny>| column.len().is_ok_and(|rows| rows == 0);
        let links = match (Integers::from_python(first, "first")?, Integers::from_python(second, "second")?) {
            (Some(first), Some(second)) => Self::of_integers(Integers::join(first, second)?),
            (Some(first), None) if is_empty(second) => {
                Self::of_integers(Integers::join(first, Integers::default())?)
            }
            (None, Some(second)) if is_empty(first) => {
                Self::of_integers(Integers::join(Integers::default(), second)?)
            }
            (None, None) => Self::Texts(texts(first, "first")?, texts(second, "second")?),
            _ => return Err(PyTypeError::new_err("first and second must both be text or both be integers")),
        };
        let (first, second) = links.lengths();
        if first == second {
            return Ok(links);
        }
        Err(PyValueError::new_err(format!(
            "columns must have the same length: first has {first}, second has {second} rows"
        )))
    }

    fn of_integers((first, second, form): (Vec<i64>, Vec<i64>, Form)) -> Self {
        Self::Integers { first, second, form }
    }

    fn lengths(&self) -> (usize, usize) {
        match self {
            Self::Texts(first, second) => (first.len(), second.len()),
            Self::Integers { first, second, .. } => (first.len(), second.len()),
        }
    }

    /// Numbers the values by first appearance, first before second.
    pub fn number(&self, py: Python<'_>) -> PyResult<Numbered> {
        match self {
            Self::Texts(first, second) => Ok(Numbered::Texts(number_texts(py, first, second)?)),
            Self::Integers { first, second, form } => {
                let (integers, links) =
                    py.detach(|| number_integers(first, second)).map_err(Failure::from)?;
                Ok(Numbered::Integers { integers, links, form: *form })
            }
        }
    }

    /// Returns links between the numbers that `number` gives the values as Python objects, by first
    /// appearance and some at a time.
    pub fn numbers(
        &self,
        py: Python<'py>,
        mut number: impl FnMut(&[Bound<'py, PyAny>]) -> PyResult<Vec<u32>>,
    ) -> PyResult<Vec<[u32; 2]>> {
        let numbered = self.number(py)?;
        let mut numbers = Vec::with_capacity(numbered.len());
        let mut objects = numbered.objects(py);
        loop {
            let group: Vec<Bound<'py, PyAny>> = objects.by_ref().take(GROUP).collect();
            if group.is_empty() {
                break;
            }
            numbers.extend(number(&group)?);
        }
        let ends = |&link: &[u32; 2]| link.map(|end| numbers[end as usize]);
        Ok(numbered.links().iter().map(ends).collect())
    }
}

/// Numbers the texts of two columns; Python's strings are read while attached.
fn number_texts(py: Python<'_>, first: &TextColumn<'_>, second: &TextColumn<'_>) -> PyResult<DistinctTexts> {
    let rows = first.len();
    let threads = py
        .import(intern!(py, "idmerge._threads"))?
        .call_method0(intern!(py, "threads_allowed"))?
        .extract()?;
    let mut texts = DistinctTexts::new(rows).map_err(Failure::from)?;
    let preparer = texts.preparer();
    let take = |batch: &mut Batch| {
        texts.take(batch)?;
        Ok(texts.prefetcher())
    };
    if let (Some(first), Some(second)) = (first.as_pinned(), second.as_pinned()) {
        py.detach(|| {
            let mut source = PinnedRows::new(Acts::Ends, &[first, second], &preparer);
            run_detached(&mut source, rows, threads, take)
        })?;
    } else {
        let mut source = MixedRows::new(Acts::Ends, &[first, second], &preparer);
        run_attached(py, &mut source, rows, threads, take)?;
    }
    Ok(texts)
}

impl Numbered {
    /// Returns how many distinct values there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Integers { integers, .. } => integers.len(),
        }
    }

    /// Returns the links between the values' numbers, in order.
    pub fn links(&self) -> &[[u32; 2]] {
        match self {
            Self::Texts(texts) => texts.links(),
            Self::Integers { links, .. } => links,
        }
    }

    /// Returns every value as a Python object, in order.
    fn objects<'a, 'py: 'a>(&'a self, py: Python<'py>) -> Box<dyn Iterator<Item = Bound<'py, PyAny>> + 'a> {
        match self {
            Self::Texts(texts) => {
                Box::new(texts.iter().map(move |text| PyString::new(py, text.as_str()).into_any()))
            }
            Self::Integers { integers, form: Form::Signed, .. } => {
                Box::new(integers.iter().map(move |&integer| PyInt::new(py, integer).into_any()))
            }
            Self::Integers { integers, form: Form::Unsigned, .. } => {
                Box::new(integers.iter().map(move |&integer| PyInt::new(py, unsigned(integer)).into_any()))
            }
        }
    }
}

/// Pins a column of text.
fn texts<'py>(column: &Bound<'py, PyAny>, name: &str) -> PyResult<TextColumn<'py>> {
    Ok(match TextColumn::from_python(column, name, Elements::Texts)? {
        TextColumn::Objects(objects) => TextColumn::Objects(objects.snapshot()),
        pinned @ TextColumn::Pinned(_) => pinned,
    })
}
