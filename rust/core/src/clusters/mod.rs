//! Clusters of IDs: the forest that joins them, the rules that judge links, and the names of clusters.

pub(crate) mod canonical;
pub(crate) mod forest;
pub(crate) mod history;
pub(crate) mod judge;
pub(crate) mod kept_apart;
pub(crate) mod overrides;
pub(crate) mod policy;
pub(crate) mod successors;
