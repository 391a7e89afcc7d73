//! The fields of an event's object, and the limit of its nesting.

use std::fmt;

use memchr::memchr2;
use serde::de::{DeserializeSeed, Deserializer, Error, Visitor};

/// Nesting that Python reads whatever its caller's depth: one more level is declined.
pub const MAX_DEPTH: u8 = 100;

/// Returns the depth of a value inside of one at `depth`, or the error that declines it.
#[inline]
pub fn inside<E: Error>(depth: u8) -> Result<u8, E> {
    if depth == MAX_DEPTH {
        return Err(E::custom("nested too deeply"));
    }
    Ok(depth + 1)
}

/// Returns whether a line of JSON has the number `-0`.
///
/// sonic-rs reads that as `0.0`, but Python reads an integer. So a line is declined if a value of it was read as
/// `0.0` and this is true; other lines need not be searched. `-0.0` is read as `0.0` too, from any line.
#[cold]
pub fn has_negative_zero(line: &str) -> bool {
    let bytes = line.as_bytes();
    let mut place = 0;
    while let Some(found) = memchr2(b'"', b'-', &bytes[place..]) {
        place += found;
        if bytes[place] == b'"' {
            place = end_of_string(bytes, place + 1);
            continue;
        }
        let is_exponent = place > 0 && matches!(bytes[place - 1], b'e' | b'E');
        let is_fraction = matches!(bytes.get(place + 2), Some(b'.' | b'e' | b'E'));
        if bytes.get(place + 1) == Some(&b'0') && !is_exponent && !is_fraction {
            return true;
        }
        place += 1;
    }
    false
}

/// Returns the place behind the string that `place` is in.
fn end_of_string(bytes: &[u8], mut place: usize) -> usize {
    while let Some(found) = bytes.get(place..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        place += found + 1;
        if bytes[place - 1] == b'"' {
            return place;
        }
        place += 1; // The escaped character ends nothing.
    }
    bytes.len()
}

/// A field of an event's object.
pub enum Field {
    /// The event's name.
    Event,
    /// Its properties.
    Properties,
    /// A field that does not count.
    Other,
}

/// Reads the key of a field.
pub struct FieldName;

impl<'a> DeserializeSeed<'a> for FieldName {
    type Value = Field;

    fn deserialize<D: Deserializer<'a>>(self, key: D) -> Result<Field, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldName {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Field, E> {
        Ok(match key {
            "event" => Field::Event,
            "properties" => Field::Properties,
            _ => Field::Other,
        })
    }
}
