//! Events as Python's objects into the resolver.

use idmerge_events::scan::Steps;
use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::PyIterator;

use crate::errors::Failure;
use crate::events::{EventReader, ReadEvents};
use crate::pipeline::run_detached;
use crate::pipeline::sources::StepRows;
use crate::resolver::{OutcomesAndRows, Resolver};

/// The outcomes and the rows of links.
type Links = (Vec<u8>, Vec<i64>);

/// Outcomes and rows of links, counted from the first event here, the number of events, and the
/// exception behind them.
type Taken<'py> = (OutcomesAndRows<'py>, usize, Option<PyErr>);

#[pymethods]
impl Resolver {
    /// Take up to ``most`` events, the first of which has the number ``first_row``.
    ///
    /// All are read before the first is applied: to read them may run Python code.
    #[pyo3(name = "_take_events")]
    fn take_events<'py>(
        &self,
        reader: &Bound<'py, EventReader>,
        events: &Bound<'py, PyIterator>,
        most: usize,
        first_row: usize,
    ) -> PyResult<Taken<'py>> {
        let py = events.py();
        let read = reader.get().read(events, most);
        let count = read.scan.len();
        let (links, error) = self.take_read(py, read, first_row)?;
        Ok((arrays(py, links), count, error))
    }

    /// Take the events that the body of a request holds.
    #[pyo3(name = "_take_body")]
    fn take_body<'py>(
        &self,
        reader: &Bound<'py, EventReader>,
        body: &[u8],
        kind: Option<&str>,
        most: usize,
    ) -> PyResult<OutcomesAndRows<'py>> {
        let py = reader.py();
        let (mut outcomes, mut rows, mut first_row) = (Vec::new(), Vec::new(), 0);
        reader.get().read_body(py, body, kind, most, |read| {
            let count = read.scan.len();
            let ((of_part, its_rows), _) = self.take_read(py, read, first_row)?;
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
    ) -> PyResult<(Links, Option<PyErr>)> {
        let ReadEvents { scan, codes, filled, error } = read;
        let count = scan.len();
        let steps = Steps::new(&scan, (0, count), &codes, filled).map_err(Failure::from)?;
        let outcomes = self.turn(py).and_then(|_turn| {
            let preparer = self.read(py)?.preparer();
            py.detach(|| {
                let count = steps.effective_count();
                let mut source = StepRows { steps: steps.effective(), preparer: &preparer };
                self.take_all(
                    count,
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
