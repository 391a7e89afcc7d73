//! Text in, dense numbers out, and back.
//!
//! # Invariants
//!
//! 1. `keys[i]` is the key of the `i`th ID that became known, and never changes.
//! 2. A text of the arena lies within one chunk, and chunks never move.
//! 3. No two IDs have equal text.
//!
//! 16 bytes an ID for its key, 7 to 14 for the index, and the text itself if it does not pack.
//! Hashing is keyed anew in every process, so that nobody can choose IDs that collide; nothing
//! that a caller can see depends on it.

use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;

use foldhash::SharedSeed;
use foldhash::quality::SeedableRandomState;

use crate::error::Error;
use crate::id::Id;
use crate::index::Index;
use crate::key::{Key, Place, Text};
use crate::prefetch::prefetch;

/// A text on its way in: packed if it packs, and hashed.
#[derive(Clone, Copy)]
pub struct Probe<'a> {
    pub text: &'a str,
    pub packed: Option<Key>,
    hash: u64,
}

/// The interner; see the module.
pub struct Interner {
    keys: Vec<Key>,
    arena: Arena,
    index: Index,
    hasher: SeedableRandomState,
    limit: u32,
}

impl Interner {
    /// Returns an empty interner that takes at most `limit` IDs.
    pub fn new(limit: u32) -> Self {
        Self {
            keys: Vec::new(),
            arena: Arena::default(),
            index: Index::new(),
            hasher: keyed_hasher(),
            limit: limit.min(Id::LIMIT),
        }
    }

    /// Returns how many IDs are known.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Packs and hashes `text`.
    #[inline]
    pub fn probe<'a>(&self, text: &'a str) -> Probe<'a> {
        let packed = Key::pack(text);
        let hash = packed.map_or_else(|| self.hash_text(text), |key| self.hash_key(key));
        Probe { text, packed, hash }
    }

    /// Hints that `probe` is about to be searched for.
    #[inline]
    pub fn prefetch(&self, probe: &Probe) {
        self.index.prefetch(probe.hash);
    }

    /// Returns the ID that `probe` most likely is, and hints that its key is about to be read.
    #[inline]
    pub fn guess(&self, probe: &Probe) -> Option<Id> {
        let id = self.index.guess(probe.hash)?;
        prefetch(&self.keys, id.index());
        Some(id)
    }

    /// Hints that the text of `id`, the guess for `probe`, is about to be read.
    #[inline]
    pub fn prefetch_text(&self, probe: &Probe, id: Id) {
        if probe.packed.is_none()
            && let Some(place) = self.keys[id.index()].place()
        {
            self.arena.prefetch(place);
        }
    }

    /// Returns the ID of `probe` if it is known.
    #[inline]
    pub fn find(&self, probe: &Probe) -> Option<Id> {
        match probe.packed {
            Some(key) => self.index.find(probe.hash, |id| self.keys[id.index()] == key),
            None => self.index.find(probe.hash, |id| self.holds(self.keys[id.index()], probe)),
        }
    }

    /// Returns whether the text of `key` lies in the arena and is the one of `probe`.
    fn holds(&self, key: Key, probe: &Probe) -> bool {
        key.place().is_some_and(|place| {
            key.fingerprint() == fingerprint(probe.hash) && self.arena.get(place) == probe.text
        })
    }

    /// Makes sure that `count` more IDs can be numbered, the longest of them with this many bytes.
    pub fn check_room(&self, count: usize, bytes: usize) -> Result<(), Error> {
        if bytes > Key::MAX_TEXT {
            return Err(Error::TextTooLong { bytes, limit: Key::MAX_TEXT });
        }
        if self.len() + count > self.limit as usize {
            return Err(Error::TooManyIds { limit: self.limit });
        }
        Ok(())
    }

    /// Numbers a text that is not known and for which there is room.
    pub fn insert(&mut self, probe: &Probe) -> Id {
        let id = Id::new(self.keys.len() as u32);
        let key =
            probe.packed.unwrap_or_else(|| Key::at(self.arena.push(probe.text), fingerprint(probe.hash)));
        let Self { keys, arena, index, hasher, .. } = self;
        index.insert(probe.hash, id, |id| hash_stored(hasher, arena, keys[id.index()]));
        keys.push(key);
        id
    }

    /// Returns the text of `id`.
    pub fn text(&self, id: Id) -> Text<'_> {
        let key = self.keys[id.index()];
        match key.place() {
            Some(place) => Text::stored(self.arena.get(place)),
            None => Text::packed(key),
        }
    }

    fn hash_text(&self, text: &str) -> u64 {
        hash_text(&self.hasher, text)
    }

    fn hash_key(&self, key: Key) -> u64 {
        hash_key(&self.hasher, key)
    }
}

fn hash_stored(hasher: &SeedableRandomState, arena: &Arena, key: Key) -> u64 {
    match key.place() {
        Some(place) => hash_text(hasher, arena.get(place)),
        None => hash_key(hasher, key),
    }
}

fn hash_text(hasher: &SeedableRandomState, text: &str) -> u64 {
    let mut state = hasher.build_hasher();
    state.write(text.as_bytes());
    state.finish()
}

fn hash_key(hasher: &SeedableRandomState, key: Key) -> u64 {
    let mut state = hasher.build_hasher();
    state.write_u64(key.high);
    state.write_u64(key.low);
    state.finish()
}

/// The part of a hash that a stored text's key repeats: bits that choose neither bucket nor tag.
fn fingerprint(hash: u64) -> u32 {
    (hash >> 8) as u32
}

/// Returns a hasher seeded from the operating system's randomness, by way of the standard library.
fn keyed_hasher() -> SeedableRandomState {
    static SHARED: OnceLock<SharedSeed> = OnceLock::new();
    let random = || std::hash::RandomState::new().build_hasher().finish();
    let shared = SHARED.get_or_init(|| SharedSeed::from_u64(random()));
    SeedableRandomState::with_seed(random(), shared)
}

/// Texts that do not pack, end to end in chunks that never move.
#[derive(Default)]
struct Arena {
    chunks: Vec<String>,
}

impl Arena {
    const CHUNK: usize = 1 << 20;

    fn push(&mut self, text: &str) -> Place {
        let fits = |chunk: &String| chunk.capacity() - chunk.len() >= text.len();
        if !self.chunks.last().is_some_and(fits) {
            // The first chunk is small, so that a small resolver is; the others are worth a page walk.
            let size = if self.chunks.is_empty() { 1 << 12 } else { Self::CHUNK };
            self.chunks.push(String::with_capacity(text.len().max(size)));
        }
        let number = self.chunks.len() - 1;
        let chunk = &mut self.chunks[number];
        let start = chunk.len();
        chunk.push_str(text);
        Place { chunk: number as u32, start: start as u32, length: text.len() as u32 }
    }

    fn prefetch(&self, place: Place) {
        prefetch(self.chunks[place.chunk as usize].as_bytes(), place.start as usize);
    }

    fn get(&self, place: Place) -> &str {
        let start = place.start as usize;
        &self.chunks[place.chunk as usize][start..start + place.length as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intern(interner: &mut Interner, text: &str) -> Id {
        let probe = interner.probe(text);
        interner.find(&probe).unwrap_or_else(|| interner.insert(&probe))
    }

    #[test]
    fn texts_of_every_form_come_back_byte_for_byte() {
        let mut interner = Interner::new(Id::LIMIT);
        let texts = [
            "5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11".to_owned(),
            "$device:5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11".to_owned(),
            "5C3C0E5D-9A1F-4C39-8F8E-3E7A9D2D6A11".to_owned(),
            "5c3c0e5d-9a1f-4c39-0f8e-3e7a9d2d6a11".to_owned(),
            "\u{1f98a}\0".to_owned(),
            "x".repeat(Arena::CHUNK + 1),
            "after the giant".to_owned(),
        ];
        let ids: Vec<Id> = texts.iter().map(|text| intern(&mut interner, text)).collect();
        for (id, text) in ids.iter().zip(&texts) {
            assert_eq!(interner.text(*id).as_str(), text);
            assert_eq!(intern(&mut interner, text), *id);
        }
        assert_eq!(interner.len(), texts.len());
    }

    #[test]
    fn room_ends_at_the_limit_and_the_error_names_it() {
        let mut interner = Interner::new(1);
        assert_eq!(interner.check_room(1, 3), Ok(()));
        assert_eq!(interner.check_room(2, 3), Err(Error::TooManyIds { limit: 1 }));
        intern(&mut interner, "one");
        assert_eq!(interner.check_room(1, 3), Err(Error::TooManyIds { limit: 1 }));
        let (bytes, limit) = (Key::MAX_TEXT + 1, Key::MAX_TEXT);
        assert_eq!(interner.check_room(0, bytes), Err(Error::TextTooLong { bytes, limit }));
    }
}
