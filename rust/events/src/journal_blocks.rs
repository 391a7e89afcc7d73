//! The blocks of a journal: each batch has two of Arrow IPC, the texts of the IDs that it names for
//! the first time, and its steps as numbers.
//!
//! | block | column | holds |
//! |---|---|---|
//! | texts | `form` (uint8) | how to read `bytes` |
//! | | `bytes` (binary) | a UUID's 16 bytes (forms 0 and 1), UTF-8 (2), null (3 and 4) |
//! | steps | `code` (uint8), `first`, `second` (uint32) | see `idmerge_core`'s record |
//!
//! Behind the stream of steps stand the [`origins`](crate::origins) of links, if there are any.
//!
//! Forms: 0 a UUID in lower case, 1 one after `$device:`, 2 any other text, 3 forgotten, 4
//! forgotten and in the anonymous format. Arrow's own buffers carry no compression: half of a batch
//! is UUIDs, which have nothing to compress, and the other half would cost more time than it saves.

use std::io::Cursor;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, UInt8Builder};
use arrow_array::cast::AsArray;
use arrow_array::types::{UInt8Type, UInt32Type};
use arrow_array::{Array, ArrayRef, BinaryArray, RecordBatch, UInt8Array, UInt32Array};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema};
use idmerge_core::{Id, JournaledResolver, Pending, Steps, StoredText};

/// Returns the block of the texts of some IDs.
///
/// # Errors
///
/// The texts take more than Arrow's offsets of 32 bits reach.
pub fn write_texts(resolver: &JournaledResolver, ids: Range<u32>) -> Result<Vec<u8>, ArrowError> {
    let beyond = || ArrowError::InvalidArgumentError("the texts of a batch exceed 2 GiB".to_owned());
    write_texts_within(resolver, ids, i32::MAX as usize)?.ok_or_else(beyond)
}

/// Returns the blocks of texts and of steps of the most of `pending` that fits in `room` bytes, at
/// least of one step, and that part.
pub fn write_fitting<'a>(
    resolver: &JournaledResolver,
    pending: Pending<'a>,
    room: usize,
) -> Result<(Vec<u8>, Vec<u8>, Pending<'a>), ArrowError> {
    // Nearly always all of it fits, and texts need not be measured first.
    let rest = room.checked_sub(9 * pending.steps.codes.len());
    let all = rest.map(|room| write_texts_within(resolver, pending.ids.clone(), room)).transpose()?;
    if let Some(texts) = all.flatten() {
        return Ok((texts, write_steps(&pending)?, pending));
    }
    let part = pending.fitting(resolver, room);
    Ok((write_texts(resolver, part.ids.clone())?, write_steps(&part)?, part))
}

/// Returns the block of the texts of some IDs, or None if they take more than `room` bytes.
fn write_texts_within(
    resolver: &JournaledResolver,
    ids: Range<u32>,
    room: usize,
) -> Result<Option<Vec<u8>>, ArrowError> {
    let (count, mostly_uuids) = (ids.len(), (16 * ids.len()).min(room));
    let (mut forms, mut bytes) =
        (UInt8Builder::with_capacity(count), BinaryBuilder::with_capacity(count, mostly_uuids));
    let mut taken = 0;
    for id in ids.map(Id::new) {
        let is_room = resolver.store(id, |text| {
            taken += text.size();
            if taken > room {
                return false;
            }
            let (form, text): (u8, Option<&[u8]>) = match &text {
                StoredText::Uuid(uuid) => (0, Some(uuid)),
                StoredText::DeviceUuid(uuid) => (1, Some(uuid)),
                StoredText::Text(text) => (2, Some(text.as_bytes())),
                StoredText::Forgotten { anonymous: false } => (3, None),
                StoredText::Forgotten { anonymous: true } => (4, None),
            };
            forms.append_value(form);
            bytes.append_option(text);
            true
        });
        if !is_room {
            return Ok(None);
        }
    }
    let fields = [Field::new("form", DataType::UInt8, false), Field::new("bytes", DataType::Binary, true)];
    write(fields.into(), vec![Arc::new(forms.finish()), Arc::new(bytes.finish())]).map(Some)
}

/// Returns the block of some steps.
fn write_steps(pending: &Pending) -> Result<Vec<u8>, ArrowError> {
    let Steps { codes, first, second } = pending.steps;
    let number = |name| Field::new(name, DataType::UInt32, false);
    let fields = [Field::new("code", DataType::UInt8, false), number("first"), number("second")];
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt8Array::from(codes.to_vec())),
        Arc::new(UInt32Array::from(first.to_vec())),
        Arc::new(UInt32Array::from(second.to_vec())),
    ];
    write(fields.into(), columns)
}

fn write(fields: Vec<Field>, columns: Vec<ArrayRef>) -> Result<Vec<u8>, ArrowError> {
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
    let room = batch.get_array_memory_size() + 4096;
    let mut block = Vec::new();
    block.try_reserve_exact(room).map_err(|error| ArrowError::MemoryError(error.to_string()))?;
    let mut writer = StreamWriter::try_new(block, &batch.schema())?;
    writer.write(&batch)?;
    writer.finish()?;
    writer.into_inner()
}

/// Reads a block that may hold anything: Arrow's reader trusts the lengths in it, so they are
/// checked first.
fn read(block: &[u8]) -> Result<RecordBatch, ArrowError> {
    end_of_stream(block)?;
    let read = || {
        let mut reader = StreamReader::try_new(Cursor::new(block), None)?;
        reader.next().unwrap_or_else(|| Err(damaged("the block holds no batch")))
    };
    // Arrow's reader meets some faults of a batch with a panic.
    std::panic::catch_unwind(read).unwrap_or_else(|_| Err(damaged("the block is no batch of Arrow")))
}

fn damaged(what: &str) -> ArrowError {
    ArrowError::IpcError(what.to_owned())
}

/// Checks that no message of a block claims to be longer than the block, and returns where the
/// stream of messages ends.
pub(crate) fn end_of_stream(block: &[u8]) -> Result<usize, ArrowError> {
    let mut rest = block;
    while let Some((mark, after)) = rest.split_first_chunk::<4>() {
        let (length, after) = match u32::from_le_bytes(*mark) {
            u32::MAX => after.split_first_chunk::<4>().ok_or_else(|| damaged("the block is cut off"))?,
            _ => (mark, after),
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length == 0 {
            return Ok(block.len() - after.len());
        }
        let (head, after) = after.split_at_checked(length).ok_or_else(|| damaged("the block is cut off"))?;
        let message = arrow_ipc::root_as_message(head).map_err(|error| damaged(&error.to_string()))?;
        let body = usize::try_from(message.bodyLength()).ok();
        let body = body.and_then(|length| after.split_at_checked(length));
        rest = body.ok_or_else(|| damaged("the block is cut off"))?.1;
    }
    Ok(block.len())
}

/// The texts of a batch.
pub struct TextBlock {
    forms: UInt8Array,
    bytes: BinaryArray,
}

impl TextBlock {
    /// Reads a block of texts.
    ///
    /// # Errors
    ///
    /// It is damaged, or holds something else.
    pub fn read(block: &[u8]) -> Result<Self, ArrowError> {
        let batch = read(block)?;
        let wrong = || ArrowError::SchemaError("the block holds no texts".to_owned());
        let forms = batch.column_by_name("form").and_then(|column| column.as_primitive_opt::<UInt8Type>());
        let bytes = batch.column_by_name("bytes").and_then(|column| column.as_binary_opt::<i32>());
        let (Some(forms), Some(bytes)) = (forms, bytes) else { return Err(wrong()) };
        let block = Self { forms: forms.clone(), bytes: bytes.clone() };
        if forms.null_count() == 0 && (0..forms.len()).all(|row| block.get(row).is_some()) {
            Ok(block)
        } else {
            Err(wrong())
        }
    }

    fn get(&self, row: usize) -> Option<StoredText<'_>> {
        let bytes = self.bytes.is_valid(row).then(|| self.bytes.value(row));
        match (self.forms.value(row), bytes) {
            (0, Some(uuid)) => Some(StoredText::Uuid(uuid.try_into().ok()?)),
            (1, Some(uuid)) => Some(StoredText::DeviceUuid(uuid.try_into().ok()?)),
            (2, Some(text)) => Some(StoredText::Text(str::from_utf8(text).ok()?)),
            (3, None) => Some(StoredText::Forgotten { anonymous: false }),
            (4, None) => Some(StoredText::Forgotten { anonymous: true }),
            _ => None,
        }
    }

    /// Returns the texts in order.
    pub fn iter(&self) -> impl Iterator<Item = StoredText<'_>> {
        (0..self.forms.len()).map(|row| self.get(row).expect("every row was read once"))
    }
}

/// The steps of a batch.
pub struct StepBlock {
    codes: UInt8Array,
    first: UInt32Array,
    second: UInt32Array,
}

impl StepBlock {
    /// Returns no steps.
    pub fn empty() -> Self {
        let none = || UInt32Array::from(Vec::<u32>::new());
        Self { codes: UInt8Array::from(Vec::<u8>::new()), first: none(), second: none() }
    }

    /// Reads a block of steps.
    ///
    /// # Errors
    ///
    /// It is damaged, or holds something else.
    pub fn read(block: &[u8]) -> Result<Self, ArrowError> {
        let batch = read(block)?;
        let codes = batch.column_by_name("code").and_then(|column| column.as_primitive_opt::<UInt8Type>());
        let numbers = |name| {
            batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<UInt32Type>()).cloned()
        };
        match (codes.cloned(), numbers("first"), numbers("second")) {
            (Some(codes), Some(first), Some(second))
                if codes.null_count() + first.null_count() + second.null_count() == 0 =>
            {
                Ok(Self { codes, first, second })
            }
            _ => Err(ArrowError::SchemaError("the block holds no steps".to_owned())),
        }
    }

    /// Returns the steps in order.
    pub fn steps(&self) -> Steps<'_> {
        Steps { codes: self.codes.values(), first: self.first.values(), second: self.second.values() }
    }
}
