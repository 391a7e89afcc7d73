//! The dense number of an ID.
//!
//! Inside the crate an ID is its number and nothing else; text becomes a number once, on the way
//! in. No user of the package ever sees a number.

/// The number of an ID: 0 for the one that became known first, then 1, 2, …
///
/// Numbers are never reused, so their order is the order in which the IDs became known, but for the
/// few that a retraction left unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u32);

impl Id {
    /// The most IDs that a resolver can know; the forest needs the 32nd bit of a number
    /// and of a size.
    pub const LIMIT: u32 = (1 << 31) - 1;

    /// The ID that became known first.
    pub(crate) const FIRST: Self = Self(0);

    /// Returns the ID with this number, which must be below [`Self::LIMIT`].
    pub fn new(number: u32) -> Self {
        debug_assert!(number < Self::LIMIT);
        Self(number)
    }

    /// Returns the number.
    pub fn number(self) -> u32 {
        self.0
    }

    /// Returns the number as an index of an array with one element an ID.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}
