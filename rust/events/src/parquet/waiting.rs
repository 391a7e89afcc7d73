//! Events that wait as columns until their canonical IDs are known, for partitions.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{Field, Schema};

use crate::columns::{Columns, NamedKinds, always, is_plain};
use crate::error::Error;
use crate::parquet::row_group::{CANONICAL, IdNumbers, sent_ids};

/// Returns the events of a block as a batch, the IDs that were sent as
/// [`SentIds`](crate::parquet::SentIds) reads them.
///
/// Columns without a value are missing, and others have the types that the block needs.
pub fn waiting_events(
    block: &Columns,
    numbers: &IdNumbers,
    properties: &[NamedKinds],
) -> Result<RecordBatch, Error> {
    let (mut fields, mut columns) = (Vec::new(), Vec::<ArrayRef>::new());
    for (place, (field, column)) in always().into_iter().zip(block.always()).enumerate() {
        let column = if place == CANONICAL { Arc::new(sent_ids(block, numbers)) } else { column.clone() };
        fields.push(Field::new(field.name(), column.data_type().clone(), true));
        columns.push(column);
    }
    for (name, column, _) in properties.iter().filter(|(name, ..)| is_plain(name)) {
        if let Some(array) = block.plain(name) {
            fields.push(Field::new(column, array.data_type().clone(), true));
            columns.push(array.clone());
        }
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}
