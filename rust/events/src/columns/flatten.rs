//! Lines of events as a table whose columns are known.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{Schema, SchemaRef};

use crate::columns::table::{NamedKinds, TableBuilder, fields_of};
use crate::error::Error;
use crate::json::cells::{Cells, Spare};
use crate::lines::{Filling, check_length, each_line};
use crate::links::DEVICE_AND_USER;
use crate::schema::Names;

/// Turns lines of events into tables with the same columns.
pub struct Flattener {
    /// Each property's name and kinds.
    properties: Vec<(String, u8)>,
    schema: SchemaRef,
    longest: usize,
    is_simplified: bool,
}

/// Lines as a table, or the lines that are declined.
pub struct Flattened {
    /// The table; None while there are holes.
    pub table: Option<RecordBatch>,
    /// The lines that are declined: their numbers, counted from 0, and their bytes.
    pub holes: Vec<(u32, Vec<u8>)>,
    /// The number of lines, blank ones included.
    pub lines: u32,
}

impl Flattener {
    /// Takes the properties, and the longest line in bytes.
    pub fn new(properties: Vec<NamedKinds>, longest: usize) -> Self {
        let schema = Arc::new(Schema::new(fields_of(&properties)));
        let properties = properties.into_iter().map(|(name, _, kinds)| (name, kinds)).collect();
        Self { properties, schema, longest, is_simplified: false }
    }

    /// Takes events for those of Simplified ID Merge.
    #[must_use]
    pub fn simplified(self) -> Self {
        Self { is_simplified: true, ..self }
    }

    /// Returns the schema of the tables.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Turns the lines of `head` and of `text` behind it into a table.
    ///
    /// `filled` holds, for each line that was declined in an earlier call, an event's JSON, or None
    /// for no event.
    ///
    /// # Errors
    ///
    /// There are 2 GiB or more, a hole is filled with no event, or a value is of a kind that its
    /// column does not hold.
    pub fn flatten<T: AsRef<[u8]>>(
        &self,
        head: &[u8],
        text: &[u8],
        filled: Option<&[Option<T>]>,
    ) -> Result<Flattened, Error> {
        check_length(head, text)?;
        let mut rows = Rows::of(self, head.len() + text.len());
        let mut holes = Vec::new();
        let mut filling = filled.map(Filling::of);
        let lines = each_line(head, text, self.longest, |line| {
            if line.text.is_some_and(|text| rows.add(text, TableBuilder::add)) {
                return;
            }
            match &mut filling {
                None => holes.push((line.number, line.seen.to_vec())),
                Some(filling) => {
                    filling.fill(line.number, |event| rows.add(event, TableBuilder::add_plain));
                }
            }
        });
        filling.map_or(Ok(()), Filling::finish)?;
        let table = if holes.is_empty() { Some(rows.finish(&self.schema)?) } else { None };
        Ok(Flattened { table, holes, lines })
    }
}

/// The rows that are read so far.
struct Rows {
    names: Names,
    buffer: String,
    spare: Spare,
    table: TableBuilder,
}

impl Rows {
    fn of(flattener: &Flattener, length: usize) -> Self {
        let mut rows = Self {
            names: Names::default(),
            buffer: String::new(),
            spare: Spare::default(),
            table: TableBuilder::of(length, flattener.is_simplified),
        };
        for (name, kinds) in &flattener.properties {
            rows.names.add(name);
            rows.table.expect(name, *kinds);
        }
        let is_new = |name: &&&str| flattener.properties.iter().all(|(known, _)| known != **name);
        for name in DEVICE_AND_USER.iter().filter(|_| flattener.is_simplified).filter(is_new) {
            rows.names.add(name);
            rows.table.skip(name);
        }
        rows
    }

    /// Adds the event in `line` by `add`, and returns false if it is declined.
    fn add(&mut self, line: &str, add: impl FnOnce(&mut TableBuilder, &Cells<'_>, &str) -> bool) -> bool {
        let cells = Cells::read(line, &mut self.names, &mut self.buffer, &mut self.spare);
        let Some(cells) = cells else { return false };
        let is_added = add(&mut self.table, &cells, &self.buffer);
        self.spare.take_back(cells);
        is_added
    }

    fn finish(self, schema: &SchemaRef) -> Result<RecordBatch, Error> {
        if self.table.misfits().next().is_some() {
            return Err(Error::Value("the events are not those whose properties were looked at".to_owned()));
        }
        let count = self.table.count();
        let (always, plain) = self.table.finish();
        let plain = plain.into_iter().map(|(_, column)| column.finish_with_nulls(count));
        let columns: Vec<ArrayRef> = always.into_iter().chain(plain).collect();
        Ok(RecordBatch::try_new(schema.clone(), columns)?)
    }
}
