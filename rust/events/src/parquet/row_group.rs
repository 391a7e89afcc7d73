//! The events of a row group, encoded, and the IDs that were sent with them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{RecordBatch, StringArray, UInt32Array};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, Schema};
use idmerge_core::Id;
use parquet::arrow::arrow_writer::ArrowColumnChunk;
use parquet::errors::ParquetError;

use crate::columns::{Columns, NamedKinds, always, arrow_type};
use crate::parquet::pages::Place;

/// The index of the canonical IDs among the columns that every table has.
pub const CANONICAL: usize = 2;

/// The events of a row group, encoded.
pub struct EncodedEvents {
    pub(crate) rows: usize,
    /// The era of the numbers that stand for some of the IDs that were sent.
    pub(crate) era: Option<u64>,
    /// The place of the IDs that were sent.
    pub(crate) sent: Place,
    /// The columns that every table has, each until it is copied into its file.
    pub(crate) always: [Option<ArrowColumnChunk>; 4],
    /// The other columns, by the property's name; those without a value are missing.
    pub(crate) plain: HashMap<String, (DataType, ArrowColumnChunk)>,
}

impl EncodedEvents {
    /// Returns the number of events.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Returns whether all columns have the types that the kinds of their properties ask for.
    pub fn fits(&self, properties: &[NamedKinds]) -> bool {
        let fits = |(name, _, kinds): &NamedKinds| {
            self.plain.get(name).is_none_or(|(own, _)| *own == arrow_type(*kinds))
        };
        properties.iter().all(fits)
    }
}

/// The IDs that were sent with encoded events.
pub struct SentIds {
    chunks: Vec<RecordBatch>,
    /// The era of their numbers.
    pub era: Option<u64>,
}

impl SentIds {
    /// Reads what [`write_sent`] wrote.
    pub(crate) fn read(text: &[u8], era: Option<u64>) -> Result<Self, ParquetError> {
        let chunks = StreamReader::try_new(text, None)?.collect::<Result<_, _>>()?;
        Ok(Self { chunks, era })
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> usize {
        self.chunks.iter().map(RecordBatch::num_rows).sum()
    }

    /// Returns, block by block, the numbers of IDs, and the texts of those without; both null where
    /// there is no ID.
    pub fn chunks(&self) -> impl Iterator<Item = (&UInt32Array, &StringArray)> {
        self.chunks.iter().map(|chunk| (chunk.column(0).as_primitive(), chunk.column(1).as_string()))
    }
}

/// Returns the IDs that were sent, as a stream of Arrow: the numbers of those that have some, the
/// texts of others.
pub fn write_sent(blocks: &[Columns], numbers: &[Vec<Option<Id>>]) -> Result<Vec<u8>, ParquetError> {
    let number = Field::new("number", DataType::UInt32, true);
    let schema = Arc::new(Schema::new(vec![number, always()[CANONICAL].clone()]));
    let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
    for (block, numbers) in blocks.iter().zip(numbers) {
        let ids = block.always()[CANONICAL].as_string::<i32>().iter();
        let others: StringArray =
            ids.zip(numbers).map(|(id, number)| id.filter(|_| number.is_none())).collect();
        let numbers: UInt32Array = numbers.iter().map(|number| number.map(Id::number)).collect();
        writer.write(&RecordBatch::try_new(schema.clone(), vec![Arc::new(numbers), Arc::new(others)])?)?;
    }
    Ok(writer.into_inner()?)
}
