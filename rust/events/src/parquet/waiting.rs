//! Events that wait as columns until their canonical IDs are known, for partitions.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{Field, Schema};

use crate::columns::{Columns, NamedKinds, SparseColumn, always, is_plain};
use crate::error::Error;
use crate::parquet::row_group::{ALWAYS, CANONICAL, IdNumbers, sent_ids};

/// The most cells of a batch, empty ones included: some tens of MB, and more than an ordinary block
/// has, so that only blocks of many sparse columns become several batches.
pub const MOST_CELLS: usize = 1 << 22;

/// The events of a block as batches, the IDs that were sent as
/// [`SentIds`](crate::parquet::SentIds) reads them. Each is made when it is asked for.
///
/// Of each batch columns without a value are missing, and others have the types that the block
/// needs.
pub struct WaitingEvents {
    always: Vec<(Field, ArrayRef)>,
    plain: Vec<(String, SparseColumn)>,
    rows: usize,
    /// The most rows of a batch.
    most: usize,
    /// The first row of the next batch.
    next: usize,
}

impl WaitingEvents {
    /// Takes the events of a block, and the most cells of a batch.
    pub fn of(block: &Columns, numbers: &IdNumbers, properties: &[NamedKinds], most_cells: usize) -> Self {
        let mut columns: Vec<ArrayRef> = block.always().to_vec();
        columns[CANONICAL] = Arc::new(sent_ids(block, numbers));
        let named = |(field, column): (Field, ArrayRef)| {
            (Field::new(field.name(), column.data_type().clone(), true), column)
        };
        let with_values = properties.iter().filter(|(name, ..)| is_plain(name));
        let plain: Vec<_> = with_values
            .filter_map(|(name, column, _)| Some((column.clone(), block.plain(name)?.clone())))
            .collect();
        let most = (most_cells / (plain.len() + ALWAYS)).max(1);
        let always = always().into_iter().zip(columns).map(named).collect();
        Self { always, plain, rows: block.rows(), most, next: 0 }
    }

    fn batch(&self, rows: &Range<usize>) -> Result<RecordBatch, Error> {
        let (mut fields, mut columns) = (Vec::new(), Vec::<ArrayRef>::new());
        for (field, column) in &self.always {
            fields.push(field.clone());
            columns.push(column.slice(rows.start, rows.len()));
        }
        for (name, column) in &self.plain {
            let column = column.slice(rows.clone());
            if !column.is_empty() {
                fields.push(Field::new(name, column.data_type().clone(), true));
                columns.push(column.dense());
            }
        }
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
    }
}

impl Iterator for WaitingEvents {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let rows = self.next..self.rows.min(self.next + self.most);
        self.next = rows.end;
        (!rows.is_empty()).then(|| self.batch(&rows))
    }
}
