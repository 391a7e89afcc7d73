//! Retractions: what was taken back, and what that restored (SPEC 8).
//!
//! A retraction has a position of its own and can be retracted itself; then what it took back holds
//! again. So the positions taken back are not a set that only grows: they follow from all
//! retractions, the last one first.
//!
//! | position | retraction of | then taken back are |
//! |---|---|---|
//! | 5 | 1 | 1 |
//! | 6 | 5 | 5, so 1 holds again |
//! | 7 | 6 | 6 and 1 |
//!
//! # Invariants
//!
//! 1. Positions of retractions grow, and each takes back an earlier position.
//! 2. A position is taken back if a retraction of it is not taken back itself.

use std::collections::{HashMap, HashSet};

use crate::error::Error;

/// The retractions so far, each with its own position and that of what it takes back.
#[derive(Debug, Clone, Default)]
pub(crate) struct Retractions {
    pairs: Vec<(u64, u64)>,
    /// The positions that are left out at every moment, though nothing takes them back.
    left_out: HashSet<u64>,
}

impl Retractions {
    /// Returns the retractions of a checkpoint with so many positions; None if they break
    /// invariant 1, on which every walk along them relies to end.
    pub fn from_pairs(pairs: Vec<(u64, u64)>, positions: u64) -> Option<Self> {
        let is_earlier = |&(by, of): &(u64, u64)| of < by && by < positions;
        let is_right = pairs.iter().all(is_earlier) && pairs.is_sorted_by(|(by, _), (next, _)| by < next);
        is_right.then_some(Self { pairs, left_out: HashSet::new() })
    }

    /// Returns all of them, in the order of their positions.
    pub fn all(&self) -> &[(u64, u64)] {
        &self.pairs
    }

    /// Makes room for so many more retractions.
    ///
    /// # Errors
    ///
    /// If there is no memory for them.
    pub fn reserve(&mut self, count: usize) -> Result<(), Error> {
        self.pairs.try_reserve(count).map_err(|_| Error::NoMemory)
    }

    /// Adds a retraction at `position`, behind all others, of what stands at `target`.
    pub fn push(&mut self, position: u64, target: u64) {
        self.pairs.push((position, target));
    }

    /// Leaves out these positions, as if the links there had never been sent.
    pub fn leave_out(&mut self, positions: &HashSet<u64>) {
        self.left_out.extend(positions);
    }

    /// Returns the positions that are taken back by the retractions before `until`, or left out.
    pub fn in_effect_at(&self, until: u64) -> HashSet<u64> {
        let mut found =
            in_effect(&self.pairs[..self.pairs.partition_point(|&(position, _)| position < until)]);
        found.extend(&self.left_out);
        found
    }
}

/// Returns the positions that these retractions take back in the end.
///
/// Goes from the last retraction to the first, for nothing can take back the last one.
pub(crate) fn in_effect(retractions: &[(u64, u64)]) -> HashSet<u64> {
    let mut retracted = HashSet::new();
    for (position, target) in retractions.iter().rev() {
        if !retracted.contains(position) {
            retracted.insert(*target);
        }
    }
    retracted
}

/// The positions that are taken back, kept up to date while retractions are added one after
/// another.
///
/// Adding one costs the length of the chain of retractions on which it stands, nearly always one.
#[derive(Default)]
pub(crate) struct RetractedPositions {
    /// The position that the retraction at each position takes back.
    targets: HashMap<u64, u64>,
    /// The number of retractions in effect that take back each position.
    counts: HashMap<u64, usize>,
}

impl RetractedPositions {
    /// Returns the positions that these retractions take back.
    pub fn by(retractions: &[(u64, u64)]) -> Self {
        let taken_back = in_effect(retractions);
        let mut found = Self { targets: retractions.iter().copied().collect(), ..Self::default() };
        for (position, target) in retractions {
            if !taken_back.contains(position) {
                *found.counts.entry(*target).or_default() += 1;
            }
        }
        found
    }

    /// Returns whether the link or act at a position is taken back.
    pub fn contains(&self, position: u64) -> bool {
        self.counts.get(&position).is_some_and(|&count| count > 0)
    }

    /// Adds a retraction at `position`, behind all others, of what stands at `target`.
    pub fn add(&mut self, position: u64, target: u64) {
        self.targets.insert(position, target);
        let mut next = Some(target);
        while let Some(taken_back) = next {
            let count = self.counts.entry(taken_back).or_default();
            *count += 1;
            if *count > 1 {
                return;
            }
            // If that was a retraction, its target is restored; and if the target is one too, it is
            // in effect again.
            let Some(restored) = self.targets.get(&taken_back).copied() else { return };
            let count = self.counts.entry(restored).or_default();
            *count = count.saturating_sub(1);
            next = if *count == 0 { self.targets.get(&restored).copied() } else { None };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taking_back_a_retraction_restores() {
        let effect = |retractions: &[(u64, u64)]| {
            let mut positions: Vec<u64> = in_effect(retractions).into_iter().collect();
            positions.sort_unstable();
            positions
        };
        assert_eq!(effect(&[(5, 1)]), [1]);
        assert_eq!(effect(&[(5, 1), (6, 5)]), [5]);
        assert_eq!(effect(&[(5, 1), (6, 5), (7, 6)]), [1, 6]);
        assert_eq!(effect(&[(5, 1), (6, 5), (7, 1)]), [1, 5]);
    }

    #[test]
    fn pairs_are_refused_that_no_resolver_wrote() {
        let is_taken = |pairs: &[(u64, u64)]| Retractions::from_pairs(pairs.to_vec(), 10).is_some();
        assert!(is_taken(&[]) && is_taken(&[(5, 1), (6, 5), (9, 1)]));
        assert!(!is_taken(&[(8, 9), (9, 7)]), "it takes back a later position");
        assert!(!is_taken(&[(8, 8)]), "it takes back itself");
        assert!(!is_taken(&[(8, 1), (8, 2)]), "two stand at one position");
        assert!(!is_taken(&[(8, 1), (7, 2)]), "they are out of order");
        assert!(!is_taken(&[(10, 1)]), "it stands behind the last position");
    }

    #[test]
    fn adding_retractions_one_by_one_is_looking_at_all_of_them() {
        let mut state = 7_u64;
        let mut draw = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for _ in 0..500 {
            let mut retractions = Vec::new();
            let mut taken_back = RetractedPositions::default();
            for position in 4..24 {
                // Mostly what nothing has taken back, as it comes from a resolver.
                let target = draw(position);
                if taken_back.contains(target) && draw(8) > 0 {
                    continue;
                }
                retractions.push((position, target));
                if draw(3) == 0 {
                    taken_back = RetractedPositions::by(&retractions);
                } else {
                    taken_back.add(position, target);
                }
                let expected = in_effect(&retractions);
                assert!((0..=position).all(|at| taken_back.contains(at) == expected.contains(&at)));
            }
        }
    }
}
