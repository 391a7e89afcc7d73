//! Origins of links, read from the blocks of a journal.

#![expect(clippy::needless_pass_by_value, reason = "pyo3 makes an argument for the call")]

use std::collections::HashSet;

use idmerge_core::Origin;
use idmerge_events::origins::{Origins, later_than};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use crate::errors::Failure;
use crate::resolver::Resolver;

/// An origin as Python gets it: the event's time in milliseconds since 1970, the name of its
/// source, and its number there.
pub type OriginFields = (Option<i64>, Option<String>, u64);

pub fn origin_fields<T: AsRef<str>>(origin: &Origin, sources: &[T]) -> OriginFields {
    let (source, number) = origin.place.unzip();
    (origin.time, source.map(|source| sources[source as usize].as_ref().to_owned()), number.unwrap_or(0))
}

#[pymethods]
impl Resolver {
    /// Return the origins of the links at these positions, which are in order, in a block of steps
    /// that begins at ``start``, None where there is none; without positions all are read.
    #[staticmethod]
    #[pyo3(name = "_block_origins")]
    fn block_origins(
        py: Python<'_>,
        block: PyBackedBytes,
        start: u64,
        positions: Vec<u64>,
    ) -> PyResult<Vec<Option<OriginFields>>> {
        let origins = py.detach(|| match &positions[..] {
            [] => Origins::read(&block, start),
            positions => Origins::at(&block, start, positions),
        });
        let origins = origins.map_err(Failure::from)?;
        let found = positions
            .into_iter()
            .map(|position| origins.of(position).map(|origin| origin_fields(origin, &origins.sources)));
        Ok(found.collect())
    }

    /// Return the positions of the links in a block that begins at ``start`` whose events were
    /// later than ``latest``, in milliseconds since 1970; links without an event time are among
    /// them if the batch is ``late``.
    #[staticmethod]
    #[pyo3(name = "_later_than")]
    fn later_than(
        py: Python<'_>,
        block: PyBackedBytes,
        start: u64,
        latest: i64,
        late: bool,
    ) -> PyResult<HashSet<u64>> {
        Ok(py.detach(|| later_than(&block, start, latest, late)).map_err(Failure::from)?)
    }

    /// Leave out the links at these positions, which are not read back yet.
    #[pyo3(name = "_leave_out")]
    fn leave_out(&self, py: Python<'_>, positions: HashSet<u64>) -> PyResult<()> {
        let _turn = self.turn_of_any(py)?;
        self.write(py)?.leave_out(&positions);
        Ok(())
    }
}
