//! Python's values as IDs, by the rule of `idmerge._ids`, and the words for what can be none.

use std::ops::Deref;

use arrow_array::{Array, ArrayRef};
use arrow_schema::Field;
use idmerge_events::ids::{self, NoId};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

/// The ID that a call is given, as text.
pub struct IdText<'py>(Bound<'py, PyString>);

impl<'py> FromPyObject<'_, 'py> for IdText<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(text) = object.cast::<PyString>() {
            return Ok(Self(text.to_owned()));
        }
        let rule = object.py().import(intern!(object.py(), "idmerge._ids"))?;
        let text = rule.call_method1(intern!(object.py(), "id_text"), (object,))?;
        Ok(Self(text.cast_into()?))
    }
}

impl<'py> Deref for IdText<'py> {
    type Target = Bound<'py, PyString>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// Returns the IDs in the list called `name` as texts; missing values stay as they are.
///
/// # Errors
///
/// `TypeError` for a value that can be no ID.
pub fn id_texts<'py>(list: &Bound<'py, PyList>, name: &str) -> PyResult<Bound<'py, PyList>> {
    let py = list.py();
    let texts =
        py.import(intern!(py, "idmerge._ids"))?.call_method1(intern!(py, "id_texts"), (list, name))?;
    Ok(texts.cast_into()?)
}

/// Returns what `read` makes of each array of the Arrow column called `name`, and of whether its
/// values are UUIDs; `line` has the number of a row in messages.
///
/// # Errors
///
/// `TypeError` for a value that can be no ID.
pub fn each_array<T>(
    arrays: &[ArrayRef],
    field: &Field,
    name: &str,
    line: impl Fn(usize) -> PyResult<usize>,
    read: impl Fn(&ArrayRef, bool) -> Result<T, NoId>,
) -> PyResult<Vec<T>> {
    let (kind, is_uuid) = (field.data_type(), ids::is_uuid(field));
    let mut first_row = 0;
    let mut each = Vec::with_capacity(arrays.len());
    for array in arrays {
        // Bytes with another meaning are no text: those of bits, of a picture, of a place.
        let other = ids::extension(field).filter(|_| ids::is_bytes(kind));
        let read = match other {
            Some(_) => Err(NoId { row: 0, number: None }),
            None => read(array, is_uuid),
        };
        match read {
            Ok(read) => each.push(read),
            Err(no_id) => {
                let kind = other.map_or_else(|| kind.to_string(), str::to_owned);
                let no_id = NoId { row: line(first_row + no_id.row)?, ..no_id };
                return Err(no_ids(name, &no_id.shown(&format!("Arrow {kind}"))));
            }
        }
        first_row += array.len();
    }
    Ok(each)
}

/// Returns the error for the column called `name`, in which something else came.
pub fn no_ids(name: &str, came: &str) -> PyErr {
    PyTypeError::new_err(format!("{name} must hold text, integers or UUIDs, got {came}"))
}
