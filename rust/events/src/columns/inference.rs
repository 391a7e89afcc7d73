//! Schema inference: events read once, for the links that they state and as columns, before the
//! properties are known.
//!
//! The kinds of a property's values are guessed: they are those of earlier events, or that of its
//! first value. If a guess was wrong, the events are read again with all kinds that are known then,
//! so guesses cost time and change no answer.

use std::collections::{HashMap, HashSet};

use arrow_array::{Array, ArrayRef, BooleanArray};
use arrow_schema::ArrowError;
use arrow_select::filter::FilterBuilder;

use crate::columns::sparse::SparseColumn;
use crate::columns::table::TableBuilder;
use crate::error::Error;
use crate::json::cells::{Cells, Spare};
use crate::links::{Rules, Stated};
use crate::schema::Properties;

/// Names of properties, and the kinds of their values.
pub type Kinds = Vec<(String, u8)>;

/// The kinds that are expected of properties, and the choice of those that become columns.
#[derive(Clone)]
pub struct ExpectedKinds {
    kinds: HashMap<String, u8>,
    /// The only ones that become columns; None for all.
    chosen: Option<HashSet<String>>,
}

impl ExpectedKinds {
    /// Expects nothing; only the `chosen` properties become columns, or all.
    pub fn of(chosen: Option<HashSet<String>>) -> Self {
        Self { kinds: HashMap::new(), chosen }
    }

    /// Takes the kinds that the values of properties have.
    pub fn take(&mut self, properties: Kinds) {
        self.kinds.extend(properties);
    }
}

/// Events as columns, without those whose rows are all null.
pub struct Columns {
    rows: usize,
    always: [ArrayRef; 4],
    plain: HashMap<Box<str>, SparseColumn>,
}

impl Columns {
    /// Returns the number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the bytes that the columns take.
    pub fn bytes(&self) -> usize {
        let always: usize = self.always.iter().map(Array::get_array_memory_size).sum();
        always + self.plain.values().map(SparseColumn::bytes).sum::<usize>()
    }

    /// Returns the columns that every table has.
    pub fn always(&self) -> &[ArrayRef; 4] {
        &self.always
    }

    /// Returns the times.
    pub fn times(&self) -> &ArrayRef {
        &self.always[1]
    }

    /// Replaces the times.
    ///
    /// # Errors
    ///
    /// They are no times in milliseconds of UTC, or more or fewer.
    pub fn set_times(&mut self, times: ArrayRef) -> Result<(), Error> {
        let own = self.times();
        if (times.len(), times.data_type()) != (own.len(), own.data_type()) {
            let given = format!("{} of {}", times.len(), times.data_type());
            return Err(Error::Value(format!("{} times must be given, got {given}", own.len())));
        }
        self.always[1] = times;
        Ok(())
    }

    /// Returns the IDs as they were sent.
    pub fn sent(&self) -> &ArrayRef {
        &self.always[2]
    }

    /// Returns the column of a property; None if all its rows are null.
    pub fn plain(&self, name: &str) -> Option<&SparseColumn> {
        self.plain.get(name)
    }

    /// Returns the rows for which `keeps` is true.
    ///
    /// # Errors
    ///
    /// There are more or fewer rows.
    pub fn filtered(&self, keeps: &BooleanArray) -> Result<Self, ArrowError> {
        if keeps.len() != self.rows {
            let lengths = format!("{} of {} rows are chosen from", keeps.len(), self.rows);
            return Err(ArrowError::InvalidArgumentError(lengths));
        }
        let kept = FilterBuilder::new(keeps).optimize().build();
        let always = self.always.iter().map(|column| kept.filter(column));
        let always: Vec<ArrayRef> = always.collect::<Result<_, _>>()?;
        let always = always.try_into().expect("as many as before");
        let mut rows = 0;
        let place = |keeps: bool| {
            keeps.then(|| {
                rows += 1;
                rows - 1
            })
        };
        let places: Vec<Option<u32>> = keeps.values().iter().map(place).collect();
        let rows = rows as usize;
        let mut plain = HashMap::with_capacity(self.plain.len());
        for (name, column) in &self.plain {
            let column = column.filtered(&places, rows)?;
            if !column.is_empty() {
                plain.insert(name.clone(), column);
            }
        }
        Ok(Self { rows, always, plain })
    }
}

/// The result of reading one line.
#[derive(Default)]
pub struct LineRead<'a> {
    /// The step that it states; None if that is declined.
    pub stated: Option<Stated<'a>>,
    /// Whether its properties were taken.
    pub has_properties: bool,
    /// Whether it is a row of the columns.
    pub is_in_columns: bool,
}

/// Reads events, and infers the schema of their columns.
pub struct Inference<'r> {
    rules: &'r Rules,
    expected: &'r ExpectedKinds,
    properties: Properties,
    table: TableBuilder,
    buffer: String,
    spare: Spare,
}

impl<'r> Inference<'r> {
    /// Takes the kinds that are expected, and the length of the text that is to be read.
    pub fn of(rules: &'r Rules, expected: &'r ExpectedKinds, length: usize) -> Self {
        let properties = Properties::of(rules.keys());
        Self {
            rules,
            expected,
            properties,
            table: TableBuilder::of(length, rules.is_simplified()),
            buffer: String::new(),
            spare: Spare::default(),
        }
    }

    /// Reads the event in `line`; `row`, `observe` and `unescaped` are those of [`Rules::stated`].
    pub fn read<'a>(
        &'a mut self,
        line: &'a str,
        row: usize,
        observe: u8,
        unescaped: &'a mut String,
    ) -> LineRead<'a> {
        let Some(cells) = Cells::read(line, &mut self.properties, &mut self.buffer, &mut self.spare) else {
            return LineRead::default();
        };
        self.properties.take_row(row, cells.properties.iter().map(|(place, cell)| (*place, cell.kind())));
        expect(&mut self.table, &self.properties, self.expected);
        let is_in_columns = self.table.add(&cells, &self.buffer);
        let stated = self.rules.stated_by(&cells, &[], &self.buffer, observe, unescaped);
        self.spare.take_back(cells);
        LineRead { stated, has_properties: true, is_in_columns }
    }

    /// Adds an event of the caller's to the columns alone, and returns whether it was one.
    pub fn fill(&mut self, line: &str) -> bool {
        let cells = Cells::read(line, &mut self.properties, &mut self.buffer, &mut self.spare);
        cells.is_some_and(|cells| {
            expect(&mut self.table, &self.properties, self.expected);
            self.table.add_plain(&cells, &self.buffer)
        })
    }

    /// Returns the properties of the events, and their columns.
    ///
    /// # Errors
    ///
    /// The kinds of the properties that did not fit the types guessed for their columns.
    pub fn finish(self) -> Result<(Properties, Columns), Kinds> {
        let name = |place: usize| self.properties.names().name(place);
        let misfits: Vec<_> =
            self.table.misfits().map(|(place, kinds)| (name(place).to_owned(), kinds)).collect();
        if !misfits.is_empty() {
            return Err(misfits);
        }
        let rows = self.table.count();
        let (always, plain) = self.table.finish();
        let plain = plain.into_iter().filter_map(|(place, column)| {
            let column = column.finish(rows)?;
            (!column.is_empty()).then(|| (name(place).into(), column))
        });
        let columns = Columns { rows, always, plain: plain.collect() };
        Ok((self.properties, columns))
    }
}

/// Makes the columns of properties that are new.
fn expect(table: &mut TableBuilder, properties: &Properties, expected: &ExpectedKinds) {
    let names = properties.names();
    while table.places() < names.count() {
        let name = names.name(table.places());
        if expected.chosen.as_ref().is_none_or(|chosen| chosen.contains(name)) {
            table.expect(name, expected.kinds.get(name).copied().unwrap_or_default());
        } else {
            table.skip(name);
        }
    }
}
