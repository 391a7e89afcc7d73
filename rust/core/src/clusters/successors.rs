//! The order in which a large cluster's members become canonical while others are forgotten.
//!
//! The best of the other members takes the place of a canonical ID that is forgotten. A search for
//! it costs the size of the cluster each time, and forgetting all members the square of that. So a
//! large cluster is sorted the first time, and the order is kept until the cluster changes
//! otherwise.
//!
//! Each member leaves its order once, so after the sort forgetting all of `n` members costs `O(n)`.

use std::collections::HashMap;

use crate::ids::id::Id;

/// The size from which on a cluster is worth an order; a smaller one is searched.
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

    /// Drops the order of the cluster with this root, which has changed.
    #[cold]
    pub fn drop_order(&mut self, root: Id) {
        self.orders.remove(&root);
    }
}
