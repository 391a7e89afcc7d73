//! The function that cuts the lines of a server's log into columns.

use idmerge_events::stored::{self, Stored};
use pyo3::prelude::*;

use crate::errors::Failure;
use crate::tables::Table;

/// Return lines of events as columns, a row for each that is not blank, and the rows that are
/// declined.
#[pyfunction]
#[pyo3(signature = (lines, longest, *, simplified))]
pub fn stored_columns(
    py: Python<'_>,
    lines: &[u8],
    longest: usize,
    simplified: bool,
) -> PyResult<(Table, Vec<usize>)> {
    let read = py.detach(|| stored::columns(lines, longest, simplified)).map_err(Failure::from)?;
    let Stored { columns, declined } = read;
    Ok((Table::of(columns), declined))
}
