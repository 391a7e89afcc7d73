//! A hash index from keys to IDs that holds neither: 5 bytes a slot.
//!
//! # Invariants
//!
//! 1. A bucket's slots fill from the front and are never emptied.
//! 2. An ID stands in its home bucket or, if that is full, in the first one after it that was not.
//! 3. At most four fifths of the slots are taken, so a search always meets a bucket with room.
//!
//! A bucket is one cache line: twelve one-byte tags, twelve numbers. A search touches one line and
//! calls back only for slots whose tag agrees, 1 in 255 of the others.

use crate::id::Id;
use crate::prefetch::prefetch;

const SLOTS: usize = 12;
const SMALLEST: usize = 2;

#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Bucket {
    /// The tag of each slot taken, then zeros.
    tags: [u8; SLOTS],
    taken: u32,
    numbers: [u32; SLOTS],
}

impl Bucket {
    /// Returns a bit for each slot that may have this tag, eight bits apart.
    ///
    /// A slot above a true match may be named although its tag differs; the caller compares keys.
    fn matches(&self, tag: u8) -> u128 {
        const ONES: u128 = u128::from_ne_bytes([1; 16]) >> 32;
        let mut tags = [0; 16];
        tags[..SLOTS].copy_from_slice(&self.tags);
        let difference = u128::from_le_bytes(tags) ^ (ONES * u128::from(tag));
        difference.wrapping_sub(ONES) & !difference & (ONES << 7)
    }

    fn push(&mut self, tag: u8, id: Id) {
        let slot = self.taken as usize;
        self.tags[slot] = tag;
        self.numbers[slot] = id.number();
        self.taken += 1;
    }

    fn is_full(&self) -> bool {
        self.taken as usize == SLOTS
    }
}

/// The index; see the module.
pub struct Index {
    buckets: Vec<Bucket>,
    taken: usize,
}

impl Index {
    /// Returns an empty index.
    pub fn new() -> Self {
        Self { buckets: vec![Bucket::default(); SMALLEST], taken: 0 }
    }

    /// Hints that a search for `hash` is about to begin.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        prefetch(&self.buckets, self.home(hash));
    }

    /// Returns the first ID of the home bucket whose tag agrees, right or not.
    #[inline]
    pub fn guess(&self, hash: u64) -> Option<Id> {
        let bucket = &self.buckets[self.home(hash)];
        let matches = bucket.matches(tag(hash));
        (matches != 0).then(|| Id::new(bucket.numbers[matches.trailing_zeros() as usize / 8]))
    }

    /// Returns the ID with this hash that `is_right`.
    #[inline]
    pub fn find(&self, hash: u64, mut is_right: impl FnMut(Id) -> bool) -> Option<Id> {
        let mut at = self.home(hash);
        loop {
            let bucket = &self.buckets[at];
            let mut matches = bucket.matches(tag(hash));
            while matches != 0 {
                let slot = matches.trailing_zeros() as usize / 8;
                if slot < bucket.taken as usize && is_right(Id::new(bucket.numbers[slot])) {
                    return Some(Id::new(bucket.numbers[slot]));
                }
                matches &= matches - 1;
            }
            if !bucket.is_full() {
                return None;
            }
            at = self.after(at);
        }
    }

    /// Adds an ID that is not in the index; `hash_of` gives the hash of every ID already in it.
    pub fn insert(&mut self, hash: u64, id: Id, hash_of: impl Fn(Id) -> u64) {
        if (self.taken + 1) * 5 > self.buckets.len() * SLOTS * 4 {
            self.grow(hash_of);
        }
        self.put(hash, id);
        self.taken += 1;
    }

    fn put(&mut self, hash: u64, id: Id) {
        let mut at = self.home(hash);
        while self.buckets[at].is_full() {
            at = self.after(at);
        }
        self.buckets[at].push(tag(hash), id);
    }

    fn grow(&mut self, hash_of: impl Fn(Id) -> u64) {
        self.buckets = vec![Bucket::default(); self.buckets.len() * 2];
        for number in 0..self.taken {
            let id = Id::new(number as u32);
            self.put(hash_of(id), id);
        }
    }

    /// Returns the home bucket: the hash's highest bits, of which tags and fingerprints use none.
    fn home(&self, hash: u64) -> usize {
        (hash >> (u64::BITS - self.buckets.len().trailing_zeros())) as usize
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.buckets.len() - 1)
    }
}

/// Returns the tag of a hash, never zero.
fn tag(hash: u64) -> u8 {
    (hash as u8).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(hashes: &[u64]) -> Index {
        let mut index = Index::new();
        for (number, &hash) in hashes.iter().enumerate() {
            index.insert(hash, Id::new(number as u32), |id| hashes[id.index()]);
        }
        index
    }

    #[test]
    fn every_id_is_found_through_growth() {
        let hashes: Vec<u64> = (0..10_000).map(|n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        let index = filled(&hashes);
        for (number, &hash) in hashes.iter().enumerate() {
            let found = index.find(hash, |id| hashes[id.index()] == hash);
            assert_eq!(found, Some(Id::new(number as u32)));
        }
    }

    #[test]
    fn ids_of_one_and_the_same_hash_are_told_apart() {
        let index = filled(&[u64::MAX; 100]);
        for number in 0..100 {
            assert_eq!(index.find(u64::MAX, |id| id.number() == number), Some(Id::new(number)));
        }
        assert_eq!(index.find(u64::MAX, |_| false), None);
    }

    #[test]
    fn an_empty_slot_is_never_offered() {
        // The tag 1 differs from an empty slot's 0 in the one bit that the word trick may miss.
        let index = filled(&[1, 1, 1]);
        let mut offered = Vec::new();
        assert_eq!(
            index.find(1, |id| {
                offered.push(id.number());
                false
            }),
            None
        );
        assert_eq!(offered, [0, 1, 2]);
    }
}
