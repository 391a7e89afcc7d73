//! What changed since a position, again and again.
//!
//! A feed keeps the forest as it was at the position that was asked about last, 16 bytes an ID. The next time
//! it goes on from there, and compares the clusters that something has touched since; so asking often costs
//! what happened meanwhile, not what has happened ever. Only a retraction touches everything.

use std::collections::HashSet;

use crate::clusters::forest::Forest;
use crate::ids::id::Id;
use crate::journal::Change;
use crate::journal::past::Past;
use crate::journal::record::{RETRACT, RecordedStep, Steps};
use crate::journal::replay::Damage;
use crate::resolver::Resolver;

/// The forest at some position; see the module.
pub struct ChangeFeed {
    then: Past,
    /// What was taken back as of the position.
    retracted: HashSet<u64>,
    since: u64,
    /// The number of the batch that the next step stands in, counted from 0, and how many of its steps were
    /// taken.
    batch: usize,
    taken: usize,
}

impl ChangeFeed {
    /// Begins a feed from the position `since`; it has to be [advanced](Self::advance) to it.
    pub fn new(core: &Resolver, since: u64) -> Self {
        let then = Past::new(&core.ids, false);
        Self { then, retracted: core.retracted(since), since, batch: 0, taken: 0 }
    }

    /// Lets the feed begin from a later position; returns false if it cannot go there.
    pub fn follow(&mut self, core: &Resolver, since: u64) -> bool {
        let can_go_on = self.then.position() <= since && core.retracted(since) == self.retracted;
        self.since = if can_go_on { since } else { self.since };
        can_go_on
    }

    /// Returns the number of the batch from which on it needs steps.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Goes on through a batch; returns whether the feed begins behind it. A batch that is not in the
    /// journal yet `grows`.
    pub fn advance(&mut self, core: &Resolver, batch: Steps, grows: bool) -> Result<bool, Damage> {
        self.then.extend(&core.ids);
        // Steps that were taken while they were pending may be in the journal as several batches.
        if !grows && self.taken > batch.codes.len() {
            (self.batch, self.taken) = (self.batch + 1, self.taken - batch.codes.len());
            return Ok(true);
        }
        let (rest, until) = (batch.behind(self.taken), (&self.retracted, self.since));
        self.taken += self.then.take(core.rules(), &core.ids, until, rest, |_| ())?;
        let is_through = self.taken == batch.codes.len();
        if is_through && !grows {
            (self.batch, self.taken) = (self.batch + 1, 0);
        }
        Ok(is_through)
    }

    /// Returns which IDs have another canonical ID now, in the order of their numbers; `batches` are the
    /// steps from [`Self::batch`] on.
    pub fn changes<'a>(&self, core: &Resolver, batches: impl IntoIterator<Item = Steps<'a>>) -> Vec<Change> {
        let mut touched = Some(HashSet::new());
        for (number, batch) in batches.into_iter().enumerate() {
            let steps = if number == 0 { batch.behind(self.taken) } else { batch };
            touch(core, steps, &mut touched);
        }
        let old = |id: Id| if id.index() < self.then.nodes.len() { self.then.canonical(id) } else { id };
        let new = |id: Id| core.canonical(id);
        let Some(roots) = touched else { return core.changes(core.numbers(), old, new) };
        let mut ids: Vec<Id> = roots.into_iter().flat_map(|root| core.ids.members(root)).collect();
        ids.sort_unstable();
        core.changes(ids.into_iter(), old, new)
    }
}

/// Adds the roots of the clusters that steps may have changed; None stands for all.
fn touch(core: &Resolver, steps: Steps, touched: &mut Option<HashSet<Id>>) {
    for ((&code, &first), &second) in steps.codes.iter().zip(steps.first).zip(steps.second) {
        if code == RETRACT {
            *touched = None;
        }
        let Some(roots) = touched else { return };
        // A link that was accepted has both in one cluster.
        if let Some(RecordedStep::Link(_, id, _) | RecordedStep::Forgotten(id)) =
            RecordedStep::read(code, first, second)
        {
            // Whoever looks at an earlier moment does not know those that came later.
            if id.index() < core.ids.len() {
                roots.insert(core.ids.root(id));
            }
        }
    }
}
