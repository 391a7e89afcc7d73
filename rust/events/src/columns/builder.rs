//! A column builder whose type follows from the kinds of the values, expected or met.

#![expect(clippy::cast_precision_loss, reason = "what is beyond 53 bits goes into no column of doubles")]

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{BooleanBuilder, Float64Builder, Int64Builder, StringBuilder};
use arrow_schema::DataType;

use crate::columns::sparse::SparseColumn;
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
    /// The values of the rows that have one.
    values: Values,
    rows: Vec<u32>,
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
        Self { values, rows: Vec::new(), kinds, written: 0 }
    }

    /// Writes a cell into `row`, unless that is written already; all rows behind it are not.
    ///
    /// There are fewer than 2³² rows.
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
        if self.values.append(cell, buffer) {
            self.rows.push(row as u32);
        }
    }

    /// Returns the kinds of the values that were expected, and of those that were met.
    pub fn kinds(&self) -> u8 {
        self.kinds
    }

    /// Returns whether all values found a place in the type that was expected.
    pub fn is_exact(&self) -> bool {
        self.values.data_type().is_none_or(|own| own == arrow_type(self.kinds))
    }

    /// Returns the column of so many rows; None if no value was met and none is expected.
    pub fn finish(self, rows: usize) -> Option<SparseColumn> {
        let values: ArrayRef = match self.values {
            Values::None => return None,
            Values::Text(mut column) => Arc::new(column.finish()),
            Values::Integer(mut column) => Arc::new(column.finish()),
            Values::Float(mut column) => Arc::new(column.finish()),
            Values::Bool(mut column) => Arc::new(column.finish()),
        };
        Some(SparseColumn::new(rows, self.rows, values))
    }

    /// Returns the column with all its rows, also if all are null.
    pub fn finish_with_nulls(self, rows: usize) -> ArrayRef {
        let kinds = self.kinds;
        self.finish(rows).unwrap_or_else(|| SparseColumn::without_values(rows, &arrow_type(kinds))).dense()
    }
}

impl Values {
    fn of(kinds: u8) -> Self {
        match arrow_type(kinds) {
            DataType::Int64 => Self::Integer(Int64Builder::with_capacity(0)),
            DataType::Float64 => Self::Float(Float64Builder::with_capacity(0)),
            DataType::Boolean => Self::Bool(BooleanBuilder::with_capacity(0)),
            _ => Self::Text(StringBuilder::with_capacity(0, 0)),
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

    /// Appends a cell, and returns false if the type cannot hold it, which the set of kinds shows.
    #[inline]
    fn append(&mut self, cell: &Cell<'_>, buffer: &str) -> bool {
        match (self, cell) {
            (Self::Text(column), Cell::Borrowed(text)) => column.append_value(text),
            (Self::Text(column), cell) => match cell.text(buffer) {
                Some(text) => column.append_value(text),
                None => return false,
            },
            (Self::Integer(column), Cell::Integer(number)) => column.append_value(*number),
            (Self::Float(column), Cell::Integer(number)) => column.append_value(*number as f64),
            (Self::Float(column), Cell::Float(number)) if number.is_finite() => column.append_value(*number),
            (Self::Bool(column), Cell::Bool(value)) => column.append_value(*value),
            _ => return false,
        }
        true
    }
}
