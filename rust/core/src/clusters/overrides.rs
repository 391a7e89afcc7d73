//! Overrides of the facts that follow from an ID's number: rare, and in most resolvers none.
//!
//! A number implies that its ID is known, and the moment at which it became known. Three things
//! override that:
//!
//! - A link that was retracted leaves IDs behind that nothing else has named, or has named only
//!   later. Such an ID keeps its number and is *not known*, or became known *at another time*.
//! - An ID that was forgotten keeps its place in its cluster and has no text.
//! - Two IDs may have to be kept apart.
//!
//! # Invariants
//!
//! 1. An unknown ID is in no cluster but its own, and is not forgotten.
//! 2. An ID that has a rank was unknown once. The rank is the moment at which it became known.
//! 3. A rank of a known ID is no other ID's.
//!
//! # Costs
//!
//! Each question costs one comparison while there are no overrides of its kind, and a hash look-up
//! once there are some.

use std::collections::{HashMap, HashSet};
use std::io;

use crate::clusters::kept_apart::Apart;
use crate::clusters::successors::Successors;
use crate::codec::{Decoder, Encoder, damaged};
use crate::error::Error;
use crate::ids::id::Id;

/// The moment at which an ID became known: the last number that there was then, and behind it a
/// count of the IDs that became known out of order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank(u32, u32);

/// The overrides; see the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overrides {
    /// The IDs that have numbers and are not known.
    unknown: HashSet<Id>,
    /// The ranks of the IDs that became known out of the order of numbers.
    ranks: HashMap<Id, Rank>,
    forgotten: HashSet<Id>,
    apart: Apart,
    /// The orders of succession in large clusters; made anew when they are missing.
    successors: Successors,
}

impl Overrides {
    /// Returns the moment at which `id` became known; ranks order all known IDs.
    #[inline]
    pub fn rank(&self, id: Id) -> Rank {
        let natural = Rank(id.number(), 0);
        if self.ranks.is_empty() { natural } else { self.ranks.get(&id).copied().unwrap_or(natural) }
    }

    /// Returns the known IDs that became known out of the order of numbers, in the order in which
    /// they did.
    pub fn moved(&self) -> Vec<Id> {
        let mut moved: Vec<Id> = self.ranks.keys().copied().filter(|id| !self.unknown.contains(id)).collect();
        moved.sort_unstable_by_key(|&id| self.rank(id));
        moved
    }

    /// Returns whether `id` became known out of the order of numbers: at another time than its
    /// neighbours.
    pub fn is_moved(&self, id: Id) -> bool {
        !self.ranks.is_empty() && self.ranks.contains_key(&id)
    }

    /// Returns whether some IDs with numbers are not known.
    #[inline]
    pub fn has_unknown(&self) -> bool {
        !self.unknown.is_empty()
    }

    /// Returns whether an ID with a number is known; a forgotten one is, by this count.
    #[inline]
    pub fn is_known(&self, id: Id) -> bool {
        !(self.has_unknown() && self.unknown.contains(&id))
    }

    /// Returns how many IDs with numbers are not known.
    pub fn unknown(&self) -> usize {
        self.unknown.len()
    }

    /// Leaves an ID unknown that is just getting its number.
    pub fn leave_unknown(&mut self, id: Id) {
        self.unknown.insert(id);
    }

    /// Makes an ID known now, unless it is; `next` is the number that the next new ID will get.
    pub fn make_known(&mut self, id: Id, next: u32) {
        if self.unknown.remove(&id) {
            // No other ID has this rank, for the number of ranks only grows.
            let rank = Rank(next - 1, self.ranks.len() as u32 + 1);
            self.ranks.insert(id, rank);
        }
    }

    /// Makes room for one more forgotten ID.
    ///
    /// # Errors
    ///
    /// If there is no memory for it.
    pub fn reserve_forgotten(&mut self) -> Result<(), Error> {
        self.forgotten.try_reserve(1).map_err(|_| Error::NoMemory)
    }

    /// Records that `id` was forgotten.
    pub fn forget(&mut self, id: Id) {
        self.forgotten.insert(id);
    }

    /// Returns whether `id` was forgotten.
    #[inline]
    pub fn is_forgotten(&self, id: Id) -> bool {
        !self.forgotten.is_empty() && self.forgotten.contains(&id)
    }

    /// Returns the forgotten IDs, in no particular order.
    pub fn forgotten(&self) -> &HashSet<Id> {
        &self.forgotten
    }

    /// Returns the pairs of IDs, and so the clusters, that are to be kept apart.
    #[inline]
    pub fn apart(&self) -> &Apart {
        &self.apart
    }

    /// Returns the same, to change it.
    #[inline]
    pub fn apart_mut(&mut self) -> &mut Apart {
        &mut self.apart
    }

    /// Returns the best member of a large cluster that is not forgotten.
    ///
    /// `sorted` returns the cluster's members, best last; it is called only if they have no order
    /// yet.
    pub fn best_successor(&mut self, root: Id, sorted: impl FnOnce(&Self) -> Vec<Id>) -> Option<Id> {
        if !self.successors.has_order(root) {
            let order = sorted(self);
            self.successors.keep_order(root, order);
        }
        self.successors.best(root, |id| self.forgotten.contains(&id))
    }

    /// Returns whether merges have to be reported to [`Self::unite`]: some clusters are kept apart,
    /// or have an order of succession.
    #[inline]
    pub fn follow_clusters(&self) -> bool {
        !self.apart.is_empty() || !self.successors.is_empty()
    }

    /// Records that the cluster of `child` was joined to that of `root`.
    #[cold]
    pub fn unite(&mut self, root: Id, child: Id) {
        self.apart.unite(root, child);
        self.successors.drop_order(root);
        self.successors.drop_order(child);
    }

    /// Records that an ID was identified in the cluster with this root, which may change its order.
    #[inline]
    pub fn identify(&mut self, root: Id) {
        if !self.successors.is_empty() {
            self.successors.drop_order(root);
        }
    }

    /// Writes the overrides. Groups of clusters and orders of succession are made anew when read.
    pub fn save(&self, out: &mut Encoder) -> io::Result<()> {
        for ids in [&self.unknown, &self.forgotten] {
            out.word(ids.len() as u64)?;
            out.words(ids.iter().map(|id| u64::from(id.number())))?;
        }
        out.word(self.ranks.len() as u64)?;
        for (id, Rank(after, turn)) in &self.ranks {
            out.words([u64::from(id.number()), u64::from(*after) << 32 | u64::from(*turn)])?;
        }
        self.apart.save(out)
    }

    /// Reads overrides among the first `ids` IDs. The groups of [`Apart`] are the caller's to make.
    ///
    /// # Errors
    ///
    /// If they name other IDs, or an ID that is unknown and forgotten.
    pub fn load(from: &mut Decoder, ids: u32) -> io::Result<Self> {
        let id = |number: u64| {
            let number = u32::try_from(number).ok().filter(|&number| number < ids);
            number.map(Id::new).ok_or_else(|| damaged("it names an ID that it does not hold"))
        };
        let mut overrides = Self::default();
        for _ in 0..from.count(8)? {
            overrides.unknown.insert(id(from.word()?)?);
        }
        for _ in 0..from.count(8)? {
            overrides.forgotten.insert(id(from.word()?)?);
        }
        if !overrides.unknown.is_disjoint(&overrides.forgotten) {
            return Err(damaged("an ID was never known and is forgotten"));
        }
        for _ in 0..from.count(16)? {
            let [number, rank] = from.array()?;
            overrides.ranks.insert(id(number)?, Rank((rank >> 32) as u32, rank as u32));
        }
        overrides.apart = Apart::load(from, id)?;
        Ok(overrides)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_moved_exactly_when_it_became_known_out_of_turn() {
        let [early, late, never] = [0, 1, 2].map(Id::new);
        let mut overrides = Overrides::default();
        assert!(![early, late, never].into_iter().any(|id| overrides.is_moved(id)));
        overrides.leave_unknown(late);
        overrides.leave_unknown(never);
        overrides.make_known(early, 3); // It was known already.
        overrides.make_known(late, 3);
        assert_eq!([early, late, never].map(|id| overrides.is_moved(id)), [false, true, false]);
        assert_eq!([early, late, never].map(|id| overrides.is_known(id)), [true, true, false]);
        assert_eq!(overrides.moved(), [late]);
        assert!(overrides.rank(late) > overrides.rank(never), "it became known behind number 2");
    }
}
