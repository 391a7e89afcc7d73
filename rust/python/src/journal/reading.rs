//! Batches of a journal, read back into a resolver.

#![expect(clippy::needless_pass_by_value, reason = "pyo3 makes an argument for the call")]

use std::collections::HashSet;
use std::sync::{MutexGuard, PoisonError};

use idmerge_core::ChangeFeed;
use idmerge_events::journal_blocks::{StepBlock, TextBlock};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::sync::MutexExt;

use crate::errors::Failure;
use crate::resolver::Resolver;

/// Reads blocks of steps; an empty one is that of a batch without steps.
pub fn read_steps(blocks: &[PyBackedBytes]) -> Result<Vec<StepBlock>, Failure> {
    let read = |block: &PyBackedBytes| {
        if block.is_empty() { Ok(StepBlock::empty()) } else { StepBlock::read(block) }
    };
    blocks.iter().map(|block| Ok(read(block)?)).collect()
}

impl Resolver {
    /// Returns the feed of changes, locked.
    pub fn feed(&self, py: Python<'_>) -> MutexGuard<'_, Option<ChangeFeed>> {
        self.feed.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Resolver {
    /// Read back a batch; return whether the position ``until`` was not reached yet, and the
    /// position and the number that come next.
    #[pyo3(name = "_restore")]
    fn restore(
        &self,
        py: Python<'_>,
        texts: PyBackedBytes,
        steps: PyBackedBytes,
        retracted: HashSet<u64>,
        until: Option<u64>,
        is_checked: bool,
    ) -> PyResult<(bool, u64, usize)> {
        let _turn = self.turn_of_any(py)?;
        self.renew_era();
        let read = py.detach(|| {
            let (texts, steps) = (TextBlock::read(&texts)?, StepBlock::read(&steps)?);
            let until = (&retracted, until.unwrap_or(u64::MAX));
            let mut core = self.core.write()?;
            let goes_on = core.restore(texts.iter(), steps.steps(), until, is_checked)?;
            Ok::<_, Failure>((goes_on, core.position(), core.numbered()))
        });
        Ok(read?)
    }

    /// Become what another resolver is, which becomes what this one was.
    #[pyo3(name = "_swap")]
    fn swap(&self, other: &Bound<'_, Self>) -> PyResult<()> {
        let py = other.py();
        let other = other.get();
        let _turn = self.turn_of_any(py)?;
        let _others = other.turn_of_any(py)?;
        self.renew_era();
        other.renew_era();
        *self.feed(py) = None;
        let (mut mine, mut theirs) = (self.write(py)?, other.write(py)?);
        std::mem::swap(&mut *mine, &mut *theirs);
        Ok(())
    }

    /// Wipe the texts of the IDs that later steps, in these blocks, forget.
    #[pyo3(name = "_wipe_forgotten")]
    fn wipe_forgotten(&self, py: Python<'_>, blocks: Vec<PyBackedBytes>) -> PyResult<()> {
        let _turn = self.turn_of_any(py)?;
        self.renew_era();
        let wiped = py.detach(|| {
            let blocks = read_steps(&blocks)?;
            let mut core = self.core.write()?;
            for block in &blocks {
                core.wipe_forgotten(block.steps());
            }
            Ok::<_, Failure>(())
        });
        Ok(wiped?)
    }

    /// End reading back at an earlier position.
    #[pyo3(name = "_end_restoring")]
    fn end_restoring(&self, py: Python<'_>) -> PyResult<()> {
        let _turn = self.turn_of_any(py)?;
        self.write(py)?.end_restoring();
        Ok(())
    }
}
