//! Hashable objects in disjoint sets: the common base of `DisjointSet` and `UnionFind`.
//!
//! Objects and sets stand behind one lock. Whatever may run Python, which is hashing, comparing and
//! letting go of an object, happens before it is taken or after it is left. An object's number is
//! good for ever, so what is found under one lock may be used under the next.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

use idmerge_core::{DisjointSets, Parts};
use pyo3::exceptions::{PyKeyError, PyRuntimeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyDict, PyList, PySet, PyTuple};

use crate::disjoint::objects::{Objects, Probe, Search};
use crate::errors::Failure;
use crate::memory::py_bytes;

/// The objects that are searched for together.
pub const GROUP: usize = 64;

/// The state behind the lock: the number of an object is the number in the sets.
#[derive(Default)]
pub struct State {
    pub objects: Objects,
    pub sets: DisjointSets,
}

impl State {
    /// Returns the number of `probe` if it is there and found without running Python.
    #[inline]
    pub fn find(&self, probe: &Probe<'_, '_>) -> Option<u32> {
        match self.objects.search(probe) {
            Search::Found(number) => Some(number),
            Search::Nowhere | Search::Unsure(..) => None,
        }
    }

    /// Returns the number of `probe`, which is added if it is not there, unless only Python can
    /// compare it.
    #[inline]
    pub fn find_or_add(&mut self, probe: &Probe<'_, '_>) -> Result<Option<u32>, Failure> {
        match self.objects.search(probe) {
            Search::Found(number) => Ok(Some(number)),
            Search::Nowhere => self.push(probe).map(Some),
            Search::Unsure(..) => Ok(None),
        }
    }

    fn push(&mut self, probe: &Probe<'_, '_>) -> Result<u32, Failure> {
        let number = self.sets.push()?;
        self.objects.push(probe);
        Ok(number)
    }

    /// Asks for the memory that searching for all of `probes` will need, side by side.
    ///
    /// Measured: a tenth less time for a union of random ones of a million integers.
    #[inline]
    pub fn approach(&self, probes: &[Probe<'_, '_>]) {
        for probe in probes {
            self.objects.prefetch(probe);
        }
        for number in probes.iter().filter_map(|probe| self.objects.guess(probe)) {
            self.sets.prefetch(number);
        }
        for probe in probes {
            if let Some(number) = self.objects.guess(probe) {
                self.objects.touch(probe.object.py(), number);
            }
        }
    }
}

/// The base of `DisjointSet` and `UnionFind`.
#[pyclass(frozen, subclass, weakref, module = "idmerge._core")]
#[derive(Default)]
pub struct Partition {
    state: Mutex<State>,
}

impl Partition {
    /// Locks the state, detached while it waits.
    pub fn lock(&self, py: Python<'_>) -> Result<MutexGuard<'_, State>, Failure> {
        Ok(self.state.lock_py_attached(py)?)
    }

    /// Locks the state for a caller without the interpreter.
    pub fn lock_detached(&self) -> Result<MutexGuard<'_, State>, Failure> {
        Ok(self.state.lock()?)
    }

    /// Returns the number of an object if it is there.
    pub fn find(&self, object: &Bound<'_, PyAny>) -> PyResult<Option<u32>> {
        let mut probe = Probe::new(object)?;
        loop {
            let search = self.lock(object.py())?.objects.search(&probe);
            match search {
                Search::Found(number) => return Ok(Some(number)),
                Search::Nowhere => return Ok(None),
                Search::Unsure(candidates) => {
                    if let Some(number) = probe.among(&candidates)? {
                        return Ok(Some(number));
                    }
                }
            }
        }
    }

    /// Returns the number of an object that must be there.
    ///
    /// # Errors
    ///
    /// `KeyError` with the object, as a dict raises it.
    pub fn require(&self, object: &Bound<'_, PyAny>) -> PyResult<u32> {
        self.find(object)?.ok_or_else(|| PyKeyError::new_err((object.clone().unbind(),)))
    }

    /// Returns the number of an object, which is added as a set of its own if it is not there.
    pub fn find_or_add(&self, object: &Bound<'_, PyAny>) -> PyResult<u32> {
        let mut probe = Probe::new(object)?;
        loop {
            let candidates = {
                let mut state = self.lock(object.py())?;
                match state.objects.search(&probe) {
                    Search::Found(number) => return Ok(number),
                    Search::Nowhere => return Ok(state.push(&probe)?),
                    Search::Unsure(candidates) => candidates,
                }
            };
            if let Some(number) = probe.among(&candidates)? {
                return Ok(number);
            }
        }
    }

    /// Returns the number of each of some objects, in order: most under one lock by `at_once`,
    /// those that it leaves open by `alone`.
    pub fn of_each<'py>(
        &self,
        objects: &[Bound<'py, PyAny>],
        at_once: impl Fn(&mut State, &Probe<'_, 'py>) -> Result<Option<u32>, Failure>,
        alone: impl Fn(&Self, &Bound<'py, PyAny>) -> PyResult<u32>,
    ) -> PyResult<Vec<u32>> {
        let probes = objects.iter().map(Probe::new).collect::<PyResult<Vec<_>>>()?;
        let mut numbers = Vec::with_capacity(objects.len());
        while let Some(first) = objects.get(numbers.len()) {
            let mut state = self.lock(first.py())?;
            if numbers.is_empty() {
                state.approach(&probes);
            }
            for probe in &probes[numbers.len()..] {
                let Some(number) = at_once(&mut state, probe)? else { break };
                numbers.push(number);
            }
            drop(state);
            if let Some(open) = objects.get(numbers.len()) {
                numbers.push(alone(self, open)?);
            }
        }
        Ok(numbers)
    }

    /// Returns the object with this number.
    pub fn object<'py>(&self, py: Python<'py>, number: u32) -> Result<Bound<'py, PyAny>, Failure> {
        Ok(self.lock(py)?.objects.get(py, number))
    }

    /// Returns objects as Python sets, each filled in the order given.
    pub fn sets<'py>(&self, py: Python<'py>, sets: &[Vec<u32>]) -> PyResult<Vec<Bound<'py, PySet>>> {
        let sets: Vec<Vec<Bound<'py, PyAny>>> = {
            let state = self.lock(py)?;
            let objects = |set: &Vec<u32>| set.iter().map(|&number| state.objects.get(py, number)).collect();
            sets.iter().map(objects).collect()
        };
        sets.into_iter().map(|set| PySet::new(py, set)).collect()
    }
}

#[pymethods]
impl Partition {
    /// A subclass may take what arguments it likes.
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self::default()
    }

    /// A lock that another thread holds hides the objects, and so keeps them.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.state.try_lock() {
            Ok(state) => state.objects.traverse(&visit),
            Err(TryLockError::Poisoned(state)) => state.into_inner().objects.traverse(&visit),
            Err(TryLockError::WouldBlock) => Ok(()),
        }
    }

    fn __clear__(&self) {
        let state = self.state.try_lock().map(|mut state| std::mem::take(&mut *state));
        drop(state);
    }

    /// Return an iterator of the elements in the order in which they were added.
    fn __iter__(slf: &Bound<'_, Self>) -> PyResult<ElementIterator> {
        let length = slf.get().count(slf.py())?;
        Ok(ElementIterator { partition: slf.clone().unbind(), length, position: AtomicUsize::new(0) })
    }

    /// Add elements that are not there yet, each as a set of its own.
    #[pyo3(name = "_add_many")]
    fn add_many(&self, elements: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut elements = elements.try_iter()?;
        loop {
            let group: Vec<Bound<'_, PyAny>> = elements.by_ref().take(GROUP).collect::<PyResult<_>>()?;
            if group.is_empty() {
                return Ok(());
            }
            self.of_each(&group, State::find_or_add, Self::find_or_add)?;
        }
    }

    /// Return how many elements there are.
    #[pyo3(name = "_count")]
    fn count(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.lock(py)?.objects.len())
    }

    /// Return the elements, and their parents, weights and next members as bytes.
    #[pyo3(name = "_state")]
    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let (objects, parts) = {
            let state = self.lock(py)?;
            let objects: Vec<_> = (0..state.objects.len() as u32).map(|n| state.objects.get(py, n)).collect();
            (objects, state.sets.parts())
        };
        let bytes = |numbers: &[u32]| py_bytes(py, &to_bytes(numbers));
        let (parents, weights, next) = (bytes(&parts.parents)?, bytes(&parts.weights)?, bytes(&parts.next)?);
        (PyList::new(py, objects)?, parents, weights, next).into_pyobject(py)
    }

    /// Take over what `_state` of another returned; this one must be empty.
    #[pyo3(name = "_restore")]
    fn restore(
        &self,
        elements: &Bound<'_, PyList>,
        parents: &[u8],
        weights: &[u8],
        next: &[u8],
    ) -> PyResult<()> {
        let apart = Self::default();
        apart.add_many(elements)?;
        let parts =
            Parts { parents: from_bytes(parents), weights: from_bytes(weights), next: from_bytes(next) };
        let sets = DisjointSets::from_parts(&parts).filter(|sets| sets.len() == elements.len());
        let mut fresh = apart.state.into_inner().map_err(Failure::from)?;
        fresh.sets = sets
            .filter(|sets| sets.len() == fresh.objects.len())
            .ok_or_else(|| PyValueError::new_err("the state is not one of a partition"))?;
        let mut state = self.lock(elements.py())?;
        if state.objects.len() > 0 {
            drop(state);
            return Err(PyValueError::new_err("a state can only be restored into an empty partition"));
        }
        *state = fresh;
        Ok(())
    }
}

fn to_bytes(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn from_bytes(bytes: &[u8]) -> Vec<u32> {
    let (numbers, _) = bytes.as_chunks();
    numbers.iter().map(|number| u32::from_le_bytes(*number)).collect()
}

/// Goes through the elements, and refuses to go on once there are more.
#[pyclass(frozen)]
pub struct ElementIterator {
    partition: Py<Partition>,
    length: usize,
    position: AtomicUsize,
}

#[pymethods]
impl ElementIterator {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.partition)
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let state = self.partition.get().lock(py)?;
        if state.objects.len() != self.length {
            drop(state);
            return Err(PyRuntimeError::new_err("elements were added during the iteration"));
        }
        let position = self.position.fetch_add(1, Ordering::Relaxed);
        Ok((position < self.length).then(|| state.objects.get(py, position as u32)))
    }

    fn __length_hint__(&self) -> usize {
        self.length.saturating_sub(self.position.load(Ordering::Relaxed))
    }
}
