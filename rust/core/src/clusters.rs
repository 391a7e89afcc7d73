//! The second half of a batch's way: links between numbers are judged, and clusters united.
//!
//! It knows no text, unless the canonical strategy asks for one, and follows the first half,
//! [`Interner::take_in`], in order: a number that it has not met is the next one.
//!
//! A link costs up to two walks to a root. A batch goes in groups, in three passes:
//!
//! 1. meet new IDs, ask for the nodes of the others, while the group before is judged;
//! 2. ask for their parents;
//! 3. judge and unite, in order.

use std::sync::Arc;

use crate::batch::{Act, Arrival, Batch, GROUP, Standing, clamped, refusal};
use crate::canonical::Strategy;
use crate::forest::{Forest, Marks};
use crate::id::Id;
use crate::interner::Interner;
use crate::link::{Kind, Outcome};
use crate::policy::{Facts, Policy, claims};

/// The clusters and the rules by which they grow.
pub struct Clusters {
    pub(crate) policy: Arc<Policy>,
    strategy: Strategy,
    pub(crate) forest: Forest,
    pub(crate) outcomes: [u64; Outcome::COUNT],
}

impl Clusters {
    /// Returns no clusters, with addresses for `capacity` IDs.
    pub(crate) fn new(policy: Policy, strategy: Strategy, capacity: usize) -> Self {
        let forest = Forest::new(capacity);
        Self { policy: Arc::new(policy), strategy, forest, outcomes: [0; Outcome::COUNT] }
    }

    /// Returns whether judging asks for the texts of IDs.
    pub(crate) fn reads_texts(&self) -> bool {
        self.strategy.reads_texts()
    }

    /// Judges the first `rows` of a batch that is taken in, and appends the outcomes of its links.
    ///
    /// `ids` must be given if judging reads texts.
    pub(crate) fn judge(
        &mut self,
        ids: Option<&Interner>,
        batch: &Batch,
        rows: usize,
        outcomes: &mut Vec<Outcome>,
    ) {
        let acts = &batch.acts[..rows];
        let sides = batch.sides.each_ref().map(|side| clamped(side, &(0..rows)));
        self.meet(sides, 0..GROUP);
        for start in (0..rows).step_by(GROUP) {
            let group = start..rows.min(start + GROUP);
            for side in sides {
                for id in clamped(side, &group).iter().filter_map(Arrival::id) {
                    self.forest.prefetch(self.forest.above(id));
                }
            }
            self.meet(sides, start + GROUP..start + 2 * GROUP);
            for row in group {
                if let Act::Link(kind) = acts[row] {
                    outcomes.push(self.judge_link(ids, kind, [&sides[0][row], &sides[1][row]]));
                }
            }
        }
    }

    /// The first pass.
    #[inline]
    fn meet(&mut self, sides: [&[Arrival]; 2], rows: std::ops::Range<usize>) {
        let [first, second] = sides.map(|side| clamped(side, &rows));
        let mut second = second.iter();
        for operand in first {
            self.meet_one(operand);
            if let Some(operand) = second.next() {
                self.meet_one(operand);
            }
        }
    }

    /// Meets one operand that is taken in.
    #[inline]
    pub(crate) fn meet_one(&mut self, operand: &Arrival) {
        let Some(id) = operand.id() else { return };
        if id.index() < self.forest.len() {
            return self.forest.prefetch(id);
        }
        let Standing::Valid(marks) = operand.standing else { unreachable!("only a valid ID becomes known") };
        debug_assert_eq!(id.index(), self.forest.len());
        self.forest.push(marks);
    }

    /// The third pass for a link between operands that are taken in and met.
    #[inline]
    pub(crate) fn judge_link(
        &mut self,
        ids: Option<&Interner>,
        kind: Kind,
        [first, second]: [&Arrival; 2],
    ) -> Outcome {
        let outcome = match (first.id(), second.id()) {
            (Some(first), Some(second)) => self.unite(ids, kind, first, second),
            _ => refusal([first.standing, second.standing]).expect("only what is refused has no number"),
        };
        self.outcomes[outcome as usize] += 1;
        outcome
    }

    /// Judges a link between two known IDs and does what its outcome says.
    #[inline]
    fn unite(&mut self, ids: Option<&Interner>, kind: Kind, first: Id, second: Id) -> Outcome {
        let forest = &mut self.forest;
        let (ours, theirs) = (forest.find_root(first), forest.find_root(second));
        let outcome = self.policy.judge(
            kind,
            &Facts {
                same_id: first == second,
                same_cluster: ours == theirs,
                first: forest.marks(first),
                first_cluster: forest.cluster_marks(ours),
                merged_size: forest.size(ours) + forest.size(theirs),
            },
        );
        if matches!(outcome, Outcome::Merged | Outcome::Unchanged) {
            self.claim(kind, [(first, ours), (second, theirs)]);
        }
        if outcome == Outcome::Merged {
            let canonical = self.strategy.join(&self.forest, ids, ours, theirs);
            let root = self.forest.unite(ours, theirs);
            self.forest.set_canonical(root, canonical);
        }
        outcome
    }

    #[inline]
    fn claim(&mut self, kind: Kind, [(first, ours), (second, theirs)]: [(Id, Id); 2]) {
        let (of_first, of_second) = claims(kind);
        self.forest.mark(first, ours, of_first);
        self.forest.mark(second, theirs, of_second);
        if of_second.has(Marks::IDENTIFIED) {
            let canonical = self.strategy.on_identified(&self.forest, theirs, second);
            self.forest.set_canonical(theirs, canonical);
        }
    }
}
