//! The search for many texts at once, with memory prefetched before it is needed.
//!
//! A search reads a bucket, then an entry, and waits for both. So a batch goes in groups, in
//! passes, and every pass asks for the memory that the next one needs:
//!
//! 1. ask for the buckets of the hashes, while the group before is further on;
//! 2. match tags, which gives a guess of the ID, and ask for its entry;
//! 3. read its key, and ask for its text if that did not pack;
//! 4. compare.
//!
//! The first two are a [`Prefetcher`]'s. It can make them on another thread while the interner
//! changes: its guesses may be wrong then, and the interner searches again where one was.
//!
//! # Invariant
//!
//! After the four passes an operand has an ID exactly if its guess was right. One without an ID may
//! be known all the same, if the interner has grown since or its bucket was passed.

use std::ops::Range;

use bytemuck::Zeroable;

use crate::arch::Addresses;
use crate::ids::id::Id;
use crate::ids::index::directory::Buckets;
use crate::ids::interner::Interner;
use crate::resolver::batch::{Batch, GROUP, Prepared, clamped, clamped_mut};

/// Guesses which IDs the texts of a batch are, from the index as it was or as it has become.
#[derive(Clone)]
pub struct Prefetcher {
    buckets: Buckets,
    /// The addresses of the interner's entries, good for hints alone.
    entries: Addresses,
}

impl Prefetcher {
    /// Returns a prefetcher for the texts of `ids`.
    pub(crate) fn new<T: Zeroable + Copy>(ids: &Interner<T>) -> Self {
        Self { buckets: ids.buckets().clone(), entries: ids.addresses() }
    }

    /// Makes the first two passes over a whole batch.
    ///
    /// Changes nothing but the guesses, so another thread may do it while the resolver takes other
    /// batches.
    pub fn prefetch(&self, batch: &mut Batch) {
        batch.is_prefetched = true;
        let rows = batch.sides[0].len();
        self.expect(&batch.sides, 0..GROUP);
        for start in (0..rows).step_by(GROUP) {
            self.expect(&batch.sides, start + GROUP..start + 2 * GROUP);
            self.guess(&mut batch.sides, start..start + GROUP);
        }
    }

    /// The first pass over some rows.
    #[inline]
    fn expect(&self, sides: &[Vec<Prepared>], rows: Range<usize>) {
        for side in sides {
            for prepared in clamped(side, &rows) {
                self.buckets.prefetch(prepared.hash);
            }
        }
    }

    /// The second pass over some rows.
    #[inline]
    fn guess(&self, sides: &mut [Vec<Prepared>], rows: Range<usize>) {
        for side in sides {
            for prepared in clamped_mut(side, &rows) {
                let guess = self.buckets.guess(prepared.hash);
                // Without a branch, which would often be predicted wrong; a hint at the first entry
                // does no harm.
                self.entries.prefetch(guess.id().unwrap_or(Id::FIRST).index());
                prepared.guess = guess;
            }
        }
    }
}

/// The passes over one batch, a group at a time.
///
/// While one group is compared, the memory of the next one is on its way: a group is long enough
/// for that, and short enough that what was asked for is still in the cache.
pub(crate) struct Search {
    /// Makes the first two passes, unless they were made ahead.
    prefetcher: Option<Prefetcher>,
}

impl Search {
    /// Begins with a batch, and asks for what its first group will read.
    #[inline]
    pub fn begin<T: Zeroable + Copy>(ids: &Interner<T>, batch: &Batch) -> Self {
        let search = Self { prefetcher: (!batch.is_prefetched).then(|| Prefetcher::new(ids)) };
        search.ask_for(ids, &batch.sides, 0);
        search
    }

    /// Searches for a group, and asks for what the next one will read first.
    ///
    /// Calls `found` with each ID that was guessed right. The other operands have none afterwards,
    /// and where that matters they must be searched for one by one.
    #[inline]
    pub fn group<T: Zeroable + Copy>(
        &self,
        ids: &Interner<T>,
        sides: &mut [Vec<Prepared>; 3],
        texts: &[String; 3],
        start: usize,
        found: impl Fn(Id),
    ) {
        let group = start..start + GROUP;
        if let Some(prefetcher) = &self.prefetcher {
            prefetcher.guess(sides, group.clone());
        }
        self.ask_for(ids, sides, group.end);
        confirm(ids, sides, texts, group, found);
    }

    /// Asks for what the group from `start` on will read first.
    #[inline]
    fn ask_for<T: Zeroable + Copy>(&self, ids: &Interner<T>, sides: &[Vec<Prepared>; 3], start: usize) {
        match &self.prefetcher {
            Some(prefetcher) => prefetcher.expect(sides, start..start + GROUP),
            None => approach(ids, sides, start..start + GROUP),
        }
    }
}

/// Asks for the entries of guesses that were made ahead, perhaps on another core with another
/// cache.
#[inline]
fn approach<T: Zeroable + Copy>(ids: &Interner<T>, sides: &[Vec<Prepared>], rows: Range<usize>) {
    for side in sides {
        for prepared in clamped(side, &rows) {
            match prepared.guess.id() {
                Some(id) => ids.prefetch_entry(id),
                None => ids.prefetch(prepared.hash),
            }
        }
    }
}

/// The third and fourth pass over some rows.
#[inline]
fn confirm<T: Zeroable + Copy>(
    ids: &Interner<T>,
    sides: &mut [Vec<Prepared>; 3],
    texts: &[String; 3],
    rows: Range<usize>,
    found: impl Fn(Id),
) {
    for side in sides.iter() {
        for prepared in clamped(side, &rows).iter().filter(|prepared| !prepared.is_packed()) {
            if let Some(id) = prepared.id() {
                ids.prefetch_text(id);
            }
        }
    }
    for (side, texts) in sides.iter_mut().zip(texts) {
        for prepared in clamped_mut(side, &rows) {
            let is_right = |&id: &Id| prepared.is_valid() && ids.is(id, &prepared.probe(texts));
            let id = prepared.id().filter(is_right);
            prepared.set_id(id);
            if let Some(id) = id {
                found(id);
            }
        }
    }
}
