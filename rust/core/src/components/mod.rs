//! Clustering without a policy: numbers for values, and union-find over these.
//!
//! Beside the resolver, not above it: nothing here judges, and no other room imports this one. The
//! interner and the prefetcher are the resolver's.
//!
//! - [`numbering`]: texts and integers as dense numbers, in the order of first appearance.
//! - [`rem`]: connected components of links, all at once.
//! - [`disjoint`]: disjoint sets one by one, with the parents and weights that other libraries
//!   show.

pub(crate) mod disjoint;
pub(crate) mod numbering;
pub(crate) mod rem;
