//! The class that `idmerge.Resolver` extends: its locks, and batches on their way into the core.
//!
//! The core's resolver stands behind a lock. A call takes its input while attached to the
//! interpreter, locks, works, and unlocks before Python can run again; no Python runs under the
//! lock.
//!
//! A call that changes the resolver has its `turn` to itself until it ends, and the lock for a
//! batch of rows at a time, so that readers get in between.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{LockResult, Mutex, OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};
use std::thread;

use idmerge_core::{Batch, ChangeFeed, Id, Prefetcher, Side, Stopped, Strategy};
use numpy::PyArray1;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::RwLockExt;
use pyo3::types::PyString;

use crate::errors::{Failure, UnknownIdError};
use crate::resolver::settings::{PolicyFields, strategy};
use crate::resolver::turn::{Turn, Turns};

pub type Core = idmerge_core::JournaledResolver;
pub type OutcomesAndRows<'py> = (Bound<'py, PyArray1<u8>>, Bound<'py, PyArray1<i64>>);

/// The core of `idmerge.Resolver`.
#[pyclass(frozen, subclass, module = "idmerge._core")]
pub struct Resolver {
    pub turn: Turns,
    pub core: RwLock<Core>,
    /// Whether nothing may change it any more, and why; both are set in one's turn.
    pub is_sealed: AtomicBool,
    pub sealed: Mutex<Option<String>>,
    /// The reason for which it answers nothing any more: it is a forked process's copy of its
    /// parent's.
    pub orphaned: OnceLock<String>,
    /// Another number whenever an ID's number may stand for another ID than before; no two
    /// resolvers share one.
    era: AtomicU64,
    /// The feed of changes that was begun last.
    pub feed: Mutex<Option<ChangeFeed>>,
    /// The number of calls that wait to read.
    readers: AtomicUsize,
    /// The number of threads that a call may use.
    pub threads: usize,
    /// The caller's own canonical strategy: takes a cluster's members, returns one of them.
    pub chooser: Option<Py<PyAny>>,
}

/// The origins of the rows of a call, for the journal of a resolver that has one.
pub struct Note<'a> {
    /// The name of their source, if it is known.
    pub source: Option<&'a str>,
    /// Returns the event time of a row in milliseconds since 1970, and its number in the source.
    pub of_row: &'a (dyn Fn(usize) -> (Option<i64>, u64) + Send + Sync),
}

/// The number of eras so far.
static ERAS: AtomicU64 = AtomicU64::new(1);

impl Resolver {
    /// Returns the era, within which numbers of IDs keep their meaning.
    pub fn era(&self) -> u64 {
        self.era.load(Ordering::Acquire)
    }

    /// To be called in one's turn, before numbers stand for other IDs.
    pub fn renew_era(&self) {
        self.era.store(ERAS.fetch_add(1, Ordering::Relaxed), Ordering::Release);
    }

    /// Locks to read.
    pub fn read<'a>(&'a self, py: Python<'_>) -> Result<RwLockReadGuard<'a, Core>, Failure> {
        self.read_or(|| self.core.read_py_attached(py))
    }

    /// Locks to read, without the interpreter.
    pub fn read_detached(&self) -> Result<RwLockReadGuard<'_, Core>, Failure> {
        self.read_or(|| self.core.read())
    }

    /// Locks to read; if that is not possible at once, `wait` does, and the writing thread sees
    /// that.
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
        let turn = self.turn_of_any(py)?;
        if self.is_sealed.load(Ordering::Relaxed) {
            let reason = self.sealed.lock()?.clone();
            return Err(Failure::Sealed(reason.unwrap_or_default()));
        }
        Ok(turn)
    }

    /// Waits for the turn, also to change a sealed resolver.
    pub fn turn_of_any(&self, py: Python<'_>) -> Result<Turn<'_>, Failure> {
        self.check_ownership()?;
        Ok(self.turn.take(py))
    }

    /// Refuses the calls of a forked process; a lock that its parent held then would never be free.
    #[inline]
    fn check_ownership(&self) -> Result<(), Failure> {
        self.orphaned.get().map_or(Ok(()), |reason| Err(Failure::Sealed(reason.clone())))
    }

    /// Locks to write; to be called in one's turn.
    pub fn write<'a>(&'a self, py: Python<'_>) -> Result<RwLockWriteGuard<'a, Core>, Failure> {
        Ok(self.core.write_py_attached(py)?)
    }

    /// Locks to write in one's turn, without the interpreter.
    pub fn write_detached(&self) -> Result<RwLockWriteGuard<'_, Core>, Failure> {
        Ok(self.core.write()?)
    }

    /// Gives way to waiting readers, for the lock itself is not fair to them.
    fn let_readers_in(&self) {
        // They need some microseconds to wake up; should they need longer, the batch goes on.
        for _ in 0..1000 {
            if self.readers.load(Ordering::SeqCst) == 0 {
                return;
            }
            thread::yield_now();
        }
    }

    /// Takes the rows that `run` hands over in batches, in one's turn, shows each batch to `see`
    /// when it is taken, and returns the outcomes of links.
    ///
    /// An error names the place of a row, as `place_of` returns it.
    pub fn take_all(
        &self,
        rows: usize,
        note: Option<&Note<'_>>,
        place_of: impl Fn(usize) -> usize + Send + Sync,
        mut see: impl FnMut(&Batch) + Send,
        run: impl FnOnce(
            &mut (dyn FnMut(&mut Batch) -> Result<Prefetcher, Failure> + Send),
        ) -> Result<(), Failure>,
    ) -> Result<Vec<u8>, Failure> {
        let (mut outcomes, mut row) = (Vec::new(), 0);
        outcomes.try_reserve_exact(rows).map_err(|_| Failure::no_memory())?;
        let mut reserve = Vec::<u8>::new();
        reserve.try_reserve_exact(RESERVE).map_err(|_| Failure::no_memory())?;
        run(&mut |batch| {
            let mut core = self.write_detached()?;
            let taken = match note {
                None => core.take_batch(batch, &mut outcomes),
                Some(Note { source, of_row }) => {
                    core.take_batch_of(batch, &mut outcomes, *source, |place| of_row(row + place))
                }
            };
            taken.map_err(|stopped| {
                reserve = Vec::new();
                Stopped { taken: place_of(row + stopped.taken), ..stopped }
            })?;
            let prefetcher = core.prefetcher();
            drop(core);
            see(batch);
            self.let_readers_in();
            row += batch.rows(Side::First);
            Ok(prefetcher)
        })?;
        // A list can grow or shrink under a call that waits without the interpreter.
        if row != rows {
            return Err(Failure::Changed { taken: row, rows });
        }
        Ok(outcomes.into_iter().map(|outcome| outcome as u8).collect())
    }
}

/// The bytes that a call on many rows keeps for the text and the exception of its error: where
/// there is no memory for an ID, there may be none for these.
const RESERVE: usize = 1 << 16;

/// Returns a Python string's text, or None if it holds a lone surrogate.
///
/// To be called before the lock is taken: for a lone surrogate Python makes an exception, and may
/// then collect garbage and run finalizers.
pub fn unicode<'a>(text: &'a Bound<'_, PyString>) -> Option<&'a str> {
    text.to_str().ok()
}

/// Returns the text of an ID that must be known.
///
/// # Errors
///
/// `UnknownIdError` if it holds a lone surrogate, as no known ID does.
pub fn known_text<'a>(distinct_id: &'a Bound<'_, PyString>) -> PyResult<&'a str> {
    unicode(distinct_id).ok_or_else(|| unknown(distinct_id))
}

pub fn unknown(distinct_id: &Bound<'_, PyString>) -> PyErr {
    match distinct_id.repr() {
        Ok(shown) => UnknownIdError::new_err(format!("{shown} is not known")),
        Err(error) => error,
    }
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
        let core = idmerge_core::Resolver::with_capacity(policy.read()?, strategy, limit, capacity);
        let mut core = Core::new(core);
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
}
