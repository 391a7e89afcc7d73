//! The class that `idmerge.compat.UnionFind` extends, with `NetworkX`'s interface.
//!
//! The heaviest root stays one. Among equally heavy ones `NetworkX` takes the first in the order of
//! a Python set, which depends on their hashes and on the interpreter; so a tie asks such a set.
//! That runs Python, hence without the lock; if the roots are others afterwards, the union begins
//! anew.

use std::collections::HashSet;

use idmerge_core::DisjointSets;
use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PySet, PyTuple};

use crate::disjoint::links::Links;
use crate::disjoint::objects::Probe;
use crate::disjoint::partition::{Partition, State};

/// The core of `idmerge.compat.UnionFind`.
#[pyclass(frozen, subclass, extends = Partition, module = "idmerge._core")]
pub struct UnionFind;

/// The result of a union under the lock.
enum Union {
    Done {
        joined: bool,
    },
    /// Two or more of these roots are the heaviest.
    Tied(Vec<u32>),
}

/// Joins the sets of two numbers, unless their roots are equally heavy.
#[inline]
fn unite_two(sets: &mut DisjointSets, a: u32, b: u32) -> Union {
    let (a, b) = (sets.flatten(a), sets.flatten(b));
    if a == b {
        return Union::Done { joined: false };
    }
    let (ours, theirs) = (sets.weight(a), sets.weight(b));
    if ours == theirs {
        return Union::Tied(vec![a, b]);
    }
    let (root, child) = if ours > theirs { (a, b) } else { (b, a) };
    sets.unite(root, child);
    Union::Done { joined: true }
}

/// Joins the sets of two objects under one lock, or returns None if only Python can find them.
fn union_of_two<'py>(
    partition: &Partition,
    x: &Bound<'py, PyAny>,
    y: &Bound<'py, PyAny>,
) -> PyResult<Option<Union>> {
    let first = Probe::new(x)?;
    let Ok(second) = Probe::new(y) else {
        return Ok(None);
    };
    let probes = [first, second];
    let mut state = partition.lock(x.py())?;
    state.approach(&probes);
    let Some(a) = state.find_or_add(&probes[0])? else {
        return Ok(None);
    };
    let Some(b) = state.find_or_add(&probes[1])? else {
        return Ok(None);
    };
    Ok(Some(unite_two(&mut state.sets, a, b)))
}

/// Returns the different roots of `numbers`, in order.
fn roots(sets: &mut DisjointSets, numbers: &[u32]) -> Vec<u32> {
    let mut roots: Vec<u32> = numbers.iter().map(|&number| sets.flatten(number)).collect();
    if roots.len() > 2 {
        let mut seen = HashSet::new();
        roots.retain(|root| seen.insert(*root));
    } else {
        roots.dedup();
    }
    roots
}

/// Joins all of `roots` under the first of the heaviest if that is one alone or `chosen`.
fn unite_roots(sets: &mut DisjointSets, roots: Vec<u32>, chosen: Option<u32>) -> Union {
    let Some(most) = roots.iter().map(|&root| sets.weight(root)).max() else {
        return Union::Done { joined: false };
    };
    let mut heaviest = roots.iter().copied().filter(|&root| sets.weight(root) == most);
    let first = heaviest.next();
    let Some(root) = chosen.or(first.filter(|_| heaviest.next().is_none())) else {
        return Union::Tied(roots);
    };
    let others = roots.iter().filter(|&&other| other != root);
    others.for_each(|&other| sets.unite(root, other));
    Union::Done { joined: roots.len() > 1 }
}

/// Returns the first of the heaviest of `roots` in the order of a Python set of them.
fn first_in_a_set(partition: &Partition, py: Python<'_>, roots: &[u32]) -> PyResult<u32> {
    let mut heaviest = Vec::with_capacity(roots.len());
    let objects: Vec<Bound<'_, PyAny>> = {
        let state = partition.lock(py)?;
        let most = roots.iter().map(|&root| state.sets.weight(root)).max();
        let is_heaviest = |index: &usize| Some(state.sets.weight(roots[*index])) == most;
        heaviest.extend((0..roots.len()).filter(is_heaviest));
        roots.iter().map(|&root| state.objects.get(py, root)).collect()
    };
    let set = PySet::new(py, &objects)?;
    // Few heaviest are many steps and many heaviest are few: as many looks as there are roots.
    let among_heaviest =
        |object: Bound<'_, PyAny>| heaviest.iter().copied().find(|&index| objects[index].is(&object));
    let first = set.iter().find_map(among_heaviest);
    // A root is not in the set only if its hash or its equality has changed.
    Ok(roots[first.unwrap_or(heaviest[0])])
}

/// Joins the sets of `numbers` and returns whether they were more than one.
fn unite_all(partition: &Partition, py: Python<'_>, numbers: &[u32]) -> PyResult<bool> {
    let mut tied: Option<(Vec<u32>, u32)> = None;
    loop {
        let union = {
            let sets = &mut partition.lock(py)?.sets;
            let roots = roots(sets, numbers);
            let chosen = tied.filter(|(then, _)| *then == roots).map(|(_, root)| root);
            unite_roots(sets, roots, chosen)
        };
        match union {
            Union::Done { joined } => return Ok(joined),
            Union::Tied(roots) => {
                let first = first_in_a_set(partition, py, &roots)?;
                tied = Some((roots, first));
            }
        }
    }
}

/// Joins the sets of the links that have no entry in `joined` yet, up to one whose roots are tied.
fn unite_until_tie(sets: &mut DisjointSets, links: &[[u32; 2]], joined: &mut Vec<bool>) {
    for row in joined.len()..links.len() {
        sets.prefetch_link(links, row);
        let [a, b] = links[row];
        match unite_two(sets, a, b) {
            Union::Done { joined: now } => joined.push(now),
            Union::Tied(_) => return,
        }
    }
}

#[pymethods]
impl UnionFind {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(Partition::default()).add_subclass(Self)
    }

    /// Return the root of an element's set; an unknown element is added.
    fn __getitem__<'py>(slf: &Bound<'py, Self>, element: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let (py, partition) = (slf.py(), slf.as_super().get());
        let number = partition.find_or_add(element)?;
        let mut state = partition.lock(py)?;
        let root = state.sets.flatten(number);
        Ok(state.objects.get(py, root))
    }

    /// Join the sets of all these objects; unknown ones are added.
    #[pyo3(signature = (*objects))]
    fn union(slf: &Bound<'_, Self>, objects: &Bound<'_, PyTuple>) -> PyResult<()> {
        let (py, partition) = (slf.py(), slf.as_super().get());
        if objects.len() == 2 {
            let (x, y) = (objects.get_item(0)?, objects.get_item(1)?);
            if let Some(union) = union_of_two(partition, &x, &y)? {
                return match union {
                    Union::Done { .. } => Ok(()),
                    Union::Tied(roots) => unite_all(partition, py, &roots).map(|_| ()),
                };
            }
        }
        let numbers =
            objects.iter().map(|object| partition.find_or_add(&object)).collect::<PyResult<Vec<_>>>()?;
        unite_all(partition, py, &numbers).map(|_| ())
    }

    /// Return the sets, by their first elements.
    #[pyo3(name = "_sets")]
    fn sets<'py>(slf: &Bound<'py, Self>) -> PyResult<Vec<Bound<'py, PySet>>> {
        let (py, partition) = (slf.py(), slf.as_super().get());
        let sets = {
            let mut state = partition.lock(py)?;
            for number in 0..state.sets.len() as u32 {
                state.sets.flatten(number);
            }
            let mut sets = state.sets.sets();
            for set in &mut sets {
                set.sort_unstable();
            }
            sets
        };
        partition.sets(py, &sets)
    }

    /// Return the parent of an element.
    #[pyo3(name = "_parent")]
    fn parent<'py>(slf: &Bound<'py, Self>, element: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let partition = slf.as_super().get();
        let number = partition.require(element)?;
        let state = partition.lock(slf.py())?;
        Ok(state.objects.get(slf.py(), state.sets.parent(number)))
    }

    /// Return the weight of an element.
    #[pyo3(name = "_weight")]
    fn weight(slf: &Bound<'_, Self>, element: &Bound<'_, PyAny>) -> PyResult<u32> {
        let partition = slf.as_super().get();
        let number = partition.require(element)?;
        Ok(partition.lock(slf.py())?.sets.weight(number))
    }

    /// Join the sets of the two elements in each row and return for each whether they were two.
    fn merge_many<'py>(
        slf: &Bound<'py, Self>,
        first: &Bound<'py, PyAny>,
        second: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray1<bool>>> {
        let (py, partition) = (slf.py(), slf.as_super().get());
        let links = Links::from_python(first, second)?;
        let links = links.numbers(py, |elements| {
            partition.of_each(elements, State::find_or_add, Partition::find_or_add)
        })?;
        let mut joined = Vec::with_capacity(links.len());
        loop {
            unite_until_tie(&mut partition.lock(py)?.sets, &links, &mut joined);
            let Some(tied) = links.get(joined.len()) else {
                return Ok(PyArray1::from_vec(py, joined));
            };
            joined.push(unite_all(partition, py, tied)?);
        }
    }
}
