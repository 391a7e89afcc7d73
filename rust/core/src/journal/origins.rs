//! Origins: the event times and the sources of links that are not in the journal yet.
//!
//! An origin belongs to a position. What a caller does not know is left out, and a position without
//! an origin takes no room. In the journal origins are read by position, when they are asked for; a
//! resolver keeps those alone that are not written yet.

use std::collections::HashMap;

use crate::error::Error;
use crate::ids::id::Id;
use crate::journal::record::Record;
use crate::link::{Kind, Outcome};
use crate::resolver::recorder::Recorder;

/// The event time of a link and its place in a source, as far as they are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The position of the link.
    pub position: u64,
    /// The time of its event, in milliseconds since 1970.
    pub time: Option<i64>,
    /// The number of its source, and its own number there: a line, an offset.
    pub place: Option<(u32, u64)>,
}

/// Origins in the order of their positions, and the names of their sources.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    all: Vec<Origin>,
    sources: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
}

impl Origins {
    /// Returns the number of the source with this name.
    pub fn source(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.sources.len() as u32;
        self.sources.push(name.into());
        self.numbers.insert(name.into(), number);
        number
    }

    /// Returns those from one position to before another.
    pub fn between(&self, start: u64, end: u64) -> &[Origin] {
        let place = |position| self.all.partition_point(|origin| origin.position < position);
        &self.all[place(start)..place(end.max(start))]
    }

    /// Returns the names of all sources.
    pub fn sources(&self) -> &[Box<str>] {
        &self.sources
    }

    /// Drops the origins before `position`, which are in the journal now.
    pub fn drop_before(&mut self, position: u64) {
        self.all.drain(..self.all.partition_point(|origin| origin.position < position));
        if self.all.is_empty() {
            self.sources.clear();
            self.numbers.clear();
        }
    }
}

/// A record of steps that notes the origin of each link too.
pub(crate) struct Noting<'a, F> {
    pub record: &'a mut Record,
    pub origins: &'a mut Origins,
    /// The number of the source of all links.
    pub source: Option<u32>,
    /// The position of the next link.
    pub position: u64,
    /// The row whose steps are recorded.
    pub row: usize,
    /// Returns the event time of a row, and its number in the source.
    pub of_row: F,
}

impl<F: FnMut(usize) -> (Option<i64>, u64)> Recorder for Noting<'_, F> {
    const RECORDS: bool = true;

    fn reserve(&mut self, steps: usize) -> Result<(), Error> {
        self.origins.all.try_reserve(steps).map_err(|_| Error::NoMemory)?;
        self.record.reserve(steps)
    }

    #[inline]
    fn begin_row(&mut self, row: usize) {
        self.row = row;
    }

    #[inline]
    fn link(&mut self, kind: Kind, outcome: Outcome, ids: Option<[Id; 2]>) {
        self.record.link(kind, outcome, ids);
        let (time, number) = (self.of_row)(self.row);
        if time.is_some() || self.source.is_some() {
            let place = self.source.map(|source| (source, number));
            self.origins.all.push(Origin { position: self.position, time, place });
        }
        self.position += 1;
    }

    fn observation(&mut self, id: Id) {
        self.record.observation(id);
    }

    fn keep_apart(&mut self, a: Id, b: Id) {
        self.record.keep_apart(a, b);
        self.position += 1;
    }

    fn forget(&mut self, id: Id) {
        self.record.forget(id);
        self.position += 1;
    }
}
