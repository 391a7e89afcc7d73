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
//! The first two are a [`Scout`]'s. It can do them on another thread while the interner changes: what it
//! finds is a guess, and the interner searches again where the guess was wrong.

use std::ops::Range;

use bytemuck::Zeroable;

use crate::arch::Addresses;
use crate::ids::id::Id;
use crate::ids::index::Buckets;
use crate::ids::interner::Interner;
use crate::resolver::batch::{Arrival, Batch, GROUP, clamped, clamped_mut};

/// Guesses which IDs the texts of a batch are.
#[derive(Clone)]
pub struct Scout {
    buckets: Buckets,
    entries: Addresses,
}

impl Scout {
    /// Returns a scout among these buckets and entries.
    pub(crate) fn new(buckets: Buckets, entries: Addresses) -> Self {
        Self { buckets, entries }
    }

    /// Goes through the first two passes with a whole batch.
    pub fn look_ahead(&self, batch: &mut Batch) {
        batch.is_scouted = true;
        let rows = batch.sides[0].len();
        self.expect(&batch.sides, 0..GROUP);
        for start in (0..rows).step_by(GROUP) {
            self.expect(&batch.sides, start + GROUP..start + 2 * GROUP);
            self.guess(&mut batch.sides, start..start + GROUP);
        }
    }

    /// The first pass.
    #[inline]
    fn expect(&self, sides: &[Vec<Arrival>], rows: Range<usize>) {
        for side in sides {
            for arrival in clamped(side, &rows) {
                self.buckets.prefetch(arrival.hash);
            }
        }
    }

    /// The second pass.
    #[inline]
    fn guess(&self, sides: &mut [Vec<Arrival>], rows: Range<usize>) {
        for side in sides {
            for arrival in clamped_mut(side, &rows) {
                let guess = self.buckets.guess(arrival.hash);
                // Without a branch, which would often be guessed wrong; the first entry is as good as none.
                self.entries.prefetch(guess.id().unwrap_or(Id::FIRST).index());
                arrival.guess = guess;
            }
        }
    }
}

/// The passes over a batch, a group at a time, for whoever has an interner.
pub(crate) struct Search {
    /// Who guesses, unless that is done.
    scout: Option<Scout>,
}

impl Search {
    /// Begins with a batch.
    #[inline]
    pub fn begin<T: Zeroable + Copy>(ids: &Interner<T>, batch: &Batch) -> Self {
        let search = Self { scout: (!batch.is_scouted).then(|| ids.scout()) };
        search.ask_for(ids, &batch.sides, 0);
        search
    }

    /// Searches for a group, and asks for what the next one will read first.
    ///
    /// Calls `found` with each ID that was guessed right. The other arrivals have none afterwards, and if
    /// it matters who they are, they must be searched for one by one.
    #[inline]
    pub fn group<T: Zeroable + Copy>(
        &self,
        ids: &Interner<T>,
        sides: &mut [Vec<Arrival>; 2],
        texts: &[String; 2],
        start: usize,
        found: impl Fn(Id),
    ) {
        let group = start..start + GROUP;
        if let Some(scout) = &self.scout {
            scout.guess(sides, group.clone());
        }
        self.ask_for(ids, sides, group.end);
        ids.confirm(sides, texts, group, found);
    }

    #[inline]
    fn ask_for<T: Zeroable + Copy>(&self, ids: &Interner<T>, sides: &[Vec<Arrival>; 2], start: usize) {
        match &self.scout {
            Some(scout) => scout.expect(sides, start..start + GROUP),
            None => ids.approach(sides, start..start + GROUP),
        }
    }
}

impl<T: Zeroable + Copy> Interner<T> {
    /// Asks for what these guesses lead to, once more if a scout did, for that was elsewhere.
    #[inline]
    fn approach(&self, sides: &[Vec<Arrival>], rows: Range<usize>) {
        for side in sides {
            for arrival in clamped(side, &rows) {
                match arrival.guess.id() {
                    Some(id) => self.prefetch_entry(id),
                    None => self.prefetch(arrival.hash),
                }
            }
        }
    }

    /// The third and fourth pass.
    #[inline]
    fn confirm(
        &self,
        sides: &mut [Vec<Arrival>; 2],
        texts: &[String; 2],
        rows: Range<usize>,
        found: impl Fn(Id),
    ) {
        for side in sides.iter() {
            for arrival in clamped(side, &rows).iter().filter(|arrival| !arrival.is_packed()) {
                if let Some(id) = arrival.id() {
                    self.prefetch_text(id);
                }
            }
        }
        for (side, texts) in sides.iter_mut().zip(texts) {
            for arrival in clamped_mut(side, &rows) {
                let is_right = |&id: &Id| arrival.is_valid() && self.is(id, &arrival.probe(texts));
                let id = arrival.id().filter(is_right);
                arrival.set_id(id);
                if let Some(id) = id {
                    found(id);
                }
            }
        }
    }
}
