//! Operands of links: the values that can be IDs.

use std::fmt::{self, Write};
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use sonic_rs::Deserializer as Parser;

use crate::ids;
use crate::json::cells::Cell;
use crate::json::skip::Skip;
use crate::schema::kind;

/// An ID, in the line or in the buffer for texts with escapes.
#[derive(Clone)]
pub enum OperandId<'a> {
    /// A text that stands in the line without escapes.
    Borrowed(&'a str),
    /// A place in the buffer.
    Unescaped(Range<usize>),
}

/// The value of a property that can be an operand.
#[derive(Clone)]
pub enum Value<'a> {
    /// No value.
    Absent,
    /// A null.
    Null,
    /// A value that is no ID.
    NoId,
    /// A number that may be an integer beyond 64 bits.
    Number,
    /// An ID.
    Id(OperandId<'a>),
    /// A list of two IDs; boxed, for few events hold one.
    Pair(Box<(OperandId<'a>, OperandId<'a>)>),
}

impl<'a> Value<'a> {
    /// Returns a text.
    pub fn of_text(text: &'a str) -> Self {
        Self::Id(OperandId::Borrowed(text))
    }

    /// Returns a text or an integer, a copy of which is `kept`.
    pub fn of_copy(text: impl fmt::Display, kept: &mut String) -> Self {
        OperandSeed { unescaped: kept, kind: None }.kept(text)
    }

    /// Returns a float; the digits of a whole one are `kept`.
    pub fn of_float(number: f64, kept: &mut String) -> Self {
        OperandSeed { unescaped: kept, kind: None }.number(number)
    }

    /// Returns a list of two entries.
    pub fn of_pair(first: Self, second: Self) -> Self {
        match (first, second) {
            (Self::Id(first), Self::Id(second)) => Self::Pair(Box::new((first, second))),
            _ => Self::NoId,
        }
    }

    /// Returns the value in a cell.
    pub fn of(cell: &Cell<'a>, buffer: &'a str, unescaped: &mut String) -> Self {
        match cell {
            Cell::Borrowed(text) => Self::of_text(text),
            Cell::Unescaped(range) | Cell::Digits(range) => Self::of_text(&buffer[range.clone()]),
            Cell::Integer(number) => Self::of_copy(number, unescaped),
            Cell::Float(number) => Self::of_float(*number, unescaped),
            Cell::Null => Self::Null,
            Cell::Bool(_) => Self::NoId,
            Cell::Nested(range) => {
                let mut parser = Parser::from_str(&buffer[range.clone()]);
                let value = OperandSeed { unescaped, kind: Some(&mut 0) }.deserialize(&mut parser);
                value.unwrap_or(Self::NoId)
            }
        }
    }
}

/// Keeps the value of a property that can be an operand, or an entry of its list.
pub struct OperandSeed<'e> {
    /// The buffer for texts with escapes, and for the digits of integers.
    pub unescaped: &'e mut String,
    /// The place for the value's kind; None for an entry of a list.
    pub kind: Option<&'e mut u8>,
}

impl<'a> DeserializeSeed<'a> for OperandSeed<'_> {
    type Value = Value<'a>;

    fn deserialize<D: Deserializer<'a>>(self, value: D) -> Result<Value<'a>, D::Error> {
        value.deserialize_any(self)
    }
}

impl OperandSeed<'_> {
    /// Notes the kind, and returns whether the value is an entry of a list.
    fn set_kind(&mut self, kind: u8) -> bool {
        self.kind.as_mut().map(|noted| **noted = kind).is_none()
    }

    fn kept<'a>(self, text: impl fmt::Display) -> Value<'a> {
        let start = self.unescaped.len();
        write!(self.unescaped, "{text}").expect("a String takes any text");
        Value::Id(OperandId::Unescaped(start..self.unescaped.len()))
    }

    fn number<'a>(self, number: f64) -> Value<'a> {
        match ids::whole(number, ids::DOUBLE) {
            Some(integer) => self.kept(integer),
            None if ids::is_beyond_integers(number) => Value::Number,
            None => Value::NoId,
        }
    }

    fn entry(&mut self) -> OperandSeed<'_> {
        OperandSeed { unescaped: self.unescaped, kind: None }
    }
}

impl<'a> Visitor<'a> for OperandSeed<'_> {
    type Value = Value<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(mut self, _: bool) -> Result<Value<'a>, E> {
        self.set_kind(kind::BOOL);
        Ok(Value::NoId)
    }

    fn visit_f64<E>(mut self, number: f64) -> Result<Value<'a>, E> {
        self.set_kind(kind::FLOAT);
        Ok(self.number(number))
    }

    fn visit_unit<E>(mut self) -> Result<Value<'a>, E> {
        self.set_kind(kind::NULL);
        Ok(Value::Null)
    }

    fn visit_i64<E>(mut self, number: i64) -> Result<Value<'a>, E> {
        self.set_kind(kind::of_integer(number));
        Ok(self.kept(number))
    }

    fn visit_u64<E>(mut self, number: u64) -> Result<Value<'a>, E> {
        self.set_kind(kind::of_unsigned(number));
        Ok(self.kept(number))
    }

    fn visit_borrowed_str<E>(mut self, text: &'a str) -> Result<Value<'a>, E> {
        self.set_kind(kind::TEXT);
        Ok(Value::of_text(text))
    }

    fn visit_str<E>(mut self, text: &str) -> Result<Value<'a>, E> {
        self.set_kind(kind::TEXT);
        Ok(self.kept(text))
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut list: A) -> Result<Value<'a>, A::Error> {
        if self.set_kind(kind::NESTED) {
            return Skip { depth: 3 }.visit_seq(list).map(|_| Value::NoId);
        }
        let first = list.next_element_seed(self.entry())?;
        let second = if first.is_some() { list.next_element_seed(self.entry())? } else { None };
        let mut longer = false;
        while second.is_some() && list.next_element_seed(Skip { depth: 3 })?.is_some() {
            longer = true;
        }
        Ok(match (first, second) {
            (Some(first), Some(second)) if !longer => Value::of_pair(first, second),
            _ => Value::NoId,
        })
    }

    fn visit_map<A: MapAccess<'a>>(mut self, map: A) -> Result<Value<'a>, A::Error> {
        self.set_kind(kind::NESTED);
        Skip { depth: 3 }.visit_map(map).map(|_| Value::NoId)
    }
}
