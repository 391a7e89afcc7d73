//! Links between IDs in, without a policy: two columns of text or two of integers.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use idmerge_core::{DistinctTexts, Error, Operand, number_integers};
use numpy::PyReadonlyArray1;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyList, PyString, PyTuple};
use pyo3_arrow::input::AnyArray;

use crate::column::{Column, Elements};
use crate::errors::Failure;
use crate::kinds::is_arrow;

/// How many values become objects together.
const GROUP: usize = 64;

/// Two columns of one length, pinned.
pub enum Links {
    Texts(Column, Column),
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

/// Distinct values in the order of their numbers.
pub enum Values {
    Texts(DistinctTexts),
    Integers(Vec<i64>, Form),
}

/// Links between the numbers of values.
pub struct Numbered {
    pub values: Values,
    pub links: Vec<[u32; 2]>,
}

/// Why links cannot be numbered.
pub enum Refusal {
    Limit(Error),
    NoText { row: usize, right: bool, operand: &'static str },
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Limit(error)
    }
}

impl From<Refusal> for PyErr {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Limit(error) => Failure::from(error).into(),
            Refusal::NoText { row, right, operand } => {
                PyValueError::new_err(format!("row {row} of {} is {operand}", side(right)))
            }
        }
    }
}

fn side(right: bool) -> &'static str {
    if right { "right" } else { "left" }
}

impl Links {
    /// Pins two columns of text or two of integers.
    ///
    /// # Errors
    ///
    /// `TypeError` for anything else or a mix, `ValueError` for different lengths, a missing integer
    /// and integers that no type of 64 bits holds.
    pub fn from_python(left: &Bound<'_, PyAny>, right: &Bound<'_, PyAny>) -> PyResult<Self> {
        let links = match (Integers::from_python(left, "left")?, Integers::from_python(right, "right")?) {
            (Some(left), Some(right)) => Integers::join(left, right)?,
            (None, None) => Self::Texts(texts(left, "left")?, texts(right, "right")?),
            (Some(integers), None) if right.len().is_ok_and(|length| length == 0) => {
                Integers::join(integers, Integers::default())?
            }
            (None, Some(integers)) if left.len().is_ok_and(|length| length == 0) => {
                Integers::join(Integers::default(), integers)?
            }
            _ => return Err(PyTypeError::new_err("left and right must both be text or both be integers")),
        };
        let (left, right) = links.lengths();
        if left == right {
            return Ok(links);
        }
        Err(PyValueError::new_err(format!(
            "columns must have the same length: left has {left}, right has {right} rows"
        )))
    }

    fn lengths(&self) -> (usize, usize) {
        match self {
            Self::Texts(left, right) => (left.len(), right.len()),
            Self::Integers { left, right, .. } => (left.len(), right.len()),
        }
    }

    /// Numbers the values by first appearance, left before right; needs no interpreter.
    pub fn number(&self) -> Result<Numbered, Refusal> {
        match self {
            Self::Texts(left, right) => {
                let rows = left.operands().zip(right.operands()).enumerate();
                let both = |(row, (a, b))| Ok::<_, Refusal>([text(a, row, false)?, text(b, row, true)?]);
                let (texts, links) = DistinctTexts::number(rows.map(both))?;
                Ok(Numbered { values: Values::Texts(texts), links })
            }
            Self::Integers { left, right, form } => {
                let (integers, links) = number_integers(left, right)?;
                Ok(Numbered { values: Values::Integers(integers, *form), links })
            }
        }
    }
}

impl Links {
    /// Returns links between the numbers that `number` gives the values as Python objects, by first
    /// appearance and some at a time.
    pub fn numbers<'py>(
        &self,
        py: Python<'py>,
        mut number: impl FnMut(&[Bound<'py, PyAny>]) -> PyResult<Vec<u32>>,
    ) -> PyResult<Vec<[u32; 2]>> {
        let Numbered { values, mut links } = py.detach(|| self.number())?;
        let mut numbers = Vec::with_capacity(values.len());
        let mut objects = values.objects(py);
        loop {
            let group: Vec<Bound<'py, PyAny>> = objects.by_ref().take(GROUP).collect();
            if group.is_empty() {
                break;
            }
            numbers.extend(number(&group)?);
        }
        for end in links.as_flattened_mut() {
            *end = numbers[*end as usize];
        }
        Ok(links)
    }
}

impl Values {
    /// Returns how many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Integers(integers, _) => integers.len(),
        }
    }

    /// Returns every value as a Python object, in order.
    fn objects<'a, 'py: 'a>(&'a self, py: Python<'py>) -> Box<dyn Iterator<Item = Bound<'py, PyAny>> + 'a> {
        match self {
            Self::Texts(texts) => {
                Box::new(texts.iter().map(move |text| PyString::new(py, text.as_str()).into_any()))
            }
            Self::Integers(integers, Form::Signed) => {
                Box::new(integers.iter().map(move |&integer| PyInt::new(py, integer).into_any()))
            }
            Self::Integers(integers, Form::Unsigned) => {
                Box::new(integers.iter().map(move |&integer| PyInt::new(py, unsigned(integer)).into_any()))
            }
        }
    }
}

/// Returns the unsigned integer that stands for itself with the other highest bit.
pub fn unsigned(integer: i64) -> u64 {
    integer.cast_unsigned() ^ (1 << 63)
}

fn text(operand: Operand<'_>, row: usize, right: bool) -> Result<&str, Refusal> {
    match operand {
        Operand::Text(text) => Ok(text),
        Operand::Missing => Err(Refusal::NoText { row, right, operand: "null" }),
        Operand::NotUnicode => Err(Refusal::NoText { row, right, operand: "not valid Unicode" }),
    }
}

fn texts(column: &Bound<'_, PyAny>, name: &str) -> PyResult<Column> {
    Column::from_python(column, name, Elements::Ids)
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
        if is_arrow(column)?
            && let Ok(array) = column.extract::<AnyArray>()
            && let Ok(array) = array.into_chunked_array()
        {
            let (chunks, field) = array.into_inner();
            return Ok(if is_integer(field.data_type()) {
                Some(Self::from_arrow(&chunks, name)?)
            } else {
                None
            });
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
        let dimensions: usize = array.getattr(intern!(py, "ndim"))?.extract()?;
        if dimensions != 1 {
            return Err(PyTypeError::new_err(format!("{name} must have one dimension, got {dimensions}")));
        }
        if array.hasattr(intern!(py, "mask"))? {
            return Err(PyTypeError::new_err(format!("{name} must not have a mask")));
        }
        let wide = if kind == "u" { intern!(py, "uint64") } else { intern!(py, "int64") };
        let wide = array.call_method1(intern!(py, "astype"), (wide,))?;
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

    fn join(left: Self, right: Self) -> PyResult<Links> {
        let (left, right, form) = match (left, right) {
            (Self::Signed(left), Self::Signed(right)) => (left, right, Form::Signed),
            (left, right) => (left.into_unsigned("left")?, right.into_unsigned("right")?, Form::Unsigned),
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
