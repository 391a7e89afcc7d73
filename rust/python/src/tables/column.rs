//! The class of Arrow columns out.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StringArray};
use arrow_schema::{DataType, Field, FieldRef};
use idmerge_events::ids;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyList, PyString};
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::{ArrayIterator, to_schema_pycapsule, to_stream_pycapsule};

use crate::columns::{each_array, read_arrow, write_numpy};
use crate::tables::arrow::{append_texts, arrow_error};
use crate::tables::texts::Texts;

/// A column of texts, ready for any library that speaks Arrow.
#[pyclass(frozen, module = "idmerge._core")]
pub struct Column {
    chunks: Vec<ArrayRef>,
    field: FieldRef,
}

impl Column {
    /// Returns a column of the type `like`, a dictionary's being that of its values, or of utf8 if
    /// that is no type of text.
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

impl Column {
    /// Returns texts as a column of the type `like`, a dictionary's being that of its values.
    pub fn of(texts: Texts, like: &DataType) -> PyResult<Self> {
        Self::new(texts.finish()?, like)
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
        write_numpy(&plain.collect::<Result<Vec<_>, _>>().map_err(arrow_error)?, dtype)
    }

    /// Return a column of the same type with these texts.
    #[pyo3(name = "_with_texts")]
    fn with_texts(&self, texts: &Bound<'_, PyList>) -> PyResult<Self> {
        let mut column = Texts::default();
        for text in texts {
            let text: Option<Bound<'_, PyString>> = text.extract()?;
            column.push(text.as_ref().map(|text| text.to_str()).transpose()?.map(str::as_bytes));
        }
        Self::of(column, self.field.data_type())
    }

    fn __repr__(&self) -> String {
        format!("Column({} rows)", self.__len__())
    }
}

/// Return an Arrow column of IDs as one of utf8; text that is no Unicode is null.
///
/// Messages have the number of a row in ``lines``, or its own.
#[pyfunction]
#[pyo3(name = "_utf8_of_ids", signature = (column, name, lines=None))]
pub fn utf8_of_ids(
    column: &Bound<'_, PyAny>,
    name: &str,
    lines: Option<&Bound<'_, PyAny>>,
) -> PyResult<Column> {
    let (arrays, field) = read_arrow(column, name)?;
    let line = |row| lines.map_or(Ok(row), |lines| lines.get_item(row)?.extract());
    let texts = each_array(&arrays, &field, name, line, ids::utf8)?;
    let texts = texts.iter().map(|array| array.as_string().clone());
    Column::new(texts.collect(), &DataType::Utf8)
}

/// Returns the type of the texts in a column of IDs: its own if that is a type of text.
fn plain_text(column: &DataType) -> &DataType {
    match column {
        DataType::Dictionary(_, values) => plain_text(values),
        text @ (DataType::LargeUtf8 | DataType::Utf8View) => text,
        _ => &DataType::Utf8,
    }
}
