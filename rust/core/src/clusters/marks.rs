//! Marks: facts about an ID that the rules ask for, as bits.
//!
//! Claims (SPEC 2) are marks: `CLAIMED`, `IDENTIFIED` and `ALIAS` belong to the ID, survive every
//! merge and are never transferred. A cluster has the union of its members' claims at its root.
//! Marks are only ever added; only a replay without the link that made them takes them away. One
//! mark is the cluster's alone, `NAMED`, and goes when the ID that named the cluster is forgotten.

use bytemuck::Zeroable;

/// A set of the constants below, in one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Zeroable)]
pub struct Marks(u8);

impl Marks {
    /// The empty set.
    pub const NONE: Self = Self(0);
    /// The ID is in the policy's anonymous format.
    pub const ANONYMOUS: Self = Self(1);
    /// An accepted `$identify` named it as its anonymous ID.
    pub const CLAIMED: Self = Self(2);
    /// An accepted `$identify` named it as its identified ID.
    pub const IDENTIFIED: Self = Self(4);
    /// An accepted `$create_alias` named it as its alias.
    pub const ALIAS: Self = Self(8);
    /// It is to be kept apart from some other ID.
    pub const APART: Self = Self(16);
    /// An ordinary event named it, and a journal has recorded that.
    pub const OBSERVED: Self = Self(32);

    /// A mapping or evidence stated which of the cluster's IDs is canonical; a cluster's mark.
    pub const NAMED: Self = Self(64);

    /// Returns whether all of `other` are in the set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns the union of two sets.
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the set without these.
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Returns the marks that an ID has by its text alone, whatever was linked.
    pub fn of_text(self) -> Self {
        Self(self.0 & Self::ANONYMOUS.0)
    }

    /// Returns the set as a byte, for a checkpoint.
    pub fn to_byte(self) -> u8 {
        self.0
    }

    /// Returns the set of a byte.
    pub fn from_byte(byte: u8) -> Self {
        Self(byte)
    }
}
