//! Hashable Python objects as dense numbers, as a dict would tell them apart.
//!
//! # Invariants
//!
//! 1. Numbers count objects in the order in which they were added; none is ever taken away.
//! 2. No two objects are equal, as far as their own `__hash__` and `__eq__` are honest.
//! 3. Objects of one hash are a chain in the order of their numbers.
//!
//! Objects stand behind their owner's lock, and `__eq__` may be anybody's Python code, which must
//! not run there. So a search under the lock answers for what is identical, or exactly `str` or
//! `int`, whose comparison is the interpreter's own; of anything else it says [`Search::Unsure`].
//! The caller unlocks, asks, and searches on behind what was not equal: what was behind it cannot
//! have changed, and what has been added since is further behind.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use foldhash::fast::RandomState;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyString};

/// The objects; see the module.
#[derive(Default)]
pub struct Objects {
    /// The first and the last object of each hash.
    chains: HashMap<isize, [u32; 2], RandomState>,
    slots: Vec<Slot>,
}

struct Slot {
    object: Py<PyAny>,
    /// The next object of the same hash, or this one.
    next: u32,
}

/// An object to search for.
pub struct Probe<'a, 'py> {
    pub object: &'a Bound<'py, PyAny>,
    hash: isize,
    /// The last object of the chain that is known to be another.
    behind: Option<u32>,
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
        Ok(Self { object, hash: object.hash()?, behind: None })
    }

    /// Returns whether the probe is the object with this number, which may run Python; if not, the
    /// next search begins behind it.
    pub fn is(&mut self, number: u32, object: &Bound<'py, PyAny>) -> PyResult<bool> {
        let equal = object.eq(self.object)?;
        self.behind = Some(number);
        Ok(equal)
    }
}

impl Objects {
    /// Searches for `probe` without running Python.
    #[inline]
    pub fn search<'py>(&self, probe: &Probe<'_, 'py>) -> Search<'py> {
        let py = probe.object.py();
        let mut at = match probe.behind {
            None => self.chains.get(&probe.hash).map(|[first, _]| *first),
            Some(number) => self.next(number),
        };
        while let Some(number) = at {
            let object = self.slots[number as usize].object.bind(py);
            match equal_without_python(object, probe.object) {
                Some(true) => return Search::Found(number),
                Some(false) => at = self.next(number),
                None => return Search::Unsure(number, object.clone()),
            }
        }
        Search::Nowhere
    }

    fn next(&self, number: u32) -> Option<u32> {
        // After `__clear__` there is nothing behind a number.
        self.slots.get(number as usize).map(|slot| slot.next).filter(|next| *next != number)
    }

    /// Adds the object of `probe`, of which a search has just said that it is nowhere.
    pub fn push(&mut self, probe: &Probe<'_, '_>, number: u32) {
        debug_assert_eq!(number as usize, self.slots.len());
        match self.chains.entry(probe.hash) {
            Entry::Occupied(mut chain) => {
                let last = std::mem::replace(&mut chain.get_mut()[1], number);
                self.slots[last as usize].next = number;
            }
            Entry::Vacant(chain) => {
                chain.insert([number; 2]);
            }
        }
        self.slots.push(Slot { object: probe.object.clone().unbind(), next: number });
    }

    /// Makes room for `more` objects.
    pub fn reserve(&mut self, more: usize) {
        self.chains.reserve(more);
        self.slots.reserve(more);
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
