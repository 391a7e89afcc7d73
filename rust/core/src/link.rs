//! Links and outcomes: the input and the output of a resolver (SPEC 2).
//!
//! The numbers of [`Kind`] and [`Outcome`] are stable: Python's columns and journals hold them.

/// The statement that makes a link: an identity event, a mapping, or an ordinary event.
///
/// Which of them a resolver takes, its policy's [`Api`](crate::Api) says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// `$identify`: an anonymous ID, then the identified ID.
    Identify = 0,
    /// `$create_alias`: the alias, then the ID that it stands for.
    Alias = 1,
    /// `$merge` from an import: any two IDs.
    Merge = 2,
    /// `$merge` from another route than the import, which is not allowed (SPEC 3).
    TrackedMerge = 3,
    /// A row of identity mappings: an ID, then the canonical ID of its person.
    Mapping = 8,
    /// An `$identify` that Mixpanel refused itself.
    RefusedIdentify = 9,
    /// A `$create_alias` that Mixpanel refused itself.
    RefusedAlias = 10,
    /// A `$merge` that Mixpanel refused itself.
    RefusedMerge = 11,
    /// An ordinary event: its canonical ID, then the ID that was sent. It has no outcome.
    Evidence = 12,
    /// An event of both a device and a user, in Simplified ID Merge: the device's ID, then the
    /// user's.
    Association = 13,
    /// Such an event that Mixpanel refused to join the two by.
    RefusedAssociation = 14,
}

impl Kind {
    /// Returns the kind with the number `code`, or None if no kind has it.
    pub fn from_code(code: u8) -> Option<Self> {
        const ALL: [Option<Kind>; 15] = [
            Some(Kind::Identify),
            Some(Kind::Alias),
            Some(Kind::Merge),
            Some(Kind::TrackedMerge),
            None, // An observation and acts have these numbers in a journal.
            None,
            None,
            None,
            Some(Kind::Mapping),
            Some(Kind::RefusedIdentify),
            Some(Kind::RefusedAlias),
            Some(Kind::RefusedMerge),
            Some(Kind::Evidence),
            Some(Kind::Association),
            Some(Kind::RefusedAssociation),
        ];
        ALL.get(usize::from(code)).copied().flatten()
    }

    /// Returns the kind of a link that Mixpanel refused itself, as if it had not; None for others.
    #[must_use]
    pub fn before_refusal(self) -> Option<Self> {
        match self {
            Self::RefusedIdentify => Some(Self::Identify),
            Self::RefusedAlias => Some(Self::Alias),
            Self::RefusedMerge => Some(Self::Merge),
            Self::RefusedAssociation => Some(Self::Association),
            _ => None,
        }
    }

    /// Returns the kind of such a link if Mixpanel refused it itself; None if it refuses none such.
    #[must_use]
    pub fn after_refusal(self) -> Option<Self> {
        match self {
            Self::Identify => Some(Self::RefusedIdentify),
            Self::Alias => Some(Self::RefusedAlias),
            Self::Merge => Some(Self::RefusedMerge),
            Self::Association => Some(Self::RefusedAssociation),
            _ => None,
        }
    }

    /// Returns whether such a link has an outcome.
    #[must_use]
    pub fn has_outcome(self) -> bool {
        self != Self::Evidence
    }
}

/// One of the two IDs of a link, as it came: it need not be able to be an ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operand<'a> {
    /// It is missing or of the wrong type.
    Missing,
    /// It is text of a kind that no ID can have, such as a lone surrogate or broken UTF-8.
    NotUnicode,
    /// It is text.
    Text(&'a str),
}

impl<'a> From<&'a str> for Operand<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

/// One piece of input: a link or an observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step<'a> {
    /// An event of this kind states that two IDs are one person, the first operand first.
    Link(Kind, Operand<'a>, Operand<'a>),
    /// An ordinary event came under this ID, which makes it known (SPEC 3).
    Observe(Operand<'a>),
    /// An ordinary event came under this ID, and was sent under the second one (SPEC 3).
    Evidence(Operand<'a>, Operand<'a>),
}

impl<'a> Step<'a> {
    /// Returns the step with the code of a [`Kind`], or for any other code an observation.
    #[must_use]
    pub fn of_code(code: u8, first: Operand<'a>, second: Operand<'a>) -> Self {
        match Kind::from_code(code) {
            Some(Kind::Evidence) => Self::Evidence(first, second),
            Some(kind) => Self::Link(kind, first, second),
            None => Self::Observe(first),
        }
    }
}

/// The outcome of a link: it merged two clusters, changed nothing, or was rejected for a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// The two clusters are one now.
    Merged = 0,
    /// Both IDs were in one cluster already.
    Unchanged = 1,
    /// Both operands are the same ID.
    SameIds = 2,
    /// The anonymous ID is not in the policy's anonymous format.
    AnonFormat = 3,
    /// Another user claimed the anonymous ID before.
    AnonClaimed = 4,
    /// The alias was used before.
    AliasTaken = 5,
    /// The merged cluster would exceed the largest size allowed.
    TooManyIds = 6,
    /// An operand is empty, too long, blocked or no Unicode text.
    InvalidId = 7,
    /// An operand is missing or of the wrong type.
    Malformed = 8,
    /// A merge came by another route than the import.
    MergeNotAllowed = 9,
    /// The two clusters hold IDs that are to be kept apart.
    KeptApart = 10,
    /// Mixpanel refused the link itself.
    RefusedBefore = 11,
    /// The policy's API has no such event.
    VerbNotAllowed = 12,
}

impl Outcome {
    /// The number of outcomes.
    pub const COUNT: usize = 13;

    /// Returns the outcome with the number `code`, or None if no outcome has it.
    pub fn from_code(code: u8) -> Option<Self> {
        const ALL: [Outcome; Outcome::COUNT] = [
            Outcome::Merged,
            Outcome::Unchanged,
            Outcome::SameIds,
            Outcome::AnonFormat,
            Outcome::AnonClaimed,
            Outcome::AliasTaken,
            Outcome::TooManyIds,
            Outcome::InvalidId,
            Outcome::Malformed,
            Outcome::MergeNotAllowed,
            Outcome::KeptApart,
            Outcome::RefusedBefore,
            Outcome::VerbNotAllowed,
        ];
        ALL.get(usize::from(code)).copied()
    }

    /// Returns whether the link holds: it merged two clusters, or they were one already.
    pub fn is_accepted(self) -> bool {
        matches!(self, Self::Merged | Self::Unchanged)
    }
}
