//! The fields of an event's object, and the limit of its nesting.

use std::fmt;

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
