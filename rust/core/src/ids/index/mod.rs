//! A hash index from keys to IDs that holds neither: 6.4 bytes a slot.
//!
//! A hash has three uses:
//!
//! - its highest bits, up to 16, choose the segment;
//! - sixteen bits below the highest 0, 8 or 16 are the tag, so some of them may be the segment's
//!   too;
//! - its lowest 32 bits choose the home bucket within the segment.
//!
//! # Invariants
//!
//! 1. An ID stands in its home bucket or, if that was full, in the first one after it in its
//!    segment that was not; then all buckets between are `passed`, and its slot says that it is
//!    `away`.
//! 2. At most four fifths of a segment's slots are taken, or, where there is no memory to grow, all
//!    but one; so a search always meets a bucket with room.
//! 3. `directory[p]` leads to the segment of all hashes whose `depth` highest bits are `p`; a
//!    segment that has split less often than others stands there several times.
//!
//! A search touches one [`Bucket`], a cache line, and calls back only for slots whose tag agrees, 1
//! in some thousands of the others: a call back for a wrong slot waits for memory that was not
//! prefetched.
//!
//! The index grows a segment at a time (extendible hashing): the only one doubles until it is
//! large, then one splits in two by the next bit of its hashes. That bit is in the tags, so a split
//! reads the segment from front to back and nothing else, but for the few IDs that are away. So no
//! call waits for more than that, some tenths of a millisecond, and the index takes 8 to 16 bytes
//! an ID at any time.
//!
//! The buckets can be read from another thread while the index changes. Such a reader gets a
//! [`Guess`], good for prefetching, and for an answer once the ID's key agrees.

use std::sync::Arc;

use crate::arch::{Chunk, HUGE_PAGE};
use crate::ids::bucket::{Bucket, SLOTS, Slots};
use crate::ids::id::Id;
use crate::ids::index::directory::{Buckets, DEEPEST, Guess, Route, SPLITS_A_TAG, skipped};

pub(crate) mod directory;
mod encoding;

/// The number of buckets of the only segment at first.
const SMALLEST: usize = 2;
/// The number of buckets of a segment that splits rather than doubles: half a megabyte.
const LARGEST: usize = 1 << 13;
/// The number of buckets that have addresses from the beginning, if there are many: for some 100
/// million IDs.
const ADDRESSES: usize = 1 << 25;
/// The number of IDs that move together when they must be asked for their hashes.
const GROUP: usize = 64;

/// The hashes of the IDs in an index, which it needs when it grows.
pub trait Hashes {
    /// Hints that the hash of `id` is about to be asked for; a group of IDs is hinted at first.
    fn prefetch(&self, id: Id);
    /// Returns the hash of `id`, the same each time.
    fn hash(&self, id: Id) -> u64;
}

/// The IDs whose hashes begin with the same bits.
#[derive(Clone, Copy)]
struct Segment {
    /// The number of IDs in it.
    taken: usize,
    /// The number of bits with which all their hashes begin.
    depth: u32,
}

/// The index; see the module.
pub struct Index {
    buckets: Buckets,
    /// The segments in the order in which they were made, which is that of their buckets.
    segments: Vec<Segment>,
    /// The most IDs that a segment takes, unless there is no memory to grow.
    most: usize,
    /// Whether a segment holds more than `most`.
    is_starved: bool,
}

impl Index {
    /// Returns an empty index with room for `capacity` IDs.
    ///
    /// Without memory for so many it begins small and grows.
    pub fn new(capacity: usize) -> Self {
        // A little more than four fifths of the slots, for no segment gets just its share.
        let needed = (capacity.saturating_mul(13) / (10 * SLOTS) + 1).max(SMALLEST);
        let depth = needed.div_ceil(LARGEST).next_power_of_two().ilog2().min(DEEPEST);
        let segments = 1 << depth;
        let len = needed.div_ceil(segments);
        let directory = (0..segments).map(|segment| Route::new(segment, len, depth)).collect();
        // An index that finds no memory for what is expected begins small.
        let chunk = match chunk(len * segments) {
            None if capacity > 0 => return Self::new(0),
            chunk => chunk.expect("there is memory for two buckets"),
        };
        Self {
            buckets: Buckets { chunk: Arc::new(chunk), directory, depth, len },
            segments: vec![Segment { taken: 0, depth }; segments],
            most: most(len),
            is_starved: false,
        }
    }

    /// Returns whether there was no memory to grow when that was due.
    ///
    /// A step that has begun can end, in the slots that are left. None may begin before
    /// [`Self::relieve`] has returned true.
    #[inline]
    pub fn is_starved(&self) -> bool {
        self.is_starved
    }

    /// Grows as far as is due after starvation, and returns whether there is memory for that.
    pub fn relieve(&mut self, hashes: &impl Hashes) -> bool {
        while let Some(full) = self.segments.iter().position(|segment| segment.taken >= self.most) {
            if !self.make_room(full, hashes) {
                return false;
            }
        }
        self.is_starved = false;
        true
    }

    /// Returns the buckets, which another thread may read while the index changes.
    pub fn buckets(&self) -> &Buckets {
        &self.buckets
    }

    /// Hints that a search for `hash` is about to begin.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        self.buckets.prefetch(hash);
    }

    /// Looks at the home bucket of `hash`.
    #[inline]
    pub fn guess(&self, hash: u64) -> Guess {
        self.buckets.guess(hash)
    }

    /// Returns the ID with this hash that `is_right`.
    #[inline]
    pub fn find(&self, hash: u64, is_right: impl FnMut(Id) -> bool) -> Option<Id> {
        self.buckets.find(hash, is_right)
    }

    /// Returns the ID with this hash that `is_right`, or adds `new` and returns None.
    ///
    /// `hashes` must have every ID in the index. Amortised `O(1)`; a call during which a segment
    /// splits moves the IDs of that one segment, at most 65,536.
    #[inline]
    pub fn find_or_insert(
        &mut self,
        hash: u64,
        new: Id,
        is_right: impl FnMut(Id) -> bool,
        hashes: &impl Hashes,
    ) -> Option<Id> {
        let mut route = self.buckets.route(hash);
        while self.segments[route.segment as usize].taken >= self.most {
            if !self.make_room(route.segment as usize, hashes) {
                self.starve(route.segment as usize);
                break;
            }
            route = self.buckets.route(hash);
        }
        match self.buckets.search(route, hash, is_right) {
            Ok(id) => Some(id),
            Err(at) => {
                self.put(route, at, hash, new);
                None
            }
        }
    }

    /// Puts `id` in its segment, in the first bucket from `at` on that has room, and marks the full
    /// buckets before it as passed.
    #[expect(clippy::inline_always, reason = "as a call it costs 25 of a new ID's 300 instructions")]
    #[inline(always)]
    fn put(&mut self, route: Route, mut at: usize, hash: u64, id: Id) {
        let buckets = &self.buckets;
        let mut bucket = buckets.bucket(route, at);
        while bucket.state().is_full() {
            bucket.pass();
            at = buckets.after(at);
            bucket = buckets.bucket(route, at);
        }
        bucket.push(route.tag(hash), id, at != buckets.home(hash));
        self.segments[route.segment as usize].taken += 1;
    }

    /// Puts IDs of which nothing is known but their numbers, a group at a time: their keys are
    /// asked for before the first is hashed.
    fn put_all(&mut self, ids: &[Id], hashes: &impl Hashes) {
        for group in ids.chunks(GROUP) {
            for &id in group {
                hashes.prefetch(id);
            }
            for &id in group {
                let hash = hashes.hash(id);
                self.put(self.buckets.route(hash), self.buckets.home(hash), hash, id);
            }
        }
    }

    /// Notes that a segment could not grow.
    ///
    /// # Panics
    ///
    /// If its last free slot would be taken, without which a search might not end.
    #[cold]
    fn starve(&mut self, segment: usize) {
        let slots = self.buckets.len * SLOTS;
        assert!(self.segments[segment].taken + 1 < slots, "there is no memory for an index that grows");
        self.is_starved = true;
    }

    /// Grows, and returns whether there is memory for that; if not, everything is as before.
    #[cold]
    fn make_room(&mut self, segment: usize, hashes: &impl Hashes) -> bool {
        let depth = self.segments[segment].depth;
        // Beyond the deepest depth there are more IDs than numbers, unless hashes are all alike.
        if self.buckets.len < LARGEST && self.segments.len() == 1 || depth == DEEPEST {
            return self.widen(hashes);
        }
        self.split(segment, hashes)
    }

    /// Makes every segment twice as long; every ID is hashed again.
    fn widen(&mut self, hashes: &impl Hashes) -> bool {
        let count: usize = self.segments.iter().map(|segment| segment.taken).sum();
        let len = 2 * self.buckets.len;
        let mut ids: Vec<Id> = Vec::new();
        let Some(longer) = chunk(len * self.segments.len()) else { return false };
        if ids.try_reserve_exact(count).is_err() {
            return false;
        }
        ids.extend((0..count).map(|number| Id::new(number as u32)));
        let route = |route: &Route| {
            let segment = route.segment as usize;
            Route::new(segment, len, self.segments[segment].depth)
        };
        self.buckets = Buckets {
            chunk: Arc::new(longer),
            directory: self.buckets.directory.iter().map(route).collect(),
            len,
            ..self.buckets
        };
        self.most = most(len);
        for segment in &mut self.segments {
            segment.taken = 0;
        }
        self.put_all(&ids, hashes);
        true
    }

    /// Makes two segments of one by the next bit of its hashes.
    ///
    /// That bit is in the tags, so the segment is read from front to back and no key with it, but
    /// for the IDs that are away from home; and once in [`SPLITS_A_TAG`] splits all are hashed
    /// again.
    fn split(&mut self, segment: usize, hashes: &impl Hashes) -> bool {
        let (depth, new) = (self.segments[segment].depth, self.segments.len());
        let mut strays = Vec::new();
        if strays.try_reserve(self.segments[segment].taken).is_err()
            || !self.reserve((new + 1) * self.buckets.len)
        {
            return false;
        }
        let [lower, upper] = [segment, new].map(|number| Route::new(number, self.buckets.len, depth + 1));
        self.redirect(depth, lower, upper);
        self.segments.push(Segment { taken: 0, depth: depth + 1 });
        let mut taken = [0; 2];
        for at in 0..self.buckets.len {
            let bucket = self.buckets.bucket(lower, at);
            let mut halves = [Slots::default(); 2];
            if skipped(depth) == skipped(depth + 1) {
                halves = bucket.slots().split(u16::BITS - 1 - depth % SPLITS_A_TAG, |id| strays.push(id));
            } else {
                strays.extend(bucket.slots().ids());
            }
            for ((taken, route), half) in taken.iter_mut().zip([lower, upper]).zip(halves) {
                self.buckets.bucket(route, at).set(half);
                *taken += half.state().taken();
            }
        }
        self.segments[segment] = Segment { taken: taken[0], depth: depth + 1 };
        self.segments[new].taken = taken[1];
        self.put_all(&strays, hashes);
        true
    }

    /// Directs the hashes of a segment of this depth to two, doubling the directory if it is as
    /// deep.
    fn redirect(&mut self, depth: u32, lower: Route, upper: Route) {
        let buckets = &mut self.buckets;
        if depth == buckets.depth {
            buckets.directory = buckets.directory.iter().flat_map(|&route| [route; 2]).collect();
            buckets.depth += 1;
        }
        // A segment's entries stand side by side.
        let is_old = |route: &&mut Route| route.segment == lower.segment;
        let entries: Vec<&mut Route> =
            Arc::make_mut(&mut buckets.directory).iter_mut().filter(is_old).collect();
        let half = entries.len() / 2;
        for (at, entry) in entries.into_iter().enumerate() {
            *entry = if at < half { lower } else { upper };
        }
    }

    /// Makes room for so many buckets and returns whether there is memory for them.
    ///
    /// Nearly always there are addresses, and nothing moves.
    fn reserve(&mut self, buckets: usize) -> bool {
        let old = &self.buckets.chunk;
        if buckets > old.len() {
            let Some(longer) = chunk(buckets.max(2 * old.len())) else { return false };
            for (new, old) in longer.iter().zip(old.iter()) {
                new.set(old.slots());
            }
            self.buckets.chunk = Arc::new(longer);
        }
        true
    }
}

/// Returns at least so many empty buckets, or None if there is no memory for them.
fn chunk(buckets: usize) -> Option<Chunk<Bucket>> {
    let large = buckets * size_of::<Bucket>() >= HUGE_PAGE;
    if large { Chunk::reserved(buckets, ADDRESSES) } else { Chunk::try_new(buckets) }
}

/// Returns how many IDs a segment of `len` buckets takes: four fifths of its slots.
fn most(len: usize) -> usize {
    len * SLOTS * 4 / 5
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Hashes for Vec<u64> {
        fn prefetch(&self, _: Id) {}

        fn hash(&self, id: Id) -> u64 {
            self[id.index()]
        }
    }

    fn filled(capacity: usize, hashes: &Vec<u64>) -> Index {
        let mut index = Index::new(capacity);
        for (number, &hash) in hashes.iter().enumerate() {
            let new = Id::new(number as u32);
            assert_eq!(index.find_or_insert(hash, new, |_| false, hashes), None);
            assert_eq!(index.find_or_insert(hash, new, |id| id == new, hashes), Some(new));
        }
        index
    }

    fn check_that_all_are_found(index: &Index, hashes: &[u64]) {
        for (number, &hash) in hashes.iter().enumerate() {
            let found = index.find(hash, |id| hashes[id.index()] == hash);
            assert_eq!(found, Some(Id::new(number as u32)));
        }
    }

    fn scattered(count: u64) -> Vec<u64> {
        (0..count).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect()
    }

    #[test]
    fn every_id_is_found_while_segments_double_and_split() {
        let hashes = scattered(1_200_000);
        let index = filled(0, &hashes);
        assert!(index.segments.len() > 3, "it has split");
        check_that_all_are_found(&index, &hashes);
    }

    #[test]
    fn segments_that_split_at_different_times_share_a_directory() {
        // Three quarters of the hashes begin with 1, so that half splits more often.
        let skewed = |n: u64| if n.is_multiple_of(4) { n >> 1 } else { 1 << 63 | n >> 1 };
        let hashes: Vec<u64> = scattered(1_500_000).into_iter().map(skewed).collect();
        let index = filled(0, &hashes);
        let depths: Vec<u32> = index.segments.iter().map(|segment| segment.depth).collect();
        assert!(depths.iter().any(|&depth| depth < index.buckets.depth), "{depths:?}");
        check_that_all_are_found(&index, &hashes);
    }

    #[test]
    fn an_index_with_room_does_not_grow() {
        for count in [0, 1, 1000, 1_200_000] {
            let hashes = scattered(count);
            let empty = Index::new(hashes.len());
            let index = filled(hashes.len(), &hashes);
            let size = |index: &Index| (index.segments.len(), index.buckets.len, index.buckets.depth);
            assert_eq!(size(&index), size(&empty));
            check_that_all_are_found(&index, &hashes);
        }
    }

    #[test]
    fn a_guess_never_hides_an_id() {
        let hashes = scattered(100_000);
        let index = filled(0, &hashes);
        assert!(hashes.iter().all(|&hash| index.guess(hash) != Guess::NO_ID));
    }

    #[test]
    fn ids_of_one_and_the_same_hash_are_told_apart() {
        let index = filled(0, &vec![u64::MAX; 100]);
        for number in 0..100 {
            assert_eq!(index.find(u64::MAX, |id| id.number() == number), Some(Id::new(number)));
        }
        assert_eq!(index.find(u64::MAX, |_| false), None);
    }

    #[test]
    fn an_empty_slot_is_never_offered() {
        let index = filled(0, &vec![0, 0, 0]);
        let mut offered = Vec::new();
        let found = index.find(0, |id| {
            offered.push(id.number());
            false
        });
        assert_eq!((found, offered), (None, vec![0, 1, 2]));
    }
}
