//! One line of a dialect as an event of the raw shape.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use foldhash::fast::RandomState;
use memchr::memchr2_iter;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use sonic_rs::{Deserializer as Parser, LazyValue};

use crate::json::skip::Skip;
use crate::json::text::DistinctKeys;
use crate::transcode::dialect::Dialect;

/// The keys of a row, at most; others are left to the caller.
const MOST_KEYS: usize = 4096;

/// The meaning of a line.
pub enum Meaning {
    /// An event.
    Event,
    /// A message that states no event.
    Nothing,
}

/// The brackets within each other that a line may have, at most, to be transcoded here.
const DEEP: usize = 128;

/// The keys of an object, with their values as they stand.
type Fields<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

impl Dialect {
    /// Appends `line` as an event of the raw shape to `out`, or returns None if it is to be read by
    /// the caller; `out` is left with any text then.
    pub(super) fn transcode(&self, line: &str, out: &mut Vec<u8>) -> Option<Meaning> {
        if is_nested_deeply(line.as_bytes()) {
            return None; // The parser of values calls itself once for each level.
        }
        let fields = fields(line, 2)?;
        let Some(record) = &self.record else {
            return self.event(&fields, out);
        };
        let kind: String = sonic_rs::from_str(value(&fields, "type")?).ok()?;
        if kind != "RECORD" {
            return Some(Meaning::Nothing);
        }
        let row = value(&fields, record)?;
        if self.is_flat {
            return self.event(&self::fields(row, 2)?, out);
        }
        let fields = self::fields(row, 2)?;
        value(&fields, "event")?;
        if value(&fields, "properties").is_some_and(|properties| properties.starts_with('"')) {
            return None;
        }
        push(out, row);
        Some(Meaning::Event)
    }

    fn event(&self, fields: &Fields<'_>, out: &mut Vec<u8>) -> Option<Meaning> {
        let place =
            |keys: &[String]| keys.iter().find_map(|wanted| fields.iter().position(|(key, _)| key == wanted));
        let (event, nested) = (place(&self.events)?, place(&self.properties));
        out.extend_from_slice(b"{\"event\":");
        push(out, &fields[event].1);
        out.extend_from_slice(b",\"properties\":{");
        let start = out.len();
        if let Some(nested) = nested {
            push_inner(out, &fields[nested].1)?;
        }
        let mut exact = Vec::new();
        let mut taken = Taken { keys: None, given: HashSet::default() };
        for (place, (key, value)) in fields.iter().enumerate() {
            if place == event || Some(place) == nested {
                continue;
            }
            let raw = self.raw_name(key)?;
            // A field keeps its own name where its raw name is another one's.
            if *raw == **key || !taken.take(&raw, fields) {
                exact.push(place);
            } else if value != "null" {
                push_field(out, start, &raw, value);
            }
        }
        for (key, value) in exact.iter().map(|place| &fields[*place]) {
            if value != "null" {
                push_field(out, start, key, value);
            }
        }
        out.extend_from_slice(b"}}");
        Some(Meaning::Event)
    }
}

/// The names that the fields of a row have.
struct Taken<'f> {
    /// The keys of the row, once one is looked for.
    keys: Option<HashSet<&'f str, RandomState>>,
    /// The raw names that were given to fields.
    given: HashSet<Box<str>, RandomState>,
}

impl<'f> Taken<'f> {
    /// Takes the raw name of a field, and returns whether none of `fields` had it.
    fn take(&mut self, raw: &str, fields: &'f Fields<'_>) -> bool {
        let keys = self.keys.get_or_insert_with(|| fields.iter().map(|(key, _)| &**key).collect());
        !keys.contains(raw) && self.given.insert(raw.into())
    }
}

fn value<'f>(fields: &'f Fields<'_>, wanted: &str) -> Option<&'f str> {
    fields.iter().find(|(key, _)| key == wanted).map(|(_, value)| &**value)
}

fn push(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn push_field(out: &mut Vec<u8>, start: usize, key: &str, value: &str) {
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
fn push_inner(out: &mut Vec<u8>, value: &str) -> Option<()> {
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
/// Returns whether brackets outside of strings are nested in more than [`DEEP`] others.
fn is_nested_deeply(text: &[u8]) -> bool {
    if memchr2_iter(b'[', b'{', text).nth(DEEP).is_none() {
        return false; // Nearly every line.
    }
    let (mut depth, mut in_text, mut is_escaped) = (0_usize, false, false);
    for byte in text {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_text,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => depth += 1,
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => (),
        }
        if depth > DEEP {
            return true;
        }
    }
    false
}

fn fields(text: &str, depth: u8) -> Option<Fields<'_>> {
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
