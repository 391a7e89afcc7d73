//! Arrow arrays in, by the `PyCapsule` interface, checked before their values are read.
//!
//! The C data interface carries addresses without sizes, and Rust's `arrow` takes what it finds there
//! for valid. An array that its producer never validated, such as one read from a damaged file, leads
//! to foreign memory. Checked here is what can be:
//!
//! - offsets of text are not negative and never decrease, so none is beyond the last one;
//! - views of text lie within their buffers, whose sizes the interface does carry;
//! - indices of dictionaries are below the number of values;
//! - as many rows are null as the producer counted.
//!
//! Whether a buffer is as long as the number of rows demands, and the text as long as the last offset
//! says, the interface cannot show. pyarrow is asked for its own arrays; that of others remains their
//! producer's promise.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, downcast_integer_array};
use arrow_buffer::{ArrowNativeType, Buffer};
use arrow_schema::{DataType, FieldRef};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3_arrow::input::AnyArray;

/// Returns the arrays of a column that exports one or a stream of them, checked.
///
/// # Errors
///
/// `ValueError` if they are damaged; `name` says which argument it was.
pub fn read_arrow(column: &Bound<'_, PyAny>, name: &str) -> PyResult<(Vec<ArrayRef>, FieldRef)> {
    check_sizes(column, name)?;
    let (arrays, field) = column.extract::<AnyArray>()?.into_chunked_array()?.into_inner();
    check(&arrays, name)?;
    Ok((arrays, field))
}

/// Checks arrays that were imported as they came.
///
/// # Errors
///
/// As [`read_arrow`].
pub fn check(arrays: &[ArrayRef], name: &str) -> PyResult<()> {
    let mut first = 0;
    for array in arrays {
        if let Err(fault) = check_array(array) {
            let (row, what) = match fault {
                Fault::Row(row, what) => (format!("row {} ", first + row), what),
                Fault::Whole(what) => (String::new(), what),
            };
            return Err(PyValueError::new_err(format!(
                "{name} is a damaged Arrow column: {row}{what}; get it from an intact source"
            )));
        }
        first += array.len();
    }
    Ok(())
}

/// Has pyarrow, which knows the sizes of its buffers, compare them with a column's lengths and last offsets.
///
/// That takes the same time for any number of rows. Import already reads the last offsets.
///
/// # Errors
///
/// As [`read_arrow`].
pub fn check_sizes(column: &Bound<'_, PyAny>, name: &str) -> PyResult<()> {
    let py = column.py();
    if column.get_type().module()?.to_str()? != "pyarrow.lib" {
        return Ok(());
    }
    let Ok(validate) = column.getattr(intern!(py, "validate")) else { return Ok(()) };
    validate.call0().map(drop).map_err(|error| {
        PyValueError::new_err(format!("{name} is a damaged Arrow column: {}", error.value(py)))
    })
}

/// A fault of an array.
enum Fault {
    Row(usize, &'static str),
    Whole(&'static str),
}

fn check_array(array: &ArrayRef) -> Result<(), Fault> {
    if array.nulls().is_some_and(|nulls| nulls.null_count() != nulls.len() - nulls.inner().count_set_bits()) {
        return Err(Fault::Whole("it has another number of nulls than it says"));
    }
    if let DataType::Dictionary(..) = array.data_type() {
        return check_dictionary(array);
    }
    match stray(array, 0..array.len()) {
        Some(row) => Err(Fault::Row(row, "lies outside of the column's text")),
        None => Ok(()),
    }
}

/// Checks the indices of a dictionary, and its values as far as they may be read.
///
/// Of values that are more than the rows only those are read that a row has, so a call takes time in
/// proportion to its rows, also where each is one of many slices of a column.
fn check_dictionary(array: &ArrayRef) -> Result<(), Fault> {
    let dictionary = array.as_any_dictionary();
    let (keys, values) = (dictionary.keys(), dictionary.values());
    let beyond = downcast_integer_array!(
        keys => keys.iter().position(|key| {
            key.is_some_and(|key| key.to_usize().is_none_or(|key| key >= values.len()))
        }),
        _ => None
    );
    if let Some(row) = beyond {
        return Err(Fault::Row(row, "has an index beyond the dictionary"));
    }
    if values.len() <= keys.len() || matches!(values.data_type(), DataType::Dictionary(..)) {
        return check_array(values);
    }
    let keys = dictionary.normalized_keys();
    let rows = (0..keys.len()).filter(|&row| dictionary.keys().is_valid(row)).map(|row| keys[row]);
    match stray(values, rows) {
        Some(_) => Err(Fault::Whole("a text lies outside of the dictionary's")),
        None => Ok(()),
    }
}

/// Returns the first of `rows` whose text lies outside of the buffers of `array`.
fn stray(array: &ArrayRef, rows: impl Iterator<Item = usize>) -> Option<usize> {
    match array.data_type() {
        DataType::Utf8 => stray_offset(array.as_string::<i32>().value_offsets(), rows),
        DataType::LargeUtf8 => stray_offset(array.as_string::<i64>().value_offsets(), rows),
        DataType::Utf8View => {
            let array = array.as_string_view();
            let mut rows = rows.filter(|&row| array.is_valid(row));
            rows.find(|&row| !is_within(array.views()[row], array.data_buffers()))
        }
        _ => None,
    }
}

fn stray_offset<T: ArrowNativeType>(offsets: &[T], mut rows: impl Iterator<Item = usize>) -> Option<usize> {
    let last = *offsets.last()?;
    rows.find(|&row| {
        offsets[row] < T::default() || offsets[row] > offsets[row + 1] || offsets[row + 1] > last
    })
}

/// Returns whether a view's text is in itself, or in one of `buffers`.
fn is_within(view: u128, buffers: &[Buffer]) -> bool {
    /// Bytes that a view itself has room for.
    const INLINE: u32 = 12;
    let part = |bit: u32| (view >> bit) as u32;
    let (length, buffer, offset) = (part(0), part(64), part(96));
    length <= INLINE
        || buffers
            .get(buffer as usize)
            .is_some_and(|buffer| u64::from(offset) + u64::from(length) <= buffer.len() as u64)
}
