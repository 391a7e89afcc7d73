//! Checks of Arrow arrays whose producer is not trusted.
//!
//! The C data interface carries addresses without sizes, and Rust's `arrow` takes the values there
//! for valid. An array that its producer never validated, such as one read from a damaged file,
//! leads to foreign memory. These properties can be checked:
//!
//! - offsets of text are not negative and never decrease, so none is beyond the last one;
//! - views of text lie within their buffers, whose sizes the interface does carry;
//! - indices of dictionaries are below the number of values;
//! - as many rows are null as the producer counted.
//!
//! The interface does not show whether a buffer is as long as the number of rows demands, and the
//! text as long as the last offset demands: these remain the producer's promise.

use std::fmt;

use arrow_array::cast::AsArray;
use arrow_array::types::ByteViewType;
use arrow_array::{Array, ArrayRef, GenericByteViewArray, downcast_integer_array};
use arrow_buffer::{ArrowNativeType, Buffer};
use arrow_schema::DataType;

/// The first fault of a column.
pub enum Fault {
    /// A row's, and its number.
    Row(usize, &'static str),
    /// The whole array's.
    Whole(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row(row, what) => write!(f, "row {row} {what}"),
            Self::Whole(what) => f.write_str(what),
        }
    }
}

/// Checks the arrays of a column.
///
/// # Errors
///
/// The first fault; rows are counted through all arrays.
pub fn check(arrays: &[ArrayRef]) -> Result<(), Fault> {
    let mut first = 0;
    for array in arrays {
        check_array(array).map_err(|fault| match fault {
            Fault::Row(row, what) => Fault::Row(first + row, what),
            whole @ Fault::Whole(_) => whole,
        })?;
        first += array.len();
    }
    Ok(())
}

fn check_array(array: &ArrayRef) -> Result<(), Fault> {
    if array.nulls().is_some_and(|nulls| nulls.null_count() != nulls.len() - nulls.inner().count_set_bits()) {
        return Err(Fault::Whole("it has another number of nulls than it states"));
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
/// Of values that are more than the rows only those are read that a row has, so a call takes time
/// in proportion to its rows, also where each is one of many slices of a column.
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
        DataType::Utf8View => stray_view(array.as_string_view(), rows),
        DataType::Binary => stray_offset(array.as_binary::<i32>().value_offsets(), rows),
        DataType::LargeBinary => stray_offset(array.as_binary::<i64>().value_offsets(), rows),
        DataType::BinaryView => stray_view(array.as_binary_view(), rows),
        _ => None,
    }
}

fn stray_offset<T: ArrowNativeType>(offsets: &[T], mut rows: impl Iterator<Item = usize>) -> Option<usize> {
    let last = *offsets.last()?;
    rows.find(|&row| {
        offsets[row] < T::default() || offsets[row] > offsets[row + 1] || offsets[row + 1] > last
    })
}

fn stray_view<T: ByteViewType + ?Sized>(
    array: &GenericByteViewArray<T>,
    rows: impl Iterator<Item = usize>,
) -> Option<usize> {
    let mut rows = rows.filter(|&row| array.is_valid(row));
    rows.find(|&row| !is_within(array.views()[row], array.data_buffers()))
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
