//! The Python class `Table`: the mapping, or its changes, as an Arrow stream.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, Int32Array, Int64Array, RecordBatch, StructArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use idmerge_core::{Change, Id, Resolver};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyList, PyString};
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::{ArrayIterator, to_schema_pycapsule, to_stream_pycapsule};

use crate::errors::Failure;
use crate::tables::arrow::{append_texts, arrow_error};
use crate::tables::texts::{CHUNK_ROWS, TextColumns, Texts};

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

    /// Renders the mapping of `resolver`, one row a known ID in the order in which they became
    /// known.
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

    /// Renders changes of canonical IDs, each as of the `position`.
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

    /// Renders IDs with their canonical IDs, all of them known.
    ///
    /// # Errors
    ///
    /// If there is no memory for them.
    pub fn canonical_ids(
        resolver: &Resolver,
        pairs: impl Iterator<Item = (Id, Id)>,
    ) -> Result<Self, Failure> {
        let schema = Arc::new(Schema::new(vec![
            Field::new("distinct_id", DataType::Utf8, false),
            Field::new("canonical_id", DataType::Utf8, false),
        ]));
        let mut batches = Vec::new();
        let mut rows = pairs.peekable();
        while rows.peek().is_some() {
            let mut texts = TextColumns::<2>::default();
            while texts.have_room()
                && let Some((id, name)) = rows.next()
            {
                texts.push([Some(resolver.text(id)), Some(resolver.text(name))])?;
            }
            batches.push(batch_of(&schema, texts.finish()));
        }
        Ok(Self { batches, schema })
    }
}

fn batch_of(schema: &SchemaRef, columns: Vec<ArrayRef>) -> RecordBatch {
    RecordBatch::try_new(schema.clone(), columns).expect("the columns are the schema's")
}

#[pymethods]
impl Table {
    /// The number of rows.
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

    /// Return the first rows.
    #[pyo3(signature = (rows=10))]
    fn head(&self, rows: usize) -> Self {
        let mut left = rows;
        let mut batches = Vec::new();
        for batch in &self.batches {
            let count = left.min(batch.num_rows());
            if count > 0 {
                batches.push(batch.slice(0, count));
            }
            left -= count;
        }
        Self { batches, schema: self.schema.clone() }
    }

    /// Return a table of pyarrow that shares the memory.
    fn to_arrow<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        conversion(slf, "to_arrow")
    }

    /// Return a frame of pandas.
    fn to_pandas<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        conversion(slf, "to_pandas")
    }

    /// Return a frame of polars that shares the memory.
    fn to_polars<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        conversion(slf, "to_polars")
    }

    /// Return the first rows as a notebook shows them.
    #[pyo3(name = "_repr_html_")]
    fn repr_html<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        conversion(slf, "html")
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

/// Returns what Python makes of a table.
fn conversion<'py>(table: &Bound<'py, Table>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    let py = table.py();
    py.import(intern!(py, "idmerge._tables"))?.call_method1(name, (table,))
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
