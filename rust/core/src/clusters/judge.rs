//! Judging a link between two known IDs, and everything that its outcome changes.
//!
//! The rules themselves are in [`policy`](crate::clusters::policy). This module collects the facts
//! that they ask for, and carries out the outcome: claims, union, canonical ID, history, counts. It
//! is the same code for a resolver that takes links as they come and for a replay of a journal, so
//! a replay gives the same answer.
//!
//! # Invariants
//!
//! 1. A rejected link changes its count and nothing else.
//! 2. Every link is counted once, under its outcome; so outcomes and acts together are the
//!    position.
//! 3. The canonical ID of a root is right after every call, under the strategy of the [`Rules`].
//!
//! # Costs
//!
//! Two walks to a root, amortised `O(α(n))`, and `O(1)` else. IDs that are kept apart cost a few
//! look-ups in a link between two of their clusters, and nothing in any other.

use crate::clusters::canonical::Strategy;
use crate::clusters::forest::{Clusters, Forest};
use crate::clusters::history::{Edge, History};
use crate::clusters::marks::Marks;
use crate::clusters::overrides::Overrides;
use crate::clusters::policy::{Facts, Policy, claims};
use crate::clusters::successors::SMALLEST_ORDERED;
use crate::error::Error;
use crate::ids::id::Id;
use crate::link::{Kind, Outcome};

/// The rules by which links are judged and clusters are named.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub policy: &'a Policy,
    pub strategy: Strategy,
}

/// The state of clusters beside the forest: counts, overrides and history.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// The number of links with each outcome.
    pub outcomes: [u64; Outcome::COUNT],
    /// The number of acts, of evidence, and of links that a replay left out: positions without an
    /// outcome.
    pub without_outcome: u64,
    /// The number of clusters that evidence joined to another one, which no outcome counts.
    pub joined_by_evidence: u64,
    /// The number of links that Mixpanel refused itself and the other rules accept.
    pub differing: u64,
    /// The exceptions from the order of numbers.
    pub overrides: Overrides,
    /// The link behind each merge, if that is kept.
    pub history: Option<History>,
}

impl State {
    /// Returns the state of an empty resolver.
    pub fn new(history: bool) -> Self {
        Self { history: history.then(History::default), ..Self::default() }
    }

    /// Returns how many links and acts there were, which is the position of the next one (SPEC 8).
    pub fn position(&self) -> u64 {
        self.outcomes.iter().sum::<u64>() + self.without_outcome
    }

    /// Returns how many times two clusters became one.
    pub fn unions(&self) -> u64 {
        self.outcomes[Outcome::Merged as usize] + self.joined_by_evidence
    }

    /// Makes room for the history of `ids` IDs, if it is kept.
    ///
    /// # Errors
    ///
    /// If there is no memory for it.
    #[inline]
    pub fn reserve(&mut self, ids: usize) -> Result<(), Error> {
        self.history.as_mut().map_or(Ok(()), |history| history.reserve(ids))
    }

    /// Records in the history the link that hung `child` under `root`.
    #[cold]
    fn remember(&mut self, [child, root]: [Id; 2], kind: Kind, ids: [Id; 2]) {
        let edge = Edge { kind, ids, position: self.position() };
        if let Some(history) = &mut self.history {
            history.add([child, root], edge);
        }
    }

    /// Counts a link under its outcome.
    #[inline]
    pub fn count(&mut self, outcome: Outcome) {
        self.outcomes[outcome as usize] += 1;
    }
}

impl Rules<'_> {
    /// Judges a link between two known IDs, carries out its outcome and counts it (SPEC 2, from
    /// step 3).
    ///
    /// A function of its own: within the loop over a batch it takes a fifth more instructions.
    #[inline(never)]
    pub fn judge<C: Clusters>(
        self,
        clusters: &mut C,
        state: &mut State,
        kind: Kind,
        [first, second]: [Id; 2],
    ) -> Outcome {
        if kind > Kind::Merge && kind != Kind::Association {
            return self.judge_rare(clusters, state, kind, [first, second]);
        }
        let (ours, theirs) = (clusters.find_root(first), clusters.find_root(second));
        let overrides = &state.overrides;
        let outcome =
            self.policy.judge(kind, &LinkFacts { clusters, overrides, first, second, ours, theirs });
        if outcome.is_accepted() {
            self.claim(clusters, &mut state.overrides, kind, [(first, ours), (second, theirs)]);
        }
        if outcome == Outcome::Merged {
            self.unite(clusters, state, kind, [(first, ours), (second, theirs)]);
        }
        state.count(outcome);
        outcome
    }

    /// Joins the clusters of the two IDs of a link, each with its root.
    #[inline]
    fn unite<C: Clusters>(
        self,
        clusters: &mut C,
        state: &mut State,
        kind: Kind,
        [(first, ours), (second, theirs)]: [(Id, Id); 2],
    ) {
        let root = if self.policy.keeps_second() {
            let canonical = clusters.canonical(theirs);
            let root = clusters.unite(ours, theirs);
            clusters.name(root, canonical);
            root
        } else {
            let canonical = self.strategy.join(clusters, &state.overrides, ours, theirs);
            let root = clusters.unite(ours, theirs);
            clusters.set_canonical(root, canonical);
            root
        };
        if state.history.is_some() {
            let child = if root == ours { theirs } else { ours };
            state.remember([child, root], kind, [first, second]);
        }
        if state.overrides.follow_clusters() {
            let child = if root == ours { theirs } else { ours };
            state.overrides.unite(root, child);
        }
    }

    /// Judges a link of a kind beyond the first three, as [`Self::judge`] does.
    #[cold]
    #[inline(never)]
    fn judge_rare<C: Clusters>(
        self,
        clusters: &mut C,
        state: &mut State,
        kind: Kind,
        [first, second]: [Id; 2],
    ) -> Outcome {
        match kind {
            Kind::RefusedIdentify | Kind::RefusedAlias | Kind::RefusedMerge | Kind::RefusedAssociation => {
                self.judge_refused(clusters, state, kind, [first, second])
            }
            Kind::Mapping => {
                let outcome = self.join_stated(clusters, state, kind, [first, second], second);
                state.count(outcome);
                outcome
            }
            Kind::Evidence => {
                let outcome = self.join_stated(clusters, state, kind, [first, second], first);
                state.joined_by_evidence += u64::from(outcome == Outcome::Merged);
                state.without_outcome += 1;
                outcome
            }
            Kind::TrackedMerge | Kind::Identify | Kind::Alias | Kind::Merge | Kind::Association => {
                state.count(Outcome::MergeNotAllowed);
                Outcome::MergeNotAllowed
            }
        }
    }

    /// Judges a link that Mixpanel refused itself, and counts it if the other rules accept it.
    fn judge_refused<C: Clusters>(
        self,
        clusters: &mut C,
        state: &mut State,
        kind: Kind,
        ids: [Id; 2],
    ) -> Outcome {
        let [(first, ours), (second, theirs)] = ids.map(|id| (id, clusters.find_root(id)));
        let overrides = &state.overrides;
        let own = kind.before_refusal().unwrap_or(kind);
        let outcome = self.policy.judge(own, &LinkFacts { clusters, overrides, first, second, ours, theirs });
        state.differing += u64::from(outcome.is_accepted());
        if self.policy.respects_verdicts {
            state.count(Outcome::RefusedBefore);
            return Outcome::RefusedBefore;
        }
        if outcome.is_accepted() {
            self.claim(clusters, &mut state.overrides, own, [(first, ours), (second, theirs)]);
        }
        if outcome == Outcome::Merged {
            self.unite(clusters, state, kind, [(first, ours), (second, theirs)]);
        }
        state.count(outcome);
        outcome
    }

    /// Judges a mapping or evidence, joins its IDs, and makes `canonical`, one of them, the
    /// canonical ID of their cluster.
    fn join_stated<C: Clusters>(
        self,
        clusters: &mut C,
        state: &mut State,
        kind: Kind,
        ids: [Id; 2],
        canonical: Id,
    ) -> Outcome {
        let [(first, ours), (second, theirs)] = ids.map(|id| (id, clusters.find_root(id)));
        let overrides = &state.overrides;
        let outcome = Policy::judge_mapping(&LinkFacts { clusters, overrides, first, second, ours, theirs });
        if outcome == Outcome::Merged {
            self.unite(clusters, state, kind, [(first, ours), (second, theirs)]);
        }
        if outcome.is_accepted() {
            let root = clusters.find_root(canonical);
            clusters.name(root, canonical);
        }
        outcome
    }

    /// Records the claims of an accepted link, each operand with the root of its cluster (SPEC 2).
    ///
    /// Claims come before the union, so a link's own identified ID already counts when the
    /// canonical ID is chosen (SPEC 5).
    #[expect(clippy::inline_always, reason = "two callers, of which one is called for every link")]
    #[inline(always)]
    fn claim<C: Clusters>(
        self,
        clusters: &mut C,
        overrides: &mut Overrides,
        kind: Kind,
        [(first, ours), (second, theirs)]: [(Id, Id); 2],
    ) {
        let (of_first, of_second) = claims(kind);
        clusters.mark(first, ours, of_first);
        clusters.mark(second, theirs, of_second);
        if of_second.has(Marks::IDENTIFIED) {
            overrides.identify(theirs);
            self.strategy.on_identified(clusters, overrides, theirs, second);
        }
    }

    /// Forgets a known ID: it stays in its cluster, but can be the canonical ID no longer (SPEC 8).
    ///
    /// Its text is the caller's to wipe.
    pub fn forget<C: Clusters>(self, clusters: &mut C, state: &mut State, id: Id) {
        state.overrides.forget(id);
        let root = clusters.root(id);
        if clusters.canonical(root) != id {
            return;
        }
        clusters.unname(root);
        if let Some(canonical) = self.successor(clusters, &mut state.overrides, root, id) {
            clusters.set_canonical(root, canonical);
        }
    }

    /// Returns the next canonical ID of the cluster with this root, of which `id` is a member; None
    /// if all members are forgotten.
    ///
    /// A small cluster is searched each time, a large one is sorted once, so that forgetting all
    /// its members does not take the square of their number.
    fn successor<C: Clusters>(self, clusters: &C, overrides: &mut Overrides, root: Id, id: Id) -> Option<Id> {
        let named = |overrides: &Overrides| -> Vec<Id> {
            clusters.members(id).filter(|&member| !overrides.is_forgotten(member)).collect()
        };
        if clusters.size(root) < SMALLEST_ORDERED {
            return self.strategy.choose(clusters, overrides, &named(overrides));
        }
        overrides.best_successor(root, |overrides| {
            let mut order = named(overrides);
            order.sort_by(|&a, &b| self.strategy.order(clusters, overrides, b, a));
            order
        })
    }
}

/// Keeps two known IDs apart from now on, unless they are in one cluster already (SPEC 8).
pub(crate) fn keep_apart<C: Clusters>(clusters: &mut C, state: &mut State, [a, b]: [Id; 2]) {
    let (ours, theirs) = (clusters.find_root(a), clusters.find_root(b));
    if ours != theirs {
        clusters.mark(a, ours, Marks::APART);
        clusters.mark(b, theirs, Marks::APART);
        state.overrides.apart_mut().keep((a, b), [ours, theirs]);
    }
}

/// The facts about a link between two known IDs, read from the forest when a rule asks for them.
struct LinkFacts<'a, C> {
    clusters: &'a C,
    overrides: &'a Overrides,
    first: Id,
    second: Id,
    /// The root of the first ID.
    ours: Id,
    /// The root of the second ID.
    theirs: Id,
}

impl<C: Clusters> LinkFacts<'_, C> {
    /// Returns whether each cluster holds an ID that is to be kept apart from some other one.
    ///
    /// A mark answers for nearly every cluster, without a look-up.
    #[cold]
    fn are_both_marked_apart(&self) -> bool {
        [self.ours, self.theirs].iter().all(|&root| self.clusters.cluster_marks(root).has(Marks::APART))
    }
}

impl<C: Clusters> Facts for LinkFacts<'_, C> {
    #[inline]
    fn same_id(&self) -> bool {
        self.first == self.second
    }

    #[inline]
    fn same_cluster(&self) -> bool {
        self.ours == self.theirs
    }

    #[inline]
    fn first(&self) -> Marks {
        self.clusters.marks(self.first)
    }

    #[inline]
    fn first_cluster(&self) -> Marks {
        self.clusters.cluster_marks(self.ours)
    }

    #[inline]
    fn kept_apart(&self) -> bool {
        !self.overrides.apart().is_empty()
            && self.are_both_marked_apart()
            && self.overrides.apart().are_apart(self.ours, self.theirs)
    }

    #[inline]
    fn merged_size(&self) -> u32 {
        self.clusters.size(self.ours) + self.clusters.size(self.theirs)
    }
}
