//! Looking for many texts at once, ahead of the interner that knows them.
//!
//! A search reads a bucket, then an entry, and waits for both. So a batch goes in groups, in passes, and
//! every pass asks for the memory that the next one needs:
//!
//! 1. ask for the buckets of the hashes, while the group before is further on;
//! 2. match tags: which ID may it be? Ask for its entry;
//! 3. read its key, ask for its text if that did not pack;
//! 4. compare.
//!
//! The first two are a [`Prefetcher`]'s. It can do them on another thread while the interner changes: what it
//! finds is a guess, and the interner searches again where the guess was wrong.

use std::ops::Range;

use bytemuck::Zeroable;

use crate::arch::Addresses;
use crate::ids::id::Id;
use crate::ids::index::Buckets;
use crate::ids::interner::Interner;
use crate::resolver::batch::{Batch, GROUP, Prepared, clamped, clamped_mut};

/// Guesses which IDs the texts of a batch are.
#[derive(Clone)]
pub struct Prefetcher {
    buckets: Buckets,
    entries: Addresses,
}

impl Prefetcher {
    /// Returns a prefetcher among these buckets and entries.
    pub(crate) fn new(buckets: Buckets, entries: Addresses) -> Self {
        Self { buckets, entries }
    }

    /// Goes through the first two passes with a whole batch.
    pub fn prefetch(&self, batch: &mut Batch) {
        batch.is_prefetched = true;
        let rows = batch.sides[0].len();
        self.expect(&batch.sides, 0..GROUP);
        for start in (0..rows).step_by(GROUP) {
            self.expect(&batch.sides, start + GROUP..start + 2 * GROUP);
            self.guess(&mut batch.sides, start..start + GROUP);
        }
    }

    /// The first pass.
    #[inline]
    fn expect(&self, sides: &[Vec<Prepared>], rows: Range<usize>) {
        for side in sides {
            for prepared in clamped(side, &rows) {
                self.buckets.prefetch(prepared.hash);
            }
        }
    }

    /// The second pass.
    #[inline]
    fn guess(&self, sides: &mut [Vec<Prepared>], rows: Range<usize>) {
        for side in sides {
            for prepared in clamped_mut(side, &rows) {
                let guess = self.buckets.guess(prepared.hash);
                // Without a branch, which would often be guessed wrong; the first entry is as good as none.
                self.entries.prefetch(guess.id().unwrap_or(Id::FIRST).index());
                prepared.guess = guess;
            }
        }
    }
}

/// The passes over a batch, a group at a time, for whoever has an interner.
pub(crate) struct Search {
    /// Who guesses, unless that is done.
    prefetcher: Option<Prefetcher>,
}

impl Search {
    /// Begins with a batch.
    #[inline]
    pub fn begin<T: Zeroable + Copy>(ids: &Interner<T>, batch: &Batch) -> Self {
        let search = Self { prefetcher: (!batch.is_prefetched).then(|| ids.prefetcher()) };
        search.ask_for(ids, &batch.sides, 0);
        search
    }

    /// Searches for a group, and asks for what the next one will read first.
    ///
    /// Calls `found` with each ID that was guessed right. The other operands have none afterwards, and if
    /// it matters who they are, they must be searched for one by one.
    #[inline]
    pub fn group<T: Zeroable + Copy>(
        &self,
        ids: &Interner<T>,
        sides: &mut [Vec<Prepared>; 2],
        texts: &[String; 2],
        start: usize,
        found: impl Fn(Id),
    ) {
        let group = start..start + GROUP;
        if let Some(prefetcher) = &self.prefetcher {
            prefetcher.guess(sides, group.clone());
        }
        self.ask_for(ids, sides, group.end);
        ids.confirm(sides, texts, group, found);
    }

    #[inline]
    fn ask_for<T: Zeroable + Copy>(&self, ids: &Interner<T>, sides: &[Vec<Prepared>; 2], start: usize) {
        match &self.prefetcher {
            Some(prefetcher) => prefetcher.expect(sides, start..start + GROUP),
            None => ids.approach(sides, start..start + GROUP),
        }
    }
}

impl<T: Zeroable + Copy> Interner<T> {
    /// Asks for what these guesses lead to, once more if a prefetcher did, for that was elsewhere.
    #[inline]
    fn approach(&self, sides: &[Vec<Prepared>], rows: Range<usize>) {
        for side in sides {
            for prepared in clamped(side, &rows) {
                match prepared.guess.id() {
                    Some(id) => self.prefetch_entry(id),
                    None => self.prefetch(prepared.hash),
                }
            }
        }
    }

    /// The third and fourth pass.
    #[inline]
    fn confirm(
        &self,
        sides: &mut [Vec<Prepared>; 2],
        texts: &[String; 2],
        rows: Range<usize>,
        found: impl Fn(Id),
    ) {
        for side in sides.iter() {
            for prepared in clamped(side, &rows).iter().filter(|prepared| !prepared.is_packed()) {
                if let Some(id) = prepared.id() {
                    self.prefetch_text(id);
                }
            }
        }
        for (side, texts) in sides.iter_mut().zip(texts) {
            for prepared in clamped_mut(side, &rows) {
                let is_right = |&id: &Id| prepared.is_valid() && self.is(id, &prepared.probe(texts));
                let id = prepared.id().filter(is_right);
                prepared.set_id(id);
                if let Some(id) = id {
                    found(id);
                }
            }
        }
    }
}
