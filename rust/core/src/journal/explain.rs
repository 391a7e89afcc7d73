//! Explanations: the links that built a cluster, and the chain of links between two of its IDs
//! (SPEC 8).
//!
//! They are read from the history that a resolver keeps, or from that of a [`Past`] which replayed
//! the journal with history; so a resolver need not keep one for the rare question.

use crate::clusters::forest::Forest;
use crate::clusters::history::Edge;
use crate::ids::id::Id;
use crate::journal::JournaledResolver;
use crate::journal::past::Past;

impl JournaledResolver {
    /// Returns the links that built the cluster of `id`, in their order; None if history is not
    /// kept.
    ///
    /// One for each merge, so one fewer than the cluster has members, forgotten ones included.
    pub fn built(&self, id: Id) -> Option<Vec<Edge>> {
        Some(self.state().history.as_ref()?.edges(self.clusters().members(id)))
    }

    /// Returns the same from the history of a past that replayed all steps.
    pub fn built_by(&self, past: &Past, id: Id) -> Option<Vec<Edge>> {
        Some(past.state.history.as_ref()?.edges(self.clusters().members(id)))
    }

    /// Returns the chain of links from `a` to `b`, which are in one cluster; None if history is not
    /// kept.
    ///
    /// There is exactly one: a link between IDs that are together already merges nothing.
    pub fn chain(&self, a: Id, b: Id) -> Option<Vec<Edge>> {
        Some(self.state().history.as_ref()?.chain(a, b))
    }

    /// Returns the same from the history of a past that replayed all steps.
    pub fn chain_by(&self, past: &Past, a: Id, b: Id) -> Option<Vec<Edge>> {
        Some(past.state.history.as_ref()?.chain(a, b))
    }
}
