//! History: the links that merged clusters, one edge for each merge, 20 bytes an ID.
//!
//! A merge hangs one root under another, and no ID is hung twice. So the link that did it is kept
//! at the number of the ID that was hung, together with the root above it.
//!
//! After the links `a–b`, `c–d` and `d–a`, in which `b` and `d` were hung under `a` and `c`, and
//! then `a` under `c`, the edge of `b` is `a–b`, that of `d` is `c–d`, and that of `a` is `d–a`.
//! The chain from `b` to `c` is `a–b`, `d–a`, `c–d`: a path in the tree of edges, not in the forest
//! of roots.
//!
//! # Invariants
//!
//! 1. The edges of a cluster are those of its members, and they form a tree.
//! 2. `above` is a forest of depth `log2(size)` at most, for the smaller cluster is hung under the
//!    larger. Unlike the paths of [`Forest`](crate::clusters::forest::Forest), its paths are never
//!    halved.
//! 3. Up a path of that forest positions grow: a root that was hung takes no other root in any
//!    more.
//!
//! # Costs
//!
//! A merge costs two writes. The edges of a cluster cost its size, and the chain between two of its
//! members `O(log size)` for each link of the chain.

use std::io;
use std::iter::successors;

use crate::codec::{Decoder, Encoder, damaged, room_for};
use crate::error::Error;
use crate::ids::id::Id;
use crate::link::Kind;

/// A link that merged two clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// The event that stated it.
    pub kind: Kind,
    /// Its operands, in their order.
    pub ids: [Id; 2],
    /// Its position among all links and acts.
    pub position: u64,
}

/// An edge in 16 bytes.
#[derive(Debug, Clone, Copy)]
struct Packed {
    ids: [u32; 2],
    /// The kind in the four highest bits, then the position plus one; 0 for no edge.
    position: u64,
}

/// The value beside a root.
const NO_EDGE: Packed = Packed { ids: [0; 2], position: 0 };
/// The shift of the kind; a position is below 2⁶⁰ (see the checkpoint).
const KIND_SHIFT: u32 = 60;
/// The bits of the kind.
const KIND: u64 = 0b1111 << KIND_SHIFT;
/// The most roots above an ID: each one at least doubled its cluster, and IDs have 32 bits.
const MOST_ABOVE: usize = 32;

/// The edges; see the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    edges: Vec<Packed>,
    /// The root under which each ID was hung; 0 for an ID that is a root.
    above: Vec<u32>,
}

/// A piece of a chain: a link, or two IDs between which links are still to be found.
enum Piece {
    Link(Edge),
    Between(Id, Id),
}

impl History {
    /// Makes room for the edges of the first `ids` IDs.
    ///
    /// # Errors
    ///
    /// If there is no memory for them.
    #[inline]
    pub fn reserve(&mut self, ids: usize) -> Result<(), Error> {
        if ids <= self.edges.capacity().min(self.above.capacity()) {
            return Ok(());
        }
        let missing = |length: usize| ids.saturating_sub(length);
        self.edges.try_reserve(missing(self.edges.len())).map_err(|_| Error::NoMemory)?;
        self.above.try_reserve(missing(self.above.len())).map_err(|_| Error::NoMemory)
    }

    /// Records the link that hung `child` under `root`.
    #[inline(never)]
    pub fn add(&mut self, [child, root]: [Id; 2], edge: Edge) {
        if self.edges.len() <= child.index() {
            self.edges.resize(child.index() + 1, NO_EDGE);
            self.above.resize(child.index() + 1, 0);
        }
        self.above[child.index()] = root.number();
        self.edges[child.index()] = Packed {
            ids: edge.ids.map(Id::number),
            position: (edge.kind as u64) << KIND_SHIFT | (edge.position + 1),
        };
    }

    /// Writes the edges.
    pub fn save(&self, out: &mut Encoder) -> io::Result<()> {
        out.word(self.edges.len() as u64)?;
        for Packed { ids: [first, second], position } in &self.edges {
            out.words([u64::from(*first) << 32 | u64::from(*second), *position])?;
        }
        out.words(self.above.iter().map(|&number| u64::from(number)))
    }

    /// Reads edges between the first `limit` IDs.
    ///
    /// # Errors
    ///
    /// If they break an invariant on which a walk relies to end soon, or name other IDs.
    pub fn load(from: &mut Decoder, limit: u32) -> io::Result<Self> {
        let strange = || damaged("it names an ID that it does not hold");
        let (count, mut edges) = from.room(24)?;
        for _ in 0..count {
            let [both, position] = from.array()?;
            let ids = [(both >> 32) as u32, both as u32];
            if position != 0 && ids.iter().any(|&id| id >= limit) {
                return Err(strange());
            }
            if position != 0 && position & !KIND == 0 {
                return Err(damaged("a link of it has no position"));
            }
            edges.push(Packed { ids, position });
        }
        let mut above = room_for(count)?;
        for _ in 0..count {
            let number = u32::try_from(from.word()?).ok().filter(|&number| number < limit);
            above.push(number.ok_or_else(strange)?);
        }
        let history = Self { edges, above };
        let is_later = |id: Id| match (history.edge(id), history.edge(history.above(id))) {
            (Some(edge), Some(next)) => edge.position < next.position,
            _ => true,
        };
        let ids = || (0..count as u32).map(Id::new);
        if !ids().all(is_later) {
            return Err(damaged("an ID was hung under one that hung already"));
        }
        if !ids().all(|id| history.path(id).nth(MOST_ABOVE + 1).is_none()) {
            return Err(damaged("an ID hangs deeper than merges can hang it"));
        }
        if !ids().all(|id| history.joins_its_sides(id)) {
            return Err(damaged("a link of it did not join the clusters of its IDs"));
        }
        Ok(history)
    }

    /// Returns an ID and the roots above it, the nearest first.
    fn path(&self, id: Id) -> impl Iterator<Item = Id> {
        successors(Some(id), |&id| self.edge(id).map(|_| self.above(id)))
    }

    /// Returns whether the link that hung `child` was between its cluster and that of the root
    /// above: a chain that goes on from the ends of any other one is endless.
    fn joins_its_sides(&self, child: Id) -> bool {
        self.edge(child).is_none_or(|edge| {
            let [first, second] = edge.ids.map(|id| self.root_before(id, edge.position));
            let root = self.above(child);
            [first, second] == [child, root] || [first, second] == [root, child]
        })
    }

    /// Returns the link that hung `id` under another, if it is no root.
    fn edge(&self, id: Id) -> Option<Edge> {
        let packed = self.edges.get(id.index()).filter(|packed| packed.position != 0)?;
        Some(Edge {
            kind: Kind::from_code((packed.position >> KIND_SHIFT) as u8)?,
            ids: packed.ids.map(Id::new),
            position: (packed.position & !KIND).checked_sub(1)?,
        })
    }

    /// Returns the root under which `id` was hung; `id` must have an edge.
    fn above(&self, id: Id) -> Id {
        Id::new(self.above[id.index()])
    }

    /// Returns the links that built the cluster with these members, in their order.
    pub fn edges(&self, members: impl Iterator<Item = Id>) -> Vec<Edge> {
        let mut edges: Vec<Edge> = members.filter_map(|id| self.edge(id)).collect();
        edges.sort_unstable_by_key(|edge| edge.position);
        edges
    }

    /// Returns the chain of links that leads from `a` to `b`, which are in one cluster (SPEC 8).
    ///
    /// Costs `O(log size)` for each link of the chain, whatever else the cluster holds: the last
    /// link that joined the two is the latest one on their paths up, and the rest of the chain
    /// leads to its two ends. (Nieuwenhuis and Oliveras, "Proof-producing congruence closure",
    /// 2005.)
    pub fn chain(&self, a: Id, b: Id) -> Vec<Edge> {
        let (mut chain, mut rest) = (Vec::new(), vec![Piece::Between(a, b)]);
        while let Some(piece) = rest.pop() {
            match piece {
                Piece::Link(edge) => chain.push(edge),
                Piece::Between(from, to) => {
                    if let Some((edge, [near, far])) = self.joining(from, to) {
                        rest.push(Piece::Between(far, to));
                        rest.push(Piece::Link(edge));
                        rest.push(Piece::Between(from, near));
                    }
                }
            }
        }
        chain
    }

    /// Returns the link that joined the clusters of two IDs, its end on the side of `from` first;
    /// None if the two are the same, or apart.
    fn joining(&self, from: Id, to: Id) -> Option<(Edge, [Id; 2])> {
        let (mut ours, mut theirs, mut last) = (from, to, None);
        while ours != theirs {
            // The side with the earlier link goes up; a root has none.
            let is_ours = match (self.edge(ours), self.edge(theirs)) {
                (Some(one), Some(other)) => one.position < other.position,
                (one, other) => one.or(other).map(|_| one.is_some())?,
            };
            let side = if is_ours { &mut ours } else { &mut theirs };
            last = self.edge(*side).map(|edge| (edge, *side, is_ours));
            *side = self.above(*side);
        }
        let (edge, child, is_ours) = last?;
        let [first, second] = edge.ids;
        let is_first_ours = (self.root_before(first, edge.position) == child) == is_ours;
        Some((edge, if is_first_ours { [first, second] } else { [second, first] }))
    }

    /// Returns the root that the cluster of `id` had before a position.
    fn root_before(&self, mut id: Id, position: u64) -> Id {
        while self.edge(id).is_some_and(|edge| edge.position < position) {
            id = self.above(id);
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Clusters and their history; `steps` are pairs to be joined.
    fn joined(ids: u32, steps: impl IntoIterator<Item = (u32, u32)>) -> (History, Vec<Id>, Vec<Edge>) {
        let mut history = History::default();
        let mut roots: Vec<Id> = (0..ids).map(Id::new).collect();
        let mut edges = Vec::new();
        for (position, (a, b)) in (0..).zip(steps) {
            let (ours, theirs) = (roots[a as usize], roots[b as usize]);
            if ours == theirs {
                continue;
            }
            let size = |of| roots.iter().filter(|&&root| root == of).count();
            let (root, child) = if size(ours) > size(theirs) { (ours, theirs) } else { (theirs, ours) };
            let edge = Edge { kind: Kind::Merge, ids: [Id::new(a), Id::new(b)], position };
            history.add([child, root], edge);
            edges.push(edge);
            roots.iter_mut().filter(|above| **above == child).for_each(|above| *above = root);
        }
        (history, roots, edges)
    }

    /// Finds the chain by looking at every edge.
    fn chain_among(edges: &[Edge], a: Id, b: Id) -> Vec<Edge> {
        let (mut towards, mut next) = (HashMap::from([(b, None)]), vec![b]);
        while let Some(id) = next.pop() {
            for edge in edges.iter().filter(|edge| edge.ids.contains(&id)) {
                let over_there = edge.ids[usize::from(edge.ids[0] == id)];
                towards.entry(over_there).or_insert_with(|| {
                    next.push(over_there);
                    Some((*edge, id))
                });
            }
        }
        let way = std::iter::successors(towards[&a], |(_, id)| towards[id]);
        way.map(|(edge, _)| edge).collect()
    }

    fn draws(mut state: u64, below: u32) -> impl Iterator<Item = (u32, u32)> {
        let mut draw = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u32 % below
        };
        std::iter::repeat_with(move || (draw(), draw()))
    }

    #[test]
    fn a_chain_leads_from_one_end_to_the_other() {
        let (history, ..) = joined(6, [(0, 1), (2, 1), (3, 4), (2, 3), (5, 1)]);
        let positions = |a, b| -> Vec<u64> {
            history.chain(Id::new(a), Id::new(b)).iter().map(|edge| edge.position).collect()
        };
        assert_eq!(positions(0, 4), [0, 1, 3, 2]);
        assert_eq!(positions(4, 0), [2, 3, 1, 0]);
        assert_eq!(positions(5, 0), [4, 0]);
        assert_eq!(positions(1, 1), []);
    }

    #[test]
    fn a_chain_is_the_one_among_all_edges() {
        for seed in 0..40 {
            let (history, roots, edges) = joined(60, draws(seed, 60).take(30 + 4 * seed as usize));
            for (a, b) in draws(seed + 100, 60).take(200) {
                if roots[a as usize] == roots[b as usize] {
                    let (a, b) = (Id::new(a), Id::new(b));
                    assert_eq!(history.chain(a, b), chain_among(&edges, a, b));
                } else {
                    assert_eq!(history.joining(Id::new(a), Id::new(b)), None);
                }
            }
        }
    }

    fn saved(history: &History) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut out = Encoder::new(&mut bytes);
        history.save(&mut out).expect("a Vec takes all");
        out.finish().expect("a Vec takes all");
        bytes
    }

    fn loaded(bytes: &[u8], ids: u32) -> io::Result<History> {
        let (mut from, size) = (bytes, bytes.len() as u64);
        let mut from = Decoder::new(&mut from, size).expect("it is long enough");
        History::load(&mut from, ids)
    }

    /// Returns the message with which a history between so many IDs is refused.
    fn refusal(history: &History, ids: u32) -> String {
        loaded(&saved(history), ids).expect_err("it is refused").to_string()
    }

    #[test]
    fn history_comes_back_as_it_was_saved_and_no_loop_does() {
        let (mut history, ..) = joined(30, draws(3, 30).take(60));
        let bytes = saved(&history);
        assert_eq!(saved(&loaded(&bytes, 30).expect("it is whole")), bytes);
        let hung = (0..30).map(Id::new).find(|&id| history.edge(id).is_some()).expect("many were joined");
        let packed = history.edges[hung.index()].position;
        // No position, as damage may leave it.
        history.edges[hung.index()].position = 1 << KIND_SHIFT;
        assert!(loaded(&saved(&history), 30).is_err());
        history.edges[hung.index()].position = packed;
        history.above[hung.index()] = hung.number();
        assert!(loaded(&saved(&history), 30).is_err());
    }

    #[test]
    fn an_edge_that_did_not_join_its_two_sides_is_refused() {
        let (history, ..) = joined(4, [(0, 1), (2, 3), (1, 3)]);
        let last = (0..4).find(|&id| history.edge(Id::new(id)).is_some_and(|edge| edge.position == 2));
        let last = last.expect("the third link joined the two clusters") as usize;
        for ids in (0..16).map(|number| [number / 4, number % 4]) {
            let mut forged = history.clone();
            forged.edges[last].ids = ids;
            let is_across = (ids[0] < 2) != (ids[1] < 2);
            assert_eq!(loaded(&saved(&forged), 4).is_ok(), is_across, "{ids:?}");
            if !is_across {
                assert_eq!(refusal(&forged, 4), "a link of it did not join the clusters of its IDs");
            }
        }
    }

    #[test]
    fn a_path_is_refused_that_is_longer_than_any_that_merges_make() {
        for (above, is_possible) in [(32, true), (33, false)] {
            let mut history = History::default();
            for child in 0..above {
                let ids = [Id::new(child), Id::new(child + 1)];
                history.add(ids, Edge { kind: Kind::Merge, ids, position: u64::from(child) });
            }
            assert_eq!(loaded(&saved(&history), above + 1).is_ok(), is_possible);
        }
    }

    #[test]
    fn an_edge_comes_back_as_it_was() {
        let mut history = History::default();
        let edge = Edge { kind: Kind::Identify, ids: [Id::new(0), Id::new(7)], position: 0 };
        history.add([Id::new(3), Id::new(4)], edge);
        assert_eq!(history.edges((0..9).map(Id::new)), [edge]);
    }
}
