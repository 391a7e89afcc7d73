//! A column builder whose type follows from the kinds of the values, expected or met.

#![expect(clippy::cast_precision_loss, reason = "what is beyond 53 bits goes into no column of doubles")]

use std::sync::Arc;

use arrow_array::builder::{ArrayBuilder, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, new_null_array};
use arrow_schema::DataType;

use crate::json::cells::Cell;
use crate::schema::kind;

/// Returns the type of a column whose values are of these kinds: text, unless it would hold all of
/// them exactly.
pub fn arrow_type(kinds: u8) -> DataType {
    match kinds & !kind::NULL {
        0 => DataType::Utf8,
        kind::BOOL => DataType::Boolean,
        integers if integers & !(kind::INTEGER | kind::LARGE) == 0 => DataType::Int64,
        numbers if numbers & !(kind::INTEGER | kind::FLOAT) == 0 => DataType::Float64,
        _ => DataType::Utf8,
    }
}

/// A builder of one column: rows that are not written are null.
pub struct ColumnBuilder {
    values: Values,
    /// The kinds of the values that were expected, and of those that were met.
    kinds: u8,
    /// The row that was written last, counted from 1.
    written: usize,
}

enum Values {
    /// No value was met, and none is expected.
    None,
    Text(StringBuilder),
    Integer(Int64Builder),
    Float(Float64Builder),
    Bool(BooleanBuilder),
}

impl ColumnBuilder {
    /// Returns a column without rows that expects values of these kinds.
    pub fn expecting(kinds: u8) -> Self {
        let values = if kinds & !kind::NULL == 0 { Values::None } else { Values::of(kinds) };
        Self { values, kinds, written: 0 }
    }

    /// Writes a cell into `row`, unless that is written already; all rows behind it are not.
    #[inline]
    pub fn set(&mut self, row: usize, cell: &Cell<'_>, buffer: &str) {
        if self.written > row {
            return;
        }
        self.written = row + 1;
        let kind = cell.kind();
        if kind == kind::NULL {
            return;
        }
        self.kinds |= kind;
        if matches!(self.values, Values::None) {
            self.values = Values::of(kind);
        }
        self.values.grow(row);
        self.values.append(cell, buffer);
    }

    /// Returns the kinds of the values that were expected, and of those that were met.
    pub fn kinds(&self) -> u8 {
        self.kinds
    }

    /// Returns whether all values found a place in the type that was expected.
    pub fn is_exact(&self) -> bool {
        self.values.data_type().is_none_or(|own| own == arrow_type(self.kinds))
    }

    /// Returns the column, null at its end where it has fewer rows; None if it has no value.
    pub fn finish(mut self, rows: usize) -> Option<ArrayRef> {
        self.values.grow(rows);
        Some(match self.values {
            Values::None => return None,
            Values::Text(mut column) => Arc::new(column.finish()),
            Values::Integer(mut column) => Arc::new(column.finish()),
            Values::Float(mut column) => Arc::new(column.finish()),
            Values::Bool(mut column) => Arc::new(column.finish()),
        })
    }

    /// Returns the column, also if all its rows are null.
    pub fn finish_with_nulls(self, rows: usize) -> ArrayRef {
        let kinds = self.kinds;
        self.finish(rows).unwrap_or_else(|| new_null_array(&arrow_type(kinds), rows))
    }
}

impl Values {
    fn of(kinds: u8) -> Self {
        match arrow_type(kinds) {
            DataType::Int64 => Self::Integer(Int64Builder::new()),
            DataType::Float64 => Self::Float(Float64Builder::new()),
            DataType::Boolean => Self::Bool(BooleanBuilder::new()),
            _ => Self::Text(StringBuilder::new()),
        }
    }

    fn data_type(&self) -> Option<DataType> {
        Some(match self {
            Self::None => return None,
            Self::Text(_) => DataType::Utf8,
            Self::Integer(_) => DataType::Int64,
            Self::Float(_) => DataType::Float64,
            Self::Bool(_) => DataType::Boolean,
        })
    }

    /// Appends a cell; null if the type cannot hold it, which the set of kinds shows.
    #[inline]
    fn append(&mut self, cell: &Cell<'_>, buffer: &str) {
        match (self, cell) {
            (Self::None, _) => (),
            (Self::Text(column), Cell::Borrowed(text)) => column.append_value(text),
            (Self::Text(column), cell) => column.append_option(cell.text(buffer)),
            (Self::Integer(column), Cell::Integer(number)) => column.append_value(*number),
            (Self::Integer(column), _) => column.append_null(),
            (Self::Float(column), Cell::Integer(number)) => column.append_value(*number as f64),
            (Self::Float(column), Cell::Float(number)) => {
                column.append_option(Some(*number).filter(|number| number.is_finite()));
            }
            (Self::Float(column), _) => column.append_null(),
            (Self::Bool(column), Cell::Bool(value)) => column.append_value(*value),
            (Self::Bool(column), _) => column.append_null(),
        }
    }

    /// Adds nulls until there are this many rows.
    #[inline]
    fn grow(&mut self, rows: usize) {
        let count = match self {
            Self::None => return,
            Self::Text(column) => column.len(),
            Self::Integer(column) => column.len(),
            Self::Float(column) => column.len(),
            Self::Bool(column) => column.len(),
        };
        if count < rows {
            self.append_nulls(rows - count);
        }
    }

    fn append_nulls(&mut self, count: usize) {
        match self {
            Self::None => (),
            Self::Text(column) => column.append_nulls(count),
            Self::Integer(column) => column.append_nulls(count),
            Self::Float(column) => column.append_nulls(count),
            Self::Bool(column) => column.append_nulls(count),
        }
    }
}
