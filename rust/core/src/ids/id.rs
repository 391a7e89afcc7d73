//! The dense number of a known ID.

/// The number of a known ID: 0 for the one that became known first, then 1, 2, …
///
/// Numbers are never reused, so their order is the order in which the IDs became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u32);

impl Id {
    /// The most IDs that a resolver can know; the forest needs the 32nd bit of a number
    /// and of a size.
    pub const LIMIT: u32 = (1 << 31) - 1;

    /// The ID that became known first.
    pub(crate) const FIRST: Self = Self(0);

    /// Returns the ID that became known as the `number`th, counted from 0.
    pub fn new(number: u32) -> Self {
        debug_assert!(number < Self::LIMIT);
        Self(number)
    }

    /// Returns the number.
    pub fn number(self) -> u32 {
        self.0
    }

    /// Returns the number as a position in an array with one element an ID.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}
