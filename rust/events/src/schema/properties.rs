//! The properties of a piece's events: their names, the kinds of their values, and their first
//! rows.

use crate::schema::names::{Keys, Names};

/// Properties of events: for each the kinds of its values, and the row where it came first.
#[derive(Default)]
pub struct Properties {
    names: Names,
    facts: Vec<Facts>,
    /// The properties in the order in which they came in rows that could be read whole.
    order: Vec<usize>,
    /// The number of rows that were read.
    rows: usize,
    /// The properties of the row that is being read.
    row: Vec<(usize, u8)>,
}

/// The facts about one property.
#[derive(Default)]
struct Facts {
    kinds: u8,
    /// The row where it came first.
    first: usize,
    /// The row where it came last, counted from 1.
    last: usize,
    is_listed: bool,
}

impl Keys for Properties {
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

impl Properties {
    /// Returns the properties of no events; these keys have the first places.
    pub fn of(keys: &[String]) -> Self {
        let mut properties = Self::default();
        for key in keys {
            properties.add(key);
        }
        properties
    }

    fn add(&mut self, key: &str) -> usize {
        self.facts.push(Facts::default());
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
            let facts = &mut self.facts[place];
            if facts.last == self.rows {
                continue; // An equal key came behind it.
            }
            facts.last = self.rows;
            if facts.kinds == 0 {
                facts.first = row;
                has_new = true;
            }
            facts.kinds |= kind;
        }
        if has_new {
            self.list_new();
        }
    }

    /// Takes a row that was read whole, by the places and kinds of its values.
    #[inline]
    pub fn take_row(&mut self, row: usize, values: impl Iterator<Item = (usize, u8)> + Clone) {
        if values.clone().all(|(place, kind)| self.facts[place].kinds & kind == kind) {
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
            let facts = &mut self.facts[place];
            if !facts.is_listed {
                facts.is_listed = true;
                self.order.push(place);
            }
        }
    }

    /// Returns how many rows were read whole.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Returns each property's name, its kinds, and the row where it came first.
    pub fn list(&self) -> Vec<(&str, u8, usize)> {
        let named = self.order.iter().map(|&place| (self.names.name(place), &self.facts[place]));
        named.map(|(name, facts)| (name, facts.kinds, facts.first)).collect()
    }
}
