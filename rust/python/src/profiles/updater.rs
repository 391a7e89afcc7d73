//! The class that applies updates, one after the other.

use std::sync::{Mutex, PoisonError};

use idmerge_events::updates::{OPERATIONS, Stated, Updates};
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyString};

use crate::profiles::objects::{self, Head};
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

/// Outcomes with their numbers, in the order in which each came first.
type Outcomes = Vec<(u8, usize)>;

/// Operations with their numbers, likewise.
type Named = Vec<(&'static str, usize)>;

/// The outcomes and the operations of some updates, and the canonical ID of each row of an export
/// that is under another one.
type Counted<'py> = (Outcomes, Named, Vec<Bound<'py, PyString>>);

/// The counts, the number of updates, and that behind them which is left to Python, in a tuple.
type Taken<'py> = (Counted<'py>, usize, Option<(Bound<'py, PyAny>,)>);

/// A lock of Python's that is held until this goes, also by a panic.
struct Held<'a, 'py>(&'a Bound<'py, PyAny>);

impl<'a, 'py> Held<'a, 'py> {
    fn acquire(lock: &'a Bound<'py, PyAny>) -> PyResult<Self> {
        lock.call_method0(intern!(lock.py(), "acquire"))?;
        Ok(Self(lock))
    }
}

impl Drop for Held<'_, '_> {
    fn drop(&mut self) {
        let py = self.0.py();
        if let Err(error) = self.0.call_method0(intern!(py, "release")) {
            error.write_unraisable(py, Some(self.0));
        }
    }
}

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
    /// ``export`` takes a row of an export as its ID, the canonical one, and properties, and
    /// returns its operations; without it rows are left to Python. Returns the counts, the number
    /// of updates, and that behind them which is left to Python; None for the last one if there are
    /// no more, or ``most`` are applied.
    #[pyo3(signature = (updates, most, lock=None, export=None))]
    fn take<'py>(
        &self,
        updates: &Bound<'py, PyIterator>,
        most: usize,
        lock: Option<&Bound<'py, PyAny>>,
        export: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Taken<'py>> {
        let py = updates.py();
        let mut call = Call::new(self, py, export);
        let mut read = Updates::new(export.is_some());
        let mut updates = updates.clone();
        let (mut taken, mut left) = (0, None);
        while taken < most {
            let Some(update) = updates.next().transpose()? else { break };
            let held = lock.map(Held::acquire).transpose()?;
            let is_taken = call.take(&update, &mut read);
            drop(held);
            if !is_taken? {
                left = Some((update,));
                break;
            }
            taken += 1;
        }
        Ok((call.finish(), taken, left))
    }

    /// Apply the updates of the rows from ``start`` to ``stop``, none of which is left to Python.
    fn take_rows<'py>(
        &self,
        rows: &UpdateRows,
        start: usize,
        stop: usize,
        export: &Bound<'py, PyAny>,
    ) -> PyResult<Counted<'py>> {
        let mut call = Call::new(self, export.py(), Some(export));
        let updates = rows.updates();
        for row in start..stop {
            let stated = (row < updates.len()).then(|| updates.stated(row)).flatten();
            let stated = stated.ok_or_else(|| PyValueError::new_err(format!("row {row} is no update")))?;
            call.take_stated(updates, &stated)?;
        }
        Ok(call.finish())
    }

    /// The resolver may refer back to the profiles; the collector must see that.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.resolver)?;
        visit.call(&self.stored)
    }
}

impl ProfileUpdater {
    /// Keeps the strings for the next call.
    fn keep(&self, texts: Texts) {
        let before =
            std::mem::replace(&mut *self.texts.lock().unwrap_or_else(PoisonError::into_inner), texts);
        drop(before);
    }

    /// Takes the strings; a call within this one has its own.
    fn texts(&self) -> Texts {
        std::mem::take(&mut *self.texts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the place of an ID's profile.
    #[inline]
    fn place<'py>(&self, py: Python<'py>, distinct_id: &str, exactly: bool) -> PyResult<Place<'py>> {
        let core = self.resolver.get().read(py)?;
        if !core.admits(distinct_id) {
            return Ok(Place::Nowhere);
        }
        let id = if exactly { None } else { core.get(distinct_id) };
        let canonical = id.and_then(|id| core.other_canonical(id));
        Ok(match canonical {
            None => Place::Own,
            // A str is nothing that the collector watches: to make one runs no Python under the
            // lock.
            Some(id) => Place::Canonical(PyString::from_bytes(py, core.text(id).as_bytes())?),
        })
    }
}

/// The place of the profile that an update is for.
enum Place<'py> {
    /// The ID belongs to nobody.
    Nowhere,
    /// The ID itself.
    Own,
    /// The canonical ID, another one.
    Canonical(Bound<'py, PyString>),
}

/// A call: the updates that it takes, one at a time, and their counts.
struct Call<'a, 'py> {
    updater: &'a ProfileUpdater,
    py: Python<'py>,
    export: Option<&'a Bound<'py, PyAny>>,
    operations: Operations<'py>,
    texts: Texts,
    counts: Counts,
    folded: Vec<Bound<'py, PyString>>,
}

impl<'a, 'py> Call<'a, 'py> {
    fn new(updater: &'a ProfileUpdater, py: Python<'py>, export: Option<&'a Bound<'py, PyAny>>) -> Self {
        let (operations, texts) = (Operations::default(), updater.texts());
        Self { updater, py, export, operations, texts, counts: Counts::default(), folded: Vec::new() }
    }

    fn finish(self) -> Counted<'py> {
        self.updater.keep(self.texts);
        let (outcomes, operations) = self.counts.finish();
        (outcomes, operations, self.folded)
    }

    /// Applies an update, and returns whether it did; else it is left to Python.
    #[inline]
    fn take(&mut self, update: &Bound<'py, PyAny>, read: &mut Updates) -> PyResult<bool> {
        if let Ok(update) = update.cast_exact::<PyDict>() {
            let head = objects::take(update, &mut self.operations, self.export.is_some());
            let Some(Head { distinct_id, exactly, is_row }) = head else { return Ok(false) };
            let Ok(text) = distinct_id.to_str() else { return Ok(false) };
            return self.apply(text, Some(&distinct_id), exactly, is_row).map(|()| true);
        }
        let text = match update.cast_exact::<PyBytes>() {
            Ok(bytes) => str::from_utf8(bytes.as_bytes()).ok(),
            Err(_) => update.cast_exact::<PyString>().ok().and_then(|text| text.to_str().ok()),
        };
        read.clear();
        if !text.is_some_and(|text| read.read(text)) {
            return Ok(false);
        }
        self.take_stated(read, &read.stated(0).expect("it was read")).map(|()| true)
    }

    /// Applies an update that was read from text.
    #[inline]
    fn take_stated(&mut self, updates: &Updates, stated: &Stated<'_>) -> PyResult<()> {
        self.operations.take(self.py, updates, stated, &mut self.texts)?;
        self.apply(stated.distinct_id, None, stated.exactly, stated.is_row)
    }

    /// Applies the operations to the profile of an ID.
    #[inline]
    fn apply(
        &mut self,
        distinct_id: &str,
        given: Option<&Bound<'py, PyString>>,
        exactly: bool,
        is_row: bool,
    ) -> PyResult<()> {
        let (py, updater) = (self.py, self.updater);
        let canonical = match updater.place(py, distinct_id, exactly)? {
            Place::Nowhere => {
                self.counts.outcome(INVALID_ID);
                return Ok(());
            }
            Place::Own => None,
            Place::Canonical(id) => Some(id),
        };
        self.counts.operations(&self.operations);
        let own = || given.map_or_else(|| PyString::new(py, distinct_id), Bound::clone);
        let place = match self.export.filter(|_| is_row) {
            None => canonical.unwrap_or_else(own),
            Some(export) => {
                let (own, is_folded) = (own(), canonical.is_some());
                let place = canonical.unwrap_or_else(|| own.clone());
                let operations = export.call1((own, &place, self.operations.properties(py)?))?;
                self.operations.take_dict(operations.cast()?)?;
                if is_folded {
                    self.folded.push(place.clone());
                }
                place
            }
        };
        let all_applied = self.operations.apply(updater.stored.bind(py), &place, &updater.functions)?;
        self.counts.outcome(if all_applied { APPLIED } else { MISMATCHED });
        Ok(())
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
    fn outcome(&mut self, outcome: u8) {
        let count = &mut self.outcomes[usize::from(outcome)];
        if *count == 0 {
            self.order_of_outcomes.push(outcome);
        }
        *count += 1;
    }

    #[inline]
    fn operations(&mut self, operations: &Operations<'_>) {
        for &(kind, _) in &operations.kinds {
            let count = &mut self.operations[kind.place()];
            if *count == 0 {
                self.order_of_operations.push(kind);
            }
            *count += 1;
        }
    }

    fn finish(self) -> (Outcomes, Named) {
        let outcomes = self.order_of_outcomes.iter().map(|&code| (code, self.outcomes[usize::from(code)]));
        let operations = self
            .order_of_operations
            .iter()
            .map(|kind| (OPERATIONS[kind.place()], self.operations[kind.place()]));
        (outcomes.collect(), operations.collect())
    }
}
