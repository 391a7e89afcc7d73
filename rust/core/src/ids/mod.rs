//! IDs: their texts as keys, their numbers, and the index between the two.
//!
//! ```text
//! text ─ key ─▶ hasher ─▶ index: which number may it be? ─▶ interner: does its key agree?
//! ```
//!
//! - [`id`]: the number of an ID.
//! - [`key`]: the text of an ID in 16 bytes, packed or as a place in the [`arena`].
//! - [`hasher`]: keyed hashes of texts and numbers.
//! - [`bucket`] and [`index`]: from hashes to numbers, one cache line a look.
//! - [`interner`]: all of them together, with a value for each ID.
//!
//! Nothing here depends on policy, clusters or journals.

pub(crate) mod arena;
pub(crate) mod bucket;
pub(crate) mod hasher;
pub(crate) mod id;
pub(crate) mod index;
pub(crate) mod interner;
pub(crate) mod key;
