//! Dense numbers by 64-bit hashes, for values that somebody else keeps.
//!
//! # Invariants
//!
//! 1. The cells are a power of two, at least twice the numbers.
//! 2. A number lies in the cell that its hash's high bits name or behind it, with no empty cell
//!    between.
//! 3. Of numbers with one hash, the lower lies before the higher.
//!
//! A search reads one or two cache lines, whose place is known from the hash alone, so that a caller
//! with many searches can ask for all of them at once. 16 to 32 bytes a number.

use crate::prefetch::prefetch;

#[derive(Clone, Copy)]
struct Cell {
    /// The hash's low half; its high bits are in the cell's place.
    tag: u32,
    number: u32,
}

impl Cell {
    const EMPTY: Self = Self { tag: 0, number: u32::MAX };

    fn is_empty(self) -> bool {
        self.number == u32::MAX
    }
}

/// The numbers; see the module.
pub struct Hashes {
    cells: Vec<Cell>,
    count: usize,
    /// What takes a hash to the place of its cell.
    shift: u32,
}

impl Default for Hashes {
    fn default() -> Self {
        Self::with_cells(8)
    }
}

impl Hashes {
    fn with_cells(cells: usize) -> Self {
        Self { cells: vec![Cell::EMPTY; cells], count: 0, shift: 64 - cells.trailing_zeros() }
    }

    /// Hints that `hash` is about to be searched for.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        prefetch(&self.cells, self.place(hash));
    }

    fn place(&self, hash: u64) -> usize {
        (hash >> self.shift) as usize
    }

    /// Returns the numbers that may have this hash, the lower first: those that have it and, once in
    /// billions, another.
    #[inline]
    pub fn candidates(&self, hash: u64) -> impl Iterator<Item = u32> {
        let tag = hash as u32;
        let (before, from) = self.cells.split_at(self.place(hash));
        let cells = from.iter().chain(before).take_while(|cell| !cell.is_empty());
        cells.filter(move |cell| cell.tag == tag).map(|cell| cell.number)
    }

    /// Adds the next number; `hash_of` tells the hashes of those before.
    pub fn push(&mut self, hash: u64, hash_of: impl Fn(u32) -> u64) {
        if 2 * (self.count + 1) > self.cells.len() {
            self.grow(2 * self.cells.len(), hash_of);
        }
        self.put(hash);
    }

    /// Makes room for `more` numbers.
    pub fn reserve(&mut self, more: usize, hash_of: impl Fn(u32) -> u64) {
        let cells = (2 * (self.count + more)).next_power_of_two();
        if cells > self.cells.len() {
            self.grow(cells, hash_of);
        }
    }

    fn grow(&mut self, cells: usize, hash_of: impl Fn(u32) -> u64) {
        let count = std::mem::replace(self, Self::with_cells(cells)).count;
        for number in 0..count as u32 {
            self.put(hash_of(number));
        }
    }

    fn put(&mut self, hash: u64) {
        let mut place = self.place(hash);
        while !self.cells[place].is_empty() {
            place = (place + 1) & (self.cells.len() - 1);
        }
        self.cells[place] = Cell { tag: hash as u32, number: self.count as u32 };
        self.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spread over the high bits and unlike in the low ones.
    fn hash_of(number: u32) -> u64 {
        u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[test]
    fn every_number_is_found_through_growth() {
        for reserved in [0, 1000] {
            let mut hashes = Hashes::default();
            hashes.reserve(reserved, hash_of);
            for number in 0..1000 {
                assert_eq!(hashes.candidates(hash_of(number)).next(), None);
                hashes.push(hash_of(number), hash_of);
            }
            for number in 0..1000 {
                assert!(hashes.candidates(hash_of(number)).eq([number]));
            }
        }
    }

    #[test]
    fn numbers_of_one_hash_come_in_order_even_around_the_end() {
        let mut hashes = Hashes::default();
        for _ in 0..100 {
            hashes.push(u64::MAX, |_| u64::MAX);
        }
        assert!(hashes.candidates(u64::MAX).eq(0..100));
        assert_eq!(hashes.candidates(u64::MAX - 1).next(), None);
    }
}
