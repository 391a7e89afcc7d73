//! A bucket of the index: a cache line of ten slots, each with a tag and the number of an ID.
//!
//! # Invariants
//!
//! 1. Slots fill from the front; what is free is zero.
//! 2. Only the index's owner changes a bucket. Its words are atomic, so that others can look at any
//!    time; what they see may be half of a change.

use std::sync::atomic::{AtomicU64, Ordering};

use bytemuck::Zeroable;

use crate::arch::equal_pairs;
use crate::ids::id::Id;

pub const SLOTS: usize = 10;

/// A cache line, whose words can be read while another thread writes them: what a [`Slots`] is.
#[derive(Zeroable)]
#[repr(C, align(64))]
pub struct Bucket([AtomicU64; 8]);

/// What stands in a bucket: ten tags, a [`State`] behind them, ten numbers; the first in the lowest bits.
#[derive(Clone, Copy, Default)]
pub struct Slots([u64; 8]);

/// Which word holds the last two tags and the state, and the first that holds numbers.
const STATE: usize = 2;
const NUMBERS: usize = 3;

/// How many slots are taken (8 bits from bit 32), whether an ID whose way led here stands further on
/// (bit 40), and which slots hold an ID that is at home elsewhere (from bit 48).
#[derive(Clone, Copy)]
pub struct State(u64);

impl State {
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

    /// Returns whether an ID whose way led here stands further on.
    pub fn is_passed(self) -> bool {
        self.0 & Self::PASSED != 0
    }

    fn is_away(self, slot: usize) -> bool {
        self.0 >> (48 + slot) & 1 == 1
    }
}

/// Returns what filling a free slot adds to which words.
#[inline]
fn filling(slot: usize, tag: u16, id: Id, away: bool) -> [(usize, u64); 3] {
    [
        (slot / 4, u64::from(tag) << (16 * (slot % 4))),
        (STATE, 1 << 32 | u64::from(away) << (48 + slot)),
        (NUMBERS + slot / 2, u64::from(id.number()) << (32 * (slot % 2))),
    ]
}

impl Bucket {
    #[inline]
    fn word(&self, at: usize) -> u64 {
        self.0[at].load(Ordering::Relaxed)
    }

    #[inline]
    fn set_word(&self, at: usize, value: u64) {
        self.0[at].store(value, Ordering::Relaxed);
    }

    /// Returns what is known of its slots.
    #[inline]
    pub fn state(&self) -> State {
        State(self.word(STATE))
    }

    /// Returns the ID in a slot.
    #[inline]
    pub fn id(&self, slot: usize) -> Id {
        Id::new((self.word(NUMBERS + slot / 2) >> (32 * (slot % 2))) as u32)
    }

    /// Returns a bit for each slot that has this tag.
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

    /// Says that an ID whose way led here stands further on.
    pub fn pass(&self) {
        self.set_word(STATE, self.state().0 | State::PASSED);
    }

    /// Fills the next slot with an ID, which may be `away` from its home.
    #[inline]
    pub fn push(&self, tag: u16, id: Id, away: bool) {
        for (at, added) in filling(self.state().taken(), tag, id, away) {
            self.set_word(at, self.word(at) + added);
        }
    }

    /// Returns what stands in it.
    pub fn slots(&self) -> Slots {
        Slots([0, 1, 2, 3, 4, 5, 6, 7].map(|at| self.word(at)))
    }

    /// Lets something else stand in it.
    pub fn set(&self, slots: Slots) {
        for (at, word) in slots.0.into_iter().enumerate() {
            self.set_word(at, word);
        }
    }
}

impl Slots {
    /// Returns them as words.
    pub fn to_words(self) -> [u64; 8] {
        self.0
    }

    /// Returns what words say, with no more IDs than a bucket has slots.
    pub fn from_words(words: [u64; 8]) -> Option<Self> {
        let slots = Self(words);
        (slots.state().taken() <= SLOTS).then_some(slots)
    }

    /// Returns what is known of them.
    pub fn state(&self) -> State {
        State(self.0[STATE])
    }

    fn tag(&self, slot: usize) -> u16 {
        (self.0[slot / 4] >> (16 * (slot % 4))) as u16
    }

    #[inline]
    fn push(&mut self, tag: u16, id: Id) {
        for (at, added) in filling(self.state().taken(), tag, id, false) {
            self.0[at] += added;
        }
    }

    /// Returns the IDs.
    pub fn ids(&self) -> impl Iterator<Item = Id> {
        let number = |slot: usize| (self.0[NUMBERS + slot / 2] >> (32 * (slot % 2))) as u32;
        (0..self.state().taken()).map(move |slot| Id::new(number(slot)))
    }

    /// Returns the two buckets that this one splits into by a bit of the tags; calls `stray` with each
    /// ID that is away.
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
