//! Columns of integers in.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use numpy::PyReadonlyArray1;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use pyo3_arrow::input::AnyArray;

use crate::columns::imported::{check, check_sizes, is_arrow};
use crate::columns::numpy_text::check_one_dimension;

/// The meaning of an integer of 64 bits; either keeps the order of the values.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Itself.
    Signed,
    /// The unsigned integer with the other highest bit.
    Unsigned,
}

/// A column of integers.
pub enum Integers {
    /// All have a sign.
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
    pub fn from_python(column: &Bound<'_, PyAny>, name: &str) -> PyResult<Option<Self>> {
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

    /// Returns two columns in one form.
    ///
    /// # Errors
    ///
    /// `ValueError` if no type of 64 bits holds both.
    pub fn join(first: Self, second: Self) -> PyResult<(Vec<i64>, Vec<i64>, Form)> {
        Ok(match (first, second) {
            (Self::Signed(first), Self::Signed(second)) => (first, second, Form::Signed),
            (first, second) => {
                (first.into_unsigned("first")?, second.into_unsigned("second")?, Form::Unsigned)
            }
        })
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

/// Returns the unsigned integer that stands for itself with the other highest bit.
pub fn unsigned(integer: i64) -> u64 {
    integer.cast_unsigned() ^ (1 << 63)
}
