//! Storage for texts that do not pack into their keys: end to end, in chunks that never move.
//!
//! # Invariants
//!
//! 1. A text lies within one chunk.
//! 2. A chunk never grows beyond the capacity with which it was made, so no text ever moves.
//! 3. A wiped text is as long as it was, and all its bytes are zero.
//!
//! Appending a text copies it once, and nothing is ever freed. The first chunk has 4 KiB, later
//! ones 1 MiB; a text that is longer has a chunk of its own.

use std::io;

use crate::arch::prefetch;
use crate::codec::{Decoder, Encoder, damaged};
use crate::ids::key::Place;

/// The texts; see the module.
#[derive(Default)]
pub(crate) struct Arena {
    chunks: Vec<String>,
}

impl Arena {
    /// The bytes of a chunk that is not the first: as many as are worth a page walk.
    pub(super) const CHUNK: usize = 1 << 20;
    /// The bytes of the first chunk: a small resolver is to be small.
    const FIRST_CHUNK: usize = 1 << 12;

    /// Returns whether texts of so many bytes fit in the last chunk.
    #[inline]
    pub fn has_room(&self, bytes: usize) -> bool {
        self.chunks.last().is_some_and(|chunk| chunk.capacity() - chunk.len() >= bytes)
    }

    /// Makes room for texts of so many bytes, and returns whether there is memory for them.
    ///
    /// The rest of the last chunk stays unused if the texts do not fit there.
    pub fn reserve(&mut self, bytes: usize) -> bool {
        if bytes == 0 || self.has_room(bytes) {
            return true;
        }
        let size = if self.chunks.is_empty() { Self::FIRST_CHUNK } else { Self::CHUNK };
        let mut chunk = String::new();
        let is_there = chunk.try_reserve_exact(bytes.max(size)).is_ok();
        if is_there {
            self.chunks.push(chunk);
        }
        is_there
    }

    /// Appends a text and returns its place.
    ///
    /// # Panics
    ///
    /// If there is no memory, unless [`Self::reserve`] has made room.
    pub fn push(&mut self, text: &str) -> Place {
        assert!(self.reserve(text.len()), "there is no memory for texts");
        let number = self.chunks.len() - 1;
        let chunk = &mut self.chunks[number];
        let start = chunk.len();
        chunk.push_str(text);
        Place { chunk: number as u32, start: start as u32, length: text.len() as u32 }
    }

    /// Hints that the text at `place` is about to be read, if there is one.
    pub fn prefetch(&self, place: Place) {
        let chunk = self.chunks.get(place.chunk as usize);
        if let Some(byte) = chunk.and_then(|chunk| chunk.as_bytes().get(place.start as usize)) {
            prefetch(byte);
        }
    }

    /// Overwrites the text at `place` with zeros, so that a forgotten ID leaves no trace in memory.
    pub fn wipe(&mut self, place: Place) {
        let start = place.start as usize;
        let blank = "\0".repeat(place.length as usize);
        self.chunks[place.chunk as usize].replace_range(start..start + blank.len(), &blank);
    }

    /// Returns whether there is a whole text at `place`; for places out of a file.
    pub fn holds(&self, place: Place) -> bool {
        let start = place.start as usize;
        let chunk = self.chunks.get(place.chunk as usize);
        chunk.is_some_and(|chunk| chunk.get(start..start + place.length as usize).is_some())
    }

    /// Returns the text at `place`.
    pub fn get(&self, place: Place) -> &str {
        let start = place.start as usize;
        &self.chunks[place.chunk as usize][start..start + place.length as usize]
    }

    /// Writes the chunks.
    pub fn save(&self, out: &mut Encoder) -> io::Result<()> {
        out.word(self.chunks.len() as u64)?;
        self.chunks.iter().try_for_each(|chunk| out.bytes(chunk.as_bytes()))
    }

    /// Reads chunks.
    ///
    /// # Errors
    ///
    /// If they are cut off or no UTF-8. Keys are checked by [`Self::holds`].
    pub fn load(from: &mut Decoder) -> io::Result<Self> {
        let mut arena = Self::default();
        for _ in 0..from.count(8)? {
            let chunk = String::from_utf8(from.bytes()?).map_err(|_| damaged("its texts are no Unicode"))?;
            arena.chunks.push(chunk);
        }
        Ok(arena)
    }

    /// Returns the text of a chunk, wiped and whole.
    #[cfg(test)]
    pub fn chunk(&self, number: usize) -> &str {
        &self.chunks[number]
    }
}
