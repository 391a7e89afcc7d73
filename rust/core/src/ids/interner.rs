//! Text in, dense numbers out, and back; and a value an ID.
//!
//! # Invariants
//!
//! 1. The key of entry `i` is that of the `i`th ID that became known, and never changes.
//! 2. A text of the arena lies within one chunk, and chunks never move.
//! 3. No two IDs have equal text.
//!
//! 16 bytes an ID for its key, 8 to 16 for the index, the value, and the text itself if it does not
//! pack. A value stands beside its ID's key, so that whoever found the one has the other at hand.
//! Hashing is keyed anew in every process, so that nobody can choose IDs that collide; nothing that a
//! caller can see depends on it.

use std::hash::{BuildHasher, Hasher as _};
use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};

use bytemuck::Zeroable;
use foldhash::SharedSeed;
use foldhash::quality::SeedableRandomState;

use crate::arch::{Array, prefetch};
use crate::codec::{Decoder, Encoder, damaged, no_memory};
use crate::error::Error;
use crate::ids::id::Id;
use crate::ids::index::{Hashes, Index};
use crate::ids::key::{Key, Place, Text};
use crate::resolver::prefetch::Prefetcher;

/// Hashes texts as one interner does, apart from it; and numbers.
#[derive(Clone)]
pub struct Hasher {
    state: SeedableRandomState,
    /// What it was made of: the seed that all share, and its own.
    seeds: [u64; 2],
}

/// A text on its way in, packed or not, and hashed.
#[derive(Clone, Copy)]
pub struct Probe<'a> {
    /// The text's key; one that says a place is good for its fingerprint alone.
    pub key: Key,
    pub hash: u64,
    /// The text, if the key does not hold it.
    pub text: &'a str,
}

impl Hasher {
    /// Returns a hasher seeded from the operating system's randomness, by way of the standard library.
    pub fn keyed() -> Self {
        static SHARED: OnceLock<u64> = OnceLock::new();
        let random = || std::hash::RandomState::new().build_hasher().finish();
        Self::with_seeds([*SHARED.get_or_init(random), random()])
    }

    /// Returns the hasher with these seeds.
    fn with_seeds(seeds: [u64; 2]) -> Self {
        // One for each process whose resolvers were loaded here, and one of this process: they are few.
        static SHARED: Mutex<Vec<(u64, &'static SharedSeed)>> = Mutex::new(Vec::new());
        let mut known = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.iter().find(|(seed, _)| *seed == seeds[0]).map(|&(_, shared)| shared);
        let shared = found.unwrap_or_else(|| {
            let shared: &'static SharedSeed = Box::leak(Box::new(SharedSeed::from_u64(seeds[0])));
            known.push((seeds[0], shared));
            shared
        });
        Self { state: SeedableRandomState::with_seed(seeds[1], shared), seeds }
    }

    /// Hashes a number.
    #[inline]
    pub fn hash_number(&self, number: u64) -> u64 {
        self.state.hash_one(number)
    }

    /// Packs and hashes `text`.
    #[inline]
    pub fn probe<'a>(&self, text: &'a str) -> Probe<'a> {
        match Key::pack(text) {
            Some(key) => Probe { key, hash: self.hash_key(key), text: "" },
            None => self.probe_long(text),
        }
    }

    /// Hashes a key that holds its text.
    pub fn probe_key(&self, key: Key) -> Probe<'static> {
        Probe { key, hash: self.hash_key(key), text: "" }
    }

    fn probe_long<'a>(&self, text: &'a str) -> Probe<'a> {
        let hash = self.hash_text(text);
        let nowhere = Place { chunk: 0, start: 0, length: 0 };
        Probe { key: Key::at(nowhere, fingerprint(hash)), hash, text }
    }

    fn hash_text(&self, text: &str) -> u64 {
        let mut state = self.state.build_hasher();
        state.write(text.as_bytes());
        state.finish()
    }

    #[inline]
    fn hash_key(&self, key: Key) -> u64 {
        let mut state = self.state.build_hasher();
        state.write_u64(key.high);
        state.write_u64(key.low);
        state.finish()
    }
}

/// The part of a hash that a stored text's key repeats.
fn fingerprint(hash: u64) -> u32 {
    (hash >> 10) as u32
}

#[derive(Clone, Copy, Zeroable)]
struct Entry<T> {
    key: Key,
    value: T,
}

/// The interner; see the module.
pub struct Interner<T> {
    entries: Array<Entry<T>>,
    arena: Arena,
    index: Index,
    hasher: Hasher,
    limit: u32,
    /// How many texts were wiped.
    wiped: usize,
}

impl<T: Zeroable + Copy> Interner<T> {
    /// Returns an empty interner that takes at most `limit` IDs and has room for `capacity`.
    pub fn new(limit: u32, capacity: usize) -> Self {
        Self {
            entries: Array::new(capacity.min(limit as usize)),
            arena: Arena::default(),
            index: Index::new(capacity.min(limit as usize)),
            hasher: Hasher::keyed(),
            limit: limit.min(Id::LIMIT),
            wiped: 0,
        }
    }

    /// Returns how many IDs are known.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the most IDs that it takes.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Returns what hashes texts for this interner.
    pub fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    /// Hints that a text with this hash is about to be searched for.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        self.index.prefetch(hash);
    }

    /// Returns who guesses which ID has a hash.
    pub fn prefetcher(&self) -> Prefetcher {
        Prefetcher::new(self.index.buckets().clone(), self.entries.addresses())
    }

    /// Hints that the text of `id`, if its key does not hold it, is about to be read.
    #[inline]
    pub fn prefetch_text(&self, id: Id) {
        if let Some(place) = self.key(id).place() {
            self.arena.prefetch(place);
        }
    }

    /// Returns whether `id` is the one of `probe`.
    #[inline]
    pub fn is(&self, id: Id, probe: &Probe) -> bool {
        self.stored().is(id, probe)
    }

    /// Returns the ID of `probe` if it is known.
    #[inline]
    pub fn find(&self, probe: &Probe) -> Option<Id> {
        self.index.find(probe.hash, |id| self.stored().is(id, probe))
    }

    /// Returns whether there is room for two more IDs whose texts take so many bytes, or perhaps not.
    #[inline]
    pub fn has_room_for_two(&self, bytes: usize) -> bool {
        self.entries.len() + 2 <= self.entries.capacity().min(self.limit as usize)
            && (bytes == 0 || self.arena.has_room(bytes))
            && !self.index.is_starved()
    }

    /// Makes room for `count` more IDs whose texts, as far as they do not pack, take so many bytes.
    ///
    /// # Errors
    ///
    /// If so many cannot be numbered, or there is no memory for them.
    #[cold]
    pub fn make_room(&mut self, count: usize, bytes: usize) -> Result<(), Error> {
        if self.len() + count > self.limit as usize {
            return Err(Error::TooManyIds { limit: self.limit });
        }
        let Self { entries, arena, index, hasher, .. } = self;
        let has_room = entries.reserve(count) && arena.reserve(bytes);
        let stored = StoredKeys { entries, arena, hasher };
        if has_room && (!index.is_starved() || index.relieve(&stored)) {
            return Ok(());
        }
        Err(Error::NoMemory)
    }

    /// Returns whether the index had no memory to grow; see [`Index::is_starved`].
    pub fn is_starved(&self) -> bool {
        self.index.is_starved()
    }

    /// Returns the ID of `probe`, numbering it if it is not known; there must be room. `value` makes
    /// the value of a new one.
    pub fn intern(&mut self, probe: &Probe, value: impl FnOnce(Id) -> T) -> Id {
        let new = Id::new(self.entries.len() as u32);
        let Self { entries, arena, index, hasher, .. } = self;
        let stored = StoredKeys { entries, arena, hasher };
        if let Some(known) = index.find_or_insert(probe.hash, new, |id| stored.is(id, probe), &stored) {
            return known;
        }
        let key = match probe.key.place() {
            Some(_) => Key::at(arena.push(probe.text), probe.key.fingerprint()),
            None => probe.key,
        };
        entries.push(Entry { key, value: value(new) });
        new
    }

    /// Numbers an ID whose text was forgotten; there must be room.
    pub fn push_forgotten(&mut self, value: impl FnOnce(Id) -> T) {
        let id = Id::new(self.entries.len() as u32);
        let Self { entries, arena, index, hasher, .. } = self;
        // The index has every number, or it would lose some when it grows.
        let hash = hasher.hash_number(u64::from(id.number()));
        index.find_or_insert(hash, id, |_| false, &StoredKeys { entries, arena, hasher });
        entries.push(Entry { key: Key::FORGOTTEN, value: value(id) });
        self.wiped += 1;
    }

    /// Wipes the text of `id`: nobody finds it any more, and it reads as empty.
    ///
    /// Its number stays in the index where it is, until that grows.
    pub fn forget(&mut self, id: Id) {
        self.wiped += usize::from(self.key(id) != Key::FORGOTTEN);
        if let Some(place) = self.key(id).place() {
            self.arena.wipe(place);
        }
        self.entries.get_mut(id.index()).key = Key::FORGOTTEN;
    }

    /// Returns how many texts were wiped.
    pub fn wiped(&self) -> usize {
        self.wiped
    }

    /// Returns the key of `id`.
    #[inline]
    pub fn key(&self, id: Id) -> Key {
        self.entries.get(id.index()).key
    }

    /// Returns the text of `id`.
    pub fn text(&self, id: Id) -> Text<'_> {
        let key = self.key(id);
        match key.place() {
            Some(place) => Text::stored(self.arena.get(place)),
            None => Text::packed(key),
        }
    }

    /// Returns the value of `id`.
    #[inline]
    pub fn value(&self, id: Id) -> &T {
        &self.entries.get(id.index()).value
    }

    /// Returns the value of `id`, to change it.
    #[inline]
    pub fn value_mut(&mut self, id: Id) -> &mut T {
        &mut self.entries.get_mut(id.index()).value
    }

    /// Hints that the value of `id` is about to be read, or its text.
    #[inline]
    pub fn prefetch_entry(&self, id: Id) {
        prefetch(self.entries.get(id.index()));
    }

    #[inline]
    fn stored(&self) -> StoredKeys<'_, T> {
        StoredKeys { entries: &self.entries, arena: &self.arena, hasher: &self.hasher }
    }
}

/// A text that no key holds: its hash tells whether a hasher hashes as the one of the same seeds did.
const PROBE: &str = "the hash of this text tells whether hashes are what they were";

impl<T: Zeroable + Copy> Interner<T> {
    /// Writes everything but the index; `words` are those of a value.
    pub(crate) fn save<const N: usize>(
        &self,
        out: &mut Encoder,
        words: impl Fn(T) -> [u64; N],
    ) -> io::Result<()> {
        out.words(self.hasher.seeds)?;
        out.words([self.hasher.hash_text(PROBE), self.hasher.hash_key(Key::FORGOTTEN)])?;
        out.word(self.len() as u64)?;
        for index in 0..self.len() {
            let Entry { key, value } = *self.entries.get(index);
            out.words([key.high, key.low])?;
            out.words(words(value))?;
        }
        out.word(self.arena.chunks.len() as u64)?;
        self.arena.chunks.iter().try_for_each(|chunk| out.bytes(chunk.as_bytes()))
    }

    /// Writes the index apart from the rest.
    pub(crate) fn save_index(&self, out: &mut Encoder) -> io::Result<()> {
        self.index.save(out)
    }

    /// Reads an interner that takes at most `limit` IDs, and has no index yet; `value` is that of the words.
    pub(crate) fn load<const N: usize>(
        from: &mut Decoder,
        limit: u32,
        value: impl Fn([u64; N]) -> T,
    ) -> io::Result<Self> {
        let hasher = Hasher::with_seeds(from.array()?);
        if from.array()? != [hasher.hash_text(PROBE), hasher.hash_key(Key::FORGOTTEN)] {
            return Err(damaged("its hashes are those of another version"));
        }
        let count = from.count(8 * (2 + N as u64))?;
        if count > limit as usize {
            return Err(damaged("it holds more IDs than can be numbered"));
        }
        let (mut entries, mut wiped) = (Array::new(0), 0);
        if !entries.reserve(count) {
            return Err(no_memory());
        }
        for _ in 0..count {
            let [high, low] = from.array()?;
            let key = Key { high, low };
            wiped += usize::from(key == Key::FORGOTTEN);
            entries.push(Entry { key, value: value(from.array()?) });
        }
        let mut arena = Arena::default();
        for _ in 0..from.count(8)? {
            let chunk = String::from_utf8(from.bytes()?).map_err(|_| damaged("its texts are no Unicode"))?;
            arena.chunks.push(chunk);
        }
        let holds_text = |key: Key| key.place().map_or_else(|| key.holds_text(), |place| arena.holds(place));
        if !(0..count).all(|index| holds_text(entries.get(index).key)) {
            return Err(damaged("an ID has no text"));
        }
        Ok(Self { entries, arena, index: Index::new(0), hasher, limit: limit.min(Id::LIMIT), wiped })
    }

    /// Takes the index that was read apart.
    pub(crate) fn set_index(&mut self, index: Index) {
        self.index = index;
    }
}

/// What the index asks about.
struct StoredKeys<'a, T> {
    entries: &'a Array<Entry<T>>,
    arena: &'a Arena,
    hasher: &'a Hasher,
}

impl<T: Zeroable + Copy> StoredKeys<'_, T> {
    /// Returns whether `id` is the one of `probe`.
    #[inline]
    fn is(&self, id: Id, probe: &Probe) -> bool {
        let key = self.entries.get(id.index()).key;
        if probe.key.place().is_none() { key == probe.key } else { self.holds(key, probe) }
    }

    /// Returns whether the text of `key` lies in the arena and is the one of `probe`.
    fn holds(&self, key: Key, probe: &Probe) -> bool {
        key.place().is_some_and(|place| {
            key.fingerprint() == probe.key.fingerprint() && self.arena.get(place) == probe.text
        })
    }
}

impl<T: Zeroable + Copy> Hashes for StoredKeys<'_, T> {
    fn prefetch(&self, id: Id) {
        prefetch(self.entries.get(id.index()));
    }

    fn hash(&self, id: Id) -> u64 {
        let key = self.entries.get(id.index()).key;
        match key.place() {
            Some(place) => self.hasher.hash_text(self.arena.get(place)),
            // They must not all have one hash.
            None if key == Key::FORGOTTEN => self.hasher.hash_number(u64::from(id.number())),
            None => self.hasher.hash_key(key),
        }
    }
}

/// Texts that do not pack, end to end in chunks that never move.
#[derive(Default)]
struct Arena {
    chunks: Vec<String>,
}

impl Arena {
    const CHUNK: usize = 1 << 20;

    /// Returns whether texts of so many bytes fit in the last chunk.
    #[inline]
    fn has_room(&self, bytes: usize) -> bool {
        self.chunks.last().is_some_and(|chunk| chunk.capacity() - chunk.len() >= bytes)
    }

    /// Makes room for texts of so many bytes, and returns whether there is memory for them.
    fn reserve(&mut self, bytes: usize) -> bool {
        if bytes == 0 || self.has_room(bytes) {
            return true;
        }
        // The first chunk is small, so that a small resolver is; the others are worth a page walk.
        let size = if self.chunks.is_empty() { 1 << 12 } else { Self::CHUNK };
        let mut chunk = String::new();
        let is_there = chunk.try_reserve_exact(bytes.max(size)).is_ok();
        if is_there {
            self.chunks.push(chunk);
        }
        is_there
    }

    fn push(&mut self, text: &str) -> Place {
        assert!(self.reserve(text.len()), "there is no memory for texts");
        let number = self.chunks.len() - 1;
        let chunk = &mut self.chunks[number];
        let start = chunk.len();
        chunk.push_str(text);
        Place { chunk: number as u32, start: start as u32, length: text.len() as u32 }
    }

    /// Hints that the text at `place` is about to be read, if there is one.
    fn prefetch(&self, place: Place) {
        let chunk = self.chunks.get(place.chunk as usize);
        if let Some(byte) = chunk.and_then(|chunk| chunk.as_bytes().get(place.start as usize)) {
            prefetch(byte);
        }
    }

    fn wipe(&mut self, place: Place) {
        let start = place.start as usize;
        let blank = "\0".repeat(place.length as usize);
        self.chunks[place.chunk as usize].replace_range(start..start + blank.len(), &blank);
    }

    /// Returns whether there is a text at `place`.
    fn holds(&self, place: Place) -> bool {
        let start = place.start as usize;
        let chunk = self.chunks.get(place.chunk as usize);
        chunk.is_some_and(|chunk| chunk.get(start..start + place.length as usize).is_some())
    }

    fn get(&self, place: Place) -> &str {
        let start = place.start as usize;
        &self.chunks[place.chunk as usize][start..start + place.length as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intern(interner: &mut Interner<u64>, text: &str) -> Id {
        let hasher = interner.hasher().clone();
        let probe = hasher.probe(text);
        interner.intern(&probe, |id| id.index() as u64)
    }

    #[test]
    fn texts_of_every_form_come_back_byte_for_byte() {
        let mut interner = Interner::new(Id::LIMIT, 0);
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
            assert_eq!(*interner.value(*id), id.index() as u64);
        }
        assert_eq!(interner.len(), texts.len());
    }

    #[test]
    fn a_forgotten_text_is_wiped_and_can_come_back_as_another_id() {
        let mut interner = Interner::new(Id::LIMIT, 0);
        let long = "a text that lies in the arena, for it is too long for a key";
        for text in ["short", long] {
            let id = intern(&mut interner, text);
            interner.forget(id);
            assert_eq!(interner.text(id).as_str(), "");
            assert_ne!(intern(&mut interner, text), id);
        }
        let chunk = &interner.arena.chunks[0];
        assert_eq!((chunk.matches(long).count(), chunk.len()), (1, 2 * long.len()));
        assert_eq!(interner.find(&interner.hasher().probe("")), None);
    }

    #[test]
    fn forgotten_ids_take_nobodys_place_while_the_index_grows() {
        let mut interner = Interner::new(Id::LIMIT, 0);
        for number in 0..60_000 {
            if number % 3 == 0 {
                interner.push_forgotten(|_| 0);
            } else {
                let id = intern(&mut interner, &number.to_string());
                if number % 3 == 1 && number > 3 {
                    interner.forget(Id::new(number - 3));
                }
                assert_eq!(id.number(), number);
            }
        }
        for number in (2..60_000).step_by(3) {
            let found = interner.find(&interner.hasher().probe(&number.to_string()));
            assert_eq!(found, Some(Id::new(number)));
        }
    }

    #[test]
    fn room_ends_at_the_limit_and_the_error_names_it() {
        let mut interner = Interner::new(1, 0);
        assert_eq!(interner.make_room(1, 0), Ok(()));
        assert_eq!(interner.make_room(2, 0), Err(Error::TooManyIds { limit: 1 }));
        intern(&mut interner, "one");
        assert_eq!(interner.make_room(1, 0), Err(Error::TooManyIds { limit: 1 }));
    }
}
