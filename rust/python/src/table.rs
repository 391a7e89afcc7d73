//! Arrow columns and tables out, by the `PyCapsule` interface.
//!
//! An exported stream is made anew at every call, so the same object can be read many times.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef};
use idmerge_core::{Change, Error, Resolver, Text};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyList, PyString};
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::{ArrayIterator, to_schema_pycapsule, to_stream_pycapsule};

use crate::errors::Failure;
use crate::numpy_text;

/// Rows a chunk: 64 Ki texts stay far below the 2 GiB that 32-bit offsets can reach.
const CHUNK_ROWS: usize = 1 << 16;
/// Bytes of text after which a chunk ends early, for the sake of giant IDs.
const CHUNK_BYTES: usize = 1 << 28;
/// Bytes of text that a chunk can hold.
const MOST_BYTES: usize = i32::MAX as usize;

/// A column of texts, ready for any library that speaks Arrow.
#[pyclass(frozen, module = "idmerge._core")]
pub struct Column {
    chunks: Vec<ArrayRef>,
    field: FieldRef,
}

impl Column {
    /// Returns a column of the type `like`, a dictionary's being that of its values.
    pub fn new(mut chunks: Vec<StringArray>, like: &DataType) -> PyResult<Self> {
        let wanted = plain_text(like);
        if chunks.is_empty() {
            chunks.push(StringArray::from(Vec::<&str>::new()));
        }
        let cast = |chunk: StringArray| -> PyResult<ArrayRef> {
            if *wanted == DataType::Utf8 {
                return Ok(Arc::new(chunk));
            }
            arrow_cast::cast(&chunk, wanted).map_err(arrow_error)
        };
        let chunks = chunks.into_iter().map(cast).collect::<PyResult<_>>()?;
        Ok(Self { chunks, field: Arc::new(Field::new("canonical_id", wanted.clone(), true)) })
    }
}

#[pymethods]
impl Column {
    fn __len__(&self) -> usize {
        self.chunks.iter().map(Array::len).sum()
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        to_schema_pycapsule(py, self.field.as_ref())
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyArrowResult<Bound<'py, PyCapsule>> {
        let chunks = self.chunks.clone().into_iter().map(Ok);
        to_stream_pycapsule(py, Box::new(ArrayIterator::new(chunks, self.field.clone())), requested_schema)
    }

    /// Return the texts as a list, None for a null.
    fn to_pylist<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for chunk in &self.chunks {
            let plain = arrow_cast::cast(chunk, &DataType::Utf8).map_err(arrow_error)?;
            append_texts(&list, plain.as_string())?;
        }
        Ok(list)
    }

    /// Return the texts as a numpy array of a dtype: `U` of any width, or `StringDType`.
    #[pyo3(name = "_to_numpy")]
    fn to_numpy<'py>(&self, dtype: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let plain = self.chunks.iter().map(|chunk| arrow_cast::cast(chunk, &DataType::Utf8));
        numpy_text::write(&plain.collect::<Result<Vec<_>, _>>().map_err(arrow_error)?, dtype)
    }

    /// Return a column of the same type with these texts.
    #[pyo3(name = "_with_texts")]
    fn with_texts(&self, texts: &Bound<'_, PyList>) -> PyResult<Self> {
        let mut column = Texts::default();
        for text in texts {
            let text: Option<Bound<'_, PyString>> = text.extract()?;
            column.push(text.as_ref().map(|text| text.to_str()).transpose()?.map(str::as_bytes));
        }
        column.into_column(self.field.data_type())
    }

    fn __repr__(&self) -> String {
        format!("Column({} rows)", self.__len__())
    }
}

/// Appends the texts of `array` to `list`, None for a null.
fn append_texts(list: &Bound<'_, PyList>, array: &StringArray) -> PyResult<()> {
    array.iter().try_for_each(|text| list.append(text))
}

#[expect(clippy::needless_pass_by_value, reason = "it is an argument of map_err")]
fn arrow_error(error: ArrowError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// Texts on their way into a column, in chunks.
#[derive(Default)]
pub struct Texts {
    chunks: Vec<Chunk>,
    /// How many more are expected.
    expected: usize,
    /// Why there will be no column.
    failure: Option<Error>,
}

/// One chunk: bytes end to end, where each text begins and ends, and which rows are null, if any is.
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

    /// Gives up the column for a text that exceeds a limit, and the memory that it has taken so far.
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

    /// Returns the texts as a column of the type `like`, a dictionary's being that of its values.
    pub fn into_column(self, like: &DataType) -> PyResult<Column> {
        Column::new(self.finish()?, like)
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

/// Returns the type of the texts in a column of text, whatever stores them.
fn plain_text(column: &DataType) -> &DataType {
    match column {
        DataType::Dictionary(_, values) => plain_text(values),
        DataType::Null => &DataType::Utf8,
        other => other,
    }
}

/// A table of IDs: the mapping from every known ID to its canonical ID, or what changed in it.
#[pyclass(frozen, module = "idmerge._core")]
pub struct Table {
    batches: Vec<RecordBatch>,
    schema: SchemaRef,
}

impl Table {
    /// Returns a table of one batch.
    pub fn of(batch: RecordBatch) -> Self {
        Self { schema: batch.schema(), batches: vec![batch] }
    }

    /// Renders the mapping of `resolver`, one row a known ID in the order in which they became known.
    ///
    /// # Errors
    ///
    /// If there is no memory for it.
    pub fn mapping(resolver: &Resolver) -> Result<Self, Failure> {
        let schema = Arc::new(Schema::new(vec![
            Field::new("distinct_id", DataType::Utf8, false),
            Field::new("canonical_id", DataType::Utf8, false),
            Field::new("cluster_size", DataType::Int32, false),
        ]));
        let mut batches = Vec::new();
        let mut rows = resolver.mapping().peekable();
        while rows.peek().is_some() {
            let mut texts = TextColumns::<2>::default();
            let mut sizes = Vec::<i32>::new();
            sizes.try_reserve_exact(CHUNK_ROWS).map_err(|_| Failure::no_memory())?;
            while texts.have_room()
                && let Some((id, name, size)) = rows.next()
            {
                texts.push([Some(resolver.text(id)), Some(resolver.text(name))])?;
                sizes.push(size.cast_signed()); // An ID's limit is i32's.
            }
            let mut columns = texts.finish();
            columns.push(Arc::new(Int32Array::from(sizes)));
            batches.push(batch_of(&schema, columns));
        }
        Ok(Self { batches, schema })
    }

    /// Renders changes of canonical IDs, each as of `position`.
    ///
    /// # Errors
    ///
    /// If there is no memory for them.
    pub fn changes(resolver: &Resolver, changes: &[Change], position: u64) -> Result<Self, Failure> {
        let schema = Arc::new(Schema::new(vec![
            Field::new("distinct_id", DataType::Utf8, false),
            Field::new("old_canonical_id", DataType::Utf8, true),
            Field::new("new_canonical_id", DataType::Utf8, false),
            Field::new("position", DataType::Int64, false),
        ]));
        let mut batches = Vec::new();
        let mut rows = changes.iter().peekable();
        while rows.peek().is_some() {
            let (mut texts, mut count) = (TextColumns::<3>::default(), 0);
            while texts.have_room()
                && let Some(change) = rows.next()
            {
                texts.push([change.id, change.old, change.new].map(|id| resolver.named(id)))?;
                count += 1;
            }
            let mut columns = texts.finish();
            columns.push(Arc::new(Int64Array::from(vec![position.cast_signed(); count])));
            batches.push(batch_of(&schema, columns));
        }
        Ok(Self { batches, schema })
    }
}

fn batch_of(schema: &SchemaRef, columns: Vec<ArrayRef>) -> RecordBatch {
    RecordBatch::try_new(schema.clone(), columns).expect("the columns are the schema's")
}

/// Columns of texts side by side, as many rows as one batch takes.
struct TextColumns<const N: usize>([Chunk; N]);

impl<const N: usize> Default for TextColumns<N> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Chunk::default()))
    }
}

impl<const N: usize> TextColumns<N> {
    /// Returns whether a row of any IDs fits: none has more bytes than a chunk takes behind its limit.
    fn have_room(&self) -> bool {
        self.0.iter().all(|chunk| chunk.takes(0))
    }

    fn push(&mut self, texts: [Option<Text<'_>>; N]) -> Result<(), Failure> {
        for (chunk, text) in self.0.iter_mut().zip(&texts) {
            let bytes = text.as_ref().map(Text::as_bytes);
            if !chunk.reserve(bytes.map_or(0, <[u8]>::len)) {
                return Err(Failure::no_memory());
            }
            chunk.push(bytes);
        }
        Ok(())
    }

    fn finish(self) -> Vec<ArrayRef> {
        let array = |chunk: Chunk| chunk.finish().expect("the texts of IDs are UTF-8");
        self.0.into_iter().map(|chunk| Arc::new(array(chunk)) as ArrayRef).collect()
    }
}

#[pymethods]
impl Table {
    /// How many rows there are.
    #[getter]
    fn num_rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// The names of the columns.
    #[getter]
    fn column_names(&self) -> Vec<&str> {
        self.schema.fields().iter().map(|field| field.name().as_str()).collect()
    }

    fn __len__(&self) -> usize {
        self.num_rows()
    }

    fn __repr__(&self) -> String {
        format!("Table({} rows: {})", self.num_rows(), self.column_names().join(", "))
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        to_schema_pycapsule(py, self.schema.as_ref())
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyArrowResult<Bound<'py, PyCapsule>> {
        let field = Arc::new(Field::new_struct("", self.schema.fields().clone(), false));
        let batches =
            self.batches.clone().into_iter().map(|batch| Ok(Arc::new(StructArray::from(batch)) as ArrayRef));
        to_stream_pycapsule(py, Box::new(ArrayIterator::new(batches, field)), requested_schema)
    }

    /// Return the columns as a dict of lists.
    fn to_pydict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let columns = PyDict::new(py);
        for (index, name) in self.column_names().into_iter().enumerate() {
            let list = PyList::empty(py);
            for batch in &self.batches {
                append_values(&list, batch.column(index))?;
            }
            columns.set_item(name, list)?;
        }
        Ok(columns)
    }

    /// Return this table with other canonical IDs, one a row.
    #[pyo3(name = "_with_canonical_ids")]
    fn with_canonical_ids(&self, canonical_ids: &Bound<'_, PyList>) -> PyResult<Self> {
        if canonical_ids.len() != self.num_rows() {
            let (came, rows) = (canonical_ids.len(), self.num_rows());
            return Err(PyValueError::new_err(format!("expected {rows} canonical IDs, got {came}")));
        }
        let mut texts = Texts::default();
        let (mut batches, mut names) = (Vec::new(), canonical_ids.iter());
        for batch in &self.batches {
            for name in names.by_ref().take(batch.num_rows()) {
                texts.push(Some(name.cast::<PyString>()?.to_str()?.as_bytes()));
            }
            // Names that are longer than those before take more than one chunk.
            let mut row = 0;
            for chunk in std::mem::take(&mut texts).finish()? {
                let (start, rows) = (row, chunk.len());
                let [ids, sizes] = [0, 2].map(|column| batch.column(column).slice(start, rows));
                let columns = vec![ids, Arc::new(chunk) as ArrayRef, sizes];
                batches.push(RecordBatch::try_new(self.schema.clone(), columns).map_err(arrow_error)?);
                row += rows;
            }
        }
        Ok(Self { batches, schema: self.schema.clone() })
    }
}

fn append_values(list: &Bound<'_, PyList>, column: &ArrayRef) -> PyResult<()> {
    match column.data_type() {
        DataType::Utf8 => append_texts(list, column.as_string()),
        DataType::Int32 => column
            .as_primitive::<arrow_array::types::Int32Type>()
            .iter()
            .try_for_each(|number| list.append(number)),
        DataType::Int64 => column
            .as_primitive::<arrow_array::types::Int64Type>()
            .iter()
            .try_for_each(|number| list.append(number)),
        other => Err(PyTypeError::new_err(format!("a table has no column of {other}"))),
    }
}
