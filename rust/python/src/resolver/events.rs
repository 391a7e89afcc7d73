//! Events as Python's objects into the resolver.

use idmerge_events::scan::Steps;
use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::PyIterator;

use crate::errors::Failure;
use crate::events::{EventReader, ReadEvents};
use crate::pipeline::run_detached;
use crate::pipeline::sources::StepRows;
use crate::resolver::{Note, OutcomesAndRows, Resolver};

/// The outcomes and the rows of links.
type Links = (Vec<u8>, Vec<i64>);

/// The numbers of events in their source.
#[derive(FromPyObject)]
pub enum Numbers {
    /// That of the first one; the others follow.
    From(u64),
    /// That of each.
    Each(Vec<u64>),
}

/// The name of a source, and the numbers of events in it.
type Origin = (PyBackedStr, Numbers);

/// Outcomes and rows of links, counted from the first event here, the number of events, and the
/// exception behind them.
type Taken<'py> = (OutcomesAndRows<'py>, usize, Option<PyErr>);

#[pymethods]
impl Resolver {
    /// Take up to ``most`` events, the first of which has the number ``first_row``.
    ///
    /// All are read before the first is applied: to read them may run Python code. ``origin`` has
    /// the name of their source and their numbers there, to be kept in a journal.
    #[pyo3(name = "_take_events", signature = (reader, events, most, first_row, origin=None))]
    #[expect(clippy::needless_pass_by_value, reason = "pyo3 makes an argument for the call")]
    fn take_events<'py>(
        &self,
        reader: &Bound<'py, EventReader>,
        events: &Bound<'py, PyIterator>,
        most: usize,
        first_row: usize,
        origin: Option<Origin>,
    ) -> PyResult<Taken<'py>> {
        let py = events.py();
        let read = reader.get().read(events, most);
        let count = read.scan.len();
        let (links, error) = self.take_read(py, read, first_row, origin.as_ref())?;
        Ok((arrays(py, links), count, error))
    }

    /// Take the events that the body of a request holds; ``origin`` is that of its items.
    #[pyo3(name = "_take_body", signature = (reader, body, kind, most, origin=None))]
    #[expect(clippy::needless_pass_by_value, reason = "pyo3 makes an argument for the call")]
    fn take_body<'py>(
        &self,
        reader: &Bound<'py, EventReader>,
        body: &[u8],
        kind: Option<&str>,
        most: usize,
        origin: Option<Origin>,
    ) -> PyResult<OutcomesAndRows<'py>> {
        let py = reader.py();
        let (mut outcomes, mut rows, mut first_row) = (Vec::new(), Vec::new(), 0);
        reader.get().read_body(py, body, kind, most, |read| {
            let count = read.scan.len();
            let ((of_part, its_rows), _) = self.take_read(py, read, first_row, origin.as_ref())?;
            outcomes.extend(of_part);
            rows.extend(its_rows.into_iter().map(|row| row + first_row.cast_signed() as i64));
            first_row += count;
            Ok(())
        })?;
        Ok(arrays(py, (outcomes, rows)))
    }
}

impl Resolver {
    /// Takes events that are read, the first of which has the number `first_row`; returns the links
    /// among them, and the exception behind them.
    fn take_read(
        &self,
        py: Python<'_>,
        read: ReadEvents,
        first_row: usize,
        origin: Option<&Origin>,
    ) -> PyResult<(Links, Option<PyErr>)> {
        let ReadEvents { scan, codes, filled, error, has_times } = read;
        let count = scan.len();
        let steps = Steps::new(&scan, (0, count), &codes, filled).map_err(Failure::from)?;
        let rows_of = (has_times || origin.is_some()).then(|| steps.effective_rows());
        let of_row = |step: usize| {
            let row = rows_of.as_ref().map_or(step, |rows| rows[step]);
            let number = match origin {
                None => 0,
                Some((_, Numbers::From(first))) => first + (first_row + row) as u64,
                Some((_, Numbers::Each(numbers))) => numbers.get(first_row + row).copied().unwrap_or(0),
            };
            (scan.time(row), number)
        };
        let source = origin.map(|(name, _)| &**name);
        let note = rows_of.as_ref().map(|_| Note { source, of_row: &of_row });
        let outcomes = self.turn(py).and_then(|_turn| {
            let preparer = self.read(py)?.preparer();
            py.detach(|| {
                let count = steps.effective_count();
                let mut source = StepRows { steps: steps.effective(), preparer: &preparer };
                self.take_all(
                    count,
                    note.as_ref(),
                    |step| first_row + steps.row_of_effective(step),
                    |_| (),
                    |settle| run_detached(&mut source, count, self.threads, settle),
                )
            })
        });
        match outcomes {
            Ok(outcomes) => Ok(((outcomes, steps.links()), error)),
            Err(failure) => {
                let failure = PyErr::from(failure);
                failure.set_context(py, error);
                Err(failure)
            }
        }
    }
}

fn arrays(py: Python<'_>, (outcomes, rows): Links) -> OutcomesAndRows<'_> {
    (PyArray1::from_vec(py, outcomes), PyArray1::from_vec(py, rows))
}
