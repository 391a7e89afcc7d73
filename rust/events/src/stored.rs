//! Events of a server's log as the columns in which they are stored.
//!
//! Each line that is not blank is a row: the event's name, the ID of its sender as it was sent
//! (SPEC 3), its time in milliseconds since 1970, its insert ID, and the text of its properties as
//! it stands in the line. A line that is no event for certain has no properties. A row about which
//! the parser is not certain is *declined*: its columns are null, and the caller reads it.
//!
//! Memory and time are linear in the length of the lines.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::builder::{Int64Builder, StringBuilder, UInt32Builder};
use arrow_array::{ArrayRef, RecordBatch};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use sonic_rs::{Deserializer as Parser, LazyValue};

use crate::columns::{HOT_SHARD, milliseconds};
use crate::error::Error;
use crate::ids;
use crate::json::cells::{Cell, Cells, Spare};
use crate::json::event::{Field, FieldName};
use crate::json::skip::Skip;
use crate::json::visitor::any_value;
use crate::lines::{check_length, each_line};
use crate::links::Named;
use crate::schema::Names;

/// The properties that count, in the order of their places.
const KEYS: [&str; 6] =
    ["distinct_id", "$distinct_id_before_identity", "$device_id", "$user_id", "time", "$insert_id"];
const OWN: usize = 0;
const SENT: usize = 1;
const DEVICE: usize = 2;
const USER: usize = 3;
const TIME: usize = 4;
const INSERT_ID: usize = 5;

/// Lines as columns.
pub struct Stored {
    /// The columns `line` (its number, counted from 0), `event`, `distinct_id`, `time`, `insert_id`
    /// and `properties`.
    pub columns: RecordBatch,
    /// The rows that are declined.
    pub declined: Vec<usize>,
}

/// Returns the columns of `lines`, none longer than `longest` bytes; those of Simplified ID Merge
/// are under their user, else their device.
///
/// # Errors
///
/// There are 2 GiB or more.
pub fn columns(lines: &[u8], longest: usize, is_simplified: bool) -> Result<Stored, Error> {
    check_length(&[], lines)?;
    let mut rows = Rows::default();
    let mut keys = Names::default();
    for key in KEYS {
        keys.add(key);
    }
    let (mut buffer, mut spare, mut declined) = (String::new(), Spare::default(), Vec::new());
    let mut row = 0;
    each_line(&[], lines, longest, |line| {
        let event = line.text.and_then(Event::read);
        let is_read = match event {
            None => false,
            Some(Event { properties: None, .. }) => {
                rows.append(line.number, None);
                true
            }
            Some(Event { name, properties: Some(properties) }) => {
                let text = properties.as_raw_str();
                let cells = Cells::read_properties(None, text, &mut keys, &mut buffer, &mut spare);
                let found = cells.as_ref().and_then(|cells| Found::of(cells, &buffer, is_simplified));
                let is_certain = found.is_some() && name.as_deref() != Some(HOT_SHARD);
                if is_certain && let Some(found) = found {
                    rows.append(line.number, Some((name.as_deref(), text, found)));
                }
                if let Some(cells) = cells {
                    spare.take_back(cells);
                }
                is_certain
            }
        };
        if !is_read {
            declined.push(row);
            rows.append(line.number, None);
        }
        row += 1;
    });
    Ok(Stored { columns: rows.finish()?, declined })
}

/// The parts of a line's object.
struct Event<'a> {
    /// Its name, if it is a text.
    name: Option<Cow<'a, str>>,
    /// Its properties, if they are an object.
    properties: Option<LazyValue<'a>>,
}

impl<'a> Event<'a> {
    /// Returns the event of a line, None if it is declined.
    fn read(line: &'a str) -> Option<Self> {
        let mut parser = Parser::from_str(line);
        let event = parser.deserialize_any(Object).ok()?;
        parser.end().ok()?;
        Some(event)
    }

    fn none() -> Self {
        Self { name: None, properties: None }
    }
}

struct Object;

impl<'a> Visitor<'a> for Object {
    type Value = Event<'a>;

    any_value! {
        visit_bool(bool) => |_, _| Event::none();
        visit_i64(i64) => |_, _| Event::none();
        visit_u64(u64) => |_, _| Event::none();
        visit_f64(f64) => |_, _| Event::none();
        visit_str(&str) => |_, _| Event::none();
    }

    fn visit_unit<E>(self) -> Result<Event<'a>, E> {
        Ok(Event::none())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, list: A) -> Result<Event<'a>, A::Error> {
        Skip { depth: 1 }.visit_seq(list).map(|_| Event::none())
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Event<'a>, A::Error> {
        let mut event = Event::none();
        while let Some(field) = map.next_key_seed(FieldName)? {
            match field {
                Field::Event => event.name = map.next_value_seed(Text)?,
                Field::Properties => {
                    let value: LazyValue<'a> = map.next_value()?;
                    event.properties = value.as_raw_str().starts_with('{').then_some(value);
                }
                Field::Other => _ = map.next_value_seed(Skip { depth: 1 })?,
            }
        }
        Ok(event)
    }
}

/// Reads a text, and passes over any other value.
struct Text;

impl<'a> DeserializeSeed<'a> for Text {
    type Value = Option<Cow<'a, str>>;

    fn deserialize<D: Deserializer<'a>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Text {
    type Value = Option<Cow<'a, str>>;

    any_value! {
        visit_bool(bool) => |_, _| None;
        visit_i64(i64) => |_, _| None;
        visit_u64(u64) => |_, _| None;
        visit_f64(f64) => |_, _| None;
        visit_borrowed_str(&'a str) => |_, text| Some(Cow::Borrowed(text));
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, list: A) -> Result<Self::Value, A::Error> {
        Skip { depth: 1 }.visit_seq(list).map(|_| None)
    }

    fn visit_map<A: MapAccess<'a>>(self, map: A) -> Result<Self::Value, A::Error> {
        Skip { depth: 1 }.visit_map(map).map(|_| None)
    }
}

/// The properties that count.
struct Found<'a> {
    sender: Option<Cow<'a, str>>,
    time: Option<i64>,
    insert_id: Option<Cow<'a, str>>,
}

impl<'a> Found<'a> {
    /// Returns what `cells` hold, whose texts are in `buffer`; None if one is not certain.
    fn of(cells: &Cells<'a>, buffer: &'a str, is_simplified: bool) -> Option<Self> {
        let cell = |wanted: usize| {
            let found = cells.properties.iter().rev().find(|(place, _)| *place == wanted);
            found.map_or(&Cell::Null, |(_, cell)| cell)
        };
        let is_digits_lost =
            |place: usize| matches!(cell(place), Cell::Float(number) if ids::is_beyond_integers(*number));
        if [OWN, SENT, DEVICE, USER].into_iter().any(is_digits_lost) {
            return None;
        }
        let id = |place: usize| cell(place).id(buffer);
        let own = id(OWN);
        let sent = if own.is_some() { id(SENT).or(own) } else { None };
        let sender = if is_simplified {
            let (device, user) = (id(DEVICE), id(USER));
            let named = Named::of(device.as_deref(), user.as_deref()).event(None, None).sender();
            named.map(|id| Cow::Owned(id.into_owned())).or(sent)
        } else {
            sent
        };
        let insert_id = match cell(INSERT_ID) {
            Cell::Bool(_) | Cell::Float(_) | Cell::Nested(_) => return None,
            cell => cell.text(buffer),
        };
        let time = milliseconds(cell(TIME), buffer).filter(|time| *time >= 0);
        Some(Self { sender, time, insert_id })
    }
}

#[derive(Default)]
struct Rows {
    line: UInt32Builder,
    event: StringBuilder,
    sender: StringBuilder,
    time: Int64Builder,
    insert_id: StringBuilder,
    properties: StringBuilder,
}

impl Rows {
    /// Adds a line: an event's name, the text of its properties, and what was found in them.
    fn append(&mut self, line: u32, event: Option<(Option<&str>, &str, Found<'_>)>) {
        self.line.append_value(line);
        let (name, text, found) = match event {
            Some((name, text, found)) => (name, Some(text), Some(found)),
            None => (None, None, None),
        };
        self.event.append_option(name);
        self.properties.append_option(text);
        self.sender.append_option(found.as_ref().and_then(|found| found.sender.as_deref()));
        self.insert_id.append_option(found.as_ref().and_then(|found| found.insert_id.as_deref()));
        self.time.append_option(found.and_then(|found| found.time));
    }

    fn finish(mut self) -> Result<RecordBatch, Error> {
        let columns: [(&str, ArrayRef); 6] = [
            ("line", Arc::new(self.line.finish())),
            ("event", Arc::new(self.event.finish())),
            ("distinct_id", Arc::new(self.sender.finish())),
            ("time", Arc::new(self.time.finish())),
            ("insert_id", Arc::new(self.insert_id.finish())),
            ("properties", Arc::new(self.properties.finish())),
        ];
        Ok(RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, column)| (name, column, true)),
        )?)
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;

    use super::*;

    fn read(line: &str, is_simplified: bool) -> Stored {
        columns(line.as_bytes(), 1 << 20, is_simplified).expect("few bytes")
    }

    fn text(stored: &Stored, name: &str) -> Option<String> {
        let column = stored.columns.column_by_name(name).expect("a column").as_string::<i32>();
        column.is_valid(0).then(|| column.value(0).to_owned())
    }

    #[test]
    fn properties_are_kept_as_they_stand_in_the_line() {
        let properties = r#"{ "distinct_id":"a\u0062", "n":1.50, "time": 3,"$insert_id":7 ,"x":[ {}]}"#;
        let stored = read(&format!(r#"{{"properties": {properties} ,"event":"V\n"}}"#), false);
        assert_eq!(text(&stored, "properties").as_deref(), Some(properties));
        assert_eq!(text(&stored, "event").as_deref(), Some("V\n"));
        assert_eq!(text(&stored, "distinct_id").as_deref(), Some("ab"));
        assert_eq!(text(&stored, "insert_id").as_deref(), Some("7"));
        let time = stored.columns.column_by_name("time").expect("a column").as_primitive::<Int64Type>();
        assert_eq!(time.value(0), 3000);
    }

    #[test]
    fn a_sender_is_the_id_as_it_was_sent() {
        let sender = |properties: &str, is_simplified| {
            text(
                &read(&format!(r#"{{"event":"V","properties":{properties}}}"#), is_simplified),
                "distinct_id",
            )
        };
        let both = r#"{"distinct_id":"ana","$distinct_id_before_identity":"phone","$device_id":"d"}"#;
        assert_eq!(sender(both, false).as_deref(), Some("phone"));
        assert_eq!(sender(both, true).as_deref(), Some("$device:d"));
        assert_eq!(sender(r#"{"$device_id":"d","$user_id":"ana"}"#, true).as_deref(), Some("ana"));
        assert_eq!(sender(r#"{"$distinct_id_before_identity":"phone"}"#, false), None);
    }

    #[test]
    fn what_is_no_event_has_no_properties_and_what_is_not_certain_is_declined() {
        for line in ["[]", "7", r#"{"event":"V"}"#, r#"{"properties":"{}"}"#, r#"{"properties":null}"#] {
            let stored = read(line, false);
            assert_eq!((text(&stored, "properties"), stored.declined.len()), (None, 0), "{line}");
        }
        for properties in [r#"{"x":"\ud800"}"#, r#"{"distinct_id":99999999999999999999}"#, r#"{"a":}"#, "{"] {
            let stored = read(&format!(r#"{{"event":"V","properties":{properties}}}"#), false);
            assert_eq!((text(&stored, "properties"), stored.declined), (None, vec![0]), "{properties}");
        }
        let stored = columns(b"\xff\n\n{}\n", 1 << 20, false).expect("few bytes");
        assert_eq!((stored.columns.num_rows(), stored.declined), (2, vec![0]));
    }
}
