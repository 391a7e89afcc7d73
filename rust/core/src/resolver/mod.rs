//! The resolver: prepare, search, judge, unite; one link or a whole batch.
//!
//! - [`batch`]: operands checked, packed and hashed, row by row.
//! - [`prefetch`]: the search for many texts at once, ahead of the resolver.
//! - [`recorder`]: the interface to a journal, which is passed in.
//! - [`acts`]: keeping apart and forgetting. [`queries`]: everything that is only read.
//!
//! # Invariants
//!
//! 1. The answer depends on the steps and their order and on nothing else.
//! 2. A rejected link changes no cluster and no mark; unless it is malformed or invalid, it makes
//!    its IDs known, the first before the second.
//! 3. A step that fails with an [`Error`] changes nothing.
//!
//! # Costs
//!
//! A link costs two searches of the index and up to two walks to a root; nearly all of it is
//! waiting for memory. So a batch goes in groups, in five passes over each group, and every pass
//! asks for the memory that the next one needs. The first four are a search ([`Prefetcher`]); when
//! they end, parents are asked for, and the fifth judges and unites, in order.
//!
//! | pass | reads | asks for |
//! |---|---|---|
//! | 1 | hashes | buckets of the index |
//! | 2 | buckets | entries |
//! | 3 | keys | texts that did not pack |
//! | 4 | texts | parents |
//! | 5 | parents, roots | |
//!
//! Only the fifth pass changes anything, and it goes in the order given. One link alone is a
//! group of one. Preparing and prefetching can go on elsewhere meanwhile.

use std::sync::Arc;

use crate::clusters::canonical::Strategy;
use crate::clusters::forest::{Forest, Node};
use crate::clusters::history::History;
use crate::clusters::judge::{Rules, State};
use crate::clusters::marks::Marks;
use crate::clusters::policy::Policy;
use crate::error::{Error, Stopped};
use crate::ids::id::Id;
use crate::ids::interner::Interner;
use crate::ids::key::Key;
use crate::link::{Kind, Operand, Outcome, Step};
use crate::resolver::batch::{
    Act, Batch, GROUP, LONGEST_LOOKUP, Prepared, Preparer, SENDER, Side, Status, refusal,
};
use crate::resolver::prefetch::{Prefetcher, Search};
use crate::resolver::recorder::{Recorder, Unrecorded};

pub(crate) mod acts;
pub(crate) mod batch;
pub(crate) mod prefetch;
pub(crate) mod queries;
pub(crate) mod recorder;

/// Joins IDs into identity clusters; see the crate's page for the words.
///
/// A call that changes it needs it alone; any number of threads may query it at once. Nothing in it
/// depends on time, threads or the system, but for the seeds of its hashes, which show in no
/// answer.
pub struct Resolver {
    policy: Arc<Policy>,
    strategy: Strategy,
    /// The IDs, and the node of each in the forest.
    ids: Interner<Node>,
    state: State,
}

impl Resolver {
    /// Returns an empty resolver that judges by `policy` and names clusters by `strategy`.
    pub fn new(policy: Policy, strategy: Strategy) -> Self {
        Self::with_id_limit(policy, strategy, Id::LIMIT)
    }

    /// Returns an empty resolver that can know at most `limit` IDs.
    pub fn with_id_limit(policy: Policy, strategy: Strategy, limit: u32) -> Self {
        Self::with_capacity(policy, strategy, limit, 0)
    }

    /// Returns an empty resolver that can know at most `limit` IDs and whose index has room for
    /// `capacity` from the beginning; entries need no room ahead, for they never move.
    pub fn with_capacity(policy: Policy, strategy: Strategy, limit: u32, capacity: usize) -> Self {
        Self {
            policy: Arc::new(policy),
            strategy,
            ids: Interner::new(limit, capacity),
            state: State::default(),
        }
    }

    /// Keeps the link behind each merge from now on; to be called before the first one.
    ///
    /// Takes 20 bytes an ID. Explanations are made from it.
    pub fn keep_history(&mut self) {
        self.state.history = Some(History::default());
    }

    /// Returns the preparer of this resolver's steps and look-ups.
    pub fn preparer(&self) -> Preparer {
        Preparer::new(self.ids.hasher().clone(), self.policy.clone())
    }

    /// Returns whether `text` can be an ID at all (SPEC 2, step 2).
    pub fn admits(&self, text: &str) -> bool {
        self.policy.admits(text)
    }

    /// Returns a prefetcher, good for some batches to come.
    ///
    /// An old one costs time and no answer: its guesses are checked.
    pub fn prefetcher(&self) -> Prefetcher {
        Prefetcher::new(&self.ids)
    }

    /// Judges one link and returns its outcome (SPEC 2).
    ///
    /// # Errors
    ///
    /// If its IDs exceed a limit; nothing is changed then.
    pub fn link(&mut self, kind: Kind, first: Operand, second: Operand) -> Result<Outcome, Error> {
        self.link_recorded(kind, first, second, &mut Unrecorded)
    }

    /// Makes an ID known, if it is valid.
    ///
    /// # Errors
    ///
    /// If it exceeds a limit; nothing is changed then.
    pub fn observe(&mut self, id: Operand) -> Result<(), Error> {
        self.observe_recorded(id, &mut Unrecorded)
    }

    /// Takes an ordinary event of an ID that was sent under another one, and so joins the two
    /// (SPEC 3).
    ///
    /// # Errors
    ///
    /// If they exceed a limit; nothing is changed then.
    pub fn observe_evidence(&mut self, id: Operand, sent: Operand) -> Result<(), Error> {
        self.observe_evidence_recorded([id, sent], &mut Unrecorded)
    }

    /// Takes steps one after another and appends an outcome for each link.
    ///
    /// # Errors
    ///
    /// At the first step that exceeds a limit; the steps before it are taken, those after it not.
    pub fn take<'a>(
        &mut self,
        steps: impl IntoIterator<Item = Step<'a>>,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<(), Stopped> {
        let (preparer, mut batch, mut taken) = (self.preparer(), Batch::default(), 0);
        let mut steps = steps.into_iter().peekable();
        while steps.peek().is_some() {
            batch.clear();
            while !batch.is_ready()
                && let Some(step) = steps.next()
            {
                batch.push(&preparer, step);
            }
            let result = self.take_batch(&mut batch, outcomes);
            result.map_err(|stopped| Stopped { taken: taken + stopped.taken, ..stopped })?;
            taken += batch.acts.len();
        }
        Ok(())
    }

    /// Takes the rows of a batch that this resolver's preparer filled; see [`Self::take`].
    ///
    /// Afterwards the batch has the ID that each row observed, and of rows that ask for it their
    /// senders' canonical IDs as they were before; see [`Batch::observed`] and [`Batch::senders`].
    ///
    /// # Errors
    ///
    /// At the first row that exceeds a limit; the rows before it are taken, those after it not.
    pub fn take_batch(&mut self, batch: &mut Batch, outcomes: &mut Vec<Outcome>) -> Result<(), Stopped> {
        self.take_batch_recorded(batch, outcomes, &mut Unrecorded)
    }
}

/// The methods that pass each step to a recorder.
impl Resolver {
    /// Judges one link and records it; see [`Self::link`].
    #[inline]
    pub(crate) fn link_recorded(
        &mut self,
        kind: Kind,
        first: Operand,
        second: Operand,
        recorder: &mut impl Recorder,
    ) -> Result<Outcome, Error> {
        let outcome = self.take_one(Act::Link(kind), [first, second], recorder)?;
        Ok(outcome.expect("a link has an outcome"))
    }

    /// Makes an ID known and records that; see [`Self::observe`].
    #[inline]
    pub(crate) fn observe_recorded(
        &mut self,
        id: Operand,
        recorder: &mut impl Recorder,
    ) -> Result<(), Error> {
        self.take_one(Act::Observe, [id, Operand::Missing], recorder).map(|_| ())
    }

    /// Takes an event of an ID that was sent under another one and records that; see
    /// [`Self::observe_evidence`].
    #[inline]
    pub(crate) fn observe_evidence_recorded(
        &mut self,
        ids: [Operand; 2],
        recorder: &mut impl Recorder,
    ) -> Result<(), Error> {
        self.take_one(Act::Evidence, ids, recorder).map(|_| ())
    }

    /// Takes the rows of a batch and records them; see [`Self::take_batch`].
    ///
    /// The loop over groups is the same with a journal and without; what a recorder adds is
    /// compiled into it.
    pub(crate) fn take_batch_recorded(
        &mut self,
        batch: &mut Batch,
        outcomes: &mut Vec<Outcome>,
        recorder: &mut impl Recorder,
    ) -> Result<(), Stopped> {
        let steps = batch.acts.len();
        let room = outcomes.try_reserve(steps).map_err(|_| Error::NoMemory);
        let room = room.and_then(|()| self.make_room(steps, recorder));
        room.map_err(|error| Stopped { taken: 0, error })?;
        if batch.sides[SENDER].is_empty() {
            self.take_rows::<false>(batch, outcomes, recorder)
        } else {
            self.take_rows::<true>(batch, outcomes, recorder)
        }
    }

    /// Takes the rows of a batch, for which there is room; if `FOLLOWS`, answers for each row's
    /// sender first.
    fn take_rows<const FOLLOWS: bool>(
        &mut self,
        batch: &mut Batch,
        outcomes: &mut Vec<Outcome>,
        recorder: &mut impl Recorder,
    ) -> Result<(), Stopped> {
        let search = Search::begin(&self.ids, batch);
        let Batch { acts, sides, texts, .. } = batch;
        for start in (0..acts.len()).step_by(GROUP) {
            let ids = &self.ids;
            search.group(ids, sides, texts, start, |id| ids.prefetch_entry(ids.above(id)));
            for row in start..acts.len().min(start + GROUP) {
                if FOLLOWS {
                    let known = self.sender_before(acts[row], sides, texts, row);
                    sides[SENDER][row].set_id(known.map_err(|error| Stopped { taken: row, error })?);
                }
                recorder.begin_row(row);
                let settled = match acts[row] {
                    Act::Link(kind) => self
                        .settle(kind, [&sides[0][row], &sides[1][row]], [&texts[0], &texts[1]], recorder)
                        .map(|outcome| outcomes.push(outcome)),
                    Act::Observe => self
                        .settle_observed(&sides[0][row], &texts[0], recorder)
                        .map(|id| sides[0][row].set_id(id)),
                    Act::Evidence => {
                        let operands = [&sides[0][row], &sides[1][row]];
                        self.settle_evidence(operands, [&texts[0], &texts[1]], recorder)
                            .map(|id| sides[0][row].set_id(id))
                    }
                };
                settled.map_err(|error| Stopped { taken: row, error })?;
                if FOLLOWS && !matches!(acts[row], Act::Link(_)) && sides[SENDER][row].id().is_none() {
                    // An observation changes no cluster; who was not known had the own ID.
                    let own = sides[0][row].id().map(|id| match acts[row] {
                        Act::Observe => self.canonical(id),
                        Act::Evidence | Act::Link(_) => id,
                    });
                    sides[SENDER][row].set_id(own);
                }
            }
        }
        Ok(())
    }

    /// Returns the canonical ID of a row's sender before the row is taken; None if the sender is
    /// not known, and for an observation, which can be answered as well afterwards.
    ///
    /// # Errors
    ///
    /// If there was no memory for the sender's text.
    #[inline]
    fn sender_before(
        &self,
        act: Act,
        sides: &[Vec<Prepared>; 3],
        texts: &[String; 3],
        row: usize,
    ) -> Result<Option<Id>, Error> {
        let side = match act {
            Act::Observe => return Ok(None),
            Act::Evidence => Side::First as usize,
            Act::Link(_) => SENDER,
        };
        let sender = &sides[side][row];
        if !sender.is_valid() {
            // An operand that exceeds a limit is an error of its step.
            let exceeded = sender.exceeded(LONGEST_LOOKUP).filter(|_| side == SENDER);
            return exceeded.map_or(Ok(None), Err);
        }
        let id = sender.id().or_else(|| self.ids.find(&sender.probe(&texts[side])));
        Ok(id.filter(|&id| self.state.overrides.is_known(id)).map(|id| self.canonical(id)))
    }

    /// All passes for one step: prepared, searched for and settled at once.
    #[inline]
    fn take_one(
        &mut self,
        act: Act,
        operands: [Operand; 2],
        recorder: &mut impl Recorder,
    ) -> Result<Option<Outcome>, Error> {
        self.make_room(1, recorder)?;
        let [first, second] = operands.map(|operand| match operand {
            Operand::Text(text) => text,
            Operand::Missing | Operand::NotUnicode => "",
        });
        let mut operands = operands.map(|operand| self.prepare(operand));
        for (prepared, text) in operands.iter_mut().zip([first, second]) {
            if prepared.is_valid() {
                prepared.set_id(self.ids.find(&prepared.probe(text)));
            }
        }
        match act {
            Act::Link(kind) => self.settle(kind, operands.each_ref(), [first, second], recorder).map(Some),
            Act::Observe => self.settle_observed(&operands[0], first, recorder).map(|_| None),
            Act::Evidence => {
                self.settle_evidence(operands.each_ref(), [first, second], recorder).map(|_| None)
            }
        }
    }

    /// Prepares one operand, as the preparer does.
    #[inline]
    fn prepare(&self, operand: Operand) -> Prepared {
        Prepared::prepare(self.ids.hasher(), &self.policy, operand, 0)
    }

    /// The fifth pass for a link: judges and unites, and returns the outcome (SPEC 2).
    ///
    /// The operands' texts are in `buffers`. Mostly both IDs are known, and texts are not touched;
    /// else the checks that need no ID come first, and then both IDs become known, the first before
    /// the second, or none.
    #[expect(clippy::inline_always, reason = "the loops of two kinds of batches have it; a call costs 3 %")]
    #[inline(always)]
    fn settle(
        &mut self,
        kind: Kind,
        operands: [&Prepared; 2],
        buffers: [&str; 2],
        recorder: &mut impl Recorder,
    ) -> Result<Outcome, Error> {
        if !self.policy.takes(kind) {
            return Ok(self.refuse(kind, Outcome::VerbNotAllowed, recorder));
        }
        let [first, second] = operands;
        let before = self.ids.len() as u32;
        let ids = match (first.id(), second.id()) {
            (Some(first), Some(second)) => [first, second],
            _ => match refusal([first.status, second.status]) {
                Some(outcome) => return Ok(self.refuse(kind, outcome, recorder)),
                None => self.intern_both(operands, buffers)?,
            },
        };
        if self.state.overrides.has_unknown() {
            self.state.overrides.make_known(ids[0], before);
            self.state.overrides.make_known(ids[1], self.ids.len() as u32);
        }
        let (clusters, state, rules) = self.parts_mut();
        let outcome = rules.judge(clusters, state, kind, ids);
        recorder.link(kind, outcome, Some(ids));
        Ok(outcome)
    }

    /// Counts and records a link that makes no ID known, and returns its outcome.
    #[cold]
    fn refuse(&mut self, kind: Kind, outcome: Outcome, recorder: &mut impl Recorder) -> Outcome {
        self.state.count(outcome);
        recorder.link(kind, outcome, None);
        outcome
    }

    /// Makes room in history and record for so many steps, so that memory that fails does so before
    /// a step begins.
    #[inline]
    fn make_room(&mut self, steps: usize, recorder: &mut impl Recorder) -> Result<(), Error> {
        self.state.reserve(self.ids.len() + 2 * steps)?;
        // Evidence is recorded as an observation and a link.
        recorder.reserve(2 * steps)
    }

    /// The fifth pass for an ordinary event: makes its ID known, if it can be one, and returns it.
    #[inline]
    fn settle_observed<R: Recorder>(
        &mut self,
        prepared: &Prepared,
        buffer: &str,
        recorder: &mut R,
    ) -> Result<Option<Id>, Error> {
        let next = self.ids.len() as u32;
        let id = match (prepared.id(), prepared.status) {
            (Some(id), _) => id,
            (None, Status::Missing | Status::Invalid) => return Ok(None),
            (None, _) => {
                self.check_room([prepared], [buffer])?;
                self.intern(prepared, buffer)
            }
        };
        if R::RECORDS {
            self.record_observed(id, next, recorder);
        }
        Ok(Some(id))
    }

    /// The fifth pass for an ordinary event whose ID was rewritten: makes its ID known, joins it to
    /// the one that was sent, if both can be IDs, and returns it.
    ///
    /// Its position is that of the join alone: should it be retracted, the event is one of its ID.
    #[inline(never)]
    fn settle_evidence<R: Recorder>(
        &mut self,
        operands: [&Prepared; 2],
        buffers: [&str; 2],
        recorder: &mut R,
    ) -> Result<Option<Id>, Error> {
        let refused = |operand: &Prepared| matches!(operand.status, Status::Missing | Status::Invalid);
        if !self.policy.takes_evidence || operands.into_iter().any(refused) {
            return self.settle_observed(operands[0], buffers[0], recorder);
        }
        let before = self.ids.len() as u32;
        let ids = match (operands[0].id(), operands[1].id()) {
            (Some(first), Some(second)) => [first, second],
            _ => self.intern_both(operands, buffers)?,
        };
        if ids[0] != ids[1] {
            if self.state.overrides.has_unknown() {
                self.state.overrides.make_known(ids[0], before);
                self.state.overrides.make_known(ids[1], self.ids.len() as u32);
            }
            let (clusters, state, rules) = self.parts_mut();
            let outcome = rules.judge(clusters, state, Kind::Evidence, ids);
            recorder.link(Kind::Evidence, outcome, Some(ids));
        }
        // Behind the join, so that a look back to the moment before it does not see the event.
        if R::RECORDS {
            self.record_observed(ids[0], before, recorder);
        }
        Ok(Some(ids[0]))
    }

    /// Records an ordinary event of `id`, once: should the link that named the ID be retracted, it
    /// is known still. `next` is the number that the next new ID had when the event came.
    fn record_observed(&mut self, id: Id, next: u32, recorder: &mut impl Recorder) {
        self.state.overrides.make_known(id, next);
        if !self.ids.marks(id).has(Marks::OBSERVED) {
            self.ids.mark_alone(id, Marks::OBSERVED);
            recorder.observation(id);
        }
    }

    /// Makes both operands known, of which at least one was not at the fourth pass.
    #[inline]
    fn intern_both(&mut self, operands: [&Prepared; 2], buffers: [&str; 2]) -> Result<[Id; 2], Error> {
        self.check_room(operands, buffers)?;
        let first = operands[0].id().unwrap_or_else(|| self.intern(operands[0], buffers[0]));
        let second = operands[1].id().unwrap_or_else(|| self.intern(operands[1], buffers[1]));
        Ok([first, second])
    }

    /// Makes sure that all of these operands can become known, or none.
    ///
    /// # Errors
    ///
    /// If one is too long, or their number or memory exceeds a limit.
    #[inline]
    fn check_room<const N: usize>(
        &mut self,
        operands: [&Prepared; N],
        buffers: [&str; N],
    ) -> Result<(), Error> {
        let bytes = operands.iter().map(|prepared| prepared.text_length()).sum();
        if operands.iter().all(|prepared| prepared.is_valid()) && self.ids.has_room_for_two(bytes) {
            return Ok(());
        }
        self.check_room_exactly(operands, buffers)
    }

    /// Checks room where it is scarce, and counts only the operands that are really new.
    #[cold]
    fn check_room_exactly<const N: usize>(
        &mut self,
        operands: [&Prepared; N],
        buffers: [&str; N],
    ) -> Result<(), Error> {
        let limit = self.policy.longest_text();
        if let Some(error) = operands.iter().find_map(|prepared| prepared.exceeded(limit)) {
            return Err(error);
        }
        let probes = operands.iter().zip(buffers).map(|(prepared, buffer)| prepared.probe(buffer));
        let mut new: Vec<(Key, &str)> = probes
            .filter(|probe| self.ids.find(probe).is_none())
            .map(|probe| (probe.key, probe.text))
            .collect();
        new.dedup_by(|a, b| a.1 == b.1 && (a.0 == b.0 || !a.1.is_empty()));
        let bytes = new.iter().map(|(_, text)| text.len()).sum();
        self.ids.make_room(new.len(), bytes)
    }

    /// Returns the ID of a valid operand, making it known if it is not; there must be room.
    #[inline]
    fn intern(&mut self, prepared: &Prepared, buffer: &str) -> Id {
        let Status::Valid(marks) = prepared.status else { unreachable!("only a valid ID becomes known") };
        self.ids.intern(&prepared.probe(buffer), |id| Node::alone(id, marks))
    }
}

/// The parts of a resolver, for a journal that reads them back, replays or replaces them.
impl Resolver {
    /// Returns the IDs with their forest.
    pub(crate) fn clusters(&self) -> &Interner<Node> {
        &self.ids
    }

    /// Returns the state beside the forest.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Returns the rules by which it judges.
    pub(crate) fn rules(&self) -> Rules<'_> {
        Rules { policy: &self.policy, strategy: self.strategy }
    }

    /// Returns the IDs with their forest, the state and the rules, to judge links by hand.
    #[inline]
    pub(crate) fn parts_mut(&mut self) -> (&mut Interner<Node>, &mut State, Rules<'_>) {
        let rules = Rules { policy: &self.policy, strategy: self.strategy };
        (&mut self.ids, &mut self.state, rules)
    }

    /// Returns a resolver with the rules of this one, and these IDs and this state.
    pub(crate) fn with_parts(&self, ids: Interner<Node>, state: State) -> Self {
        Self { policy: self.policy.clone(), strategy: self.strategy, ids, state }
    }

    /// Limits the texts of IDs to so many bytes from now on.
    pub(crate) fn limit_texts(&mut self, bytes: usize) {
        Arc::make_mut(&mut self.policy).limit_texts(bytes);
    }
}
