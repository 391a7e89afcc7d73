//! The events of a row group, encoded, and the IDs that were sent with them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, StringArray, StructArray, UInt32Array};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, Fields, Schema};
use idmerge_core::Id;
use parquet::arrow::arrow_writer::ArrowColumnChunk;
use parquet::errors::ParquetError;

use crate::columns::{Columns, NamedKinds, always, arrow_type};
use crate::error::Error;
use crate::parquet::pages::Place;

/// The index of the canonical IDs among the columns that every table has.
pub const CANONICAL: usize = 2;

/// The number of columns that every table has.
pub const ALWAYS: usize = 4;

/// Returns the column of canonical IDs as they were when the events came.
pub fn as_known() -> Field {
    Field::new("distinct_id_as_known", DataType::Utf8, true)
}

/// The IDs that were sent with the events of a block, as far as a resolver has numbers for them.
pub struct IdNumbers {
    /// The number of each ID.
    pub sent: Vec<Option<Id>>,
    /// The canonical ID that each sender had before the event, if that is wanted; None for one who
    /// was not known.
    pub known: Option<Vec<Option<Id>>>,
}

impl IdNumbers {
    /// Returns those of the rows for which `keeps` is true.
    #[must_use]
    pub fn filtered(self, keeps: &BooleanArray) -> Self {
        let filtered = |ids: Vec<Option<Id>>| {
            ids.into_iter().zip(keeps.values()).filter_map(|(id, keeps)| keeps.then_some(id)).collect()
        };
        Self { sent: filtered(self.sent), known: self.known.map(filtered) }
    }
}

/// The events of a row group, encoded.
pub struct EncodedEvents {
    pub(crate) rows: usize,
    /// The era of the numbers that stand for some of the IDs that were sent.
    pub(crate) era: Option<u64>,
    /// The place of the IDs that were sent.
    pub(crate) sent: Place,
    /// The columns that every table has, each until it is copied into its file.
    pub(crate) always: [Option<ArrowColumnChunk>; ALWAYS],
    /// The canonical IDs as they were when the events came.
    pub(crate) known: Option<ArrowColumnChunk>,
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
    /// Takes arrays of [`sent_ids`].
    ///
    /// # Errors
    ///
    /// They are none.
    pub fn of(arrays: &[ArrayRef], era: Option<u64>) -> Result<Self, Error> {
        let chunk = |array: &ArrayRef| {
            let whole = array.as_struct_opt().filter(|array| array.null_count() == 0);
            let array = whole.filter(|array| {
                [false, true].iter().any(|&with_known| *array.fields() == sent_fields(with_known))
            });
            array.map(RecordBatch::from).ok_or_else(|| Error::Value("these are no IDs that wait".to_owned()))
        };
        Ok(Self { chunks: arrays.iter().map(chunk).collect::<Result<_, _>>()?, era })
    }

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

    /// Returns, block by block, the numbers of the canonical IDs that the senders had before, and
    /// the texts of those without; None if these were not kept.
    pub fn known_chunks<'a>(&'a self) -> Option<Vec<(&'a UInt32Array, &'a StringArray)>> {
        let known = |chunk: &'a RecordBatch| {
            let known = chunk.columns().get(2)?;
            Some((known.as_primitive(), chunk.column(1).as_string()))
        };
        self.chunks.iter().map(known).collect()
    }
}

/// Returns the IDs that were sent, as a stream of Arrow.
pub fn write_sent(blocks: &[Columns], numbers: &[IdNumbers]) -> Result<Vec<u8>, ParquetError> {
    let with_known = numbers.iter().any(|numbers| numbers.known.is_some());
    let mut writer = StreamWriter::try_new(Vec::new(), &Schema::new(sent_fields(with_known)))?;
    for (block, numbers) in blocks.iter().zip(numbers) {
        writer.write(&sent_ids(block, numbers).into())?;
    }
    Ok(writer.into_inner()?)
}

/// Returns the columns of IDs that wait; see [`sent_ids`].
fn sent_fields(with_known: bool) -> Fields {
    let number = |name| Field::new(name, DataType::UInt32, true);
    let known = with_known.then(|| number("known"));
    [number("number"), always()[CANONICAL].clone()].into_iter().chain(known).collect()
}

/// Returns the IDs that were sent: the numbers of those that have some, the texts of others, and
/// the numbers of the canonical IDs that they had before.
pub fn sent_ids(block: &Columns, IdNumbers { sent, known }: &IdNumbers) -> StructArray {
    let ids = block.sent().as_string::<i32>().iter();
    let others: StringArray = ids.zip(sent).map(|(id, number)| id.filter(|_| number.is_none())).collect();
    let mut columns: Vec<ArrayRef> = vec![numbered(sent), Arc::new(others)];
    columns.extend(known.as_deref().map(numbered));
    StructArray::new(sent_fields(known.is_some()), columns, None)
}

fn numbered(ids: &[Option<Id>]) -> ArrayRef {
    Arc::new(ids.iter().map(|id| id.map(Id::number)).collect::<UInt32Array>())
}
