//! Who names a cluster (SPEC 5).
//!
//! Each strategy keeps one candidate a cluster, at its root, and joins two candidates in O(1) when
//! two clusters merge. That is enough because "first known" and "smallest" are minima, and "stable"
//! looks at the two clusters only.

use std::cmp::Reverse;

use crate::forest::{Forest, Marks};
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
    /// Returns whether it asks for the texts of IDs.
    pub(crate) fn reads_texts(self) -> bool {
        self == Self::Smallest
    }

    /// Returns who names the union of the clusters with these two roots, before they unite.
    ///
    /// `ids` must be given if the strategy reads texts.
    #[inline]
    pub(crate) fn join(self, forest: &Forest, ids: Option<&Interner>, a: Id, b: Id) -> Id {
        let (first, second) = (forest.canonical(a), forest.canonical(b));
        match self {
            Self::Stable => {
                let standing = |root: Id, canonical: Id| {
                    let identified = forest.cluster_marks(root).has(Marks::IDENTIFIED);
                    (forest.size(root), identified, Reverse(canonical))
                };
                if standing(a, first) > standing(b, second) { first } else { second }
            }
            Self::Identified => better_identified(forest, first, second),
            Self::FirstSeen => first.min(second),
            Self::Smallest => {
                let ids = ids.expect("whoever has no texts asks for no text");
                let smaller = ids.text(first).as_str() <= ids.text(second).as_str();
                if smaller { first } else { second }
            }
        }
    }

    /// Returns who names the cluster with this root now that `id` in it is identified.
    pub(crate) fn on_identified(self, forest: &Forest, root: Id, id: Id) -> Id {
        match self {
            Self::Identified => better_identified(forest, forest.canonical(root), id),
            Self::Stable | Self::FirstSeen | Self::Smallest => forest.canonical(root),
        }
    }
}

fn better_identified(forest: &Forest, a: Id, b: Id) -> Id {
    let rank = |id: Id| (!forest.marks(id).has(Marks::IDENTIFIED), id);
    if rank(a) < rank(b) { a } else { b }
}
