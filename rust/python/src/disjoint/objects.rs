//! Hashable Python objects as dense numbers, as distinct as in a dict.
//!
//! # Invariants
//!
//! 1. Numbers count objects in the order in which they were added; none is ever taken away.
//! 2. No two objects are equal, as far as their own `__hash__` and `__eq__` are honest.
//!
//! Objects stand behind their owner's lock, and `__eq__` may be any Python code, which must
//! not run there. So a search under the lock answers for what is identical, or exactly `str` or
//! `int`, whose comparison is the interpreter's own; everything else of the same hash it hands out
//! as [`Search::Unsure`]. The caller unlocks, asks each, and searches again among what has been
//! added since: the objects before that are other ones for ever.
//!
//! 7 to 14 bytes an object for the index, and 24 for the object's place.

use std::sync::LazyLock;

use idmerge_core::{Hasher, Hashes, Id, Index, prefetch_address};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyString};

/// Python's hashes of integers are the integers; this spreads them.
static SPREAD: LazyLock<Hasher> = LazyLock::new(Hasher::keyed);

/// The objects; see the module.
pub struct Objects {
    index: Index,
    slots: Slots,
}

struct Slots(Vec<Slot>);

struct Slot {
    object: Py<PyAny>,
    hash: Hash,
}

/// The hash of an object, by which it is found.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Hash {
    hash: isize,
    /// The object is exactly an `int` and its hash is itself, as most are. Two such are equal if
    /// their hashes are, and neither needs to be read: measured, a quarter less time for a union.
    is_value: bool,
}

impl Hash {
    #[inline]
    fn spread(self) -> u64 {
        SPREAD.hash_number(self.hash.cast_unsigned() as u64)
    }
}

/// An object to search for.
pub struct Probe<'a, 'py> {
    pub object: &'a Bound<'py, PyAny>,
    hash: Hash,
    spread: u64,
    /// The number of objects that are known to be other ones.
    behind: usize,
}

/// The result of a search under the lock.
pub enum Search<'py> {
    Found(u32),
    Nowhere,
    /// One of these may be it: ask [`Probe::among`] without the lock.
    Unsure(Candidates<'py>),
}

/// The objects that only Python can compare with the one searched for.
pub struct Candidates<'py> {
    objects: Vec<(u32, Bound<'py, PyAny>)>,
    /// The number of objects at that time.
    searched: usize,
}

impl<'a, 'py> Probe<'a, 'py> {
    /// Hashes `object`, which may run Python.
    pub fn new(object: &'a Bound<'py, PyAny>) -> PyResult<Self> {
        let hash = object.hash()?;
        let is_value = object.is_exact_instance_of::<PyInt>()
            && object.extract::<isize>().is_ok_and(|value| value == hash);
        let hash = Hash { hash, is_value };
        Ok(Self { object, hash, spread: hash.spread(), behind: 0 })
    }

    /// Returns which of `candidates` the probe is, which may run Python; if none, the next search
    /// leaves them out.
    pub fn among(&mut self, candidates: &Candidates<'py>) -> PyResult<Option<u32>> {
        for (number, object) in &candidates.objects {
            if object.eq(self.object)? {
                return Ok(Some(*number));
            }
        }
        self.behind = candidates.searched;
        Ok(None)
    }
}

impl Default for Objects {
    fn default() -> Self {
        Self { index: Index::new(0), slots: Slots(Vec::new()) }
    }
}

impl Hashes for Slots {
    fn prefetch(&self, id: Id) {
        prefetch_address(&raw const self.0[id.index()]);
    }

    fn hash(&self, id: Id) -> u64 {
        self.0[id.index()].hash.spread()
    }
}

impl Objects {
    /// Hints that `probe` is about to be searched for.
    #[inline]
    pub fn prefetch(&self, probe: &Probe<'_, '_>) {
        self.index.prefetch(probe.spread);
    }

    /// Returns the number that `probe` most likely has, and hints that it is about to be looked at.
    #[inline]
    pub fn guess(&self, probe: &Probe<'_, '_>) -> Option<u32> {
        let id = self.index.guess(probe.spread).id()?;
        self.slots.prefetch(id);
        Some(id.number())
    }

    /// Reads the head of the object with this number, if a search will, and waits for nothing.
    #[inline]
    pub fn touch(&self, py: Python<'_>, number: u32) {
        let slot = self.slot(number);
        if !slot.hash.is_value {
            std::hint::black_box(slot.object.bind(py).get_type_ptr());
        }
    }

    /// Searches for `probe` without running Python.
    #[inline]
    pub fn search<'py>(&self, probe: &Probe<'_, 'py>) -> Search<'py> {
        let mut unsure = Vec::new();
        let found = self.index.find(probe.spread, |id| {
            let slot = &self.slots.0[id.index()];
            if slot.hash.hash != probe.hash.hash || id.index() < probe.behind {
                return false;
            }
            if slot.hash.is_value && probe.hash.is_value {
                return true;
            }
            let object = slot.object.bind(probe.object.py());
            equal_without_python(object, probe.object).unwrap_or_else(|| {
                unsure.push((id.number(), object.clone()));
                false
            })
        });
        match found {
            Some(id) => Search::Found(id.number()),
            None if unsure.is_empty() => Search::Nowhere,
            None => Search::Unsure(Candidates { objects: unsure, searched: self.len() }),
        }
    }

    /// Adds the object of `probe`, of which a search has just said that it is nowhere.
    pub fn push(&mut self, probe: &Probe<'_, '_>) {
        let new = Id::new(self.slots.0.len() as u32);
        let found = self.index.find_or_insert(probe.spread, new, |_| false, &self.slots);
        debug_assert!(found.is_none());
        self.slots.0.push(Slot { object: probe.object.clone().unbind(), hash: probe.hash });
    }

    /// Returns how many objects there are.
    pub fn len(&self) -> usize {
        self.slots.0.len()
    }

    #[inline]
    fn slot(&self, number: u32) -> &Slot {
        &self.slots.0[number as usize]
    }

    /// Returns the object with this number.
    pub fn get<'py>(&self, py: Python<'py>, number: u32) -> Bound<'py, PyAny> {
        self.slot(number).object.bind(py).clone()
    }

    /// Shows every object to the garbage collector.
    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.slots.0.iter().try_for_each(|slot| visit.call(&slot.object))
    }
}

/// Returns whether two objects of one hash are equal, or None if only Python can compare them.
#[inline]
fn equal_without_python(a: &Bound<'_, PyAny>, b: &Bound<'_, PyAny>) -> Option<bool> {
    if a.is(b) {
        return Some(true);
    }
    let both_int = || a.is_exact_instance_of::<PyInt>() && b.is_exact_instance_of::<PyInt>();
    let both_str = || a.is_exact_instance_of::<PyString>() && b.is_exact_instance_of::<PyString>();
    if both_int() || both_str() { a.eq(b).ok() } else { None }
}
