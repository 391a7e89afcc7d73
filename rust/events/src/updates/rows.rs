//! Updates that are read, flat: no allocation is an update's own.

/// A text among those of [`Updates`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextRange {
    start: u32,
    end: u32,
}

/// A value, or the head of one that is nested: its parts follow it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Node {
    /// A null.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer of 64 bits with its sign.
    Integer(i64),
    /// An integer of 64 bits without a sign, beyond those with one.
    Unsigned(u64),
    /// A number with a point or an exponent.
    Float(f64),
    /// A text.
    Text(TextRange),
    /// A list of so many values.
    List(u32),
    /// An object of so many pairs, a text and a value each; of equal keys the last counts.
    Object(u32),
}

/// An operation of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its place among [`OPERATIONS`](crate::updates::OPERATIONS).
    pub kind: u8,
    /// The number of its pairs of a property's name and a value; of names alone for `$unset`, and 0
    /// for `$delete`.
    pub count: u32,
    /// The place of the first of their nodes.
    pub first: u32,
}

/// An update that is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stated<'a> {
    /// The ID as it was sent.
    pub distinct_id: &'a str,
    /// Whether it is for the profile of that very ID.
    pub exactly: bool,
    /// Whether it is a row of an export; it has `$set` alone.
    pub is_row: bool,
    /// The operations in the order in which they are applied, at least one.
    pub operations: &'a [Operation],
}

/// Updates, one behind the other.
#[derive(Default)]
pub struct Updates {
    rows: Vec<Row>,
    pub(super) operations: Vec<Operation>,
    pub(super) nodes: Vec<Node>,
    pub(super) text: String,
    /// Whether the update that is being read has a float that is zero.
    pub(super) has_zero: bool,
    /// Whether rows of exports are read.
    pub(super) takes_rows: bool,
}

/// The part of an update beside its operations.
#[derive(Clone, Copy, Default)]
pub(super) struct Head {
    pub distinct_id: TextRange,
    pub exactly: bool,
    pub is_row: bool,
}

struct Row {
    head: Head,
    /// The end of its operations; they begin where those of the row before end.
    end: u32,
}

impl Updates {
    /// Returns no updates, to which rows of exports are added too if `takes_rows`.
    pub fn new(takes_rows: bool) -> Self {
        Self { takes_rows, ..Self::default() }
    }

    /// Adds an update whose operations are there.
    pub(super) fn push(&mut self, head: Head) {
        self.rows.push(Row { head, end: self.operations.len() as u32 });
    }

    /// Removes all updates; their memory stays.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.operations.clear();
        self.nodes.clear();
        self.text.clear();
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the update of a row, None if it is declined.
    #[inline]
    pub fn stated(&self, row: usize) -> Option<Stated<'_>> {
        let start = if row == 0 { 0 } else { self.rows[row - 1].end as usize };
        let Row { head: Head { distinct_id, exactly, is_row }, end } = self.rows[row];
        let operations = &self.operations[start..end as usize];
        let stated = Stated { distinct_id: self.text(distinct_id), exactly, is_row, operations };
        (!operations.is_empty()).then_some(stated)
    }

    /// Returns the node at a place.
    #[inline]
    pub fn node(&self, place: u32) -> Node {
        self.nodes[place as usize]
    }

    /// Returns a text.
    #[inline]
    pub fn text(&self, range: TextRange) -> &str {
        &self.text[range.start as usize..range.end as usize]
    }

    /// Keeps a text.
    #[inline]
    pub(super) fn keep(&mut self, text: &str) -> TextRange {
        let start = self.text.len() as u32;
        self.text.push_str(text);
        TextRange { start, end: self.text.len() as u32 }
    }
}
