//! The class that reads rows of a table whose properties are JSON text.

use arrow_array::cast::AsArray;
use arrow_array::{Array, LargeBinaryArray};
use arrow_schema::DataType;
use idmerge_events::rows::{self, RowsRead};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::columns::read_arrow;
use crate::errors::Failure;
use crate::events::scanner::{NamedRule, Scan, rules};
use crate::tables::Table;

/// Steps, columns, the names of values without a column, rows whose steps are holes, and those that
/// are null in the columns too.
type Answer = (Scan, Table, Vec<String>, Vec<usize>, Vec<usize>);

/// Reads rows whose properties are JSON text by the rules that Python states.
#[pyclass(frozen, module = "idmerge._core")]
pub struct RowReader(rows::RowReader);

#[pymethods]
impl RowReader {
    #[new]
    #[pyo3(signature = (events, longest, columns, values, simplified=false))]
    #[expect(clippy::needless_pass_by_value, reason = "it is made for this call")]
    fn new(
        events: Vec<NamedRule>,
        longest: usize,
        columns: Vec<String>,
        values: Vec<String>,
        simplified: bool,
    ) -> PyResult<Self> {
        let reader = rows::RowReader::new(rules(events, simplified)?, longest, &columns, values);
        reader.map(Self).ok_or_else(|| PyValueError::new_err("a column states nothing"))
    }

    /// Read rows: the names of their events, their properties as JSON text, and the properties that
    /// have columns, each in one array of ``large_binary``.
    ///
    /// Returns their steps, the two IDs and the wanted values as columns, the names of the values
    /// that have none, the rows whose steps are holes, and those that are null in the columns too.
    #[expect(clippy::needless_pass_by_value, reason = "it is made for this call")]
    fn read(
        &self,
        names: &Bound<'_, PyAny>,
        properties: &Bound<'_, PyAny>,
        columns: Vec<Bound<'_, PyAny>>,
    ) -> PyResult<Answer> {
        let py = names.py();
        let (names, texts) = (texts_of(names)?, texts_of(properties)?);
        let columns = columns.iter().map(texts_of).collect::<PyResult<Vec<_>>>()?;
        let read = py.detach(|| self.0.read(&names, &texts, &columns)).map_err(Failure::from)?;
        let RowsRead { scan, declined, unread, properties, mixed } = read;
        Ok((Scan::of(scan), Table::of(properties), mixed, declined, unread))
    }
}

fn texts_of(column: &Bound<'_, PyAny>) -> PyResult<LargeBinaryArray> {
    let (chunks, _) = read_arrow(column, "a column")?;
    match chunks.as_slice() {
        [chunk] if *chunk.data_type() == DataType::LargeBinary => Ok(chunk.as_binary::<i64>().clone()),
        _ => Err(PyTypeError::new_err("a column must be one array of large_binary")),
    }
}
