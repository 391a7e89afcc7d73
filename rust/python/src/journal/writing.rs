//! Steps that are not committed yet, encoded as blocks of a journal, which Python stores.

use idmerge_events::journal_blocks::{write_fitting, write_texts};
use idmerge_events::origins;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::Failure;
use crate::journal::origins::{OriginFields, origin_fields};
use crate::memory::py_bytes;
use crate::resolver::Resolver;

/// Blocks of texts and of steps, how many steps, the next number, the position behind them, the
/// retractions among them.
type PendingBlocks<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>, usize, u32, u64, Vec<(u64, u64)>);

#[pymethods]
impl Resolver {
    /// Return how many steps are not in the journal yet, and the number behind the IDs that they
    /// name.
    #[pyo3(name = "_pending")]
    fn pending(&self, py: Python<'_>) -> PyResult<(usize, u32)> {
        let _turn = self.turn(py)?;
        let core = self.read(py)?;
        Ok(core.pending().map_or((0, 0), |pending| (pending.steps.codes.len(), pending.ids.end)))
    }

    /// Return as many of the pending steps of a range as fit in ``room`` bytes, at least one, as
    /// blocks. They begin at ``position``; ``ids`` is the range of the IDs that the range is the
    /// first to name.
    #[pyo3(name = "_pending_blocks")]
    fn pending_blocks<'py>(
        &self,
        py: Python<'py>,
        steps: (usize, usize),
        ids: (u32, u32),
        position: u64,
        room: usize,
    ) -> PyResult<PendingBlocks<'py>> {
        let _turn = self.turn(py)?;
        let (texts, block, count, next, end, retractions) = py.detach(|| {
            let core = self.read_detached()?;
            let pending = core.pending().filter(|pending| {
                steps.0 < steps.1
                    && steps.1 <= pending.steps.codes.len()
                    && ids.0 <= ids.1
                    && ids.1 <= pending.ids.end
            });
            let none = || Failure::Value(format!("no steps are pending from {} to {}", steps.0, steps.1));
            let pending = pending.ok_or_else(none)?.part(steps.0..steps.1, ids.0..ids.1);
            let (texts, mut block, part) = write_fitting(&core, pending, room)?;
            let end = position + part.steps.positions();
            let (noted, sources) = core.origins(position, end);
            origins::append(&mut block, position, noted, sources);
            let all = core.retractions();
            let place = |end| all.partition_point(|&(by, _)| by < end);
            let retractions = all[place(position)..place(end)].to_vec();
            Ok::<_, Failure>((texts, block, part.steps.codes.len(), part.ids.end, end, retractions))
        })?;
        Ok((py_bytes(py, &texts)?, py_bytes(py, &block)?, count, next, end, retractions))
    }

    /// Return the origins of links at these positions that are not in the journal yet, None where
    /// there is none.
    #[pyo3(name = "_pending_origins")]
    fn pending_origins(&self, py: Python<'_>, positions: Vec<u64>) -> PyResult<Vec<Option<OriginFields>>> {
        let core = self.read(py)?;
        let found = positions.into_iter().map(|position| {
            let (found, sources) = core.origins(position, position + 1);
            found.first().map(|origin| origin_fields(origin, sources))
        });
        Ok(found.collect())
    }

    /// Return the block of the texts of the IDs from one number to another.
    #[pyo3(name = "_texts_block")]
    fn texts_block<'py>(&self, py: Python<'py>, start: u32, end: u32) -> PyResult<Bound<'py, PyBytes>> {
        let block = py.detach(|| {
            let core = self.read_detached()?;
            let known = core.numbered();
            if start > end || end as usize > known {
                return Err(Failure::Value(format!("no IDs from {start} to {end}: {known} are known")));
            }
            Ok(write_texts(&core, start..end)?)
        })?;
        py_bytes(py, &block)
    }

    /// Return how many steps are not in the journal yet.
    #[pyo3(name = "_pending_count")]
    fn pending_count(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.read(py)?.pending().map_or(0, |pending| pending.steps.codes.len()))
    }

    /// Note that the first ``steps`` pending ones, and the texts before number ``next``, are in the
    /// journal.
    #[pyo3(name = "_written")]
    fn written(&self, py: Python<'_>, batch: u64, steps: usize, next: u32) -> PyResult<()> {
        let _turn = self.turn_of_any(py)?;
        self.write(py)?.written(batch, steps, next);
        Ok(())
    }
}
