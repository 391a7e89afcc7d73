//! An event of JSON text as cells: its name, and the value of each property that has a column.
//!
//! It reads the lines that [`crate::events`] reads, by the same parser and to the same depth, but for those
//! in which a nested object has two equal keys: Python reads them. Nested values become JSON text, without blanks.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::{self, Write};
use std::hash::BuildHasher;
use std::ops::Range;

use foldhash::fast::RandomState;
use pyo3::prelude::*;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use sonic_rs::Deserializer as Parser;

use crate::events::{DEEPEST, Field, FieldName};
use crate::shape::{Keys, kind};

/// What stands in a column's row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    There(&'a str),
    /// A text that does not stand in the line as it is, but in the room for such.
    Written(Range<usize>),
    /// An integer beyond 63 bits, whose digits stand in the room.
    Digits(Range<usize>),
    /// A list or an object, whose JSON text stands in the room.
    Nested(Range<usize>),
}

impl<'a> Cell<'a> {
    /// Returns whether Python takes the cell for an ID: text, or an integer.
    pub fn is_id(&self) -> bool {
        matches!(self, Self::There(_) | Self::Written(_) | Self::Integer(_) | Self::Digits(_))
    }

    /// Returns the kind of the value.
    #[inline]
    pub fn kind(&self) -> u8 {
        match self {
            Self::Null => kind::NULL,
            Self::Bool(_) => kind::BOOL,
            Self::Integer(number) => kind::of_integer(*number),
            Self::Float(_) => kind::FLOAT,
            Self::There(_) | Self::Written(_) | Self::Digits(_) => kind::TEXT,
            Self::Nested(_) => kind::NESTED,
        }
    }

    /// Returns the cell as text, as it stands or in JSON's form; None for a null.
    #[inline]
    pub fn text<'t>(&self, room: &'t str) -> Option<Cow<'t, str>>
    where
        'a: 't,
    {
        Some(match self {
            Self::Null => return None,
            Self::There(text) => Cow::Borrowed(*text),
            Self::Written(range) | Self::Digits(range) | Self::Nested(range) => {
                Cow::Borrowed(&room[range.clone()])
            }
            Self::Bool(value) => Cow::Owned(value.to_string()),
            Self::Integer(number) => Cow::Owned(number.to_string()),
            Self::Float(number) => Cow::Owned(float_text(*number)),
        })
    }
}

/// The cells of one event.
pub struct Cells<'a> {
    pub event: Option<Cell<'a>>,
    /// The place and the cell of each property, in the order of the line; of equal places the last counts.
    pub properties: Vec<(usize, Cell<'a>)>,
}

/// The memory of cells that are not needed any more.
#[derive(Default)]
pub struct Spare(Vec<(usize, Cell<'static>)>);

impl Spare {
    #[inline]
    pub fn take_back(&mut self, cells: Cells<'_>) {
        let mut cells = cells.properties;
        cells.clear();
        // No cell lives longer than its line: there is none. The standard library keeps the memory.
        self.0 = cells.into_iter().map(|_| unreachable!("the list is empty")).collect();
    }
}

impl<'a> Cells<'a> {
    /// Returns the cells of `line`, or None if it must be read by Python.
    ///
    /// `room` is emptied, and holds what is [`Cell::Written`].
    pub fn read(line: &'a str, keys: &mut impl Keys, room: &mut String, spare: &mut Spare) -> Option<Self> {
        room.clear();
        keys.begin_row();
        let mut cells = Self { event: None, properties: std::mem::take(&mut spare.0) };
        let mut parser = Parser::from_str(line);
        parser.deserialize_any(Event { cells: &mut cells, keys, room }).ok()?;
        parser.end().ok()?;
        Some(cells)
    }
}

/// The line's object.
struct Event<'e, 'a, K> {
    cells: &'e mut Cells<'a>,
    keys: &'e mut K,
    room: &'e mut String,
}

impl<'a, K: Keys> Visitor<'a> for Event<'_, 'a, K> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key_seed(FieldName)? {
            match field {
                Field::Event => {
                    let name = map.next_value_seed(Value { room: self.room, depth: 1 })?;
                    self.cells.event = matches!(name, Cell::There(_) | Cell::Written(_)).then_some(name);
                }
                Field::Properties => {
                    self.cells.properties.clear();
                    self.keys.begin_row();
                    let cells = &mut self.cells.properties;
                    map.next_value_seed(Properties { cells, keys: self.keys, room: self.room })?;
                }
                Field::Other => _ = map.next_value_seed(Value { room: self.room, depth: 1 })?,
            }
        }
        Ok(())
    }
}

struct Properties<'e, 'a, K> {
    cells: &'e mut Vec<(usize, Cell<'a>)>,
    keys: &'e mut K,
    room: &'e mut String,
}

impl<'a, K: Keys> DeserializeSeed<'a> for Properties<'_, 'a, K> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

/// Says in one line what a visitor takes where it takes a value of any type.
macro_rules! any_value {
    ($($visit:ident($value:ty) => $answer:expr;)*) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON value")
        }

        $(#[inline]
        fn $visit<E>(self, value: $value) -> Result<Self::Value, E> {
            Ok($answer(self, value))
        })*
    };
}

impl<'a, K: Keys> Visitor<'a> for Properties<'_, 'a, K> {
    type Value = ();

    any_value! {
        visit_bool(bool) => |_, _| ();
        visit_i64(i64) => |_, _| ();
        visit_u64(u64) => |_, _| ();
        visit_f64(f64) => |_, _| ();
        visit_str(&str) => |_, _| ();
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, list: A) -> Result<(), A::Error> {
        Value { room: self.room, depth: 1 }.visit_seq(list).map(|_| ())
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(place) = map.next_key_seed(Key(self.keys))? {
            let value = map.next_value_seed(Value { room: self.room, depth: 2 })?;
            if let Some(place) = place {
                self.cells.push((place, value));
            }
        }
        Ok(())
    }
}

/// Reads a key and returns the place of its column.
struct Key<'e, K>(&'e mut K);

impl<'a, K: Keys> DeserializeSeed<'a> for Key<'_, K> {
    type Value = Option<usize>;

    #[inline]
    fn deserialize<D: Deserializer<'a>>(self, key: D) -> Result<Self::Value, D::Error> {
        key.deserialize_str(self)
    }
}

impl<K: Keys> Visitor<'_> for Key<'_, K> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    #[inline]
    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.place(key))
    }
}

/// Reads a value that is nested in `depth` others.
struct Value<'e> {
    room: &'e mut String,
    depth: u8,
}

impl<'a> DeserializeSeed<'a> for Value<'_> {
    type Value = Cell<'a>;

    #[inline]
    fn deserialize<D: Deserializer<'a>>(self, value: D) -> Result<Cell<'a>, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Value<'_> {
    type Value = Cell<'a>;

    any_value! {
        visit_bool(bool) => |_, value| Cell::Bool(value);
        visit_i64(i64) => |_, value| Cell::Integer(value);
        visit_f64(f64) => |_, value| Cell::Float(value);
    }

    #[inline]
    fn visit_unit<E>(self) -> Result<Cell<'a>, E> {
        Ok(Cell::Null)
    }

    #[inline]
    fn visit_u64<E>(self, number: u64) -> Result<Cell<'a>, E> {
        Ok(i64::try_from(number).map_or_else(
            |_| {
                let start = self.room.len();
                write!(self.room, "{number}").expect("a String takes any text");
                Cell::Digits(start..self.room.len())
            },
            Cell::Integer,
        ))
    }

    #[inline]
    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Cell<'a>, E> {
        Ok(Cell::There(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cell<'a>, E> {
        let start = self.room.len();
        self.room.push_str(text);
        Ok(Cell::Written(start..self.room.len()))
    }

    fn visit_seq<A: SeqAccess<'a>>(self, list: A) -> Result<Cell<'a>, A::Error> {
        let start = self.room.len();
        Json { room: self.room, depth: self.depth }.visit_seq(list)?;
        Ok(Cell::Nested(start..self.room.len()))
    }

    fn visit_map<A: MapAccess<'a>>(self, map: A) -> Result<Cell<'a>, A::Error> {
        let start = self.room.len();
        Json { room: self.room, depth: self.depth }.visit_map(map)?;
        Ok(Cell::Nested(start..self.room.len()))
    }
}

/// Writes a value as JSON text behind what is in the room.
struct Json<'e> {
    room: &'e mut String,
    depth: u8,
}

impl Json<'_> {
    fn write(self, text: impl fmt::Display) {
        write!(self.room, "{text}").expect("a String takes any text");
    }

    fn inside<E: Error>(&mut self) -> Result<Json<'_>, E> {
        if self.depth == DEEPEST {
            return Err(E::custom("nested too deeply"));
        }
        Ok(Json { room: self.room, depth: self.depth + 1 })
    }
}

impl<'a> DeserializeSeed<'a> for Json<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Json<'_> {
    type Value = ();

    any_value! {
        visit_bool(bool) => Json::write;
        visit_i64(i64) => Json::write;
        visit_u64(u64) => Json::write;
        visit_f64(f64) => |json: Json<'_>, value| json.write(float_text(value));
        visit_str(&str) => |json: Json<'_>, value| json.write(quoted(value));
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.write("null");
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut list: A) -> Result<(), A::Error> {
        self.room.push('[');
        let start = self.room.len();
        loop {
            let end = self.room.len();
            if end > start {
                self.room.push(',');
            }
            if list.next_element_seed(self.inside()?)?.is_none() {
                self.room.truncate(end);
                self.room.push(']');
                return Ok(());
            }
        }
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.room.push('{');
        let start = self.room.len();
        let mut keys = KeysOfObject::default();
        loop {
            let end = self.room.len();
            if end > start {
                self.room.push(',');
            }
            let key = self.room.len();
            if map.next_key_seed(self.inside()?)?.is_none() {
                self.room.truncate(end);
                self.room.push('}');
                return Ok(());
            }
            if !keys.is_new(&self.room[key..]) {
                return Err(Error::custom("two equal keys"));
            }
            self.room.push(':');
            map.next_value_seed(self.inside()?)?;
        }
    }
}

/// The keys that an object had before, by their hashes: that two share one costs a look by Python.
#[derive(Default)]
struct KeysOfObject {
    hasher: RandomState,
    first: [u64; 8],
    count: usize,
    others: HashSet<u64, RandomState>,
}

impl KeysOfObject {
    /// Takes a key, and returns whether it is certain that none before was equal.
    #[inline]
    fn is_new(&mut self, key: &str) -> bool {
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

/// Returns a text as JSON has it.
fn quoted(text: &str) -> String {
    sonic_rs::to_string(text).expect("any text has a form in JSON")
}

/// Return a number in the shortest form that is read as the same one.
#[pyfunction]
pub fn float_text(number: f64) -> String {
    sonic_rs::to_string(&number).expect("a number that was read has a form in JSON")
}
