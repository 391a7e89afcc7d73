//! Text columns in: lists, numpy arrays, and whatever speaks Arrow.
//!
//! A column is read in two steps: attached to the interpreter, its texts are pinned (Python's
//! strings by a reference each, buffers as they are); detached, they are read in place.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BinaryArray, BinaryViewArray, LargeBinaryArray};
use arrow_schema::{DataType, Field, FieldRef};
use idmerge_core::Operand;
use pyo3::exceptions::{PyException, PyImportError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::{PyFloat, PyList, PyString, PyTuple};
use pyo3_arrow::input::AnyArray;

use crate::kinds::is_arrow;

/// What an element that is no text means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Elements {
    /// An operand of a link: anything but text is missing.
    Operands,
    /// An ID to look at: None and NaN are missing, anything else is a `TypeError`.
    Ids,
}

/// A column of texts, pinned.
pub struct Column {
    chunks: Vec<Chunk>,
    /// The Arrow type that the column came as, if it did.
    pub arrow_type: Option<DataType>,
}

enum Chunk {
    Objects(Vec<Element>),
    Fixed { bytes: PyBackedBytes, width: usize, rows: usize },
    Utf8(BinaryArray),
    LargeUtf8(LargeBinaryArray),
    Utf8View(BinaryViewArray),
    Dictionary { keys: Vec<Option<usize>>, values: Box<Chunk> },
    Nulls(usize),
}

enum Element {
    Missing,
    NotUnicode,
    Text(PyBackedStr),
}

impl Column {
    /// Pins a list, a tuple, a numpy array of text, or an Arrow array or stream of text.
    ///
    /// # Errors
    ///
    /// `TypeError` for anything else; `name` says which argument it was.
    pub fn from_python(column: &Bound<'_, PyAny>, name: &str, elements: Elements) -> PyResult<Self> {
        let py = column.py();
        if column.is_instance_of::<PyList>() || column.is_instance_of::<PyTuple>() {
            return Self::from_objects(column, name, elements);
        }
        if is_arrow(column)? {
            // polars exports its Null type with a buffer, which Arrow forbids.
            if column.getattr(intern!(py, "dtype")).is_ok_and(|dtype| dtype.to_string() == "Null") {
                let chunks = vec![Chunk::Nulls(column.len()?)];
                return Ok(Self { chunks, arrow_type: Some(DataType::Null) });
            }
            match read_arrow(column) {
                Ok((arrays, field)) => return Self::from_arrow(&arrays, &field, name),
                // A pandas Series without pyarrow offers what it cannot do.
                Err(error) if error.get_type(py).is(py.get_type::<PyException>()) => {
                    return Err(PyValueError::new_err(format!("{name} cannot be read: {}", error.value(py))));
                }
                Err(error) if !error.is_instance_of::<PyImportError>(py) => return Err(error),
                Err(_) => {}
            }
        }
        if column.hasattr(intern!(py, "__array__"))? {
            let array =
                py.import(intern!(py, "numpy"))?.call_method1(intern!(py, "asanyarray"), (column,))?;
            return Self::from_numpy(&array, name, elements);
        }
        let came = column.get_type().name()?;
        Err(PyTypeError::new_err(format!(
            "{name} must be a list, a numpy array or an Arrow column of text, got {came}"
        )))
    }

    fn from_objects(objects: &Bound<'_, PyAny>, name: &str, elements: Elements) -> PyResult<Self> {
        let pinned: PyResult<Vec<Element>> = objects
            .try_iter()?
            .enumerate()
            .map(|(row, object)| Element::pin(object?, name, row, elements))
            .collect();
        Ok(Self { chunks: vec![Chunk::Objects(pinned?)], arrow_type: None })
    }

    fn from_numpy(array: &Bound<'_, PyAny>, name: &str, elements: Elements) -> PyResult<Self> {
        let py = array.py();
        let dtype = array.getattr(intern!(py, "dtype"))?;
        let kind: String = dtype.getattr(intern!(py, "kind"))?.extract()?;
        let dimensions: usize = array.getattr(intern!(py, "ndim"))?.extract()?;
        if dimensions != 1 {
            return Err(PyTypeError::new_err(format!("{name} must have one dimension, got {dimensions}")));
        }
        if array.hasattr(intern!(py, "mask"))? {
            return Err(PyTypeError::new_err(format!(
                "{name} must not have a mask; pass a list with None instead"
            )));
        }
        match kind.as_str() {
            "O" | "U" | "T" => {
                let objects = array.call_method0(intern!(py, "tolist"))?;
                Self::from_objects(&objects, name, elements)
            }
            "S" => {
                let width: usize = dtype.getattr(intern!(py, "itemsize"))?.extract()?;
                let bytes = array.call_method0(intern!(py, "tobytes"))?.extract()?;
                let chunk = Chunk::Fixed { bytes, width, rows: array.len()? };
                Ok(Self { chunks: vec![chunk], arrow_type: None })
            }
            // An empty list has no text to tell its type by.
            "f" if array.len()? == 0 => Ok(Self { chunks: Vec::new(), arrow_type: None }),
            _ => Err(PyTypeError::new_err(format!("{name} must be a column of text, got numpy {dtype}"))),
        }
    }

    fn from_arrow(arrays: &[ArrayRef], field: &Field, name: &str) -> PyResult<Self> {
        let kind = field.data_type().clone();
        let chunks: Option<Vec<Chunk>> = arrays.iter().map(Chunk::from_arrow).collect();
        match chunks {
            Some(chunks) if is_text(&kind) => Ok(Self { chunks, arrow_type: Some(kind) }),
            _ => Err(PyTypeError::new_err(format!("{name} must be a column of text, got Arrow {kind}"))),
        }
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.chunks.iter().map(Chunk::len).sum()
    }

    /// Returns the rows as operands.
    pub fn operands(&self) -> impl Iterator<Item = Operand<'_>> {
        self.chunks.iter().flat_map(|chunk| (0..chunk.len()).map(|row| chunk.get(row)))
    }

    /// Returns the rows as texts, None where a row has none.
    pub fn texts(&self) -> impl Iterator<Item = Option<&str>> {
        self.operands().map(|operand| match operand {
            Operand::Text(text) => Some(text),
            Operand::Missing | Operand::NotUnicode => None,
        })
    }

    /// Raises unless every row of an Arrow column is valid UTF-8, which Arrow promises.
    pub fn check_unicode(&self, name: &str) -> PyResult<()> {
        match self.operands().position(|operand| operand == Operand::NotUnicode) {
            Some(row) => Err(PyValueError::new_err(format!("row {row} of {name} is not valid UTF-8"))),
            None => Ok(()),
        }
    }
}

fn read_arrow(column: &Bound<'_, PyAny>) -> PyResult<(Vec<ArrayRef>, FieldRef)> {
    Ok(column.extract::<AnyArray>()?.into_chunked_array()?.into_inner())
}

fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

impl Element {
    fn pin(object: Bound<'_, PyAny>, name: &str, row: usize, elements: Elements) -> PyResult<Self> {
        match object.cast_into::<PyString>() {
            // Python holds lone surrogates; they are no Unicode text and have no UTF-8.
            Ok(text) => Ok(PyBackedStr::try_from(text).map_or(Self::NotUnicode, Self::Text)),
            Err(_) if elements == Elements::Operands => Ok(Self::Missing),
            Err(error) => {
                let object = error.into_inner();
                let is_nan = object.cast::<PyFloat>().is_ok_and(|number| number.value().is_nan());
                let came = object.get_type().name()?;
                // pandas.NA goes by its name, for pandas need not be there to be asked.
                if object.is_none() || is_nan || came.to_str()? == "NAType" {
                    return Ok(Self::Missing);
                }
                Err(PyTypeError::new_err(format!("{name} must hold str or None, got {came} in row {row}")))
            }
        }
    }
}

impl Chunk {
    fn from_arrow(array: &ArrayRef) -> Option<Self> {
        Some(match array.data_type() {
            // Read as bytes: nobody but the producer vouches that they are UTF-8.
            DataType::Utf8 => Self::Utf8(array.as_string::<i32>().clone().into()),
            DataType::LargeUtf8 => Self::LargeUtf8(array.as_string::<i64>().clone().into()),
            DataType::Utf8View => Self::Utf8View(array.as_string_view().clone().to_binary_view()),
            DataType::Null => Self::Nulls(array.len()),
            DataType::Dictionary(..) => {
                let dictionary = array.as_any_dictionary();
                if dictionary.values().is_empty() {
                    return Some(Self::Nulls(array.len()));
                }
                let is_null = |row: &usize| dictionary.keys().is_null(*row);
                let keys = dictionary.normalized_keys().into_iter().enumerate();
                Self::Dictionary {
                    keys: keys.map(|(row, key)| (!is_null(&row)).then_some(key)).collect(),
                    values: Box::new(Self::from_arrow(dictionary.values())?),
                }
            }
            _ => return None,
        })
    }

    fn len(&self) -> usize {
        match self {
            Self::Objects(elements) => elements.len(),
            Self::Fixed { rows, .. } => *rows,
            Self::Utf8(array) => array.len(),
            Self::LargeUtf8(array) => array.len(),
            Self::Utf8View(array) => array.len(),
            Self::Dictionary { keys, .. } => keys.len(),
            Self::Nulls(length) => *length,
        }
    }

    #[inline]
    fn get(&self, row: usize) -> Operand<'_> {
        match self {
            Self::Utf8(array) if array.is_valid(row) => text(array.value(row)),
            Self::LargeUtf8(array) if array.is_valid(row) => text(array.value(row)),
            Self::Utf8View(array) if array.is_valid(row) => text(array.value(row)),
            Self::Utf8(_) | Self::LargeUtf8(_) | Self::Utf8View(_) | Self::Nulls(_) => Operand::Missing,
            Self::Dictionary { keys, values } => keys[row].map_or(Operand::Missing, |key| values.get(key)),
            Self::Objects(elements) => match &elements[row] {
                Element::Missing => Operand::Missing,
                Element::NotUnicode => Operand::NotUnicode,
                Element::Text(text) => Operand::Text(text.as_str()),
            },
            Self::Fixed { bytes, width, .. } => {
                let cell = &bytes[row * width..][..*width];
                // numpy pads with NULs, and so cannot hold a text that ends in one.
                text(&cell[..cell.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)])
            }
        }
    }
}

#[inline]
fn text(bytes: &[u8]) -> Operand<'_> {
    std::str::from_utf8(bytes).map_or(Operand::NotUnicode, Operand::Text)
}
