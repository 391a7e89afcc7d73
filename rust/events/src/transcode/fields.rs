//! The fields of one object, as they stand, and their way into another one.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use sonic_rs::{Deserializer as Parser, LazyValue};

use crate::json::skip::Skip;
use crate::json::text::DistinctKeys;

/// The keys of a row, at most; others are left to the caller.
const MOST_KEYS: usize = 4096;

/// The keys of an object, with their values as they stand.
pub(super) type Fields<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// Returns the place of the field with the key `wanted`.
pub(super) fn place(fields: &Fields<'_>, wanted: &str) -> Option<usize> {
    fields.iter().position(|(key, _)| key == wanted)
}

pub(super) fn value<'f>(fields: &'f Fields<'_>, wanted: &str) -> Option<&'f str> {
    fields.iter().find(|(key, _)| key == wanted).map(|(_, value)| &**value)
}

pub(super) fn push(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

pub(super) fn push_field(out: &mut Vec<u8>, start: usize, key: &str, value: &str) {
    if out.len() > start {
        out.push(b',');
    }
    if key.bytes().any(|byte| byte < 0x20 || matches!(byte, b'"' | b'\\')) {
        push(out, &sonic_rs::to_string(key).expect("any text has a form in JSON"));
    } else {
        out.push(b'"');
        push(out, key);
        out.push(b'"');
    }
    out.push(b':');
    push(out, value);
}

/// Appends the fields of an object, or of the object in a JSON text; any other value has none.
///
/// Returns None if a text is not certainly that of an object.
pub(super) fn push_inner(out: &mut Vec<u8>, value: &str) -> Option<()> {
    if !value.starts_with('"') {
        if let Some(inner) = inner(value) {
            push(out, inner);
        }
        return Some(());
    }
    let text: Cow<'_, str> = Parser::from_str(value).deserialize_str(TextSeed).ok()?;
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    let fields = inner(text)?;
    check(text, 1).ok()?;
    // Ends of lines stand between values only.
    out.extend(fields.bytes().map(|byte| if byte == b'\n' { b' ' } else { byte }));
    Some(())
}

/// Returns the text between the braces of an object, without blanks around it.
fn inner(value: &str) -> Option<&str> {
    Some(value.strip_prefix('{')?.strip_suffix('}')?.trim_matches([' ', '\t', '\r', '\n']))
}

/// Returns the fields of the object `text`, whose values are nested in `depth` others, or None if
/// the text is not certainly an object of few keys, each once.
pub(super) fn fields(text: &str, depth: u8) -> Option<Fields<'_>> {
    let mut parser = Parser::from_str(text);
    let fields = parser.deserialize_map(Object { depth }).ok()?;
    parser.end().ok()?;
    Some(fields)
}

/// Parses a text in full.
fn check(text: &str, depth: u8) -> sonic_rs::Result<()> {
    let mut parser = Parser::from_str(text);
    Skip { depth }.deserialize(&mut parser)?;
    parser.end()
}

struct Object {
    depth: u8,
}

impl<'a> Visitor<'a> for Object {
    type Value = Fields<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Fields<'a>, A::Error> {
        let (mut fields, mut keys) = (Fields::with_capacity(16), DistinctKeys::default());
        while let Some(key) = map.next_key_seed(TextSeed)? {
            if fields.len() == MOST_KEYS || !keys.is_new(&key) {
                return Err(A::Error::custom("many keys, or two equal ones"));
            }
            let value = map.next_value_seed(Slice)?;
            // The function that passes over a value accepts some broken text.
            check(&value, self.depth).map_err(A::Error::custom)?;
            fields.push((key, value));
        }
        Ok(fields)
    }
}

/// Takes a value as it stands.
struct Slice;

impl<'a> DeserializeSeed<'a> for Slice {
    type Value = Cow<'a, str>;

    fn deserialize<D: Deserializer<'a>>(self, value: D) -> Result<Self::Value, D::Error> {
        Ok(LazyValue::deserialize(value)?.as_raw_cow())
    }
}

/// Reads a text.
struct TextSeed;

impl<'a> DeserializeSeed<'a> for TextSeed {
    type Value = Cow<'a, str>;

    fn deserialize<D: Deserializer<'a>>(self, key: D) -> Result<Self::Value, D::Error> {
        key.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for TextSeed {
    type Value = Cow<'a, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}
