//! Classes over `idmerge_events`: lines of events as steps, columns and Parquet.

mod dedupe;
mod encoding;
mod flattener;
mod objects;
mod rows;
mod scanner;
mod stored;
mod text;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::MalformedEventError;

pub use dedupe::DistinctRows;
pub use encoding::{
    DistinctEvents, EncodedEvents, EncodedFile, SentIds, Spool, WaitingEvents, waiting_events,
};
pub use flattener::{Flat, Flattener};
pub use objects::{EventReader, ReadEvents};
pub use rows::RowReader;
pub use scanner::{Scan, Scanner, holes_filled, up_to};
pub use stored::stored_columns;
pub use text::{Beginning, Items, Transcoder};

/// Return a number in the shortest form that is read as the same one.
#[pyfunction]
pub fn float_text(number: f64) -> String {
    idmerge_events::json::text::float_text(number)
}

/// Return the items that the body of a request holds as lines of JSON.
///
/// `MalformedEventError` if it holds none, or more than ``most`` bytes.
#[pyfunction]
pub fn body_lines<'py>(
    py: Python<'py>,
    body: &[u8],
    kind: Option<&str>,
    most: usize,
) -> PyResult<Bound<'py, PyBytes>> {
    let lines = py.detach(|| idmerge_events::bodies::lines_of(body, kind, most));
    let lines = lines.map_err(|error| MalformedEventError::new_err(error.to_string()))?;
    Ok(PyBytes::new(py, &lines))
}
