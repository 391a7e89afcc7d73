//! Events that came before, found in the columns of a block (SPEC 9).

use std::borrow::Cow;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow_schema::DataType;

use crate::columns::{Columns, NamedKinds, arrow_type};
use crate::dedupe::DistinctRows;

/// The property by which duplicates are found.
const INSERT_ID: &str = "$insert_id";
/// The index of each other value that is compared among the columns that every table has.
const EVENT: usize = 0;
const TIME: usize = 1;
const SENT: usize = 3;

/// The distinct events so far, by name, time, ID as sent and insert ID.
///
/// Insert IDs are compared as the texts that a column of all their values has: an integer is equal
/// to its digits. A fraction is not, if it came as `1.0`; so where fractions and texts turn out to
/// be in one column, [`Self::is_exact`] is false.
#[derive(Default)]
pub struct DistinctEvents {
    rows: DistinctRows,
    has_fractions: bool,
    dropped: usize,
}

impl DistinctEvents {
    /// Adds the events of a block, and returns which are new; None if all are.
    pub fn add(&mut self, events: &Columns) -> Option<BooleanArray> {
        let insert_ids = events.plain(INSERT_ID)?.dense();
        let texts = InsertIds::of(&insert_ids);
        self.has_fractions |= matches!(texts, InsertIds::Fractions(_));
        let always = events.always();
        let [names, sent] = [EVENT, SENT].map(|column| always[column].as_string::<i32>());
        let times = always[TIME].as_primitive::<TimestampMillisecondType>();
        let are_new = self.rows.add_each(events.rows(), |row, values| {
            let can_be_equal = insert_ids.is_valid(row);
            if can_be_equal {
                values.add_text(names.is_valid(row).then(|| names.value(row)));
                values.add_integer(times.is_valid(row).then(|| times.value(row)));
                values.add_text(sent.is_valid(row).then(|| sent.value(row)));
                values.add_text(Some(&texts.text(row)));
            }
            can_be_equal
        });
        let dropped = are_new.iter().filter(|&&is_new| !is_new).count();
        self.dropped += dropped;
        (dropped > 0).then(|| are_new.into())
    }

    /// Returns whether insert IDs were compared as a column of values of all kinds has them.
    pub fn is_exact(&self, properties: &[NamedKinds]) -> bool {
        let kinds = properties.iter().find_map(|(name, _, kinds)| (name == INSERT_ID).then_some(*kinds));
        !self.has_fractions || kinds.is_none_or(|kinds| arrow_type(kinds) == DataType::Float64)
    }

    /// Returns how many events were dropped.
    pub fn dropped(&self) -> usize {
        self.dropped
    }
}

/// The insert IDs of a block, in the type of its column.
enum InsertIds<'a> {
    Integers(&'a Int64Array),
    Fractions(&'a Float64Array),
    Truths(&'a BooleanArray),
    Texts(&'a StringArray),
}

impl<'a> InsertIds<'a> {
    fn of(column: &'a ArrayRef) -> Self {
        match column.data_type() {
            DataType::Int64 => Self::Integers(column.as_primitive()),
            DataType::Float64 => Self::Fractions(column.as_primitive()),
            DataType::Boolean => Self::Truths(column.as_boolean()),
            _ => Self::Texts(column.as_string()),
        }
    }

    /// Returns the text of a row that is not null.
    fn text(&self, row: usize) -> Cow<'a, str> {
        match self {
            Self::Integers(column) => column.value(row).to_string().into(),
            // Zero has no sign, and a whole number the digits of the integer.
            Self::Fractions(column) => (column.value(row) + 0.0).to_string().into(),
            Self::Truths(column) => if column.value(row) { "true" } else { "false" }.into(),
            Self::Texts(column) => column.value(row).into(),
        }
    }
}
