//! Events read once: for what they state, and as columns before it is known which properties there are.
//!
//! Of which kinds the values of a property are is guessed: as those of events before, or as its first value.
//! If that was wrong the events are read again with all that is known then, so nothing depends on guesses but
//! the time.

use std::collections::{HashMap, HashSet};

use arrow_array::{Array, ArrayRef};

use crate::cells::{Cells, Spare};
use crate::events::{Rules, Stated};
use crate::rows::Rows;
use crate::shape::Shape;

/// Cells of a block's columns, empty ones included: more than a block of dense events can have, some times over.
const MOST_CELLS: usize = 1 << 22;

/// Names of properties, and the kinds of their values.
pub type Kinds = Vec<(String, u8)>;

/// What is known of the properties that become columns.
#[derive(Clone)]
pub struct Expected {
    kinds: HashMap<String, u8>,
    /// The only ones that become columns; None for all.
    chosen: Option<HashSet<String>>,
}

impl Expected {
    /// Returns that nothing is known, but that only the `chosen` properties become columns.
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
    plain: HashMap<Box<str>, ArrayRef>,
}

impl Columns {
    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn bytes(&self) -> usize {
        self.always.iter().chain(self.plain.values()).map(Array::get_array_memory_size).sum()
    }

    /// Returns the columns that every table has.
    pub fn always(&self) -> &[ArrayRef; 4] {
        &self.always
    }

    /// Returns the column of a property; None if all its rows are null.
    pub fn plain(&self, name: &str) -> Option<&ArrayRef> {
        self.plain.get(name)
    }
}

/// What was found in a line.
#[derive(Default)]
pub struct Read<'a> {
    pub stated: Option<Stated<'a>>,
    pub is_in_shape: bool,
    pub is_in_columns: bool,
}

/// Reads events, and learns which properties they have.
pub struct Learner<'r> {
    rules: &'r Rules,
    expected: &'r Expected,
    shape: Shape,
    rows: Rows,
    room: String,
    spare: Spare,
    /// Whether the columns have more cells than should be held.
    is_too_sparse: bool,
}

impl<'r> Learner<'r> {
    /// Takes what is known already, and the length of the text that is to be read.
    pub fn of(rules: &'r Rules, expected: &'r Expected, length: usize) -> Self {
        let shape = Shape::of(rules.keys());
        Self {
            rules,
            expected,
            shape,
            rows: Rows::of(length),
            room: String::new(),
            spare: Spare::default(),
            is_too_sparse: false,
        }
    }

    /// Reads the event in `line`; `row`, `observe` and `unescaped` are those of [`Rules::stated`].
    pub fn read<'a>(
        &'a mut self,
        line: &'a str,
        row: usize,
        observe: u8,
        unescaped: &'a mut String,
    ) -> Read<'a> {
        let Some(cells) = Cells::read(line, &mut self.shape, &mut self.room, &mut self.spare) else {
            return Read::default();
        };
        self.shape.take_row(row, cells.properties.iter().map(|(place, cell)| (*place, cell.kind())));
        let is_in_columns =
            self.is_too_sparse || add(&mut self.rows, &self.shape, self.expected, &cells, &self.room);
        if self.rows.cells() > MOST_CELLS {
            self.give_up_columns();
        }
        let stated = self.rules.stated_by(&cells, &self.room, observe, unescaped);
        self.spare.take_back(cells);
        Read { stated, is_in_shape: true, is_in_columns }
    }

    #[cold]
    fn give_up_columns(&mut self) {
        (self.is_too_sparse, self.rows) = (true, Rows::of(0));
    }

    /// Adds an event that Python read to the columns alone, and returns whether it was one.
    pub fn fill(&mut self, line: &str) -> bool {
        let cells = Cells::read(line, &mut self.shape, &mut self.room, &mut self.spare);
        cells.is_some_and(|cells| {
            self.is_too_sparse || add(&mut self.rows, &self.shape, self.expected, &cells, &self.room)
        })
    }

    /// Returns the shape of the events and their columns, if they were few enough; if these were wrongly guessed,
    /// what is known now.
    pub fn finish(self) -> Result<(Shape, Option<Columns>), Kinds> {
        if self.is_too_sparse {
            return Ok((self.shape, None));
        }
        let name = |place: usize| self.shape.names().name(place);
        let misfits: Vec<_> =
            self.rows.misfits().map(|(place, kinds)| (name(place).to_owned(), kinds)).collect();
        if !misfits.is_empty() {
            return Err(misfits);
        }
        let rows = self.rows.count();
        let (always, plain) = self.rows.finish();
        let plain = plain.into_iter().filter_map(|(place, column)| {
            let array = column.finish(rows)?;
            (array.null_count() < rows).then(|| (name(place).into(), array))
        });
        let columns = Columns { rows, always, plain: plain.collect() };
        Ok((self.shape, Some(columns)))
    }
}

fn add(rows: &mut Rows, shape: &Shape, expected: &Expected, cells: &Cells<'_>, room: &str) -> bool {
    let names = shape.names();
    while rows.places() < names.count() {
        let name = names.name(rows.places());
        if expected.chosen.as_ref().is_none_or(|chosen| chosen.contains(name)) {
            rows.expect(name, expected.kinds.get(name).copied().unwrap_or_default());
        } else {
            rows.pass_over();
        }
    }
    rows.add(cells, room)
}
