//! Canonical IDs: the strategies by which a cluster's one name is chosen (SPEC 5).
//!
//! Each strategy keeps one canonical ID a cluster, at its root, and chooses between two of them in
//! `O(1)` when two clusters merge. That is enough because "first seen" and "smallest" are minima
//! over the members, "identified" is a minimum that also changes when a member becomes identified,
//! and "stable" depends on the two clusters only.
//!
//! | strategy | changes by a merge | changes when a member is identified |
//! |---|---|---|
//! | `Stable` | the smaller cluster's | no |
//! | `Identified` | the one that is not first | yes |
//! | `FirstSeen`, `Smallest` | the one that is not least | no |
//!
//! A mapping, or an event whose ID was rewritten, states which ID is canonical. Then the strategy
//! is asked only in a merge of two clusters that were both named so; a cluster that was named beats
//! one that was not.
//!
//! A callable of the caller's is no strategy here: the binding calls it with the members of a
//! cluster.

use std::cmp::{Ordering, Reverse};

use crate::clusters::forest::{Clusters, Forest};
use crate::clusters::marks::Marks;
use crate::clusters::overrides::Overrides;
use crate::ids::id::Id;

/// The way in which the canonical ID of a cluster is chosen (SPEC 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// In a merge the larger cluster's canonical ID stays; at equal size that of the cluster with
    /// an identified ID, then the one that became known first.
    #[default]
    Stable,
    /// The identified ID that became known first, else the ID that became known first.
    Identified,
    /// The ID that became known first.
    FirstSeen,
    /// The smallest ID by UTF-8 bytes.
    Smallest,
}

impl Strategy {
    /// Returns the canonical ID of the union of the clusters with these two roots.
    ///
    /// To be called before they unite, while sizes and marks are those of the two.
    pub(crate) fn join<C: Clusters>(self, ids: &C, overrides: &Overrides, a: Id, b: Id) -> Id {
        let (first, second) = (ids.canonical(a), ids.canonical(b));
        let named = [a, b].map(|root| ids.cluster_marks(root).has(Marks::NAMED));
        if named[0] != named[1] {
            return if named[0] { first } else { second };
        }
        match self {
            Self::Stable => {
                let precedence = |root: Id, canonical: Id| {
                    let identified = ids.cluster_marks(root).has(Marks::IDENTIFIED);
                    (ids.size(root), identified, Reverse(overrides.rank(canonical)))
                };
                if precedence(a, first) > precedence(b, second) { first } else { second }
            }
            _ => self.better(ids, overrides, first, second),
        }
    }

    /// Updates the canonical ID of the cluster with this root after its member `id` was identified.
    #[inline]
    pub(crate) fn on_identified<C: Clusters>(self, ids: &mut C, overrides: &Overrides, root: Id, id: Id) {
        if self == Self::Identified && !ids.cluster_marks(root).has(Marks::NAMED) {
            let canonical = self.better(ids, overrides, ids.canonical(root), id);
            ids.set_canonical(root, canonical);
        }
    }

    /// Returns which of these members becomes canonical after the canonical ID was forgotten; None
    /// if there are none. "Stable" then takes the one that "identified" would (SPEC 8).
    pub(crate) fn choose<C: Clusters>(self, ids: &C, overrides: &Overrides, members: &[Id]) -> Option<Id> {
        members.iter().copied().reduce(|a, b| self.better(ids, overrides, a, b))
    }

    /// Returns which of two members comes first in [`Self::order`].
    fn better<C: Clusters>(self, ids: &C, overrides: &Overrides, a: Id, b: Id) -> Id {
        if self.order(ids, overrides, a, b).is_le() { a } else { b }
    }

    /// Compares two members of a cluster: the lesser is the better canonical ID.
    ///
    /// The order does not depend on how the cluster came about; so it stands for "stable" only
    /// where nothing is left to be stable.
    pub(crate) fn order<C: Clusters>(self, ids: &C, overrides: &Overrides, a: Id, b: Id) -> Ordering {
        let rank = |id: Id| overrides.rank(id);
        match self {
            Self::FirstSeen => rank(a).cmp(&rank(b)),
            // An ID whose text was wiped counts as the smallest. A replay does not have its text,
            // and may rather report too many changes of canonical IDs than too few.
            Self::Smallest => ids.text(a).as_str().cmp(ids.text(b).as_str()),
            Self::Identified | Self::Stable => {
                let rank = |id: Id| (!ids.marks(id).has(Marks::IDENTIFIED), rank(id));
                rank(a).cmp(&rank(b))
            }
        }
    }
}
