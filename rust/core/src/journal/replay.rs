//! Replay: the steps of a journal, judged again in their order.
//!
//! A link that was retracted is left out as if it had never been sent. So an ID that only such a
//! link named is not known, and one that it named first becomes known when another step names it
//! (SPEC 8).
//!
//! The steps may come from a damaged journal. Whatever they hold, a replay ends, takes memory in
//! proportion to their number, and stops at the first step that no resolver can have recorded.
//!
//! # Costs
//!
//! A step costs what judging its link costs, without the search for its texts. Nodes are asked for
//! some steps ahead.

use std::collections::HashSet;
use std::fmt;

use crate::clusters::forest::{Clusters, Forest};
use crate::clusters::judge::{Rules, State, keep_apart};
use crate::clusters::marks::Marks;
use crate::ids::id::Id;
use crate::journal::record::{RecordedStep, Steps};
use crate::link::{Kind, Outcome};

/// A step of a journal that no resolver can have recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// The step, counted from 0 in its batch.
    pub step: usize,
    /// A description of the fault.
    pub what: &'static str,
}

impl Damage {
    /// The description where nothing is wrong with the step, but there is no memory for it.
    pub const NO_MEMORY: &str = "the system has no memory for more";
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}: {}", self.step, self.what)
    }
}

impl std::error::Error for Damage {}

/// A link that was judged again; rejections are explained by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JudgedLink {
    /// Its position among all links and acts.
    pub position: u64,
    /// The event that stated it.
    pub kind: Kind,
    /// Its operands.
    pub ids: [Id; 2],
    /// Its outcome now.
    pub outcome: Outcome,
}

/// The fault of a step that names an ID which nothing has introduced.
const BEFORE_ITS_TURN: &str = "a number stands before its turn";

/// The number of steps ahead at which nodes are prefetched.
const AHEAD: usize = 16;

/// Clusters in which steps can be replayed: those of a resolver being restored, or a copy.
pub(crate) trait ReplayTarget: Clusters {
    /// Makes room for the ID with the next number, and gives it its text.
    ///
    /// # Errors
    ///
    /// A description of the fault, if there is no such text.
    fn introduce(&mut self, id: Id) -> Result<(), &'static str>;
    /// Wipes the text of an ID.
    fn wipe(&mut self, id: Id);
    /// Notes that the retraction at `position` takes back what stands at `target`.
    fn retract(&mut self, position: u64, target: u64);
}

/// The settings of a replay: its rules, the positions to leave out, and its end.
pub(crate) struct Replay<'a> {
    pub rules: Rules<'a>,
    /// The positions to leave out.
    pub retracted: &'a HashSet<u64>,
    /// The position before which to end.
    pub until: u64,
    /// Whether an outcome that differs from the recorded one is damage.
    pub is_checked: bool,
}

impl Replay<'_> {
    /// Judges steps again, in order, and returns how many of them come before the end.
    ///
    /// `next` is the next number that has not appeared yet; it goes up with each ID that a step is
    /// the first to name. `watch` is called with each link that is judged.
    ///
    /// # Errors
    ///
    /// At the first step that no resolver can have recorded; the steps before it are taken.
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
                    clusters.retract(position, target);
                    None
                }
                RecordedStep::Forgotten(id) if id.number() >= *next => {
                    return Err(damage(BEFORE_ITS_TURN));
                }
                RecordedStep::Forgotten(id) => {
                    // An ID that is not known any more, because a link was retracted, cannot be
                    // forgotten.
                    if state.overrides.is_known(id) && !state.overrides.is_forgotten(id) {
                        self.rules.forget(clusters, state, id);
                    }
                    clusters.wipe(id);
                    None
                }
            };
            position += 1;
            if outcome.is_none() {
                state.without_outcome += 1;
            }
        }
        Ok(codes.len())
    }
}

/// Makes the ID known that a step names, or introduces it unknown if the step is left out.
///
/// # Errors
///
/// If its number is higher than the next one, or it was forgotten: a forgotten ID that comes again
/// has another number.
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
