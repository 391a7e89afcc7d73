//! What becomes of a link between two known IDs, and what it changes: the same for a resolver that takes
//! links as they come and for one that looks back on them.

use crate::clusters::canonical::Strategy;
use crate::clusters::forest::{Forest, Marks, Nodes};
use crate::clusters::history::{Edge, History};
use crate::clusters::overrides::Overrides;
use crate::clusters::policy::{Facts, Policy, claims};
use crate::clusters::successors::SMALLEST_ORDERED;
use crate::ids::id::Id;
use crate::ids::key::Text;
use crate::link::{Kind, Outcome};

/// A forest whose IDs have texts.
pub(crate) trait Clusters: Nodes {
    /// Returns the text of an ID; that of a forgotten one is empty.
    fn text(&self, id: Id) -> Text<'_>;
    /// Hints that the node of `id` is about to be read, if there is one.
    fn prefetch_node(&self, id: Id);
}

/// Clusters in which a journal's steps are judged again.
pub(crate) trait ReplayTarget: Clusters {
    /// Lets the ID with the next number have its text.
    fn introduce(&mut self, id: Id) -> Result<(), &'static str>;
    /// Wipes the text of an ID.
    fn wipe(&mut self, id: Id);
}

/// By what links are judged.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub policy: &'a Policy,
    pub strategy: Strategy,
}

/// What links and acts change besides the forest.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// How many links had each outcome.
    pub outcomes: [u64; Outcome::COUNT],
    /// How many acts there were, and links that were left out.
    pub others: u64,
    /// The position of each retraction, and that of what it takes back.
    pub retractions: Vec<(u64, u64)>,
    pub overrides: Overrides,
    /// Which link joined what, if that is kept.
    pub history: Option<History>,
}

impl State {
    /// Returns the state of an empty resolver.
    pub fn new(history: bool) -> Self {
        Self { history: history.then(History::default), ..Self::default() }
    }

    /// Returns how many links and acts there were: the position of the next one.
    pub fn position(&self) -> u64 {
        self.outcomes.iter().sum::<u64>() + self.others
    }

    /// Keeps the link that hung `child` under `root`.
    #[cold]
    fn remember(&mut self, [child, root]: [Id; 2], kind: Kind, ids: [Id; 2]) {
        let edge = Edge { kind, ids, position: self.position() };
        if let Some(history) = &mut self.history {
            history.add([child, root], edge);
        }
    }

    /// Counts a link.
    #[inline]
    pub fn count(&mut self, outcome: Outcome) {
        self.outcomes[outcome as usize] += 1;
    }
}

impl Rules<'_> {
    /// Judges a link between two known IDs, does what its outcome says, and counts it.
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
        let (ours, theirs) = (clusters.find_root(first), clusters.find_root(second));
        let overrides = &state.overrides;
        let outcome =
            self.policy.judge(kind, &LinkFacts { clusters, overrides, first, second, ours, theirs });
        if outcome.is_accepted() {
            self.claim(clusters, &mut state.overrides, kind, [(first, ours), (second, theirs)]);
        }
        if outcome == Outcome::Merged {
            let canonical = self.strategy.join(clusters, &state.overrides, ours, theirs);
            let root = clusters.unite(ours, theirs);
            clusters.set_canonical(root, canonical);
            if state.history.is_some() {
                let child = if root == ours { theirs } else { ours };
                state.remember([child, root], kind, [first, second]);
            }
            if state.overrides.follow_clusters() {
                let child = if root == ours { theirs } else { ours };
                state.overrides.unite(root, child);
            }
        }
        state.count(outcome);
        outcome
    }

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

    /// Forgets a known ID: it names its cluster no longer.
    pub fn forget<C: Clusters>(self, clusters: &mut C, state: &mut State, id: Id) {
        state.overrides.forget(id);
        let root = clusters.root(id);
        if clusters.canonical(root) == id
            && let Some(canonical) = self.successor(clusters, &mut state.overrides, root, id)
        {
            clusters.set_canonical(root, canonical);
        }
    }
}

impl Rules<'_> {
    /// Returns who names the cluster of `id`, whose root is `root`, when `id` does not; None if nobody can.
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

/// Keeps two known IDs apart from now on, unless they are together.
pub(crate) fn keep_apart<C: Clusters>(clusters: &mut C, state: &mut State, [a, b]: [Id; 2]) {
    let (ours, theirs) = (clusters.find_root(a), clusters.find_root(b));
    if ours != theirs {
        clusters.mark(a, ours, Marks::APART);
        clusters.mark(b, theirs, Marks::APART);
        state.overrides.apart_mut().keep((a, b), [ours, theirs]);
    }
}

/// Two known IDs, and the roots of their clusters.
struct LinkFacts<'a, C> {
    clusters: &'a C,
    overrides: &'a Overrides,
    first: Id,
    second: Id,
    ours: Id,
    theirs: Id,
}

impl<C: Clusters> LinkFacts<'_, C> {
    /// Returns whether each cluster holds an ID that is to be kept apart from some other one.
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
