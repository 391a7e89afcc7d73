//! Queries: everything that is asked of a resolver and changes nothing.
//!
//! Paths in the forest stay as they are, for several threads may ask at once; a walk to a root
//! takes at most `log2(size)` steps. Forgotten IDs stand in the forest and in no answer, so sizes
//! and counts subtract them; without any that costs nothing.

use std::collections::HashMap;

use crate::clusters::forest::Forest;
use crate::error::Error;
use crate::ids::id::Id;
use crate::ids::key::{Key, Text};
use crate::link::Outcome;
use crate::resolver::Resolver;
use crate::resolver::batch::{Batch, GROUP, LONGEST_LOOKUP, clamped_mut};
use crate::resolver::prefetch::Search;

/// The answer to a look-up.
#[derive(Debug, Clone, Copy)]
pub enum Answer<'a> {
    /// There was no text to look up.
    Missing,
    /// The text itself: its ID is not known, or is canonical.
    Itself(Text<'a>),
    /// The text of another ID, which is the canonical one.
    Other(Text<'a>),
    /// The text exceeds a limit.
    Exceeded(Error),
}

impl Resolver {
    /// Returns the number of `text` if it is known.
    ///
    /// One search of the index. A text that is no ID, such as an empty one, is known to none.
    pub fn get(&self, text: &str) -> Option<Id> {
        self.ids.find(&self.ids.hasher().probe(text)).filter(|&id| self.state.overrides.is_known(id))
    }

    /// Looks up the texts of a batch of look-ups and calls `answer` for each, in order (SPEC 5).
    ///
    /// In groups, as [`Resolver::take_batch`] goes; a pass of its own asks for canonical IDs'
    /// texts.
    pub fn resolve_batch<'a>(&'a self, batch: &'a mut Batch, mut answer: impl FnMut(Answer<'a>)) {
        let (ids, search) = (&self.ids, Search::begin(&self.ids, batch));
        let Batch { sides, texts, .. } = batch;
        for start in (0..sides[0].len()).step_by(GROUP) {
            search.group(ids, sides, texts, start, |id| ids.prefetch_entry(ids.above(id)));
            let side = clamped_mut(&mut sides[0], &(start..start + GROUP));
            for prepared in side.iter_mut().filter(|prepared| prepared.is_valid()) {
                // Where the guess was wrong, a search is due.
                let id = prepared.id().or_else(|| ids.find(&prepared.probe(&texts[0])));
                let canonical = id.and_then(|id| self.other_canonical(id));
                prepared.set_id(canonical);
                if let Some(canonical) = canonical {
                    ids.prefetch_entry(canonical);
                }
            }
            for prepared in side.iter() {
                answer(match prepared.id() {
                    _ if !prepared.is_valid() => {
                        prepared.exceeded(LONGEST_LOOKUP).map_or(Answer::Missing, Answer::Exceeded)
                    }
                    Some(canonical) => Answer::Other(ids.text(canonical)),
                    None => Answer::Itself(prepared.as_text(&texts[0])),
                });
            }
        }
    }

    /// Calls `answer` with the text of the canonical ID of each of these IDs, in order.
    pub fn resolve_ids<'a>(&'a self, ids: &[Id], mut answer: impl FnMut(Text<'a>)) {
        let mut named = [Id::new(0); GROUP];
        for group in ids.chunks(GROUP) {
            for &id in group {
                self.ids.prefetch_entry(id);
            }
            for (canonical, &id) in named.iter_mut().zip(group) {
                *canonical = self.canonical(id);
                self.ids.prefetch_entry(*canonical);
            }
            for &canonical in &named[..group.len()] {
                answer(self.ids.text(canonical));
            }
        }
    }

    /// Returns every known ID that was not forgotten, in the order in which they became known
    /// (SPEC 1).
    ///
    /// The order of numbers, into which the few IDs that became known out of turn are merged.
    pub fn ids(&self) -> impl Iterator<Item = Id> {
        let overrides = &self.state.overrides;
        let mut moved = overrides.moved().into_iter().peekable();
        let mut natural = self.numbers().filter(|&id| !overrides.is_moved(id)).peekable();
        std::iter::from_fn(move || match (moved.peek(), natural.peek()) {
            (Some(&late), Some(&id)) if overrides.rank(late) > overrides.rank(id) => natural.next(),
            (Some(_), _) => moved.next(),
            (None, _) => natural.next(),
        })
        .filter(|&id| overrides.is_known(id) && !overrides.is_forgotten(id))
    }

    /// Returns how many IDs have numbers, those that are not known and those that were forgotten
    /// included.
    pub fn numbered(&self) -> usize {
        self.ids.len()
    }

    /// Returns how many IDs have numbers, how many of these are not known, and how many were
    /// forgotten.
    pub fn census(&self) -> [usize; 3] {
        let overrides = &self.state.overrides;
        [self.ids.len(), overrides.unknown(), overrides.forgotten().len()]
    }

    /// Returns every known ID from number `first` on with its canonical ID, in the order of
    /// numbers.
    pub fn canonical_ids(&self, first: usize) -> impl Iterator<Item = (Id, Id)> {
        let overrides = &self.state.overrides;
        let numbers = (first.min(self.ids.len()) as u32..self.ids.len() as u32).map(Id::new);
        let known = numbers.filter(|&id| overrides.is_known(id) && !overrides.is_forgotten(id));
        known.map(|id| (id, self.canonical(id)))
    }

    /// Returns every ID that has a number, in the order of numbers.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = Id> + use<> {
        (0..self.ids.len() as u32).map(Id::new)
    }

    /// Returns the text of `id`; that of a forgotten ID is empty.
    pub fn text(&self, id: Id) -> Text<'_> {
        self.ids.text(id)
    }

    /// Returns the text of `id`, or None if it was forgotten.
    pub fn named(&self, id: Id) -> Option<Text<'_>> {
        (self.ids.key(id) != Key::FORGOTTEN).then(|| self.ids.text(id))
    }

    /// Returns the canonical ID of the cluster of `id` (SPEC 5).
    #[inline]
    pub fn canonical(&self, id: Id) -> Id {
        self.ids.canonical(self.ids.root(id))
    }

    /// Returns the canonical ID of the cluster of `id` unless that is `id` itself: mostly a look-up
    /// need not copy the text that it was given.
    #[inline]
    pub fn other_canonical(&self, id: Id) -> Option<Id> {
        Some(self.canonical(id)).filter(|&canonical| canonical != id)
    }

    /// Returns how many IDs the cluster of `id` has, forgotten ones not counted.
    ///
    /// Costs a walk to the root, and one more for each ID that was ever forgotten; for the sizes of
    /// all clusters see [`Self::mapping`] and [`Self::cluster_sizes`].
    pub fn size(&self, id: Id) -> u32 {
        let root = self.ids.root(id);
        let forgotten = self.state.overrides.forgotten().iter();
        self.ids.size(root) - forgotten.filter(|&&id| self.ids.root(id) == root).count() as u32
    }

    /// Returns the number of forgotten IDs of each cluster that has some, by the cluster's root.
    fn forgotten_by_root(&self) -> HashMap<Id, u32> {
        let mut counts = HashMap::new();
        for &id in self.state.overrides.forgotten() {
            *counts.entry(self.ids.root(id)).or_default() += 1;
        }
        counts
    }

    /// Returns every known ID with the canonical ID and the size of its cluster, in the
    /// order of [`Self::ids`].
    ///
    /// The whole mapping (SPEC 5) as numbers; a row costs a walk to the root.
    pub fn mapping(&self) -> impl Iterator<Item = (Id, Id, u32)> {
        let forgotten = self.forgotten_by_root();
        self.ids().map(move |id| {
            let root = self.ids.root(id);
            (id, self.ids.canonical(root), self.ids.size(root) - forgotten.get(&root).unwrap_or(&0))
        })
    }

    /// Returns whether `a` and `b` are in one cluster: two walks to a root.
    pub fn same(&self, a: Id, b: Id) -> bool {
        self.ids.root(a) == self.ids.root(b)
    }

    /// Returns the members of the cluster of `id` in the order in which they became known, without
    /// those that were forgotten.
    ///
    /// `O(size log size)`: members are linked in a circle, and have to be sorted.
    pub fn members(&self, id: Id) -> Vec<Id> {
        let overrides = &self.state.overrides;
        let named = self.ids.members(id).filter(|&member| !overrides.is_forgotten(member));
        let mut members: Vec<Id> = named.collect();
        members.sort_unstable_by_key(|&member| overrides.rank(member));
        members
    }

    /// Returns how many IDs are known, forgotten ones not counted, in `O(1)`.
    pub fn len(&self) -> usize {
        let overrides = &self.state.overrides;
        self.ids.len() - overrides.unknown() - overrides.forgotten().len()
    }

    /// Returns whether no ID is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many clusters there are, those of one ID included.
    ///
    /// Counted without a look at the forest: every merge made one cluster out of two.
    pub fn cluster_count(&self) -> usize {
        let is_nameless = |(root, forgotten): (&Id, &u32)| self.ids.size(*root) == *forgotten;
        let nameless = self.forgotten_by_root().iter().filter(|&cluster| is_nameless(cluster)).count();
        let unions = self.state.unions() as usize;
        self.ids.len() - self.state.overrides.unknown() - unions - nameless
    }

    /// Returns the size of every cluster, those of one ID included, in no particular order.
    ///
    /// A cluster of which all IDs were forgotten has no size any more, and is left out.
    pub fn cluster_sizes(&self) -> impl Iterator<Item = u32> {
        let forgotten = self.forgotten_by_root();
        let roots = self.numbers().filter(|&id| self.ids.is_root(id) && self.state.overrides.is_known(id));
        roots
            .map(move |root| self.ids.size(root) - forgotten.get(&root).unwrap_or(&0))
            .filter(|&size| size > 0)
    }

    /// Returns how many links had each outcome so far, by the outcome's number; links that were
    /// retracted have none.
    pub fn outcomes(&self) -> [u64; Outcome::COUNT] {
        self.state.outcomes
    }

    /// Returns how many links there were that Mixpanel refused itself and the other rules accept.
    pub fn differing(&self) -> u64 {
        self.state.differing
    }

    /// Returns how many links and acts there were, which is the position of the next one (SPEC 8).
    pub fn position(&self) -> u64 {
        self.state.position()
    }
}
