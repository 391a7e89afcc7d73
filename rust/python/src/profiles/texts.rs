//! Python's strings for short texts that come again: names of properties, and values.
//!
//! A string from here has its hash, is found in a dict by its address, and is shared by the
//! profiles that hold it. The memory is bounded: each text has one place, and a later one takes it.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// The longest text that is kept, in bytes.
const LONGEST: usize = 39;
/// The number of places.
const PLACES: usize = 2048;

/// The strings.
#[derive(Default)]
pub struct Texts {
    hasher: RandomState,
    /// Empty until the first text comes.
    places: Vec<Option<Kept>>,
}

struct Kept {
    length: u8,
    bytes: [u8; LONGEST],
    string: Py<PyString>,
}

impl Texts {
    /// Returns the string of a text.
    #[inline]
    pub fn string<'py>(&mut self, py: Python<'py>, text: &str) -> Bound<'py, PyString> {
        if text.len() > LONGEST {
            return PyString::new(py, text);
        }
        if self.places.is_empty() {
            self.places.resize_with(PLACES, || None);
        }
        let place = &mut self.places[self.hasher.hash_one(text) as usize % PLACES];
        if let Some(kept) = place
            && kept.bytes[..usize::from(kept.length)] == *text.as_bytes()
        {
            return kept.string.bind(py).clone();
        }
        let string = PyString::new(py, text);
        let mut bytes = [0; LONGEST];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        *place = Some(Kept { length: text.len() as u8, bytes, string: string.clone().unbind() });
        string
    }
}
