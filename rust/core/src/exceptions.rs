//! What the order of numbers does not say of IDs: rare, and mostly nothing.
//!
//! An ID's number says that it is known, and when it became known. Three things make exceptions:
//!
//! - A link that was taken back leaves IDs that nobody else has named, or has named only later. Such an ID
//!   keeps its number and is *not known*, or became known *at another time*.
//! - An ID that was forgotten keeps its place in its cluster and has no text.
//! - Two IDs may have to be kept apart.

use std::collections::{HashMap, HashSet};

use crate::id::Id;

/// When an ID became known: exceptions stand behind the number that was the last one then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank(u32, u32);

/// The exceptions; see the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exceptions {
    unknown: HashSet<Id>,
    ranks: HashMap<Id, Rank>,
    forgotten: HashSet<Id>,
    apart: Vec<(Id, Id)>,
}

impl Exceptions {
    /// Returns when `id` became known.
    #[inline]
    pub fn rank(&self, id: Id) -> Rank {
        let natural = Rank(id.number(), 0);
        if self.ranks.is_empty() { natural } else { self.ranks.get(&id).copied().unwrap_or(natural) }
    }

    /// Returns the IDs that did not become known when their numbers say, in the order in which they did.
    pub fn moved(&self) -> Vec<Id> {
        let mut moved: Vec<Id> = self.ranks.keys().copied().filter(|id| !self.unknown.contains(id)).collect();
        moved.sort_unstable_by_key(|&id| self.rank(id));
        moved
    }

    /// Returns whether `id` became known when its number says, or is not known.
    pub fn is_moved(&self, id: Id) -> bool {
        !self.ranks.is_empty() && self.ranks.contains_key(&id)
    }

    /// Returns whether some IDs with numbers are not known.
    #[inline]
    pub fn has_unknown(&self) -> bool {
        !self.unknown.is_empty()
    }

    /// Returns whether an ID with a number is known.
    #[inline]
    pub fn is_known(&self, id: Id) -> bool {
        !(self.has_unknown() && self.unknown.contains(&id))
    }

    /// Returns how many IDs with numbers are not known.
    pub fn unknown(&self) -> usize {
        self.unknown.len()
    }

    /// Leaves an ID that is just getting its number unknown.
    pub fn leave_unknown(&mut self, id: Id) {
        self.unknown.insert(id);
    }

    /// Makes an ID known now, when the next new one would get the number `next`, unless it is.
    pub fn make_known(&mut self, id: Id, next: u32) {
        if self.unknown.remove(&id) {
            // Nobody else has this rank, for the number of moves only grows.
            let rank = Rank(next - 1, self.ranks.len() as u32 + 1);
            self.ranks.insert(id, rank);
        }
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

    /// Keeps two IDs apart from now on.
    pub fn keep_apart(&mut self, a: Id, b: Id) {
        self.apart.push((a, b));
    }

    /// Returns the pairs that are to be kept apart.
    pub fn apart(&self) -> &[(Id, Id)] {
        &self.apart
    }
}
