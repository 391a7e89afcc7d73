//! Kinds of JSON values: as many as the types of columns distinguish.
//!
//! A set of kinds is the sum of their bits.

/// A null.
pub const NULL: u8 = 1;
/// True or false.
pub const BOOL: u8 = 2;
/// An integer of 64 bits.
pub const INTEGER: u8 = 4;
/// Any other number.
pub const FLOAT: u8 = 8;
/// A text, or an integer beyond 63 bits.
pub const TEXT: u8 = 16;
/// A list or an object.
pub const NESTED: u8 = 32;
/// The mark, beside [`INTEGER`], of an integer that a double may not hold exactly.
pub const LARGE: u8 = 64;

/// The largest integer up to which all are exact as doubles.
const EXACT: u64 = 1 << 53;

/// Returns the kind of an integer.
#[inline]
pub fn of_integer(number: i64) -> u8 {
    if number.unsigned_abs() <= EXACT { INTEGER } else { INTEGER | LARGE }
}

/// Returns the kind of an integer that is not negative: beyond 63 bits Arrow has no type for it.
#[inline]
pub fn of_unsigned(number: u64) -> u8 {
    i64::try_from(number).map_or(TEXT, of_integer)
}
