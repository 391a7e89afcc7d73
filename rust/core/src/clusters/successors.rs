//! The order in which a large cluster's members name it while one after another is forgotten.
//!
//! Whoever is forgotten names its cluster no longer, and the best of the others does. To look for that one
//! costs the cluster each time, and forgetting all its members the square of that. So a large cluster is
//! sorted the first time, and kept in that order until something else changes it.

use std::collections::HashMap;

use crate::ids::id::Id;

/// The smallest cluster that is worth an order.
pub(crate) const SMALLEST_ORDERED: u32 = 64;

/// The orders, by their clusters' roots; the best member stands last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Successors {
    orders: HashMap<Id, Vec<Id>>,
}

impl Successors {
    /// Returns whether no cluster has an order.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }

    /// Returns whether a cluster has an order.
    pub fn has_order(&self, root: Id) -> bool {
        self.orders.contains_key(&root)
    }

    /// Keeps the members of a cluster in their order, best last.
    pub fn keep_order(&mut self, root: Id, order: Vec<Id>) {
        self.orders.insert(root, order);
    }

    /// Returns the best member of a cluster with an order that is not forgotten.
    pub fn best(&mut self, root: Id, is_forgotten: impl Fn(Id) -> bool) -> Option<Id> {
        let order = self.orders.get_mut(&root)?;
        while order.pop_if(|id| is_forgotten(*id)).is_some() {}
        order.last().copied()
    }

    /// Drops the order of the cluster with this root, because the cluster has changed.
    #[cold]
    pub fn drop_order(&mut self, root: Id) {
        self.orders.remove(&root);
    }
}
