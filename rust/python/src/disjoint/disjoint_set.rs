//! The class that `idmerge.compat.DisjointSet` extends, with `SciPy`'s interface.

use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PySet, PyTuple};

use crate::disjoint::links::Links;
use crate::disjoint::objects::Probe;
use crate::disjoint::partition::{Partition, State};
use crate::errors::Failure;

/// The core of `idmerge.compat.DisjointSet`.
#[pyclass(frozen, subclass, extends = Partition, module = "idmerge._core")]
pub struct DisjointSet;

/// Answers for two elements, both of which must be there, by their numbers.
///
/// Most pairs are found under one lock; only where Python has to compare, it takes three.
fn of_two<'py, T>(
    partition: &Partition,
    x: &Bound<'py, PyAny>,
    y: &Bound<'py, PyAny>,
    answer: impl Fn(&mut idmerge_core::DisjointSets, u32, u32) -> T,
) -> PyResult<T> {
    let py = x.py();
    let first = Probe::new(x)?;
    if let Ok(second) = Probe::new(y) {
        let probes = [first, second];
        let mut state = partition.lock(py)?;
        state.approach(&probes);
        if let [Some(a), Some(b)] = probes.map(|probe| state.find(&probe)) {
            return Ok(answer(&mut state.sets, a, b));
        }
    }
    let (a, b) = (partition.require(x)?, partition.require(y)?);
    Ok(answer(&mut partition.lock(py)?.sets, a, b))
}

#[pymethods]
impl DisjointSet {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(Partition::default()).add_subclass(Self)
    }

    /// The number of subsets.
    #[getter]
    fn n_subsets(slf: &Bound<'_, Self>) -> PyResult<usize> {
        Ok(slf.as_super().get().lock(slf.py())?.sets.count())
    }

    fn __len__(slf: &Bound<'_, Self>) -> PyResult<usize> {
        Ok(slf.as_super().get().lock(slf.py())?.objects.len())
    }

    fn __contains__(slf: &Bound<'_, Self>, x: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(slf.as_super().get().find(x)?.is_some())
    }

    fn __getitem__<'py>(slf: &Bound<'py, Self>, x: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let partition = slf.as_super().get();
        let number = partition.require(x)?;
        let mut state = partition.lock(x.py())?;
        let root = state.sets.find(number);
        Ok(state.objects.get(x.py(), root))
    }

    /// Add an element as a subset of its own, unless it is there.
    fn add(slf: &Bound<'_, Self>, x: &Bound<'_, PyAny>) -> PyResult<()> {
        slf.as_super().get().find_or_add(x).map(|_| ())
    }

    /// Merge the subsets of two elements and return whether they were two.
    fn merge(slf: &Bound<'_, Self>, x: &Bound<'_, PyAny>, y: &Bound<'_, PyAny>) -> PyResult<bool> {
        of_two(slf.as_super().get(), x, y, idmerge_core::DisjointSets::merge)
    }

    /// Return whether two elements are in one subset.
    fn connected(slf: &Bound<'_, Self>, x: &Bound<'_, PyAny>, y: &Bound<'_, PyAny>) -> PyResult<bool> {
        of_two(slf.as_super().get(), x, y, |sets, a, b| sets.find(a) == sets.find(b))
    }

    /// Return the subset of an element.
    fn subset<'py>(slf: &Bound<'py, Self>, x: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PySet>> {
        let (py, partition) = (x.py(), slf.as_super().get());
        let number = partition.require(x)?;
        let objects: Vec<_> = {
            let state = partition.lock(py)?;
            state.sets.members(number).map(|member| state.objects.get(py, member)).collect()
        };
        PySet::new(py, objects)
    }

    /// Return how many elements the subset of an element has.
    fn subset_size(slf: &Bound<'_, Self>, x: &Bound<'_, PyAny>) -> PyResult<u32> {
        let partition = slf.as_super().get();
        let number = partition.require(x)?;
        let mut state = partition.lock(x.py())?;
        let root = state.sets.find(number);
        Ok(state.sets.weight(root))
    }

    /// Return every subset, by their first elements.
    fn subsets<'py>(slf: &Bound<'py, Self>) -> PyResult<Vec<Bound<'py, PySet>>> {
        let (py, partition) = (slf.py(), slf.as_super().get());
        let sets = partition.lock(py)?.sets.sets();
        partition.sets(py, &sets)
    }

    /// Merge the subsets of the two elements in each row and return for each whether they were two.
    fn merge_many<'py>(
        slf: &Bound<'py, Self>,
        first: &Bound<'py, PyAny>,
        second: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray1<bool>>> {
        let (py, partition) = (slf.py(), slf.as_super().get());
        let links = Links::from_python(first, second)?;
        let links = links.numbers(py, |elements| {
            let find = |state: &mut State, probe: &Probe<'_, '_>| Ok(state.find(probe));
            partition.of_each(elements, find, Partition::require)
        })?;
        let merged: Result<Vec<bool>, Failure> = py.detach(|| {
            let sets = &mut partition.lock_detached()?.sets;
            let merge = |(row, &[a, b]): (usize, &[u32; 2])| {
                sets.prefetch_link(&links, row);
                sets.merge(a, b)
            };
            Ok(links.iter().enumerate().map(merge).collect())
        });
        Ok(PyArray1::from_vec(py, merged?))
    }
}
