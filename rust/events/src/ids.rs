//! Texts of IDs that are no text: numbers of JSON, and columns of Arrow (SPEC 3).
//!
//! Python's values have the same rule in `idmerge._ids`.

use std::fmt::Write;
use std::sync::Arc;

use arrow_array::builder::LargeStringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Float16Type, Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, FixedSizeBinaryArray, LargeStringArray};
use arrow_schema::extension::EXTENSION_TYPE_NAME_KEY;
use arrow_schema::{DataType, Field};

/// Bits of the integers that a double holds exactly.
pub const DOUBLE: u32 = 53;

/// Returns a float as an integer if it is one, and floats hold all integers up to it: those of so
/// many `bits`.
#[inline]
#[expect(clippy::cast_precision_loss, reason = "a power of two is exact")]
pub fn whole(number: f64, bits: u32) -> Option<i64> {
    (number.abs() <= (1_u64 << bits) as f64 && number.fract() == 0.0).then_some(number as i64)
}

/// Returns whether a number of JSON text that came as a float can be an integer that no type of 64
/// bits holds.
#[inline]
#[expect(clippy::cast_precision_loss, reason = "a power of two is exact")]
pub fn is_beyond_integers(number: f64) -> bool {
    const LEAST: f64 = i64::MIN as f64;
    number.abs() >= -LEAST || !number.is_finite()
}

/// The first row of a column whose value can be no ID.
#[derive(Debug)]
pub struct NoId {
    /// The row, counted from 0.
    pub row: usize,
    /// The value, if it is a number.
    pub number: Option<f64>,
}

impl NoId {
    /// Returns the value in words: `kind` is the type of the column.
    pub fn shown(&self, kind: &str) -> String {
        let number = self.number.map(|number| format!(" {number}")).unwrap_or_default();
        format!("{kind}{number} in row {}", self.row)
    }
}

/// Returns whether the values of `field` are UUIDs, and so say it.
pub fn is_uuid(field: &Field) -> bool {
    *field.data_type() == DataType::FixedSizeBinary(UUID_BYTES)
        && extension(field).is_some_and(|name| name == "arrow.uuid")
}

/// Returns whether a column of this type holds bytes of any length, which are text as UTF-8.
pub fn is_bytes(kind: &DataType) -> bool {
    matches!(kind, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

/// Returns the name of the extension type of `field`, if it has one.
pub fn extension(field: &Field) -> Option<&str> {
    field.metadata().get(EXTENSION_TYPE_NAME_KEY).map(String::as_str)
}

/// Returns a column of IDs as utf8; text that is no Unicode is null.
///
/// # Errors
///
/// The first row whose value can be no ID.
pub fn utf8(array: &ArrayRef, is_uuid: bool) -> Result<ArrayRef, NoId> {
    match array.data_type() {
        kind if kind.is_string() || is_bytes(kind) || kind.is_null() => Ok(as_utf8(array)),
        DataType::Dictionary(..) => match unpacked(array) {
            Some(rows) => utf8(&rows, false),
            None => Err(NoId { row: 0, number: None }),
        },
        _ => texts(array, is_uuid).map(|texts| as_utf8(&(Arc::new(texts) as ArrayRef))),
    }
}

fn as_utf8(array: &ArrayRef) -> ArrayRef {
    arrow_cast::cast(array, &DataType::Utf8).expect("texts, bytes and nulls can be utf8")
}

/// Returns the values of a column that is no text as texts; a null or NaN is null.
///
/// # Errors
///
/// The first row whose value can be no ID.
pub fn texts(array: &ArrayRef, is_uuid: bool) -> Result<LargeStringArray, NoId> {
    match array.data_type() {
        kind if kind.is_integer() || has_no_fractions(kind) => Ok(digits(array)),
        DataType::Float16 => {
            floats::<Float16Type>(array, 11, <Float16Type as ArrowPrimitiveType>::Native::to_f64)
        }
        DataType::Float32 => floats::<Float32Type>(array, 24, f64::from),
        DataType::Float64 => floats::<Float64Type>(array, DOUBLE, |number| number),
        DataType::FixedSizeBinary(UUID_BYTES) if is_uuid => Ok(uuids(array.as_fixed_size_binary())),
        kind if array.null_count() == array.len() && !kind.is_nested() => {
            Ok(LargeStringArray::new_null(array.len()))
        }
        _ => Err(NoId { row: (0..array.len()).find(|&row| array.is_valid(row)).unwrap_or(0), number: None }),
    }
}

fn has_no_fractions(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::Decimal32(_, 0)
            | DataType::Decimal64(_, 0)
            | DataType::Decimal128(_, 0)
            | DataType::Decimal256(_, 0)
    )
}

/// Returns integers, or decimals without fractions, by their digits.
fn digits(array: &ArrayRef) -> LargeStringArray {
    let cast = arrow_cast::cast(array, &DataType::LargeUtf8);
    cast.expect("every integer has digits").as_string::<i64>().clone()
}

fn floats<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    bits: u32,
    double: impl Fn(T::Native) -> f64,
) -> Result<LargeStringArray, NoId> {
    let array = array.as_primitive::<T>();
    let mut texts = LargeStringBuilder::with_capacity(array.len(), 8 * array.len());
    for (row, value) in array.iter().enumerate() {
        match value.map(&double).filter(|number| !number.is_nan()) {
            None => texts.append_null(),
            Some(number) => {
                let integer = whole(number, bits).ok_or(NoId { row, number: Some(number) })?;
                write!(texts, "{integer}").expect("a String takes any text");
                texts.append_value("");
            }
        }
    }
    Ok(texts.finish())
}

const UUID_BYTES: i32 = 16;
/// Bytes of a UUID, before which a hyphen stands.
const HYPHENS: [usize; 4] = [4, 6, 8, 10];

fn uuids(array: &FixedSizeBinaryArray) -> LargeStringArray {
    let mut texts = LargeStringBuilder::with_capacity(array.len(), 36 * array.len());
    let mut text = String::with_capacity(36);
    for uuid in array {
        text.clear();
        for (place, byte) in uuid.into_iter().flatten().enumerate() {
            let hyphen = if HYPHENS.contains(&place) { "-" } else { "" };
            write!(text, "{hyphen}{byte:02x}").expect("a String takes any text");
        }
        texts.append_option(uuid.map(|_| &text));
    }
    texts.finish()
}

/// Returns the rows of a dictionary as a column of its values; None if these are of a type that
/// has no such column.
pub fn unpacked(dictionary: &ArrayRef) -> Option<ArrayRef> {
    let DataType::Dictionary(_, values) = dictionary.data_type() else { return None };
    arrow_cast::cast(dictionary, values).ok()
}
