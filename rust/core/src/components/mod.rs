//! Clustering without a policy: dense numbers for values, and union-find over these.

pub(crate) mod disjoint;
pub(crate) mod numbering;
pub(crate) mod rem;
