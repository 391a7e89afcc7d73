//! The record: steps and texts in the form in which a journal keeps them.
//!
//! An ID's text stands in a journal once, where it became known; from then on its number stands for
//! it. So a step is a code and two numbers, nine bytes:
//!
//! | code, lower half | the step | first | second |
//! |---|---|---|---|
//! | 0–3 | a link of this [`Kind`] | its first ID | its second ID |
//! | 4 | the first observation of an ID | the ID | [`NO_ID`] |
//! | 5 | two IDs are kept apart | the one | the other |
//! | 6 | a link or an act is retracted | its position, lower half | its position, upper half |
//! | 7 | an ID is forgotten | the ID | [`NO_ID`] |
//! | 8–14 | a link of this [`Kind`] | its first ID | its second ID |
//!
//! The upper half of a link's code is its [`Outcome`]. An operand that can be no ID is [`NO_ID`].
//! Behind code 12, evidence, comes the observation of its first ID, if that is the first one. Its
//! outcome is counted nowhere.
//!
//! Links and the *acts* 5 to 7 have *positions*: they are counted from 0. Observations have none.
//!
//! The codes are stable: journals of all versions hold them.

use std::collections::HashSet;

use crate::error::Error;
use crate::ids::id::Id;
use crate::link::{Kind, Outcome};
use crate::resolver::recorder::Recorder;

/// The number that stands where there is no ID.
pub const NO_ID: u32 = u32::MAX;

/// The code of an observation; lower ones are those of each [`Kind`].
pub const OBSERVE: u8 = 4;
/// The code of two IDs that are kept apart.
pub(crate) const KEEP_APART: u8 = 5;
/// The code of a retraction.
pub(crate) const RETRACT: u8 = 6;
/// The code of an ID that is forgotten.
pub(crate) const FORGET: u8 = 7;

/// The bits of a code that hold a link's kind or an act.
pub(crate) const ACT: u8 = 0xf;
/// The shift of the outcome in a code.
pub(crate) const OUTCOME_SHIFT: u32 = 4;

/// Steps as numbers, in columns of the same length.
#[derive(Debug, Clone, Copy)]
pub struct Steps<'a> {
    /// The code of each step.
    pub codes: &'a [u8],
    /// Its first number.
    pub first: &'a [u32],
    /// Its second number.
    pub second: &'a [u32],
}

/// The bytes of a step.
const STEP: usize = 9;

impl Steps<'_> {
    /// Returns how many steps, at least one, fit in `room` bytes together with the texts of the IDs
    /// that they are the first to name, and the number behind these IDs.
    ///
    /// The first new ID has the number `next`; `size` returns the bytes of an ID's text.
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

    /// Returns the links among the steps, of which the first one has the given position: each with
    /// its position, its IDs unless an operand can be none, and the outcome that was recorded.
    pub fn links(self, position: u64) -> impl Iterator<Item = (u64, Kind, Option<[Id; 2]>, Outcome)> {
        let Self { codes, first, second } = self;
        let acts = codes.iter().zip(first).zip(second).filter(|((code, _), _)| *code & ACT != OBSERVE);
        (position..).zip(acts).filter_map(|(position, ((&code, &first), &second))| {
            let kind = Kind::from_code(code & ACT)?;
            match RecordedStep::read(code, first, second)? {
                RecordedStep::Link(_, first, second) => {
                    Some((position, kind, Some([first, second]), Outcome::from_code(code >> 4)?))
                }
                RecordedStep::Refused(outcome) => Some((position, kind, None, outcome)),
                _ => None,
            }
        })
    }

    /// Returns how many positions these steps take: all but observations have one.
    pub fn positions(&self) -> u64 {
        self.codes.iter().filter(|&&code| code & ACT != OBSERVE).count() as u64
    }

    /// Returns whether an ID is forgotten at one of `positions`; the first step has the position
    /// `start`.
    pub(crate) fn forgets_at(&self, start: u64, positions: &HashSet<u64>) -> bool {
        let acts = self.codes.iter().filter(|&&code| code & ACT != OBSERVE);
        (start..).zip(acts).any(|(position, code)| code & ACT == FORGET && positions.contains(&position))
    }
}

/// One step of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordedStep {
    /// A link between two IDs.
    Link(Kind, Id, Id),
    /// A link of which an operand can be no ID, or which the API has not.
    Refused(Outcome),
    /// The first observation of an ID.
    Observed(Id),
    /// Two IDs are kept apart.
    KeptApart(Id, Id),
    /// The link or act at this position is retracted.
    Retracted(u64),
    /// An ID is forgotten.
    Forgotten(Id),
}

/// Returns whether a link with this outcome makes its IDs known.
fn makes_known(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::InvalidId | Outcome::Malformed | Outcome::VerbNotAllowed)
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

    /// Returns the step of a code and two numbers, or None if no step has them.
    #[inline]
    pub fn read(code: u8, first: u32, second: u32) -> Option<Self> {
        let id = |number: u32| (number < Id::LIMIT).then(|| Id::new(number));
        let (act, outcome) = (code & ACT, Outcome::from_code(code >> OUTCOME_SHIFT)?);
        if let Some(kind) = Kind::from_code(act) {
            return match outcome {
                // An event without two IDs is no evidence.
                outcome if !makes_known(outcome) && kind == Kind::Evidence => None,
                outcome if !makes_known(outcome) => Some(Self::Refused(outcome)),
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

/// The steps that were taken and are not in the journal yet.
///
/// A step that has begun cannot fail for memory: [`Recorder::reserve`] made room for it, whether it
/// is a link, an observation or an act.
#[derive(Debug, Default)]
pub(crate) struct Record {
    codes: Vec<u8>,
    first: Vec<u32>,
    second: Vec<u32>,
}

impl Record {
    /// Appends a step.
    #[inline]
    fn push(&mut self, code: u8, first: u32, second: u32) {
        self.codes.push(code);
        self.first.push(first);
        self.second.push(second);
    }

    /// Records that the link or act at `position` is retracted.
    pub fn retract(&mut self, position: u64) {
        self.push(RETRACT, position as u32, (position >> 32) as u32);
    }

    /// Returns the steps.
    pub fn steps(&self) -> Steps<'_> {
        Steps { codes: &self.codes, first: &self.first, second: &self.second }
    }

    /// Drops the first `count` steps, which are in the journal now.
    pub fn drop_first(&mut self, count: usize) {
        self.codes.drain(..count);
        self.first.drain(..count);
        self.second.drain(..count);
    }
}

impl Recorder for Record {
    const RECORDS: bool = true;

    #[inline]
    fn reserve(&mut self, steps: usize) -> Result<(), Error> {
        let Self { codes, first, second } = self;
        let reserved = codes.try_reserve(steps).and_then(|()| first.try_reserve(steps));
        reserved.and_then(|()| second.try_reserve(steps)).map_err(|_| Error::NoMemory)
    }

    #[inline]
    fn link(&mut self, kind: Kind, outcome: Outcome, ids: Option<[Id; 2]>) {
        let [first, second] = ids.map_or([NO_ID; 2], |ids| ids.map(Id::number));
        self.push(kind as u8 | (outcome as u8) << OUTCOME_SHIFT, first, second);
    }

    fn observation(&mut self, id: Id) {
        self.push(OBSERVE, id.number(), NO_ID);
    }

    fn keep_apart(&mut self, a: Id, b: Id) {
        self.push(KEEP_APART, a.number(), b.number());
    }

    fn forget(&mut self, id: Id) {
        self.push(FORGET, id.number(), NO_ID);
    }
}

/// An ID's text in the form in which a journal keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredText<'a> {
    /// The bytes of a UUID of the RFC variant, written in lower case.
    Uuid([u8; 16]),
    /// The bytes of such a UUID that stands after `$device:`.
    DeviceUuid([u8; 16]),
    /// Any other text.
    Text(&'a str),
    /// A text that was forgotten; only whether it was in the anonymous format is left.
    Forgotten {
        /// Whether the text was in the anonymous format.
        anonymous: bool,
    },
}

impl StoredText<'_> {
    /// Returns how many bytes the text takes in a block, with its form and its offset.
    pub fn size(&self) -> usize {
        let bytes = match self {
            Self::Uuid(uuid) | Self::DeviceUuid(uuid) => uuid.len(),
            Self::Text(text) => text.len(),
            Self::Forgotten { .. } => 0,
        };
        bytes + size_of::<u8>() + size_of::<i32>()
    }
}
