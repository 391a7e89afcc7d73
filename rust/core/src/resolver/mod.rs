//! The resolver: intern, judge, unite, record; one link or a whole batch.
//!
//! # Invariants
//!
//! 1. The answer depends on the steps and their order and on nothing else.
//! 2. A rejected link changes no cluster and no mark; unless it is malformed or invalid, it makes
//!    its IDs known, the first before the second.
//! 3. A step that fails with an [`Error`] changes nothing.
//!
//! # Costs
//!
//! A link costs two searches of the index and up to two walks to a root; nearly all of it is
//! waiting for memory. So a batch goes in groups, in five passes over each group, and every pass
//! asks for the memory that the next one needs. The first four are a search ([`Prefetcher`]); when they
//! end, parents are asked for, and the fifth judges and unites, in order.
//!
//! Only the fifth pass changes anything, and it goes in the order given. One link alone is a
//! group of one. The [`Preparer`]'s work and the prefetcher's can go on elsewhere meanwhile.

pub(crate) mod batch;
pub(crate) mod prefetch;

use std::collections::HashMap;
use std::sync::Arc;

use crate::clusters::canonical::Strategy;
use crate::clusters::forest::{Forest, Marks, Node, Nodes};
use crate::clusters::judge::{Clusters, Rules, State};
use crate::clusters::policy::Policy;
use crate::error::{Error, Stopped};
use crate::ids::id::Id;
use crate::ids::interner::Interner;
use crate::ids::key::{Key, Text};
use crate::journal::Journaled;
use crate::journal::record::Record;
use crate::link::{Kind, Operand, Outcome, Step};
use crate::resolver::batch::{
    Act, Batch, GROUP, LONGEST_QUESTION, Prepared, Preparer, Status, clamped_mut, refusal,
};
use crate::resolver::prefetch::{Prefetcher, Search};

/// Joins IDs into identity clusters; see the crate's page for the words.
pub struct Resolver {
    pub(crate) policy: Arc<Policy>,
    pub(crate) strategy: Strategy,
    pub(crate) ids: Interner<Node>,
    pub(crate) state: State,
    /// What a journal is to be told, if there is one.
    pub(crate) journaled: Option<Journaled>,
}

/// What a look-up says.
#[derive(Debug, Clone, Copy)]
pub enum Answer<'a> {
    /// There was no text to look up.
    Missing,
    /// The ID, as it came, is not known or names its cluster itself.
    Itself(Text<'a>),
    /// Another ID names its cluster.
    Other(Text<'a>),
    /// The text exceeds a limit.
    Exceeded(Error),
}

impl Nodes for Interner<Node> {
    #[inline]
    fn node(&self, id: Id) -> &Node {
        self.value(id)
    }

    #[inline]
    fn node_mut(&mut self, id: Id) -> &mut Node {
        self.value_mut(id)
    }
}

impl Clusters for Interner<Node> {
    fn text(&self, id: Id) -> Text<'_> {
        Interner::text(self, id)
    }

    #[inline]
    fn prefetch_node(&self, id: Id) {
        if id.index() < self.len() {
            self.prefetch_entry(id);
        }
    }
}

impl Resolver {
    /// Returns an empty resolver.
    pub fn new(policy: Policy, strategy: Strategy) -> Self {
        Self::with_id_limit(policy, strategy, Id::LIMIT)
    }

    /// Returns an empty resolver that can know at most `limit` IDs.
    pub fn with_id_limit(policy: Policy, strategy: Strategy, limit: u32) -> Self {
        Self::with_capacity(policy, strategy, limit, 0)
    }

    /// Returns an empty resolver that can know at most `limit` IDs and whose index has room for
    /// `capacity` from the beginning; entries need no room ahead, for they never move.
    pub fn with_capacity(policy: Policy, strategy: Strategy, limit: u32, capacity: usize) -> Self {
        Self {
            policy: Arc::new(policy),
            strategy,
            ids: Interner::new(limit, capacity),
            state: State::default(),
            journaled: None,
        }
    }

    /// Returns the preparer of this resolver's steps and look-ups.
    pub fn preparer(&self) -> Preparer {
        Preparer { hasher: self.ids.hasher().clone(), policy: self.policy.clone() }
    }

    /// Returns a prefetcher, good for some batches to come.
    pub fn prefetcher(&self) -> Prefetcher {
        self.ids.prefetcher()
    }

    /// Judges one link and returns what became of it (SPEC 2).
    pub fn link(&mut self, kind: Kind, first: Operand, second: Operand) -> Result<Outcome, Error> {
        let outcome = self.take_one(Act::Link(kind), [first, second])?;
        Ok(outcome.expect("a link has an outcome"))
    }

    /// Makes an ID known, if it is valid.
    pub fn observe(&mut self, id: Operand) -> Result<(), Error> {
        self.take_one(Act::Observe, [id, Operand::Missing]).map(|_| ())
    }

    /// Takes steps one after another and appends an outcome for each link.
    ///
    /// # Errors
    ///
    /// At the first step that exceeds a limit; the steps before it are taken, those after it not.
    pub fn take<'a>(
        &mut self,
        steps: impl IntoIterator<Item = Step<'a>>,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<(), Stopped> {
        let (preparer, mut batch, mut taken) = (self.preparer(), Batch::default(), 0);
        let mut steps = steps.into_iter().peekable();
        while steps.peek().is_some() {
            batch.clear();
            while !batch.is_ready()
                && let Some(step) = steps.next()
            {
                batch.push(&preparer, step);
            }
            let result = self.take_batch(&mut batch, outcomes);
            result.map_err(|stopped| Stopped { taken: taken + stopped.taken, ..stopped })?;
            taken += batch.acts.len();
        }
        Ok(())
    }

    /// Takes the rows of a batch that this resolver's preparer filled; see [`Self::take`].
    pub fn take_batch(&mut self, batch: &mut Batch, outcomes: &mut Vec<Outcome>) -> Result<(), Stopped> {
        let steps = batch.acts.len();
        let room = outcomes.try_reserve(steps).map_err(|_| Error::NoMemory);
        room.and_then(|()| self.make_room(steps)).map_err(|error| Stopped { taken: 0, error })?;
        let search = Search::begin(&self.ids, batch);
        let Batch { acts, sides, texts, .. } = batch;
        for start in (0..acts.len()).step_by(GROUP) {
            let ids = &self.ids;
            search.group(ids, sides, texts, start, |id| ids.prefetch_entry(ids.above(id)));
            for row in start..acts.len().min(start + GROUP) {
                let settled = match acts[row] {
                    Act::Link(kind) => self
                        .settle(kind, [&sides[0][row], &sides[1][row]], [&texts[0], &texts[1]])
                        .map(|outcome| outcomes.push(outcome)),
                    Act::Observe => {
                        self.settle_observed(&sides[0][row], &texts[0]).map(|id| sides[0][row].set_id(id))
                    }
                };
                settled.map_err(|error| Stopped { taken: row, error })?;
            }
        }
        Ok(())
    }

    /// All passes for one step.
    #[inline]
    fn take_one(&mut self, act: Act, operands: [Operand; 2]) -> Result<Option<Outcome>, Error> {
        self.make_room(1)?;
        let [first, second] = operands.map(|operand| match operand {
            Operand::Text(text) => text,
            Operand::Missing | Operand::NotUnicode => "",
        });
        let mut operands = operands.map(|operand| self.prepare(operand));
        for (prepared, text) in operands.iter_mut().zip([first, second]) {
            if prepared.is_valid() {
                prepared.set_id(self.ids.find(&prepared.probe(text)));
            }
        }
        match act {
            Act::Link(kind) => self.settle(kind, operands.each_ref(), [first, second]).map(Some),
            Act::Observe => self.settle_observed(&operands[0], first).map(|_| None),
        }
    }

    /// Prepares one operand, as the preparer does.
    #[inline]
    pub(crate) fn prepare(&self, operand: Operand) -> Prepared {
        Prepared::prepare(self.ids.hasher(), &self.policy, operand, 0)
    }

    /// The fifth pass: judges and unites. The operands' texts are in `buffers`.
    #[inline]
    fn settle(&mut self, kind: Kind, operands: [&Prepared; 2], buffers: [&str; 2]) -> Result<Outcome, Error> {
        let [first, second] = operands;
        let before = self.ids.len() as u32;
        let ids = match (first.id(), second.id()) {
            (Some(first), Some(second)) => [first, second],
            _ => match refusal([first.status, second.status]) {
                Some(outcome) => {
                    self.state.count(outcome);
                    self.record(|record| record.link(kind, outcome, None));
                    return Ok(outcome);
                }
                None => self.intern_both(operands, buffers)?,
            },
        };
        if self.state.overrides.has_unknown() {
            self.state.overrides.make_known(ids[0], before);
            self.state.overrides.make_known(ids[1], self.ids.len() as u32);
        }
        let rules = Rules { policy: &self.policy, strategy: self.strategy };
        let outcome = rules.judge(&mut self.ids, &mut self.state, kind, ids);
        self.record(|record| record.link(kind, outcome, Some(ids)));
        Ok(outcome)
    }

    /// Makes room to record so many steps, so that memory that fails does so before a step begins.
    #[inline]
    pub(crate) fn make_room(&mut self, steps: usize) -> Result<(), Error> {
        if let Some(history) = &mut self.state.history {
            history.reserve(self.ids.len() + 2 * steps)?;
        }
        self.journaled.as_mut().map_or(Ok(()), |journaled| journaled.record.reserve(steps))
    }

    /// Tells the journal of a step, if there is one.
    #[inline]
    pub(crate) fn record(&mut self, tell: impl FnOnce(&mut Record)) {
        if let Some(journaled) = &mut self.journaled {
            tell(&mut journaled.record);
        }
    }

    /// The same for an ordinary event: makes its ID known, if it can be one, and returns it.
    #[inline]
    fn settle_observed(&mut self, prepared: &Prepared, buffer: &str) -> Result<Option<Id>, Error> {
        let next = self.ids.len() as u32;
        let id = match (prepared.id(), prepared.status) {
            (Some(id), _) => id,
            (None, Status::Missing | Status::Invalid) => return Ok(None),
            (None, _) => {
                self.check_room([prepared], [buffer])?;
                self.intern(prepared, buffer)
            }
        };
        if self.journaled.is_some() {
            self.note_observed(id, next);
        }
        Ok(Some(id))
    }

    /// Tells the journal of an ordinary event of `id`, once: should the link that named it be taken back,
    /// it is still known.
    fn note_observed(&mut self, id: Id, next: u32) {
        self.state.overrides.make_known(id, next);
        if !self.ids.marks(id).has(Marks::OBSERVED) {
            self.ids.mark_alone(id, Marks::OBSERVED);
            self.record(|record| record.observation(id));
        }
    }

    /// Makes both known, when at least one of them was not at the fourth pass.
    #[inline]
    fn intern_both(&mut self, operands: [&Prepared; 2], buffers: [&str; 2]) -> Result<[Id; 2], Error> {
        self.check_room(operands, buffers)?;
        let first = operands[0].id().unwrap_or_else(|| self.intern(operands[0], buffers[0]));
        let second = operands[1].id().unwrap_or_else(|| self.intern(operands[1], buffers[1]));
        Ok([first, second])
    }

    /// Makes sure that all of these can be known, or none.
    #[inline]
    pub(crate) fn check_room<const N: usize>(
        &mut self,
        operands: [&Prepared; N],
        buffers: [&str; N],
    ) -> Result<(), Error> {
        let bytes = operands.iter().map(|prepared| prepared.text_length()).sum();
        if operands.iter().all(|prepared| prepared.is_valid()) && self.ids.has_room_for_two(bytes) {
            return Ok(());
        }
        self.check_room_exactly(operands, buffers)
    }

    #[cold]
    fn check_room_exactly<const N: usize>(
        &mut self,
        operands: [&Prepared; N],
        buffers: [&str; N],
    ) -> Result<(), Error> {
        let limit = self.policy.longest_text();
        if let Some(error) = operands.iter().find_map(|prepared| prepared.exceeded(limit)) {
            return Err(error);
        }
        let probes = operands.iter().zip(buffers).map(|(prepared, buffer)| prepared.probe(buffer));
        let mut new: Vec<(Key, &str)> = probes
            .filter(|probe| self.ids.find(probe).is_none())
            .map(|probe| (probe.key, probe.text))
            .collect();
        new.dedup_by(|a, b| a.1 == b.1 && (a.0 == b.0 || !a.1.is_empty()));
        let bytes = new.iter().map(|(_, text)| text.len()).sum();
        self.ids.make_room(new.len(), bytes)
    }

    /// Makes a valid ID known, unless it is.
    #[inline]
    pub(crate) fn intern(&mut self, prepared: &Prepared, buffer: &str) -> Id {
        let Status::Valid(marks) = prepared.status else { unreachable!("only a valid ID becomes known") };
        self.ids.intern(&prepared.probe(buffer), |id| Node::alone(id, marks))
    }

    /// Returns the number of `text` if it is known.
    pub fn get(&self, text: &str) -> Option<Id> {
        self.ids.find(&self.ids.hasher().probe(text)).filter(|&id| self.state.overrides.is_known(id))
    }

    /// Looks up the texts that a batch asks for and calls `answer` for each, in order.
    pub fn resolve_batch<'a>(&'a self, batch: &'a mut Batch, mut answer: impl FnMut(Answer<'a>)) {
        let (ids, search) = (&self.ids, Search::begin(&self.ids, batch));
        let Batch { sides, texts, .. } = batch;
        for start in (0..sides[0].len()).step_by(GROUP) {
            search.group(ids, sides, texts, start, |id| ids.prefetch_entry(ids.above(id)));
            let side = clamped_mut(&mut sides[0], &(start..start + GROUP));
            for prepared in side.iter_mut().filter(|prepared| prepared.is_valid()) {
                // Where the guess was wrong, a search is due.
                let id = prepared.id().or_else(|| ids.find(&prepared.probe(&texts[0])));
                let canonical = id.and_then(|id| self.other_canonical(id));
                prepared.set_id(canonical);
                if let Some(canonical) = canonical {
                    ids.prefetch_entry(canonical);
                }
            }
            for prepared in side.iter() {
                answer(match prepared.id() {
                    _ if !prepared.is_valid() => {
                        prepared.exceeded(LONGEST_QUESTION).map_or(Answer::Missing, Answer::Exceeded)
                    }
                    Some(canonical) => Answer::Other(ids.text(canonical)),
                    None => Answer::Itself(prepared.as_text(&texts[0])),
                });
            }
        }
    }

    /// Calls `answer` with the text of the canonical ID of each of these, in order.
    pub fn resolve_ids<'a>(&'a self, ids: &[Id], mut answer: impl FnMut(Text<'a>)) {
        let mut named = [Id::new(0); GROUP];
        for group in ids.chunks(GROUP) {
            for &id in group {
                self.ids.prefetch_entry(id);
            }
            for (canonical, &id) in named.iter_mut().zip(group) {
                *canonical = self.canonical(id);
                self.ids.prefetch_entry(*canonical);
            }
            for &canonical in &named[..group.len()] {
                answer(self.ids.text(canonical));
            }
        }
    }

    /// Returns every known ID that was not forgotten, in the order in which they became known.
    pub fn ids(&self) -> impl Iterator<Item = Id> {
        let overrides = &self.state.overrides;
        let mut moved = overrides.moved().into_iter().peekable();
        let mut natural =
            (0..self.ids.len() as u32).map(Id::new).filter(|&id| !overrides.is_moved(id)).peekable();
        std::iter::from_fn(move || match (moved.peek(), natural.peek()) {
            (Some(&late), Some(&id)) if overrides.rank(late) > overrides.rank(id) => natural.next(),
            (Some(_), _) => moved.next(),
            (None, _) => natural.next(),
        })
        .filter(|&id| overrides.is_known(id) && !overrides.is_forgotten(id))
    }

    /// Returns the text of `id`.
    pub fn text(&self, id: Id) -> Text<'_> {
        self.ids.text(id)
    }

    /// Returns the canonical ID of the cluster of `id` (SPEC 5).
    pub fn canonical(&self, id: Id) -> Id {
        self.ids.canonical(self.ids.root(id))
    }

    /// Returns the canonical ID of the cluster of `id` unless that is `id` itself.
    pub fn other_canonical(&self, id: Id) -> Option<Id> {
        Some(self.canonical(id)).filter(|&canonical| canonical != id)
    }

    /// Returns how many IDs the cluster of `id` has, forgotten ones not counted.
    pub fn size(&self, id: Id) -> u32 {
        let root = self.ids.root(id);
        let forgotten = self.state.overrides.forgotten().iter();
        self.ids.size(root) - forgotten.filter(|&&id| self.ids.root(id) == root).count() as u32
    }

    /// Returns how many forgotten IDs each cluster has that has any, by its root.
    fn forgotten_by_root(&self) -> HashMap<Id, u32> {
        let mut counts = HashMap::new();
        for &id in self.state.overrides.forgotten() {
            *counts.entry(self.ids.root(id)).or_default() += 1;
        }
        counts
    }

    /// Returns every known ID with the canonical ID and the size of its cluster, in the order of [`Self::ids`].
    pub fn mapping(&self) -> impl Iterator<Item = (Id, Id, u32)> {
        let forgotten = self.forgotten_by_root();
        self.ids().map(move |id| {
            let root = self.ids.root(id);
            (id, self.ids.canonical(root), self.ids.size(root) - forgotten.get(&root).unwrap_or(&0))
        })
    }

    /// Returns whether `a` and `b` are in one cluster.
    pub fn same(&self, a: Id, b: Id) -> bool {
        self.ids.root(a) == self.ids.root(b)
    }

    /// Returns the members of the cluster of `id` in the order in which they became known, without those
    /// that were forgotten.
    pub fn members(&self, id: Id) -> Vec<Id> {
        let overrides = &self.state.overrides;
        let named = self.ids.members(id).filter(|&member| !overrides.is_forgotten(member));
        let mut members: Vec<Id> = named.collect();
        members.sort_unstable_by_key(|&member| overrides.rank(member));
        members
    }

    /// Returns how many IDs are known, forgotten ones not counted.
    pub fn len(&self) -> usize {
        let overrides = &self.state.overrides;
        self.ids.len() - overrides.unknown() - overrides.forgotten().len()
    }

    /// Returns whether no ID is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many clusters there are, those of one ID included.
    pub fn cluster_count(&self) -> usize {
        let is_nameless = |(root, forgotten): (&Id, &u32)| self.ids.size(*root) == *forgotten;
        let nameless = self.forgotten_by_root().iter().filter(|&cluster| is_nameless(cluster)).count();
        // Every merge made one out of two.
        let merged = self.state.outcomes[Outcome::Merged as usize] as usize;
        self.ids.len() - self.state.overrides.unknown() - merged - nameless
    }

    /// Returns the size of every cluster, those of one ID included, in no particular order.
    pub fn cluster_sizes(&self) -> impl Iterator<Item = u32> {
        let forgotten = self.forgotten_by_root();
        let ids = (0..self.ids.len() as u32).map(Id::new);
        let roots = ids.filter(|&id| self.ids.is_root(id) && self.state.overrides.is_known(id));
        roots
            .map(move |root| self.ids.size(root) - forgotten.get(&root).unwrap_or(&0))
            .filter(|&size| size > 0)
    }

    /// Returns how many links had each outcome so far, by the outcome's number.
    pub fn outcomes(&self) -> [u64; Outcome::COUNT] {
        self.state.outcomes
    }
}
