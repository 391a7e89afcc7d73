//! Preparation: operands checked, packed and hashed, row by row, before the resolver takes them.
//!
//! A [`Preparer`] works on texts alone: whether they can be IDs, the marks that they have by their
//! looks, their keys and hashes. It changes nothing, so it can work on one thread while the
//! resolver works on another. The results wait in a [`Batch`].
//!
//! The [`Status`] of an operand is the part of the judgement that depends on its text alone:
//!
//! | status | of a link's operand | of a look-up |
//! |---|---|---|
//! | `Missing` | `MALFORMED` | no answer |
//! | `Invalid` | `INVALID_ID` | |
//! | `TooLong`, `NoMemory` | an error | an error |
//! | `Valid` | goes on | goes on |
//!
//! # Invariants
//!
//! 1. `sides[0][row]` and `sides[1][row]` are the operands of `acts[row]`, once [`Batch::state`]
//!    has stated the rows; a row that observes has a missing second operand, or the side is empty.
//! 2. An operand's text is in its key, or in the buffer of its side.
//! 3. `sides[2]` is empty, or holds for each row whose canonical ID is asked for before the row is
//!    taken; afterwards it has the answers.
//!
//! # Costs
//!
//! 32 bytes an operand. A text that packs is never copied, another one once.

use std::ops::Range;
use std::sync::Arc;

use crate::clusters::marks::Marks;
use crate::clusters::policy::Policy;
use crate::error::Error;
use crate::ids::hasher::{Hasher, Probe};
use crate::ids::id::Id;
use crate::ids::index::directory::Guess;
use crate::ids::key::{Key, Place, Text};
use crate::link::{Kind, Operand, Outcome, Step};

/// Checks, packs and hashes texts as one resolver does, apart from it.
#[derive(Clone)]
pub struct Preparer {
    hasher: Hasher,
    policy: Arc<Policy>,
}

/// The validity of a prepared operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// There is none, or it is of the wrong type.
    Missing,
    /// No ID can have this text (SPEC 2, step 2).
    Invalid,
    /// The text is longer than a key can describe; its hash is its length.
    TooLong,
    /// There is no memory for a copy of the text.
    NoMemory,
    /// It can be an ID, and earns these marks by its looks.
    Valid(Marks),
}

/// A prepared operand on its way in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prepared {
    /// The key; if it is a place, that is one in the side's buffer, in a form of its own.
    key: Key,
    pub hash: u64,
    /// The ID, once it is known, and until then the search's guess.
    pub guess: Guess,
    pub status: Status,
}

/// The longest text to look up, in bytes: no ID is half as long, and no column of Arrow's holds a
/// longer answer.
pub(crate) const LONGEST_LOOKUP: usize = i32::MAX as usize;

/// The number of rows that go through the passes together. Measured: 32 to 128 do equally well.
pub(crate) const GROUP: usize = 64;

impl Preparer {
    /// Returns the preparer of this policy that hashes as `hasher`.
    pub(crate) fn new(hasher: Hasher, policy: Arc<Policy>) -> Self {
        Self { hasher, policy }
    }

    /// Returns a preparer for look-ups and ends of links, which no policy judges.
    pub(crate) fn without_policy(hasher: Hasher) -> Self {
        Self::new(hasher, Policy::default().into())
    }

    /// Prepares a text to look up, which need not be able to be an ID.
    #[inline]
    fn prepare_lookup(&self, operand: Operand, start: usize) -> Prepared {
        match operand {
            Operand::Text(text) if text.len() > LONGEST_LOOKUP => Prepared::too_long(text),
            Operand::Text(text) => Prepared::of(&self.hasher.probe(text), start, Status::Valid(Marks::NONE)),
            Operand::Missing | Operand::NotUnicode => Prepared::without_text(Status::Missing),
        }
    }

    /// Prepares an end of a link to number, which need not be able to be an ID.
    #[inline]
    fn prepare_end(&self, operand: Operand, start: usize) -> Prepared {
        match operand {
            Operand::Text(text) if text.len() > Key::MAX_TEXT => Prepared::too_long(text),
            Operand::NotUnicode => Prepared::without_text(Status::Invalid),
            Operand::Text(_) | Operand::Missing => self.prepare_lookup(operand, start),
        }
    }
}

impl Prepared {
    /// Prepares an operand of a step (SPEC 2, steps 1 and 2).
    ///
    /// A text that does not pack will lie at `start` of its buffer.
    #[inline]
    pub fn prepare(hasher: &Hasher, policy: &Policy, operand: Operand, start: usize) -> Self {
        match operand {
            Operand::Text(text) if policy.admits(text) => Self::prepare_valid(hasher, policy, text, start),
            Operand::Text(_) | Operand::NotUnicode => Self::without_text(Status::Invalid),
            Operand::Missing => Self::without_text(Status::Missing),
        }
    }

    /// Prepares a text that can be an ID: packs and hashes it, and takes its marks.
    #[inline]
    fn prepare_valid(hasher: &Hasher, policy: &Policy, text: &str, start: usize) -> Self {
        if text.len() > policy.longest_text() {
            return Self::too_long(text);
        }
        let probe = hasher.probe(text);
        let packed = probe.text.is_empty().then_some(probe.key);
        Self::of(&probe, start, Status::Valid(policy.marks(text, packed)))
    }

    /// Returns an operand whose text exceeds a limit of storage; its hash is the length.
    fn too_long(text: &str) -> Self {
        Self { hash: text.len() as u64, ..Self::without_text(Status::TooLong) }
    }

    /// Makes room in `buffer` for its text and returns itself; without memory, an operand of that
    /// status.
    #[inline]
    fn held(self, buffer: &mut String, text: &str) -> Self {
        match buffer.try_reserve(text.len()) {
            Ok(()) => self,
            Err(_) => Self::without_text(Status::NoMemory),
        }
    }

    /// Returns the error of a text that is not held, if there is one; `limit` is the most bytes
    /// that a text may have.
    pub fn exceeded(&self, limit: usize) -> Option<Error> {
        match self.status {
            Status::TooLong => Some(Error::TextTooLong { bytes: self.hash as usize, limit }),
            Status::NoMemory => Some(Error::NoMemory),
            Status::Missing | Status::Invalid | Status::Valid(_) => None,
        }
    }

    /// Returns an operand that has no text.
    const fn without_text(status: Status) -> Self {
        Self { key: Key { high: 0, low: 0 }, hash: 0, guess: Guess::NO_ID, status }
    }

    /// Returns the operand of a probe whose text, if it did not pack, lies at `start` of its
    /// buffer.
    #[inline]
    fn of(probe: &Probe, start: usize, status: Status) -> Self {
        let mut key = probe.key;
        if !probe.text.is_empty() {
            // A place in the buffer; `chunk` is wide enough for any length.
            let start = u32::try_from(start).expect("a buffer is emptied long before 4 GiB");
            let chunk = u32::try_from(probe.text.len()).expect("a text is shorter than 4 GiB");
            key = Key::at(Place { chunk, start, length: 0 }, key.fingerprint());
        }
        Self { key, hash: probe.hash, guess: Guess::NO_ID, status }
    }

    /// Returns whether its text can be an ID, or is to be looked up.
    #[inline]
    pub fn is_valid(&self) -> bool {
        matches!(self.status, Status::Valid(_))
    }

    /// Returns the text, if it did not pack, out of its buffer.
    #[inline]
    fn text<'a>(&self, buffer: &'a str) -> &'a str {
        match self.key.place() {
            Some(Place { chunk, start, .. }) => &buffer[start as usize..][..chunk as usize],
            None => "",
        }
    }

    /// Returns the probe to search for; `buffer` is that of its side.
    #[inline]
    pub fn probe<'a>(&self, buffer: &'a str) -> Probe<'a> {
        Probe { key: self.key, hash: self.hash, text: self.text(buffer) }
    }

    /// Returns how many bytes the text takes in an arena.
    #[inline]
    pub fn text_length(&self) -> usize {
        self.key.place().map_or(0, |place| place.chunk as usize)
    }

    /// Returns whether its key holds its text.
    #[inline]
    pub fn is_packed(&self) -> bool {
        self.key.place().is_none()
    }

    /// Returns the ID that was found for it.
    #[inline]
    pub fn id(&self) -> Option<Id> {
        self.guess.id()
    }

    /// Sets the ID, or that it has none.
    #[inline]
    pub fn set_id(&mut self, id: Option<Id>) {
        self.guess = id.map_or(Guess::NO_ID, Guess::of);
    }

    /// Returns the text as it came; `buffer` is that of its side.
    pub fn as_text<'a>(&self, buffer: &'a str) -> Text<'a> {
        if self.is_packed() { Text::packed(self.key) } else { Text::stored(self.text(buffer)) }
    }
}

/// The statement of a row, beside its operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// A link of this kind, between the row's two operands.
    Link(Kind),
    /// An observation of the row's first operand.
    Observe,
    /// An observation of the row's first operand, which was sent under the second one.
    Evidence,
}

impl Act {
    /// Returns the act with the code of a [`Kind`], or for any other code an observation.
    #[must_use]
    pub fn of_code(code: u8) -> Self {
        match Kind::from_code(code) {
            Some(Kind::Evidence) => Self::Evidence,
            Some(kind) => Self::Link(kind),
            None => Self::Observe,
        }
    }
}

/// One of the two operands of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The first one.
    First = 0,
    /// The second one.
    Second = 1,
}

/// The index of the senders among the sides of a batch.
pub(crate) const SENDER: usize = 2;

/// Prepared rows on their way to the resolver.
///
/// A cleared batch keeps its memory, so one batch takes any number of rows.
pub struct Batch {
    /// The statement of each row.
    pub(crate) acts: Vec<Act>,
    /// The operands of each row, and its sender where that is asked for.
    pub(crate) sides: [Vec<Prepared>; 3],
    /// The texts that did not pack, of each side.
    pub(crate) texts: [String; 3],
    /// Whether a prefetcher has made the guesses of all operands.
    pub(crate) is_prefetched: bool,
    /// The bytes of text from which on a side is full.
    limit: usize,
}

impl Default for Batch {
    fn default() -> Self {
        Self::with_limit(Self::TEXTS)
    }
}

impl Batch {
    /// The number of rows that a batch should have. Measured: 512 to 4096 do equally well.
    pub const ROWS: usize = 1024;
    /// The bytes of text that a side copies before it is full.
    const TEXTS: usize = 1 << 20;

    /// Returns an empty batch for the values of a dictionary, which may be many; see
    /// [`Self::copy`].
    pub fn of_values() -> Self {
        Self::with_limit(1 << 31)
    }

    /// Returns an empty batch whose sides are full at so many bytes of text.
    fn with_limit(limit: usize) -> Self {
        Self {
            acts: Vec::new(),
            sides: Default::default(),
            texts: Default::default(),
            is_prefetched: false,
            limit,
        }
    }

    /// Makes room for so many look-ups.
    ///
    /// # Errors
    ///
    /// If there is no memory for them.
    pub fn make_room(&mut self, rows: usize) -> Result<(), Error> {
        self.sides[0].try_reserve_exact(rows).map_err(|_| Error::NoMemory)
    }

    /// Drops all rows.
    pub fn clear(&mut self) {
        self.is_prefetched = false;
        self.acts.clear();
        self.sides.iter_mut().for_each(Vec::clear);
        self.texts.iter_mut().for_each(String::clear);
    }

    /// Returns whether the batch has enough rows, or enough text, to be taken.
    pub fn is_ready(&self) -> bool {
        self.acts.len() >= Self::ROWS || self.texts.iter().any(|texts| texts.len() >= self.limit)
    }

    /// Returns whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.acts.is_empty()
    }

    /// Returns whether a side holds as much text as it should.
    pub fn is_full(&self, side: Side) -> bool {
        self.texts[side as usize].len() >= self.limit
    }

    /// Prepares operands of the rows to come and appends them, until there are no more or the side
    /// is full.
    #[inline]
    pub fn prepare<'a>(
        &mut self,
        side: Side,
        preparer: &Preparer,
        operands: impl Iterator<Item = Operand<'a>>,
    ) {
        self.append(side as usize, operands, |operand, start| {
            Prepared::prepare(&preparer.hasher, &preparer.policy, operand, start)
        });
    }

    /// Prepares texts to look up and appends them, until there are no more or the side is full.
    ///
    /// Look-ups stand on the first side; they need no [`Self::state`].
    #[inline]
    pub fn prepare_lookups<'a>(&mut self, preparer: &Preparer, texts: impl Iterator<Item = Operand<'a>>) {
        self.append(Side::First as usize, texts, |text, start| preparer.prepare_lookup(text, start));
    }

    /// Prepares ends of links to number and appends them, until there are no more or the side is
    /// full.
    ///
    /// No policy judges them: any text is valid, an empty one included.
    #[inline]
    pub fn prepare_ends<'a>(
        &mut self,
        side: Side,
        preparer: &Preparer,
        texts: impl Iterator<Item = Operand<'a>>,
    ) {
        self.append(side as usize, texts, |text, start| preparer.prepare_end(text, start));
    }

    /// Appends operands as `prepare` returns them, until there are no more or the side is full.
    #[inline]
    fn append<'a>(
        &mut self,
        side: usize,
        operands: impl Iterator<Item = Operand<'a>>,
        prepare: impl Fn(Operand, usize) -> Prepared,
    ) {
        let (all, texts) = (&mut self.sides[side], &mut self.texts[side]);
        for operand in operands {
            let prepared = prepare(operand, texts.len());
            if let Operand::Text(text) = operand
                && prepared.is_valid()
                && !prepared.is_packed()
            {
                all.push(prepared.held(texts, text));
                if all.last().is_some_and(Prepared::is_valid) {
                    texts.push_str(text);
                }
                if texts.len() >= self.limit {
                    return;
                }
            } else {
                all.push(prepared);
            }
        }
    }

    /// Appends rows of another batch's first side, by their numbers; None is a missing operand.
    ///
    /// The values of a dictionary are prepared once each and then copied.
    #[inline]
    pub fn copy(&mut self, side: Side, from: &Self, rows: impl Iterator<Item = Option<usize>>) {
        let (all, texts) = (&mut self.sides[side as usize], &mut self.texts[side as usize]);
        for row in rows {
            let prepared = row.map_or(Prepared::without_text(Status::Missing), |row| from.sides[0][row]);
            if !prepared.is_packed() && prepared.is_valid() {
                let probe = prepared.probe(&from.texts[0]);
                let copy = Prepared::of(&probe, texts.len(), prepared.status).held(texts, probe.text);
                all.push(copy);
                if copy.is_valid() {
                    texts.push_str(probe.text);
                }
                if texts.len() >= self.limit {
                    return;
                }
            } else {
                all.push(prepared);
            }
        }
    }

    /// States the rows, once their operands are there, and returns how many rows there are.
    ///
    /// A side that was full early has fewer operands; those of further rows on the other side are
    /// dropped.
    pub fn state(&mut self, acts: impl Iterator<Item = Act>) -> usize {
        let [first, second, _] = self.sides.each_ref().map(Vec::len);
        // Observations have no second operand.
        let rows = if second == 0 { first } else { first.min(second) };
        self.acts.extend(acts.take(rows));
        let rows = self.acts.len();
        self.sides.iter_mut().for_each(|side| side.truncate(rows));
        rows
    }

    /// Returns how many operands a side has.
    pub fn rows(&self, side: Side) -> usize {
        self.sides[side as usize].len()
    }

    /// Returns the ID that each row observes, once the rows are taken; None for a link, and for an
    /// operand that can be no ID.
    pub fn observed(&self) -> impl Iterator<Item = Option<Id>> {
        let rows = self.acts.iter().zip(&self.sides[Side::First as usize]);
        rows.map(|(act, prepared)| prepared.id().filter(|_| !matches!(act, Act::Link(_))))
    }

    /// Returns the canonical ID that the sender of each row had before it, once the rows are taken;
    /// None for one who was not known, and had none but its own.
    ///
    /// Empty unless all rows were pushed by [`Self::push_sent`].
    pub fn senders(&self) -> impl Iterator<Item = Option<Id>> {
        self.sides[SENDER].iter().map(Prepared::id)
    }

    /// Prepares and appends one step.
    pub fn push(&mut self, preparer: &Preparer, step: Step) {
        let (act, first, second) = match step {
            Step::Link(kind, first, second) => (Act::Link(kind), first, second),
            Step::Observe(id) => (Act::Observe, id, Operand::Missing),
            Step::Evidence(id, sent) => (Act::Evidence, id, sent),
        };
        self.acts.push(act);
        self.prepare(Side::First, preparer, std::iter::once(first));
        self.prepare(Side::Second, preparer, std::iter::once(second));
    }

    /// Prepares and appends one step, and asks for the canonical ID of its sender before that; see
    /// [`Self::senders`].
    ///
    /// An ordinary event's sender is its own ID, so `sender` counts for a link alone.
    pub fn push_sent(&mut self, preparer: &Preparer, step: Step, sender: Option<&str>) {
        let sender = match step {
            Step::Link(..) => sender.map_or(Operand::Missing, Operand::Text),
            Step::Observe(_) | Step::Evidence(..) => Operand::Missing,
        };
        self.push(preparer, step);
        self.append(SENDER, std::iter::once(sender), |text, start| preparer.prepare_lookup(text, start));
    }
}

/// Returns the elements of these rows, as far as there are any.
#[inline]
pub(crate) fn clamped<'a, T>(all: &'a [T], rows: &Range<usize>) -> &'a [T] {
    &all[rows.start.min(all.len())..rows.end.min(all.len())]
}

/// Returns the same, to change them.
#[inline]
pub(crate) fn clamped_mut<'a, T>(all: &'a mut [T], rows: &Range<usize>) -> &'a mut [T] {
    let len = all.len();
    &mut all[rows.start.min(len)..rows.end.min(len)]
}

/// Returns the outcome of a link whose operands have this status, unless all of them can be IDs
/// (SPEC 2, steps 1 and 2).
#[inline]
pub(crate) fn refusal<const N: usize>(operands: [Status; N]) -> Option<Outcome> {
    if operands.contains(&Status::Missing) {
        return Some(Outcome::Malformed);
    }
    operands.contains(&Status::Invalid).then_some(Outcome::InvalidId)
}
