//! The past: clusters as they were at an earlier position, or would be without some links.
//!
//! A [`Past`] replays a journal's steps in a forest of its own, 16 bytes an ID, and reads the texts
//! of the resolver whose journal it is. The resolver goes on meanwhile, and can take the result
//! over.
//!
//! # Invariants
//!
//! 1. A past has a node for each ID that the resolver had when it was last extended.
//! 2. IDs from number `next` on are not known in it yet.

use std::collections::HashSet;

use crate::arch::prefetch;
use crate::clusters::forest::{Clusters, Forest, Node, Nodes};
use crate::clusters::judge::{Rules, State};
use crate::error::Error;
use crate::ids::id::Id;
use crate::ids::interner::Interner;
use crate::ids::key::Text;
use crate::journal::JournaledResolver;
use crate::journal::record::Steps;
use crate::journal::replay::{Damage, JudgedLink, Replay, ReplayTarget};

/// A forest made again from steps; see the module.
///
/// Comparing it with the resolver shows what another history would change.
pub struct Past {
    pub(crate) nodes: Vec<Node>,
    pub(crate) state: State,
    /// The next number that has not appeared in the steps yet.
    next: u32,
}

/// An ID whose canonical ID is another one than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The ID.
    pub id: Id,
    /// The canonical ID before; the ID itself where it was not known.
    pub old: Id,
    /// The canonical ID now.
    pub new: Id,
}

/// The forest of a past with the texts of its IDs.
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

    /// Does nothing: a past does not change the resolver's texts.
    fn wipe(&mut self, _: Id) {}

    /// Does nothing: the resolver has the retractions.
    fn retract(&mut self, _: u64, _: u64) {}
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
    /// Returns a past in which no ID is known yet, with room for the IDs that `ids` has now.
    pub(crate) fn new(ids: &Interner<Node>, history: bool) -> Self {
        let mut past = Self { nodes: Vec::new(), state: State::new(history), next: 0 };
        past.extend(ids);
        past
    }

    /// Makes room for the IDs that `ids` has got meanwhile.
    pub(crate) fn extend(&mut self, ids: &Interner<Node>) {
        let alone = |number| {
            let id = Id::new(number);
            Node::alone(id, ids.marks(id).of_text())
        };
        self.nodes.extend((self.nodes.len() as u32..ids.len() as u32).map(alone));
    }

    /// Returns the position up to which it has replayed steps.
    pub(crate) fn position(&self) -> u64 {
        self.state.position()
    }

    /// Replays steps, calls `watch` with each link, and returns how many steps come before `until`.
    ///
    /// `ids` must be those of the resolver that took the steps, and `retracted` the same in each
    /// call.
    ///
    /// # Errors
    ///
    /// If a step is damaged.
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

    /// Returns the canonical ID of `id` then; the ID itself if it was not known.
    pub(crate) fn canonical(&self, id: Id) -> Id {
        if id.number() < self.next { Forest::canonical(self, self.root(id)) } else { id }
    }
}

impl JournaledResolver {
    /// Replays the steps of the journal, then those that are pending, up to the position `until`
    /// and without the positions in `retracted`.
    ///
    /// `steps` are the journal's batches from the first on. `watch` is called with each link.
    ///
    /// # Errors
    ///
    /// If the steps are damaged, or not all that this resolver took.
    pub fn look_back<'a>(
        &self,
        steps: impl IntoIterator<Item = Steps<'a>>,
        (retracted, until): (&HashSet<u64>, u64),
        history: bool,
        mut watch: impl FnMut(JudgedLink),
    ) -> Result<Past, Damage> {
        let ids = self.clusters();
        let mut past = Past::new(ids, history);
        let (rules, until_then) = (self.rules(), (retracted, until));
        for batch in steps {
            if past.take(rules, ids, until_then, batch, &mut watch)? < batch.codes.len() {
                return Ok(past);
            }
        }
        if let Some(unwritten) = &self.unwritten {
            past.take(rules, ids, until_then, unwritten.record.steps(), &mut watch)?;
        }
        if past.position() < until.min(self.position()) {
            return Err(Damage { step: 0, what: "the steps given are not all that this resolver took" });
        }
        Ok(past)
    }

    /// Replays all steps that made this resolver what it is; a journal may hold later ones.
    ///
    /// # Errors
    ///
    /// As [`Self::look_back`].
    pub fn look_back_to_now<'a>(
        &self,
        steps: impl IntoIterator<Item = Steps<'a>>,
        history: bool,
        watch: impl FnMut(JudgedLink),
    ) -> Result<Past, Damage> {
        let retracted = self.retractions.in_effect_at(u64::MAX);
        self.look_back(steps, (&retracted, self.position()), history, watch)
    }

    /// Forgets a known ID, as [`Self::forget`], and returns the changes of canonical IDs.
    ///
    /// That of a canonical ID takes as long as its cluster is large.
    pub fn forget_changing(&mut self, id: Id) -> Result<Vec<Change>, Error> {
        let before = self.canonical(id);
        self.forget(id)?;
        if before != id {
            return Ok(Vec::new());
        }
        let members = self.members(id).into_iter();
        Ok(self.changes(members, |_| before, |member| self.canonical(member)))
    }

    /// Returns the IDs whose canonical ID in `new` is another one than now.
    pub fn changes_to(&self, new: &Past) -> Vec<Change> {
        self.changes(self.numbers(), |id| self.canonical(id), |id| new.canonical(id))
    }

    /// Returns those of `ids` whose canonical IDs differ, in their order.
    ///
    /// Forgotten IDs are left out: they have no text by which a caller could find them.
    pub(crate) fn changes(
        &self,
        ids: impl Iterator<Item = Id>,
        old: impl Fn(Id) -> Id,
        new: impl Fn(Id) -> Id,
    ) -> Vec<Change> {
        let changes = ids.map(|id| Change { id, old: old(id), new: new(id) });
        changes.filter(|change| change.old != change.new && self.named(change.id).is_some()).collect()
    }
}
