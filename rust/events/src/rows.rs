//! Rows of a table whose properties are JSON text or texts in columns, read as lines of events are.
//!
//! A row has the name of its event, the text, and perhaps properties in columns of their own, which
//! count before those in the text (SPEC 3). Beside the steps come the IDs and the values of a few
//! properties, so that a text is parsed once. A row about which the parser is not certain is a hole
//! of the scan, and null in the columns: the caller, who has the table, reads it. A hole is also an
//! identity event that lacks an operand.
//!
//! Memory and time are linear in the length of the texts.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{Array, ArrayRef, LargeBinaryArray, NullArray, RecordBatch};
use arrow_schema::{Field, Schema};
use idmerge_core::OBSERVE;

use crate::columns::ColumnBuilder;
use crate::error::Error;
use crate::ids;
use crate::json::cells::{Cell, Cells, Spare};
use crate::links::{Named, Rules};
use crate::scan::Scan;
use crate::schema::{Names, kind};

/// Bytes of rows that are read in one call; rows behind them are declined. What is made of them,
/// such as the digits of `1e15`, is at most eight times as long, and so counted in 31 bits.
const MOST_BYTES: usize = 1 << 28;

/// Reads rows whose properties are JSON text.
pub struct RowReader {
    rules: Rules,
    longest: usize,
    /// The places of the properties that have columns of their own.
    columns: Vec<usize>,
    /// The names of the properties whose values are wanted.
    values: Vec<String>,
}

/// Rows as steps, and some of their properties as columns.
pub struct RowsRead {
    /// The steps, one a row.
    pub scan: Scan,
    /// The rows whose steps are holes.
    pub declined: Vec<usize>,
    /// Those of them that are null in the columns too: their texts are not read.
    pub unread: Vec<usize>,
    /// The properties `distinct_id` and `$distinct_id_before_identity` of the texts, as IDs, and
    /// the wanted values; of type null where there are none. Of events of Simplified ID Merge the
    /// first is the ID that they are stitched under, and both are those of columns too.
    pub properties: RecordBatch,
    /// The wanted properties whose values have no column here: they differ in type, are nested, or
    /// are numbers that Python has in another type.
    pub mixed: Vec<String>,
}

impl RowReader {
    /// Takes the rules, the longest text in bytes, the names of the properties that have columns of
    /// their own, and of those whose values are wanted.
    ///
    /// Returns None if a column is one that states nothing.
    pub fn new(rules: Rules, longest: usize, columns: &[String], values: Vec<String>) -> Option<Self> {
        let columns = columns.iter().map(|name| rules.find(name)).collect::<Option<_>>()?;
        Some(Self { rules, longest, columns, values })
    }

    /// Reads rows: the names of their events, their properties as JSON text, and the texts of the
    /// properties that have columns of their own; what is null is not there.
    ///
    /// # Errors
    ///
    /// The columns are too few, or differ in length.
    pub fn read(
        &self,
        names: &LargeBinaryArray,
        texts: &LargeBinaryArray,
        columns: &[LargeBinaryArray],
    ) -> Result<RowsRead, Error> {
        if columns.len() != self.columns.len()
            || columns.iter().any(|column| column.len() != texts.len())
            || names.len() != texts.len()
        {
            return Err(Error::Value("rows need their columns, all of one length".to_owned()));
        }
        let mut scan = Scan::of_events();
        let mut properties = Wanted::of(self);
        let (mut keys, mut spare) = (self.keys(), Spare::default());
        let (mut buffer, mut unescaped) = (String::new(), String::new());
        let mut own: Vec<_> = self.columns.iter().map(|&place| (place, None)).collect();
        let (mut bytes, mut declined, mut unread) = (0, Vec::new(), Vec::new());
        for row in 0..texts.len() {
            let (mut name, mut text) = (None, None);
            let is_unicode = set(&mut name, names, row)
                && set(&mut text, texts, row)
                && columns.iter().zip(&mut own).all(|(column, (_, text))| set(text, column, row));
            bytes += columns.iter().chain([texts]).map(|column| column.value(row).len()).sum::<usize>();
            let cells = match text {
                _ if !is_unicode || bytes > MOST_BYTES => None,
                None => Some(Cells::without_properties(name, &mut spare)),
                Some(text) if text.len() > self.longest => None,
                Some(text) => Cells::read_properties(name, text, &mut keys, &mut buffer, &mut spare),
            };
            let cells = cells.filter(|cells| !has_long_id(cells, &self.rules));
            let stated = cells
                .as_ref()
                .and_then(|cells| self.rules.stated_by(cells, &own, &buffer, OBSERVE, &mut unescaped));
            if stated.is_none() {
                declined.push(row);
            }
            if cells.is_none() {
                unread.push(row);
            }
            properties.add(cells.as_ref(), &own, &buffer);
            scan.push_event(stated);
            if let Some(cells) = cells {
                spare.take_back(cells);
            }
        }
        let (properties, mixed) = properties.finish()?;
        Ok(RowsRead { scan, declined, unread, properties, mixed })
    }

    /// Returns the names of the properties that count: those of the rules have the first places.
    fn keys(&self) -> Names {
        let mut names = Names::default();
        for name in self.rules.keys().iter().chain(&self.values) {
            if names.find(name).is_none() {
                names.add(name);
            }
        }
        names
    }
}

/// Sets `text` to that of a row, None for a null; returns false if it is no Unicode.
fn set<'a>(text: &mut Option<&'a str>, column: &'a LargeBinaryArray, row: usize) -> bool {
    *text = None;
    if column.is_null(row) {
        return true;
    }
    *text = simdutf8::basic::from_utf8(column.value(row)).ok();
    text.is_some()
}

/// Returns whether an ID may be an integer beyond 64 bits, whose digits the parser does not keep.
fn has_long_id(cells: &Cells<'_>, rules: &Rules) -> bool {
    let is_id = |place: &usize| {
        *place == rules.distinct_id
            || *place == rules.sent
            || rules.device_and_user.is_some_and(|places| places.contains(place))
    };
    cells.properties.iter().any(|(place, cell)| {
        is_id(place) && matches!(cell, Cell::Float(number) if ids::is_beyond_integers(*number))
    })
}

/// The columns of the properties that are wanted.
struct Wanted {
    /// The places and the columns of the two IDs.
    ids: [(usize, &'static str, StringBuilder); 2],
    /// The places of an event's device and user, in Simplified ID Merge.
    device_and_user: Option<[usize; 2]>,
    values: Vec<Values>,
    /// The cell of the row for each place that counts.
    row: Vec<Option<usize>>,
    rows: usize,
}

struct Values {
    name: String,
    place: usize,
    column: ColumnBuilder,
    is_mixed: bool,
}

impl Wanted {
    fn of(reader: &RowReader) -> Self {
        let mut keys = reader.keys();
        let values = reader.values.iter().map(|name| Values {
            name: name.clone(),
            place: keys.find(name).expect("each value that is wanted has a place"),
            column: ColumnBuilder::expecting(0),
            is_mixed: false,
        });
        let values = values.collect();
        let id = |place, name| (place, name, StringBuilder::new());
        Self {
            ids: [
                id(reader.rules.distinct_id, "distinct_id"),
                id(reader.rules.sent, "$distinct_id_before_identity"),
            ],
            device_and_user: reader.rules.device_and_user,
            values,
            row: vec![None; keys.count()],
            rows: 0,
        }
    }

    /// Adds the properties of a row, nulls if it is not read; of equal keys the last counts. Those
    /// that have `columns` of their own are asked for in Simplified ID Merge.
    fn add(&mut self, cells: Option<&Cells<'_>>, columns: &[(usize, Option<&str>)], buffer: &str) {
        let is_read = cells.is_some();
        self.row.fill(None);
        let cells = cells.map_or(&[][..], |cells| &cells.properties);
        for (number, (place, _)) in cells.iter().enumerate() {
            self.row[*place] = Some(number);
        }
        let cell = |place: usize| self.row[place].map(|number| &cells[number].1);
        let id = |place: usize| cell(place).and_then(|cell| cell.id(buffer));
        let [(own, _, owns), (before, _, befores)] = &mut self.ids;
        if let Some(places) = self.device_and_user.filter(|_| is_read) {
            let of_column = |place| columns.iter().find(|(at, _)| *at == place).and_then(|(_, text)| *text);
            let id = |place| of_column(place).map(Cow::Borrowed).or_else(|| id(place));
            let [device, user] = places.map(id);
            let before = id(*before);
            let event = Named::of(device.as_deref(), user.as_deref());
            owns.append_option(event.event(id(*own).as_deref(), before.as_deref()).sender());
            befores.append_option(before);
        } else {
            owns.append_option(id(*own));
            befores.append_option(id(*before));
        }
        for values in &mut self.values {
            if let Some(cell) = cell(values.place) {
                values.is_mixed |= has_other_type(cell);
                values.column.set(self.rows, cell, buffer);
            }
        }
        self.rows += 1;
    }

    fn finish(self) -> Result<(RecordBatch, Vec<String>), Error> {
        let mut columns: Vec<(String, ArrayRef)> = Vec::new();
        for (_, name, mut column) in self.ids {
            columns.push((name.to_owned(), Arc::new(column.finish())));
        }
        let mut mixed = Vec::new();
        for values in self.values {
            let kinds = values.column.kinds() & !(kind::NULL | kind::LARGE);
            let column = values.column.finish(self.rows);
            if values.is_mixed || kinds.count_ones() > 1 {
                mixed.push(values.name);
            } else {
                let column = column
                    .map_or_else(|| Arc::new(NullArray::new(self.rows)) as ArrayRef, |column| column.dense());
                columns.push((values.name, column));
            }
        }
        let fields = columns.iter().map(|(name, column)| Field::new(name, column.data_type().clone(), true));
        let schema = Schema::new(fields.collect::<Vec<_>>());
        let columns = columns.into_iter().map(|(_, column)| column).collect();
        Ok((RecordBatch::try_new(Arc::new(schema), columns)?, mixed))
    }
}

/// Returns whether Python has the value in another type than its column would: it is nested, an
/// integer beyond 63 bits, or `-0`.
fn has_other_type(cell: &Cell<'_>) -> bool {
    match cell {
        Cell::Nested(_) | Cell::Digits(_) => true,
        Cell::Float(number) => *number == 0.0 || ids::is_beyond_integers(*number),
        _ => false,
    }
}
