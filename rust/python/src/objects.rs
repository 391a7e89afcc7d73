//! Hashable Python objects as dense numbers, as a dict would tell them apart.
//!
//! # Invariants
//!
//! 1. Numbers count objects in the order in which they were added; none is ever taken away.
//! 2. No two objects are equal, as far as their own `__hash__` and `__eq__` are honest.
//! 3. A search meets objects of one hash in the order of their numbers.
//!
//! Objects stand behind their owner's lock, and `__eq__` may be anybody's Python code, which must
//! not run there. So a search under the lock answers for what is identical, or exactly `str` or
//! `int`, whose comparison is the interpreter's own; of anything else it says [`Search::Unsure`].
//! The caller unlocks, asks, and searches on behind what was not equal: nothing before it can have
//! changed, and what has been added since is behind it.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use idmerge_core::{Hashes, prefetch};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyString};

/// The objects; see the module.
#[derive(Default)]
pub struct Objects {
    hashes: Hashes,
    /// Python's hashes of integers are the integers; this spreads them.
    spread: RandomState,
    slots: Vec<Slot>,
}

struct Slot {
    object: Py<PyAny>,
    hash: Hash,
}

/// What Python says of an object for the sake of finding it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Hash {
    hash: isize,
    /// The object is exactly an `int` and its hash is itself, as most are. Two such are equal if
    /// their hashes are, and neither needs to be read: measured, a quarter less time for a union.
    is_value: bool,
}

/// An object to search for.
pub struct Probe<'a, 'py> {
    pub object: &'a Bound<'py, PyAny>,
    hash: Hash,
    /// How many numbers are known to be of other objects.
    behind: u32,
}

/// What a search under the lock can say.
pub enum Search<'py> {
    Found(u32),
    Nowhere,
    /// This object may be the one: ask [`Probe::is`] without the lock.
    Unsure(u32, Bound<'py, PyAny>),
}

impl<'a, 'py> Probe<'a, 'py> {
    /// Hashes `object`, which may run Python.
    pub fn new(object: &'a Bound<'py, PyAny>) -> PyResult<Self> {
        let hash = object.hash()?;
        let is_value = object.is_exact_instance_of::<PyInt>()
            && object.extract::<isize>().is_ok_and(|value| value == hash);
        Ok(Self { object, hash: Hash { hash, is_value }, behind: 0 })
    }

    /// Returns whether the probe is the object with this number, which may run Python; if not, the
    /// next search begins behind it.
    pub fn is(&mut self, number: u32, object: &Bound<'py, PyAny>) -> PyResult<bool> {
        let equal = object.eq(self.object)?;
        self.behind = number + 1;
        Ok(equal)
    }
}

impl Objects {
    /// Hints that `probe` is about to be searched for.
    #[inline]
    pub fn prefetch(&self, probe: &Probe<'_, '_>) {
        self.hashes.prefetch(self.spread.hash_one(probe.hash.hash));
    }

    /// Returns the number that `probe` most likely has, and hints that it is about to be looked at.
    #[inline]
    pub fn guess(&self, probe: &Probe<'_, '_>) -> Option<u32> {
        let number = self.hashes.candidates(self.spread.hash_one(probe.hash.hash)).next()?;
        prefetch(&self.slots, number as usize);
        Some(number)
    }

    /// Reads the head of the object with this number, if a search will, and waits for nothing.
    #[inline]
    pub fn touch(&self, py: Python<'_>, number: u32) {
        let slot = &self.slots[number as usize];
        if !slot.hash.is_value {
            std::hint::black_box(slot.object.bind(py).get_type_ptr());
        }
    }

    /// Searches for `probe` without running Python.
    #[inline]
    pub fn search<'py>(&self, probe: &Probe<'_, 'py>) -> Search<'py> {
        for number in self.hashes.candidates(self.spread.hash_one(probe.hash.hash)) {
            let slot = &self.slots[number as usize];
            if slot.hash.hash != probe.hash.hash || number < probe.behind {
                continue;
            }
            if slot.hash.is_value && probe.hash.is_value {
                return Search::Found(number);
            }
            let object = slot.object.bind(probe.object.py());
            match equal_without_python(object, probe.object) {
                Some(true) => return Search::Found(number),
                Some(false) => {}
                None => return Search::Unsure(number, object.clone()),
            }
        }
        Search::Nowhere
    }

    /// Adds the object of `probe`, of which a search has just said that it is nowhere.
    pub fn push(&mut self, probe: &Probe<'_, '_>) {
        let Self { hashes, spread, slots } = self;
        hashes.push(spread.hash_one(probe.hash.hash), |number| {
            spread.hash_one(slots[number as usize].hash.hash)
        });
        slots.push(Slot { object: probe.object.clone().unbind(), hash: probe.hash });
    }

    /// Makes room for `more` objects.
    pub fn reserve(&mut self, more: usize) {
        let Self { hashes, spread, slots } = self;
        hashes.reserve(more, |number| spread.hash_one(slots[number as usize].hash.hash));
        slots.reserve(more);
    }

    /// Returns how many objects there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns the object with this number.
    pub fn get<'py>(&self, py: Python<'py>, number: u32) -> Bound<'py, PyAny> {
        self.slots[number as usize].object.bind(py).clone()
    }

    /// Shows every object to the garbage collector.
    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.slots.iter().try_for_each(|slot| visit.call(&slot.object))
    }
}

/// Returns whether two objects of one hash are equal, or None if only Python can tell.
#[inline]
fn equal_without_python(a: &Bound<'_, PyAny>, b: &Bound<'_, PyAny>) -> Option<bool> {
    if a.is(b) {
        return Some(true);
    }
    let both_int = || a.is_exact_instance_of::<PyInt>() && b.is_exact_instance_of::<PyInt>();
    let both_str = || a.is_exact_instance_of::<PyString>() && b.is_exact_instance_of::<PyString>();
    if both_int() || both_str() { a.eq(b).ok() } else { None }
}
