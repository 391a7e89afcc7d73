//! The class that `idmerge.Resolver` extends.
//!
//! The core's resolver stands behind a lock. A call takes its input while attached to the
//! interpreter, locks, works, and unlocks before Python can run again; no Python runs under the lock.
//!
//! A call that changes the resolver has its `turn` to itself until it ends, and the lock for a batch of
//! rows at a time, so that readers get in between.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{LockResult, Mutex, OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};
use std::thread;

use idmerge_core::{Batch, Feed, Id, Kind, Operand, Outcome, Scout, Side, Stopped, Strategy};
use numpy::PyArray1;
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::{PyOnceLock, RwLockExt};
use pyo3::types::{PyList, PyString};

use crate::batches::{Acts, MixedRows, OBSERVE, PinnedRows};
use crate::column::{Column, Elements, Pinned};
use crate::errors::{Failure, UnknownIdError};
use crate::kinds::Kinds;
use crate::relay::{run_attached, run_detached};
use crate::settings::{PolicyFields, strategy};
use crate::table::Table;
use crate::turn::{Turn, Turns};

pub type Core = idmerge_core::Resolver;
pub type OutcomesAndRows<'py> = (Bound<'py, PyArray1<u8>>, Bound<'py, PyArray1<i64>>);

/// The core of `idmerge.Resolver`.
#[pyclass(frozen, subclass, module = "idmerge._core")]
pub struct Resolver {
    pub turn: Turns,
    pub core: RwLock<Core>,
    /// Whether nothing may change it any more, and why; both are set in one's turn.
    pub is_sealed: AtomicBool,
    pub sealed: Mutex<Option<String>>,
    /// Why it answers nothing any more: it is a forked process's copy of its parent's.
    pub orphaned: OnceLock<String>,
    /// Another number whenever an ID's number may mean something else than before; no two resolvers share one.
    era: AtomicU64,
    /// What changed is told from here on.
    pub feed: Mutex<Option<Feed>>,
    /// How many calls wait to read.
    readers: AtomicUsize,
    /// How many threads a call may use.
    pub threads: usize,
    /// The caller's own canonical strategy: takes a cluster's members, returns one of them.
    chooser: Option<Py<PyAny>>,
}

/// How many eras there were.
static ERAS: AtomicU64 = AtomicU64::new(1);

impl Resolver {
    /// Returns what tells whether numbers of IDs still mean what they did.
    pub fn era(&self) -> u64 {
        self.era.load(Ordering::Acquire)
    }

    /// To be called in one's turn, before numbers mean something else.
    pub fn renew_era(&self) {
        self.era.store(ERAS.fetch_add(1, Ordering::Relaxed), Ordering::Release);
    }

    pub fn read<'a>(&'a self, py: Python<'_>) -> Result<RwLockReadGuard<'a, Core>, Failure> {
        self.read_or(|| self.core.read_py_attached(py))
    }

    /// The same without the interpreter.
    pub fn read_detached(&self) -> Result<RwLockReadGuard<'_, Core>, Failure> {
        self.read_or(|| self.core.read())
    }

    /// Locks to read; if that is not possible at once, `wait` does, and whoever writes is told.
    fn read_or<'a>(
        &'a self,
        wait: impl FnOnce() -> LockResult<RwLockReadGuard<'a, Core>>,
    ) -> Result<RwLockReadGuard<'a, Core>, Failure> {
        self.check_ownership()?;
        match self.core.try_read() {
            Ok(core) => return Ok(core),
            Err(TryLockError::Poisoned(error)) => return Err(error.into()),
            Err(TryLockError::WouldBlock) => {}
        }
        self.readers.fetch_add(1, Ordering::SeqCst);
        let core = wait();
        self.readers.fetch_sub(1, Ordering::SeqCst);
        Ok(core?)
    }

    /// Waits until no other call changes the resolver, unless nothing may change it.
    pub fn turn(&self, py: Python<'_>) -> Result<Turn<'_>, Failure> {
        let turn = self.turn_whoever(py)?;
        if self.is_sealed.load(Ordering::Relaxed) {
            let reason = self.sealed.lock()?.clone();
            return Err(Failure::Sealed(reason.unwrap_or_default()));
        }
        Ok(turn)
    }

    /// The same for those who may change a sealed one.
    pub fn turn_whoever(&self, py: Python<'_>) -> Result<Turn<'_>, Failure> {
        self.check_ownership()?;
        Ok(self.turn.take(py))
    }

    /// Refuses what a forked process asks; a lock that its parent held then would never be free.
    #[inline]
    fn check_ownership(&self) -> Result<(), Failure> {
        self.orphaned.get().map_or(Ok(()), |reason| Err(Failure::Sealed(reason.clone())))
    }

    /// To be called in one's turn.
    pub fn write<'a>(&'a self, py: Python<'_>) -> Result<RwLockWriteGuard<'a, Core>, Failure> {
        Ok(self.core.write_py_attached(py)?)
    }

    /// The same without the interpreter.
    pub fn write_detached(&self) -> Result<RwLockWriteGuard<'_, Core>, Failure> {
        Ok(self.core.write()?)
    }

    /// Gives way to those who wait to read; the lock itself does not care whose turn it is.
    fn let_readers_in(&self) {
        // They need some microseconds to wake up; should they need longer, the batch goes on.
        for _ in 0..1000 {
            if self.readers.load(Ordering::SeqCst) == 0 {
                return;
            }
            thread::yield_now();
        }
    }

    fn link_one<'py>(
        &self,
        kind: Kind,
        first: &Bound<'py, PyString>,
        second: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = first.py();
        let (first, second) = (operand(first), operand(second));
        let outcome = {
            let _turn = self.turn(py)?;
            self.write(py)?.link(kind, first, second).map_err(Failure::from)?
        };
        outcome_member(py, outcome)
    }

    /// Returns what `answer` says of an ID, or None if it is not known.
    fn of_known<T>(
        &self,
        distinct_id: &Bound<'_, PyString>,
        answer: impl FnOnce(&Core, Id) -> T,
    ) -> Result<Option<T>, Failure> {
        let text = unicode(distinct_id);
        let core = self.read(distinct_id.py())?;
        Ok(get(&core, text).map(|id| answer(&core, id)))
    }

    fn members_of(&self, distinct_id: &Bound<'_, PyString>) -> Result<Option<Vec<String>>, Failure> {
        self.of_known(distinct_id, |core, id| {
            core.members(id).into_iter().map(|member| core.text(member).as_str().to_owned()).collect()
        })
    }

    /// Takes the rows of columns and returns the outcomes of the links.
    ///
    /// An error names the row of a step, counted from `first_row`.
    fn take(
        &self,
        py: Python<'_>,
        acts: Acts<'_>,
        columns: &[&Column<'_>],
        first_row: usize,
    ) -> Result<Vec<u8>, Failure> {
        let rows = columns[0].len();
        let _turn = self.turn(py)?;
        let door = self.read(py)?.door();
        let pinned: Option<Vec<&Pinned>> = columns.iter().map(|column| column.as_pinned()).collect();
        self.take_all(
            rows,
            first_row,
            |_| (),
            |settle| {
                if let Some(pinned) = pinned {
                    let mut source = PinnedRows::new(acts, &pinned, &door);
                    return py.detach(|| run_detached(&mut source, rows, self.threads, settle));
                }
                let mut source = MixedRows::new(acts, columns, &door);
                run_attached(py, &mut source, rows, self.threads, settle)
            },
        )
    }

    /// Takes the rows that `run` hands over in batches, in one's turn, shows each batch to `see` when it is taken,
    /// and returns the outcomes of links.
    pub fn take_all(
        &self,
        rows: usize,
        first_row: usize,
        mut see: impl FnMut(&Batch) + Send,
        run: impl FnOnce(&mut (dyn FnMut(&mut Batch) -> Result<Scout, Failure> + Send)) -> Result<(), Failure>,
    ) -> Result<Vec<u8>, Failure> {
        let (mut outcomes, mut row) = (Vec::new(), first_row);
        outcomes.try_reserve_exact(rows).map_err(|_| Failure::no_memory())?;
        run(&mut |batch| {
            let mut core = self.write_detached()?;
            let taken = core.take_batch(batch, &mut outcomes);
            taken.map_err(|stopped| Stopped { taken: row + stopped.taken, ..stopped })?;
            let scout = core.scout();
            drop(core);
            see(batch);
            self.let_readers_in();
            row += batch.rows(Side::First);
            Ok(scout)
        })?;
        let taken = row - first_row;
        // A list can grow or shrink under a call that waits without the interpreter.
        if taken != rows {
            return Err(Failure::Changed { taken, rows });
        }
        Ok(outcomes.into_iter().map(|outcome| outcome as u8).collect())
    }
}

/// Returns a Python string's text, or None if it holds a lone surrogate.
///
/// To be called before the lock is taken: for a lone surrogate Python makes an exception, and may
/// then collect garbage and run finalizers.
pub fn unicode<'a>(text: &'a Bound<'_, PyString>) -> Option<&'a str> {
    text.to_str().ok()
}

/// Returns a Python string as an operand; like [`unicode`], before the lock is taken.
fn operand<'a>(text: &'a Bound<'_, PyString>) -> Operand<'a> {
    unicode(text).map_or(Operand::NotUnicode, Operand::Text)
}

/// Returns the member of `idmerge.Outcome` for an outcome of the core.
fn outcome_member(py: Python<'_>, outcome: Outcome) -> PyResult<Bound<'_, PyAny>> {
    static MEMBERS: PyOnceLock<Vec<Py<PyAny>>> = PyOnceLock::new();
    let members = MEMBERS.get_or_try_init(py, || {
        py.import(intern!(py, "idmerge.outcome"))?
            .getattr(intern!(py, "Outcome"))?
            .try_iter()?
            .map(|member| Ok(member?.unbind()))
            .collect::<PyResult<_>>()
    })?;
    Ok(members[outcome as usize].bind(py).clone())
}

fn same_length(kinds: Option<usize>, left: usize, right: usize) -> PyResult<()> {
    if left == right && kinds.is_none_or(|kinds| kinds == left) {
        return Ok(());
    }
    let kinds = kinds.map(|kinds| format!("kind has {kinds}, ")).unwrap_or_default();
    Err(PyValueError::new_err(format!(
        "columns must have the same length: {kinds}first has {left}, second has {right} rows"
    )))
}

#[pymethods]
impl Resolver {
    #[new]
    #[pyo3(signature = (policy, canonical, capacity=0, threads=1, id_limit=None, history=false, record=false))]
    fn new(
        policy: PolicyFields,
        canonical: &Bound<'_, PyAny>,
        capacity: usize,
        threads: usize,
        id_limit: Option<u32>,
        history: bool,
        record: bool,
    ) -> PyResult<Self> {
        let (strategy, chooser) = match canonical.cast::<PyString>() {
            Ok(name) => (strategy(name.to_str()?)?, None),
            Err(_) => (Strategy::FirstSeen, Some(canonical.clone().unbind())),
        };
        let limit = id_limit.unwrap_or(Id::LIMIT);
        let mut core = Core::with_capacity(policy.read()?, strategy, limit, capacity);
        if history {
            core.keep_history();
        }
        if record {
            core.keep_record();
        }
        Ok(Self {
            turn: Turns::default(),
            core: RwLock::new(core),
            is_sealed: AtomicBool::new(false),
            sealed: Mutex::new(None),
            orphaned: OnceLock::new(),
            era: AtomicU64::new(ERAS.fetch_add(1, Ordering::Relaxed)),
            feed: Mutex::new(None),
            readers: AtomicUsize::new(0),
            threads,
            chooser,
        })
    }

    /// The callable may refer back to the resolver; the collector must see that.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.chooser.as_ref().map_or(Ok(()), |chooser| visit.call(chooser))
    }

    /// Judge a ``$identify``: an anonymous ID, then the user's own (SPEC 2).
    fn identify<'py>(
        &self,
        anon_id: &Bound<'py, PyString>,
        identified_id: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.link_one(Kind::Identify, anon_id, identified_id)
    }

    /// Judge a ``$create_alias``: another name, then the ID that it stands for (SPEC 2).
    fn alias<'py>(
        &self,
        alias: &Bound<'py, PyString>,
        distinct_id: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.link_one(Kind::Alias, alias, distinct_id)
    }

    /// Judge a ``$merge``: two IDs of one person (SPEC 2).
    fn merge<'py>(
        &self,
        first: &Bound<'py, PyString>,
        second: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.link_one(Kind::Merge, first, second)
    }

    /// Judge a link whose kind is the core's number ``code``.
    #[pyo3(name = "_link_coded")]
    fn link_coded<'py>(
        &self,
        code: u8,
        first: &Bound<'py, PyString>,
        second: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let kind = Kind::from_code(code);
        let kind =
            kind.ok_or_else(|| PyValueError::new_err(format!("no kind of link has the code {code}")))?;
        self.link_one(kind, first, second)
    }

    /// Make an ID known, if it is valid, so that its cluster of one is counted.
    fn observe(&self, distinct_id: &Bound<'_, PyString>) -> PyResult<()> {
        let (py, id) = (distinct_id.py(), operand(distinct_id));
        let _turn = self.turn(py)?;
        Ok(self.write(py)?.observe(id).map_err(Failure::from)?)
    }

    /// Make many IDs known, in order; invalid ones and missing values stay unknown.
    fn observe_many(&self, py: Python<'_>, ids: &Bound<'_, PyAny>) -> PyResult<()> {
        let ids = Column::from_python(ids, "ids", Elements::Ids)?;
        self.take(py, Acts::Observations, &[&ids], 0)?;
        Ok(())
    }

    /// Judge many links and return their outcomes as a uint8 array.
    #[pyo3(name = "_link_columns")]
    fn link_columns<'py>(
        &self,
        py: Python<'py>,
        kind: &Bound<'py, PyAny>,
        left: &Bound<'py, PyAny>,
        right: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray1<u8>>> {
        let kinds = Kinds::from_python(kind)?;
        let left = Column::from_python(left, "first", Elements::Operands)?;
        let right = Column::from_python(right, "second", Elements::Operands)?;
        same_length(kinds.len(), left.len(), right.len())?;
        let outcomes = self.take(py, Acts::Links(&kinds), &[&left, &right], 0)?;
        Ok(PyArray1::from_vec(py, outcomes))
    }

    /// Take links and observations in order and return the outcomes of the links.
    #[pyo3(name = "_take_steps")]
    fn take_steps<'py>(
        &self,
        py: Python<'py>,
        codes: &[u8],
        left: &Bound<'py, PyList>,
        right: &Bound<'py, PyList>,
        first_row: usize,
    ) -> PyResult<Bound<'py, PyArray1<u8>>> {
        if let Some(code) = codes.iter().find(|code| **code > OBSERVE) {
            return Err(PyValueError::new_err(format!(
                "a step's code must be at most {OBSERVE}, got {code}"
            )));
        }
        let left = Column::from_python(left, "first", Elements::Operands)?;
        let right = Column::from_python(right, "second", Elements::Operands)?;
        same_length(Some(codes.len()), left.len(), right.len())?;
        let outcomes = self.take(py, Acts::Coded(codes), &[&left, &right], first_row)?;
        Ok(PyArray1::from_vec(py, outcomes))
    }

    /// Return the canonical ID of an ID's cluster; an unknown ID resolves to itself (SPEC 5).
    fn resolve<'py>(&self, distinct_id: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        let py = distinct_id.py();
        if let Some(chooser) = &self.chooser {
            return match self.members_of(distinct_id)? {
                Some(members) => chooser.bind(py).call1((members,)),
                None => Ok(distinct_id.clone().into_any()),
            };
        }
        let text = unicode(distinct_id);
        let core = self.read(py)?;
        let canonical = get(&core, text).and_then(|id| core.other_canonical(id));
        // A str is nothing that the collector watches: to make one runs no Python under the lock.
        let text = canonical.map(|id| PyString::from_bytes(py, core.text(id).as_bytes())).transpose()?;
        Ok(text.unwrap_or_else(|| distinct_id.clone()).into_any())
    }

    /// Return whether two IDs are the same person as far as is known.
    fn same(&self, a: &Bound<'_, PyString>, b: &Bound<'_, PyString>) -> PyResult<bool> {
        if a.as_any().eq(b)? {
            return Ok(true);
        }
        let (first, second) = (unicode(a), unicode(b));
        let core = self.read(a.py())?;
        Ok(get(&core, first).zip(get(&core, second)).is_some_and(|(a, b)| core.same(a, b)))
    }

    /// Return the IDs of an ID's cluster in the order in which they became known.
    fn members(&self, distinct_id: &Bound<'_, PyString>) -> PyResult<Vec<String>> {
        self.members_of(distinct_id)?.ok_or_else(|| unknown(distinct_id))
    }

    /// Return how many IDs an ID's cluster has.
    fn size(&self, distinct_id: &Bound<'_, PyString>) -> PyResult<u32> {
        self.of_known(distinct_id, Core::size)?.ok_or_else(|| unknown(distinct_id))
    }

    /// Return whether an ID is known.
    fn __contains__(&self, distinct_id: &Bound<'_, PyString>) -> PyResult<bool> {
        Ok(self.of_known(distinct_id, |_, _| ())?.is_some())
    }

    /// Return how many IDs are known.
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.read(py)?.len())
    }

    /// How many clusters there are, those of one ID included.
    #[getter]
    fn cluster_count(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.read(py)?.cluster_count())
    }

    /// Return every known ID with its canonical ID and the size of its cluster.
    fn mapping(&self, py: Python<'_>) -> PyResult<Table> {
        Ok(py.detach(|| Table::mapping(&*self.read_detached()?))?)
    }

    /// Return how many links had each outcome, and how many clusters have each size.
    #[pyo3(name = "_counts")]
    fn counts(&self, py: Python<'_>) -> PyResult<(Vec<u64>, BTreeMap<u32, u64>)> {
        let counts = py.detach(|| {
            let core = self.read_detached()?;
            let mut sizes = BTreeMap::new();
            for size in core.cluster_sizes() {
                *sizes.entry(size).or_default() += 1;
            }
            Ok::<_, Failure>((core.outcomes().to_vec(), sizes))
        });
        Ok(counts?)
    }
}

/// Returns the number of a text if it is a known ID.
fn get(core: &Core, text: Option<&str>) -> Option<Id> {
    core.get(text?)
}

pub fn unknown(distinct_id: &Bound<'_, PyString>) -> PyErr {
    match distinct_id.repr() {
        Ok(shown) => UnknownIdError::new_err(format!("{shown} is not known")),
        Err(error) => error,
    }
}
