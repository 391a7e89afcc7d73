//! One line of a dialect as an event of the raw shape.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use memchr::memchr2_iter;

use crate::transcode::dialect::Dialect;
use crate::transcode::fields::{Fields, fields, place, push, push_field, push_inner, value};

/// The meaning of a line.
pub enum Meaning {
    /// An event.
    Event,
    /// A message that states no event.
    Nothing,
}

/// The brackets within each other that a line may have, at most, to be transcoded here.
const DEEP: usize = 128;

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
        if let Some(vendor) = &self.vendor {
            vendor.event(&self.events, &self.properties, fields, out)?;
            return Some(Meaning::Event);
        }
        let first = |keys: &[String]| keys.iter().find_map(|wanted| place(fields, wanted));
        let (event, nested) = (first(&self.events)?, first(&self.properties));
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
