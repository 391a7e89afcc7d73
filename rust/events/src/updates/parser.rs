//! One update of JSON text, parsed.

use std::fmt;

use memchr::memmem;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use sonic_rs::Deserializer as Parser;

use crate::json::event::inside;
use crate::json::skip::Skip;
use crate::json::text::DistinctKeys;
use crate::json::visitor::any_value;
use crate::updates::names::{DISTINCT_ID, IGNORE_ALIAS, OPERATIONS, PROPERTIES};
use crate::updates::rows::{Head, Node, Operation, TextRange, Updates};

/// The least of the floats that may stand for an integer beyond 64 bits.
const MAYBE_INTEGER: f64 = 9_223_372_036_854_775_808.0;

/// What an update needs of the value of an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operand {
    /// An object of any values.
    Values,
    /// An object of numbers.
    Numbers,
    /// An object of lists.
    Lists,
    /// A list of names.
    Names,
    /// Anything.
    Anything,
}

const OPERANDS: [Operand; OPERATIONS.len()] = [
    Operand::Values,
    Operand::Values,
    Operand::Numbers,
    Operand::Values,
    Operand::Lists,
    Operand::Values,
    Operand::Names,
    Operand::Anything,
];

impl Updates {
    /// Reads an update behind the others, and returns whether it did; it declines what is no update
    /// for certain.
    pub fn read(&mut self, text: &str) -> bool {
        let before = (self.operations.len(), self.nodes.len(), self.text.len());
        self.has_zero = false;
        // What is made of a text is counted in 32 bits, and no larger than it.
        let has_room = u32::try_from(before.1.max(before.2) + text.len()).is_ok();
        if let Some(head) = has_room.then(|| Update::parse(self, text)).flatten() {
            self.operations[before.0..].sort_unstable_by_key(|operation| operation.kind);
            self.push(head);
            return true;
        }
        self.operations.truncate(before.0);
        self.nodes.truncate(before.1);
        self.text.truncate(before.2);
        false
    }
}

/// The part of an update that was read so far.
struct Update<'u> {
    updates: &'u mut Updates,
    distinct_id: Option<TextRange>,
    exactly: bool,
    /// The bits of the operations that came.
    seen: u8,
    /// The properties of a row of an export, as its operation; None if they are no object.
    properties: Option<Operation>,
    /// Whether there is nothing but an ID and properties.
    is_row: bool,
}

/// Returns whether a zero in `text` may be negative: the parser drops the sign of a float's zero.
fn may_be_negative(text: &str) -> bool {
    let text = text.as_bytes();
    [b"-0", b"e-", b"E-"].iter().any(|sign| memmem::find(text, *sign).is_some())
}

impl<'u> Update<'u> {
    /// Appends the operations of an update, and returns the rest of it; None declines it.
    fn parse(updates: &'u mut Updates, text: &str) -> Option<Head> {
        let mut update =
            Self { updates, distinct_id: None, exactly: false, seen: 0, properties: None, is_row: true };
        let mut parser = Parser::from_str(text);
        parser.deserialize_any(&mut update).ok()?;
        parser.end().ok()?;
        let Self { updates, distinct_id, exactly, seen, properties, is_row } = update;
        if seen == 0 {
            let properties = properties.filter(|_| is_row && updates.takes_rows)?;
            updates.operations.push(properties);
        }
        let is_certain = !updates.has_zero || !may_be_negative(text);
        let head = Head { distinct_id: distinct_id?, exactly, is_row: seen == 0 };
        is_certain.then_some(head)
    }
}

impl<'a> Visitor<'a> for &mut Update<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an update")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key_seed(FieldName)? {
            match field {
                Field::DistinctId => self.distinct_id = Some(map.next_value_seed(Id(self.updates))?),
                Field::IgnoreAlias => {
                    self.exactly = map.next_value_seed(IsTrue)?;
                    self.is_row = false;
                }
                Field::Other => {
                    map.next_value_seed(Skip { depth: 1 })?;
                    self.is_row = false;
                }
                Field::Properties => {
                    let first = self.updates.nodes.len() as u32;
                    let count = map.next_value_seed(Properties(self.updates))?;
                    self.properties = count.map(|count| Operation { kind: 0, count, first });
                }
                Field::Operation(kind) => {
                    let bit = 1 << kind;
                    if self.seen & bit != 0 {
                        return Err(A::Error::custom("an operation came before"));
                    }
                    self.seen |= bit;
                    let first = self.updates.nodes.len() as u32;
                    let operand = OPERANDS[usize::from(kind)];
                    let count = match operand {
                        Operand::Anything => map.next_value_seed(Skip { depth: 1 }).map(|_| 0)?,
                        Operand::Names => map.next_value_seed(Names(self.updates))?,
                        _ => {
                            let keys = (kind > 0).then(DistinctKeys::default);
                            map.next_value_seed(Pairs { updates: self.updates, operand, keys })?
                        }
                    };
                    self.updates.operations.push(Operation { kind, count, first });
                }
            }
        }
        Ok(())
    }
}

enum Field {
    DistinctId,
    IgnoreAlias,
    Properties,
    Operation(u8),
    Other,
}

/// Reads the key of a field.
struct FieldName;

impl<'a> DeserializeSeed<'a> for FieldName {
    type Value = Field;

    #[inline]
    fn deserialize<D: Deserializer<'a>>(self, key: D) -> Result<Field, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldName {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    #[inline]
    fn visit_str<E>(self, key: &str) -> Result<Field, E> {
        Ok(match key {
            DISTINCT_ID => Field::DistinctId,
            IGNORE_ALIAS => Field::IgnoreAlias,
            PROPERTIES => Field::Properties,
            _ => match OPERATIONS.iter().position(|name| *name == key) {
                Some(kind) => Field::Operation(kind as u8),
                None => Field::Other,
            },
        })
    }
}

/// Reads an ID that is text or an integer, and keeps its text.
struct Id<'u>(&'u mut Updates);

impl<'a> DeserializeSeed<'a> for Id<'_> {
    type Value = TextRange;

    fn deserialize<D: Deserializer<'a>>(self, value: D) -> Result<TextRange, D::Error> {
        value.deserialize_any(self)
    }
}

impl Visitor<'_> for Id<'_> {
    type Value = TextRange;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an ID")
    }

    #[inline]
    fn visit_str<E>(self, text: &str) -> Result<TextRange, E> {
        Ok(self.0.keep(text))
    }

    fn visit_i64<E>(self, number: i64) -> Result<TextRange, E> {
        Ok(self.0.keep(&number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<TextRange, E> {
        Ok(self.0.keep(&number.to_string()))
    }
}

/// Reads a value, and returns whether it is true.
struct IsTrue;

impl<'a> DeserializeSeed<'a> for IsTrue {
    type Value = bool;

    fn deserialize<D: Deserializer<'a>>(self, value: D) -> Result<bool, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for IsTrue {
    type Value = bool;

    any_value! {
        visit_bool(bool) => |_, value| value;
        visit_i64(i64) => |_, _| false;
        visit_u64(u64) => |_, _| false;
        visit_f64(f64) => |_, _| false;
        visit_str(&str) => |_, _| false;
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, list: A) -> Result<bool, A::Error> {
        Skip { depth: 1 }.visit_seq(list).map(|_| false)
    }

    fn visit_map<A: MapAccess<'a>>(self, map: A) -> Result<bool, A::Error> {
        Skip { depth: 1 }.visit_map(map).map(|_| false)
    }
}

/// Reads the properties of a row of an export, and returns their number; None if they are no
/// object.
struct Properties<'u>(&'u mut Updates);

impl<'a> DeserializeSeed<'a> for Properties<'_> {
    type Value = Option<u32>;

    fn deserialize<D: Deserializer<'a>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Properties<'_> {
    type Value = Option<u32>;

    any_value! {
        visit_bool(bool) => |_, _| None;
        visit_i64(i64) => |_, _| None;
        visit_u64(u64) => |_, _| None;
        visit_f64(f64) => |_, _| None;
        visit_str(&str) => |_, _| None;
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, list: A) -> Result<Self::Value, A::Error> {
        Skip { depth: 1 }.visit_seq(list).map(|_| None)
    }

    fn visit_map<A: MapAccess<'a>>(self, map: A) -> Result<Self::Value, A::Error> {
        let pairs = Pairs { updates: self.0, operand: Operand::Values, keys: None };
        pairs.visit_map(map).map(Some)
    }
}

/// Reads a list of names, and returns their number.
struct Names<'u>(&'u mut Updates);

impl<'a> DeserializeSeed<'a> for Names<'_> {
    type Value = u32;

    fn deserialize<D: Deserializer<'a>>(self, value: D) -> Result<u32, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Names<'_> {
    type Value = u32;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of names")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<u32, A::Error> {
        let mut count = 0;
        while list.next_element_seed(Name(self.0))?.is_some() {
            count += 1;
        }
        Ok(count)
    }
}

/// Reads a text as a node.
struct Name<'u>(&'u mut Updates);

impl<'a> DeserializeSeed<'a> for Name<'_> {
    type Value = ();

    #[inline]
    fn deserialize<D: Deserializer<'a>>(self, key: D) -> Result<(), D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    #[inline]
    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        let range = self.0.keep(text);
        self.0.nodes.push(Node::Text(range));
        Ok(())
    }
}

/// Reads an object of properties, and returns their number.
struct Pairs<'u> {
    updates: &'u mut Updates,
    operand: Operand,
    /// The keys that came, where an object with two equal ones is declined.
    ///
    /// `$set` may set the first value before the last: that is the same as one value.
    keys: Option<DistinctKeys>,
}

impl<'a> DeserializeSeed<'a> for Pairs<'_> {
    type Value = u32;

    fn deserialize<D: Deserializer<'a>>(self, value: D) -> Result<u32, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Pairs<'_> {
    type Value = u32;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of properties")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<u32, A::Error> {
        let mut count = 0;
        loop {
            let key = self.updates.text.len();
            if map.next_key_seed(Name(self.updates))?.is_none() {
                return Ok(count);
            }
            if self.keys.as_mut().is_some_and(|keys| !keys.is_new(&self.updates.text[key..])) {
                return Err(A::Error::custom("two equal keys"));
            }
            let value = self.updates.nodes.len();
            map.next_value_seed(Value { updates: self.updates, depth: 2 })?;
            let is_taken = match self.operand {
                Operand::Numbers => {
                    matches!(self.updates.nodes[value], Node::Integer(_) | Node::Unsigned(_) | Node::Float(_))
                }
                Operand::Lists => matches!(self.updates.nodes[value], Node::List(_)),
                _ => true,
            };
            if !is_taken {
                return Err(A::Error::custom("a value that the operation cannot take"));
            }
            count += 1;
        }
    }
}

/// Reads a value, nested in `depth` others, as nodes.
struct Value<'u> {
    updates: &'u mut Updates,
    depth: u8,
}

impl Value<'_> {
    #[inline]
    fn push(self, node: Node) {
        self.updates.nodes.push(node);
    }

    fn inside<E: Error>(&mut self) -> Result<Value<'_>, E> {
        inside(self.depth).map(|depth| Value { updates: self.updates, depth })
    }
}

impl<'a> DeserializeSeed<'a> for Value<'_> {
    type Value = ();

    #[inline]
    fn deserialize<D: Deserializer<'a>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Value<'_> {
    type Value = ();

    any_value! {
        visit_bool(bool) => |to: Value<'_>, value| to.push(Node::Bool(value));
        visit_i64(i64) => |to: Value<'_>, value| to.push(Node::Integer(value));
    }

    #[inline]
    fn visit_unit<E>(self) -> Result<(), E> {
        self.push(Node::Null);
        Ok(())
    }

    #[inline]
    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.push(i64::try_from(number).map_or(Node::Unsigned(number), Node::Integer));
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        if !(-MAYBE_INTEGER < number && number < MAYBE_INTEGER) {
            return Err(E::custom("it may have been an integer"));
        }
        self.updates.has_zero |= number == 0.0;
        self.push(Node::Float(number));
        Ok(())
    }

    #[inline]
    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        let range = self.updates.keep(text);
        self.push(Node::Text(range));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut list: A) -> Result<(), A::Error> {
        let place = self.updates.nodes.len();
        self.updates.nodes.push(Node::List(0));
        let mut count = 0;
        while list.next_element_seed(self.inside()?)?.is_some() {
            count += 1;
        }
        self.updates.nodes[place] = Node::List(count);
        Ok(())
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<(), A::Error> {
        let place = self.updates.nodes.len();
        self.updates.nodes.push(Node::Object(0));
        let mut count = 0;
        while map.next_key_seed(Name(self.updates))?.is_some() {
            map.next_value_seed(self.inside()?)?;
            count += 1;
        }
        self.updates.nodes[place] = Node::Object(count);
        Ok(())
    }
}
