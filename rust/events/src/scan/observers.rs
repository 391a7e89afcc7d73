//! The rows that observed an ID last, so that a row that observes it again is known as such.
//!
//! Most events in a row are of few people: to compare with the last observer costs a tenth of what
//! it costs a resolver to find an ID that it knows, and several threads can do it.

use std::hash::BuildHasher;
use std::ops::RangeInclusive;

use foldhash::fast::RandomState;

/// The bytes of text for which there is one place.
const BYTES_A_PLACE: usize = 256;
const PLACES: RangeInclusive<usize> = 1 << 6..=1 << 14;

/// A row for each of some places, which IDs share by their hashes; so it is a hint alone.
pub struct Observers {
    hasher: RandomState,
    rows: Box<[u32]>,
    /// The first row that counts.
    first: usize,
}

impl Observers {
    /// Returns no observers, with places for a text of so many bytes.
    pub fn for_text(bytes: usize) -> Self {
        let places = (bytes / BYTES_A_PLACE).clamp(*PLACES.start(), *PLACES.end()).next_power_of_two();
        Self { hasher: RandomState::default(), rows: vec![0; places].into(), first: 0 }
    }

    /// Notes that `row` observes `id`, and returns the earlier row that may have observed it last.
    #[inline]
    pub fn replace(&mut self, id: &str, row: usize) -> Option<usize> {
        let place = self.hasher.hash_one(id) as usize & (self.rows.len() - 1);
        let other = std::mem::replace(&mut self.rows[place], row as u32) as usize;
        (self.first..row).contains(&other).then_some(other)
    }

    /// Forgets the rows before `row`.
    pub fn begin_at(&mut self, row: usize) {
        self.first = row;
    }
}
