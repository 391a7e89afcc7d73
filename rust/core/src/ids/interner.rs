//! Interning: text in, dense numbers out, and back; with a value beside each ID's key.
//!
//! # Invariants
//!
//! 1. Entry `i` is that of the `i`th ID that became known. Its key never changes until the ID is
//!    forgotten, and then becomes [`Key::FORGOTTEN`].
//! 2. No two IDs have equal text.
//! 3. Every number is in the index, those of forgotten IDs included.
//!
//! # Costs
//!
//! 16 bytes an ID for its key, 8 to 16 for the index, the value, and the text itself if it does not
//! pack. Finding a text touches a bucket of the index, an entry, and the arena only for a text that
//! does not pack. A value stands beside its ID's key, so a search that ends at the key has brought
//! the value near as well.

use std::io;

use bytemuck::Zeroable;

use crate::arch::{Addresses, Array, prefetch};
use crate::codec::{Decoder, Encoder, damaged, no_memory};
use crate::error::Error;
use crate::ids::arena::Arena;
use crate::ids::hasher::{Hasher, Probe};
use crate::ids::id::Id;
use crate::ids::index::directory::Buckets;
use crate::ids::index::{Hashes, Index};
use crate::ids::key::{Key, Text};

/// The key and the value of an ID.
#[derive(Clone, Copy, Zeroable)]
struct Entry<T> {
    key: Key,
    value: T,
}

/// The interner of texts, with a value of type `T` for each; see the module.
pub struct Interner<T> {
    entries: Array<Entry<T>>,
    arena: Arena,
    index: Index,
    hasher: Hasher,
    /// The most IDs that it takes.
    limit: u32,
    /// The number of texts that were wiped.
    wiped: usize,
}

impl<T: Zeroable + Copy> Interner<T> {
    /// Returns an empty interner that takes at most `limit` IDs and has room for `capacity`.
    ///
    /// Room ahead saves the index from growing, and takes its memory at once.
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

    /// Returns how many IDs have numbers.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the most IDs that it takes.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Returns the hasher of its texts.
    pub fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    /// Returns the buckets of the index, which another thread may read while the interner changes.
    pub fn buckets(&self) -> &Buckets {
        self.index.buckets()
    }

    /// Returns the addresses of the entries, for hints from another thread.
    pub fn addresses(&self) -> Addresses {
        self.entries.addresses()
    }

    /// Hints that a text with this hash is about to be searched for.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        self.index.prefetch(hash);
    }

    /// Hints that the text of `id`, if its key does not hold it, is about to be read.
    #[inline]
    pub fn prefetch_text(&self, id: Id) {
        if let Some(place) = self.key(id).place() {
            self.arena.prefetch(place);
        }
    }

    /// Hints that the key or the value of `id` is about to be read.
    #[inline]
    pub fn prefetch_entry(&self, id: Id) {
        prefetch(self.entries.get(id.index()));
    }

    /// Returns whether `id` has the text of `probe`.
    #[inline]
    pub fn is(&self, id: Id, probe: &Probe) -> bool {
        self.stored().is(id, probe)
    }

    /// Returns the ID with the text of `probe`, if there is one; a forgotten ID is never found.
    #[inline]
    pub fn find(&self, probe: &Probe) -> Option<Id> {
        self.index.find(probe.hash, |id| self.stored().is(id, probe))
    }

    /// Returns whether there is certainly room for two more IDs whose texts take so many bytes.
    ///
    /// Cheap, for it is asked before each step; on false ask [`Self::make_room`], which is exact.
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

    /// Returns the ID with the text of `probe`, numbering it if there is none yet.
    ///
    /// There must be room; see [`Self::make_room`]. `value` makes the value of a new ID.
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
    ///
    /// A journal that is read back has numbers without texts, and later numbers count on them.
    pub fn push_forgotten(&mut self, value: impl FnOnce(Id) -> T) {
        let id = Id::new(self.entries.len() as u32);
        let Self { entries, arena, index, hasher, .. } = self;
        // An index that lacked a number would lose others when it grows.
        let hash = hasher.hash_number(u64::from(id.number()));
        index.find_or_insert(hash, id, |_| false, &StoredKeys { entries, arena, hasher });
        entries.push(Entry { key: Key::FORGOTTEN, value: value(id) });
        self.wiped += 1;
    }

    /// Wipes the text of `id`: it reads as empty from now on, and no search finds it.
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

    /// Returns the key of `id`, which is [`Key::FORGOTTEN`] if its text was wiped.
    #[inline]
    pub fn key(&self, id: Id) -> Key {
        self.entries.get(id.index()).key
    }

    /// Returns the text of `id`, empty if it was forgotten.
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

    /// Returns what a comparison of keys and texts needs.
    #[inline]
    fn stored(&self) -> StoredKeys<'_, T> {
        StoredKeys { entries: &self.entries, arena: &self.arena, hasher: &self.hasher }
    }
}

impl<T: Zeroable + Copy> Interner<T> {
    /// Writes everything but the index; `words` returns a value as words.
    pub(crate) fn save<const N: usize>(
        &self,
        out: &mut Encoder,
        words: impl Fn(T) -> [u64; N],
    ) -> io::Result<()> {
        self.hasher.save(out)?;
        out.word(self.len() as u64)?;
        for index in 0..self.len() {
            let Entry { key, value } = *self.entries.get(index);
            out.words([key.high, key.low])?;
            out.words(words(value))?;
        }
        self.arena.save(out)
    }

    /// Writes the index, which a second thread can read meanwhile.
    pub(crate) fn save_index(&self, out: &mut Encoder) -> io::Result<()> {
        self.index.save(out)
    }

    /// Reads an interner that takes at most `limit` IDs; `value` returns the value of some words.
    ///
    /// It has no index until [`Self::set_index`] gives it the one that belongs to it.
    ///
    /// # Errors
    ///
    /// If it hashes otherwise, holds more IDs than `limit`, or a key leads to no text.
    pub(crate) fn load<const N: usize>(
        from: &mut Decoder,
        limit: u32,
        value: impl Fn([u64; N]) -> T,
    ) -> io::Result<Self> {
        let hasher = Hasher::load(from)?;
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
        let arena = Arena::load(from)?;
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

/// The stored keys and texts, as the index asks for them while the interner changes it.
///
/// A view of its own, for the index is borrowed at the same time.
struct StoredKeys<'a, T> {
    entries: &'a Array<Entry<T>>,
    arena: &'a Arena,
    hasher: &'a Hasher,
}

impl<T: Zeroable + Copy> StoredKeys<'_, T> {
    /// Returns whether `id` has the text of `probe`; packed keys are compared without their texts.
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
            // Forgotten IDs have one key, and must not all have one hash.
            None if key == Key::FORGOTTEN => self.hasher.hash_number(u64::from(id.number())),
            None => self.hasher.hash_key(key),
        }
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
        let chunk = interner.arena.chunk(0);
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
