//! Origins: the event times and the sources of links that are not in the journal yet.
//!
//! An origin belongs to a position. What a caller does not know is left out, and a position without
//! an origin takes no room. In the journal origins are read by position, when they are asked for; a
//! resolver keeps those alone that are not written yet.

use std::collections::HashMap;

use crate::error::{Error, Stopped};
use crate::ids::id::Id;
use crate::journal::JournaledResolver;
use crate::journal::record::Record;
use crate::link::{Kind, Outcome};
use crate::resolver::batch::Batch;
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
    fn source(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.sources.len() as u32;
        self.sources.push(name.into());
        self.numbers.insert(name.into(), number);
        number
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
struct Noting<'a, F> {
    record: &'a mut Record,
    origins: &'a mut Origins,
    /// The number of the source of all links.
    source: Option<u32>,
    /// The position of the next link.
    position: u64,
    row: usize,
    /// Returns the event time of a row, and its number in the source.
    of_row: F,
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

impl JournaledResolver {
    /// Takes the rows of a batch, as [`Self::take_batch`], and notes the origins of links if there
    /// is a record: `of_row` returns a row's event time, and its number in the `source`.
    ///
    /// # Errors
    ///
    /// As [`Self::take_batch`].
    pub fn take_batch_of(
        &mut self,
        batch: &mut Batch,
        outcomes: &mut Vec<Outcome>,
        source: Option<&str>,
        of_row: impl FnMut(usize) -> (Option<i64>, u64),
    ) -> Result<(), Stopped> {
        let position = self.resolver.position();
        let Some(unwritten) = &mut self.unwritten else {
            return self.resolver.take_batch(batch, outcomes);
        };
        let source = source.map(|name| unwritten.origins.source(name));
        let (record, origins) = (&mut unwritten.record, &mut unwritten.origins);
        let mut noting = Noting { record, origins, source, position, row: 0, of_row };
        self.resolver.take_batch_recorded(batch, outcomes, &mut noting)
    }

    /// Returns the origins of the links from one position to before another that are not in the
    /// journal yet, and the names of all sources.
    pub fn origins(&self, start: u64, end: u64) -> (&[Origin], &[Box<str>]) {
        let Some(unwritten) = &self.unwritten else { return (&[], &[]) };
        let all = &unwritten.origins.all;
        let place = |position| all.partition_point(|origin| origin.position < position);
        (&all[place(start)..place(end.max(start))], &unwritten.origins.sources)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clusters::canonical::Strategy;
    use crate::clusters::policy::Policy;
    use crate::link::{Operand, Step};
    use crate::resolver::Resolver;

    #[test]
    fn links_alone_have_origins_and_each_that_of_its_row() {
        let mut core = JournaledResolver::new(Resolver::new(Policy::default(), Strategy::Stable));
        core.keep_record();
        core.link(Kind::Merge, "x".into(), "y".into()).expect("there is room");
        let (preparer, mut batch) = (core.preparer(), Batch::default());
        let text = Operand::Text;
        for step in [
            Step::Observe(text("a")),
            Step::Link(Kind::Merge, text("a"), text("b")),
            Step::Evidence(text("a"), text("a")), // It joins nothing, and has no position.
            Step::Link(Kind::Merge, Operand::Missing, text("b")),
            Step::Evidence(text("a"), text("c")),
        ] {
            batch.push(&preparer, step);
        }
        let of_row = |row| ((row != 3).then_some(row as i64), row as u64);
        core.take_batch_of(&mut batch, &mut Vec::new(), Some("f"), of_row).expect("there is room");
        let (origins, sources) = core.origins(0, 9);
        let found: Vec<_> = origins.iter().map(|one| (one.position, one.time, one.place)).collect();
        assert_eq!(found, [(1, Some(1), Some((0, 1))), (2, None, Some((0, 3))), (3, Some(4), Some((0, 4)))]);
        assert_eq!(sources, ["f".into()]);
        let pending = core.pending().expect("there is a record").steps.codes.len();
        core.written(0, pending, 0);
        assert!(core.origins(0, 9).0.is_empty() && core.origins(0, 9).1.is_empty());
    }
}
