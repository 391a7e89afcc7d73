//! A bucket of the index: a cache line of ten slots, each with a tag and the number of an ID.
//!
//! | word | content, the first in the lowest bits |
//! |---|---|
//! | 0, 1 | the tags of slots 0 to 7, 16 bits each |
//! | 2 | the tags of slots 8 and 9, then the [`State`] |
//! | 3–7 | the numbers of slots 0 to 9, 32 bits each |
//!
//! # Invariants
//!
//! 1. Slots fill from the front; the tag and the number of a free slot are zero.
//! 2. Only the index's owner changes a bucket. Its words are atomic, so that other threads can read
//!    it at any time; a reader may see half of a change.
//!
//! # Costs
//!
//! A look touches one cache line and compares all ten tags at once. Words are read and written
//! with relaxed order, which on x86-64 is a plain move: nothing is locked, and no reader waits.

use std::sync::atomic::{AtomicU64, Ordering};

use bytemuck::Zeroable;

use crate::arch::equal_pairs;
use crate::ids::id::Id;

/// The number of slots: ten tags of two bytes, ten numbers of four, and the state fill a cache
/// line.
pub const SLOTS: usize = 10;

/// A cache line whose words can be read while another thread writes them; the layout is that of
/// [`Slots`].
#[derive(Zeroable)]
#[repr(C, align(64))]
pub struct Bucket([AtomicU64; 8]);

/// The content of a bucket: ten tags, a [`State`] behind them, ten numbers; the first in the lowest
/// bits.
#[derive(Clone, Copy, Default)]
pub struct Slots([u64; 8]);

/// The word with the last two tags and the state.
const STATE: usize = 2;
/// The first word with numbers.
const NUMBERS: usize = 3;

/// The state of a bucket, in one word with two tags: the number of slots taken (8 bits from bit
/// 32), whether the bucket is *passed*, so that an ID which is at home here or before may stand
/// further on (bit 40), and the slots whose ID is *away* from home (from bit 48).
#[derive(Clone, Copy)]
pub struct State(u64);

impl State {
    /// The bit of a bucket that is passed.
    const PASSED: u64 = 1 << 40;

    /// Returns how many slots are taken.
    #[inline]
    pub fn taken(self) -> usize {
        usize::from((self.0 >> 32) as u8)
    }

    /// Returns whether no slot is free.
    pub fn is_full(self) -> bool {
        self.taken() == SLOTS
    }

    /// Returns whether a search that found nothing here must go on to the next bucket.
    pub fn is_passed(self) -> bool {
        self.0 & Self::PASSED != 0
    }

    /// Returns whether the ID in a slot is at home in another bucket.
    fn is_away(self, slot: usize) -> bool {
        self.0 >> (48 + slot) & 1 == 1
    }
}

/// Returns the words that filling a free slot changes, and what is to be added to each.
#[inline]
fn filling(slot: usize, tag: u16, id: Id, away: bool) -> [(usize, u64); 3] {
    [
        (slot / 4, u64::from(tag) << (16 * (slot % 4))),
        (STATE, 1 << 32 | u64::from(away) << (48 + slot)),
        (NUMBERS + slot / 2, u64::from(id.number()) << (32 * (slot % 2))),
    ]
}

impl Bucket {
    /// Returns a word as it is now.
    #[inline]
    fn word(&self, at: usize) -> u64 {
        self.0[at].load(Ordering::Relaxed)
    }

    /// Writes a word; for the owner alone.
    #[inline]
    fn set_word(&self, at: usize, value: u64) {
        self.0[at].store(value, Ordering::Relaxed);
    }

    /// Returns the state of its slots.
    #[inline]
    pub fn state(&self) -> State {
        State(self.word(STATE))
    }

    /// Returns the ID in a slot.
    #[inline]
    pub fn id(&self, slot: usize) -> Id {
        Id::new((self.word(NUMBERS + slot / 2) >> (32 * (slot % 2))) as u32)
    }

    /// Returns a bit for each taken slot that has this tag.
    #[inline]
    pub fn matches(&self, state: State, tag: u16) -> u32 {
        let words = [self.word(0), self.word(1), state.0, 0];
        equal_pairs(words, tag) & !(u32::MAX << (state.taken() & 31))
    }

    /// Returns the ID in the first slot with this tag that `is_right`.
    #[inline]
    pub fn search(&self, state: State, tag: u16, mut is_right: impl FnMut(Id) -> bool) -> Option<Id> {
        let mut matches = self.matches(state, tag);
        while matches != 0 {
            let id = self.id(matches.trailing_zeros() as usize);
            if is_right(id) {
                return Some(id);
            }
            matches &= matches - 1;
        }
        None
    }

    /// Marks the bucket as passed: an ID that found no room here stands further on.
    pub fn pass(&self) {
        self.set_word(STATE, self.state().0 | State::PASSED);
    }

    /// Fills the next slot, which must be free, with an ID that may be `away` from its home.
    #[inline]
    pub fn push(&self, tag: u16, id: Id, away: bool) {
        for (at, added) in filling(self.state().taken(), tag, id, away) {
            self.set_word(at, self.word(at) + added);
        }
    }

    /// Returns its content.
    pub fn slots(&self) -> Slots {
        Slots([0, 1, 2, 3, 4, 5, 6, 7].map(|at| self.word(at)))
    }

    /// Replaces its content.
    pub fn set(&self, slots: Slots) {
        for (at, word) in slots.0.into_iter().enumerate() {
            self.set_word(at, word);
        }
    }
}

impl Slots {
    /// Returns the content as words of a checkpoint.
    pub fn to_words(self) -> [u64; 8] {
        self.0
    }

    /// Returns the content of eight words, or None if they state more IDs than a bucket has slots.
    pub fn from_words(words: [u64; 8]) -> Option<Self> {
        let slots = Self(words);
        (slots.state().taken() <= SLOTS).then_some(slots)
    }

    /// Returns the state of the slots.
    pub fn state(&self) -> State {
        State(self.0[STATE])
    }

    /// Returns the tag in a slot.
    fn tag(&self, slot: usize) -> u16 {
        (self.0[slot / 4] >> (16 * (slot % 4))) as u16
    }

    /// Fills the next slot with an ID that is at home.
    #[inline]
    fn push(&mut self, tag: u16, id: Id) {
        for (at, added) in filling(self.state().taken(), tag, id, false) {
            self.0[at] += added;
        }
    }

    /// Returns the IDs.
    pub fn ids(&self) -> impl Iterator<Item = Id> {
        self.numbers().map(Id::new)
    }

    /// Returns the numbers of the IDs, which may be any in content that was read.
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        let number = |slot: usize| (self.0[NUMBERS + slot / 2] >> (32 * (slot % 2))) as u32;
        (0..self.state().taken()).map(number)
    }

    /// Returns the two halves into which a bit of the tags splits the content, and calls `stray`
    /// with each ID that is away: its home is another bucket, so it is in neither half.
    #[inline]
    pub fn split(&self, bit: u32, mut stray: impl FnMut(Id)) -> [Self; 2] {
        let mut halves = [Self::default(); 2];
        for (slot, id) in self.ids().enumerate() {
            let tag = self.tag(slot);
            if self.state().is_away(slot) {
                stray(id);
            } else {
                halves[usize::from(tag >> bit & 1)].push(tag, id);
            }
        }
        halves
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slot_keeps_its_tag_and_its_id() {
        let bucket = Bucket::zeroed();
        for slot in 0..SLOTS {
            assert!(!bucket.state().is_full());
            bucket.push(0xff00 | slot as u16, Id::new(1 << 30 | slot as u32), slot % 3 == 0);
        }
        assert!(bucket.state().is_full() && !bucket.state().is_passed());
        bucket.pass();
        assert!(bucket.state().is_passed());
        for slot in 0..SLOTS {
            assert_eq!(bucket.matches(bucket.state(), 0xff00 | slot as u16), 1 << slot);
            assert_eq!(bucket.id(slot), Id::new(1 << 30 | slot as u32));
            assert_eq!(bucket.state().is_away(slot), slot % 3 == 0);
        }
        assert_eq!(bucket.matches(bucket.state(), 0), 0);
    }

    #[test]
    fn a_free_slot_matches_no_tag() {
        let bucket = Bucket::zeroed();
        assert_eq!(bucket.matches(bucket.state(), 0), 0);
        bucket.push(0, Id::new(0), false);
        assert_eq!(bucket.matches(bucket.state(), 0), 1);
    }

    #[test]
    fn a_split_parts_ids_by_a_bit_of_their_tags_and_hands_out_strays() {
        let bucket = Bucket::zeroed();
        for number in 0..9 {
            bucket.push(number << 4, Id::new(u32::from(number)), number == 5);
        }
        let mut strays = Vec::new();
        let [lower, upper] = bucket.slots().split(4, |id| strays.push(id.number()));
        let numbers = |half: &Slots| half.ids().map(Id::number).collect::<Vec<_>>();
        assert_eq!((numbers(&lower), numbers(&upper)), (vec![0, 2, 4, 6, 8], vec![1, 3, 7]));
        assert_eq!(strays, [5]);
        bucket.set(upper);
        assert_eq!(bucket.matches(bucket.state(), 7 << 4), 1 << 2);
    }
}
