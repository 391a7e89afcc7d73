//! The class that applies updates, one after the other.

use std::sync::{Mutex, PoisonError};

use idmerge_events::updates::{OPERATIONS, Updates};
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyString};

use crate::profiles::objects;
use crate::profiles::operations::{Kind, Operations};
use crate::profiles::rows::UpdateRows;
use crate::profiles::texts::Texts;
use crate::resolver::Resolver;

/// The codes of `UpdateOutcome`.
const APPLIED: u8 = 0;
const MISMATCHED: u8 = 1;
const INVALID_ID: u8 = 2;

/// Applies updates to stored profiles, routed by a resolver.
///
/// The caller holds the lock of the profiles, or hands it over.
#[pyclass(frozen, module = "idmerge._core")]
pub struct ProfileUpdater {
    resolver: Py<Resolver>,
    /// The stored profiles, a dict each, by the ID under which they are stored.
    stored: Py<PyDict>,
    /// Python's function for each operation.
    functions: Vec<Py<PyAny>>,
    texts: Mutex<Texts>,
}

/// The outcomes and the operations of some updates with their numbers, in the order in which each
/// came first.
type Counted = (Vec<(u8, usize)>, Vec<(&'static str, usize)>);

/// The counts, the number of updates, and that behind them which is left to Python, in a tuple.
type Taken<'py> = (Counted, usize, Option<(Bound<'py, PyAny>,)>);

#[pymethods]
impl ProfileUpdater {
    #[new]
    fn new(
        resolver: Py<Resolver>,
        stored: Py<PyDict>,
        operations: Vec<(String, Py<PyAny>)>,
    ) -> PyResult<Self> {
        if !operations.iter().map(|(name, _)| name.as_str()).eq(OPERATIONS) {
            return Err(PyValueError::new_err(format!("operations must be {}", OPERATIONS.join(", "))));
        }
        let functions = operations.into_iter().map(|(_, function)| function).collect();
        Ok(Self { resolver, stored, functions, texts: Mutex::default() })
    }

    /// Apply up to ``most`` updates, each as soon as it comes, in ``lock`` if there is one.
    ///
    /// Returns the counts, the number of updates, and that behind them which is left to Python;
    /// None for the last one if there are no more, or ``most`` are applied.
    #[pyo3(signature = (updates, most, lock=None))]
    fn take<'py>(
        &self,
        updates: &Bound<'py, PyIterator>,
        most: usize,
        lock: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Taken<'py>> {
        let py = updates.py();
        let (mut counts, mut taken) = (Counts::default(), 0);
        let mut state =
            State { read: Updates::default(), operations: Operations::default(), texts: self.texts() };
        let mut updates = updates.clone();
        let mut left = None;
        while taken < most {
            let Some(update) = updates.next().transpose()? else { break };
            if let Some(lock) = lock {
                lock.call_method0(intern!(py, "acquire"))?;
            }
            let outcome = self.take_one(&update, &mut state);
            if let Some(lock) = lock {
                lock.call_method0(intern!(py, "release"))?;
            }
            let Some(outcome) = outcome? else {
                left = Some((update,));
                break;
            };
            counts.count(outcome, &state.operations);
            taken += 1;
        }
        self.keep(state.texts);
        Ok((counts.finish(), taken, left))
    }

    /// Apply the updates of the rows from ``start`` to ``stop``, none of which is left to Python.
    fn take_rows(&self, py: Python<'_>, rows: &UpdateRows, start: usize, stop: usize) -> PyResult<Counted> {
        let (mut counts, mut texts, mut operations) =
            (Counts::default(), self.texts(), Operations::default());
        let updates = rows.updates();
        for row in start..stop {
            let stated = (row < updates.len()).then(|| updates.stated(row)).flatten();
            let stated = stated.ok_or_else(|| PyValueError::new_err(format!("row {row} is no update")))?;
            operations.take(py, updates, &stated, &mut texts)?;
            let outcome = self.apply(py, stated.distinct_id, None, stated.exactly, &operations)?;
            counts.count(outcome, &operations);
        }
        self.keep(texts);
        Ok(counts.finish())
    }

    /// The resolver may refer back to the profiles; the collector must see that.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.resolver)?;
        visit.call(&self.stored)
    }
}

/// Memory for updates, one at a time.
struct State<'py> {
    read: Updates,
    operations: Operations<'py>,
    texts: Texts,
}

impl ProfileUpdater {
    /// Returns the strings; a call within this one has its own.
    fn texts(&self) -> Texts {
        std::mem::take(&mut *self.texts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps the strings for the next call.
    fn keep(&self, texts: Texts) {
        let before =
            std::mem::replace(&mut *self.texts.lock().unwrap_or_else(PoisonError::into_inner), texts);
        drop(before);
    }

    /// Applies an update, and returns its outcome; None leaves it to Python.
    #[inline]
    fn take_one<'py>(&self, update: &Bound<'py, PyAny>, state: &mut State<'py>) -> PyResult<Option<u8>> {
        let py = update.py();
        let State { read, operations, texts } = state;
        if let Ok(update) = update.cast_exact::<PyDict>() {
            let Some((distinct_id, exactly)) = objects::take(update, operations) else { return Ok(None) };
            let Ok(text) = distinct_id.to_str() else { return Ok(None) };
            return self.apply(py, text, Some(&distinct_id), exactly, operations).map(Some);
        }
        let text = match update.cast_exact::<PyBytes>() {
            Ok(bytes) => str::from_utf8(bytes.as_bytes()).ok(),
            Err(_) => update.cast_exact::<PyString>().ok().and_then(|text| text.to_str().ok()),
        };
        read.clear();
        if !text.is_some_and(|text| read.read(text)) {
            return Ok(None);
        }
        let stated = read.stated(0).expect("it was read");
        operations.take(py, read, &stated, texts)?;
        self.apply(py, stated.distinct_id, None, stated.exactly, operations).map(Some)
    }

    /// Applies operations to the profile of an ID, and returns the outcome.
    fn apply<'py>(
        &self,
        py: Python<'py>,
        distinct_id: &str,
        given: Option<&Bound<'py, PyString>>,
        exactly: bool,
        operations: &Operations<'py>,
    ) -> PyResult<u8> {
        let canonical = {
            let core = self.resolver.get().read(py)?;
            if !core.admits(distinct_id) {
                return Ok(INVALID_ID);
            }
            let id = if exactly { None } else { core.get(distinct_id) };
            let canonical = id.and_then(|id| core.other_canonical(id));
            // A str is nothing that the collector watches: to make one runs no Python under the
            // lock.
            canonical.map(|id| PyString::from_bytes(py, core.text(id).as_bytes())).transpose()?
        };
        let place =
            canonical.unwrap_or_else(|| given.map_or_else(|| PyString::new(py, distinct_id), Bound::clone));
        let all_applied = operations.apply(self.stored.bind(py), &place, &self.functions)?;
        Ok(if all_applied { APPLIED } else { MISMATCHED })
    }
}

/// The numbers of outcomes and of operations, with the order in which they came first.
#[derive(Default)]
struct Counts {
    outcomes: [usize; 3],
    operations: [usize; OPERATIONS.len()],
    order_of_outcomes: Vec<u8>,
    order_of_operations: Vec<Kind>,
}

impl Counts {
    #[inline]
    fn count(&mut self, outcome: u8, operations: &Operations<'_>) {
        let count = &mut self.outcomes[usize::from(outcome)];
        if *count == 0 {
            self.order_of_outcomes.push(outcome);
        }
        *count += 1;
        if outcome == INVALID_ID {
            return;
        }
        for &(kind, _) in &operations.kinds {
            let count = &mut self.operations[kind.place()];
            if *count == 0 {
                self.order_of_operations.push(kind);
            }
            *count += 1;
        }
    }

    fn finish(self) -> Counted {
        let outcomes = self.order_of_outcomes.iter().map(|&code| (code, self.outcomes[usize::from(code)]));
        let operations = self
            .order_of_operations
            .iter()
            .map(|kind| (OPERATIONS[kind.place()], self.operations[kind.place()]));
        (outcomes.collect(), operations.collect())
    }
}
