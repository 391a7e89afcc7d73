//! The resolver: intern, judge, unite, record; one link or a whole batch.
//!
//! # Invariants
//!
//! 1. The answer depends on the steps and their order and on nothing else.
//! 2. A rejected link changes no cluster and no mark; unless it is malformed or invalid, it makes
//!    its IDs known, the first before the second.
//! 3. A step that fails with an [`Error`] changes nothing.
//!
//! A link goes through two halves: the [`Interner`] makes numbers of its texts, the [`Clusters`] judge
//! it. Each works on a batch in groups, so that many reads of memory wait at once; the modules of the
//! two say how. One link alone is a group of one. Packing and hashing is the [`Door`]'s work. All three
//! can go on at the same time, see [`crate::Pipeline`].

use crate::batch::{Act, Arrival, Batch, Door, GROUP, clamped, clamped_mut};
use crate::canonical::Strategy;
use crate::clusters::Clusters;
use crate::error::{Error, Stopped};
use crate::id::Id;
use crate::index::Guess;
use crate::interner::Interner;
use crate::key::Text;
use crate::link::{Kind, Operand, Outcome, Step};
use crate::policy::Policy;

/// Joins IDs into identity clusters; see the crate's page for the words.
pub struct Resolver {
    ids: Interner,
    clusters: Clusters,
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

    /// Returns an empty resolver that can know at most `limit` IDs and has room for `capacity`
    /// from the beginning.
    pub fn with_capacity(policy: Policy, strategy: Strategy, limit: u32, capacity: usize) -> Self {
        Self {
            ids: Interner::new(limit, capacity),
            clusters: Clusters::new(policy, strategy, capacity.min(limit as usize)),
        }
    }

    /// Returns the door that the texts of steps and look-ups pass.
    pub fn door(&self) -> Door {
        Door { hasher: self.ids.hasher().clone(), policy: self.clusters.policy.clone() }
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
        let (door, mut batch, mut taken) = (self.door(), Batch::default(), 0);
        let mut steps = steps.into_iter().peekable();
        while steps.peek().is_some() {
            batch.clear();
            while !batch.is_ready()
                && let Some(step) = steps.next()
            {
                batch.push(&door, step);
            }
            let result = self.take_batch(&mut batch, outcomes);
            result.map_err(|stopped| Stopped { taken: taken + stopped.taken, ..stopped })?;
            taken += batch.acts.len();
        }
        Ok(())
    }

    /// Takes the rows of a batch that passed this resolver's door; see [`Self::take`].
    pub fn take_batch(&mut self, batch: &mut Batch, outcomes: &mut Vec<Outcome>) -> Result<(), Stopped> {
        let result = self.ids.take_in(batch);
        let rows = result.map_or_else(|stopped| stopped.taken, |()| batch.acts.len());
        self.clusters.judge(Some(&self.ids), batch, rows, outcomes);
        result
    }

    /// Returns the two halves, if they can work apart: unless judging reads texts.
    pub(crate) fn halves(&mut self) -> Option<(&mut Interner, &mut Clusters)> {
        (!self.clusters.reads_texts()).then_some((&mut self.ids, &mut self.clusters))
    }

    /// All passes for one step.
    #[inline]
    fn take_one(&mut self, act: Act, operands: [Operand; 2]) -> Result<Option<Outcome>, Error> {
        let texts = operands.map(|operand| match operand {
            Operand::Text(text) => text,
            Operand::Missing | Operand::NotUnicode => "",
        });
        let mut arrivals = operands.map(|operand| self.receive(operand));
        let [first, second] = &mut arrivals;
        match act {
            Act::Link(kind) => {
                self.ids.prefetch(second.hash);
                self.ids.take_in_link([first, second], texts)?;
                self.clusters.meet_one(first);
                self.clusters.meet_one(second);
                Ok(Some(self.clusters.judge_link(Some(&self.ids), kind, [first, second])))
            }
            Act::Observe => {
                self.ids.take_in_observed(first, texts[0])?;
                self.clusters.meet_one(first);
                Ok(None)
            }
        }
    }

    /// Receives one operand, as the door does.
    #[inline]
    fn receive(&self, operand: Operand) -> Arrival {
        let mut arrival = Arrival::receive(self.ids.hasher(), &self.clusters.policy, operand, 0);
        arrival.guess = Guess::UNCLEAR;
        arrival
    }

    /// Returns the number of `text` if it is known.
    pub fn get(&self, text: &str) -> Option<Id> {
        self.ids.find(&self.ids.hasher().probe(text))
    }

    /// Looks up the texts that a batch asks for and calls `answer` for each, in order.
    pub fn resolve_batch<'a>(&'a self, batch: &'a mut Batch, mut answer: impl FnMut(Answer<'a>)) {
        let (ids, forest) = (&self.ids, &self.clusters.forest);
        let (sides, texts) = (&mut batch.sides[..1], &batch.texts[0]);
        let rows = sides[0].len();
        ids.expect(sides, 0..GROUP);
        for start in (0..rows).step_by(GROUP) {
            let group = start..start + GROUP;
            ids.guess_all(sides, group.clone());
            ids.expect(sides, start + GROUP..start + 2 * GROUP);
            let side = clamped_mut(&mut sides[0], &group);
            for arrival in side.iter_mut().filter(|arrival| arrival.is_valid()) {
                let id = ids.find_guessed(&arrival.probe(texts), arrival.guess);
                arrival.set_id(id);
                if let Some(id) = id {
                    forest.prefetch(id);
                }
            }
            for id in side.iter().filter_map(Arrival::id) {
                forest.prefetch(forest.above(id));
            }
            for arrival in side.iter_mut() {
                let canonical = arrival.id().and_then(|id| self.other_canonical(id));
                arrival.set_id(canonical);
                if let Some(canonical) = canonical {
                    ids.prefetch_key(canonical);
                }
            }
            for arrival in clamped(&sides[0], &group) {
                answer(match arrival.id() {
                    _ if !arrival.is_valid() => Answer::Missing,
                    Some(canonical) => Answer::Other(ids.text(canonical)),
                    None => Answer::Itself(arrival.as_text(texts)),
                });
            }
        }
    }

    /// Returns every known ID in the order in which they became known.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = Id> {
        (0..self.ids.len()).map(|number| Id::new(number as u32))
    }

    /// Returns the text of `id`.
    pub fn text(&self, id: Id) -> Text<'_> {
        self.ids.text(id)
    }

    /// Returns the canonical ID of the cluster of `id` (SPEC 5).
    pub fn canonical(&self, id: Id) -> Id {
        self.clusters.forest.canonical(self.clusters.forest.root(id))
    }

    /// Returns the canonical ID of the cluster of `id` unless that is `id` itself.
    pub fn other_canonical(&self, id: Id) -> Option<Id> {
        Some(self.canonical(id)).filter(|&canonical| canonical != id)
    }

    /// Returns how many IDs the cluster of `id` has.
    pub fn size(&self, id: Id) -> u32 {
        self.clusters.forest.size(self.clusters.forest.root(id))
    }

    /// Returns whether `a` and `b` are in one cluster.
    pub fn same(&self, a: Id, b: Id) -> bool {
        self.clusters.forest.root(a) == self.clusters.forest.root(b)
    }

    /// Returns the members of the cluster of `id` in the order in which they became known.
    pub fn members(&self, id: Id) -> Vec<Id> {
        let mut members: Vec<Id> = self.clusters.forest.members(id).collect();
        members.sort_unstable();
        members
    }

    /// Returns how many IDs are known.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Returns whether no ID is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many clusters there are, those of one ID included.
    pub fn cluster_count(&self) -> usize {
        // Every merge made one out of two.
        self.len() - self.clusters.outcomes[Outcome::Merged as usize] as usize
    }

    /// Returns the size of every cluster, those of one ID included, in no particular order.
    pub fn cluster_sizes(&self) -> impl Iterator<Item = u32> {
        self.ids().filter(|&id| self.clusters.forest.is_root(id)).map(|root| self.clusters.forest.size(root))
    }

    /// Returns how many links had each outcome so far, by the outcome's number.
    pub fn outcomes(&self) -> [u64; Outcome::COUNT] {
        self.clusters.outcomes
    }
}
