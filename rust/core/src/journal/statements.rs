//! Statements: what a journal states about one or two clusters, equal statements together (SPEC 8).
//!
//! A link that was sent a thousand times is one statement with a count. What was taken back and the
//! pairs of IDs that are kept apart are statements too.
//!
//! # Costs
//!
//! A replay of the journal, and memory for each different statement, not for each copy.

use std::collections::HashMap;

use crate::clusters::forest::Forest;
use crate::ids::id::Id;
use crate::journal::JournaledResolver;
use crate::journal::record::{ACT, KEEP_APART, RecordedStep, Steps};
use crate::journal::replay::{Damage, JudgedLink};
use crate::link::Outcome;

/// The most positions that a statement lists; further copies are only counted.
pub(crate) const MOST_POSITIONS: usize = 5;

/// One or more equal statements with the same outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The number of the link's kind, or the code of two IDs that are kept apart.
    pub code: u8,
    /// Its two IDs.
    pub ids: [Id; 2],
    /// The outcome now; None if it was taken back, or states that two IDs are kept apart.
    pub outcome: Option<Outcome>,
    /// The number of copies.
    pub count: u64,
    /// The positions of the first [`MOST_POSITIONS`] of them, in their order.
    pub positions: Vec<u64>,
    /// The position of the retraction of each listed one; empty if the statement holds.
    pub taken_back_by: Vec<u64>,
}

/// A statement's code, its IDs, its outcome, and whether it was taken back.
type Equal = (u8, [Id; 2], Option<Outcome>, bool);

/// The statements that were found so far.
#[derive(Default)]
struct Found {
    statements: Vec<Statement>,
    places: HashMap<Equal, usize>,
}

impl Found {
    fn add(&mut self, equal: Equal, position: u64, taken_back_by: Option<u64>) {
        let (code, ids, outcome, _) = equal;
        let place = *self.places.entry(equal).or_insert(self.statements.len());
        if place == self.statements.len() {
            let (positions, taken_back_by) = (Vec::new(), Vec::new());
            self.statements.push(Statement { code, ids, outcome, count: 0, positions, taken_back_by });
        }
        let statement = &mut self.statements[place];
        statement.count += 1;
        if statement.positions.len() < MOST_POSITIONS {
            statement.positions.push(position);
            statement.taken_back_by.extend(taken_back_by);
        }
    }
}

/// The clusters that statements are about: one, or two different ones.
struct Subject<'a> {
    core: &'a JournaledResolver,
    roots: [Id; 2],
}

impl Subject<'_> {
    /// Returns whether two IDs are both in the one cluster, or one in each of the two.
    fn is_between(&self, ids: [Id; 2]) -> bool {
        let [a, b] = ids.map(|id| self.core.clusters().root(id));
        self.roots == [a, b] || self.roots == [b, a]
    }

    /// Returns whether one of two IDs is in a cluster.
    fn touches(&self, ids: [Id; 2]) -> bool {
        ids.iter().any(|&id| self.roots.contains(&self.core.clusters().root(id)))
    }

    /// Returns whether the cluster of one of two IDs and another one are kept apart by them.
    fn is_kept_apart(&self, ids: [Id; 2]) -> bool {
        let is_one = self.roots[0] == self.roots[1];
        // Where they are together, the act was void.
        !self.core.same(ids[0], ids[1]) && if is_one { self.touches(ids) } else { self.is_between(ids) }
    }
}

impl JournaledResolver {
    /// Returns the statements about the cluster of `a`, or about those of `a` and `b` if these are
    /// two, in the order of their first positions.
    ///
    /// They are the links within the one cluster, or between the two; the pairs that keep the one
    /// from others, or the two from each other; and whatever was taken back and names a member.
    /// `steps` are the journal's batches from the first on.
    ///
    /// # Errors
    ///
    /// If the steps are damaged, or not all that this resolver took.
    pub fn statements<'a>(
        &self,
        [a, b]: [Id; 2],
        steps: impl IntoIterator<Item = Steps<'a>>,
    ) -> Result<Vec<Statement>, Damage> {
        let subject = Subject { core: self, roots: [a, b].map(|id| self.clusters().root(id)) };
        let taken_back = self.taken_back();
        let (mut acts, mut links) = (Found::default(), Found::default());
        let mut start = 0;
        let mut look_at = |steps: Steps| {
            let positions = steps.positions();
            if start < self.position() {
                acts_among(steps, start, &subject, &taken_back, &mut acts);
            }
            start += positions;
        };
        let watch = |JudgedLink { position, kind, ids, outcome }| {
            if subject.is_between(ids) {
                links.add((kind as u8, ids, Some(outcome), false), position, None);
            }
        };
        self.look_back_to_now(steps.into_iter().inspect(|&steps| look_at(steps)), false, watch)?;
        if let Some(pending) = self.pending() {
            look_at(pending.steps);
        }
        let mut found = acts.statements;
        found.append(&mut links.statements);
        found.sort_unstable_by_key(|statement| statement.positions[0]);
        Ok(found)
    }

    /// Returns each position that is taken back, with that of the last retraction which does so.
    fn taken_back(&self) -> HashMap<u64, u64> {
        let in_effect = self.retractions.in_effect_at(u64::MAX);
        let pairs = self.retractions().iter().filter(|(by, _)| !in_effect.contains(by));
        pairs.map(|&(by, of)| (of, by)).collect()
    }
}

/// Adds the statements among `steps`, from the position `start` on, that no replay judges: those
/// that were taken back, and pairs that are kept apart.
fn acts_among(
    steps: Steps,
    start: u64,
    subject: &Subject,
    taken_back: &HashMap<u64, u64>,
    found: &mut Found,
) {
    let Steps { codes, first, second } = steps;
    let mut next = start;
    for ((&code, &first), &second) in codes.iter().zip(first).zip(second) {
        let Some(recorded) = RecordedStep::read(code, first, second) else { return };
        if matches!(recorded, RecordedStep::Observed(_)) {
            continue;
        }
        let position = next;
        next += 1;
        let by = taken_back.get(&position).copied();
        let ids = match recorded {
            RecordedStep::KeptApart(a, b) => [a, b],
            RecordedStep::Link(_, a, b) if by.is_some() => [a, b],
            _ => continue,
        };
        // The steps were not checked yet.
        let is_numbered = ids.iter().all(|id| id.index() < subject.core.numbered());
        let is_wanted = is_numbered
            && position < subject.core.position()
            && if by.is_some() { subject.touches(ids) } else { subject.is_kept_apart(ids) };
        if is_wanted {
            let code = if code == KEEP_APART { code } else { code & ACT };
            found.add((code, ids, None, by.is_some()), position, by);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clusters::canonical::Strategy;
    use crate::clusters::policy::Policy;
    use crate::link::Kind;
    use crate::resolver::Resolver;

    fn merging(pairs: &[(&str, &str)]) -> JournaledResolver {
        let mut core = JournaledResolver::new(Resolver::new(Policy::default(), Strategy::Stable));
        core.keep_record();
        for &(a, b) in pairs {
            core.link(Kind::Merge, a.into(), b.into()).expect("there is room");
        }
        core
    }

    fn about(core: &JournaledResolver, a: &str, b: &str) -> Vec<(u8, Option<Outcome>, u64, Vec<u64>)> {
        let ids = [a, b].map(|text| core.get(text).expect("it is known"));
        let found = core.statements(ids, []).expect("the steps are its own");
        found.into_iter().map(|one| (one.code, one.outcome, one.count, one.positions)).collect()
    }

    #[test]
    fn copies_are_counted_and_the_first_ones_listed() {
        let core = merging(&[("a", "b"); 9]);
        let merge = Kind::Merge as u8;
        assert_eq!(
            about(&core, "a", "a"),
            [
                (merge, Some(Outcome::Merged), 1, vec![0]),
                (merge, Some(Outcome::Unchanged), 8, (1..=MOST_POSITIONS as u64).collect()),
            ]
        );
    }

    #[test]
    fn what_was_taken_back_is_stated_with_its_retraction() {
        let mut core = merging(&[("a", "b"), ("b", "c"), ("d", "e")]);
        core.keep_apart(["a", "d"]).expect("they are apart");
        let past = core.without(&[1], []).expect("it is there");
        core.retract(&[1], past).expect("there is room");
        let ids = [core.get("a").expect("it is known"); 2];
        let found = core.statements(ids, []).expect("the steps are its own");
        let told: Vec<_> = found.iter().map(|one| (one.positions[0], one.taken_back_by.clone())).collect();
        assert_eq!(told, [(0, vec![]), (1, vec![4]), (3, vec![])]);
    }

    #[test]
    fn pairs_of_other_clusters_are_left_out() {
        let mut core = merging(&[("a", "b"), ("c", "d"), ("e", "f")]);
        for (a, b) in [("a", "c"), ("a", "e"), ("c", "e")] {
            core.keep_apart([a, b]).expect("they are apart");
        }
        let positions = |a, b| about(&core, a, b).iter().map(|one| one.3[0]).collect::<Vec<_>>();
        assert_eq!(positions("b", "d"), [3], "between the two");
        assert_eq!(positions("b", "b"), [0, 3, 4], "the links of the one, and those that keep it apart");
    }
}
