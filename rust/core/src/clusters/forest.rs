//! Disjoint clusters of IDs.
//!
//! # Invariants
//!
//! 1. A node is a root exactly when `ROOT` is set in its `link`; the other bits are then the
//!    cluster's size, and otherwise the parent's number.
//! 2. Following `next` visits every member of a cluster once and ends where it began.
//! 3. `canonical` is meaningful at roots and stale elsewhere.
//! 4. The cluster's marks at a root are the union of the claims on its members, `APART` and
//!    `NAMED`; the marks of a text alone are not in it.
//!
//! # Costs
//!
//! Finding halves the path on the way up; a union hangs the smaller tree under the larger.
//! Together: amortised `O(α(n))` a call, 16 bytes an ID.
//!
//! A type that implements [`Nodes`], wherever it keeps them, has the methods of [`Forest`]. The
//! resolver keeps its nodes beside the keys of their IDs, a replay in an array of its own.

use bytemuck::Zeroable;

use crate::clusters::marks::Marks;
use crate::ids::id::Id;
use crate::ids::interner::Interner;
use crate::ids::key::Text;

/// The bit of a node's `link` that marks a root; [`Id::LIMIT`] leaves it free.
const ROOT: u32 = 1 << 31;

/// The place of an ID in the forest, and its marks: 14 bytes, 16 with padding.
///
/// It stands beside the ID's key, so mostly both come with one cache line.
#[derive(Clone, Copy, Zeroable)]
pub struct Node {
    /// The parent's number, or at a root `ROOT` and the size of the cluster.
    link: u32,
    /// The number of the next member of the cluster, the last one's being the first again.
    next: u32,
    /// The number of the canonical ID; valid at a root.
    canonical: u32,
    /// The marks of the ID itself.
    own: Marks,
    /// The marks of the cluster; valid at a root.
    cluster: Marks,
}

impl Node {
    /// Returns the node of an ID that is a cluster of its own, and so its own canonical ID.
    ///
    /// `marks` are those of its text, which no rule asks of a cluster.
    pub fn alone(id: Id, marks: Marks) -> Self {
        let number = id.number();
        Self { link: ROOT | 1, next: number, canonical: number, own: marks, cluster: Marks::NONE }
    }

    /// Returns the node as two words of a checkpoint.
    pub fn to_words(self) -> [u64; 2] {
        let marks = u64::from(self.own.to_byte()) << 8 | u64::from(self.cluster.to_byte());
        [u64::from(self.link) << 32 | u64::from(self.next), u64::from(self.canonical) << 32 | marks]
    }

    /// Returns the node of two words, whatever they hold; see [`count_clusters`].
    pub fn from_words([high, low]: [u64; 2]) -> Self {
        Self {
            link: (high >> 32) as u32,
            next: high as u32,
            canonical: (low >> 32) as u32,
            own: Marks::from_byte((low >> 8) as u8),
            cluster: Marks::from_byte(low as u8),
        }
    }
}

/// Storage with a node for each ID.
pub trait Nodes {
    /// Returns the node of `id`.
    fn node(&self, id: Id) -> &Node;
    /// Returns the node of `id`, to change it.
    fn node_mut(&mut self, id: Id) -> &mut Node;
}

/// Returns how many clusters the nodes of `count` IDs form, or None if they break an invariant.
///
/// For nodes out of a file: whatever bits are there, following parents or members must end. Takes
/// `O(count log count)` time and five bytes an ID.
pub fn count_clusters(nodes: &impl Nodes, count: u32) -> Option<usize> {
    let (mut sizes, mut is_next) = (Vec::new(), Vec::new());
    sizes.try_reserve_exact(count as usize).ok()?;
    sizes.resize(count as usize, 0);
    is_next.try_reserve_exact(count as usize).ok()?;
    is_next.resize(count as usize, false);
    for id in (0..count).map(Id::new) {
        let mut root = id;
        // A root of so many IDs is at most as many steps away as their number has bits.
        let mut steps = 0..u32::BITS;
        while nodes.node(root).link & ROOT == 0 {
            steps.next()?;
            root = Some(nodes.node(root).link).filter(|&parent| parent < count).map(Id::new)?;
        }
        sizes[root.index()] += 1;
        let visited = is_next.get_mut(nodes.node(id).next as usize)?;
        if std::mem::replace(visited, true) || nodes.node(root).canonical >= count {
            return None;
        }
    }
    let mut clusters = 0;
    for (id, size) in (0..count).map(Id::new).zip(sizes) {
        if nodes.is_root(id) {
            clusters += 1;
            if nodes.size(id) != size {
                return None;
            }
        }
    }
    Some(clusters)
}

/// Union-find over [`Nodes`]; see the module.
pub trait Forest: Nodes {
    /// Returns the root of `id`, halving the path on the way up.
    ///
    /// Two steps at a time, the root being above itself: most IDs are at most one step away, and so
    /// the first comparison nearly always comes out the same.
    #[inline]
    fn find_root(&mut self, mut id: Id) -> Id {
        loop {
            let parent = self.above(id);
            let grandparent = self.above(parent);
            if grandparent == parent {
                return parent;
            }
            self.node_mut(id).link = grandparent.number();
            id = grandparent;
        }
    }

    /// Returns the root of `id` and leaves the path as it is: at most `log2(size)` steps.
    #[inline]
    fn root(&self, mut id: Id) -> Id {
        loop {
            let parent = self.above(id);
            if parent == id {
                return id;
            }
            id = parent;
        }
    }

    /// Returns the parent of `id`, or `id` itself if it is a root.
    #[inline]
    fn above(&self, id: Id) -> Id {
        let link = self.node(id).link;
        if link & ROOT == 0 { Id::new(link) } else { id }
    }

    /// Returns the size of the cluster with this root, forgotten members included.
    fn size(&self, root: Id) -> u32 {
        let link = self.node(root).link;
        debug_assert!(link & ROOT != 0);
        link & !ROOT
    }

    /// Returns whether `id` is a root.
    fn is_root(&self, id: Id) -> bool {
        self.node(id).link & ROOT != 0
    }

    /// Joins the clusters of two different roots and returns the root of both.
    ///
    /// Of equal sizes `b` is the root: the second operand of a link is the one that comes again, so
    /// its node is in a cache when a root is looked for. Swapping the two `next` joins the circles
    /// of members. The canonical ID is left to the caller.
    fn unite(&mut self, a: Id, b: Id) -> Id {
        debug_assert!(a != b);
        let (root, child) = if self.size(a) > self.size(b) { (a, b) } else { (b, a) };
        let size = self.size(root) + self.size(child);
        let after = self.node(child).next;
        let below = self.node(child).cluster;
        let node = self.node_mut(root);
        node.link = ROOT | size;
        node.cluster = node.cluster.with(below);
        let next = std::mem::replace(&mut node.next, after);
        let node = self.node_mut(child);
        node.link = root.number();
        node.next = next;
        root
    }

    /// Returns the marks of `id` itself.
    fn marks(&self, id: Id) -> Marks {
        self.node(id).own
    }

    /// Returns the marks of the cluster with this root: the claims on its members.
    fn cluster_marks(&self, root: Id) -> Marks {
        self.node(root).cluster
    }

    /// Adds `marks` to `id` and to its cluster, whose root is `root`.
    ///
    /// Nearly every link repeats known marks, and a node that is not written need not go back to
    /// memory.
    fn mark(&mut self, id: Id, root: Id, marks: Marks) {
        if !self.node(id).own.has(marks) {
            let node = self.node_mut(id);
            node.own = node.own.with(marks);
        }
        if !self.node(root).cluster.has(marks) {
            let node = self.node_mut(root);
            node.cluster = node.cluster.with(marks);
        }
    }

    /// Adds `marks` to `id` alone, without its cluster.
    fn mark_alone(&mut self, id: Id, marks: Marks) {
        let node = self.node_mut(id);
        node.own = node.own.with(marks);
    }

    /// Returns the canonical ID of the cluster with this root.
    fn canonical(&self, root: Id) -> Id {
        Id::new(self.node(root).canonical)
    }

    /// Makes `id` the canonical ID of the cluster with this root.
    fn set_canonical(&mut self, root: Id, id: Id) {
        self.node_mut(root).canonical = id.number();
    }

    /// Makes `id` the canonical ID of the cluster with this root, because something stated that.
    fn name(&mut self, root: Id, id: Id) {
        let node = self.node_mut(root);
        node.canonical = id.number();
        node.cluster = node.cluster.with(Marks::NAMED);
    }

    /// Leaves it to the strategy again which ID of the cluster with this root is canonical.
    fn unname(&mut self, root: Id) {
        let node = self.node_mut(root);
        node.cluster = node.cluster.without(Marks::NAMED);
    }

    /// Returns the members of the cluster of `id`, which comes first, in no particular order.
    fn members(&self, id: Id) -> impl Iterator<Item = Id> + '_ {
        let next = move |member: &Id| Id::new(self.node(*member).next);
        std::iter::successors(Some(id), move |member| Some(next(member)).filter(|next| *next != id))
    }
}

impl<T: Nodes + ?Sized> Forest for T {}

/// A forest whose IDs have texts: all that judging a link needs.
pub(crate) trait Clusters: Nodes {
    /// Returns the text of an ID; that of a forgotten one is empty.
    fn text(&self, id: Id) -> Text<'_>;
    /// Hints that the node of `id` is about to be read, if there is one.
    fn prefetch_node(&self, id: Id);
}

impl Nodes for Interner<Node> {
    #[inline]
    fn node(&self, id: Id) -> &Node {
        self.value(id)
    }

    #[inline]
    fn node_mut(&mut self, id: Id) -> &mut Node {
        self.value_mut(id)
    }
}

impl Clusters for Interner<Node> {
    fn text(&self, id: Id) -> Text<'_> {
        Interner::text(self, id)
    }

    #[inline]
    fn prefetch_node(&self, id: Id) {
        if id.index() < self.len() {
            self.prefetch_entry(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Nodes for Vec<Node> {
        fn node(&self, id: Id) -> &Node {
            &self[id.index()]
        }

        fn node_mut(&mut self, id: Id) -> &mut Node {
            &mut self[id.index()]
        }
    }

    fn of(count: u32) -> Vec<Node> {
        (0..count).map(|number| Node::alone(Id::new(number), Marks::NONE)).collect()
    }

    fn members(forest: &Vec<Node>, number: u32) -> Vec<u32> {
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
            assert_eq!(forest.find_root(Id::new(number)), root);
        }
        assert_eq!(members(&forest, 2), [2]);
    }

    #[test]
    fn a_node_comes_back_from_its_words() {
        let mut forest = of(3);
        forest.mark(Id::new(2), Id::new(2), Marks::IDENTIFIED.with(Marks::ANONYMOUS));
        forest.unite(Id::new(0), Id::new(2));
        for number in 0..3 {
            let words = forest.node(Id::new(number)).to_words();
            *forest.node_mut(Id::new(number)) = Node::from_words(words);
            assert_eq!(forest.node(Id::new(number)).to_words(), words);
        }
        assert_eq!(members(&forest, 0), [0, 2]);
        assert!(forest.marks(Id::new(2)).has(Marks::IDENTIFIED));
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
            assert_eq!(forest.find_root(Id::new(number)), root);
            assert_eq!(forest.size(root), 64);
        }
    }
}
