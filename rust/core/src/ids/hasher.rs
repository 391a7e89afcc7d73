//! Hashing of texts, keys and numbers, with seeds of a resolver's own.
//!
//! Hashing is foldhash, keyed anew in every process from the system's randomness, so that no
//! sender can choose IDs that collide. No answer depends on a hash or on the order of hashes.
//!
//! A checkpoint keeps the seeds and two hashes of known values: a process that loads it hashes as
//! the one that wrote it, or refuses it.

use std::hash::{BuildHasher, Hasher as _};
use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};

use foldhash::SharedSeed;
use foldhash::quality::SeedableRandomState;

use crate::codec::{Decoder, Encoder, damaged};
use crate::ids::key::{Key, Place};

/// A keyed hash function for texts and numbers; clones of one hasher hash alike.
#[derive(Clone)]
pub struct Hasher {
    state: SeedableRandomState,
    /// The seeds behind `state`: the one that a process shares, and the hasher's own.
    seeds: [u64; 2],
}

/// A text on its way in, packed or not, and hashed.
#[derive(Clone, Copy)]
pub struct Probe<'a> {
    /// The text's key. If it is a place, only its fingerprint is valid yet.
    pub key: Key,
    /// The hash of the text.
    pub hash: u64,
    /// The text, if the key does not hold it; else empty.
    pub text: &'a str,
}

impl Hasher {
    /// A text that no key holds. Its hash shows whether two hashers hash long texts alike.
    const SAMPLE: &str = "the hash of this text tells whether hashes are what they were";

    /// Returns a hasher seeded from the operating system's randomness, by way of the standard
    /// library.
    pub fn keyed() -> Self {
        static SHARED: OnceLock<u64> = OnceLock::new();
        let random = || std::hash::RandomState::new().build_hasher().finish();
        Self::with_seeds([*SHARED.get_or_init(random), random()])
    }

    /// Returns the hasher with these seeds.
    ///
    /// The state of a shared seed is made once for each seed and never freed. There is one seed for
    /// this process and one for each other process whose checkpoint was loaded here, so they are
    /// few.
    fn with_seeds(seeds: [u64; 2]) -> Self {
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

    /// Writes the seeds and the hashes of two known values.
    pub(crate) fn save(&self, out: &mut Encoder) -> io::Result<()> {
        out.words(self.seeds)?;
        out.words(self.samples())
    }

    /// Reads a hasher.
    ///
    /// # Errors
    ///
    /// If the hashes of the known values differ: another version of foldhash, or another
    /// architecture, wrote them, and an index made there would be useless here.
    pub(crate) fn load(from: &mut Decoder) -> io::Result<Self> {
        let hasher = Self::with_seeds(from.array()?);
        if from.array()? == hasher.samples() {
            Ok(hasher)
        } else {
            Err(damaged("its hashes are those of another version"))
        }
    }

    /// Returns the hashes of two known values: a long text and a key.
    fn samples(&self) -> [u64; 2] {
        [self.hash_text(Self::SAMPLE), self.hash_key(Key::FORGOTTEN)]
    }

    /// Returns the hash of a number.
    #[inline]
    pub fn hash_number(&self, number: u64) -> u64 {
        self.state.hash_one(number)
    }

    /// Packs and hashes `text`; only a text that does not pack is read to its end.
    #[inline]
    pub fn probe<'a>(&self, text: &'a str) -> Probe<'a> {
        match Key::pack(text) {
            Some(key) => Probe { key, hash: self.hash_key(key), text: "" },
            None => self.probe_long(text),
        }
    }

    /// Returns the probe of a text that `key` holds.
    pub fn probe_key(&self, key: Key) -> Probe<'static> {
        Probe { key, hash: self.hash_key(key), text: "" }
    }

    /// Returns the probe of a text that does not pack; its place is not known yet.
    fn probe_long<'a>(&self, text: &'a str) -> Probe<'a> {
        let hash = self.hash_text(text);
        let nowhere = Place { chunk: 0, start: 0, length: 0 };
        Probe { key: Key::at(nowhere, fingerprint(hash)), hash, text }
    }

    /// Returns the hash of a text that does not pack.
    pub fn hash_text(&self, text: &str) -> u64 {
        let mut state = self.state.build_hasher();
        state.write(text.as_bytes());
        state.finish()
    }

    /// Returns the hash of a text that `key` holds.
    #[inline]
    pub fn hash_key(&self, key: Key) -> u64 {
        let mut state = self.state.build_hasher();
        state.write_u64(key.high);
        state.write_u64(key.low);
        state.finish()
    }
}

/// Returns the 32 bits of a hash that the key of a stored text repeats.
///
/// Texts that meet in a bucket have equal tags. The fingerprint has bits that are in no tag, so it
/// distinguishes nearly all of them before a text has to be read.
fn fingerprint(hash: u64) -> u32 {
    (hash >> 10) as u32
}
