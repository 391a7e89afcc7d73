//! Which link joined what: one edge for each merge, 16 bytes an ID.
//!
//! A merge hangs one root under another, and no ID is hung twice; so the link that did it has its place
//! beside the ID that was hung. The edges of a cluster are those of its members, and they form a tree.

use std::collections::HashMap;
use std::io;

use crate::id::Id;
use crate::link::Kind;
use crate::saved::{Loader, Saver, damaged};

/// A link that merged two clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// Which event stated it.
    pub kind: Kind,
    /// Its operands, in their order.
    pub ids: [Id; 2],
    /// Its position among all links and acts.
    pub position: u64,
}

/// An edge in 16 bytes; no edge is all zeros and a half.
#[derive(Debug, Clone, Copy)]
struct Packed {
    ids: [u32; 2],
    /// The kind in the two highest bits, then the position plus one; 0 for no edge.
    position: u64,
}

const NO_EDGE: Packed = Packed { ids: [0; 2], position: 0 };
const KIND_SHIFT: u32 = 62;

/// The edges; see the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    edges: Vec<Packed>,
}

impl History {
    /// Records the link that hung `child`.
    #[inline(never)]
    pub fn add(&mut self, child: Id, edge: Edge) {
        if self.edges.len() <= child.index() {
            self.edges.resize(child.index() + 1, NO_EDGE);
        }
        self.edges[child.index()] = Packed {
            ids: edge.ids.map(Id::number),
            position: (edge.kind as u64) << KIND_SHIFT | (edge.position + 1),
        };
    }

    /// Writes the edges.
    pub fn save(&self, out: &mut Saver) -> io::Result<()> {
        out.word(self.edges.len() as u64)?;
        for Packed { ids: [first, second], position } in &self.edges {
            out.words([u64::from(*first) << 32 | u64::from(*second), *position])?;
        }
        Ok(())
    }

    /// Reads edges between the first `limit` IDs.
    pub fn load(from: &mut Loader, limit: u32) -> io::Result<Self> {
        let count = from.count(16)?;
        let mut edges = Vec::with_capacity(count);
        for _ in 0..count {
            let [both, position] = from.array()?;
            let ids = [(both >> 32) as u32, both as u32];
            if position != 0 && ids.iter().any(|&id| id >= limit) {
                return Err(damaged("it names an ID that it does not hold"));
            }
            edges.push(Packed { ids, position });
        }
        Ok(Self { edges })
    }

    /// Returns the link that hung `id` under another, if it is no root.
    fn edge(&self, id: Id) -> Option<Edge> {
        let packed = self.edges.get(id.index()).filter(|packed| packed.position != 0)?;
        Some(Edge {
            kind: Kind::from_code((packed.position >> KIND_SHIFT) as u8)?,
            ids: packed.ids.map(Id::new),
            position: (packed.position & !(0b11 << KIND_SHIFT)) - 1,
        })
    }

    /// Returns the links that built the cluster with these members, in their order.
    pub fn edges(&self, members: impl Iterator<Item = Id>) -> Vec<Edge> {
        let mut edges: Vec<Edge> = members.filter_map(|id| self.edge(id)).collect();
        edges.sort_unstable_by_key(|edge| edge.position);
        edges
    }
}

/// Returns the chain of `edges`, a tree, that leads from `a` to `b`.
pub(crate) fn chain(edges: &[Edge], a: Id, b: Id) -> Vec<Edge> {
    let mut beside: HashMap<Id, Vec<usize>> = HashMap::new();
    for (number, edge) in edges.iter().enumerate() {
        for id in edge.ids {
            beside.entry(id).or_default().push(number);
        }
    }
    // From b outwards, so that the way back from a is in order.
    let (mut towards, mut next) = (HashMap::from([(b, None)]), vec![b]);
    while let Some(id) = next.pop() {
        for &number in beside.get(&id).into_iter().flatten() {
            let [one, other] = edges[number].ids;
            let over_there = if one == id { other } else { one };
            towards.entry(over_there).or_insert_with(|| {
                next.push(over_there);
                Some((number, id))
            });
        }
    }
    let way = std::iter::successors(towards.get(&a).copied().flatten(), |(_, id)| {
        towards.get(id).copied().flatten()
    });
    way.map(|(number, _)| edges[number]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(a: u32, b: u32, position: u64) -> Edge {
        Edge { kind: Kind::Merge, ids: [Id::new(a), Id::new(b)], position }
    }

    #[test]
    fn a_chain_leads_from_one_end_to_the_other() {
        let edges = [edge(0, 1, 0), edge(2, 1, 1), edge(3, 4, 2), edge(2, 3, 7), edge(5, 1, 9)];
        let positions = |a, b| -> Vec<u64> {
            chain(&edges, Id::new(a), Id::new(b)).iter().map(|edge| edge.position).collect()
        };
        assert_eq!(positions(0, 4), [0, 1, 7, 2]);
        assert_eq!(positions(4, 0), [2, 7, 1, 0]);
        assert_eq!(positions(5, 0), [9, 0]);
        assert_eq!(positions(1, 1), []);
    }

    #[test]
    fn an_edge_comes_back_as_it_was() {
        let mut history = History::default();
        let edge = Edge { kind: Kind::Identify, ids: [Id::new(0), Id::new(7)], position: 0 };
        history.add(Id::new(3), edge);
        assert_eq!(history.edges((0..9).map(Id::new)), [edge]);
    }
}
