//! The kinds of the links of a batch: one for all, or a column of them.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt8Type};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use idmerge_core::Kind;
use numpy::PyReadonlyArray1;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBool;

use crate::columns::imported::{is_arrow, read_arrow};

/// One kind for all links, or one a link.
pub enum Kinds {
    One(Kind),
    Each(Vec<Kind>),
}

impl Kinds {
    /// Reads an int, a list of them, or an integer column of numpy or Arrow.
    ///
    /// # Errors
    ///
    /// `TypeError` for what is no integer, `ValueError` for an integer that is no kind.
    pub fn from_python(kind: &Bound<'_, PyAny>) -> PyResult<Self> {
        if kind.is_instance_of::<PyBool>() {
            return Err(wrong_type(kind)?);
        }
        if let Ok(code) = kind.extract::<i64>() {
            return from_code(code, None).map(Self::One);
        }
        let codes = if is_arrow(kind)? { arrow_codes(kind)? } else { numpy_codes(kind)? };
        let each: PyResult<_> = match codes {
            Codes::Bytes(codes) => from_codes(codes.into_iter().map(i64::from)),
            Codes::Wide(codes) => from_codes(codes.into_iter()),
        };
        each.map(Self::Each)
    }

    /// Returns how many links the kinds are for, or None for any number.
    pub fn len(&self) -> Option<usize> {
        match self {
            Self::One(_) => None,
            Self::Each(kinds) => Some(kinds.len()),
        }
    }

    /// Returns the kind of the link in `row`.
    pub fn get(&self, row: usize) -> Kind {
        match self {
            Self::One(kind) => *kind,
            Self::Each(kinds) => kinds[row],
        }
    }
}

/// The numbers of kinds; bytes, the usual case, are not widened.
enum Codes {
    Bytes(Vec<u8>),
    Wide(Vec<i64>),
}

fn from_codes(codes: impl Iterator<Item = i64>) -> PyResult<Vec<Kind>> {
    codes.enumerate().map(|(row, code)| from_code(code, Some(row))).collect()
}

fn from_code(code: i64, row: Option<usize>) -> PyResult<Kind> {
    let public = u8::try_from(code).ok().and_then(Kind::from_code);
    let public = public.filter(|kind| {
        matches!(kind, Kind::Identify | Kind::Alias | Kind::Merge | Kind::Mapping | Kind::Association)
    });
    public.ok_or_else(|| {
        let place = row.map(|row| format!(" in row {row}")).unwrap_or_default();
        PyValueError::new_err(format!(
            "kind must be 0 (IDENTIFY), 1 (ALIAS), 2 (MERGE), 8 (MAPPING) or 13 (ASSOCIATION), got \
             {code}{place}"
        ))
    })
}

fn wrong_type(kind: &Bound<'_, PyAny>) -> PyResult<PyErr> {
    let name = kind.get_type().name()?;
    Ok(PyTypeError::new_err(format!("kind must be a Kind or a column of integers, got {name}")))
}

fn arrow_codes(kind: &Bound<'_, PyAny>) -> PyResult<Codes> {
    let (chunks, field) = read_arrow(kind, "kind")?;
    if !field.data_type().is_integer() || chunks.iter().any(|chunk| chunk.null_count() > 0) {
        let name = field.data_type();
        return Err(PyTypeError::new_err(format!(
            "kind must be a column of integers without nulls, got Arrow {name}"
        )));
    }
    if *field.data_type() == DataType::UInt8 {
        let bytes =
            chunks.iter().flat_map(|chunk| chunk.as_primitive::<UInt8Type>().values().iter().copied());
        return Ok(Codes::Bytes(bytes.collect()));
    }
    let mut codes = Vec::new();
    for chunk in &chunks {
        let wide: ArrayRef = arrow_cast::cast(chunk, &DataType::Int64)
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        // An unsigned code beyond i64 becomes null; -1 is as wrong as it was.
        codes.extend(wide.as_primitive::<Int64Type>().iter().map(|code| code.unwrap_or(-1)));
    }
    Ok(Codes::Wide(codes))
}

fn numpy_codes<'py>(kind: &Bound<'py, PyAny>) -> PyResult<Codes> {
    let py = kind.py();
    let array = py.import(intern!(py, "numpy"))?.call_method1(intern!(py, "asanyarray"), (kind,))?;
    if array.hasattr(intern!(py, "mask"))? {
        return Err(PyTypeError::new_err("kind must not have a mask"));
    }
    if let Ok(bytes) = array.extract::<PyReadonlyArray1<'py, u8>>() {
        return Ok(Codes::Bytes(bytes.as_array().to_vec()));
    }
    let dtype: String = array.getattr(intern!(py, "dtype"))?.getattr(intern!(py, "kind"))?.extract()?;
    let size: usize = array.getattr(intern!(py, "size"))?.extract()?;
    if size > 0 && !matches!(dtype.as_str(), "i" | "u")
        || array.getattr(intern!(py, "ndim"))?.extract::<usize>()? != 1
    {
        return Err(wrong_type(kind)?);
    }
    let wide = array.call_method1(intern!(py, "astype"), (intern!(py, "int64"),))?;
    let wide: PyReadonlyArray1<'py, i64> = wide.extract()?;
    Ok(Codes::Wide(wide.as_array().to_vec()))
}
