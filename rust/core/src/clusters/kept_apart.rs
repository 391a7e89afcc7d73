//! IDs that are to be kept apart, and so the clusters that are (SPEC 8).
//!
//! A cluster that holds such an ID belongs to a *group*, and each group has the set of the groups
//! that it must not join.
//!
//! # Costs
//!
//! Asking about two clusters costs three hash look-ups, however many pairs there are. When two
//! clusters join, the smaller of their groups' sets goes into the larger, so all joins together
//! move each pair `O(log pairs)` times.
//!
//! # Invariants
//!
//! 1. A root has a group exactly when its cluster holds an ID of a pair.
//! 2. One group's set has the other exactly when the other's has the one.

use std::collections::{HashMap, HashSet};
use std::io;
use std::mem::take;

use crate::codec::{Decoder, Encoder};
use crate::ids::id::Id;

/// The pairs of IDs that are kept apart, and the groups of their clusters; see the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Apart {
    pairs: Vec<(Id, Id)>,
    /// The group of each root that has one: an index of `others`.
    groups: HashMap<Id, usize>,
    /// For each group, the groups that it must not join; empty for one that went into another.
    others: Vec<HashSet<usize>>,
}

impl Apart {
    /// Returns whether there are no pairs.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Keeps two IDs apart from now on, whose clusters have these two different roots.
    pub fn keep(&mut self, (a, b): (Id, Id), roots: [Id; 2]) {
        self.pairs.push((a, b));
        self.separate(roots);
    }

    /// Makes the groups of two roots exclude each other.
    fn separate(&mut self, roots: [Id; 2]) {
        let [ours, theirs] = roots.map(|root| {
            *self.groups.entry(root).or_insert_with(|| {
                self.others.push(HashSet::new());
                self.others.len() - 1
            })
        });
        self.others[ours].insert(theirs);
        self.others[theirs].insert(ours);
    }

    /// Returns whether the clusters with these two roots hold IDs that are to be kept apart.
    pub fn are_apart(&self, ours: Id, theirs: Id) -> bool {
        let groups = self.groups.get(&ours).zip(self.groups.get(&theirs));
        groups.is_some_and(|(&ours, theirs)| self.others[ours].contains(theirs))
    }

    /// Records that the cluster of `child` was joined to that of `root`, which are not apart.
    ///
    /// The group with fewer exclusions goes into the other one.
    pub fn unite(&mut self, root: Id, child: Id) {
        let Some(below) = self.groups.remove(&child) else { return };
        let Some(&above) = self.groups.get(&root) else {
            self.groups.insert(root, below);
            return;
        };
        let is_larger = self.others[below].len() > self.others[above].len();
        let (kept, gone) = if is_larger { (below, above) } else { (above, below) };
        self.groups.insert(root, kept);
        for other in take(&mut self.others[gone]) {
            self.others[other].remove(&gone);
            self.others[other].insert(kept);
            self.others[kept].insert(other);
        }
    }

    /// Writes the pairs, which are all that cannot be made anew.
    pub fn save(&self, out: &mut Encoder) -> io::Result<()> {
        out.word(self.pairs.len() as u64)?;
        out.words(self.pairs.iter().map(|(a, b)| u64::from(a.number()) << 32 | u64::from(b.number())))
    }

    /// Reads pairs, which have no groups until [`Self::group`] gives them some; `id` checks a
    /// number.
    pub fn load(from: &mut Decoder, id: impl Fn(u64) -> io::Result<Id>) -> io::Result<Self> {
        let mut apart = Self::default();
        for _ in 0..from.count(8)? {
            let pair = from.word()?;
            apart.pairs.push((id(pair >> 32)?, id(pair & 0xffff_ffff)?));
        }
        Ok(apart)
    }

    /// Makes the groups of pairs that were read; `root` returns the root of an ID's cluster.
    pub fn group(&mut self, root: impl Fn(Id) -> Id) {
        for (a, b) in self.pairs.clone() {
            self.separate([root(a), root(b)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots_of(parents: &[u32]) -> impl Fn(u32) -> u32 + '_ {
        |mut id| {
            while parents[id as usize] != id {
                id = parents[id as usize];
            }
            id
        }
    }

    #[test]
    fn clusters_are_apart_exactly_when_a_pair_is_between_them() {
        const IDS: u32 = 40;
        let mut state = 1_u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u32 % IDS
        };
        for _ in 0..200 {
            let (mut apart, mut parents) = (Apart::default(), (0..IDS).collect::<Vec<_>>());
            let mut pairs: Vec<(u32, u32)> = Vec::new();
            for _ in 0..120 {
                let (a, b, is_pair) = (draw(), draw(), draw() % 2 == 0);
                let (ours, theirs) = (roots_of(&parents)(a), roots_of(&parents)(b));
                let between = |(one, other): &(u32, u32)| {
                    let ends = [*one, *other].map(roots_of(&parents));
                    ends == [ours, theirs] || ends == [theirs, ours]
                };
                let expected = pairs.iter().any(between);
                assert_eq!(apart.are_apart(Id::new(ours), Id::new(theirs)), expected);
                if ours != theirs && is_pair {
                    apart.keep((Id::new(a), Id::new(b)), [ours, theirs].map(Id::new));
                    pairs.push((a, b));
                } else if ours != theirs && !expected {
                    parents[theirs as usize] = ours;
                    apart.unite(Id::new(ours), Id::new(theirs));
                }
            }
            let mut again = Apart { pairs: apart.pairs.clone(), ..Apart::default() };
            again.group(|id| Id::new(roots_of(&parents)(id.number())));
            for (a, b) in (0..IDS).flat_map(|a| (0..IDS).map(move |b| (a, b))) {
                let roots = [a, b].map(|id| Id::new(roots_of(&parents)(id)));
                assert_eq!(again.are_apart(roots[0], roots[1]), apart.are_apart(roots[0], roots[1]));
            }
        }
    }

    #[test]
    fn many_pairs_around_two_clusters_are_moved_few_times() {
        const PAIRS: u32 = 20_000;
        let mut apart = Apart::default();
        let root = Id::new(0);
        // The root takes in one ID after another, each apart from one other ID.
        for number in 1..=PAIRS {
            let (child, other) = (Id::new(number), Id::new(PAIRS + number));
            apart.keep((child, other), [child, other]);
            apart.unite(root, child);
        }
        assert_eq!(apart.groups.len(), PAIRS as usize + 1);
        assert_eq!(apart.others[apart.groups[&root]].len(), PAIRS as usize);
        assert!((1..=PAIRS).all(|number| apart.are_apart(root, Id::new(PAIRS + number))));
    }
}
