//! Connected components of links between dense numbers, all at once, by Rem's algorithm.
//!
//! # Invariants
//!
//! 1. The parent of a number is never above it, so a root is the lowest number of its component.
//! 2. Labels count components in the order of their lowest numbers.
//!
//! # Costs
//!
//! Linking is Rem's algorithm with splicing: one walk up both paths at a time, which moves each
//! number that it passes to the other path's lower parent. M. Patwary, J. Blair and F. Manne
//! ("Experiments on Union-Find Algorithms", 2010) measured it as the fastest of all that they knew.
//! 8 bytes a number: its parent while linking, then its label. Links are read once, in order;
//! parents are prefetched.

use crate::arch::{Chunk, prefetch};

/// The number of links ahead at which parents are prefetched.
const AHEAD: usize = 16;

/// A component for each number, counted from 0 in the order of first appearance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Components {
    /// The number of components.
    pub count: u32,
    /// The component of each number.
    pub labels: Vec<u32>,
}

impl Components {
    /// Returns the components of the numbers below `count` that these links connect.
    ///
    /// # Panics
    ///
    /// If a link names a number that is not below `count`, or there is no memory.
    pub fn of(count: usize, links: &[[u32; 2]]) -> Self {
        let mut parents = Chunk::<u32>::new(count);
        for (number, parent) in parents.iter_mut().enumerate() {
            *parent = number as u32;
        }
        for (row, &[a, b]) in links.iter().enumerate() {
            if let Some([a, b]) = links.get(row + AHEAD) {
                prefetch(&parents[*a as usize]);
                prefetch(&parents[*b as usize]);
            }
            link(&mut parents, a, b);
        }
        Self::label(&parents)
    }

    /// Numbers the roots; a parent is lower than its child, so it has its label first.
    fn label(parents: &[u32]) -> Self {
        let mut count = 0;
        let mut labels = Vec::with_capacity(parents.len());
        for (number, &parent) in parents.iter().enumerate() {
            let label = labels.get(parent as usize).copied().unwrap_or(count);
            debug_assert!(label < count || parent as usize == number);
            count = count.max(label + 1);
            labels.push(label);
        }
        Self { count, labels }
    }
}

/// Links two numbers, unless they are in one component.
///
/// Each step replaces the higher of the two parents by the lower one, so parents only ever sink.
#[inline]
fn link(parents: &mut [u32], mut a: u32, mut b: u32) {
    let (mut above_a, mut above_b) = (parents[a as usize], parents[b as usize]);
    while above_a != above_b {
        if above_a < above_b {
            (a, b, above_a, above_b) = (b, a, above_b, above_a);
        }
        parents[a as usize] = above_b;
        if a == above_a {
            return;
        }
        a = above_a;
        above_a = parents[a as usize];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_count_components_by_their_lowest_number() {
        let components = Components::of(7, &[[5, 4], [6, 1], [4, 6], [2, 2]]);
        assert_eq!(components, Components { count: 4, labels: vec![0, 1, 2, 3, 1, 1, 1] });
        assert_eq!(Components::of(0, &[]), Components { count: 0, labels: vec![] });
    }

    #[test]
    fn a_long_path_in_any_order_is_one_component() {
        let path: Vec<[u32; 2]> = (0..999).map(|number| [number, number + 1]).collect();
        let backwards: Vec<[u32; 2]> = path.iter().rev().map(|[a, b]| [*b, *a]).collect();
        let (evens, odds): (Vec<_>, Vec<_>) = path.iter().partition(|link| link[0] % 2 == 0);
        for links in [path, backwards, [odds, evens].concat()] {
            assert_eq!(Components::of(1000, &links), Components { count: 1, labels: vec![0; 1000] });
        }
    }
}
