//! A table builder: the columns that every table of events has, and one for each property.
//!
//! The columns that every table has come first: `event`, `time`, `distinct_id` as it was sent, and
//! `$distinct_id_before_identity`. Only cells that are there cost time and memory, so thousands of
//! sparse columns are nearly as cheap as a few.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, TimestampMillisecondArray};
use arrow_schema::{DataType, Field, TimeUnit};

use crate::columns::builder::{ColumnBuilder, arrow_type};
use crate::columns::time::milliseconds;
use crate::ids;
use crate::json::cells::{Cell, Cells};
use crate::links::{DEVICE_AND_USER, Named};

/// The bytes of a line with ten properties.
const USUAL_LINE: usize = 200;

/// The name of events that stand for others, whose names and IDs are in their properties.
pub(crate) const HOT_SHARD: &str = "$hotshard_events";

/// Returns the columns that every table has.
pub fn always() -> [Field; 4] {
    [
        Field::new("event", DataType::Utf8, true),
        Field::new("time", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), true),
        Field::new("distinct_id", DataType::Utf8, true),
        Field::new("$distinct_id_before_identity", DataType::Utf8, true),
    ]
}

/// A property's name, the name of its column, and its kinds.
pub type NamedKinds = (String, String, u8);

/// Returns the columns of a table of events with these properties.
pub fn fields_of(properties: &[NamedKinds]) -> Vec<Field> {
    let plain = properties.iter().filter(|(name, ..)| is_plain(name));
    let plain = plain.map(|(_, column, kinds)| Field::new(column, arrow_type(*kinds), true));
    always().into_iter().chain(plain).collect()
}

/// Returns whether a property has a column of its own.
pub fn is_plain(name: &str) -> bool {
    matches!(Role::of(name), Role::Plain(_))
}

/// Returns the ID of an event of Simplified ID Merge, by what it names (SPEC 3).
fn sender(
    named: [Option<&Cell<'_>>; 2],
    id: Option<&str>,
    sent: Option<&str>,
    buffer: &str,
) -> Option<String> {
    let [device, user] = named.map(|cell| cell.and_then(|cell| cell.id(buffer)));
    let event = Named::of(device.as_deref(), user.as_deref()).event(id, sent);
    event.sender().map(Cow::into_owned)
}

/// The role of a property in an event.
#[derive(Clone, Copy)]
enum Role {
    Time,
    DistinctId,
    Before,
    /// The property of this column.
    Plain(usize),
    /// A property that becomes no column.
    Skipped,
}

impl Role {
    fn of(name: &str) -> Self {
        match name {
            "time" => Self::Time,
            "distinct_id" => Self::DistinctId,
            "$distinct_id_before_identity" => Self::Before,
            _ => Self::Plain(0),
        }
    }
}

/// Events that become a table.
pub struct TableBuilder {
    /// The role of the property at each place.
    roles: Vec<Role>,
    count: usize,
    event: StringBuilder,
    time: Vec<Option<i64>>,
    distinct_id: StringBuilder,
    before: StringBuilder,
    /// Each column with the place of its property.
    plain: Vec<(usize, ColumnBuilder)>,
    /// The places of an event's device and user; none outside Simplified ID Merge.
    device_and_user: [Option<usize>; 2],
    is_simplified: bool,
}

impl TableBuilder {
    /// Returns no rows, with capacity for those in a text of `length` bytes, should they be as
    /// usual.
    ///
    /// In Simplified ID Merge an event's ID is that of its user or device.
    pub fn of(length: usize, is_simplified: bool) -> Self {
        let rows = length / USUAL_LINE;
        Self {
            roles: Vec::new(),
            count: 0,
            event: StringBuilder::with_capacity(rows, rows * 12),
            time: Vec::with_capacity(rows),
            distinct_id: StringBuilder::with_capacity(rows, rows * 36),
            before: StringBuilder::with_capacity(rows, rows * 36),
            plain: Vec::new(),
            device_and_user: [None; 2],
            is_simplified,
        }
    }

    /// Takes the name of the property at the next place, and the kinds of its values, as far as
    /// they are known.
    pub fn expect(&mut self, name: &str, kinds: u8) {
        self.note_place(name);
        let mut role = Role::of(name);
        if let Role::Plain(column) = &mut role {
            *column = self.plain.len();
            self.plain.push((self.roles.len(), ColumnBuilder::expecting(kinds)));
        }
        self.roles.push(role);
    }

    /// Notes that the property at the next place becomes no column.
    pub fn skip(&mut self, name: &str) {
        self.note_place(name);
        self.roles.push(Role::Skipped);
    }

    fn note_place(&mut self, name: &str) {
        let own = DEVICE_AND_USER.iter().position(|key| *key == name).filter(|_| self.is_simplified);
        if let Some(own) = own {
            self.device_and_user[own] = Some(self.roles.len());
        }
    }

    /// Returns the number of places whose property has a role.
    pub fn places(&self) -> usize {
        self.roles.len()
    }

    /// Adds an event, and returns false if it is declined: its ID may be an integer beyond 64 bits,
    /// or it stands for another event.
    pub fn add(&mut self, cells: &Cells<'_>, buffer: &str) -> bool {
        self.add_sent(cells, buffer, self.device_and_user)
    }

    /// Adds an event of the caller's likewise, whose `distinct_id` is the ID that it has.
    pub fn add_plain(&mut self, cells: &Cells<'_>, buffer: &str) -> bool {
        self.add_sent(cells, buffer, [None; 2])
    }

    fn add_sent(&mut self, cells: &Cells<'_>, buffer: &str, device_and_user: [Option<usize>; 2]) -> bool {
        let (mut time, mut distinct_id, mut before) = (None, None, None);
        let mut named = [None; 2];
        for (place, cell) in &cells.properties {
            if let Some(own) = device_and_user.iter().position(|own| *own == Some(*place)) {
                named[own] = Some(cell);
            }
            match self.roles[*place] {
                Role::Time => time = Some(cell),
                Role::DistinctId => distinct_id = Some(cell),
                Role::Before => before = Some(cell),
                Role::Plain(_) | Role::Skipped => (),
            }
        }
        let is_hot = || {
            let name = cells.event.as_ref().and_then(|name| name.text(buffer));
            name.is_some_and(|name| name == HOT_SHARD)
        };
        let is_long = |id: Option<&Cell<'_>>| matches!(id, Some(Cell::Float(number)) if ids::is_beyond_integers(*number));
        if [distinct_id, before, named[0], named[1]].into_iter().any(is_long) || is_hot() {
            return false;
        }
        for (place, cell) in cells.properties.iter().rev() {
            if let Role::Plain(column) = self.roles[*place] {
                self.plain[column].1.set(self.count, cell, buffer);
            }
        }
        self.count += 1;
        let own = distinct_id.and_then(|cell| cell.id(buffer));
        let own = match named {
            [None, None] => own,
            named => {
                let sent = before.and_then(|cell| cell.id(buffer));
                sender(named, own.as_deref(), sent.as_deref(), buffer).map(Cow::Owned)
            }
        };
        let before = before.and_then(|cell| cell.id(buffer).or_else(|| cell.text(buffer)));
        self.before.append_option(before.or(own.clone()));
        self.distinct_id.append_option(own);
        self.event.append_option(cells.event.as_ref().and_then(|name| name.text(buffer)));
        self.time.push(time.and_then(|cell| milliseconds(cell, buffer)));
        true
    }

    /// Returns the number of rows.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns the place of each property whose values do not fit the type that was expected, and
    /// the kinds.
    pub fn misfits(&self) -> impl Iterator<Item = (usize, u8)> {
        let misfits = self.plain.iter().filter(|(_, column)| !column.is_exact());
        misfits.map(|(place, column)| (*place, column.kinds()))
    }

    /// Returns the columns that every table has, and the one of each property with its place.
    pub fn finish(mut self) -> ([ArrayRef; 4], Vec<(usize, ColumnBuilder)>) {
        let always: [ArrayRef; 4] = [
            Arc::new(self.event.finish()),
            Arc::new(TimestampMillisecondArray::from(self.time).with_timezone("UTC")),
            Arc::new(self.distinct_id.finish()),
            Arc::new(self.before.finish()),
        ];
        (always, self.plain)
    }
}
