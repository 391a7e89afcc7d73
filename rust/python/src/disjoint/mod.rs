//! Disjoint sets of any hashable objects, and the components of links, without a policy.

mod components;
mod disjoint_set;
mod links;
mod objects;
mod partition;
mod union_find;

pub use components::connected_components;
pub use disjoint_set::DisjointSet;
pub use partition::Partition;
pub use union_find::UnionFind;
