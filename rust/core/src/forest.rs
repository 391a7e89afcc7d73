//! Disjoint clusters of IDs.
//!
//! # Invariants
//!
//! 1. A node is a root exactly when `ROOT` is set in its `link`; the other bits are then the
//!    cluster's size, and otherwise the parent's number.
//! 2. Following `next` visits every member of a cluster once and ends where it began.
//! 3. `canonical` is meaningful at roots and stale elsewhere.
//! 4. The cluster's marks at a root are the union of what was marked on its members' clusters.
//!
//! Finding halves the path on the way up; a union hangs the smaller tree under the larger.
//! Together: amortised `O(α(n))` a call, 16 bytes an ID.

use crate::id::Id;
use crate::prefetch::prefetch;

const ROOT: u32 = 1 << 31;

/// What is known of an ID beyond its cluster: a set of the constants below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marks(u8);

impl Marks {
    pub const NONE: Self = Self(0);
    /// The ID is in the policy's anonymous format.
    pub const ANONYMOUS: Self = Self(1);
    /// An accepted `$identify` named it as its anonymous ID.
    pub const CLAIMED: Self = Self(2);
    /// An accepted `$identify` named it as its identified ID.
    pub const IDENTIFIED: Self = Self(4);
    /// An accepted `$create_alias` named it as its alias.
    pub const ALIAS: Self = Self(8);

    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

#[derive(Clone, Copy)]
struct Node {
    link: u32,
    next: u32,
    canonical: u32,
    own: Marks,
    /// The cluster's, at a root.
    cluster: Marks,
}

/// The clusters; see the module.
#[derive(Default)]
pub struct Forest {
    nodes: Vec<Node>,
    clusters: usize,
}

impl Forest {
    /// Returns how many clusters there are.
    pub fn clusters(&self) -> usize {
        self.clusters
    }

    /// Adds the next ID as a cluster of its own.
    pub fn push(&mut self, id: Id, marks: Marks) {
        debug_assert_eq!(id.index(), self.nodes.len());
        let number = id.number();
        let cluster = Marks::NONE;
        self.nodes.push(Node { link: ROOT | 1, next: number, canonical: number, own: marks, cluster });
        self.clusters += 1;
    }

    /// Hints that `id` is about to be read.
    #[inline]
    pub fn prefetch(&self, id: Id) {
        prefetch(&self.nodes, id.index());
    }

    /// Hints that the parent of `id` is about to be read.
    #[inline]
    pub fn prefetch_parent(&self, id: Id) {
        prefetch(&self.nodes, (self.nodes[id.index()].link & !ROOT) as usize);
    }

    /// Returns the root of `id`, halving the path on the way up.
    #[inline]
    pub fn find(&mut self, mut id: Id) -> Id {
        while let Some(parent) = self.parent(id) {
            let Some(grandparent) = self.parent(parent) else {
                return parent;
            };
            self.nodes[id.index()].link = grandparent.number();
            id = grandparent;
        }
        id
    }

    /// Returns the root of `id` and leaves the path as it is: at most `log2(size)` steps.
    pub fn root(&self, mut id: Id) -> Id {
        while let Some(parent) = self.parent(id) {
            id = parent;
        }
        id
    }

    fn parent(&self, id: Id) -> Option<Id> {
        let link = self.nodes[id.index()].link;
        (link & ROOT == 0).then(|| Id::new(link))
    }

    /// Returns the size of the cluster with this root.
    pub fn size(&self, root: Id) -> u32 {
        let link = self.nodes[root.index()].link;
        debug_assert!(link & ROOT != 0);
        link & !ROOT
    }

    /// Returns whether `id` is a root.
    pub fn is_root(&self, id: Id) -> bool {
        self.parent(id).is_none()
    }

    /// Joins the clusters of two different roots and returns the root of both.
    pub fn unite(&mut self, a: Id, b: Id) -> Id {
        debug_assert!(a != b);
        let (root, child) = if self.size(a) >= self.size(b) { (a, b) } else { (b, a) };
        let size = self.size(root) + self.size(child);
        let after = self.nodes[child.index()].next;
        let below = self.nodes[child.index()].cluster;
        let node = &mut self.nodes[root.index()];
        node.link = ROOT | size;
        node.cluster = node.cluster.with(below);
        let next = std::mem::replace(&mut node.next, after);
        let node = &mut self.nodes[child.index()];
        node.link = root.number();
        node.next = next;
        self.clusters -= 1;
        root
    }

    /// Returns the marks of `id` itself.
    pub fn marks(&self, id: Id) -> Marks {
        self.nodes[id.index()].own
    }

    /// Returns the marks of the cluster with this root.
    pub fn cluster_marks(&self, root: Id) -> Marks {
        self.nodes[root.index()].cluster
    }

    /// Adds `marks` to `id` and to its cluster, whose root is `root`.
    pub fn mark(&mut self, id: Id, root: Id, marks: Marks) {
        let node = &mut self.nodes[id.index()];
        node.own = node.own.with(marks);
        let node = &mut self.nodes[root.index()];
        node.cluster = node.cluster.with(marks);
    }

    /// Returns the canonical ID of the cluster with this root.
    pub fn canonical(&self, root: Id) -> Id {
        Id::new(self.nodes[root.index()].canonical)
    }

    /// Makes `id` the canonical ID of the cluster with this root.
    pub fn set_canonical(&mut self, root: Id, id: Id) {
        self.nodes[root.index()].canonical = id.number();
    }

    /// Returns the members of the cluster of `id`, in no particular order.
    pub fn members(&self, id: Id) -> impl Iterator<Item = Id> {
        let next = move |member: &Id| Id::new(self.nodes[member.index()].next);
        std::iter::successors(Some(id), move |member| Some(next(member)).filter(|next| *next != id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(count: u32) -> Forest {
        let mut forest = Forest::default();
        for number in 0..count {
            forest.push(Id::new(number), Marks::NONE);
        }
        forest
    }

    fn members(forest: &Forest, number: u32) -> Vec<u32> {
        let mut members: Vec<u32> = forest.members(Id::new(number)).map(Id::number).collect();
        members.sort_unstable();
        members
    }

    #[test]
    fn a_union_joins_sizes_members_and_marks() {
        let mut forest = of(4);
        forest.mark(Id::new(3), Id::new(3), Marks::IDENTIFIED);
        let pair = forest.unite(Id::new(0), Id::new(1));
        let root = forest.unite(Id::new(3), pair);
        assert_eq!((root, forest.size(root)), (pair, 3));
        assert!(forest.cluster_marks(root).has(Marks::IDENTIFIED));
        assert!(!forest.marks(root).has(Marks::IDENTIFIED));
        for number in [0, 1, 3] {
            assert_eq!(members(&forest, number), [0, 1, 3]);
            assert_eq!(forest.find(Id::new(number)), root);
        }
        assert_eq!(members(&forest, 2), [2]);
        assert_eq!(forest.clusters(), 2);
    }

    #[test]
    fn finding_with_and_without_halving_agree() {
        let mut forest = of(64);
        for width in [1, 2, 4, 8, 16, 32] {
            for start in (0..64).step_by(2 * width) {
                let left = forest.root(Id::new(start as u32));
                let right = forest.root(Id::new((start + width) as u32));
                forest.unite(right, left);
            }
        }
        for number in 0..64 {
            let root = forest.root(Id::new(number));
            assert_eq!(forest.find(Id::new(number)), root);
            assert_eq!(forest.size(root), 64);
        }
    }
}
