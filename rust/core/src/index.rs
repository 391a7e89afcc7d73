//! A hash index from keys to IDs that holds neither: 5 bytes a slot.
//!
//! # Invariants
//!
//! 1. A bucket's slots fill from the front and are never emptied.
//! 2. An ID stands in its home bucket or, if that is full, in the first one after it in its segment
//!    that was not.
//! 3. At most four fifths of a segment's slots are taken, so a search always meets a bucket with room.
//! 4. `directory[p]` is the segment of all hashes whose `depth` highest bits are `p`; a segment that
//!    has split less often than others stands there several times.
//!
//! A bucket is one cache line: twelve tags of one byte and two bits, twelve numbers. A search touches one
//! line and calls back only for slots whose tag agrees, 1 in 1024 of the others. The two bits are worth
//! having: a call back for a wrong slot waits for memory that nobody has asked for.
//!
//! The index grows a segment at a time (extendible hashing): a small segment doubles, one of a huge
//! page splits in two by the next bit of the hash. So no call waits for more than one segment, some
//! milliseconds, and the index takes 7 to 14 bytes an ID at any time.

use bytemuck::Zeroable;

use crate::id::Id;
use crate::machine::{Chunk, HUGE_PAGE, equal_bytes, prefetch};

const SLOTS: usize = 12;
/// Buckets a segment at first, and at most.
const SMALLEST: usize = 2;
const LARGEST: usize = HUGE_PAGE / size_of::<Bucket>();
/// How many bits of a hash can choose its segment.
const DEEPEST: u32 = 16;
/// How many IDs move together when a segment grows.
const GROUP: usize = 64;

/// What the index asks about the IDs in it when it grows.
pub trait Hashes {
    /// Hints that the hash of `id` is about to be asked for.
    fn prefetch(&self, id: Id);
    /// Returns the hash of `id`.
    fn hash(&self, id: Id) -> u64;
}

#[derive(Clone, Copy, Zeroable)]
#[repr(C, align(64))]
struct Bucket {
    /// The lower eight bits of each slot's tag.
    tags: [u8; SLOTS],
    /// How many slots are taken, above the upper two bits of each slot's tag.
    rest: u32,
    numbers: [u32; SLOTS],
}

const TAKEN: u32 = 2 * SLOTS as u32;

impl Bucket {
    fn taken(&self) -> usize {
        (self.rest >> TAKEN) as usize
    }

    /// Calls `each` with the ID in each slot that has the tag of `hash`, until it returns one.
    #[inline]
    fn search(&self, hash: u64, mut each: impl FnMut(Id) -> Option<Id>) -> Option<Id> {
        let mut tags = [0; 16];
        tags[..SLOTS].copy_from_slice(&self.tags);
        let mut matches = equal_bytes(tags, hash as u8) & !u32::MAX.wrapping_shl(self.rest >> TAKEN);
        while matches != 0 {
            let slot = matches.trailing_zeros();
            if self.rest >> (2 * slot) & 3 == upper_tag(hash)
                && let Some(id) = each(Id::new(self.numbers[slot as usize]))
            {
                return Some(id);
            }
            matches &= matches - 1;
        }
        None
    }

    #[inline]
    fn push(&mut self, hash: u64, id: Id) {
        let slot = self.taken();
        self.tags[slot] = hash as u8;
        self.numbers[slot] = id.number();
        self.rest = (self.rest | upper_tag(hash) << (2 * slot)) + (1 << TAKEN);
    }

    fn is_full(&self) -> bool {
        self.taken() == SLOTS
    }

    fn ids(&self) -> impl Iterator<Item = Id> {
        self.numbers[..self.taken()].iter().map(|&number| Id::new(number))
    }
}

/// Returns the upper two bits of the tag of a hash, whose lower ones are the hash's lowest byte.
#[inline]
fn upper_tag(hash: u64) -> u32 {
    (hash >> 8) as u32 & 3
}

/// The IDs whose hashes begin with the same bits.
struct Segment {
    buckets: Chunk<Bucket>,
    taken: usize,
    /// How many bits their hashes begin with.
    depth: u32,
}

impl Segment {
    fn new(buckets: usize, depth: u32) -> Self {
        Self { buckets: Chunk::new(buckets), taken: 0, depth }
    }

    /// Returns the home bucket: by bits of the hash that choose neither segment nor tag.
    #[inline]
    fn home(&self, hash: u64) -> usize {
        (hash >> 32) as usize & (self.buckets.len() - 1)
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.buckets.len() - 1)
    }

    fn is_crowded(&self) -> bool {
        (self.taken + 1) * 5 > self.buckets.len() * SLOTS * 4
    }

    #[inline]
    fn put(&mut self, hash: u64, id: Id) {
        let mut at = self.home(hash);
        while self.buckets[at].is_full() {
            at = self.after(at);
        }
        self.buckets[at].push(hash, id);
        self.taken += 1;
    }

    /// Calls `each` with every ID and its hash.
    fn drain(self, hashes: &impl Hashes, mut each: impl FnMut(u64, Id)) {
        let mut ids = self.buckets.iter().flat_map(Bucket::ids);
        let mut group = Vec::with_capacity(GROUP);
        loop {
            group.clear();
            group.extend(ids.by_ref().take(GROUP));
            if group.is_empty() {
                return;
            }
            for &id in &group {
                hashes.prefetch(id);
            }
            for &id in &group {
                each(hashes.hash(id), id);
            }
        }
    }
}

/// The index; see the module.
pub struct Index {
    directory: Vec<u32>,
    segments: Vec<Segment>,
    depth: u32,
}

/// What one look at a home bucket says of a hash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Guess {
    /// No ID in the index has it.
    Nobody,
    /// This one may have it, or another.
    Perhaps(Id),
    /// It takes a search.
    Unclear,
}

impl Index {
    /// Returns an empty index with room for `capacity` IDs.
    pub fn new(capacity: usize) -> Self {
        let buckets = (capacity * 5 / (SLOTS * 4) + 1).next_power_of_two().max(SMALLEST);
        let depth = (buckets / LARGEST).max(1).ilog2().min(DEEPEST);
        let segments = 1 << depth;
        Self {
            directory: (0..segments).collect(),
            segments: (0..segments).map(|_| Segment::new(buckets.min(LARGEST), depth)).collect(),
            depth,
        }
    }

    /// Returns where the directory names the segment of `hash`.
    #[inline]
    fn entry(&self, hash: u64) -> usize {
        (hash >> (u64::BITS - DEEPEST) >> (DEEPEST - self.depth)) as usize
    }

    #[inline]
    fn segment(&self, hash: u64) -> &Segment {
        &self.segments[self.directory[self.entry(hash)] as usize]
    }

    /// Hints that a search for `hash` is about to begin.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        let segment = self.segment(hash);
        prefetch(&segment.buckets[segment.home(hash)]);
    }

    /// Looks at the home bucket of `hash`.
    #[inline]
    pub fn guess(&self, hash: u64) -> Guess {
        let segment = self.segment(hash);
        let home = segment.home(hash);
        let bucket = &segment.buckets[home];
        match bucket.search(hash, Some) {
            Some(id) => Guess::Perhaps(id),
            None if bucket.is_full() => {
                prefetch(&segment.buckets[segment.after(home)]);
                Guess::Unclear
            }
            None => Guess::Nobody,
        }
    }

    /// Returns the ID with this hash that `is_right`.
    #[inline]
    pub fn find(&self, hash: u64, mut is_right: impl FnMut(Id) -> bool) -> Option<Id> {
        let segment = self.segment(hash);
        let mut at = segment.home(hash);
        loop {
            let bucket = &segment.buckets[at];
            if let Some(id) = bucket.search(hash, |id| is_right(id).then_some(id)) {
                return Some(id);
            }
            if !bucket.is_full() {
                return None;
            }
            at = segment.after(at);
        }
    }

    /// Returns the ID with this hash that `is_right`, or adds `new`; `hashes` knows every ID in the index.
    #[inline]
    pub fn find_or_insert(
        &mut self,
        hash: u64,
        new: Id,
        mut is_right: impl FnMut(Id) -> bool,
        hashes: &impl Hashes,
    ) -> Option<Id> {
        let mut number = self.directory[self.entry(hash)] as usize;
        while self.segments[number].is_crowded() {
            self.make_room(number, hashes);
            number = self.directory[self.entry(hash)] as usize;
        }
        let segment = &mut self.segments[number];
        let mut at = segment.home(hash);
        loop {
            let bucket = &mut segment.buckets[at];
            if let Some(id) = bucket.search(hash, |id| is_right(id).then_some(id)) {
                return Some(id);
            }
            if !bucket.is_full() {
                bucket.push(hash, new);
                segment.taken += 1;
                return None;
            }
            at = segment.after(at);
        }
    }

    #[cold]
    fn make_room(&mut self, number: usize, hashes: &impl Hashes) {
        let Segment { depth, ref buckets, .. } = self.segments[number];
        let buckets = buckets.len();
        // Beyond the deepest depth there are more IDs than numbers, unless hashes are all alike.
        if buckets < LARGEST || depth == DEEPEST {
            let crowded = std::mem::replace(&mut self.segments[number], Segment::new(2 * buckets, depth));
            let segment = &mut self.segments[number];
            return crowded.drain(hashes, |hash, id| segment.put(hash, id));
        }
        if depth == self.depth {
            self.directory = self.directory.iter().flat_map(|&segment| [segment; 2]).collect();
            self.depth += 1;
        }
        let crowded = std::mem::replace(&mut self.segments[number], Segment::new(buckets, depth + 1));
        let mut upper = Segment::new(buckets, depth + 1);
        let lower = &mut self.segments[number];
        crowded.drain(hashes, |hash, id| {
            let is_upper = hash >> (u64::BITS - 1 - depth) & 1 == 1;
            if is_upper { upper.put(hash, id) } else { lower.put(hash, id) }
        });
        let upper_number = self.segments.len() as u32;
        self.segments.push(upper);
        // A segment's entries stand side by side; the upper half is the new one's.
        let entries = self.directory.iter().filter(|&&entry| entry as usize == number).count();
        let first = self.directory.iter().position(|&entry| entry as usize == number);
        let first = first.expect("every segment has an entry");
        self.directory[first + entries / 2..first + entries].fill(upper_number);
    }
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
        assert!(depths.iter().any(|&depth| depth < index.depth), "{depths:?}");
        check_that_all_are_found(&index, &hashes);
    }

    #[test]
    fn an_index_with_room_does_not_grow() {
        for count in [0, 1, 1000, 1_200_000] {
            let hashes = scattered(count);
            let empty = Index::new(hashes.len());
            let index = filled(hashes.len(), &hashes);
            let buckets = |index: &Index| index.segments.iter().map(|s| s.buckets.len()).sum::<usize>();
            assert_eq!((buckets(&index), index.depth), (buckets(&empty), empty.depth));
            check_that_all_are_found(&index, &hashes);
        }
    }

    #[test]
    fn a_guess_never_hides_an_id() {
        let hashes = scattered(100_000);
        let index = filled(0, &hashes);
        assert!(hashes.iter().all(|&hash| index.guess(hash) != Guess::Nobody));
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
