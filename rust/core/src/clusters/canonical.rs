//! Who names a cluster (SPEC 5).
//!
//! Each strategy keeps one candidate a cluster, at its root, and joins two candidates in O(1) when
//! two clusters merge. That is enough because "first known" and "smallest" are minima, and "stable"
//! looks at the two clusters only.

use std::cmp::{Ordering, Reverse};

use crate::clusters::forest::{Forest, Marks};
use crate::clusters::judge::Clusters;
use crate::clusters::overrides::Overrides;
use crate::ids::id::Id;

/// How the canonical ID of a cluster is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// The larger cluster's stays; at equal size the one that holds an identified ID, then the one
    /// whose canonical ID became known first.
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
    /// Returns who names the union of the clusters with these two roots, before they unite.
    pub(crate) fn join<C: Clusters>(self, ids: &C, overrides: &Overrides, a: Id, b: Id) -> Id {
        let (first, second) = (ids.canonical(a), ids.canonical(b));
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

    /// Lets the cluster with this root have its name, now that `id` in it is identified.
    #[inline]
    pub(crate) fn on_identified<C: Clusters>(self, ids: &mut C, overrides: &Overrides, root: Id, id: Id) {
        if self == Self::Identified {
            let canonical = self.better(ids, overrides, ids.canonical(root), id);
            ids.set_canonical(root, canonical);
        }
    }

    /// Returns who of these members names their cluster after the one who did was forgotten; None if there
    /// is nobody. "Stable" then takes the one that "identified" would.
    pub(crate) fn choose<C: Clusters>(self, ids: &C, overrides: &Overrides, members: &[Id]) -> Option<Id> {
        members.iter().copied().reduce(|a, b| self.better(ids, overrides, a, b))
    }

    /// Returns who of two members names a cluster, as far as that does not depend on how it came about.
    fn better<C: Clusters>(self, ids: &C, overrides: &Overrides, a: Id, b: Id) -> Id {
        if self.order(ids, overrides, a, b).is_le() { a } else { b }
    }

    /// Compares two members: the lesser names the cluster.
    pub(crate) fn order<C: Clusters>(self, ids: &C, overrides: &Overrides, a: Id, b: Id) -> Ordering {
        let rank = |id: Id| overrides.rank(id);
        match self {
            Self::FirstSeen => rank(a).cmp(&rank(b)),
            // Whose text was wiped counts as the smallest: whoever looks back cannot know, and is to say
            // rather too often than too seldom that another ID names the cluster now.
            Self::Smallest => ids.text(a).as_str().cmp(ids.text(b).as_str()),
            Self::Identified | Self::Stable => {
                let rank = |id: Id| (!ids.marks(id).has(Marks::IDENTIFIED), rank(id));
                rank(a).cmp(&rank(b))
            }
        }
    }
}
