//! A hash index from keys to IDs that holds neither: 6.4 bytes a slot.
//!
//! # Invariants
//!
//! 1. A bucket's slots fill from the front.
//! 2. An ID stands in its home bucket or, if that was full, in the first one after it in its segment
//!    that was not; then all buckets between are `passed`, and its slot says that it is `away`.
//! 3. At most four fifths of a segment's slots are taken, so a search always meets a bucket with room.
//! 4. `directory[p]` is the segment of all hashes whose `depth` highest bits are `p`; a segment that
//!    has split less often than others stands there several times.
//!
//! A bucket is one cache line: ten tags of two bytes, ten numbers. A search touches one line and calls
//! back only for slots whose tag agrees, 1 in some thousands of the others: a call back for a wrong slot
//! waits for memory that nobody has asked for.
//!
//! The index grows a segment at a time (extendible hashing): the only one doubles until it is large,
//! then one splits in two by the next bit of its hashes. That bit is in the tags, so a split reads the
//! segment from front to back and nothing else, but for the few IDs that are away. So no call waits for
//! more than that, about a millisecond, and the index takes 8 to 16 bytes an ID at any time.

use bytemuck::{Pod, Zeroable};

use crate::id::Id;
use crate::machine::{Array, HUGE_PAGE, equal_pairs, prefetch};

const SLOTS: usize = 10;
/// Buckets a segment at first, and at most unless hashes are all alike.
const SMALLEST: usize = 2;
const LARGEST: usize = HUGE_PAGE / size_of::<Bucket>();
/// How many bits of a hash can choose its segment.
const DEEPEST: u32 = 16;
/// After how many splits the tags have too few bits left that differ, and are made anew.
const SPLITS_A_TAG: u32 = 8;
/// How many IDs move together when they must be asked for their hashes.
const GROUP: usize = 64;

/// What the index asks about the IDs in it when it grows.
pub trait Hashes {
    /// Hints that the hash of `id` is about to be asked for.
    fn prefetch(&self, id: Id);
    /// Returns the hash of `id`.
    fn hash(&self, id: Id) -> u64;
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Bucket {
    tags: [u16; SLOTS],
    taken: u8,
    /// Not 0 if an ID whose way led here stands further on.
    passed: u8,
    /// A bit for each slot whose ID is at home elsewhere.
    away: u16,
    numbers: [u32; SLOTS],
}

impl Bucket {
    /// Returns a bit for each slot that has this tag.
    #[inline]
    fn matches(&self, tag: u16) -> u32 {
        let [a, b, c, d, ..] = bytemuck::cast::<Self, [u64; 8]>(*self);
        equal_pairs([a, b, c, d], tag) & !(u32::MAX << self.taken)
    }

    /// Returns the ID in the first slot with this tag that `is_right`.
    #[inline]
    fn search(&self, tag: u16, mut is_right: impl FnMut(Id) -> bool) -> Option<Id> {
        let mut matches = self.matches(tag);
        while matches != 0 {
            let id = Id::new(self.numbers[matches.trailing_zeros() as usize]);
            if is_right(id) {
                return Some(id);
            }
            matches &= matches - 1;
        }
        None
    }

    #[inline]
    fn push(&mut self, tag: u16, id: Id, away: bool) {
        let slot = usize::from(self.taken);
        self.tags[slot] = tag;
        self.numbers[slot] = id.number();
        self.away |= u16::from(away) << slot;
        self.taken += 1;
    }

    fn is_full(&self) -> bool {
        usize::from(self.taken) == SLOTS
    }

    /// Returns the two buckets that this one splits into by a bit of the tags; calls `stray` with each
    /// ID that is away.
    #[inline]
    fn split(&self, bit: u32, mut stray: impl FnMut(Id)) -> [Self; 2] {
        let mut halves = [Self::zeroed(); 2];
        for slot in 0..usize::from(self.taken) {
            if self.away >> slot & 1 == 1 {
                stray(Id::new(self.numbers[slot]));
                continue;
            }
            let half = &mut halves[usize::from(self.tags[slot] >> bit & 1)];
            half.tags[usize::from(half.taken)] = self.tags[slot];
            half.numbers[usize::from(half.taken)] = self.numbers[slot];
            half.taken += 1;
        }
        halves
    }
}

/// The IDs whose hashes begin with the same bits.
#[derive(Clone, Copy)]
struct Segment {
    /// Its first bucket.
    first: usize,
    taken: usize,
    /// How many bits their hashes begin with.
    depth: u32,
}

impl Segment {
    /// Returns the tag of a hash: sixteen bits of which few are the same throughout the segment.
    #[inline]
    fn tag(&self, hash: u64) -> u16 {
        (hash >> (u64::BITS - u16::BITS - self.skipped())) as u16
    }

    /// Returns how many of the highest bits of a hash the tags leave out.
    #[inline]
    fn skipped(&self) -> u32 {
        self.depth & !(SPLITS_A_TAG - 1)
    }
}

/// The index; see the module.
pub struct Index {
    directory: Vec<u32>,
    segments: Vec<Segment>,
    depth: u32,
    /// The buckets of every segment, end to end.
    buckets: Array<Bucket>,
    /// How many buckets a segment has.
    len: usize,
    /// How many IDs a segment takes.
    most: usize,
}

/// What one look at a home bucket says of a hash: an ID that may have it, or one of the two below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guess(u32);

impl Guess {
    /// No ID in the index has it.
    pub const NOBODY: Self = Self(u32::MAX);
    /// It takes a search.
    pub const UNCLEAR: Self = Self(u32::MAX - 1);

    /// Returns the guess that it is `id`.
    #[inline]
    pub fn of(id: Id) -> Self {
        Self(id.number())
    }

    /// Returns the ID.
    #[inline]
    pub fn id(self) -> Option<Id> {
        (self.0 < Self::UNCLEAR.0).then(|| Id::new(self.0))
    }
}

impl Index {
    /// Returns an empty index with room for `capacity` IDs.
    pub fn new(capacity: usize) -> Self {
        // A little more than four fifths of the slots, for no segment gets just its share.
        let needed = (capacity.saturating_mul(13) / (10 * SLOTS) + 1).max(SMALLEST);
        let depth = needed.div_ceil(LARGEST).next_power_of_two().ilog2().min(DEEPEST);
        let segments = 1 << depth;
        let mut index = Self::of(needed.div_ceil(segments), segments);
        index.directory = (0..segments as u32).collect();
        index.depth = depth;
        index.segments =
            (0..segments).map(|number| Segment { first: number * index.len, taken: 0, depth }).collect();
        index
    }

    /// Returns so many buckets a segment, for so many segments, and no segment.
    fn of(len: usize, segments: usize) -> Self {
        let mut buckets = Array::new(len * segments);
        buckets.extend(len * segments);
        Self {
            directory: Vec::new(),
            segments: Vec::new(),
            depth: 0,
            buckets,
            len,
            most: len * SLOTS * 4 / 5,
        }
    }

    /// Returns which segment is the one of `hash`.
    #[inline]
    fn number(&self, hash: u64) -> usize {
        let entry = hash >> (u64::BITS - DEEPEST) >> (DEEPEST - self.depth);
        self.directory[entry as usize] as usize
    }

    /// Returns the home bucket, counted in its segment: by the 32 bits of the hash that choose neither
    /// segment nor tag.
    #[inline]
    fn home(&self, hash: u64) -> usize {
        ((u64::from(hash as u32) * self.len as u64) >> 32) as usize
    }

    /// Returns the bucket after this one, counted in its segment.
    #[inline]
    fn after(&self, at: usize) -> usize {
        if at + 1 == self.len { 0 } else { at + 1 }
    }

    /// Hints that a search for `hash` is about to begin.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        let segment = &self.segments[self.number(hash)];
        prefetch(self.buckets.get(segment.first + self.home(hash)));
    }

    /// Looks at the home bucket of `hash`.
    ///
    /// Without a branch but for the rare bucket that is passed: whether an ID is known is a coin's toss,
    /// and the processor would guess wrong half of the time.
    #[inline]
    pub fn guess(&self, hash: u64) -> Guess {
        let segment = &self.segments[self.number(hash)];
        let home = self.home(hash);
        let bucket = self.buckets.get(segment.first + home);
        let matches = bucket.matches(segment.tag(hash));
        let number = bucket.numbers[(matches.trailing_zeros() as usize).min(SLOTS - 1)];
        if matches == 0 && bucket.passed != 0 {
            prefetch(self.buckets.get(segment.first + self.after(home)));
            return Guess::UNCLEAR;
        }
        if matches == 0 { Guess::NOBODY } else { Guess(number) }
    }

    /// Returns the ID with this hash that `is_right`.
    #[inline]
    pub fn find(&self, hash: u64, mut is_right: impl FnMut(Id) -> bool) -> Option<Id> {
        let segment = &self.segments[self.number(hash)];
        let (tag, mut at) = (segment.tag(hash), self.home(hash));
        loop {
            let bucket = self.buckets.get(segment.first + at);
            let found = bucket.search(tag, &mut is_right);
            if found.is_some() || bucket.passed == 0 {
                return found;
            }
            at = self.after(at);
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
        let mut number = self.number(hash);
        while self.segments[number].taken >= self.most {
            self.make_room(number, hashes);
            number = self.number(hash);
        }
        let segment = self.segments[number];
        let (tag, mut at) = (segment.tag(hash), self.home(hash));
        loop {
            let bucket = self.buckets.get(segment.first + at);
            if let Some(id) = bucket.search(tag, &mut is_right) {
                return Some(id);
            }
            if bucket.passed == 0 {
                break;
            }
            at = self.after(at);
        }
        self.put(number, at, hash, new);
        None
    }

    /// Puts `id` in its segment, in the first bucket from `at` on that has room.
    #[inline]
    fn put(&mut self, number: usize, mut at: usize, hash: u64, id: Id) {
        let Segment { first, .. } = self.segments[number];
        while self.buckets.get(first + at).is_full() {
            self.buckets.get_mut(first + at).passed = 1;
            at = self.after(at);
        }
        let away = at != self.home(hash);
        let segment = &mut self.segments[number];
        segment.taken += 1;
        self.buckets.get_mut(first + at).push(segment.tag(hash), id, away);
    }

    /// Puts IDs of which nothing is known but their numbers.
    fn put_all(&mut self, ids: &[Id], hashes: &impl Hashes) {
        for group in ids.chunks(GROUP) {
            for &id in group {
                hashes.prefetch(id);
            }
            for &id in group {
                let hash = hashes.hash(id);
                self.put(self.number(hash), self.home(hash), hash, id);
            }
        }
    }

    #[cold]
    fn make_room(&mut self, number: usize, hashes: &impl Hashes) {
        let depth = self.segments[number].depth;
        // Beyond the deepest depth there are more IDs than numbers, unless hashes are all alike.
        if self.len < LARGEST && self.segments.len() == 1 || depth == DEEPEST {
            return self.widen(hashes);
        }
        self.split(number, hashes);
    }

    /// Makes every segment twice as long.
    fn widen(&mut self, hashes: &impl Hashes) {
        let ids: Vec<Id> = (0..self.segments.iter().map(|segment| segment.taken).sum::<usize>())
            .map(|number| Id::new(number as u32))
            .collect();
        let wider = Self::of(2 * self.len, self.segments.len());
        (self.buckets, self.len, self.most) = (wider.buckets, wider.len, wider.most);
        for (number, segment) in self.segments.iter_mut().enumerate() {
            (segment.first, segment.taken) = (number * wider.len, 0);
        }
        self.put_all(&ids, hashes);
    }

    /// Makes two segments of one.
    fn split(&mut self, number: usize, hashes: &impl Hashes) {
        let Segment { first, depth, .. } = self.segments[number];
        if depth == self.depth {
            self.directory = self.directory.iter().flat_map(|&segment| [segment; 2]).collect();
            self.depth += 1;
        }
        let upper = Segment { first: self.buckets.len(), taken: 0, depth: depth + 1 };
        self.buckets.extend(self.len);
        let mut strays = Vec::new();
        let mut taken = [0; 2];
        let tags_are_kept = self.segments[number].skipped() == upper.skipped();
        for at in 0..self.len {
            let bucket = *self.buckets.get(first + at);
            if tags_are_kept {
                let halves = bucket.split(u16::BITS - 1 - depth % SPLITS_A_TAG, |id| strays.push(id));
                for (taken, half) in taken.iter_mut().zip(halves) {
                    *taken += usize::from(half.taken);
                }
                [*self.buckets.get_mut(first + at), *self.buckets.get_mut(upper.first + at)] = halves;
            } else {
                strays.extend(bucket.numbers[..usize::from(bucket.taken)].iter().map(|&id| Id::new(id)));
                *self.buckets.get_mut(first + at) = Bucket::zeroed();
            }
        }
        self.segments[number] = Segment { first, taken: taken[0], depth: depth + 1 };
        let upper_number = self.segments.len() as u32;
        self.segments.push(Segment { taken: taken[1], ..upper });
        // A segment's entries stand side by side; the upper half is the new one's.
        let entries = self.directory.iter().filter(|&&entry| entry as usize == number).count();
        let start = self.directory.iter().position(|&entry| entry as usize == number);
        let start = start.expect("every segment has an entry");
        self.directory[start + entries / 2..start + entries].fill(upper_number);
        self.put_all(&strays, hashes);
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
            assert_eq!((index.buckets.len(), index.depth), (empty.buckets.len(), empty.depth));
            check_that_all_are_found(&index, &hashes);
        }
    }

    #[test]
    fn a_guess_never_hides_an_id() {
        let hashes = scattered(100_000);
        let index = filled(0, &hashes);
        assert!(hashes.iter().all(|&hash| index.guess(hash) != Guess::NOBODY));
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
