//! Links between IDs in, without a policy: two columns of text or two of integers.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use idmerge_core::{Batch, DistinctTexts, Reason, Side, Unnumbered, number_integers};
use numpy::PyReadonlyArray1;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyList, PyString, PyTuple};
use pyo3_arrow::input::AnyArray;

use crate::batches::{Acts, MixedRows, PinnedRows};
use crate::column::{Column, Elements, check_one_dimension};
use crate::errors::Failure;
use crate::imported::{check, check_sizes};
use crate::kinds::is_arrow;
use crate::partition::GROUP;
use crate::relay::{run_attached, run_detached};

/// Two columns of one length, which nobody changes.
pub enum Links<'py> {
    Texts(Column<'py>, Column<'py>),
    Integers { left: Vec<i64>, right: Vec<i64>, form: Form },
}

/// What an integer of 64 bits stands for, such that the order is that of the values.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Itself.
    Signed,
    /// The unsigned integer with the other highest bit.
    Unsigned,
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
    /// `TypeError` for anything else or a mix, `ValueError` for different lengths, a missing integer
    /// and integers that no type of 64 bits holds.
    pub fn from_python(left: &Bound<'py, PyAny>, right: &Bound<'py, PyAny>) -> PyResult<Self> {
        // An empty list has nothing to tell its type by.
        let is_empty = |column: &Bound<'_, PyAny>| column.len().is_ok_and(|rows| rows == 0);
        let links = match (Integers::from_python(left, "first")?, Integers::from_python(right, "second")?) {
            (Some(left), Some(right)) => Integers::join(left, right)?,
            (Some(left), None) if is_empty(right) => Integers::join(left, Integers::default())?,
            (None, Some(right)) if is_empty(left) => Integers::join(Integers::default(), right)?,
            (None, None) => Self::Texts(texts(left, "first")?, texts(right, "second")?),
            _ => return Err(PyTypeError::new_err("first and second must both be text or both be integers")),
        };
        let (left, right) = links.lengths();
        if left == right {
            return Ok(links);
        }
        Err(PyValueError::new_err(format!(
            "columns must have the same length: first has {left}, second has {right} rows"
        )))
    }

    fn lengths(&self) -> (usize, usize) {
        match self {
            Self::Texts(left, right) => (left.len(), right.len()),
            Self::Integers { left, right, .. } => (left.len(), right.len()),
        }
    }

    /// Numbers the values by first appearance, left before right.
    pub fn number(&self, py: Python<'_>) -> PyResult<Numbered> {
        match self {
            Self::Texts(left, right) => Ok(Numbered::Texts(number_texts(py, left, right)?)),
            Self::Integers { left, right, form } => {
                let (integers, links) = py.detach(|| number_integers(left, right)).map_err(Failure::from)?;
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
fn number_texts(py: Python<'_>, left: &Column<'_>, right: &Column<'_>) -> PyResult<DistinctTexts> {
    let rows = left.len();
    let threads =
        py.import(intern!(py, "idmerge._threads"))?.call_method0(intern!(py, "threads_allowed"))?.extract()?;
    let mut texts = DistinctTexts::new(rows).map_err(Failure::from)?;
    let door = texts.door();
    let take = |batch: &mut Batch| {
        texts.take(batch)?;
        Ok(texts.scout())
    };
    if let (Some(left), Some(right)) = (left.as_pinned(), right.as_pinned()) {
        py.detach(|| {
            let mut source = PinnedRows::new(Acts::Ends, &[left, right], &door);
            run_detached(&mut source, rows, threads, take)
        })?;
    } else {
        let mut source = MixedRows::new(Acts::Ends, &[left, right], &door);
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

/// Returns the unsigned integer that stands for itself with the other highest bit.
pub fn unsigned(integer: i64) -> u64 {
    integer.cast_unsigned() ^ (1 << 63)
}

/// Pins a column of text.
fn texts<'py>(column: &Bound<'py, PyAny>, name: &str) -> PyResult<Column<'py>> {
    Ok(match Column::from_python(column, name, Elements::Ids)? {
        Column::Objects(objects) => Column::Objects(objects.snapshot()),
        pinned @ Column::Pinned(_) => pinned,
    })
}

/// A column of integers.
enum Integers {
    Signed(Vec<i64>),
    /// At least one is above the signed ones.
    Unsigned(Vec<u64>),
}

impl Default for Integers {
    fn default() -> Self {
        Self::Signed(Vec::new())
    }
}

impl Integers {
    /// Reads a column of integers, or returns None if it is anything else.
    fn from_python(column: &Bound<'_, PyAny>, name: &str) -> PyResult<Option<Self>> {
        let py = column.py();
        if column.is_instance_of::<PyList>() || column.is_instance_of::<PyTuple>() {
            return Self::from_objects(column, name);
        }
        let is_arrow = is_arrow(column)?;
        if is_arrow {
            check_sizes(column, name)?;
        }
        if is_arrow
            && let Ok(array) = column.extract::<AnyArray>()
            && let Ok(array) = array.into_chunked_array()
        {
            let (chunks, field) = array.into_inner();
            if !is_integer(field.data_type()) {
                return Ok(None);
            }
            check(&chunks, name)?;
            return Self::from_arrow(&chunks, name).map(Some);
        }
        if !column.hasattr(intern!(py, "__array__"))? {
            return Ok(None);
        }
        let array = py.import(intern!(py, "numpy"))?.call_method1(intern!(py, "asanyarray"), (column,))?;
        Self::from_numpy(&array, name)
    }

    fn from_objects(objects: &Bound<'_, PyAny>, name: &str) -> PyResult<Option<Self>> {
        let is_none = |object: &PyResult<Bound<'_, PyAny>>| object.as_ref().is_ok_and(PyAnyMethods::is_none);
        let first = objects.try_iter()?.find(|object| !is_none(object)).transpose()?;
        let index = intern!(objects.py(), "__index__");
        if !first.is_some_and(|first| first.hasattr(index).unwrap_or(false)) {
            return Ok(None);
        }
        let (mut signed, mut beyond) = (Vec::new(), Vec::new());
        for (row, object) in objects.try_iter()?.enumerate() {
            let object = object?;
            if let Ok(integer) = object.extract::<i64>() {
                signed.push(integer);
            } else {
                beyond.push((row, integer_beyond(&object, name, row)?));
                signed.push(0);
            }
        }
        Ok(Some(Self::with_beyond(signed, &beyond, name)?))
    }

    /// Puts integers above the signed ones in their rows, which hold 0 so far.
    fn with_beyond(signed: Vec<i64>, beyond: &[(usize, u64)], name: &str) -> PyResult<Self> {
        if beyond.is_empty() {
            return Ok(Self::Signed(signed));
        }
        let mut unsigned = not_negative(signed).ok_or_else(|| too_wide(name))?;
        for &(row, integer) in beyond {
            unsigned[row] = integer;
        }
        Ok(Self::Unsigned(unsigned))
    }

    fn from_arrow(chunks: &[ArrayRef], name: &str) -> PyResult<Self> {
        let rows = chunks.iter().map(Array::len).sum();
        let (mut signed, mut unsigned) = (Vec::with_capacity(rows), Vec::new());
        for chunk in chunks {
            let cast = |kind| {
                arrow_cast::cast(chunk, &kind).map_err(|error| PyValueError::new_err(error.to_string()))
            };
            let first_row = signed.len() + unsigned.len();
            if let Some(row) = chunk.logical_nulls().and_then(|nulls| nulls.iter().position(|valid| !valid)) {
                return Err(null(name, first_row + row));
            }
            if matches!(plain(chunk.data_type()), DataType::UInt64) {
                unsigned.extend_from_slice(cast(DataType::UInt64)?.as_primitive::<UInt64Type>().values());
            } else {
                signed.extend_from_slice(cast(DataType::Int64)?.as_primitive::<Int64Type>().values());
            }
        }
        Ok(if unsigned.is_empty() { Self::Signed(signed) } else { Self::from_unsigned(unsigned) })
    }

    fn from_numpy(array: &Bound<'_, PyAny>, name: &str) -> PyResult<Option<Self>> {
        let py = array.py();
        let dtype = array.getattr(intern!(py, "dtype"))?;
        let kind: String = dtype.getattr(intern!(py, "kind"))?.extract()?;
        if kind == "O" {
            return Self::from_objects(&array.call_method0(intern!(py, "tolist"))?, name);
        }
        if !matches!(kind.as_str(), "i" | "u") {
            return Ok(None);
        }
        check_one_dimension(array, name)?;
        if array.hasattr(intern!(py, "mask"))? {
            return Err(PyTypeError::new_err(format!("{name} must not have a mask")));
        }
        let wide = if kind == "u" { intern!(py, "uint64") } else { intern!(py, "int64") };
        // Copied below, and so not here if it is wide already.
        let wide = py.import(intern!(py, "numpy"))?.call_method1(intern!(py, "asarray"), (array, wide))?;
        Ok(Some(if kind == "u" {
            Self::from_unsigned(wide.extract::<PyReadonlyArray1<'_, u64>>()?.as_array().to_vec())
        } else {
            Self::Signed(wide.extract::<PyReadonlyArray1<'_, i64>>()?.as_array().to_vec())
        }))
    }

    fn from_unsigned(integers: Vec<u64>) -> Self {
        if integers.iter().any(|&integer| i64::try_from(integer).is_err()) {
            return Self::Unsigned(integers);
        }
        Self::Signed(integers.into_iter().map(u64::cast_signed).collect())
    }

    fn join<'py>(left: Self, right: Self) -> PyResult<Links<'py>> {
        let (left, right, form) = match (left, right) {
            (Self::Signed(left), Self::Signed(right)) => (left, right, Form::Signed),
            (left, right) => (left.into_unsigned("first")?, right.into_unsigned("second")?, Form::Unsigned),
        };
        Ok(Links::Integers { left, right, form })
    }

    /// Returns the integers in the unsigned form.
    fn into_unsigned(self, name: &str) -> PyResult<Vec<i64>> {
        let integers = match self {
            Self::Unsigned(integers) => integers,
            Self::Signed(integers) => not_negative(integers).ok_or_else(|| too_wide(name))?,
        };
        Ok(integers.into_iter().map(|integer| (integer ^ (1 << 63)).cast_signed()).collect())
    }
}

fn not_negative(integers: Vec<i64>) -> Option<Vec<u64>> {
    integers.into_iter().map(|integer| u64::try_from(integer).ok()).collect()
}

fn integer_beyond(object: &Bound<'_, PyAny>, name: &str, row: usize) -> PyResult<u64> {
    if object.is_none() {
        return Err(null(name, row));
    }
    if !object.hasattr(intern!(object.py(), "__index__"))? {
        let came = object.get_type().name()?;
        return Err(PyTypeError::new_err(format!("{name} must hold integers only, got {came} in row {row}")));
    }
    object.extract().map_err(|_| {
        PyValueError::new_err(format!("{name} must hold integers of 64 bits, got a wider one in row {row}"))
    })
}

fn null(name: &str, row: usize) -> PyErr {
    PyValueError::new_err(format!("row {row} of {name} is null"))
}

fn too_wide(name: &str) -> PyErr {
    PyValueError::new_err(format!(
        "{name} holds a negative integer, but another is above 2**63 - 1; no type of 64 bits holds both"
    ))
}

fn plain(kind: &DataType) -> &DataType {
    match kind {
        DataType::Dictionary(_, values) => values,
        other => other,
    }
}

fn is_integer(kind: &DataType) -> bool {
    plain(kind).is_integer()
}
