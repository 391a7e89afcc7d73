//! Columns of IDs in, as text: lists, numpy arrays, and whatever speaks Arrow.

use arrow_array::{Array, LargeBinaryArray};
use idmerge_events::ids;
use pyo3::exceptions::{PyException, PyImportError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::columns::chunk::is_text;
use crate::columns::ids::no_ids;
use crate::columns::imported::{is_arrow, read_arrow};
use crate::columns::numpy_numbers;
use crate::columns::numpy_text::{self, check_one_dimension};
use crate::columns::objects::{Elements, Objects, check_id};
use crate::columns::pinned::Pinned;

/// A column of texts.
pub enum TextColumn<'py> {
    Objects(Objects<'py>),
    Pinned(Pinned),
}

impl<'py> TextColumn<'py> {
    /// Pins a list, a tuple, a numpy array, or an Arrow array or stream.
    ///
    /// # Errors
    ///
    /// `TypeError` for anything else; `name` is that of the argument.
    pub fn from_python(column: &Bound<'py, PyAny>, name: &str, elements: Elements) -> PyResult<Self> {
        let py = column.py();
        if let Ok(list) = column.cast::<PyList>() {
            return Objects::new(list.clone(), name, elements).map(Self::Objects);
        }
        if let Ok(tuple) = column.cast::<PyTuple>() {
            return Objects::new(tuple.to_list(), name, elements).map(Self::Objects);
        }
        if is_arrow(column)? {
            let dtype = column.getattr(intern!(py, "dtype")).map(|dtype| dtype.to_string());
            match dtype.as_deref() {
                // polars exports its Null type with a buffer, which Arrow forbids.
                Ok("Null") => return Ok(Self::Pinned(Pinned::of_nulls(column.len()?))),
                // And these as what no other library reads.
                Ok("Object" | "Int128" | "UInt128") if elements == Elements::Ids => {
                    let list = column.call_method0(intern!(py, "to_list"))?.cast_into()?;
                    return Objects::new(list, name, elements).map(Self::Objects);
                }
                _ => (),
            }
            // pandas makes one type of objects of several, or fails, unless all are text.
            let are_objects = elements == Elements::Ids && matches!(dtype.as_deref(), Ok("object"));
            let are_categories = elements == Elements::Ids && matches!(dtype.as_deref(), Ok("category"));
            match read_arrow(column, name) {
                Ok((_, field)) if are_objects && !is_text(field.data_type()) => {}
                Ok((arrays, field)) => match Pinned::from_arrow(&arrays, &field, name, elements) {
                    Err(_) if are_categories => {}
                    pinned => return pinned.map(Self::Pinned),
                },
                Err(_) if are_objects || are_categories => {}
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
        let what = if elements == Elements::Texts { "text" } else { "IDs" };
        Err(PyTypeError::new_err(format!(
            "{name} must be a list, a numpy array or an Arrow column of {what}, got {came}"
        )))
    }

    fn from_numpy(array: &Bound<'py, PyAny>, name: &str, elements: Elements) -> PyResult<Self> {
        let py = array.py();
        let dtype = array.getattr(intern!(py, "dtype"))?;
        let kind: String = dtype.getattr(intern!(py, "kind"))?.extract()?;
        check_one_dimension(array, name)?;
        if array.hasattr(intern!(py, "mask"))? {
            return Err(PyTypeError::new_err(format!(
                "{name} must not have a mask; pass a list with None instead"
            )));
        }
        match kind.as_str() {
            "O" => {
                let list = array.call_method0(intern!(py, "tolist"))?.cast_into()?;
                Objects::new(list, name, elements).map(Self::Objects)
            }
            "U" => Ok(Self::from_texts(numpy_text::read_fixed_width(array)?)),
            "T" => {
                let texts = numpy_text::read_strings(array)?;
                if elements != Elements::Own
                    && let Some(row) = texts.nulls().and_then(|nulls| nulls.iter().position(|valid| !valid))
                    && let Some(object) = numpy_text::missing_value(array)?
                    && check_id(&object, name, row).is_err()
                {
                    // It stands for something: an ID like any other object, or for nothing known.
                    let list = array.call_method0(intern!(py, "tolist"))?.cast_into()?;
                    return Objects::new(list, name, elements).map(Self::Objects);
                }
                Ok(Self::from_texts(texts))
            }
            "S" => {
                let width: usize = dtype.getattr(intern!(py, "itemsize"))?.extract()?;
                let bytes = array.call_method0(intern!(py, "tobytes"))?.extract()?;
                Ok(Self::Pinned(Pinned::of_cells(bytes, width, array.len()?)))
            }
            // An empty list has no text that shows its type.
            "f" if array.len()? == 0 => Ok(Self::Pinned(Pinned::empty())),
            _ if elements == Elements::Texts => {
                Err(PyTypeError::new_err(format!("{name} must be a column of text, got numpy {dtype}")))
            }
            _ => {
                let Some(numbers) = numpy_numbers::read(array)? else {
                    let list = array.call_method0(intern!(py, "tolist"))?.cast_into()?;
                    return Objects::new(list, name, elements).map(Self::Objects);
                };
                let texts = ids::texts(&numbers, false)
                    .map_err(|no_id| no_ids(name, &no_id.shown(&format!("numpy {dtype}"))));
                Ok(Self::Pinned(Pinned::of_texts(texts?)))
            }
        }
    }

    fn from_texts(texts: LargeBinaryArray) -> Self {
        Self::Pinned(Pinned::of_texts(texts))
    }

    /// Returns the buffers, if it has any.
    pub fn as_pinned(&self) -> Option<&Pinned> {
        match self {
            Self::Objects(_) => None,
            Self::Pinned(pinned) => Some(pinned),
        }
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Objects(objects) => objects.len(),
            Self::Pinned(pinned) => pinned.len(),
        }
    }
}
