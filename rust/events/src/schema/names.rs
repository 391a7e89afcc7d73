//! Names of properties with their places.
//!
//! Events of one source have the same keys in nearly the same order, so a key is first sought where
//! it came the last time: behind the key before it.

use std::collections::HashMap;

use foldhash::fast::RandomState;

/// Assigns places to the keys of a row.
pub trait Keys {
    /// Begins another row, or the same one again.
    fn begin_row(&mut self);

    /// Takes the next key of the row and returns the place of its value; None if that has none.
    fn place(&mut self, key: &str) -> Option<usize>;
}

/// Names with their places, in the order of their first appearance.
#[derive(Default)]
pub struct Names {
    texts: Vec<Box<str>>,
    places: HashMap<Box<str>, usize, RandomState>,
    /// The place that came behind each, the last time; behind the last one the first of a row.
    next: Vec<usize>,
    before: Option<usize>,
    first: usize,
}

impl Names {
    /// Returns the place of a name.
    #[inline]
    pub fn find(&mut self, name: &str) -> Option<usize> {
        let guess = self.before.map_or(self.first, |before| self.next[before]);
        let place = match self.texts.get(guess) {
            Some(guessed) if is_same(guessed.as_bytes(), name.as_bytes()) => guess,
            _ => self.seek(name)?,
        };
        self.before = Some(place);
        Some(place)
    }

    #[cold]
    fn seek(&mut self, name: &str) -> Option<usize> {
        let place = *self.places.get(name)?;
        match self.before {
            Some(before) => self.next[before] = place,
            None => self.first = place,
        }
        Some(place)
    }

    /// Adds a name and returns its place.
    pub fn add(&mut self, name: &str) -> usize {
        let place = self.texts.len();
        self.texts.push(name.into());
        self.places.insert(name.into(), place);
        self.next.push(place + 1);
        place
    }

    /// Returns the name at a place.
    pub fn name(&self, place: usize) -> &str {
        &self.texts[place]
    }

    /// Returns the number of names.
    pub fn count(&self) -> usize {
        self.texts.len()
    }
}

/// Returns whether two keys are equal: without a call for those of the usual lengths.
#[inline]
fn is_same(a: &[u8], b: &[u8]) -> bool {
    let word = |text: &[u8], at: usize| text[at..].first_chunk().map_or(0, |word| u64::from_ne_bytes(*word));
    let length = a.len();
    length == b.len()
        && match length {
            8..=16 => word(a, 0) == word(b, 0) && word(a, length - 8) == word(b, length - 8),
            _ => a == b,
        }
}

impl Keys for Names {
    #[inline]
    fn begin_row(&mut self) {
        self.before = None;
    }

    #[inline]
    fn place(&mut self, key: &str) -> Option<usize> {
        self.find(key)
    }
}
