//! Events that wait as columns until their canonical IDs are known, for partitions.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{Field, Schema};

use crate::columns::{Columns, NamedKinds, always, is_plain};
use crate::error::Error;
use crate::parquet::row_group::{ALWAYS, CANONICAL, IdNumbers, sent_ids};

/// The most cells of a batch, empty ones included, so that many sparse columns do not fill the
/// memory.
const MAX_CELLS: usize = 1 << 18;

/// Returns the events of a block as batches, the IDs that were sent as
/// [`SentIds`](crate::parquet::SentIds) reads them.
///
/// Of each batch columns without a value are missing, and others have the types that the block
/// needs.
pub fn waiting_events(
    block: &Columns,
    numbers: &IdNumbers,
    properties: &[NamedKinds],
) -> Result<Vec<RecordBatch>, Error> {
    let plain: Vec<_> = properties
        .iter()
        .filter_map(|(name, column, _)| is_plain(name).then(|| Some((column, block.plain(name)?))).flatten())
        .collect();
    let mut always_there: Vec<ArrayRef> = block.always().to_vec();
    always_there[CANONICAL] = Arc::new(sent_ids(block, numbers));
    let most = (MAX_CELLS / (plain.len() + ALWAYS)).max(1);
    let starts = (0..block.rows().max(1)).step_by(most);
    let batches = starts.map(|start| {
        let rows = start..block.rows().min(start + most);
        let (mut fields, mut columns) = (Vec::new(), Vec::<ArrayRef>::new());
        for (field, column) in always().iter().zip(&always_there) {
            fields.push(Field::new(field.name(), column.data_type().clone(), true));
            columns.push(column.slice(rows.start, rows.len()));
        }
        for (name, column) in &plain {
            let column = column.slice(rows.clone());
            if !column.is_empty() {
                fields.push(Field::new(*name, column.data_type().clone(), true));
                columns.push(column.dense());
            }
        }
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
    });
    batches.collect()
}
