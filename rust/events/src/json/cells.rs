//! Cells of an event of JSON text: its name, and the value of each property that has a column.
//!
//! The lines that are read are those that [`crate::links`] reads, by the same parser and to the
//! same depth, but for those in which a nested object of a column has two equal keys. Nested values
//! become JSON text, without blanks.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use sonic_rs::Deserializer as Parser;

use crate::ids;
use crate::json::event::{Field, FieldName};
use crate::json::skip::Skip;
use crate::json::text::{JsonText, float_text};
use crate::json::visitor::any_value;
use crate::schema::{Keys, kind};

/// The value in a row of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    /// A null.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer of 64 bits with its sign.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// A text that stands in the line without escapes.
    Borrowed(&'a str),
    /// A text whose escapes are resolved, in the buffer.
    Unescaped(Range<usize>),
    /// An integer beyond 63 bits, whose digits stand in the buffer.
    Digits(Range<usize>),
    /// A list or an object, whose JSON text stands in the buffer.
    Nested(Range<usize>),
}

impl<'a> Cell<'a> {
    /// Returns the cell's text as an ID, None if it can be none.
    pub fn id<'t>(&self, buffer: &'t str) -> Option<Cow<'t, str>>
    where
        'a: 't,
    {
        match self {
            Self::Null | Self::Bool(_) | Self::Nested(_) => None,
            Self::Float(number) => ids::whole(*number, ids::DOUBLE).map(|id| Cow::Owned(id.to_string())),
            _ => self.text(buffer),
        }
    }

    /// Returns the kind of the value.
    #[inline]
    pub fn kind(&self) -> u8 {
        match self {
            Self::Null => kind::NULL,
            Self::Bool(_) => kind::BOOL,
            Self::Integer(number) => kind::of_integer(*number),
            Self::Float(_) => kind::FLOAT,
            Self::Borrowed(_) | Self::Unescaped(_) | Self::Digits(_) => kind::TEXT,
            Self::Nested(_) => kind::NESTED,
        }
    }

    /// Returns the cell as text, as it stands or in JSON's form; None for a null.
    #[inline]
    pub fn text<'t>(&self, buffer: &'t str) -> Option<Cow<'t, str>>
    where
        'a: 't,
    {
        Some(match self {
            Self::Null => return None,
            Self::Borrowed(text) => Cow::Borrowed(*text),
            Self::Unescaped(range) | Self::Digits(range) | Self::Nested(range) => {
                Cow::Borrowed(&buffer[range.clone()])
            }
            Self::Bool(value) => Cow::Owned(value.to_string()),
            Self::Integer(number) => Cow::Owned(number.to_string()),
            Self::Float(number) => Cow::Owned(float_text(*number)),
        })
    }
}

/// The cells of one event.
pub struct Cells<'a> {
    /// The event's name, if it is a text.
    pub event: Option<Cell<'a>>,
    /// The place and the cell of each property, in the order of the line; of equal places the last
    /// counts.
    pub properties: Vec<(usize, Cell<'a>)>,
}

/// The memory of cells that are not needed any more.
#[derive(Default)]
pub struct Spare(Vec<(usize, Cell<'static>)>);

impl Spare {
    /// Takes the memory of cells.
    #[inline]
    pub fn take_back(&mut self, cells: Cells<'_>) {
        let mut cells = cells.properties;
        cells.clear();
        // No cell lives longer than its line: there is none. The standard library keeps the memory.
        self.0 = cells.into_iter().map(|_| unreachable!("the list is empty")).collect();
    }
}

impl<'a> Cells<'a> {
    /// Returns the cells of `line`, or None if the line is declined.
    ///
    /// `buffer` is emptied, and then holds the texts of cells that refer to it.
    pub fn read(line: &'a str, keys: &mut impl Keys, buffer: &mut String, spare: &mut Spare) -> Option<Self> {
        buffer.clear();
        keys.begin_row();
        let mut cells = Self { event: None, properties: std::mem::take(&mut spare.0) };
        let mut parser = Parser::from_str(line);
        parser.deserialize_any(Event { cells: &mut cells, keys, buffer }).ok()?;
        parser.end().ok()?;
        Some(cells)
    }

    /// Returns the cells of an event whose properties are JSON text for themselves, or None if the
    /// text is declined; one that is no object has none.
    ///
    /// `keys`, `buffer` and `spare` are those of [`Self::read`].
    pub fn read_properties(
        name: Option<&'a str>,
        text: &'a str,
        keys: &mut impl Keys,
        buffer: &mut String,
        spare: &mut Spare,
    ) -> Option<Self> {
        buffer.clear();
        keys.begin_row();
        let mut cells = Self::without_properties(name, spare);
        let mut parser = Parser::from_str(text);
        let seed = PropertiesSeed { cells: &mut cells.properties, keys, buffer };
        parser.deserialize_any(seed).ok()?;
        parser.end().ok()?;
        Some(cells)
    }

    /// Returns the cells of an event that has a name at most.
    pub fn without_properties(name: Option<&'a str>, spare: &mut Spare) -> Self {
        Self { event: name.map(Cell::Borrowed), properties: std::mem::take(&mut spare.0) }
    }
}

/// The line's object.
struct Event<'e, 'a, K> {
    cells: &'e mut Cells<'a>,
    keys: &'e mut K,
    buffer: &'e mut String,
}

impl<'a, K: Keys> Visitor<'a> for Event<'_, 'a, K> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut has_name, mut is_text) = (false, false);
        while let Some(field) = map.next_key_seed(FieldName)? {
            match field {
                Field::Event => {
                    has_name = true;
                    let name = map.next_value_seed(Value { buffer: self.buffer, depth: 1 })?;
                    self.cells.event = matches!(name, Cell::Borrowed(_) | Cell::Unescaped(_)).then_some(name);
                }
                Field::Properties => {
                    self.cells.properties.clear();
                    self.keys.begin_row();
                    let cells = &mut self.cells.properties;
                    is_text =
                        map.next_value_seed(PropertiesSeed { cells, keys: self.keys, buffer: self.buffer })?;
                }
                Field::Other => _ = map.next_value_seed(Value { buffer: self.buffer, depth: 1 })?,
            }
        }
        if !has_name || is_text {
            return Err(A::Error::custom("no event of the raw shape"));
        }
        Ok(())
    }
}

/// Reads properties, and returns whether they are a text.
struct PropertiesSeed<'e, 'a, K> {
    cells: &'e mut Vec<(usize, Cell<'a>)>,
    keys: &'e mut K,
    buffer: &'e mut String,
}

impl<'a, K: Keys> DeserializeSeed<'a> for PropertiesSeed<'_, 'a, K> {
    type Value = bool;

    fn deserialize<D: Deserializer<'a>>(self, value: D) -> Result<bool, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'a, K: Keys> Visitor<'a> for PropertiesSeed<'_, 'a, K> {
    type Value = bool;

    any_value! {
        visit_bool(bool) => |_, _| false;
        visit_i64(i64) => |_, _| false;
        visit_u64(u64) => |_, _| false;
        visit_f64(f64) => |_, _| false;
        visit_str(&str) => |_, _| true;
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, list: A) -> Result<bool, A::Error> {
        Value { buffer: self.buffer, depth: 1 }.visit_seq(list).map(|_| false)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<bool, A::Error> {
        while let Some(place) = map.next_key_seed(Key(self.keys))? {
            match place {
                Some(place) => {
                    let value = map.next_value_seed(Value { buffer: self.buffer, depth: 2 })?;
                    self.cells.push((place, value));
                }
                None => _ = map.next_value_seed(Skip { depth: 2 })?,
            }
        }
        Ok(false)
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
    buffer: &'e mut String,
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
                let start = self.buffer.len();
                write!(self.buffer, "{number}").expect("a String takes any text");
                Cell::Digits(start..self.buffer.len())
            },
            Cell::Integer,
        ))
    }

    #[inline]
    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Cell<'a>, E> {
        Ok(Cell::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cell<'a>, E> {
        let start = self.buffer.len();
        self.buffer.push_str(text);
        Ok(Cell::Unescaped(start..self.buffer.len()))
    }

    fn visit_seq<A: SeqAccess<'a>>(self, list: A) -> Result<Cell<'a>, A::Error> {
        let start = self.buffer.len();
        JsonText { buffer: self.buffer, depth: self.depth }.visit_seq(list)?;
        Ok(Cell::Nested(start..self.buffer.len()))
    }

    fn visit_map<A: MapAccess<'a>>(self, map: A) -> Result<Cell<'a>, A::Error> {
        let start = self.buffer.len();
        JsonText { buffer: self.buffer, depth: self.depth }.visit_map(map)?;
        Ok(Cell::Nested(start..self.buffer.len()))
    }
}
