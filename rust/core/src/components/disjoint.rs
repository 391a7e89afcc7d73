//! Union-find without a policy, behind the drop-in replacements of `SciPy`'s and `NetworkX`'s
//! classes.
//!
//! `SciPy` promises which root stays, and `NetworkX` shows parents and weights, those of former
//! roots too. So these sets keep what [`Forest`](crate::clusters::forest::Forest) does not, and the
//! other way round.
//!
//! # Invariants
//!
//! 1. `parent` of a number is the number itself exactly at a root; following it ends at one.
//! 2. `weight` is the size of the set at a root, and elsewhere its size when the number last was a
//!    root.
//! 3. Following `next` visits every member of a set once and ends where it began.
//!
//! # Costs
//!
//! Finding shortens the path on the way: [`DisjointSets::find`] halves it,
//! [`DisjointSets::flatten`] hangs all of it under the root, as `NetworkX` does, whose parents are
//! visible. Amortised `O(α(n))` a call where the heavier root stays one, and 12 bytes a number.

use bytemuck::Zeroable;

use crate::arch::{Array, prefetch};
use crate::error::Error;
use crate::ids::id::Id;

/// The number of links ahead at which nodes are prefetched.
const AHEAD: usize = 16;

/// A number's place among the sets.
#[derive(Clone, Copy, Zeroable)]
struct Node {
    /// The parent; a root is its own.
    parent: u32,
    /// The size of the set, now or when the number last was a root.
    weight: u32,
    /// The next member of the set, the last one's being the first again.
    next: u32,
}

/// The sets; see the module.
pub struct DisjointSets {
    nodes: Array<Node>,
    /// The number of sets.
    count: usize,
}

/// The arrays of [`DisjointSets`], for a copy or a pickle: one row a number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// The parents; a root is its own.
    pub parents: Vec<u32>,
    /// The weights.
    pub weights: Vec<u32>,
    /// The next member of the same set.
    pub next: Vec<u32>,
}

impl Default for DisjointSets {
    fn default() -> Self {
        Self { nodes: Array::new(0), count: 0 }
    }
}

impl DisjointSets {
    /// The most numbers that there can be.
    pub const LIMIT: u32 = Id::LIMIT;

    /// Returns how many numbers there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Returns whether there is no number.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many sets there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Adds the next number as a set of its own and returns it.
    ///
    /// # Errors
    ///
    /// If there are [`Self::LIMIT`] numbers already.
    pub fn push(&mut self) -> Result<u32, Error> {
        let number = u32::try_from(self.len()).ok().filter(|number| *number < Self::LIMIT);
        let number = number.ok_or(Error::TooManyElements { limit: Self::LIMIT })?;
        self.nodes.push(Node { parent: number, weight: 1, next: number });
        self.count += 1;
        Ok(number)
    }

    /// Returns the node of `number`, which must be there.
    fn node(&self, number: u32) -> &Node {
        self.nodes.get(number as usize)
    }

    /// Returns the node of `number`, which must be there, to change it.
    fn node_mut(&mut self, number: u32) -> &mut Node {
        self.nodes.get_mut(number as usize)
    }

    /// Returns the parent of `number`, which at a root is itself.
    pub fn parent(&self, number: u32) -> u32 {
        self.node(number).parent
    }

    /// Returns the weight of `number`: at a root the size of its set.
    pub fn weight(&self, number: u32) -> u32 {
        self.node(number).weight
    }

    /// Hints that `number` is about to be searched for.
    #[inline]
    pub fn prefetch(&self, number: u32) {
        prefetch(self.node(number));
    }

    /// Hints that the links behind `row` are about to be read, one after another.
    ///
    /// Asks for the nodes of one link, some links ahead; to be called before each link.
    #[inline]
    pub fn prefetch_link(&self, links: &[[u32; 2]], row: usize) {
        if let Some(link) = links.get(row + AHEAD) {
            for &end in link {
                self.prefetch(end);
            }
        }
    }

    /// Returns the root of `number`, halving the path on the way up.
    #[inline]
    pub fn find(&mut self, mut number: u32) -> u32 {
        loop {
            let parent = self.parent(number);
            let grandparent = self.parent(parent);
            if parent == grandparent {
                return parent;
            }
            self.node_mut(number).parent = grandparent;
            number = grandparent;
        }
    }

    /// Returns the root of `number` and makes it the parent of every number on the path.
    ///
    /// Two walks instead of one, which leave the parents that `NetworkX` leaves.
    #[inline]
    pub fn flatten(&mut self, mut number: u32) -> u32 {
        let mut root = number;
        while self.parent(root) != root {
            root = self.parent(root);
        }
        while number != root {
            number = std::mem::replace(&mut self.node_mut(number).parent, root);
        }
        root
    }

    /// Hangs `child` under `root`; both must be roots, and not the same.
    ///
    /// The choice between the two is the caller's, as are its costs: a heavier child makes longer
    /// paths.
    #[inline]
    pub fn unite(&mut self, root: u32, child: u32) {
        debug_assert!(root != child && self.parent(root) == root && self.parent(child) == child);
        let Node { weight, next, .. } = *self.node(child);
        let above = self.node_mut(root);
        above.weight += weight;
        let next = std::mem::replace(&mut above.next, next);
        let below = self.node_mut(child);
        (below.parent, below.next) = (root, next);
        self.count -= 1;
    }

    /// Joins the sets of `a` and `b` and returns whether they were two.
    ///
    /// The heavier root stays a root, of equals the lower number: `SciPy`'s rule.
    #[inline]
    pub fn merge(&mut self, a: u32, b: u32) -> bool {
        let (a, b) = (self.find(a), self.find(b));
        if a == b {
            return false;
        }
        let (ours, theirs) = (self.weight(a), self.weight(b));
        let (root, child) = if ours > theirs || (ours == theirs && a < b) { (a, b) } else { (b, a) };
        self.unite(root, child);
        true
    }

    /// Returns the members of the set of `number`, which comes first.
    pub fn members(&self, number: u32) -> impl Iterator<Item = u32> {
        let next = move |member: &u32| self.node(*member).next;
        std::iter::successors(Some(number), move |member| Some(next(member)).filter(|next| *next != number))
    }

    /// Returns the members of every set, the sets by their lowest members.
    pub fn sets(&self) -> Vec<Vec<u32>> {
        let mut seen = vec![false; self.len()];
        let mut sets = Vec::with_capacity(self.count);
        for number in 0..self.len() {
            if !seen[number] {
                let members: Vec<u32> = self.members(number as u32).collect();
                for &member in &members {
                    seen[member as usize] = true;
                }
                sets.push(members);
            }
        }
        sets
    }

    /// Returns the arrays.
    pub fn parts(&self) -> Parts {
        let nodes = || (0..self.len()).map(|number| self.nodes.get(number));
        Parts {
            parents: nodes().map(|node| node.parent).collect(),
            weights: nodes().map(|node| node.weight).collect(),
            next: nodes().map(|node| node.next).collect(),
        }
    }

    /// Returns the sets that `parts` describe, or None if they break an invariant.
    ///
    /// Takes `O(n)` time and memory, whatever the arrays hold: a pickle may come from anywhere.
    pub fn from_parts(parts: &Parts) -> Option<Self> {
        let roots = roots(&parts.parents)?;
        if !weighs(parts, &roots) || !circles(&parts.next, &roots) {
            return None;
        }
        let mut sets = Self { nodes: Array::new(roots.len()), count: 0 };
        for (number, &root) in roots.iter().enumerate() {
            sets.nodes.push(Node {
                parent: parts.parents[number],
                weight: parts.weights[number],
                next: parts.next[number],
            });
            sets.count += usize::from(root as usize == number);
        }
        Some(sets)
    }
}

/// Returns the root of every number, or None if a path leaves the numbers or goes in a circle.
///
/// Each number is on one path that is walked, for a walk ends where another one went before.
fn roots(parents: &[u32]) -> Option<Vec<u32>> {
    // No number is as high.
    const UNKNOWN: u32 = u32::MAX;
    let mut roots = vec![UNKNOWN; parents.len()];
    let mut path = Vec::new();
    for number in 0..parents.len() {
        let mut at = number as u32;
        while roots[at as usize] == UNKNOWN {
            let parent = *parents.get(at as usize)?;
            if parent == at {
                roots[at as usize] = at;
                break;
            }
            if parent as usize >= parents.len() || path.len() == parents.len() {
                return None;
            }
            path.push(at);
            at = parent;
        }
        for below in path.drain(..) {
            roots[below as usize] = roots[at as usize];
        }
    }
    Some(roots)
}

/// Returns whether each root has the weight of its set, and no number a weight above that of all
/// together.
fn weighs(Parts { weights, .. }: &Parts, roots: &[u32]) -> bool {
    let mut sizes = vec![0_u32; roots.len()];
    for &root in roots {
        sizes[root as usize] += 1;
    }
    weights.len() == roots.len()
        && sizes.iter().zip(weights).all(|(size, weight)| size == weight || *size == 0)
        && weights.iter().all(|weight| *weight as usize <= roots.len())
}

/// Returns whether following `next` goes in circles, each within one set.
fn circles(next: &[u32], roots: &[u32]) -> bool {
    let mut reached = vec![false; roots.len()];
    next.len() == roots.len()
        && next.iter().zip(roots).all(|(&next, root)| {
            let index = next as usize;
            index < roots.len() && roots[index] == *root && !std::mem::replace(&mut reached[index], true)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(count: u32) -> DisjointSets {
        let mut sets = DisjointSets::default();
        for number in 0..count {
            assert_eq!(sets.push(), Ok(number));
        }
        sets
    }

    #[test]
    fn the_heavier_root_stays_one_and_of_equals_the_lower() {
        let mut sets = of(5);
        assert!(sets.merge(3, 1));
        assert_eq!(sets.find(3), 1);
        assert!(sets.merge(0, 3));
        assert_eq!((sets.find(0), sets.weight(1)), (1, 3));
        assert!(!sets.merge(0, 1));
        assert_eq!(sets.count(), 3);
        assert_eq!(sets.sets(), [vec![0, 3, 1], vec![2], vec![4]]);
    }

    #[test]
    fn flattening_hangs_a_whole_path_under_its_root() {
        let mut sets = of(4);
        for (root, child) in [(1, 0), (2, 1), (3, 2)] {
            sets.unite(root, child);
        }
        assert_eq!(sets.flatten(0), 3);
        assert_eq!(sets.parts().parents, [3, 3, 3, 3]);
        assert_eq!(sets.parts().weights, [1, 2, 3, 4]);
    }

    #[test]
    fn halving_and_flattening_find_the_same_root() {
        let (mut halved, mut flat) = (of(64), of(64));
        for width in [1, 2, 4, 8, 16, 32] {
            for start in (0..64).step_by(2 * width) {
                let (a, b) = (start as u32, (start + 2 * width - 1) as u32);
                assert!(halved.merge(b, a));
                let (a, b) = (flat.flatten(a), flat.flatten(b));
                flat.unite(a, b);
            }
        }
        for number in 0..64 {
            assert_eq!((halved.find(number), flat.flatten(number)), (0, 0));
            assert_eq!(halved.members(number).count(), 64);
        }
    }

    #[test]
    fn a_copy_from_parts_is_the_same_and_broken_parts_make_none() {
        let mut sets = of(5);
        sets.merge(0, 1);
        sets.merge(1, 2);
        let parts = sets.parts();
        let copy = DisjointSets::from_parts(&parts).expect("they are whole");
        assert_eq!((copy.parts(), copy.count()), (parts.clone(), 3));
        let broken: [fn(&mut Parts); 8] = [
            |parts| parts.parents[0] = 1,
            |parts| parts.parents[4] = 5,
            |parts| parts.weights[0] = 2,
            |parts| parts.weights[1] = 6,
            |parts| parts.weights.truncate(4),
            |parts| parts.next[0] = 4,
            |parts| parts.next[0] = 9,
            |parts| parts.next[1] = parts.next[0],
        ];
        for (case, breaks) in broken.iter().enumerate() {
            let mut parts = parts.clone();
            breaks(&mut parts);
            if case == 0 {
                parts.parents[1] = 0;
            }
            assert!(DisjointSets::from_parts(&parts).is_none(), "case {case}");
        }
    }
}
