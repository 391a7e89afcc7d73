//! Links stated by lines of JSON text, parsed without keeping more of them than the few fields that
//! count.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use sonic_rs::Deserializer as Parser;

use crate::json::cells::Cells;
use crate::json::event::{Field, FieldName};
use crate::json::skip::Skip;
use crate::json::visitor::any_value;
use crate::links::operand::{OperandId, OperandSeed, Value};
use crate::links::plain::Found;
use crate::links::rules::{MAX_KEYS, Rules, Stated};
use crate::schema::{Keys, Properties, kind};

impl Rules {
    /// Returns what `line` states, with `observe` as the code of an ordinary event, or None if it
    /// is declined.
    ///
    /// `unescaped` is a buffer for operands with escapes. `schema` takes the properties of every
    /// line that is JSON for certain, as those of the row with this number.
    pub fn stated<'a>(
        &self,
        line: &'a str,
        observe: u8,
        unescaped: &'a mut String,
        schema: Option<(&mut Properties, usize)>,
    ) -> Option<Stated<'a>> {
        if schema.is_none() {
            let mut found = Found::default();
            if self.plain(line, &mut found).is_some() {
                return self.step(found.rule, &found.values, "", observe);
            }
        }
        self.parsed(line, observe, unescaped, schema)
    }

    /// Does the same by the parser of all JSON.
    pub(crate) fn parsed<'a>(
        &self,
        line: &'a str,
        observe: u8,
        unescaped: &'a mut String,
        schema: Option<(&mut Properties, usize)>,
    ) -> Option<Stated<'a>> {
        unescaped.clear();
        let (schema, row) = schema.unzip();
        let Found { values, .. } = Found::default();
        let mut event =
            Event { rules: self, rule: None, values, has_values: false, unescaped, schema, is_whole: false };
        let mut parser = Parser::from_str(line);
        parser.deserialize_any(&mut event).ok()?;
        parser.end().ok()?;
        if !event.is_whole {
            return None;
        }
        if let Some((schema, row)) = event.schema.as_deref_mut().zip(row) {
            schema.end_row(row);
        }
        let Event { rule, values, unescaped, .. } = event;
        self.step(rule, &values, unescaped, observe)
    }

    /// Returns what an event states that was read as cells, whose texts are in `buffer`;
    /// [`Self::keys`] have the first places.
    ///
    /// Properties at the places of `columns` are in a table's columns of their own. These count
    /// before the cells, which count only where the column has none: for links, and for every event
    /// of Simplified ID Merge.
    pub fn stated_by<'a>(
        &self,
        cells: &Cells<'a>,
        columns: &[(usize, Option<&'a str>)],
        buffer: &'a str,
        observe: u8,
        unescaped: &'a mut String,
    ) -> Option<Stated<'a>> {
        unescaped.clear();
        let name = cells.event.as_ref().and_then(|name| name.text(buffer));
        let rule = name.and_then(|name| self.rule(&name));
        let counting = self.counting(rule);
        let mut values = [const { Value::Absent }; MAX_KEYS];
        for (place, cell) in cells.properties.iter().filter(|(place, _)| counting.contains(place)) {
            values[*place] = Value::of(cell, buffer, unescaped);
        }
        for &(place, text) in columns {
            match text {
                Some(text) => values[place] = Value::Id(OperandId::Borrowed(text)),
                None if rule.is_none() && !self.is_simplified() => values[place] = Value::Absent,
                None => (),
            }
        }
        self.step(rule, &values, unescaped, observe)
    }
}

/// The part of an event that was read so far.
struct Event<'r, 'a> {
    rules: &'r Rules,
    rule: Option<usize>,
    values: [Value<'a>; MAX_KEYS],
    /// Whether some value is not absent.
    has_values: bool,
    unescaped: &'a mut String,
    schema: Option<&'r mut Properties>,
    /// Whether the line has the key of an event's name, if it needs that, and properties that are
    /// no text.
    is_whole: bool,
}

impl Event<'_, '_> {
    fn begin_properties(&mut self) {
        if self.has_values {
            self.values.fill(Value::Absent);
            self.has_values = false;
        }
        if let Some(schema) = &mut self.schema {
            schema.begin_row();
        }
    }
}

impl<'a> Visitor<'a> for &mut Event<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        self.begin_properties();
        let (mut has_name, mut is_text) = (false, false);
        while let Some(field) = map.next_key_seed(FieldName)? {
            match field {
                Field::Event => {
                    has_name = true;
                    self.rule = map.next_value_seed(EventName(self.rules))?;
                }
                Field::Properties => {
                    self.begin_properties();
                    is_text = map.next_value_seed(PropertiesSeed(self))?;
                }
                Field::Other => _ = map.next_value_seed(Skip { depth: 1 })?,
            }
        }
        self.is_whole = (has_name || self.rules.takes_unnamed) && !is_text;
        Ok(())
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
        visit_bool(bool) => |_, _| None;
        visit_i64(i64) => |_, _| None;
        visit_u64(u64) => |_, _| None;
        visit_f64(f64) => |_, _| None;
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.rule(name))
    }

    fn visit_seq<A: SeqAccess<'a>>(self, list: A) -> Result<Self::Value, A::Error> {
        Skip { depth: 1 }.visit_seq(list).map(|_| None)
    }

    fn visit_map<A: MapAccess<'a>>(self, map: A) -> Result<Self::Value, A::Error> {
        Skip { depth: 1 }.visit_map(map).map(|_| None)
    }
}

/// Reads properties, and returns whether they are a text.
struct PropertiesSeed<'e, 'r, 'a>(&'e mut Event<'r, 'a>);

impl<'a> DeserializeSeed<'a> for PropertiesSeed<'_, '_, 'a> {
    type Value = bool;

    fn deserialize<D: Deserializer<'a>>(self, value: D) -> Result<bool, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for PropertiesSeed<'_, '_, 'a> {
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
        Skip { depth: 1 }.visit_seq(list).map(|_| false)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<bool, A::Error> {
        let event = self.0;
        while let Some((operand, place)) = map.next_key_seed(PropertyName(event.rules, &mut event.schema))? {
            let kind = match operand {
                Some(operand) => {
                    let mut kind = kind::NULL;
                    let seed = OperandSeed { unescaped: event.unescaped, kind: Some(&mut kind) };
                    event.values[operand] = map.next_value_seed(seed)?;
                    event.has_values = true;
                    kind
                }
                None => map.next_value_seed(Skip { depth: 2 })?,
            };
            if let Some((schema, place)) = event.schema.as_mut().zip(place) {
                schema.value(place, kind);
            }
        }
        Ok(false)
    }
}

/// Reads a key, and returns the operand's place if it can be one, and the place in the schema.
struct PropertyName<'e, 'r>(&'r Rules, &'e mut Option<&'r mut Properties>);

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
        Ok((self.0.find(key), self.1.as_mut().and_then(|schema| schema.place(key))))
    }
}
