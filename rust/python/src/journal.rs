//! What `idmerge.Resolver` does with a journal: the part of the core's class that writes its blocks, reads
//! them back and looks back on them. Where blocks are kept is Python's business.

#![expect(clippy::needless_pass_by_value, reason = "pyo3 makes an argument for the call")]

use std::collections::HashSet;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

use arrow_schema::ArrowError;
use idmerge_core::{Damage, Edge, Feed, Id, Judged, Moment, NotApart, NotRetracted, Part};
use idmerge_events::journal_blocks::{StepBlock, TextBlock, write_fitting, write_texts};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::sync::MutexExt;
use pyo3::types::{PyBytes, PyString};

use crate::errors::{Failure, KeptApartError};
use crate::memory::py_bytes;
use crate::resolver::{Core, Resolver, unicode, unknown};
use crate::table::Table;

/// A link as Python gets it: kind, first and second ID (None if forgotten), position, outcome.
type Told = (u8, Option<String>, Option<String>, u64, u8);
/// Blocks of texts and of steps, how many steps, the next number, the position behind them, the retractions
/// among them.
type PendingBlocks<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>, usize, u32, u64, Vec<(u64, u64)>);

impl From<Damage> for Failure {
    fn from(damage: Damage) -> Self {
        if damage.what == Damage::NO_MEMORY {
            return Self::Memory(damage.what.to_owned());
        }
        Self::Damaged(damage.to_string())
    }
}

impl From<ArrowError> for Failure {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::MemoryError(text) => Self::Memory(text),
            _ => Self::Damaged(error.to_string()),
        }
    }
}

/// Reads blocks of steps; an empty one is that of a batch without steps.
fn read_steps(blocks: &[PyBackedBytes]) -> Result<Vec<StepBlock>, Failure> {
    let read = |block: &PyBackedBytes| {
        if block.is_empty() { Ok(StepBlock::empty()) } else { StepBlock::read(block) }
    };
    blocks.iter().map(|block| Ok(read(block)?)).collect()
}

/// Returns whether a resolver is at the position, and has numbered the IDs, that a moment states last.
fn is_at(core: &Core, moment: Moment) -> bool {
    let [.., position, ids, _] = moment;
    core.position() == position && core.numbered() as u64 == ids
}

fn told(core: &Core, edge: &Edge, outcome: u8) -> Told {
    let [first, second] = edge.ids.map(|id| core.named(id).map(|text| text.as_str().to_owned()));
    (edge.kind as u8, first, second, edge.position, outcome)
}

impl Resolver {
    fn feed(&self, py: Python<'_>) -> MutexGuard<'_, Option<Feed>> {
        self.feed.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
    }

    /// Raises unless an ID is known; the error's message runs Python, and so no lock is held.
    fn require(&self, distinct_id: &Bound<'_, PyString>) -> PyResult<()> {
        let text = text(distinct_id)?;
        let found = self.read(distinct_id.py())?.get(text);
        found.map(|_| ()).ok_or_else(|| unknown(distinct_id))
    }
}

fn text<'a>(distinct_id: &'a Bound<'_, PyString>) -> PyResult<&'a str> {
    unicode(distinct_id).ok_or_else(|| unknown(distinct_id))
}

#[pymethods]
impl Resolver {
    /// How many links and acts there were so far: the position that the next one gets.
    #[getter]
    fn position(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.read(py)?.position())
    }

    /// Keep two IDs apart from now on.
    fn keep_apart(&self, a: &Bound<'_, PyString>, b: &Bound<'_, PyString>) -> PyResult<()> {
        let py = a.py();
        let (first, second) = (unicode(a).unwrap_or_default(), unicode(b).unwrap_or_default());
        let kept = {
            let _turn = self.turn(py)?;
            self.write(py)?.keep_apart([first, second])
        };
        match kept {
            Ok(()) => Ok(()),
            Err(NotApart::Full(error)) => Err(Failure::from(error).into()),
            Err(NotApart::Same) => {
                Err(PyValueError::new_err(format!("{} cannot be kept apart from itself", a.repr()?)))
            }
            Err(NotApart::Together) => Err(KeptApartError::new_err(format!(
                "{} and {} are together; take back the links that joined them first (explain, or idmerge why, names them)",
                a.repr()?,
                b.repr()?
            ))),
            Err(NotApart::Invalid(which)) => Err(PyValueError::new_err(format!(
                "{} can be no ID: it is empty, too long, blocked or no Unicode text",
                [a, b][which].repr()?
            ))),
        }
    }

    /// Forget a known ID.
    fn forget(&self, distinct_id: &Bound<'_, PyString>) -> PyResult<()> {
        let py = distinct_id.py();
        let text = text(distinct_id)?;
        let is_known = {
            let _turn = self.turn(py)?;
            self.renew_era();
            let mut core = self.write(py)?;
            let found = core.get(text);
            if let Some(id) = found {
                core.forget(id);
            }
            found.is_some()
        };
        if is_known { Ok(()) } else { Err(unknown(distinct_id)) }
    }

    /// Return how many steps are not in the journal yet, and the number behind the IDs that they name.
    #[pyo3(name = "_pending")]
    fn pending(&self, py: Python<'_>) -> PyResult<(usize, u32)> {
        let _turn = self.turn(py)?;
        let core = self.read(py)?;
        Ok(core.pending().map_or((0, 0), |pending| (pending.steps.codes.len(), pending.ids.end)))
    }

    /// Return as many of the pending steps of a range as fit in ``room`` bytes, at least one, as blocks. They
    /// begin at ``position``; ``ids`` is the range of the IDs that the range is the first to name.
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
            let (texts, block, part) = write_fitting(&core, pending, room)?;
            let end = position + part.steps.positions();
            let all = core.retractions();
            let place = |end| all.partition_point(|&(by, _)| by < end);
            let retractions = all[place(position)..place(end)].to_vec();
            Ok::<_, Failure>((texts, block, part.steps.codes.len(), part.ids.end, end, retractions))
        })?;
        Ok((py_bytes(py, &texts)?, py_bytes(py, &block)?, count, next, end, retractions))
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

    /// Note that the first ``steps`` pending ones, and the texts before number ``next``, are in the journal.
    #[pyo3(name = "_written")]
    fn written(&self, py: Python<'_>, batch: u64, steps: usize, next: u32) -> PyResult<()> {
        let _turn = self.turn_whoever(py)?;
        self.write(py)?.written(batch, steps, next);
        Ok(())
    }

    /// Read back a batch; return whether the position ``until`` was not reached yet, and the position and the
    /// number that come next.
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
        let _turn = self.turn_whoever(py)?;
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
        let _turn = self.turn_whoever(py)?;
        let _others = other.turn_whoever(py)?;
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
        let _turn = self.turn_whoever(py)?;
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
        let _turn = self.turn_whoever(py)?;
        self.write(py)?.end_restoring();
        Ok(())
    }

    /// Return the number of the batch from which on `_changes` needs blocks to tell what changed since.
    #[pyo3(name = "_feed_start")]
    fn feed_start(&self, py: Python<'_>, since: u64) -> PyResult<usize> {
        let mut feed = self.feed(py);
        let core = self.read(py)?;
        let mut found = feed.take().unwrap_or_else(|| Feed::new(&core, since));
        if !found.follow(&core, since) {
            found = Feed::new(&core, since);
        }
        Ok(feed.insert(found).batch())
    }

    /// Return what canonical IDs changed since the position that `_feed_start` was given, by the blocks that
    /// it asked for.
    #[pyo3(name = "_changes")]
    fn changes(&self, py: Python<'_>, blocks: Vec<PyBackedBytes>) -> PyResult<Table> {
        let table = py.detach(|| {
            let blocks = read_steps(&blocks)?;
            // A panic here leaves none: it is taken out while it is worked on.
            let mut feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
            // Should something fail, there is none to go on from.
            let mut found = feed.take().ok_or_else(|| Failure::Value("no feed was begun".to_owned()))?;
            let mut passed = 0;
            while passed < blocks.len() {
                // The lock is free between two batches, so that links need not wait.
                if !found.advance(&*self.read_detached()?, blocks[passed].steps(), false)? {
                    break;
                }
                passed += 1;
            }
            // Who would link waits for its turn, not for the lock, where readers would wait behind it.
            let _turn = self.turn.take_detached();
            let core = self.read_detached()?;
            let pending = core.pending().map(|pending| pending.steps);
            if passed == blocks.len()
                && let Some(pending) = pending
            {
                found.advance(&core, pending, true)?;
            }
            let rest = blocks[passed..].iter().map(StepBlock::steps).chain(pending);
            let table = Table::changes(&core, &found.changes(&core, rest), core.position())?;
            *feed = Some(found);
            Ok::<_, Failure>(table)
        });
        Ok(table?)
    }

    /// Take back what stands at some positions, and return what canonical IDs change.
    #[pyo3(name = "_retract")]
    fn retract(
        &self,
        py: Python<'_>,
        blocks: Vec<PyBackedBytes>,
        positions: Vec<u64>,
        dry_run: bool,
    ) -> PyResult<Table> {
        let _turn = self.turn(py)?;
        self.renew_era();
        let table = py.detach(|| {
            let blocks = read_steps(&blocks)?;
            let core = self.read_detached()?;
            let hindsight = core.without(&positions, blocks.iter().map(StepBlock::steps))?;
            let after = core.position() + positions.len() as u64;
            let table = Table::changes(&core, &core.changes_to(&hindsight), after)?;
            drop(core);
            if !dry_run {
                self.core.write()?.take_back(&positions, hindsight);
            }
            Ok::<_, Failure>(table)
        });
        Ok(table?)
    }

    /// Return the links that built an ID's cluster, or the chain of them that leads to another ID; None if
    /// the two are apart. Without blocks, by the history that was kept.
    #[pyo3(name = "_explain", signature = (a, b=None, blocks=None))]
    fn explain(
        &self,
        a: &Bound<'_, PyString>,
        b: Option<&Bound<'_, PyString>>,
        blocks: Option<Vec<PyBackedBytes>>,
    ) -> PyResult<Option<Vec<Told>>> {
        let py = a.py();
        let (from, to) = (text(a)?, b.map(text).transpose()?);
        self.require(a)?;
        if let Some(b) = b {
            self.require(b)?;
        }
        let links = py.detach(|| {
            let blocks = blocks.map(|blocks| read_steps(&blocks)).transpose()?;
            let _turn = blocks.as_ref().map(|_| self.turn.take_detached());
            let core = self.read_detached()?;
            // The lock was free in between: an ID may have been forgotten.
            let (Some(a), b) = (core.get(from), to.and_then(|to| core.get(to))) else { return Ok(None) };
            if b.is_some_and(|b| !core.same(a, b)) || b.is_some() != to.is_some() {
                return Ok::<_, Failure>(None);
            }
            let links = match blocks {
                Some(blocks) => {
                    let steps = blocks.iter().map(StepBlock::steps);
                    let hindsight = core.look_back_to_now(steps, true, |_| ())?;
                    b.map_or_else(|| core.built_by(&hindsight, a), |b| core.chain_by(&hindsight, a, b))
                }
                None => b.map_or_else(|| core.built(a), |b| core.chain(a, b)),
            };
            let links = links.ok_or(Failure::NoHistory)?;
            Ok(Some(links.iter().map(|edge| told(&core, edge, 0)).collect()))
        });
        Ok(links?)
    }

    /// Return the rejected links between two IDs' clusters, given the journal's blocks of steps.
    #[pyo3(name = "_why_not")]
    fn why_not(
        &self,
        a: &Bound<'_, PyString>,
        b: &Bound<'_, PyString>,
        blocks: Vec<PyBackedBytes>,
    ) -> PyResult<Vec<Told>> {
        let py = a.py();
        let (from, to) = (text(a)?, text(b)?);
        for id in [a, b] {
            self.require(id)?;
        }
        let links = py.detach(|| {
            let blocks = read_steps(&blocks)?;
            let _turn = self.turn.take_detached();
            let core = self.read_detached()?;
            let (Some(a), Some(b)) = (core.get(from), core.get(to)) else { return Ok(Vec::new()) };
            let mut rejected = Vec::new();
            let watch = |judged: Judged| {
                let Judged { position, kind, ids, outcome } = judged;
                let [first, second] = ids;
                let is_between = (core.same(first, a) && core.same(second, b))
                    || (core.same(first, b) && core.same(second, a));
                if !outcome.is_accepted() && is_between {
                    rejected.push(told(&core, &Edge { kind, ids, position }, outcome as u8));
                }
            };
            core.look_back_to_now(blocks.iter().map(StepBlock::steps), false, watch)?;
            Ok::<_, Failure>(rejected)
        });
        Ok(links?)
    }

    /// Return the links in a journal's block of steps that begins at ``position``, as they were recorded.
    #[pyo3(name = "_recorded_links")]
    fn recorded_links(&self, py: Python<'_>, block: PyBackedBytes, position: u64) -> PyResult<Vec<Told>> {
        let links = py.detach(|| {
            let block = StepBlock::read(&block)?;
            let core = self.read_detached()?;
            let named = |id: Id| {
                let is_numbered = (id.number() as usize) < core.numbered();
                is_numbered.then(|| core.named(id)).flatten().map(|text| text.as_str().to_owned())
            };
            let links = block.steps().links(position).map(|(position, kind, ids, outcome)| {
                let [first, second] = ids.map_or([None, None], |ids| ids.map(named));
                (kind as u8, first, second, position, outcome as u8)
            });
            Ok::<_, Failure>(links.collect())
        });
        Ok(links?)
    }

    /// Write what the resolver is to a file, if it is what the journal held at ``moment``; return whether.
    #[pyo3(name = "_save")]
    fn save(&self, py: Python<'_>, path: PathBuf, moment: Moment) -> PyResult<bool> {
        let _turn = self.turn_whoever(py)?;
        let is_saved = py.detach(|| {
            let core = self.read_detached()?;
            let is_pending = core.pending().is_some_and(|pending| !pending.steps.codes.is_empty());
            if is_pending || !is_at(&core, moment) {
                return Ok::<_, Failure>(false);
            }
            // A file of its own: what a link leads to is not to be written over.
            let mut file = File::create_new(path)?;
            let second = core.save(moment, &mut file)?;
            file.write_all(&second.to_le_bytes())?;
            Ok(true)
        });
        Ok(is_saved?)
    }

    /// Become what a file says, if that was written at this moment.
    #[pyo3(name = "_load")]
    fn load(&self, py: Python<'_>, path: PathBuf, moment: Moment) -> PyResult<()> {
        let _turn = self.turn_whoever(py)?;
        self.renew_era();
        py.detach(|| {
            // Two parts, and behind them the length of the second one.
            let (mut texts, mut rest) = (File::open(&path)?, File::open(&path)?);
            let mut second = [0; 8];
            let end = rest.seek(SeekFrom::End(-8))?;
            rest.read_exact(&mut second)?;
            let second = u64::from_le_bytes(second);
            let first =
                end.checked_sub(second).ok_or_else(|| Failure::Damaged("it is cut off".to_owned()))?;
            rest.seek(SeekFrom::Start(first))?;
            let parts: [Part; 2] = [(&mut texts, first), (&mut rest, second)];
            let loaded = self.read_detached()?.loaded(parts, |written| written == moment);
            let loaded = loaded.map_err(|error| match error.kind() {
                ErrorKind::OutOfMemory => Failure::no_memory(),
                _ => Failure::Damaged(error.to_string()),
            })?;
            if !is_at(&loaded, moment) {
                return Err(Failure::Damaged("it is not what the journal held then".to_owned()));
            }
            *self.core.write()? = loaded;
            Ok::<_, Failure>(())
        })?;
        Ok(())
    }

    /// Refuse every call that would change something from now on, for this reason.
    #[pyo3(name = "_seal")]
    fn seal(&self, py: Python<'_>, reason: String) -> PyResult<()> {
        if self.orphaned.get().is_some() {
            return Ok(());
        }
        let _turn = self.turn_whoever(py)?;
        *self.sealed.lock().map_err(Failure::from)? = Some(reason);
        self.is_sealed.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Refuse every call from now on, for this reason, and wait for no lock to do so.
    #[pyo3(name = "_orphan")]
    fn orphan(&self, reason: String) {
        let _ = self.orphaned.set(reason);
    }
}

impl From<NotRetracted> for Failure {
    fn from(error: NotRetracted) -> Self {
        match error {
            NotRetracted::NotThere(position) => {
                Self::Retraction(format!("there is nothing at position {position} yet"))
            }
            NotRetracted::Already { position, by } => Self::Retraction(format!(
                "position {position} was taken back already, at position {by}; take that back to restore it"
            )),
            NotRetracted::Forgotten => {
                Self::Retraction("an ID was forgotten there, and that cannot be undone".to_owned())
            }
            NotRetracted::Damaged(damage) => damage.into(),
        }
    }
}
