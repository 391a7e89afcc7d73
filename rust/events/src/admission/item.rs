//! An item of a request, as far as it decides whether the item is taken.

use std::borrow::Cow;
use std::collections::HashSet;

use foldhash::fast::RandomState;

use crate::admission::reader::{Reader, Text, Value};
use crate::columns::MILLISECONDS_FROM;

/// Times lie within as many, on both sides.
const MOST_TIME: i64 = 1_000_000_000_000_000;

/// The fields that an item has; of equal keys the last counts.
#[derive(Default)]
pub struct Item<'a> {
    pub event: Option<Value<'a>>,
    /// None without any, or if they are no object.
    pub properties: Option<Properties<'a>>,
    /// The field `$token`, beside the properties.
    pub token: Option<Value<'a>>,
    pub distinct_id: Option<Value<'a>>,
    pub group_key: Option<Value<'a>>,
    pub group_id: Option<Value<'a>>,
}

/// The properties that decide.
#[derive(Default)]
pub struct Properties<'a> {
    pub token: Option<Value<'a>>,
    pub time: Option<Value<'a>>,
    pub insert_id: Option<Value<'a>>,
    pub distinct_id: Option<Value<'a>>,
    pub device_id: Option<Value<'a>>,
    pub user_id: Option<Value<'a>>,
    /// The number of keys, equal ones counted each.
    keys: usize,
    text: &'a [u8],
}

impl<'a> Item<'a> {
    /// Returns the fields of an item, or None if its text is no JSON object.
    pub fn read(text: &'a [u8]) -> Option<Self> {
        let mut item = Self::default();
        let mut reader = Reader::new(text);
        reader.object(|key, reader| {
            let field = match &*key.bytes() {
                b"properties" => {
                    item.properties = None;
                    if reader.is_object() {
                        item.properties = Some(Properties::read(reader, text)?);
                        return Some(());
                    }
                    None
                }
                b"event" => Some(&mut item.event),
                b"$token" => Some(&mut item.token),
                b"$distinct_id" => Some(&mut item.distinct_id),
                b"$group_key" => Some(&mut item.group_key),
                b"$group_id" => Some(&mut item.group_id),
                _ => None,
            };
            keep(field, reader)
        })?;
        reader.end()?;
        Some(item)
    }

    /// Returns the token that the item names, if it is a text.
    pub fn token(&self) -> Option<Cow<'a, [u8]>> {
        let inside = self.properties.as_ref().and_then(|properties| properties.token.as_ref());
        text(self.token.as_ref().or(inside)).map(Text::bytes)
    }

    /// Returns the time of an event in milliseconds since 1970, if it is a number. Half a
    /// millisecond is rounded away from zero (SPEC 9).
    pub fn time(&self) -> Option<i64> {
        match self.properties.as_ref()?.time.as_ref()? {
            Value::Integer(digits) => {
                let time: i64 = digits.parse().ok()?;
                let is_within = -MOST_TIME < time && time < MOST_TIME;
                is_within.then(|| if time.unsigned_abs() >= MILLISECONDS_FROM { time } else { time * 1000 })
            }
            Value::Float(digits) => {
                let time: f64 = digits.parse().ok()?;
                // Bounds and times within them are whole numbers of doubles.
                #[expect(clippy::cast_precision_loss, reason = "both are powers of ten below 2^53")]
                let (most, from) = (MOST_TIME as f64, MILLISECONDS_FROM as f64);
                let milliseconds = if time.abs() >= from { time } else { time * 1000.0 };
                (time.abs() < most).then(|| milliseconds.round() as i64)
            }
            _ => None,
        }
    }

    /// Returns the insert ID of an event, if it is a text.
    pub fn insert_id(&self) -> Option<Cow<'a, [u8]>> {
        text(self.properties.as_ref()?.insert_id.as_ref()).map(Text::bytes)
    }
}

impl<'a> Properties<'a> {
    /// Reads the properties that come next in `whole`.
    fn read(reader: &mut Reader<'a>, whole: &'a [u8]) -> Option<Self> {
        let start = reader.place();
        let mut properties = Self::default();
        reader.object(|key, reader| {
            properties.keys += 1;
            let field = match &*key.bytes() {
                b"token" => Some(&mut properties.token),
                b"time" => Some(&mut properties.time),
                b"$insert_id" => Some(&mut properties.insert_id),
                b"distinct_id" => Some(&mut properties.distinct_id),
                b"$device_id" => Some(&mut properties.device_id),
                b"$user_id" => Some(&mut properties.user_id),
                _ => None,
            };
            keep(field, reader)
        })?;
        properties.text = &whole[start..reader.place()];
        Some(properties)
    }

    /// Returns whether there are more than `most`; equal keys are one.
    pub fn are_more_than(&self, most: usize) -> bool {
        if self.keys <= most {
            return false;
        }
        let mut distinct = HashSet::<_, RandomState>::default();
        let read = Reader::new(self.text).object(|key, reader| {
            distinct.insert(key.bytes());
            reader.value()?;
            (distinct.len() <= most).then_some(())
        });
        read.is_none()
    }
}

/// Reads a value, and keeps it in `field`.
fn keep<'a>(field: Option<&mut Option<Value<'a>>>, reader: &mut Reader<'a>) -> Option<()> {
    let value = reader.value()?;
    if let Some(field) = field {
        *field = Some(value);
    }
    Some(())
}

/// Returns the text that a value is.
pub fn text<'a>(value: Option<&Value<'a>>) -> Option<Text<'a>> {
    match value {
        Some(Value::Text(text)) => Some(*text),
        _ => None,
    }
}
