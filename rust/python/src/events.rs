//! What one event of JSON text states, or that Python must say.
//!
//! sonic-rs reads each line whole and in full: every string, number and nested value is parsed, for
//! its functions that pass over values let some broken text through. Here only the few fields that
//! count are kept. What the parser accepts, Python's `json` accepts with the same meaning; the last of
//! two equal keys counts, however they are escaped.
//!
//! A line is left to Python ([`None`]) whenever there could be a difference: no JSON, an extension of
//! Python's (`NaN`, lone surrogates), deep nesting, an integer beyond 64 bits as an ID, and every
//! identity event that lacks an operand, for Python says what is wrong with it.

use std::fmt::{self, Write};
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use sonic_rs::Deserializer as Parser;

use crate::cells::{Cell, Cells};
use crate::shape::{Keys, Shape, kind};

/// Keys that can be told apart.
const MOST_KEYS: usize = 8;
/// Nesting that Python reads whatever its caller's depth.
pub const DEEPEST: u8 = 100;

/// Which events state a link, and under which keys of `properties` their operands stand.
pub struct Rules {
    keys: Vec<String>,
    /// The bits of the keys' [`mark`]s.
    marks: u64,
    events: Vec<Rule>,
    distinct_id: usize,
}

struct Rule {
    event: String,
    code: u8,
    operands: Operands,
}

enum Operands {
    /// The places of each operand's keys; the first that is present counts.
    Apart(Vec<usize>, Vec<usize>),
    /// The place of the key with a list of both.
    Together(usize),
}

/// What a line states: the code of its step and its operands.
pub type Stated<'a> = (u8, Option<&'a str>, Option<&'a str>);

impl Rules {
    /// Takes each identity event's name, code, and keys: of both operands, or one for a list of them.
    ///
    /// Returns None if there are too many keys.
    pub fn new(events: Vec<(String, u8, Vec<Vec<String>>)>) -> Option<Self> {
        let mut known = Self { keys: Vec::new(), marks: 0, events: Vec::new(), distinct_id: 0 };
        known.distinct_id = known.place("distinct_id".to_owned());
        for (event, code, keys) in events {
            let mut operands = keys.into_iter().map(|keys| known.places(keys));
            let operands = match (operands.next(), operands.next()) {
                (Some(first), Some(second)) => Operands::Apart(first, second),
                (Some(both), None) => Operands::Together(*both.first()?),
                _ => return None,
            };
            known.events.push(Rule { event, code, operands });
        }
        (known.keys.len() <= MOST_KEYS).then_some(known)
    }

    fn places(&mut self, keys: Vec<String>) -> Vec<usize> {
        keys.into_iter().map(|key| self.place(key)).collect()
    }

    fn place(&mut self, key: String) -> usize {
        self.find(&key).unwrap_or_else(|| {
            self.marks |= mark(&key);
            self.keys.push(key);
            self.keys.len() - 1
        })
    }

    #[inline]
    fn find(&self, key: &str) -> Option<usize> {
        if self.marks & mark(key) == 0 {
            return None; // Nearly every key.
        }
        self.keys.iter().position(|known| known == key)
    }

    /// Returns the keys whose values count.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// Returns what `line` states, with `observe` as the code of an ordinary event; None: ask Python.
    ///
    /// `unescaped` is room for operands that do not stand in the line as they are. A `shape` takes the
    /// properties of every line that is JSON for certain, as those of a row.
    pub fn stated<'a>(
        &self,
        line: &'a str,
        observe: u8,
        unescaped: &'a mut String,
        shape: Option<(&mut Shape, usize)>,
    ) -> Option<Stated<'a>> {
        unescaped.clear();
        let (shape, row) = shape.unzip();
        let values = [const { Value::Absent }; MOST_KEYS];
        let mut event = Event { rules: self, rule: None, values, unescaped, shape };
        let mut parser = Parser::from_str(line);
        parser.deserialize_any(&mut event).ok()?;
        parser.end().ok()?;
        if let Some((shape, row)) = event.shape.as_deref_mut().zip(row) {
            shape.end_row(row);
        }
        let Event { rule, values, unescaped, .. } = event;
        self.step(rule, &values, unescaped, observe)
    }

    /// Returns what an event states that was read as cells; [`Self::keys`] have the first places.
    pub fn stated_by<'a>(
        &self,
        cells: &Cells<'a>,
        room: &'a str,
        observe: u8,
        unescaped: &'a mut String,
    ) -> Option<Stated<'a>> {
        unescaped.clear();
        let name = cells.event.as_ref().and_then(|name| name.text(room));
        let rule = name.and_then(|name| self.rule(&name));
        let counts = |place: usize| match rule {
            Some(_) => place < self.keys.len(),
            None => place == self.distinct_id,
        };
        let mut values = [const { Value::Absent }; MOST_KEYS];
        for (place, cell) in cells.properties.iter().filter(|(place, _)| counts(*place)) {
            values[*place] = Value::of(cell, room, unescaped);
        }
        self.step(rule, &values, unescaped, observe)
    }

    /// Returns which rule the event with this name has.
    fn rule(&self, event: &str) -> Option<usize> {
        self.events.iter().position(|rule| rule.event == event)
    }

    fn step<'a>(
        &self,
        rule: Option<usize>,
        values: &[Value<'a>],
        unescaped: &'a str,
        observe: u8,
    ) -> Option<Stated<'a>> {
        let (code, left, right) = match rule.map(|rule| &self.events[rule]) {
            Some(rule) => {
                let (first, second) = match &rule.operands {
                    Operands::Apart(first, second) => (operand(values, first)?, operand(values, second)?),
                    Operands::Together(place) => match &values[*place] {
                        Value::Pair(both) => (&both.0, &both.1),
                        _ => return None,
                    },
                };
                (rule.code, Some(first), Some(second))
            }
            None => match &values[self.distinct_id] {
                Value::Id(id) => (observe, Some(id), None),
                Value::Number => return None,
                Value::Absent | Value::NoId | Value::Pair(..) => (observe, None, None),
            },
        };
        let text = |id: &Id<'a>| match id {
            Id::There(text) => *text,
            Id::Unescaped(range) => &unescaped[range.clone()],
        };
        Some((code, left.map(text), right.map(text)))
    }
}

/// Returns the value of an operand: of its keys the first that is present counts.
fn operand<'v, 'a>(values: &'v [Value<'a>], places: &[usize]) -> Option<&'v Id<'a>> {
    let mut values = places.iter().map(|&place| &values[place]);
    match values.find(|value| !matches!(value, Value::Absent))? {
        Value::Id(id) => Some(id),
        _ => None,
    }
}

/// Returns one bit for a key, by its length and its last byte.
#[inline]
fn mark(key: &str) -> u64 {
    1 << ((key.len() + 7 * usize::from(key.as_bytes().last().copied().unwrap_or_default())) % 64)
}

/// An ID, in the line or in the room for what was escaped.
#[derive(Clone)]
enum Id<'a> {
    There(&'a str),
    Unescaped(Range<usize>),
}

#[derive(Clone)]
enum Value<'a> {
    Absent,
    /// A value that is no ID, to Python neither.
    NoId,
    /// A number that may be an integer to Python.
    Number,
    Id(Id<'a>),
    /// Apart from the rest, for few events hold one.
    Pair(Box<(Id<'a>, Id<'a>)>),
}

impl<'a> Value<'a> {
    /// Returns the value in a cell.
    fn of(cell: &Cell<'a>, room: &'a str, unescaped: &mut String) -> Self {
        match cell {
            Cell::There(text) => Self::Id(Id::There(text)),
            Cell::Written(range) | Cell::Digits(range) => Self::Id(Id::There(&room[range.clone()])),
            Cell::Integer(number) => Operand { unescaped, kind: None }.kept(number),
            Cell::Float(_) => Self::Number,
            Cell::Null | Cell::Bool(_) => Self::NoId,
            Cell::Nested(range) => {
                let mut parser = Parser::from_str(&room[range.clone()]);
                let value = Operand { unescaped, kind: Some(&mut 0) }.deserialize(&mut parser);
                value.unwrap_or(Self::NoId)
            }
        }
    }
}

/// An event as far as it was read.
struct Event<'r, 'a> {
    rules: &'r Rules,
    rule: Option<usize>,
    values: [Value<'a>; MOST_KEYS],
    unescaped: &'a mut String,
    shape: Option<&'r mut Shape>,
}

impl Event<'_, '_> {
    fn begin_properties(&mut self) {
        self.values.fill(Value::Absent);
        if let Some(shape) = &mut self.shape {
            shape.begin_row();
        }
    }
}

/// Says in one line what a visitor takes where it takes a value of any type.
macro_rules! any_value {
    ($($visit:ident($value:ty) => $answer:expr;)*) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON value")
        }

        $(#[inline]
        fn $visit<E>(self, _: $value) -> Result<Self::Value, E> {
            Ok($answer)
        })*
    };
}

// The line's object.

impl<'a> Visitor<'a> for &mut Event<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        self.begin_properties();
        while let Some(field) = map.next_key_seed(FieldName)? {
            match field {
                Field::Event => self.rule = map.next_value_seed(EventName(self.rules))?,
                Field::Properties => {
                    self.begin_properties();
                    map.next_value_seed(Properties(self))?;
                }
                Field::Other => _ = map.next_value_seed(Passed { depth: 1 })?,
            }
        }
        Ok(())
    }
}

pub enum Field {
    Event,
    Properties,
    Other,
}

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

struct EventName<'r>(&'r Rules);

impl<'a> DeserializeSeed<'a> for EventName<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'a>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for EventName<'_> {
    type Value = Option<usize>;

    any_value! {
        visit_bool(bool) => None;
        visit_i64(i64) => None;
        visit_u64(u64) => None;
        visit_f64(f64) => None;
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.rule(name))
    }

    fn visit_seq<A: SeqAccess<'a>>(self, list: A) -> Result<Self::Value, A::Error> {
        Passed { depth: 1 }.visit_seq(list).map(|_| None)
    }

    fn visit_map<A: MapAccess<'a>>(self, map: A) -> Result<Self::Value, A::Error> {
        Passed { depth: 1 }.visit_map(map).map(|_| None)
    }
}

// Its properties.

struct Properties<'e, 'r, 'a>(&'e mut Event<'r, 'a>);

impl<'a> DeserializeSeed<'a> for Properties<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Properties<'_, '_, 'a> {
    type Value = ();

    any_value! {
        visit_bool(bool) => ();
        visit_i64(i64) => ();
        visit_u64(u64) => ();
        visit_f64(f64) => ();
        visit_str(&str) => ();
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, list: A) -> Result<(), A::Error> {
        Passed { depth: 1 }.visit_seq(list).map(|_| ())
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let event = self.0;
        while let Some((operand, place)) = map.next_key_seed(PropertyName(event.rules, &mut event.shape))? {
            let kind = match operand {
                Some(operand) => {
                    let mut kind = kind::NULL;
                    let seed = Operand { unescaped: event.unescaped, kind: Some(&mut kind) };
                    event.values[operand] = map.next_value_seed(seed)?;
                    kind
                }
                None => map.next_value_seed(Passed { depth: 2 })?,
            };
            if let Some((shape, place)) = event.shape.as_mut().zip(place) {
                shape.value(place, kind);
            }
        }
        Ok(())
    }
}

/// Reads a key: which operand it may be of, and its place in the shape.
struct PropertyName<'e, 'r>(&'r Rules, &'e mut Option<&'r mut Shape>);

impl<'a> DeserializeSeed<'a> for PropertyName<'_, '_> {
    type Value = (Option<usize>, Option<usize>);

    #[inline]
    fn deserialize<D: Deserializer<'a>>(self, key: D) -> Result<Self::Value, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for PropertyName<'_, '_> {
    type Value = (Option<usize>, Option<usize>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    #[inline]
    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok((self.0.find(key), self.1.as_mut().and_then(|shape| shape.place(key))))
    }
}

/// Keeps the value of a property that can be an operand, or an entry of its list.
struct Operand<'e> {
    unescaped: &'e mut String,
    /// Where the value's kind is told; an entry has none.
    kind: Option<&'e mut u8>,
}

impl<'a> DeserializeSeed<'a> for Operand<'_> {
    type Value = Value<'a>;

    fn deserialize<D: Deserializer<'a>>(self, value: D) -> Result<Value<'a>, D::Error> {
        value.deserialize_any(self)
    }
}

impl Operand<'_> {
    /// Tells the kind and says whether the value is an entry.
    fn tell(&mut self, kind: u8) -> bool {
        self.kind.as_mut().map(|told| **told = kind).is_none()
    }

    fn kept<'a>(self, text: impl fmt::Display) -> Value<'a> {
        let start = self.unescaped.len();
        write!(self.unescaped, "{text}").expect("a String takes any text");
        Value::Id(Id::Unescaped(start..self.unescaped.len()))
    }

    fn entry(&mut self) -> Operand<'_> {
        Operand { unescaped: self.unescaped, kind: None }
    }
}

impl<'a> Visitor<'a> for Operand<'_> {
    type Value = Value<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(mut self, _: bool) -> Result<Value<'a>, E> {
        self.tell(kind::BOOL);
        Ok(Value::NoId)
    }

    fn visit_f64<E>(mut self, _: f64) -> Result<Value<'a>, E> {
        self.tell(kind::FLOAT);
        Ok(Value::Number)
    }

    fn visit_unit<E>(mut self) -> Result<Value<'a>, E> {
        self.tell(kind::NULL);
        Ok(Value::NoId)
    }

    fn visit_i64<E>(mut self, number: i64) -> Result<Value<'a>, E> {
        self.tell(kind::of_integer(number));
        Ok(self.kept(number))
    }

    fn visit_u64<E>(mut self, number: u64) -> Result<Value<'a>, E> {
        self.tell(kind::of_unsigned(number));
        Ok(self.kept(number))
    }

    fn visit_borrowed_str<E>(mut self, text: &'a str) -> Result<Value<'a>, E> {
        self.tell(kind::TEXT);
        Ok(Value::Id(Id::There(text)))
    }

    fn visit_str<E>(mut self, text: &str) -> Result<Value<'a>, E> {
        self.tell(kind::TEXT);
        Ok(self.kept(text))
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut list: A) -> Result<Value<'a>, A::Error> {
        if self.tell(kind::NESTED) {
            return Passed { depth: 3 }.visit_seq(list).map(|_| Value::NoId);
        }
        let first = list.next_element_seed(self.entry())?;
        let second = if first.is_some() { list.next_element_seed(self.entry())? } else { None };
        let mut longer = false;
        while second.is_some() && list.next_element_seed(Passed { depth: 3 })?.is_some() {
            longer = true;
        }
        Ok(match (first, second) {
            (Some(Value::Id(first)), Some(Value::Id(second))) if !longer => {
                Value::Pair(Box::new((first, second)))
            }
            _ => Value::NoId,
        })
    }

    fn visit_map<A: MapAccess<'a>>(mut self, map: A) -> Result<Value<'a>, A::Error> {
        self.tell(kind::NESTED);
        Passed { depth: 3 }.visit_map(map).map(|_| Value::NoId)
    }
}

/// Parses a value that does not count, nested in `depth` others, and returns its kind.
#[derive(Clone, Copy)]
struct Passed {
    depth: u8,
}

impl Passed {
    fn inside<E: Error>(self) -> Result<Self, E> {
        if self.depth == DEEPEST {
            return Err(E::custom("nested too deeply"));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'a> DeserializeSeed<'a> for Passed {
    type Value = u8;

    #[inline]
    fn deserialize<D: Deserializer<'a>>(self, value: D) -> Result<u8, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Passed {
    type Value = u8;

    any_value! {
        visit_bool(bool) => kind::BOOL;
        visit_f64(f64) => kind::FLOAT;
        visit_str(&str) => kind::TEXT;
    }

    #[inline]
    fn visit_unit<E>(self) -> Result<u8, E> {
        Ok(kind::NULL)
    }

    #[inline]
    fn visit_i64<E>(self, number: i64) -> Result<u8, E> {
        Ok(kind::of_integer(number))
    }

    #[inline]
    fn visit_u64<E>(self, number: u64) -> Result<u8, E> {
        Ok(kind::of_unsigned(number))
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<u8, A::Error> {
        let inside = self.inside()?;
        while list.next_element_seed(inside)?.is_some() {}
        Ok(kind::NESTED)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<u8, A::Error> {
        let inside = self.inside()?;
        while map.next_key_seed(inside)?.is_some() {
            map.next_value_seed(inside)?;
        }
        Ok(kind::NESTED)
    }
}
