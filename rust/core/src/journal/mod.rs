//! A resolver and its journal: what was not written yet, what is read back, and what is taken back.
//!
//! # Invariants
//!
//! 1. An ID's number in the journal is its number here.
//! 2. Numbers appear in the journal's steps in their order: the next new one is the smallest that has not.
//! 3. A resolver made of a journal's steps equals the one that recorded them.

pub(crate) mod change_feed;
pub(crate) mod checkpoint;
pub(crate) mod past;
pub(crate) mod record;
pub(crate) mod replay;

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use crate::clusters::forest::{Forest, Marks, Node, Nodes};
use crate::clusters::history::{Edge, History};
use crate::clusters::judge::{Clusters, ReplayTarget, Rules, keep_apart};
use crate::error::Error;
use crate::ids::id::Id;
use crate::ids::interner::{Interner, Probe};
use crate::ids::key::{Key, Text};
use crate::journal::past::Past;
use crate::journal::record::{FORGET, Record, Steps};
use crate::journal::replay::{Damage, JudgedLink, Replay, RetractedPositions, in_effect};
use crate::link::Operand;
use crate::resolver::Resolver;

/// What a resolver with a journal knows of it.
#[derive(Debug, Default)]
pub(crate) struct Journaled {
    pub record: Record,
    /// How many numbers have their texts in the journal.
    texts: u32,
    /// The batch that was written last from here.
    batch: Option<u64>,
}

impl Journaled {
    /// Returns that of a resolver whose first `texts` IDs, and all steps, are in the journal.
    pub fn written_up_to(texts: u32) -> Self {
        Self { record: Record::default(), texts, batch: None }
    }
}

/// A resolver's IDs while a batch is read back.
struct Restoring<'a> {
    ids: &'a mut Interner<Node>,
    /// The batch's texts and what they look like.
    texts: Vec<(Option<Probe<'a>>, Marks)>,
    /// The number of the first of them.
    first: usize,
}

impl Nodes for Restoring<'_> {
    #[inline]
    fn node(&self, id: Id) -> &Node {
        self.ids.node(id)
    }

    #[inline]
    fn node_mut(&mut self, id: Id) -> &mut Node {
        self.ids.node_mut(id)
    }
}

impl Clusters for Restoring<'_> {
    fn text(&self, id: Id) -> Text<'_> {
        self.ids.text(id)
    }

    #[inline]
    fn prefetch_node(&self, id: Id) {
        self.ids.prefetch_node(id);
    }
}

impl ReplayTarget for Restoring<'_> {
    fn introduce(&mut self, id: Id) -> Result<(), &'static str> {
        let row = id.index() - self.first;
        if let Some((Some(probe), _)) = self.texts.get(row + AHEAD) {
            self.ids.prefetch(probe.hash);
        }
        let (probe, marks) = self.texts.get(row).ok_or("an ID has no text")?;
        if self.ids.is_starved() {
            return Err(Damage::NO_MEMORY);
        }
        let node = |id| Node::alone(id, *marks);
        match probe {
            Some(probe) => drop(self.ids.intern(probe, node)),
            None => self.ids.push_forgotten(node),
        }
        if self.ids.len() == id.index() { Err("an ID has two numbers") } else { Ok(()) }
    }

    fn wipe(&mut self, id: Id) {
        self.ids.forget(id);
    }
}

/// An ID's text as a journal keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredText<'a> {
    /// The bytes of a UUID of the RFC variant, written in lower case.
    Uuid([u8; 16]),
    /// The same after `$device:`.
    DeviceUuid([u8; 16]),
    /// Any other text.
    Text(&'a str),
    /// It was forgotten; what is left is whether it was in the anonymous format.
    Forgotten {
        /// Whether it was.
        anonymous: bool,
    },
}

impl StoredText<'_> {
    /// Returns how many bytes the text takes, with what says how to read it.
    pub fn size(&self) -> usize {
        let bytes = match self {
            Self::Uuid(uuid) | Self::DeviceUuid(uuid) => uuid.len(),
            Self::Text(text) => text.len(),
            Self::Forgotten { .. } => 0,
        };
        bytes + size_of::<u8>() + size_of::<i32>()
    }
}

/// Steps that are not in the journal yet, and the texts of the IDs that they name for the first time.
pub struct Pending<'a> {
    /// The steps.
    pub steps: Steps<'a>,
    /// The numbers of the IDs.
    pub ids: Range<u32>,
}

impl Pending<'_> {
    /// Returns the steps of this range, which are the first to name the IDs of these numbers.
    #[must_use]
    pub fn part(&self, steps: Range<usize>, ids: Range<u32>) -> Self {
        Self { steps: self.steps.before(steps.end).behind(steps.start), ids }
    }

    /// Returns as many of the steps, at least one, as fit in `room` bytes with the texts of the IDs that they name
    /// first.
    #[must_use]
    pub fn fitting(&self, core: &Resolver, room: usize) -> Self {
        let (steps, next) = self.steps.fitting(self.ids.start, room, |id| core.store(id, |text| text.size()));
        self.part(0..steps, self.ids.start..next)
    }
}

/// Why two IDs were not kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotApart {
    /// They are one and the same.
    Same,
    /// They are in one cluster.
    Together,
    /// One of them, the first (0) or the second (1), can be no ID.
    Invalid(usize),
    /// The resolver is full.
    Full(Error),
}

/// Why a position cannot be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRetracted {
    /// There is nothing at this position yet.
    NotThere(u64),
    /// This position is taken back already, by the retraction at another one.
    Already {
        /// What is taken back.
        position: u64,
        /// By what.
        by: u64,
    },
    /// What stands there cannot be undone.
    Forgotten,
    /// The steps given are not this resolver's.
    Damaged(Damage),
}

/// An ID whose canonical ID is another one than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The ID.
    pub id: Id,
    /// Who named its cluster before; the ID itself where it was not known.
    pub old: Id,
    /// Who names it now.
    pub new: Id,
}

/// The longest text, in bytes, of an ID that a journal takes: the two of a step stand in one block, and no
/// database keeps a gigabyte in one value.
pub const LONGEST_TEXT: usize = 1 << 28;

/// How many texts ahead the index is asked for.
const AHEAD: usize = 16;

impl Resolver {
    /// Keeps which link joined what from now on; to be called before the first one.
    pub fn keep_history(&mut self) {
        self.state.history = Some(History::default());
    }

    /// Records every step for a journal from now on; to be called before the first one.
    pub fn keep_record(&mut self) {
        self.journaled = Some(Journaled::default());
        Arc::make_mut(&mut self.policy).limit_texts(LONGEST_TEXT);
    }

    /// Returns how many links and acts there were.
    pub fn position(&self) -> u64 {
        self.state.position()
    }

    /// Returns the position of each retraction, and that of what it takes back.
    pub fn retractions(&self) -> &[(u64, u64)] {
        &self.state.retractions
    }

    /// Returns how many IDs have numbers, those that are not known and those that were forgotten included.
    pub fn numbered(&self) -> usize {
        self.ids.len()
    }

    /// Returns every ID that has a number.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = Id> + use<> {
        (0..self.ids.len() as u32).map(Id::new)
    }

    pub(crate) fn rules(&self) -> Rules<'_> {
        Rules { policy: &self.policy, strategy: self.strategy }
    }

    // Writing.

    /// Returns what is not in the journal yet, if there is one.
    pub fn pending(&self) -> Option<Pending<'_>> {
        let journaled = self.journaled.as_ref()?;
        Some(Pending { steps: journaled.record.steps(), ids: journaled.texts..self.ids.len() as u32 })
    }

    /// Notes that the first `steps` of what was pending, and the texts before number `texts`, are in the
    /// journal now, as this batch. Whoever was interrupted may say so again.
    pub fn written(&mut self, batch: u64, steps: usize, texts: u32) {
        if let Some(journaled) = &mut self.journaled
            && journaled.batch != Some(batch)
        {
            journaled.record.drop_first(steps);
            journaled.texts = texts;
            journaled.batch = Some(batch);
        }
    }

    /// Calls `write` with an ID's text as a journal keeps it.
    pub fn store<T>(&self, id: Id, write: impl FnOnce(StoredText) -> T) -> T {
        let key = self.ids.key(id);
        match key.uuid() {
            Some((bytes, false)) => write(StoredText::Uuid(bytes)),
            Some((bytes, true)) => write(StoredText::DeviceUuid(bytes)),
            None if key == Key::FORGOTTEN => {
                write(StoredText::Forgotten { anonymous: self.ids.marks(id).has(Marks::ANONYMOUS) })
            }
            None => write(StoredText::Text(self.ids.text(id).as_str())),
        }
    }

    // Reading back.

    /// Reads back a batch of the journal, up to the position `until`; returns whether that was not reached
    /// yet. `texts` are those of the IDs that its steps name for the first time, `retracted` the positions of
    /// all that is taken back before `until`. RecordedStep outcomes are checked if `is_checked`.
    pub fn restore<'a>(
        &mut self,
        texts: impl Iterator<Item = StoredText<'a>>,
        steps: Steps,
        (retracted, until): (&HashSet<u64>, u64),
        is_checked: bool,
    ) -> Result<bool, Damage> {
        let damage = |(step, what)| Damage { step, what };
        let texts = texts.enumerate();
        let texts: Result<Vec<_>, _> =
            texts.map(|(step, text)| self.probe_stored(text).map_err(|what| damage((step, what)))).collect();
        let texts = texts?;
        let bytes = texts.iter().filter_map(|(probe, _)| Some(probe.as_ref()?.text.len())).sum();
        let ids = self.ids.len() + texts.len();
        let room = self.ids.make_room(texts.len(), bytes);
        let room = room.and_then(|()| self.state.history.as_mut().map_or(Ok(()), |kept| kept.reserve(ids)));
        room.map_err(|error| match error {
            Error::NoMemory => damage((0, Damage::NO_MEMORY)),
            _ => damage((0, "there are more IDs than can be numbered")),
        })?;
        let count = texts.len();
        let first = self.ids.len();
        let mut restoring = Restoring { ids: &mut self.ids, texts, first };
        let journaled = self.journaled.get_or_insert_default();
        let rules = Rules { policy: &self.policy, strategy: self.strategy };
        let replay = Replay { rules, retracted, until, is_checked };
        let mut next = first as u32;
        let taken = replay.run(&mut restoring, &mut self.state, &mut next, steps, |_| ())?;
        let goes_on = taken == steps.codes.len();
        journaled.texts = next;
        if goes_on && next as usize != first + count {
            return Err(damage((0, "a text has no step")));
        }
        Ok(goes_on)
    }

    fn probe_stored<'a>(&self, text: StoredText<'a>) -> Result<(Option<Probe<'a>>, Marks), &'static str> {
        let uuid = |bytes, after_prefix| {
            let key = Key::of_uuid(bytes, after_prefix).ok_or("a UUID is of another variant")?;
            Ok((Some(self.ids.hasher().probe_key(key)), self.policy.marks_of_uuid(key)))
        };
        match text {
            StoredText::Uuid(bytes) => uuid(bytes, false),
            StoredText::DeviceUuid(bytes) => uuid(bytes, true),
            StoredText::Text(text) if text.is_empty() || text.len() > Key::MAX_TEXT => {
                Err("no ID has such a text")
            }
            StoredText::Text(text) => {
                let probe = self.ids.hasher().probe(text);
                Ok((Some(probe), self.policy.marks(text, Key::pack(text))))
            }
            StoredText::Forgotten { anonymous: true } => Ok((None, Marks::ANONYMOUS)),
            StoredText::Forgotten { anonymous: false } => Ok((None, Marks::NONE)),
        }
    }

    /// Wipes the texts of the IDs that `later` steps forget, as compacting the journal would.
    ///
    /// An earlier moment that is read back names nobody who was forgotten since.
    pub fn wipe_forgotten(&mut self, later: Steps) {
        for (code, &id) in later.codes.iter().zip(later.first) {
            if code & 0xf == FORGET && (id as usize) < self.ids.len() {
                self.ids.forget(Id::new(id));
            }
        }
    }

    /// Ends reading back: whose text is wiped and whose forgetting was not read is forgotten already.
    pub fn end_restoring(&mut self) {
        if self.ids.wiped() == self.state.overrides.forgotten().len() {
            return;
        }
        let ids = (0..self.ids.len() as u32).map(Id::new);
        let wiped: Vec<Id> = ids.filter(|&id| self.named(id).is_none()).collect();
        for id in wiped {
            if self.state.overrides.is_known(id) && !self.state.overrides.is_forgotten(id) {
                let rules = Rules { policy: &self.policy, strategy: self.strategy };
                rules.forget(&mut self.ids, &mut self.state, id);
            }
        }
    }

    // Acts.

    /// Keeps two IDs apart from now on, and makes them known.
    pub fn keep_apart(&mut self, ids: [&str; 2]) -> Result<(), NotApart> {
        let operands = ids.map(|text| self.prepare(Operand::Text(text)));
        if let Some(which) = operands.iter().position(|prepared| !prepared.is_valid()) {
            return Err(NotApart::Invalid(which));
        }
        if ids[0] == ids[1] {
            return Err(NotApart::Same);
        }
        let room = self.make_room(1).and_then(|()| self.check_room(operands.each_ref(), ids));
        room.map_err(NotApart::Full)?;
        let known = ids.map(|text| self.get(text));
        if let [Some(a), Some(b)] = known
            && self.same(a, b)
        {
            return Err(NotApart::Together);
        }
        let mut numbers = [Id::FIRST; 2];
        for ((number, prepared), text) in numbers.iter_mut().zip(&operands).zip(ids) {
            let before = self.ids.len() as u32;
            *number = self.intern(prepared, text);
            self.state.overrides.make_known(*number, before);
        }
        keep_apart(&mut self.ids, &mut self.state, numbers);
        self.state.others += 1;
        self.record(|record| record.keep_apart(numbers[0], numbers[1]));
        Ok(())
    }

    /// Forgets a known ID: its text is wiped, its cluster stays joined.
    pub fn forget(&mut self, id: Id) {
        let rules = Rules { policy: &self.policy, strategy: self.strategy };
        rules.forget(&mut self.ids, &mut self.state, id);
        self.ids.forget(id);
        self.state.others += 1;
        self.record(|record| record.forget(id));
    }

    // Looking back.

    /// Judges steps again, all that the journal holds and then those that are pending, up to the position
    /// `until` and without what `retracted` holds.
    pub fn look_back<'a>(
        &self,
        steps: impl IntoIterator<Item = Steps<'a>>,
        (retracted, until): (&HashSet<u64>, u64),
        history: bool,
        mut watch: impl FnMut(JudgedLink),
    ) -> Result<Past, Damage> {
        let mut past = Past::new(&self.ids, history);
        let (rules, until_then) = (self.rules(), (retracted, until));
        for batch in steps {
            if past.take(rules, &self.ids, until_then, batch, &mut watch)? < batch.codes.len() {
                return Ok(past);
            }
        }
        if let Some(journaled) = &self.journaled {
            past.take(rules, &self.ids, until_then, journaled.record.steps(), &mut watch)?;
        }
        if past.position() < until.min(self.position()) {
            return Err(Damage { step: 0, what: "the steps given are not all that this resolver took" });
        }
        Ok(past)
    }

    /// Returns the positions of what is taken back, as of the position `until`.
    pub fn retracted(&self, until: u64) -> HashSet<u64> {
        let retractions = &self.state.retractions;
        in_effect(&retractions[..retractions.partition_point(|&(position, _)| position < until)])
    }

    /// Judges all steps again that made this resolver what it is; a journal may hold later ones.
    pub fn look_back_to_now<'a>(
        &self,
        steps: impl IntoIterator<Item = Steps<'a>>,
        history: bool,
        watch: impl FnMut(JudgedLink),
    ) -> Result<Past, Damage> {
        self.look_back(steps, (&self.retracted(u64::MAX), self.position()), history, watch)
    }

    /// Judges all steps again as if the links and acts at these positions had not been sent.
    pub fn without<'a>(
        &self,
        positions: &[u64],
        steps: impl IntoIterator<Item = Steps<'a>>,
    ) -> Result<Past, NotRetracted> {
        let mut retractions = self.state.retractions.clone();
        let mut taken_back = RetractedPositions::by(&retractions);
        for (number, &position) in positions.iter().enumerate() {
            if position >= self.state.position() {
                return Err(NotRetracted::NotThere(position));
            }
            if taken_back.contains(position) {
                let mut by =
                    retractions.iter().rev().filter(|&&(by, of)| of == position && !taken_back.contains(by));
                let by = by.next().map_or(0, |&(by, _)| by);
                return Err(NotRetracted::Already { position, by });
            }
            let by = self.state.position() + number as u64;
            retractions.push((by, position));
            taken_back.add(by, position);
        }
        let retracted = in_effect(&retractions);
        let chosen: HashSet<u64> = positions.iter().copied().collect();
        let mut forgets = false;
        let mut start = 0;
        let steps = steps.into_iter().inspect(|steps| {
            forgets |= steps.forgets_at(start, &chosen);
            start += steps.positions();
        });
        let past = self
            .look_back(steps, (&retracted, self.position()), self.state.history.is_some(), |_| ())
            .map_err(NotRetracted::Damaged)?;
        let pending = self.journaled.as_ref();
        forgets |= pending.is_some_and(|journaled| journaled.record.steps().forgets_at(start, &chosen));
        if forgets { Err(NotRetracted::Forgotten) } else { Ok(past) }
    }

    /// Takes over what [`Self::without`] these positions gave.
    pub fn retract(&mut self, positions: &[u64], past: Past) {
        for (number, node) in past.nodes.into_iter().enumerate() {
            *self.ids.value_mut(Id::new(number as u32)) = node;
        }
        self.state = past.state;
        for &position in positions {
            self.state.retractions.push((self.state.position(), position));
            self.state.others += 1;
            self.record(|record| record.retract(position));
        }
    }

    /// Returns which IDs have another canonical ID in past than now.
    pub fn changes_to(&self, new: &Past) -> Vec<Change> {
        self.changes(self.numbers(), |id| self.canonical(id), |id| new.canonical(id))
    }

    /// Returns which of these IDs have another canonical ID, those that were forgotten left out.
    pub(crate) fn changes(
        &self,
        ids: impl Iterator<Item = Id>,
        old: impl Fn(Id) -> Id,
        new: impl Fn(Id) -> Id,
    ) -> Vec<Change> {
        let changes = ids.map(|id| Change { id, old: old(id), new: new(id) });
        changes.filter(|change| change.old != change.new && self.named(change.id).is_some()).collect()
    }

    // Why.

    /// Returns the links that built the cluster of `id`, in their order; None if history is not kept.
    pub fn built(&self, id: Id) -> Option<Vec<Edge>> {
        Some(self.state.history.as_ref()?.edges(self.ids.members(id)))
    }

    /// The same by the history that was kept in past.
    pub fn built_by(&self, past: &Past, id: Id) -> Option<Vec<Edge>> {
        Some(past.state.history.as_ref()?.edges(self.ids.members(id)))
    }

    /// Returns the chain of links from `a` to `b`, which are in one cluster; None if history is not kept.
    pub fn chain(&self, a: Id, b: Id) -> Option<Vec<Edge>> {
        Some(self.state.history.as_ref()?.chain(a, b))
    }

    /// The same by the history that was kept in past.
    pub fn chain_by(&self, past: &Past, a: Id, b: Id) -> Option<Vec<Edge>> {
        Some(past.state.history.as_ref()?.chain(a, b))
    }

    /// Returns the text of an ID, None if it was forgotten.
    pub fn named(&self, id: Id) -> Option<Text<'_>> {
        (self.ids.key(id) != Key::FORGOTTEN).then(|| self.ids.text(id))
    }
}
