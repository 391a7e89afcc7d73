//! IDs: their texts as keys, their numbers, and the index between the two.

pub(crate) mod bucket;
pub(crate) mod id;
pub(crate) mod index;
pub(crate) mod interner;
pub(crate) mod key;
