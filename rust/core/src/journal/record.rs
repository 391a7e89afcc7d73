//! Steps as numbers: what a journal keeps of them.
//!
//! An ID's text stands in a journal once, where it became known; from then on its number stands for it.
//! So a step is a code and two numbers, nine bytes:
//!
//! | code, lower half | the step | first | second |
//! |---|---|---|---|
//! | 0–3 | a link of this [`Kind`] | its first ID | its second ID |
//! | 4 | the first observation of an ID | the ID | [`NO_ID`] |
//! | 5 | two IDs are kept apart | the one | the other |
//! | 6 | a link or an act is taken back | its position, lower half | its position, upper half |
//! | 7 | an ID is forgotten | the ID | [`NO_ID`] |
//!
//! The upper half of a link's code is its [`Outcome`]. An operand that can be no ID is [`NO_ID`].
//!
//! Links and the *acts* 5 to 7 have *positions*: they are counted from 0. Observations have none.

use std::collections::HashSet;

use crate::error::Error;
use crate::ids::id::Id;
use crate::link::{Kind, Outcome};

/// Stands where there is no ID.
pub const NO_ID: u32 = u32::MAX;

pub(crate) const OBSERVE: u8 = 4;
pub(crate) const KEEP_APART: u8 = 5;
pub(crate) const RETRACT: u8 = 6;
pub(crate) const FORGET: u8 = 7;

/// Steps as numbers, in columns of the same length.
#[derive(Debug, Clone, Copy)]
pub struct Steps<'a> {
    /// What each step is.
    pub codes: &'a [u8],
    /// Its first number.
    pub first: &'a [u32],
    /// Its second number.
    pub second: &'a [u32],
}

/// Bytes that a step takes.
const STEP: usize = 9;

impl Steps<'_> {
    /// Returns how many steps, at least one, fit in `room` bytes together with the texts of the IDs that they
    /// name first, and the number behind these IDs. They begin at the number `next`; `size` is that of a text.
    pub(crate) fn fitting(&self, mut next: u32, room: usize, size: impl Fn(Id) -> usize) -> (usize, u32) {
        let mut used = 0;
        for step in 0..self.codes.len() {
            let before = next;
            used += STEP;
            for id in RecordedStep::read(self.codes[step], self.first[step], self.second[step])
                .map_or([None; 2], RecordedStep::named)
                .into_iter()
                .flatten()
            {
                if id.number() == next {
                    next += 1;
                    used += size(id);
                }
            }
            if used > room && step > 0 {
                return (step, before);
            }
        }
        (self.codes.len(), next)
    }

    /// Returns the steps before number `end`.
    pub(crate) fn before(self, end: usize) -> Self {
        let Self { codes, first, second } = self;
        Self { codes: &codes[..end], first: &first[..end], second: &second[..end] }
    }

    /// Returns the steps behind the first `taken` ones.
    pub(crate) fn behind(self, taken: usize) -> Self {
        let Self { codes, first, second } = self;
        Self { codes: &codes[taken..], first: &first[taken..], second: &second[taken..] }
    }

    /// Returns the links among the steps, of which the first one has the given position: each with its
    /// position, its IDs unless an operand can be none, and the outcome that was recorded.
    pub fn links(self, position: u64) -> impl Iterator<Item = (u64, Kind, Option<[Id; 2]>, Outcome)> {
        let Self { codes, first, second } = self;
        let acts = codes.iter().zip(first).zip(second).filter(|((code, _), _)| *code & 0xf != OBSERVE);
        (position..).zip(acts).filter_map(|(position, ((&code, &first), &second))| {
            let kind = Kind::from_code(code & 0xf)?;
            match Recorded::read(code, first, second)? {
                Recorded::Link(_, first, second) => {
                    Some((position, kind, Some([first, second]), Outcome::from_code(code >> 4)?))
                }
                Recorded::Refused(outcome) => Some((position, kind, None, outcome)),
                _ => None,
            }
        })
    }

    /// Returns how many positions these steps take.
    pub fn positions(&self) -> u64 {
        self.codes.iter().filter(|&&code| code & 0xf != OBSERVE).count() as u64
    }

    /// Returns whether an ID is forgotten at one of `positions`, these steps beginning at `start`.
    pub(crate) fn forgets_at(&self, start: u64, positions: &HashSet<u64>) -> bool {
        let acts = self.codes.iter().filter(|&&code| code & 0xf != OBSERVE);
        (start..).zip(acts).any(|(position, code)| code & 0xf == FORGET && positions.contains(&position))
    }
}

/// One step of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordedStep {
    Link(Kind, Id, Id),
    /// A link whose operands can be no IDs.
    Refused(Outcome),
    Observed(Id),
    KeptApart(Id, Id),
    Retracted(u64),
    Forgotten(Id),
}

impl RecordedStep {
    /// Returns the IDs that the step may be the first to name, in their order.
    fn named(self) -> [Option<Id>; 2] {
        match self {
            Self::Link(_, a, b) | Self::KeptApart(a, b) => [Some(a), Some(b)],
            Self::Observed(id) => [Some(id), None],
            Self::Refused(_) | Self::Retracted(_) | Self::Forgotten(_) => [None; 2],
        }
    }

    /// Returns the step that a code and two numbers say, unless they say none.
    #[inline]
    pub fn read(code: u8, first: u32, second: u32) -> Option<Self> {
        let id = |number: u32| (number < Id::LIMIT).then(|| Id::new(number));
        let (act, outcome) = (code & 0xf, Outcome::from_code(code >> 4)?);
        if let Some(kind) = Kind::from_code(act) {
            return match outcome {
                Outcome::InvalidId | Outcome::Malformed => Some(Self::Refused(outcome)),
                _ => Some(Self::Link(kind, id(first)?, id(second)?)),
            };
        }
        match code {
            OBSERVE => Some(Self::Observed(id(first)?)),
            KEEP_APART => Some(Self::KeptApart(id(first)?, id(second)?)),
            RETRACT => Some(Self::Retracted(u64::from(second) << 32 | u64::from(first))),
            FORGET => Some(Self::Forgotten(id(first)?)),
            _ => None,
        }
    }
}

/// Steps that were taken and are not in the journal yet.
#[derive(Debug, Default)]
pub(crate) struct Record {
    codes: Vec<u8>,
    first: Vec<u32>,
    second: Vec<u32>,
}

impl Record {
    /// Makes room for so many more steps.
    #[inline]
    pub fn reserve(&mut self, steps: usize) -> Result<(), Error> {
        let Self { codes, first, second } = self;
        let reserved = codes.try_reserve(steps).and_then(|()| first.try_reserve(steps));
        reserved.and_then(|()| second.try_reserve(steps)).map_err(|_| Error::NoMemory)
    }

    #[inline]
    fn push(&mut self, code: u8, first: u32, second: u32) {
        self.codes.push(code);
        self.first.push(first);
        self.second.push(second);
    }

    #[inline]
    pub fn link(&mut self, kind: Kind, outcome: Outcome, ids: Option<[Id; 2]>) {
        let [first, second] = ids.map_or([NO_ID; 2], |ids| ids.map(Id::number));
        self.push(kind as u8 | (outcome as u8) << 4, first, second);
    }

    pub fn observation(&mut self, id: Id) {
        self.push(OBSERVE, id.number(), NO_ID);
    }

    pub fn keep_apart(&mut self, a: Id, b: Id) {
        self.push(KEEP_APART, a.number(), b.number());
    }

    pub fn retract(&mut self, position: u64) {
        self.push(RETRACT, position as u32, (position >> 32) as u32);
    }

    pub fn forget(&mut self, id: Id) {
        self.push(FORGET, id.number(), NO_ID);
    }

    pub fn steps(&self) -> Steps<'_> {
        Steps { codes: &self.codes, first: &self.first, second: &self.second }
    }

    /// Drops the first `count` steps: they are in the journal now.
    pub fn drop_first(&mut self, count: usize) {
        self.codes.drain(..count);
        self.first.drain(..count);
        self.second.drain(..count);
    }
}
