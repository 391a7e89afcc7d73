//! Restoring: a resolver made again from the batches of its journal.
//!
//! The steps are replayed in the resolver's own forest, and each text is interned when a step is
//! the first to name it. So a restored resolver equals the one that recorded the steps, numbers
//! included.
//!
//! # Errors
//!
//! A batch whose texts or steps are damaged is an error, and the resolver is of no use then. Texts
//! are refused that are empty, too long for a key, a UUID of another variant, or the text of an ID
//! that has a number already; steps are refused by [`replay`](crate::journal::replay). And each
//! text must have a step that is the first to name it.

use std::collections::HashSet;

use crate::clusters::forest::{Clusters, Node, Nodes};
use crate::clusters::marks::Marks;
use crate::clusters::policy::Policy;
use crate::error::Error;
use crate::ids::hasher::{Hasher, Probe};
use crate::ids::id::Id;
use crate::ids::interner::Interner;
use crate::ids::key::{Key, Text};
use crate::journal::JournaledResolver;
use crate::journal::record::{ACT, FORGET, Steps, StoredText};
use crate::journal::replay::{Damage, Replay, ReplayTarget};
use crate::journal::retractions::Retractions;

/// The number of texts ahead at which the index is prefetched.
const AHEAD: usize = 16;

/// A resolver's IDs while a batch is read back.
struct Restoring<'a> {
    ids: &'a mut Interner<Node>,
    retractions: &'a mut Retractions,
    /// The batch's texts, None for a forgotten one, and the marks that they have by their looks.
    texts: Vec<(Option<Probe<'a>>, Marks)>,
    /// The number of the first of them.
    first: usize,
}

impl Nodes for Restoring<'_> {
    #[inline]
    fn node(&self, id: Id) -> &Node {
        self.ids.node(id)
    }

    #[inline]
    fn node_mut(&mut self, id: Id) -> &mut Node {
        self.ids.node_mut(id)
    }
}

impl Clusters for Restoring<'_> {
    fn text(&self, id: Id) -> Text<'_> {
        self.ids.text(id)
    }

    #[inline]
    fn prefetch_node(&self, id: Id) {
        self.ids.prefetch_node(id);
    }
}

impl ReplayTarget for Restoring<'_> {
    /// Interns the text that the batch has for the next number.
    fn introduce(&mut self, id: Id) -> Result<(), &'static str> {
        let row = id.index() - self.first;
        if let Some((Some(probe), _)) = self.texts.get(row + AHEAD) {
            self.ids.prefetch(probe.hash);
        }
        let (probe, marks) = self.texts.get(row).ok_or("an ID has no text")?;
        if self.ids.is_starved() {
            return Err(Damage::NO_MEMORY);
        }
        let node = |id| Node::alone(id, *marks);
        match probe {
            Some(probe) => drop(self.ids.intern(probe, node)),
            None => self.ids.push_forgotten(node),
        }
        if self.ids.len() == id.index() { Err("an ID has two numbers") } else { Ok(()) }
    }

    fn wipe(&mut self, id: Id) {
        self.ids.forget(id);
    }

    fn retract(&mut self, position: u64, target: u64) {
        self.retractions.push(position, target);
    }
}

impl JournaledResolver {
    /// Reads back a batch of the journal, up to the position `until`, and returns whether that was
    /// not reached yet.
    ///
    /// `texts` are those of the IDs that the batch's steps are the first to name. `retracted` are
    /// the positions that are taken back by the retractions before `until`. If `is_checked`, an
    /// outcome that differs from the recorded one is damage.
    ///
    /// # Errors
    ///
    /// If no resolver with this policy can have recorded the batch, or there is no memory for it.
    pub fn restore<'a>(
        &mut self,
        texts: impl Iterator<Item = StoredText<'a>>,
        steps: Steps,
        (retracted, until): (&HashSet<u64>, u64),
        is_checked: bool,
    ) -> Result<bool, Damage> {
        let (ids, state, rules) = self.resolver.parts_mut();
        let (hasher, policy) = (ids.hasher(), rules.policy);
        let probe = |(step, text)| probe(hasher, policy, text).map_err(|what| Damage { step, what });
        let texts = texts.enumerate().map(probe).collect::<Result<Vec<_>, _>>()?;
        let bytes = texts.iter().filter_map(|(probe, _)| Some(probe.as_ref()?.text.len())).sum();
        let (first, count) = (ids.len(), texts.len());
        let room = ids.make_room(count, bytes).and_then(|()| state.reserve(first + count));
        room.map_err(|error| match error {
            Error::NoMemory => Damage { step: 0, what: Damage::NO_MEMORY },
            _ => Damage { step: 0, what: "there are more IDs than can be numbered" },
        })?;
        let unwritten = self.unwritten.get_or_insert_default();
        let mut restoring = Restoring { ids, retractions: &mut self.retractions, texts, first };
        let replay = Replay { rules, retracted, until, is_checked };
        let mut next = first as u32;
        let taken = replay.run(&mut restoring, state, &mut next, steps, |_| ())?;
        let goes_on = taken == steps.codes.len();
        unwritten.texts = next;
        if goes_on && next as usize != first + count {
            return Err(Damage { step: 0, what: "a text has no step" });
        }
        Ok(goes_on)
    }

    /// Leaves out the links at these positions, which are not read back yet, as if they had never
    /// been sent; they have to be among those that [`Self::restore`] is to leave out.
    pub fn leave_out(&mut self, positions: &HashSet<u64>) {
        self.retractions.leave_out(positions);
    }

    /// Wipes the texts of the IDs that `later` steps forget, as compacting the journal would.
    ///
    /// An earlier moment that is read back does not show texts that were forgotten since.
    pub fn wipe_forgotten(&mut self, later: Steps) {
        let (ids, ..) = self.resolver.parts_mut();
        for (code, &id) in later.codes.iter().zip(later.first) {
            if code & ACT == FORGET && (id as usize) < ids.len() {
                ids.forget(Id::new(id));
            }
        }
    }

    /// Ends reading back at an earlier position: an ID whose text is wiped, and whose forgetting
    /// was not read, counts as forgotten already.
    pub fn end_restoring(&mut self) {
        if self.clusters().wiped() == self.state().overrides.forgotten().len() {
            return;
        }
        let wiped: Vec<Id> = self.numbers().filter(|&id| self.named(id).is_none()).collect();
        let (ids, state, rules) = self.resolver.parts_mut();
        for id in wiped {
            if state.overrides.is_known(id) && !state.overrides.is_forgotten(id) {
                rules.forget(ids, state, id);
            }
        }
    }
}

/// Returns the probe of a text out of a journal, None for a forgotten one, and the marks that it
/// has by its looks.
///
/// # Errors
///
/// A description of the fault, if no ID can have the text.
fn probe<'a>(
    hasher: &Hasher,
    policy: &Policy,
    text: StoredText<'a>,
) -> Result<(Option<Probe<'a>>, Marks), &'static str> {
    let uuid = |bytes, after_prefix| {
        let key = Key::of_uuid(bytes, after_prefix).ok_or("a UUID is of another variant")?;
        Ok((Some(hasher.probe_key(key)), policy.marks_of_uuid(key)))
    };
    match text {
        StoredText::Uuid(bytes) => uuid(bytes, false),
        StoredText::DeviceUuid(bytes) => uuid(bytes, true),
        StoredText::Text(text) if text.is_empty() || text.len() > Key::MAX_TEXT => {
            Err("no ID has such a text")
        }
        StoredText::Text(text) => Ok((Some(hasher.probe(text)), policy.marks(text, Key::pack(text)))),
        StoredText::Forgotten { anonymous: true } => Ok((None, Marks::ANONYMOUS)),
        StoredText::Forgotten { anonymous: false } => Ok((None, Marks::NONE)),
    }
}
