//! What the order of numbers does not say of IDs: rare, and mostly nothing.
//!
//! An ID's number says that it is known, and when it became known. Three things make overrides:
//!
//! - A link that was taken back leaves IDs that nobody else has named, or has named only later. Such an ID
//!   keeps its number and is *not known*, or became known *at another time*.
//! - An ID that was forgotten keeps its place in its cluster and has no text.
//! - Two IDs may have to be kept apart.

use std::collections::{HashMap, HashSet};
use std::io;

use crate::clusters::kept_apart::Apart;
use crate::clusters::successors::Successors;
use crate::codec::{Decoder, Encoder, damaged};
use crate::ids::id::Id;

/// When an ID became known: overrides stand behind the number that was the last one then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank(u32, u32);

/// The overrides; see the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overrides {
    unknown: HashSet<Id>,
    ranks: HashMap<Id, Rank>,
    forgotten: HashSet<Id>,
    apart: Apart,
    successors: Successors,
}

impl Overrides {
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

    /// Returns which IDs, and so which clusters, are to be kept apart.
    #[inline]
    pub fn apart(&self) -> &Apart {
        &self.apart
    }

    /// Returns the same, to change it.
    #[inline]
    pub fn apart_mut(&mut self) -> &mut Apart {
        &mut self.apart
    }

    /// Returns who names a cluster next: its best member that is not forgotten. `sorted` gives its members,
    /// best last, if they have no order yet.
    pub fn best_successor(&mut self, root: Id, sorted: impl FnOnce(&Self) -> Vec<Id>) -> Option<Id> {
        if !self.successors.has_order(root) {
            let order = sorted(self);
            self.successors.keep_order(root, order);
        }
        self.successors.best(root, |id| self.forgotten.contains(&id))
    }

    /// Returns whether some clusters have to be followed: they are kept apart, or have an order of successors.
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

    /// Records that an ID is identified, in the cluster with this root.
    #[inline]
    pub fn identify(&mut self, root: Id) {
        if !self.successors.is_empty() {
            self.successors.drop_order(root);
        }
    }

    /// Writes the overrides.
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

    /// Reads overrides among the first `ids` IDs.
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
