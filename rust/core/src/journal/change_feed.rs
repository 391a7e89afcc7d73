//! Change feed: the canonical IDs that changed since a position, asked again and again.
//!
//! A feed keeps the forest as it was at the position that was asked about last, 16 bytes an ID. The
//! next time it goes on from there, and compares only the clusters that a step has touched since.
//! So its cost is that of the steps in between, not of all steps ever; only a retraction touches
//! everything.
//!
//! # Invariant
//!
//! The forest is that of the journal's first `batch` batches and `taken` more steps, without what
//! was taken back as of the position `since`.

use std::collections::HashSet;

use crate::clusters::forest::Forest;
use crate::ids::id::Id;
use crate::journal::JournaledResolver;
use crate::journal::past::{Change, Past};
use crate::journal::record::{RETRACT, RecordedStep, Steps};
use crate::journal::replay::Damage;

/// The forest at some position; see the module.
pub struct ChangeFeed {
    then: Past,
    /// The positions that were taken back as of `since`.
    retracted: HashSet<u64>,
    /// The position from which on changes are asked for.
    since: u64,
    /// The number of the batch with the next step, counted from 0.
    batch: usize,
    /// The number of that batch's steps that were taken.
    taken: usize,
}

impl ChangeFeed {
    /// Begins a feed from the position `since`; it has to be [advanced](Self::advance) to it.
    pub fn new(core: &JournaledResolver, since: u64) -> Self {
        let then = Past::new(core.clusters(), false);
        Self { then, retracted: core.retractions.in_effect_at(since), since, batch: 0, taken: 0 }
    }

    /// Moves the feed to a later position and returns true, or returns false if it cannot go there:
    /// the position is earlier, or something was retracted in between.
    pub fn follow(&mut self, core: &JournaledResolver, since: u64) -> bool {
        let can_go_on =
            self.then.position() <= since && core.retractions.in_effect_at(since) == self.retracted;
        self.since = if can_go_on { since } else { self.since };
        can_go_on
    }

    /// Returns the number of the batch from which on it needs the journal's steps.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Goes on through a batch and returns whether the position is behind it.
    ///
    /// `grows` says that the batch is what is pending, which is not in the journal yet.
    ///
    /// # Errors
    ///
    /// If the steps are damaged.
    pub fn advance(&mut self, core: &JournaledResolver, batch: Steps, grows: bool) -> Result<bool, Damage> {
        self.then.extend(core.clusters());
        // Steps that were taken while they were pending may be in the journal as several batches.
        if !grows && self.taken > batch.codes.len() {
            (self.batch, self.taken) = (self.batch + 1, self.taken - batch.codes.len());
            return Ok(true);
        }
        let (rest, until) = (batch.behind(self.taken), (&self.retracted, self.since));
        self.taken += self.then.take(core.rules(), core.clusters(), until, rest, |_| ())?;
        let is_through = self.taken == batch.codes.len();
        if is_through && !grows {
            (self.batch, self.taken) = (self.batch + 1, 0);
        }
        Ok(is_through)
    }

    /// Returns the IDs that have another canonical ID now than at the position, in the order of
    /// their numbers; `batches` are the steps from [`Self::batch`] on.
    pub fn changes<'a>(
        &self,
        core: &JournaledResolver,
        batches: impl IntoIterator<Item = Steps<'a>>,
    ) -> Vec<Change> {
        let mut touched = Some(HashSet::new());
        for (number, batch) in batches.into_iter().enumerate() {
            let steps = if number == 0 { batch.behind(self.taken) } else { batch };
            touch(core, steps, &mut touched);
        }
        let old = |id: Id| if id.index() < self.then.nodes.len() { self.then.canonical(id) } else { id };
        let new = |id: Id| core.canonical(id);
        let Some(roots) = touched else { return core.changes(core.numbers(), old, new) };
        let mut ids: Vec<Id> = roots.into_iter().flat_map(|root| core.clusters().members(root)).collect();
        ids.sort_unstable();
        core.changes(ids.into_iter(), old, new)
    }
}

/// Adds the roots of the clusters that steps may have changed; None stands for all.
fn touch(core: &JournaledResolver, steps: Steps, touched: &mut Option<HashSet<Id>>) {
    for ((&code, &first), &second) in steps.codes.iter().zip(steps.first).zip(steps.second) {
        if code == RETRACT {
            *touched = None;
        }
        let Some(roots) = touched else { return };
        // A link that was accepted has both in one cluster.
        if let Some(RecordedStep::Link(_, id, _) | RecordedStep::Forgotten(id)) =
            RecordedStep::read(code, first, second)
        {
            // A resolver of an earlier moment does not have the IDs that came later.
            if id.index() < core.numbered() {
                roots.insert(core.clusters().root(id));
            }
        }
    }
}
