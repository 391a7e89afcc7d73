//! numpy's columns of text, in and out, without a Python object a row.
//!
//! In: a column becomes one Arrow array of UTF-8. It is taken a piece at a time, and each piece is
//! a copy that numpy makes: so strides, byte order and threads that write to the array meanwhile
//! are numpy's business, and what is held twice fits in a processor's cache.
//!
//! Out: the other way round, from the Arrow arrays of an answer.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, LargeBinaryArray};
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBuffer};
use numpy::{PyArray1, PyArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PySlice, PyString};

use crate::columns::string_dtype;
use crate::errors::Failure;

/// Bytes a piece of a `U` column, unless a row is longer.
const PIECE_BYTES: usize = 1 << 19;
/// Rows a piece of a `StringDType` column.
const PIECE_ROWS: usize = 1 << 13;
/// Stands for a text with no UTF-8, in which no byte has this value.
const NO_UTF8: u8 = 0xff;

/// A code point as numpy stores it.
type Unit = [u8; 4];

/// Text on its way into an Arrow array.
struct Gathered {
    bytes: Vec<u8>,
    offsets: Vec<i64>,
    valid: NullBufferBuilder,
}

impl Gathered {
    fn with_capacity(rows: usize) -> Result<Self, Failure> {
        let mut offsets = Vec::new();
        offsets.try_reserve_exact(rows + 1).map_err(|_| Failure::no_memory())?;
        offsets.push(0);
        Ok(Self { bytes: Vec::new(), offsets, valid: NullBufferBuilder::new(rows) })
    }

    /// Ends a row.
    fn end(&mut self, is_valid: bool) {
        self.offsets.push(i64::try_from(self.bytes.len()).expect("memory is smaller than 8 EiB"));
        self.valid.append(is_valid);
    }

    fn finish(mut self) -> LargeBinaryArray {
        let offsets = OffsetBuffer::new(self.offsets.into());
        LargeBinaryArray::new(offsets, Buffer::from_vec(self.bytes), self.valid.finish())
    }

    /// Appends a cell as a row, without the NULs that pad it.
    fn push_cell(&mut self, cell: &[Unit], code: impl Fn(Unit) -> u32 + Copy) {
        let length = cell.iter().rposition(|unit| *unit != [0; 4]).map_or(0, |last| last + 1);
        let (start, codes) = (self.bytes.len(), cell[..length].iter().map(|unit| code(*unit)));
        // Nearly every text is ASCII: it is narrowed and looked at in one go.
        let mut seen = 0;
        self.bytes.extend(codes.clone().map(|code| {
            seen |= code;
            code as u8
        }));
        if seen >= 0x80 {
            self.bytes.truncate(start);
            let text: Option<String> = codes.map(char::from_u32).collect();
            match text {
                Some(text) => self.bytes.extend_from_slice(text.as_bytes()),
                None => self.bytes.push(NO_UTF8),
            }
        }
        self.end(true);
    }
}

/// Reads an array of dtype `U`; a text with a lone surrogate becomes one that is no UTF-8.
pub fn read_fixed_width(array: &Bound<'_, PyAny>) -> PyResult<LargeBinaryArray> {
    let py = array.py();
    let dtype = array.getattr(intern!(py, "dtype"))?;
    let itemsize: usize = dtype.getattr(intern!(py, "itemsize"))?.extract()?;
    let is_native: bool = dtype.getattr(intern!(py, "isnative"))?.extract()?;
    let mut texts = Gathered::with_capacity(array.len()?)?;
    let Some(piece_rows) = PIECE_BYTES.checked_div(itemsize) else {
        (0..array.len()?).for_each(|_| texts.end(true));
        return Ok(texts.finish());
    };
    for piece in pieces(array, piece_rows.max(1))? {
        let bytes: PyBackedBytes = piece?.call_method0(intern!(py, "tobytes"))?.extract()?;
        // No text has more bytes in UTF-8 than it has here.
        texts.bytes.try_reserve(bytes.len()).map_err(|_| Failure::no_memory())?;
        for cell in bytes.chunks_exact(itemsize) {
            let (cell, _) = cell.as_chunks();
            if is_native {
                texts.push_cell(cell, u32::from_ne_bytes);
            } else {
                texts.push_cell(cell, |unit| u32::from_ne_bytes(unit).swap_bytes());
            }
        }
    }
    Ok(texts.finish())
}

/// Reads an array of `StringDType`; a missing value becomes null, or its text if it is one.
pub fn read_strings(array: &Bound<'_, PyAny>) -> PyResult<LargeBinaryArray> {
    // Without an object for them, numpy reads missing values as empty.
    let missing = match missing_value(array)? {
        Some(object) => {
            object.cast_into::<PyString>().ok().map(|text| text.to_str().map(str::to_owned)).transpose()?
        }
        None => Some(String::new()),
    };
    let (mut texts, mut has_memory) = (Gathered::with_capacity(array.len()?)?, true);
    for piece in pieces(array, PIECE_ROWS)? {
        string_dtype::read(&piece?, |text| {
            let text = text.or(missing.as_ref().map(String::as_bytes));
            let bytes = text.unwrap_or_default();
            has_memory = has_memory && texts.bytes.try_reserve(bytes.len()).is_ok();
            if has_memory {
                texts.bytes.extend_from_slice(bytes);
                texts.end(text.is_some());
            }
        })?;
    }
    if has_memory { Ok(texts.finish()) } else { Err(Failure::no_memory().into()) }
}

/// Returns what stands for a missing value in an array of `StringDType`, if anything does.
pub fn missing_value<'py>(array: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = array.py();
    array.getattr(intern!(py, "dtype"))?.getattr_opt(intern!(py, "na_object"))
}

/// Returns an array's slices of so many rows.
fn pieces<'a, 'py>(
    array: &'a Bound<'py, PyAny>,
    rows: usize,
) -> PyResult<impl Iterator<Item = PyResult<Bound<'py, PyAny>>> + 'a> {
    let (py, len) = (array.py(), array.len()?);
    let slice = move |first: usize| {
        let [first, last] = [first, len.min(first + rows)].map(usize::cast_signed);
        array.get_item(PySlice::new(py, first, last, 1))
    };
    Ok((0..len).step_by(rows).map(slice))
}

/// Returns columns of utf8, one after another, as one array of this dtype, or of `U` as wide as
/// need be.
///
/// # Errors
///
/// `ValueError` if a dtype of fixed width cannot hold a text, or a null.
pub fn write<'py>(columns: &[ArrayRef], dtype: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let rows = columns.iter().map(Array::len).sum();
    let texts = columns.iter().flat_map(|column| column.as_string::<i32>().iter());
    let kind: String = dtype.getattr(intern!(dtype.py(), "kind"))?.extract()?;
    if kind == "T" {
        return string_dtype::write(dtype, rows, texts.map(|text| text.map(str::as_bytes)));
    }
    write_fixed_width(dtype.py(), rows, texts)
}

fn write_fixed_width<'py, 'a>(
    py: Python<'py>,
    rows: usize,
    texts: impl Iterator<Item = Option<&'a str>> + Clone,
) -> PyResult<Bound<'py, PyAny>> {
    // numpy has no width 0 for what it measures itself.
    let mut width = 1;
    for text in texts.clone() {
        let Some(text) = text.filter(|text| !text.ends_with('\0')) else {
            let shown = text.into_pyobject(py)?.repr()?;
            return Err(PyValueError::new_err(format!(
                "a numpy array of fixed width cannot hold {shown}; pass a list or objects"
            )));
        };
        // No text has more code points than bytes.
        if text.len() > width {
            width = width.max(text.chars().count());
        }
    }
    let array = py.import(intern!(py, "numpy"))?.call_method1("zeros", (rows, format!("U{width}")))?;
    let units = array.call_method1(intern!(py, "view"), (intern!(py, "uint32"),))?;
    let mut units = units.cast_into::<PyArray1<u32>>()?.try_readwrite()?;
    let cells = units.as_slice_mut()?.chunks_exact_mut(width);
    for (cell, text) in cells.zip(texts.flatten()) {
        if text.is_ascii() {
            cell.iter_mut().zip(text.bytes()).for_each(|(unit, byte)| *unit = byte.into());
        } else {
            cell.iter_mut().zip(text.chars()).for_each(|(unit, letter)| *unit = letter.into());
        }
    }
    Ok(array)
}

/// Raises unless a numpy array has one dimension.
pub fn check_one_dimension(array: &Bound<'_, PyAny>, name: &str) -> PyResult<()> {
    let dimensions: usize = array.getattr(intern!(array.py(), "ndim"))?.extract()?;
    if dimensions == 1 {
        return Ok(());
    }
    Err(PyTypeError::new_err(format!("{name} must have one dimension, got {dimensions}")))
}
