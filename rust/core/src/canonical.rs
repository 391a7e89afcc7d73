//! Who names a cluster (SPEC 5).
//!
//! Each strategy keeps one candidate a cluster, at its root, and joins two candidates in O(1) when
//! two clusters merge. That is enough because "first known" and "smallest" are minima, and "stable"
//! looks at the two clusters only.

use std::cmp::Reverse;

use crate::forest::{Forest, Marks, Node};
use crate::id::Id;
use crate::interner::Interner;

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
    pub(crate) fn join(self, ids: &Interner<Node>, a: Id, b: Id) -> Id {
        let (first, second) = (ids.canonical(a), ids.canonical(b));
        match self {
            Self::Stable => {
                let standing = |root: Id, canonical: Id| {
                    let identified = ids.cluster_marks(root).has(Marks::IDENTIFIED);
                    (ids.size(root), identified, Reverse(canonical))
                };
                if standing(a, first) > standing(b, second) { first } else { second }
            }
            Self::Identified => better_identified(ids, first, second),
            Self::FirstSeen => first.min(second),
            Self::Smallest => {
                let smaller = ids.text(first).as_str() <= ids.text(second).as_str();
                if smaller { first } else { second }
            }
        }
    }

    /// Lets the cluster with this root have its name, now that `id` in it is identified.
    #[inline]
    pub(crate) fn on_identified(self, ids: &mut Interner<Node>, root: Id, id: Id) {
        if self == Self::Identified {
            let canonical = better_identified(ids, ids.canonical(root), id);
            ids.set_canonical(root, canonical);
        }
    }
}

fn better_identified(ids: &Interner<Node>, a: Id, b: Id) -> Id {
    let rank = |id: Id| (!ids.marks(id).has(Marks::IDENTIFIED), id);
    if rank(a) < rank(b) { a } else { b }
}
