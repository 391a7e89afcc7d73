//! Columns whose buffers are pinned as they are, and read without the interpreter.

use arrow_array::{ArrayRef, LargeBinaryArray};
use arrow_schema::{DataType, Field};
use idmerge_core::{Batch, Operand, Preparer, Side};
use pyo3::exceptions::{PyTypeError, PyUnicodeError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use crate::columns::chunk::{Chunk, is_text};
use crate::columns::ids::each_array;
use crate::columns::objects::Elements;
use crate::columns::purpose::Purpose;

/// Buffers of text, which need no interpreter to be read.
pub struct Pinned {
    chunks: Vec<Chunk>,
    /// The Arrow type that the column came as, if it did.
    pub arrow_type: Option<DataType>,
}

impl Pinned {
    /// Takes no rows.
    pub fn empty() -> Self {
        Self { chunks: Vec::new(), arrow_type: None }
    }

    /// Takes texts that were made for this column.
    pub fn of_texts(texts: impl Into<LargeBinaryArray>) -> Self {
        Self { chunks: vec![Chunk::LargeUtf8(texts.into())], arrow_type: None }
    }

    /// Takes cells of the same width, padded with NULs.
    pub fn of_cells(bytes: PyBackedBytes, width: usize, rows: usize) -> Self {
        Self { chunks: vec![Chunk::Fixed { bytes, width, rows }], arrow_type: None }
    }

    /// Takes an Arrow column of nulls.
    pub fn of_nulls(rows: usize) -> Self {
        Self { chunks: vec![Chunk::Nulls(rows)], arrow_type: Some(DataType::Null) }
    }

    /// Takes an Arrow column of IDs, or of text alone if `elements` are.
    ///
    /// # Errors
    ///
    /// `TypeError` for any other column, which is named `name`.
    pub fn from_arrow(arrays: &[ArrayRef], field: &Field, name: &str, elements: Elements) -> PyResult<Self> {
        let kind = field.data_type();
        if elements == Elements::Texts && !is_text(kind) {
            return Err(PyTypeError::new_err(format!("{name} must be a column of text, got Arrow {kind}")));
        }
        let chunks = each_array(arrays, field, name, Ok, Chunk::from_arrow)?;
        Ok(Self { chunks, arrow_type: Some(kind.clone()) })
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.chunks.iter().map(Chunk::len).sum()
    }

    /// Returns a reader that begins at `row`.
    pub fn reader<'a>(&'a self, purpose: Purpose, preparer: &'a Preparer, row: usize) -> Reader<'a> {
        let mut reader = Reader { column: self, purpose, preparer, chunk: 0, row: 0, values: None };
        reader.enter(0);
        reader.seek(row);
        reader
    }

    /// Raises unless every row is valid UTF-8, which Arrow promises and an answer needs.
    ///
    /// # Errors
    ///
    /// `UnicodeError`, which is a `ValueError`.
    pub fn check_unicode(&self, name: &str) -> PyResult<()> {
        let mut first = 0;
        for chunk in &self.chunks {
            let bad = |&row: &usize| chunk.get(row) == Operand::NotUnicode;
            if !chunk.is_ascii()
                && let Some(row) = (0..chunk.len()).find(bad)
            {
                let row = first + row;
                return Err(PyUnicodeError::new_err(format!("row {row} of {name} is not valid UTF-8")));
            }
            first += chunk.len();
        }
        Ok(())
    }
}

/// Reads a pinned column from some row on.
pub struct Reader<'a> {
    column: &'a Pinned,
    purpose: Purpose,
    preparer: &'a Preparer,
    /// The chunk to be read next, and the row in it.
    chunk: usize,
    row: usize,
    /// If that chunk is a dictionary: its values, past the preparer.
    values: Option<Batch>,
}

impl Reader<'_> {
    /// Appends up to `rows` texts to a batch, as far as it is not full.
    pub fn fill(&mut self, batch: &mut Batch, rows: usize) {
        let side = self.purpose.side();
        let wanted = batch.rows(side) + rows;
        while batch.rows(side) < wanted && !batch.is_full(side) {
            let Some(chunk) = self.column.chunks.get(self.chunk) else { return };
            let before = batch.rows(side);
            let range = self.row..chunk.len().min(self.row + wanted - before);
            match (&self.values, chunk) {
                (Some(values), Chunk::Dictionary { keys, .. }) => {
                    batch.copy(side, values, keys[range].iter().copied());
                }
                _ => chunk.read(range, batch, self.purpose, self.preparer),
            }
            self.row += batch.rows(side) - before;
            if self.row == chunk.len() {
                self.enter(self.chunk + 1);
            }
        }
    }

    /// Goes to a row.
    pub fn seek(&mut self, row: usize) {
        let (mut chunk, mut row) = (0, row);
        while let Some(len) = self.column.chunks.get(chunk).map(Chunk::len)
            && row >= len
        {
            (chunk, row) = (chunk + 1, row - len);
        }
        if chunk != self.chunk {
            self.enter(chunk);
        }
        self.row = row;
    }

    /// Begins a chunk; a dictionary's values pass the preparer, unless they are many more than its
    /// rows.
    fn enter(&mut self, chunk: usize) {
        (self.chunk, self.row, self.values) = (chunk, 0, None);
        if let Some(Chunk::Dictionary { keys, values }) = self.column.chunks.get(chunk)
            && values.len() <= keys.len()
        {
            let mut batch = Batch::of_values();
            let purpose = match self.purpose {
                Purpose::Step(_) => Purpose::Step(Side::First),
                Purpose::Lookup => Purpose::Lookup,
                Purpose::End(_) => Purpose::End(Side::First),
            };
            values.read(0..values.len(), &mut batch, purpose, self.preparer);
            self.values = Some(batch).filter(|batch| batch.rows(Side::First) == values.len());
        }
    }
}
