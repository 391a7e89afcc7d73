//! Steps of a journal, judged again in their order.
//!
//! What was taken back is left out as if it had never been sent. So an ID that only such a link named is
//! not known, and one that it named first becomes known when somebody else names it.

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::clusters::forest::{Forest, Marks};
use crate::clusters::judge::{ReplayTarget, Rules, State, keep_apart};
use crate::ids::id::Id;
use crate::journal::record::{RecordedStep, Steps};
use crate::link::{Kind, Outcome};

/// Something in a journal that no resolver can have written there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// The step, counted from 0 in its batch.
    pub step: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

impl Damage {
    /// Stands where nothing is wrong but that there is no memory for it.
    pub const NO_MEMORY: &str = "the system has no memory for more";
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}: {}", self.step, self.what)
    }
}

impl std::error::Error for Damage {}

/// A link that was judged again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JudgedLink {
    /// Its position among all links and acts.
    pub position: u64,
    /// Which event stated it.
    pub kind: Kind,
    /// Its operands.
    pub ids: [Id; 2],
    /// What becomes of it.
    pub outcome: Outcome,
}

const BEFORE_ITS_TURN: &str = "a number stands before its turn";

/// How far ahead nodes are asked for.
const AHEAD: usize = 16;

/// What to leave out, and where to end.
pub(crate) struct Replay<'a> {
    pub rules: Rules<'a>,
    /// The positions of what was taken back.
    pub retracted: &'a HashSet<u64>,
    /// The position before which to end.
    pub until: u64,
    /// Whether the outcomes that were recorded are the ones that there must be.
    pub is_checked: bool,
}

impl Replay<'_> {
    /// Takes steps; returns how many of them come before the end. `next` is the number that the next ID to
    /// become known for the first time has.
    pub fn run<C: ReplayTarget>(
        &self,
        clusters: &mut C,
        state: &mut State,
        next: &mut u32,
        steps: Steps,
        mut watch: impl FnMut(JudgedLink),
    ) -> Result<usize, Damage> {
        let Steps { codes, first, second } = steps;
        let mut position = state.position();
        for step in 0..codes.len() {
            if let (Some(&first), Some(&second)) = (first.get(step + AHEAD), second.get(step + AHEAD)) {
                for number in [first, second].into_iter().filter(|&number| number < Id::LIMIT) {
                    clusters.prefetch_node(Id::new(number));
                }
            }
            let damage = |what| Damage { step, what };
            let recorded = RecordedStep::read(codes[step], first[step], second[step])
                .ok_or_else(|| damage("no such step"))?;
            // An observation has no position: it goes with what comes before it.
            let has_position = !matches!(recorded, RecordedStep::Observed(_));
            if has_position && position == self.until {
                return Ok(step);
            }
            let is_left_out =
                has_position && !self.retracted.is_empty() && self.retracted.contains(&position);
            let mut name = |id: Id, clusters: &mut C, state: &mut State| {
                name(id, clusters, state, next, is_left_out).map_err(damage)
            };
            let outcome = match recorded {
                RecordedStep::Link(kind, first, second) => {
                    name(first, clusters, state)?;
                    name(second, clusters, state)?;
                    if is_left_out {
                        None
                    } else {
                        let ids = [first, second];
                        let outcome = self.rules.judge(clusters, state, kind, ids);
                        if self.is_checked && outcome as u8 != codes[step] >> 4 {
                            return Err(damage("another outcome was recorded than the policy gives"));
                        }
                        watch(JudgedLink { position, kind, ids, outcome });
                        Some(outcome)
                    }
                }
                RecordedStep::Refused(outcome) if !is_left_out => {
                    state.count(outcome);
                    Some(outcome)
                }
                RecordedStep::Refused(_) => None,
                RecordedStep::Observed(id) => {
                    name(id, clusters, state)?;
                    clusters.mark_alone(id, Marks::OBSERVED);
                    continue;
                }
                RecordedStep::KeptApart(a, b) => {
                    name(a, clusters, state)?;
                    name(b, clusters, state)?;
                    if !is_left_out {
                        keep_apart(clusters, state, [a, b]);
                    }
                    None
                }
                RecordedStep::Retracted(target) if target >= position => {
                    return Err(damage("what is taken back comes later"));
                }
                RecordedStep::Retracted(target) => {
                    state.retractions.push((position, target));
                    None
                }
                RecordedStep::Forgotten(id) if id.number() >= *next => {
                    return Err(damage(BEFORE_ITS_TURN));
                }
                RecordedStep::Forgotten(id) => {
                    // Who is not known any more, because a link was taken back, is not there to be forgotten.
                    if state.overrides.is_known(id) && !state.overrides.is_forgotten(id) {
                        self.rules.forget(clusters, state, id);
                    }
                    clusters.wipe(id);
                    None
                }
            };
            position += 1;
            if outcome.is_none() {
                state.others += 1;
            }
        }
        Ok(codes.len())
    }
}

/// Lets a step name an ID, which makes it known unless the step is left out.
#[inline]
fn name<C: ReplayTarget>(
    id: Id,
    clusters: &mut C,
    state: &mut State,
    next: &mut u32,
    is_left_out: bool,
) -> Result<(), &'static str> {
    if id.number() < *next {
        if state.overrides.is_forgotten(id) {
            return Err("a forgotten ID is named");
        }
        if !is_left_out && state.overrides.has_unknown() {
            state.overrides.make_known(id, *next);
        }
        return Ok(());
    }
    if id.number() > *next {
        return Err(BEFORE_ITS_TURN);
    }
    clusters.introduce(id)?;
    *next += 1;
    if is_left_out {
        state.overrides.leave_unknown(id);
    }
    Ok(())
}

/// Returns what is taken back in the end, given the positions of retractions and of what each takes back:
/// who takes back a retraction restores what that one took back.
pub(crate) fn in_effect(retractions: &[(u64, u64)]) -> HashSet<u64> {
    let mut retracted = HashSet::new();
    for (position, target) in retractions.iter().rev() {
        if !retracted.contains(position) {
            retracted.insert(*target);
        }
    }
    retracted
}

/// The positions that are taken back while retractions are added one after another.
///
/// A retraction costs the length of the chain of retractions that it stands on, nearly always one.
#[derive(Default)]
pub(crate) struct RetractedPositions {
    /// What the retraction at each position takes back.
    targets: HashMap<u64, u64>,
    /// How many retractions that are in effect take back each position.
    counts: HashMap<u64, usize>,
}

impl RetractedPositions {
    /// Returns what is taken back by retractions that were made already.
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

    /// Returns whether what stands at a position is taken back.
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
            // If that was a retraction, what it took back is restored, and if that is one too, it is in
            // effect again.
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
