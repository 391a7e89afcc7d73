//! The readable part of the index: buckets, and the directory from hashes to them.
//!
//! # Invariants
//!
//! 1. `directory[p]` is the route to the segment of all hashes whose `depth` highest bits are `p`.
//! 2. A route's `first` is `segment * len`, so its buckets lie side by side in the chunk.
//! 3. The bits of a hash have three uses: the highest choose the segment, sixteen below some of
//!    them are the tag, and the lowest 32 choose the home bucket within the segment.
//!
//! [`Buckets`] can be cloned and read on another thread while the index changes. Such a reader sees
//! the directory as it was, and buckets as they are or half written; so it gets a [`Guess`], which
//! is an answer only once the ID's key agrees.

use std::sync::Arc;

use crate::arch::{Chunk, prefetch};
use crate::ids::bucket::{Bucket, SLOTS};
use crate::ids::id::Id;

/// The most bits of a hash that choose its segment.
pub const DEEPEST: u32 = 16;
/// The number of splits after which a tag has too few bits left that differ, and is made anew.
pub const SPLITS_A_TAG: u32 = 8;

/// The way to the IDs whose hashes begin with the same bits.
#[derive(Clone, Copy)]
pub struct Route {
    /// The number of the segment.
    pub segment: u32,
    /// The segment's first bucket.
    first: u32,
    /// The shift from a hash to its tag: sixteen bits of which few are the same throughout.
    shift: u32,
}

impl Route {
    /// Returns the route to a segment of `len` buckets that has split `depth` times.
    pub fn new(segment: usize, len: usize, depth: u32) -> Self {
        let first = u32::try_from(segment * len).expect("there are fewer IDs than fill so many buckets");
        Self { segment: segment as u32, first, shift: u64::BITS - u16::BITS - skipped(depth) }
    }

    /// Returns the tag of a hash.
    #[inline]
    pub fn tag(self, hash: u64) -> u16 {
        (hash >> self.shift) as u16
    }
}

/// Returns how many of the highest bits of a hash tags leave out after so many splits.
pub fn skipped(depth: u32) -> u32 {
    depth / SPLITS_A_TAG * SPLITS_A_TAG
}

/// The result of one look at a home bucket: an ID that may have the hash, or one of the constants.
///
/// A guess from an index that does not change is wrong in one direction only: it may name an ID
/// with another text, but it never hides one that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guess(u32);

impl Guess {
    /// No ID in the index has the hash.
    pub const NO_ID: Self = Self(u32::MAX);
    /// The bucket is passed, so it takes a search.
    pub const UNCLEAR: Self = Self(u32::MAX - 1);

    /// Returns the guess that it is `id`.
    #[inline]
    pub fn of(id: Id) -> Self {
        Self(id.number())
    }

    /// Returns the ID, if the guess names one.
    #[inline]
    pub fn id(self) -> Option<Id> {
        (self.0 < Self::UNCLEAR.0).then(|| Id::new(self.0))
    }
}

/// The buckets of an index as they were when this was taken, or as they have become since.
#[derive(Clone)]
pub struct Buckets {
    /// The buckets of every segment, end to end.
    pub(super) chunk: Arc<Chunk<Bucket>>,
    pub(super) directory: Arc<[Route]>,
    /// The bits of a hash that choose an entry of the directory.
    pub(super) depth: u32,
    /// The number of buckets of a segment.
    pub(super) len: usize,
}

impl Buckets {
    /// Returns the route of a hash.
    #[inline]
    pub(super) fn route(&self, hash: u64) -> Route {
        self.directory[(hash >> (u64::BITS - DEEPEST) >> (DEEPEST - self.depth)) as usize]
    }

    /// Returns the home bucket, counted in its segment: by the 32 bits of the hash that choose
    /// neither segment nor tag.
    #[inline]
    pub(super) fn home(&self, hash: u64) -> usize {
        ((u64::from(hash as u32) * self.len as u64) >> 32) as usize
    }

    /// Returns the bucket after this one, counted in its segment; after the last comes the first.
    #[inline]
    pub(super) fn after(&self, at: usize) -> usize {
        if at + 1 == self.len { 0 } else { at + 1 }
    }

    /// Returns a bucket of a segment.
    #[inline]
    pub(super) fn bucket(&self, route: Route, at: usize) -> &Bucket {
        &self.chunk[route.first as usize + at]
    }

    /// Hints that a search for `hash` is about to begin.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        prefetch(self.bucket(self.route(hash), self.home(hash)));
    }

    /// Looks at the home bucket of `hash`.
    ///
    /// Without a branch but for the rare bucket that is passed: whether an ID is known is a coin's
    /// toss, and the processor would predict wrong half of the time.
    #[inline]
    pub fn guess(&self, hash: u64) -> Guess {
        let (route, home) = (self.route(hash), self.home(hash));
        let bucket = self.bucket(route, home);
        let state = bucket.state();
        let matches = bucket.matches(state, route.tag(hash));
        let id = bucket.id((matches.trailing_zeros() as usize).min(SLOTS - 1));
        if matches == 0 && state.is_passed() {
            prefetch(self.bucket(route, self.after(home)));
            return Guess::UNCLEAR;
        }
        if matches == 0 { Guess::NO_ID } else { Guess::of(id) }
    }

    /// Returns the ID with this hash that `is_right`.
    #[inline]
    pub fn find(&self, hash: u64, is_right: impl FnMut(Id) -> bool) -> Option<Id> {
        self.search(self.route(hash), hash, is_right).ok()
    }

    /// Returns the ID with this hash that `is_right`, or the bucket in which the search ended.
    ///
    /// `is_right` is called for slots with the right tag only. The search ends at the first bucket
    /// that is not passed; there always is one, for a segment is never full.
    #[inline]
    pub(super) fn search(
        &self,
        route: Route,
        hash: u64,
        mut is_right: impl FnMut(Id) -> bool,
    ) -> Result<Id, usize> {
        let mut at = self.home(hash);
        loop {
            let bucket = self.bucket(route, at);
            let state = bucket.state();
            if let Some(id) = bucket.search(state, route.tag(hash), &mut is_right) {
                return Ok(id);
            }
            if !state.is_passed() {
                return Err(at);
            }
            at = self.after(at);
        }
    }
}
