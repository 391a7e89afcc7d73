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
//! asks for the memory that the next one needs:
//!
//! 1. pack and hash the texts, ask for their buckets;
//! 2. match tags, ask for keys and nodes;
//! 3. read keys, ask for texts that did not pack;
//! 4. compare, ask for parents;
//! 5. judge and unite, in order.
//!
//! Only the fifth pass changes anything, and it goes in the order given. One link alone is a
//! group of one.

use crate::canonical::Strategy;
use crate::error::{Error, Stopped};
use crate::forest::{Forest, Marks};
use crate::id::Id;
use crate::interner::{Interner, Probe};
use crate::key::Text;
use crate::link::{Kind, Operand, Outcome, Step};
use crate::policy::{Facts, Policy, claims};

/// How many steps go through the passes together. Measured: 32 to 128 do equally well.
const GROUP: usize = 64;

/// Joins IDs into identity clusters; see the crate's page for the words.
pub struct Resolver {
    policy: Policy,
    strategy: Strategy,
    interner: Interner,
    forest: Forest,
    outcomes: [u64; Outcome::COUNT],
}

/// An ID on its way in.
#[derive(Clone, Copy)]
struct Arrival<'a> {
    probe: Probe<'a>,
    /// After the second pass a guess; after the fourth right, except that None may still become
    /// known by an earlier step of the same group.
    id: Option<Id>,
}

/// A step on its way in.
#[derive(Clone, Copy)]
enum Approach<'a> {
    Refused(Outcome),
    Link(Kind, [Arrival<'a>; 2]),
    Observe([Arrival<'a>; 1]),
    Nothing,
}

impl<'a> Approach<'a> {
    fn arrivals(&mut self) -> &mut [Arrival<'a>] {
        match self {
            Self::Link(_, both) => both,
            Self::Observe(one) => one,
            Self::Refused(_) | Self::Nothing => &mut [],
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
        Self {
            policy,
            strategy,
            interner: Interner::new(limit),
            forest: Forest::default(),
            outcomes: [0; Outcome::COUNT],
        }
    }

    /// Judges one link and returns what became of it (SPEC 2).
    pub fn link(&mut self, kind: Kind, first: Operand, second: Operand) -> Result<Outcome, Error> {
        let outcome = self.take_one(Step::Link(kind, first, second))?;
        Ok(outcome.expect("a link has an outcome"))
    }

    /// Makes an ID known, if it is valid.
    pub fn observe(&mut self, id: Operand) -> Result<(), Error> {
        self.take_one(Step::Observe(id)).map(|_| ())
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
        let mut steps = steps.into_iter();
        let mut group: Vec<Approach> = Vec::with_capacity(GROUP);
        let mut taken = 0;
        loop {
            group.clear();
            group.extend(steps.by_ref().take(GROUP).map(|step| self.prepare(step)));
            if group.is_empty() {
                return Ok(());
            }
            for arrival in group.iter_mut().flat_map(Approach::arrivals) {
                self.guess(arrival);
            }
            for arrival in group.iter_mut().flat_map(Approach::arrivals) {
                self.approach(arrival);
            }
            for arrival in group.iter_mut().flat_map(Approach::arrivals) {
                self.locate(arrival);
            }
            for &approach in &group {
                outcomes.extend(self.settle(approach).map_err(|error| Stopped { taken, error })?);
                taken += 1;
            }
        }
    }

    /// The first pass: packs and hashes, and asks for buckets.
    #[inline]
    fn prepare<'a>(&self, step: Step<'a>) -> Approach<'a> {
        match step {
            Step::Link(kind, Operand::Text(first), Operand::Text(second)) => {
                Approach::Link(kind, [self.arrive(first), self.arrive(second)])
            }
            Step::Link(_, Operand::Missing, _) | Step::Link(_, _, Operand::Missing) => {
                Approach::Refused(Outcome::Malformed)
            }
            Step::Link(..) => Approach::Refused(Outcome::InvalidId),
            Step::Observe(Operand::Text(text)) => Approach::Observe([self.arrive(text)]),
            Step::Observe(_) => Approach::Nothing,
        }
    }

    #[inline]
    fn arrive<'a>(&self, text: &'a str) -> Arrival<'a> {
        let probe = self.interner.probe(text);
        self.interner.prefetch(&probe);
        Arrival { probe, id: None }
    }

    /// The second pass: matches tags, and asks for keys and nodes.
    #[inline]
    fn guess(&self, arrival: &mut Arrival) {
        arrival.id = self.interner.guess(&arrival.probe);
        if let Some(id) = arrival.id {
            self.forest.prefetch(id);
        }
    }

    /// The third pass: reads keys, and asks for texts that did not pack.
    #[inline]
    fn approach(&self, arrival: &Arrival) {
        if let Some(id) = arrival.id {
            self.interner.prefetch_text(&arrival.probe, id);
        }
    }

    /// The fourth pass: compares, and asks for parents.
    #[inline]
    fn locate(&self, arrival: &mut Arrival) {
        arrival.id = self.interner.find(&arrival.probe);
        if let Some(id) = arrival.id {
            self.forest.prefetch_parent(id);
        }
    }

    /// All passes for one step.
    fn take_one(&mut self, step: Step) -> Result<Option<Outcome>, Error> {
        let mut approach = self.prepare(step);
        for arrival in approach.arrivals() {
            self.locate(arrival);
        }
        self.settle(approach)
    }

    /// The fifth pass: judges and unites.
    #[inline]
    fn settle(&mut self, approach: Approach) -> Result<Option<Outcome>, Error> {
        let outcome = match approach {
            Approach::Refused(outcome) => outcome,
            Approach::Link(kind, arrivals) => match self.know(arrivals)? {
                Some([first, second]) => self.unite(kind, first, second),
                None => Outcome::InvalidId,
            },
            Approach::Observe(arrival) => {
                self.know(arrival)?;
                return Ok(None);
            }
            Approach::Nothing => return Ok(None),
        };
        self.outcomes[outcome as usize] += 1;
        Ok(Some(outcome))
    }

    /// Makes all of these IDs known, or none if one of them is not valid.
    #[inline]
    fn know<const N: usize>(&mut self, arrivals: [Arrival; N]) -> Result<Option<[Id; N]>, Error> {
        if arrivals.iter().all(|arrival| arrival.id.is_some()) {
            return Ok(Some(arrivals.map(|arrival| arrival.id.expect("checked above"))));
        }
        self.know_new(arrivals)
    }

    /// The same, when at least one of them was not known at the fourth pass.
    fn know_new<const N: usize>(&mut self, mut arrivals: [Arrival; N]) -> Result<Option<[Id; N]>, Error> {
        for arrival in &mut arrivals {
            arrival.id = arrival.id.or_else(|| self.interner.find(&arrival.probe));
        }
        let new = || arrivals.iter().filter(|arrival| arrival.id.is_none()).map(|arrival| arrival.probe.text);
        // A known ID was valid when it became known, and the policy never changes.
        if !new().all(|text| self.policy.admits(text)) {
            return Ok(None);
        }
        let one_text_twice = N == 2 && arrivals[0].probe.text == arrivals[N - 1].probe.text;
        let count = new().count().min(if one_text_twice { 1 } else { N });
        self.interner.check_room(count, new().map(str::len).max().unwrap_or(0))?;
        Ok(Some(arrivals.map(|arrival| self.know_one(arrival, one_text_twice))))
    }

    /// Makes one ID known; if it stands `twice` in its link, the first time may be just behind us.
    fn know_one(&mut self, arrival: Arrival, twice: bool) -> Id {
        let known = if twice { self.interner.find(&arrival.probe) } else { arrival.id };
        if let Some(id) = known {
            return id;
        }
        let id = self.interner.insert(&arrival.probe);
        self.forest.push(id, self.policy.marks(arrival.probe.text, arrival.probe.packed));
        id
    }

    /// Judges a link between two known IDs and does what its outcome says.
    fn unite(&mut self, kind: Kind, first: Id, second: Id) -> Outcome {
        let (ours, theirs) = (self.forest.find(first), self.forest.find(second));
        let outcome = self.policy.judge(
            kind,
            &Facts {
                same_id: first == second,
                same_cluster: ours == theirs,
                first: self.forest.marks(first),
                first_cluster: self.forest.cluster_marks(ours),
                merged_size: self.forest.size(ours) + self.forest.size(theirs),
            },
        );
        if matches!(outcome, Outcome::Merged | Outcome::Unchanged) {
            self.claim(kind, [(first, ours), (second, theirs)]);
        }
        if outcome == Outcome::Merged {
            let canonical = self.strategy.join(&self.forest, &self.interner, ours, theirs);
            let root = self.forest.unite(ours, theirs);
            self.forest.set_canonical(root, canonical);
        }
        outcome
    }

    fn claim(&mut self, kind: Kind, [(first, ours), (second, theirs)]: [(Id, Id); 2]) {
        let (of_first, of_second) = claims(kind);
        self.forest.mark(first, ours, of_first);
        self.forest.mark(second, theirs, of_second);
        if of_second.has(Marks::IDENTIFIED) {
            let canonical = self.strategy.on_identified(&self.forest, theirs, second);
            self.forest.set_canonical(theirs, canonical);
        }
    }

    /// Returns the number of `text` if it is known.
    pub fn get(&self, text: &str) -> Option<Id> {
        self.interner.find(&self.interner.probe(text))
    }

    /// Looks up many IDs and calls `answer` for each, in order, with its text and, if it is known, its number.
    pub fn get_many<'a>(
        &self,
        texts: impl IntoIterator<Item = Option<&'a str>>,
        mut answer: impl FnMut(Option<&'a str>, Option<Id>),
    ) {
        let mut texts = texts.into_iter();
        let mut group: Vec<Option<Arrival>> = Vec::with_capacity(GROUP);
        loop {
            group.clear();
            group.extend(texts.by_ref().take(GROUP).map(|text| text.map(|text| self.arrive(text))));
            if group.is_empty() {
                return;
            }
            for arrival in group.iter_mut().flatten() {
                self.guess(arrival);
            }
            for arrival in group.iter().flatten() {
                self.approach(arrival);
            }
            for arrival in group.iter_mut().flatten() {
                self.locate(arrival);
            }
            for arrival in &group {
                answer(arrival.map(|arrival| arrival.probe.text), arrival.and_then(|arrival| arrival.id));
            }
        }
    }

    /// Returns every known ID in the order in which they became known.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = Id> {
        (0..self.interner.len()).map(|number| Id::new(number as u32))
    }

    /// Returns the text of `id`.
    pub fn text(&self, id: Id) -> Text<'_> {
        self.interner.text(id)
    }

    /// Returns the canonical ID of the cluster of `id` (SPEC 5).
    pub fn canonical(&self, id: Id) -> Id {
        self.forest.canonical(self.forest.root(id))
    }

    /// Returns the canonical ID of the cluster of `id` unless that is `id` itself.
    pub fn other_canonical(&self, id: Id) -> Option<Id> {
        Some(self.canonical(id)).filter(|&canonical| canonical != id)
    }

    /// Returns how many IDs the cluster of `id` has.
    pub fn size(&self, id: Id) -> u32 {
        self.forest.size(self.forest.root(id))
    }

    /// Returns whether `a` and `b` are in one cluster.
    pub fn same(&self, a: Id, b: Id) -> bool {
        self.forest.root(a) == self.forest.root(b)
    }

    /// Returns the members of the cluster of `id` in the order in which they became known.
    pub fn members(&self, id: Id) -> Vec<Id> {
        let mut members: Vec<Id> = self.forest.members(id).collect();
        members.sort_unstable();
        members
    }

    /// Returns how many IDs are known.
    pub fn len(&self) -> usize {
        self.interner.len()
    }

    /// Returns whether no ID is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many clusters there are, those of one ID included.
    pub fn cluster_count(&self) -> usize {
        self.forest.clusters()
    }

    /// Returns the size of every cluster, those of one ID included, in no particular order.
    pub fn cluster_sizes(&self) -> impl Iterator<Item = u32> {
        self.ids().filter(|&id| self.forest.is_root(id)).map(|root| self.forest.size(root))
    }

    /// Returns how many links had each outcome so far, by the outcome's number.
    pub fn outcomes(&self) -> [u64; Outcome::COUNT] {
        self.outcomes
    }
}
