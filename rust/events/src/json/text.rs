//! Values as JSON text without blanks, and numbers and texts in JSON's form.

use std::collections::HashSet;
use std::fmt::{self, Write};
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::json::event;
use crate::json::visitor::any_value;

/// Writes a value, nested in `depth` others, as JSON text behind what is in the buffer.
///
/// An object with two equal keys is an error.
pub struct JsonText<'e> {
    /// The buffer.
    pub buffer: &'e mut String,
    /// The number of values around it.
    pub depth: u8,
}

impl JsonText<'_> {
    fn write(self, text: impl fmt::Display) {
        write!(self.buffer, "{text}").expect("a String takes any text");
    }

    fn inside<E: Error>(&mut self) -> Result<JsonText<'_>, E> {
        event::inside(self.depth).map(|depth| JsonText { buffer: self.buffer, depth })
    }
}

impl<'a> DeserializeSeed<'a> for JsonText<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for JsonText<'_> {
    type Value = ();

    any_value! {
        visit_bool(bool) => JsonText::write;
        visit_i64(i64) => JsonText::write;
        visit_u64(u64) => JsonText::write;
        visit_f64(f64) => |json: JsonText<'_>, value| json.write(float_text(value));
        visit_str(&str) => |json: JsonText<'_>, value| json.write(quoted(value));
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.write("null");
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut list: A) -> Result<(), A::Error> {
        self.buffer.push('[');
        let start = self.buffer.len();
        loop {
            let end = self.buffer.len();
            if end > start {
                self.buffer.push(',');
            }
            if list.next_element_seed(self.inside()?)?.is_none() {
                self.buffer.truncate(end);
                self.buffer.push(']');
                return Ok(());
            }
        }
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.buffer.push('{');
        let start = self.buffer.len();
        let mut keys = DistinctKeys::default();
        loop {
            let end = self.buffer.len();
            if end > start {
                self.buffer.push(',');
            }
            let key = self.buffer.len();
            if map.next_key_seed(self.inside()?)?.is_none() {
                self.buffer.truncate(end);
                self.buffer.push('}');
                return Ok(());
            }
            if !keys.is_new(&self.buffer[key..]) {
                return Err(Error::custom("two equal keys"));
            }
            self.buffer.push(':');
            map.next_value_seed(self.inside()?)?;
        }
    }
}

/// The keys that an object had so far, by their hashes: an object in which two share one is
/// declined.
#[derive(Default)]
pub(crate) struct DistinctKeys {
    hasher: RandomState,
    first: [u64; 8],
    count: usize,
    others: HashSet<u64, RandomState>,
}

impl DistinctKeys {
    /// Takes a key, and returns whether certainly none before it was equal.
    #[inline]
    pub(crate) fn is_new(&mut self, key: &str) -> bool {
        let hash = self.hasher.hash_one(key);
        if self.first[..self.count].contains(&hash) {
            return false;
        }
        if self.count < self.first.len() {
            self.first[self.count] = hash;
            self.count += 1;
            return true;
        }
        self.others.insert(hash)
    }
}

/// Returns a text in JSON's form, with quotes and escapes.
fn quoted(text: &str) -> String {
    sonic_rs::to_string(text).expect("any text has a form in JSON")
}

/// Returns a number in the shortest form that is read as the same one.
pub fn float_text(number: f64) -> String {
    sonic_rs::to_string(&number).expect("a number that was read has a form in JSON")
}
