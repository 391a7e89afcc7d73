//! A column that keeps only the rows that have a value.
//!
//! Thousands of properties of which each event has a few take the memory of their values. A column
//! gets all its rows when it is encoded or shown, one column at a time.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, PrimitiveArray, StringArray, new_empty_array};
use arrow_buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType};

/// A column of text, integers, floats or truth values; its other rows are null.
#[derive(Clone)]
pub struct SparseColumn {
    /// The number of rows, those without a value included.
    count: usize,
    /// The rows that have a value, in their order.
    rows: ScalarBuffer<u32>,
    /// Their values, none of which is null.
    values: ArrayRef,
}

impl SparseColumn {
    /// Takes the number of rows, those that have a value in their order, and these values.
    pub(crate) fn new(count: usize, rows: Vec<u32>, values: ArrayRef) -> Self {
        debug_assert!(rows.len() == values.len() && rows.last().is_none_or(|&last| (last as usize) < count));
        Self { count, rows: rows.into(), values }
    }

    /// Returns a column of so many rows without a value.
    pub fn without_values(count: usize, kind: &DataType) -> Self {
        Self { count, rows: Vec::new().into(), values: new_empty_array(kind) }
    }

    /// Returns the type of the values.
    pub fn data_type(&self) -> &DataType {
        self.values.data_type()
    }

    /// Returns whether no row has a value.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the bytes that the column takes.
    pub fn bytes(&self) -> usize {
        self.rows.inner().capacity() + self.values.get_array_memory_size()
    }

    /// Returns the column with all its rows.
    pub fn dense(&self) -> ArrayRef {
        if self.rows.len() == self.count {
            return self.values.clone();
        }
        match self.values.data_type() {
            DataType::Int64 => Arc::new(self.dense_numbers::<Int64Type>()),
            DataType::Float64 => Arc::new(self.dense_numbers::<Float64Type>()),
            DataType::Boolean => {
                let given = self.values.as_boolean();
                let mut values = vec![false; self.count];
                for (&row, value) in self.rows.iter().zip(given.values()) {
                    values[row as usize] = value;
                }
                Arc::new(BooleanArray::new(BooleanBuffer::from(values), Some(self.nulls())))
            }
            _ => Arc::new(self.dense_texts()),
        }
    }

    /// Returns some of the rows.
    #[must_use]
    pub fn slice(&self, rows: Range<usize>) -> Self {
        let place = |row: usize| self.rows.partition_point(|&other| (other as usize) < row);
        let (first, last) = (place(rows.start), place(rows.end));
        let chosen = self.rows[first..last].iter().map(|&row| row - rows.start as u32);
        let chosen = chosen.collect::<Vec<_>>().into();
        Self { count: rows.len(), rows: chosen, values: self.values.slice(first, last - first) }
    }

    /// Returns the rows that have a place in `places`; there are `count` places.
    ///
    /// # Errors
    ///
    /// None; the library's filter may fail where lengths differ.
    pub(crate) fn filtered(&self, places: &[Option<u32>], count: usize) -> Result<Self, ArrowError> {
        let place_of = |&row: &u32| places[row as usize];
        let are_kept: Vec<bool> = self.rows.iter().map(|row| place_of(row).is_some()).collect();
        let values = arrow_select::filter::filter(&self.values, &are_kept.into())?;
        let rows = self.rows.iter().filter_map(place_of).collect::<Vec<_>>().into();
        Ok(Self { count, rows, values })
    }

    /// Returns the column as one of a wider type, which loses nothing; None if that cannot be.
    ///
    /// # Errors
    ///
    /// None; the library's cast may fail where a value does not fit.
    pub fn widened(&self, wanted: &DataType) -> Result<Option<Self>, ArrowError> {
        let values = match (self.values.data_type(), wanted) {
            (own, wanted) if own == wanted => self.values.clone(),
            // The kinds of all values show that these integers are exact as doubles.
            (DataType::Int64, DataType::Float64 | DataType::Utf8) | (DataType::Boolean, DataType::Utf8) => {
                arrow_cast::cast(&self.values, wanted)?
            }
            // It is unknown by now which fractions came as integers.
            _ => return Ok(None),
        };
        Ok(Some(Self { count: self.count, rows: self.rows.clone(), values }))
    }

    fn dense_numbers<T: ArrowPrimitiveType>(&self) -> PrimitiveArray<T> {
        let given = self.values.as_primitive::<T>().values();
        let mut values = vec![T::Native::default(); self.count];
        for (&row, &value) in self.rows.iter().zip(given) {
            values[row as usize] = value;
        }
        PrimitiveArray::new(values.into(), Some(self.nulls()))
    }

    /// Returns the texts with all rows; the texts themselves are shared.
    fn dense_texts(&self) -> StringArray {
        let given = self.values.as_string::<i32>();
        let ends = &given.offsets()[1..];
        let mut offsets = Vec::with_capacity(self.count + 1);
        let mut end = given.offsets()[0];
        for (&row, &next) in self.rows.iter().zip(ends) {
            offsets.resize(row as usize + 1, end);
            end = next;
        }
        offsets.resize(self.count + 1, end);
        StringArray::new(OffsetBuffer::new(offsets.into()), given.values().clone(), Some(self.nulls()))
    }

    fn nulls(&self) -> NullBuffer {
        let mut has_value = vec![0_u8; self.count.div_ceil(8)];
        for &row in &self.rows {
            has_value[row as usize / 8] |= 1 << (row % 8);
        }
        NullBuffer::new(BooleanBuffer::new(has_value.into(), 0, self.count))
    }
}
