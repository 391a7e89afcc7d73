//! The past, by a journal's steps: changes since a position, retractions, and the links behind a
//! cluster.

#![expect(clippy::needless_pass_by_value, reason = "pyo3 makes an argument for the call")]

use std::sync::PoisonError;

use idmerge_core::{Change, ChangeFeed, Edge, Id, JudgedLink, Statement};
use idmerge_events::journal_blocks::StepBlock;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyString;

use crate::columns::IdText;
use crate::errors::Failure;
use crate::journal::reading::read_steps;
use crate::resolver::{Core, Resolver, known_text, unknown};
use crate::tables::Table;

/// A link as Python gets it: kind, first and second ID (None if forgotten), position, outcome.
type LinkFields = (u8, Option<String>, Option<String>, u64, u8);

/// A statement as Python gets it: code, first and second ID (None if forgotten), outcome, count,
/// the first positions, and those of their retractions.
type StatementFields = (u8, Option<String>, Option<String>, Option<u8>, u64, Vec<u64>, Vec<u64>);

fn statement_fields(core: &Core, one: Statement) -> StatementFields {
    let Statement { code, ids, outcome, count, positions, taken_back_by } = one;
    let [first, second] = ids.map(|id| core.named(id).map(|text| text.as_str().to_owned()));
    (code, first, second, outcome.map(|outcome| outcome as u8), count, positions, taken_back_by)
}

fn link_fields(core: &Core, edge: &Edge, outcome: u8) -> LinkFields {
    let [first, second] = edge.ids.map(|id| core.named(id).map(|text| text.as_str().to_owned()));
    (edge.kind as u8, first, second, edge.position, outcome)
}

impl Resolver {
    /// Raises unless an ID is known; the error's message runs Python, and so no lock is held.
    fn require(&self, distinct_id: &Bound<'_, PyString>) -> PyResult<()> {
        let text = known_text(distinct_id)?;
        let found = self.read(distinct_id.py())?.get(text);
        found.map(|_| ()).ok_or_else(|| unknown(distinct_id))
    }

    /// Returns what `rendered` makes of the changes since the position that `_feed_start` was
    /// given.
    fn with_changes(
        &self,
        py: Python<'_>,
        blocks: &[PyBackedBytes],
        rendered: impl FnOnce(&Core, &[Change]) -> Result<Table, Failure> + Send,
    ) -> PyResult<Table> {
        let table = py.detach(|| {
            let blocks = read_steps(blocks)?;
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
            // A call that would link waits for its turn, not for the lock, where readers would wait
            // behind it.
            let _turn = self.turn.take_detached();
            let core = self.read_detached()?;
            let pending = core.pending().map(|pending| pending.steps);
            if passed == blocks.len()
                && let Some(pending) = pending
            {
                found.advance(&core, pending, true)?;
            }
            let rest = blocks[passed..].iter().map(StepBlock::steps).chain(pending);
            let table = rendered(&core, &found.changes(&core, rest))?;
            *feed = Some(found);
            Ok::<_, Failure>(table)
        });
        Ok(table?)
    }
}

#[pymethods]
impl Resolver {
    /// Return the number of the batch from which on `_changes` needs blocks to find what changed
    /// since.
    #[pyo3(name = "_feed_start")]
    fn feed_start(&self, py: Python<'_>, since: u64) -> PyResult<usize> {
        let mut feed = self.feed(py);
        let core = self.read(py)?;
        let mut found = feed.take().unwrap_or_else(|| ChangeFeed::new(&core, since));
        if !found.follow(&core, since) {
            found = ChangeFeed::new(&core, since);
        }
        Ok(feed.insert(found).batch())
    }

    /// Return what canonical IDs changed since the position that `_feed_start` was given, by the
    /// blocks that it asked for.
    #[pyo3(name = "_changes")]
    fn changes(&self, py: Python<'_>, blocks: Vec<PyBackedBytes>) -> PyResult<Table> {
        self.with_changes(py, &blocks, |core, changes| Table::changes(core, changes, core.position()))
    }

    /// Return the canonical IDs that changed since the position that `_feed_start` was given, and
    /// those of all known IDs from number `first` on, each ID once; without blocks the latter.
    #[pyo3(name = "_canonical_ids")]
    fn canonical_ids(
        &self,
        py: Python<'_>,
        first: usize,
        blocks: Option<Vec<PyBackedBytes>>,
    ) -> PyResult<Table> {
        let Some(blocks) = blocks else {
            let table = py.detach(|| {
                let core = self.read_detached()?;
                Table::canonical_ids(&core, core.canonical_ids(first))
            });
            return Ok(table?);
        };
        self.with_changes(py, &blocks, |core, changes| {
            let known = changes.iter().filter(|change| change.id.index() < first);
            let changed = known.map(|change| (change.id, change.new));
            Table::canonical_ids(core, changed.chain(core.canonical_ids(first)))
        })
    }

    /// Return how many IDs have numbers, how many of these are not known, how many were forgotten,
    /// and whether a retraction has a position from `since` on.
    #[pyo3(name = "_census")]
    fn census(&self, py: Python<'_>, since: u64) -> PyResult<(usize, usize, usize, bool)> {
        let core = self.read(py)?;
        let [ids, unknown, forgotten] = core.census();
        Ok((ids, unknown, forgotten, core.has_retracted_since(since)))
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
            let past = core.without(&positions, blocks.iter().map(StepBlock::steps))?;
            let after = core.position() + positions.len() as u64;
            let table = Table::changes(&core, &core.changes_to(&past), after)?;
            drop(core);
            if !dry_run {
                self.core.write()?.retract(&positions, past)?;
            }
            Ok::<_, Failure>(table)
        });
        Ok(table?)
    }

    /// Return the links that built an ID's cluster, or the chain of them that leads to another ID;
    /// None if the two are apart. Without blocks, by the history that was kept.
    #[pyo3(name = "_explain", signature = (a, b=None, blocks=None))]
    fn explain(
        &self,
        a: IdText<'_>,
        b: Option<IdText<'_>>,
        blocks: Option<Vec<PyBackedBytes>>,
    ) -> PyResult<Option<Vec<LinkFields>>> {
        let py = a.py();
        let (from, to) = (known_text(&a)?, b.as_deref().map(known_text).transpose()?);
        self.require(&a)?;
        if let Some(b) = &b {
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
                    let past = core.look_back_to_now(steps, true, |_| ())?;
                    b.map_or_else(|| core.built_by(&past, a), |b| core.chain_by(&past, a, b))
                }
                None => b.map_or_else(|| core.built(a), |b| core.chain(a, b)),
            };
            let links = links.ok_or(Failure::NoHistory)?;
            Ok(Some(links.iter().map(|edge| link_fields(&core, edge, 0)).collect()))
        });
        Ok(links?)
    }

    /// Return the rejected links between two IDs' clusters, given the journal's blocks of steps.
    #[pyo3(name = "_why_not")]
    fn why_not(&self, a: IdText<'_>, b: IdText<'_>, blocks: Vec<PyBackedBytes>) -> PyResult<Vec<LinkFields>> {
        let py = a.py();
        let (from, to) = (known_text(&a)?, known_text(&b)?);
        for id in [&a, &b] {
            self.require(id)?;
        }
        let links = py.detach(|| {
            let blocks = read_steps(&blocks)?;
            let _turn = self.turn.take_detached();
            let core = self.read_detached()?;
            let (Some(a), Some(b)) = (core.get(from), core.get(to)) else { return Ok(Vec::new()) };
            let mut rejected = Vec::new();
            let watch = |judged: JudgedLink| {
                let JudgedLink { position, kind, ids, outcome } = judged;
                let [first, second] = ids;
                let is_between = (core.same(first, a) && core.same(second, b))
                    || (core.same(first, b) && core.same(second, a));
                if !outcome.is_accepted() && is_between {
                    rejected.push(link_fields(&core, &Edge { kind, ids, position }, outcome as u8));
                }
            };
            core.look_back_to_now(blocks.iter().map(StepBlock::steps), false, watch)?;
            Ok::<_, Failure>(rejected)
        });
        Ok(links?)
    }

    /// Return what a journal states about the cluster of one ID, or about those of two, given its
    /// blocks of steps.
    #[pyo3(name = "_statements")]
    fn statements(
        &self,
        a: IdText<'_>,
        b: IdText<'_>,
        blocks: Vec<PyBackedBytes>,
    ) -> PyResult<Vec<StatementFields>> {
        let py = a.py();
        let (from, to) = (known_text(&a)?, known_text(&b)?);
        for id in [&a, &b] {
            self.require(id)?;
        }
        let statements = py.detach(|| {
            let blocks = read_steps(&blocks)?;
            let _turn = self.turn.take_detached();
            let core = self.read_detached()?;
            let (Some(a), Some(b)) = (core.get(from), core.get(to)) else { return Ok(Vec::new()) };
            let found = core.statements([a, b], blocks.iter().map(StepBlock::steps))?;
            Ok::<_, Failure>(found.into_iter().map(|one| statement_fields(&core, one)).collect())
        });
        Ok(statements?)
    }

    /// Return the links in a journal's block of steps that begins at ``position``, as they were
    /// recorded.
    #[pyo3(name = "_recorded_links")]
    fn recorded_links(
        &self,
        py: Python<'_>,
        block: PyBackedBytes,
        position: u64,
    ) -> PyResult<Vec<LinkFields>> {
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
}
