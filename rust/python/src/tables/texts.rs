//! Texts on their way into Arrow columns.

use std::sync::Arc;

use arrow_array::{ArrayRef, StringArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::ArrowError;
use idmerge_core::{Error, Text};
use pyo3::prelude::*;

use crate::errors::Failure;
use crate::tables::arrow::arrow_error;

/// Rows a chunk: 64 Ki texts stay far below the 2 GiB that 32-bit offsets can reach.
pub const CHUNK_ROWS: usize = 1 << 16;
/// Bytes of text after which a chunk ends early, for the sake of giant IDs.
const CHUNK_BYTES: usize = 1 << 28;
/// Bytes of text that a chunk can hold.
const MOST_BYTES: usize = i32::MAX as usize;

/// Texts on their way into a column, in chunks.
#[derive(Default)]
pub struct Texts {
    chunks: Vec<Chunk>,
    /// The number of texts that are still expected.
    expected: usize,
    /// Why there will be no column.
    failure: Option<Error>,
}

/// One chunk: bytes end to end, where each text begins and ends, and which rows are null, if any
/// is.
struct Chunk {
    bytes: Vec<u8>,
    offsets: Vec<i32>,
    nulls: Vec<usize>,
}

impl Texts {
    /// Returns no texts, expecting this many.
    pub fn with_capacity(rows: usize) -> Self {
        Self { expected: rows, ..Self::default() }
    }

    /// Appends a text, or a null. It must be UTF-8, which [`Self::finish`] checks.
    #[inline]
    pub fn push(&mut self, text: Option<&[u8]>) {
        let length = text.map_or(0, <[u8]>::len);
        if let Some(last) = self.chunks.last_mut()
            && last.has_room(length)
        {
            last.push(text);
        } else if self.make_room(length)
            && let Some(last) = self.chunks.last_mut()
        {
            last.push(text);
        }
    }

    /// Gives up the column for a text that exceeds a limit, and the memory that it has taken so
    /// far.
    #[cold]
    pub fn fail(&mut self, error: Error) {
        self.chunks = Vec::new();
        self.failure.get_or_insert(error);
    }

    /// Makes room for a text of so many bytes, and returns whether there is memory for it.
    #[cold]
    fn make_room(&mut self, length: usize) -> bool {
        if self.failure.is_some() {
            return false;
        }
        if length > MOST_BYTES {
            self.fail(Error::TextTooLong { bytes: length, limit: MOST_BYTES });
            return false;
        }
        let has_room = match self.chunks.last_mut() {
            Some(last) if last.takes(length) => last.reserve(length),
            _ => self.begin_chunk(length),
        };
        if !has_room {
            self.fail(Error::NoMemory);
        }
        has_room
    }

    /// Begins a chunk that takes about as many bytes as the last one, or as UUIDs would.
    fn begin_chunk(&mut self, length: usize) -> bool {
        let rows = self.expected.min(CHUNK_ROWS);
        self.expected -= rows;
        let bytes = self.chunks.last().map_or(36 * rows, |chunk| chunk.bytes.len());
        let chunk = Chunk::with_capacity(rows, bytes.max(length));
        chunk.is_some_and(|chunk| {
            self.chunks.push(chunk);
            true
        })
    }

    /// Returns the texts, a chunk each.
    pub fn finish(self) -> PyResult<Vec<StringArray>> {
        match self.failure {
            Some(error) => Err(Failure::from(error).into()),
            None => self.chunks.into_iter().map(|chunk| chunk.finish().map_err(arrow_error)).collect(),
        }
    }
}

impl Default for Chunk {
    fn default() -> Self {
        Self { bytes: Vec::new(), offsets: vec![0], nulls: Vec::new() }
    }
}

impl Chunk {
    /// Returns an empty chunk, if there is memory for it.
    fn with_capacity(rows: usize, bytes: usize) -> Option<Self> {
        let mut chunk = Self { bytes: Vec::new(), offsets: Vec::new(), nulls: Vec::new() };
        chunk.offsets.try_reserve_exact(rows + 1).ok()?;
        chunk.bytes.try_reserve_exact(bytes).ok()?;
        chunk.offsets.push(0);
        Some(chunk)
    }

    /// Returns whether one more text of so many bytes fits in its memory.
    #[inline]
    fn has_room(&self, length: usize) -> bool {
        self.offsets.len() <= CHUNK_ROWS
            && self.bytes.len() < CHUNK_BYTES
            && self.bytes.capacity() - self.bytes.len() >= length
    }

    /// Returns whether it takes one more text of so many bytes, given the memory.
    fn takes(&self, length: usize) -> bool {
        self.rows() < CHUNK_ROWS && self.bytes.len() < CHUNK_BYTES && self.bytes.len() + length <= MOST_BYTES
    }

    /// Makes room for so many more bytes, and returns whether there is memory for them.
    fn reserve(&mut self, length: usize) -> bool {
        self.bytes.try_reserve(length).is_ok()
    }

    fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    #[inline]
    fn push(&mut self, text: Option<&[u8]>) {
        match text {
            Some(text) => self.bytes.extend_from_slice(text),
            None => self.nulls.push(self.rows()),
        }
        self.offsets.push(i32::try_from(self.bytes.len()).expect("a chunk takes less than 2 GiB"));
    }

    fn finish(self) -> Result<StringArray, ArrowError> {
        let nulls = (!self.nulls.is_empty()).then(|| {
            let mut valid = vec![true; self.rows()];
            self.nulls.iter().for_each(|&row| valid[row] = false);
            NullBuffer::from(valid)
        });
        StringArray::try_new(OffsetBuffer::new(self.offsets.into()), self.bytes.into(), nulls)
    }
}

/// Columns of texts side by side, as many rows as one batch takes.
pub struct TextColumns<const N: usize>([Chunk; N]);

impl<const N: usize> Default for TextColumns<N> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Chunk::default()))
    }
}

impl<const N: usize> TextColumns<N> {
    /// Returns whether a row of any IDs fits: none has more bytes than a chunk takes behind its
    /// limit.
    pub fn have_room(&self) -> bool {
        self.0.iter().all(|chunk| chunk.takes(0))
    }

    /// Appends a row.
    pub fn push(&mut self, texts: [Option<Text<'_>>; N]) -> Result<(), Failure> {
        for (chunk, text) in self.0.iter_mut().zip(&texts) {
            let bytes = text.as_ref().map(Text::as_bytes);
            if !chunk.reserve(bytes.map_or(0, <[u8]>::len)) {
                return Err(Failure::no_memory());
            }
            chunk.push(bytes);
        }
        Ok(())
    }

    /// Returns the columns.
    pub fn finish(self) -> Vec<ArrayRef> {
        let array = |chunk: Chunk| chunk.finish().expect("the texts of IDs are UTF-8");
        self.0.into_iter().map(|chunk| Arc::new(array(chunk)) as ArrayRef).collect()
    }
}
