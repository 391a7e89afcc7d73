//! Which properties events have, and of which kinds their values are.
//!
//! Events of one source have the same keys in nearly the same order, so a key is first sought where it
//! came the last time: behind the key before it.

use std::collections::HashMap;

use foldhash::fast::RandomState;

/// Values of a property, told apart as far as columns tell them apart; a set of them is their sum.
pub mod kind {
    pub const NULL: u8 = 1;
    pub const BOOL: u8 = 2;
    pub const INTEGER: u8 = 4;
    pub const FLOAT: u8 = 8;
    pub const TEXT: u8 = 16;
    pub const NESTED: u8 = 32;
    /// What an integer is besides that which no double may hold exactly.
    pub const LARGE: u8 = 64;

    /// Integers up to here are exact as doubles.
    const EXACT: u64 = 1 << 53;

    /// Returns the kind of an integer.
    #[inline]
    pub fn of_integer(number: i64) -> u8 {
        if number.unsigned_abs() <= EXACT { INTEGER } else { INTEGER | LARGE }
    }

    /// Returns the kind of an integer that is not negative: beyond 63 bits it is none to Arrow.
    #[inline]
    pub fn of_unsigned(number: u64) -> u8 {
        i64::try_from(number).map_or(TEXT, of_integer)
    }
}

/// Who says which place the value of a key has.
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

    pub fn name(&self, place: usize) -> &str {
        &self.texts[place]
    }

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

/// The properties of the events of a piece: for each the kinds of its values, and the row where it came first.
#[derive(Default)]
pub struct Shape {
    names: Names,
    seen: Vec<Seen>,
    /// The properties in the order in which they came in rows that could be read whole.
    order: Vec<usize>,
    /// How many rows were read.
    rows: usize,
    /// The properties of the row that is being read.
    row: Vec<(usize, u8)>,
}

/// What is known of one property.
#[derive(Default)]
struct Seen {
    kinds: u8,
    /// The row where it came first.
    first: usize,
    /// The row where it came last, counted from 1.
    last: usize,
    is_listed: bool,
}

impl Keys for Shape {
    #[inline]
    fn begin_row(&mut self) {
        self.names.begin_row();
        self.row.clear();
    }

    /// Every key has a place.
    #[inline]
    fn place(&mut self, key: &str) -> Option<usize> {
        Some(self.names.find(key).unwrap_or_else(|| self.add(key)))
    }
}

impl Shape {
    /// Returns the shape of no events, in which these keys have the first places.
    pub fn of(keys: &[String]) -> Self {
        let mut shape = Self::default();
        for key in keys {
            shape.add(key);
        }
        shape
    }

    fn add(&mut self, key: &str) -> usize {
        self.seen.push(Seen::default());
        self.names.add(key)
    }

    /// Returns the keys that have places.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Takes the kind of the value behind the key at `place`; the last of equal keys counts.
    #[inline]
    pub fn value(&mut self, place: usize, kind: u8) {
        self.row.push((place, kind));
    }

    /// Ends a row that could be read whole.
    #[inline]
    pub fn end_row(&mut self, row: usize) {
        self.rows += 1;
        let mut has_new = false;
        for &(place, kind) in self.row.iter().rev() {
            let seen = &mut self.seen[place];
            if seen.last == self.rows {
                continue; // An equal key came behind it.
            }
            seen.last = self.rows;
            if seen.kinds == 0 {
                seen.first = row;
                has_new = true;
            }
            seen.kinds |= kind;
        }
        if has_new {
            self.list_new();
        }
    }

    /// Takes a row that was read whole, by the places and kinds of its values.
    #[inline]
    pub fn take_row(&mut self, row: usize, values: impl Iterator<Item = (usize, u8)> + Clone) {
        if values.clone().all(|(place, kind)| self.seen[place].kinds & kind == kind) {
            self.rows += 1; // Nothing that was not known.
            return;
        }
        self.row.extend(values);
        self.end_row(row);
    }

    /// Lists the properties that no row before this one had, in its order.
    #[cold]
    fn list_new(&mut self) {
        for &(place, _) in &self.row {
            let seen = &mut self.seen[place];
            if !seen.is_listed {
                seen.is_listed = true;
                self.order.push(place);
            }
        }
    }

    /// Returns how many rows were read whole.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Returns each property's name, its kinds, and the row where it came first.
    pub fn properties(&self) -> Vec<(&str, u8, usize)> {
        let seen = self.order.iter().map(|&place| (self.names.name(place), &self.seen[place]));
        seen.map(|(name, seen)| (name, seen.kinds, seen.first)).collect()
    }
}
