//! A resolver that lasts: its steps recorded, read back, replayed, retracted and explained.
//!
//! A *journal* is wherever a caller keeps the steps of a resolver; this crate only makes them and
//! reads them. [`JournaledResolver`] wraps a [`Resolver`] and passes a recorder into each call that
//! changes it, so the resolver itself does not depend on it.
//!
//! - [`record`]: steps and texts as numbers and bytes.
//! - [`restore`]: a resolver made again from its journal.
//! - [`replay`]: steps judged again. [`past`]: the same beside a resolver that goes on.
//! - [`retract`]: links and acts taken back. [`retractions`]: all retractions so far.
//! - [`origins`]: event times and sources of links.
//! - [`explain`]: the links behind a cluster. [`statements`]: all that is stated about it.
//! - [`change_feed`]: changed canonical IDs since a position.
//! - [`checkpoint`]: a resolver's arrays as bytes.
//!
//! # Invariants
//!
//! 1. An ID's number in the journal is its number here.
//! 2. New numbers appear in the journal's steps in their order: the next new one is the smallest
//!    that has not appeared.
//! 3. A resolver made of a journal's steps equals the one that recorded them.

use std::ops::{Deref, Range};

use crate::clusters::forest::Forest;
use crate::clusters::marks::Marks;
use crate::error::{Error, Stopped};
use crate::ids::id::Id;
use crate::ids::key::Key;
use crate::journal::origins::{Noting, Origin, Origins};
use crate::journal::record::{Record, Steps, StoredText};
use crate::journal::retractions::Retractions;
use crate::link::{Kind, Operand, Outcome};
use crate::resolver::Resolver;
use crate::resolver::acts::NotApart;
use crate::resolver::batch::Batch;

pub(crate) mod change_feed;
pub(crate) mod checkpoint;
pub(crate) mod explain;
pub(crate) mod origins;
pub(crate) mod past;
pub(crate) mod record;
pub(crate) mod replay;
pub(crate) mod restore;
pub(crate) mod retract;
pub(crate) mod retractions;
pub(crate) mod statements;

/// The longest text, in bytes, of an ID that a journal takes: the two of a step stand in one block,
/// and no database keeps a gigabyte in one value.
pub const LONGEST_TEXT: usize = 1 << 28;

/// A resolver whose steps can be recorded for a journal.
///
/// Answers as the resolver that it wraps, to which it dereferences. Everything that changes a
/// resolver goes through it, so that nothing is left out of the record. Without a record it is that
/// resolver.
pub struct JournaledResolver {
    resolver: Resolver,
    /// The steps that the journal does not have yet, if there is a journal.
    unwritten: Option<Unwritten>,
    retractions: Retractions,
}

/// The steps and texts that are not in the journal yet.
#[derive(Debug, Default)]
struct Unwritten {
    record: Record,
    origins: Origins,
    /// The number of IDs whose texts are in the journal.
    texts: u32,
    /// The number of the batch that was written last from here.
    batch: Option<u64>,
}

impl Deref for JournaledResolver {
    type Target = Resolver;

    #[inline]
    fn deref(&self) -> &Resolver {
        &self.resolver
    }
}

impl JournaledResolver {
    /// Wraps a resolver that has taken nothing yet; nothing is recorded until
    /// [`Self::keep_record`].
    ///
    /// # Panics
    ///
    /// If the resolver has taken something: a journal would lack that.
    pub fn new(resolver: Resolver) -> Self {
        check_that_nothing_was_taken(&resolver);
        Self { resolver, unwritten: None, retractions: Retractions::default() }
    }

    /// Returns whether a retraction has a position from `since` on.
    pub fn has_retracted_since(&self, since: u64) -> bool {
        self.retractions.all().last().is_some_and(|&(by, _)| by >= since)
    }

    /// Keeps the link behind each merge from now on; see [`Resolver::keep_history`].
    pub fn keep_history(&mut self) {
        self.resolver.keep_history();
    }

    /// Records every step from now on; to be called before the first one.
    ///
    /// Texts are limited to [`LONGEST_TEXT`] from then on.
    ///
    /// # Panics
    ///
    /// If a step was taken already: the record would lack it.
    pub fn keep_record(&mut self) {
        check_that_nothing_was_taken(&self.resolver);
        self.unwritten = Some(Unwritten::default());
        self.resolver.limit_texts(LONGEST_TEXT);
    }

    /// Judges one link; see [`Resolver::link`].
    pub fn link(&mut self, kind: Kind, first: Operand, second: Operand) -> Result<Outcome, Error> {
        match &mut self.unwritten {
            None => self.resolver.link(kind, first, second),
            Some(unwritten) => self.resolver.link_recorded(kind, first, second, &mut unwritten.record),
        }
    }

    /// Makes an ID known, if it is valid; see [`Resolver::observe`].
    pub fn observe(&mut self, id: Operand) -> Result<(), Error> {
        match &mut self.unwritten {
            None => self.resolver.observe(id),
            Some(unwritten) => self.resolver.observe_recorded(id, &mut unwritten.record),
        }
    }

    /// Takes an event of an ID that was sent under another one; see
    /// [`Resolver::observe_evidence`].
    pub fn observe_evidence(&mut self, id: Operand, sent: Operand) -> Result<(), Error> {
        match &mut self.unwritten {
            None => self.resolver.observe_evidence(id, sent),
            Some(unwritten) => self.resolver.observe_evidence_recorded([id, sent], &mut unwritten.record),
        }
    }

    /// Takes the rows of a batch; see [`Resolver::take_batch`].
    pub fn take_batch(&mut self, batch: &mut Batch, outcomes: &mut Vec<Outcome>) -> Result<(), Stopped> {
        match &mut self.unwritten {
            None => self.resolver.take_batch(batch, outcomes),
            Some(unwritten) => self.resolver.take_batch_recorded(batch, outcomes, &mut unwritten.record),
        }
    }

    /// Takes the rows of a batch, as [`Self::take_batch`], and notes the origins of links if there
    /// is a record: `of_row` returns a row's event time, and its number in the `source`.
    ///
    /// # Errors
    ///
    /// As [`Self::take_batch`].
    pub fn take_batch_of(
        &mut self,
        batch: &mut Batch,
        outcomes: &mut Vec<Outcome>,
        source: Option<&str>,
        of_row: impl FnMut(usize) -> (Option<i64>, u64),
    ) -> Result<(), Stopped> {
        let position = self.resolver.position();
        let Some(unwritten) = &mut self.unwritten else {
            return self.resolver.take_batch(batch, outcomes);
        };
        let source = source.map(|name| unwritten.origins.source(name));
        let (record, origins) = (&mut unwritten.record, &mut unwritten.origins);
        let mut noting = Noting { record, origins, source, position, row: 0, of_row };
        self.resolver.take_batch_recorded(batch, outcomes, &mut noting)
    }

    /// Returns the origins of the links from one position to before another that are not in the
    /// journal yet, and the names of all sources.
    pub fn origins(&self, start: u64, end: u64) -> (&[Origin], &[Box<str>]) {
        let origins = self.unwritten.as_ref().map(|unwritten| &unwritten.origins);
        origins.map_or((&[], &[]), |origins| (origins.between(start, end), origins.sources()))
    }

    /// Keeps two IDs apart from now on; see [`Resolver::keep_apart`].
    pub fn keep_apart(&mut self, ids: [&str; 2]) -> Result<(), NotApart> {
        match &mut self.unwritten {
            None => self.resolver.keep_apart(ids),
            Some(unwritten) => self.resolver.keep_apart_recorded(ids, &mut unwritten.record),
        }
    }

    /// Forgets a known ID; see [`Resolver::forget`].
    pub fn forget(&mut self, id: Id) -> Result<(), Error> {
        match &mut self.unwritten {
            None => self.resolver.forget(id),
            Some(unwritten) => self.resolver.forget_recorded(id, &mut unwritten.record),
        }
    }

    /// Returns the steps and texts that are not in the journal yet, if there is a record.
    pub fn pending(&self) -> Option<Pending<'_>> {
        let unwritten = self.unwritten.as_ref()?;
        Some(Pending { steps: unwritten.record.steps(), ids: unwritten.texts..self.numbered() as u32 })
    }

    /// Notes that the first `steps` pending ones, and the texts before number `texts`, are in the
    /// journal now, as this batch.
    ///
    /// A second note of the same batch changes nothing: a caller that was interrupted may repeat
    /// it.
    pub fn written(&mut self, batch: u64, steps: usize, texts: u32) {
        if let Some(unwritten) = &mut self.unwritten
            && unwritten.batch != Some(batch)
        {
            unwritten.record.drop_first(steps);
            let first = self.resolver.position() - unwritten.record.steps().positions();
            unwritten.origins.drop_before(first);
            unwritten.texts = texts;
            unwritten.batch = Some(batch);
        }
    }

    /// Calls `write` with the text of an ID in the form in which a journal keeps it.
    pub fn store<T>(&self, id: Id, write: impl FnOnce(StoredText) -> T) -> T {
        let clusters = self.clusters();
        let key = clusters.key(id);
        match key.uuid() {
            Some((bytes, false)) => write(StoredText::Uuid(bytes)),
            Some((bytes, true)) => write(StoredText::DeviceUuid(bytes)),
            None if key == Key::FORGOTTEN => {
                write(StoredText::Forgotten { anonymous: clusters.marks(id).has(Marks::ANONYMOUS) })
            }
            None => write(StoredText::Text(clusters.text(id).as_str())),
        }
    }

    /// Returns the position of each retraction, and that of what it takes back, in their order.
    pub fn retractions(&self) -> &[(u64, u64)] {
        self.retractions.all()
    }
}

fn check_that_nothing_was_taken(resolver: &Resolver) {
    assert!(resolver.numbered() == 0 && resolver.position() == 0, "a record begins before the first step");
}

/// Steps that are not in the journal yet, and the texts of the IDs that they are the first to name.
pub struct Pending<'a> {
    /// The steps.
    pub steps: Steps<'a>,
    /// The numbers of the IDs.
    pub ids: Range<u32>,
}

impl Pending<'_> {
    /// Returns the steps of this range, which are the first to name the IDs of these numbers.
    #[must_use]
    pub fn part(&self, steps: Range<usize>, ids: Range<u32>) -> Self {
        Self { steps: self.steps.before(steps.end).behind(steps.start), ids }
    }

    /// Returns as many of the steps, at least one, as fit in `room` bytes with the texts of the IDs
    /// that they are the first to name.
    #[must_use]
    pub fn fitting(&self, core: &JournaledResolver, room: usize) -> Self {
        let (steps, next) = self.steps.fitting(self.ids.start, room, |id| core.store(id, |text| text.size()));
        self.part(0..steps, self.ids.start..next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clusters::canonical::Strategy;
    use crate::clusters::policy::Policy;
    use crate::link::Step;

    fn used() -> Resolver {
        let mut resolver = Resolver::new(Policy::default(), Strategy::Stable);
        resolver.observe("a".into()).expect("there is room");
        resolver
    }

    #[test]
    #[should_panic(expected = "a record begins before the first step")]
    fn a_resolver_that_has_taken_something_is_not_wrapped() {
        let _ = JournaledResolver::new(used());
    }

    #[test]
    #[should_panic(expected = "a record begins before the first step")]
    fn no_record_begins_behind_the_first_step() {
        let mut core = JournaledResolver::new(Resolver::new(Policy::default(), Strategy::Stable));
        core.observe("a".into()).expect("there is room");
        core.keep_record();
    }

    #[test]
    fn links_alone_have_origins_and_each_that_of_its_row() {
        let mut core = JournaledResolver::new(Resolver::new(Policy::default(), Strategy::Stable));
        core.keep_record();
        core.link(Kind::Merge, "x".into(), "y".into()).expect("there is room");
        let (preparer, mut batch) = (core.preparer(), Batch::default());
        let text = Operand::Text;
        for step in [
            Step::Observe(text("a")),
            Step::Link(Kind::Merge, text("a"), text("b")),
            Step::Evidence(text("a"), text("a")), // It joins nothing, and has no position.
            Step::Link(Kind::Merge, Operand::Missing, text("b")),
            Step::Evidence(text("a"), text("c")),
        ] {
            batch.push(&preparer, step);
        }
        let of_row = |row: usize| ((row != 3).then_some(row.cast_signed() as i64), row as u64);
        core.take_batch_of(&mut batch, &mut Vec::new(), Some("f"), of_row).expect("there is room");
        let (origins, sources) = core.origins(0, 9);
        let found: Vec<_> = origins.iter().map(|one| (one.position, one.time, one.place)).collect();
        assert_eq!(found, [(1, Some(1), Some((0, 1))), (2, None, Some((0, 3))), (3, Some(4), Some((0, 4)))]);
        assert_eq!(sources, ["f".into()]);
        let pending = core.pending().expect("there is a record").steps.codes.len();
        core.written(0, pending, 0);
        assert!(core.origins(0, 9).0.is_empty() && core.origins(0, 9).1.is_empty());
    }
}
