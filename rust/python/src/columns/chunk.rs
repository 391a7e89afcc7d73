//! Buffers of text in one piece, each of its own layout; of numbers and UUIDs, their text.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::ByteArrayType;
use arrow_array::{Array, ArrayRef, BinaryArray, BinaryViewArray, GenericByteArray, LargeBinaryArray};
use arrow_buffer::ArrowNativeType;
use arrow_schema::DataType;
use idmerge_core::{Batch, Operand, Preparer};
use idmerge_events::ids::{self, NoId};
use pyo3::pybacked::PyBackedBytes;

use crate::columns::purpose::Purpose;

/// Texts in one piece.
pub enum Chunk {
    Fixed { bytes: PyBackedBytes, width: usize, rows: usize },
    Utf8(BinaryArray),
    LargeUtf8(LargeBinaryArray),
    Utf8View(BinaryViewArray),
    Dictionary { keys: Vec<Option<usize>>, values: Box<Chunk> },
    Nulls(usize),
}

impl Chunk {
    /// Takes an array of IDs, which are UUIDs if `is_uuid`.
    ///
    /// # Errors
    ///
    /// The first row whose value can be no ID.
    pub fn from_arrow(array: &ArrayRef, is_uuid: bool) -> Result<Self, NoId> {
        Ok(match array.data_type() {
            // Read as bytes: only the producer vouches that they are UTF-8.
            DataType::Utf8 => Self::Utf8(array.as_string::<i32>().clone().into()),
            DataType::LargeUtf8 => Self::LargeUtf8(array.as_string::<i64>().clone().into()),
            DataType::Utf8View => Self::Utf8View(array.as_string_view().clone().to_binary_view()),
            DataType::Binary => Self::Utf8(array.as_binary().clone()),
            DataType::LargeBinary => Self::LargeUtf8(array.as_binary().clone()),
            DataType::BinaryView => Self::Utf8View(array.as_binary_view().clone()),
            DataType::Null => Self::Nulls(array.len()),
            DataType::Dictionary(..) => return Self::from_dictionary(array),
            _ => Self::LargeUtf8(ids::texts(array, is_uuid)?.into()),
        })
    }

    fn from_dictionary(array: &ArrayRef) -> Result<Self, NoId> {
        let dictionary = array.as_any_dictionary();
        if dictionary.values().is_empty() {
            return Ok(Self::Nulls(array.len()));
        }
        let values = dictionary.values();
        // Other values become text, which is worth it for those that rows have; and a value that
        // can be no ID matters in rows alone.
        let values = if is_text(values.data_type())
            || ids::is_bytes(values.data_type())
            || values.len() <= array.len()
        {
            Self::from_arrow(values, false)
        } else {
            Err(NoId { row: 0, number: None })
        };
        let values = match values {
            Ok(values) => values,
            Err(no_id) => {
                let rows = ids::unpacked(array).ok_or(no_id)?;
                return Self::from_arrow(&rows, false);
            }
        };
        let is_null = |row: &usize| dictionary.keys().is_null(*row);
        let keys = dictionary.normalized_keys().into_iter().enumerate();
        let keys = keys.map(|(row, key)| (!is_null(&row)).then_some(key)).collect();
        Ok(Self::Dictionary { keys, values: Box::new(values) })
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Fixed { rows, .. } => *rows,
            Self::Utf8(array) => array.len(),
            Self::LargeUtf8(array) => array.len(),
            Self::Utf8View(array) => array.len(),
            Self::Dictionary { keys, .. } => keys.len(),
            Self::Nulls(length) => *length,
        }
    }

    /// Appends these rows to a batch.
    ///
    /// One loop a type: asking for the type in every row took as long as all the rest.
    pub fn read(&self, rows: Range<usize>, batch: &mut Batch, purpose: Purpose, preparer: &Preparer) {
        match self {
            Self::Utf8(array) => give_bytes(array, rows, batch, purpose, preparer),
            Self::LargeUtf8(array) => give_bytes(array, rows, batch, purpose, preparer),
            _ => purpose.give(batch, preparer, rows.map(|row| self.get(row))),
        }
    }

    /// Returns the text of a row.
    #[inline]
    pub fn get(&self, row: usize) -> Operand<'_> {
        match self {
            Self::Utf8(array) if array.is_valid(row) => text(array.value(row)),
            Self::LargeUtf8(array) if array.is_valid(row) => text(array.value(row)),
            Self::Utf8View(array) if array.is_valid(row) => text(array.value(row)),
            Self::Utf8(_) | Self::LargeUtf8(_) | Self::Utf8View(_) | Self::Nulls(_) => Operand::Missing,
            Self::Dictionary { keys, values } => keys[row].map_or(Operand::Missing, |key| values.get(key)),
            Self::Fixed { bytes, width, .. } => {
                let cell = &bytes[row * width..][..*width];
                // numpy pads with NULs, and so cannot hold a text that ends in one.
                text(&cell[..cell.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)])
            }
        }
    }

    /// Returns whether all text is ASCII, as far as a glance shows.
    pub fn is_ascii(&self) -> bool {
        match self {
            Self::Utf8(array) => array.value_data().is_ascii(),
            Self::LargeUtf8(array) => array.value_data().is_ascii(),
            Self::Dictionary { values, .. } => values.is_ascii(),
            Self::Utf8View(_) | Self::Nulls(_) | Self::Fixed { .. } => false,
        }
    }
}

/// Appends rows of a column of bytes to a batch.
///
/// The text of all rows is checked at once, which costs next to nothing; only if some of it is no
/// UTF-8 is each row checked for itself.
fn give_bytes<T: ByteArrayType>(
    array: &GenericByteArray<T>,
    rows: Range<usize>,
    batch: &mut Batch,
    purpose: Purpose,
    preparer: &Preparer,
) where
    T::Native: AsRef<[u8]>,
{
    let offsets = array.value_offsets();
    let first = offsets[rows.start].as_usize();
    let all = array.value_data().get(first..offsets[rows.end].as_usize());
    let all = all.and_then(|bytes| std::str::from_utf8(bytes).ok());
    let cell = |row: usize| {
        if array.is_null(row) {
            return Operand::Missing;
        }
        match all {
            Some(all) => {
                let range = offsets[row].as_usize() - first..offsets[row + 1].as_usize() - first;
                all.get(range).map_or(Operand::NotUnicode, Operand::Text)
            }
            None => text(array.value(row).as_ref()),
        }
    };
    purpose.give(batch, preparer, rows.map(cell));
}

/// Returns whether a column of this type holds text, or nulls alone.
pub fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

#[inline]
fn text(bytes: &[u8]) -> Operand<'_> {
    std::str::from_utf8(bytes).map_or(Operand::NotUnicode, Operand::Text)
}
