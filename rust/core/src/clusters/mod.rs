//! Clusters of IDs: the forest that joins them, the rules that judge links, and canonical IDs.
//!
//! - [`marks`]: facts about an ID that rules ask for.
//! - [`forest`]: union-find with sizes, members, marks and canonical IDs.
//! - [`policy`]: every check of SPEC 2, on numbers.
//! - [`canonical`]: the strategies of SPEC 5.
//! - [`judge`]: judges a link and carries out its outcome.
//! - [`history`]: the link behind each merge.
//! - [`overrides`]: IDs that are known out of order, forgotten, or kept apart; with [`kept_apart`]
//!   and [`successors`].
//!
//! Everything here works on numbers and on any forest; texts are read only to compare canonical
//! IDs.

pub(crate) mod canonical;
pub(crate) mod forest;
pub(crate) mod history;
pub(crate) mod judge;
pub(crate) mod kept_apart;
pub(crate) mod marks;
pub(crate) mod overrides;
pub(crate) mod policy;
pub(crate) mod successors;
