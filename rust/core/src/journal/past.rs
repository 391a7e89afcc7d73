//! Looking back: who was who at another moment, or would be if something had not been sent.
//!
//! A [`Past`] judges a journal's steps again in a forest of its own, 16 bytes an ID, and reads the
//! texts of the resolver whose journal it is. The resolver goes on meanwhile, and can take the result over.

use std::collections::HashSet;

use crate::arch::prefetch;
use crate::clusters::forest::{Forest, Node, Nodes};
use crate::clusters::judge::{Clusters, ReplayTarget, Rules, State};
use crate::ids::id::Id;
use crate::ids::interner::Interner;
use crate::ids::key::Text;
use crate::journal::record::Steps;
use crate::journal::replay::{Damage, JudgedLink, Replay};

/// A forest made again; see the module.
pub struct Past {
    pub(crate) nodes: Vec<Node>,
    pub(crate) state: State,
    next: u32,
}

/// The forest with the texts of its IDs.
struct View<'a> {
    nodes: &'a mut [Node],
    ids: &'a Interner<Node>,
}

impl Nodes for View<'_> {
    #[inline]
    fn node(&self, id: Id) -> &Node {
        &self.nodes[id.index()]
    }

    #[inline]
    fn node_mut(&mut self, id: Id) -> &mut Node {
        &mut self.nodes[id.index()]
    }
}

impl Clusters for View<'_> {
    fn text(&self, id: Id) -> Text<'_> {
        self.ids.text(id)
    }

    #[inline]
    fn prefetch_node(&self, id: Id) {
        if let Some(node) = self.nodes.get(id.index()) {
            prefetch(node);
        }
    }
}

impl ReplayTarget for View<'_> {
    fn introduce(&mut self, id: Id) -> Result<(), &'static str> {
        if id.index() < self.nodes.len() { Ok(()) } else { Err("an ID has no text") }
    }

    /// Whoever looks back does not change the resolver's texts.
    fn wipe(&mut self, _: Id) {}
}

impl Nodes for Past {
    fn node(&self, id: Id) -> &Node {
        &self.nodes[id.index()]
    }

    fn node_mut(&mut self, id: Id) -> &mut Node {
        &mut self.nodes[id.index()]
    }
}

impl Past {
    /// Returns a forest in which nobody is known yet, for the IDs that `ids` has now.
    pub(crate) fn new(ids: &Interner<Node>, history: bool) -> Self {
        let mut past = Self { nodes: Vec::new(), state: State::new(history), next: 0 };
        past.extend(ids);
        past
    }

    /// Makes room for the IDs that `ids` has got meanwhile.
    pub(crate) fn extend(&mut self, ids: &Interner<Node>) {
        let alone = |number| {
            let id = Id::new(number);
            Node::alone(id, ids.marks(id).of_looks())
        };
        self.nodes.extend((self.nodes.len() as u32..ids.len() as u32).map(alone));
    }

    /// Returns the position up to which it has looked.
    pub(crate) fn position(&self) -> u64 {
        self.state.position()
    }

    /// Judges steps again and tells `watch` of each link; returns how many come before `until`.
    pub(crate) fn take(
        &mut self,
        rules: Rules,
        ids: &Interner<Node>,
        (retracted, until): (&HashSet<u64>, u64),
        steps: Steps,
        watch: impl FnMut(JudgedLink),
    ) -> Result<usize, Damage> {
        let replay = Replay { rules, retracted, until, is_checked: false };
        let mut view = View { nodes: &mut self.nodes, ids };
        replay.run(&mut view, &mut self.state, &mut self.next, steps, watch)
    }

    /// Returns the canonical ID of `id`, which may be the ID itself because it is not known.
    pub(crate) fn canonical(&self, id: Id) -> Id {
        if id.number() < self.next { Forest::canonical(self, self.root(id)) } else { id }
    }
}
