//! The class that `idmerge.Resolver` extends.
//!
//! The core's resolver stands behind a lock. A call pins its input while attached to the
//! interpreter, detaches, locks, works, and unlocks before it attaches again; no Python runs
//! under the lock.

use std::collections::BTreeMap;
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use arrow_schema::DataType;
use idmerge_core::{Id, Kind, Operand, Outcome, Step, Stopped, Strategy};
use numpy::PyArray1;
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::{PyOnceLock, RwLockExt};
use pyo3::types::{PyList, PyString, PyTuple};

use crate::column::{Column, Elements};
use crate::errors::{Failure, UnknownIdError};
use crate::kinds::Kinds;
use crate::scan::{Scan, Steps};
use crate::settings::{PolicyFields, strategy};
use crate::table::{Column as ArrowColumn, Table, Texts};

type Core = idmerge_core::Resolver;
type OutcomesAndRows<'py> = (Bound<'py, PyArray1<u8>>, Bound<'py, PyArray1<i64>>);

/// A step of `take_steps` that observes an ID; lower codes are the core's kinds.
const OBSERVE: u8 = 4;

/// The core of `idmerge.Resolver`.
#[pyclass(frozen, subclass, module = "idmerge._core")]
pub struct Resolver {
    core: RwLock<Core>,
    /// The caller's own canonical strategy: takes a cluster's members, returns one of them.
    chooser: Option<Py<PyAny>>,
}

impl Resolver {
    fn read<'a>(&'a self, py: Python<'_>) -> Result<RwLockReadGuard<'a, Core>, Failure> {
        Ok(self.core.read_py_attached(py)?)
    }

    fn write<'a>(&'a self, py: Python<'_>) -> Result<RwLockWriteGuard<'a, Core>, Failure> {
        Ok(self.core.write_py_attached(py)?)
    }

    fn link_one<'py>(
        &self,
        kind: Kind,
        first: &Bound<'py, PyString>,
        second: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = first.py();
        let (first, second) = (operand(first), operand(second));
        let outcome = self.write(py)?.link(kind, first, second).map_err(Failure::from)?;
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

    /// Takes steps, which must not need the interpreter, and returns the outcomes of the links.
    ///
    /// An error names the row of a step, counted from `first_row`.
    fn take<'a>(&self, steps: impl Iterator<Item = Step<'a>>, first_row: usize) -> Result<Vec<u8>, Failure> {
        let mut outcomes = Vec::with_capacity(steps.size_hint().0);
        let taken = self.core.write()?.take(steps, &mut outcomes);
        taken.map_err(|stopped| Stopped { taken: first_row + stopped.taken, ..stopped })?;
        Ok(outcomes.into_iter().map(|outcome| outcome as u8).collect())
    }

    /// Renders the canonical ID of each row; a row whose ID is unknown or its own canonical ID
    /// comes out as it is if `complete`, else as null.
    fn canonical_texts(&self, column: &Column, complete: bool) -> Result<Texts, Failure> {
        let core = self.core.read()?;
        let mut texts = Texts::default();
        core.get_many(column.texts(), |text, id| match id.and_then(|id| core.other_canonical(id)) {
            Some(canonical) => texts.push(Some(core.text(canonical).as_str())),
            None => texts.push(text.filter(|_| complete)),
        });
        Ok(texts)
    }
}

/// Returns a Python string's text, or None if it holds a lone surrogate.
///
/// To be called before the lock is taken: for a lone surrogate Python makes an exception, and may
/// then collect garbage and run finalizers.
fn unicode<'a>(text: &'a Bound<'_, PyString>) -> Option<&'a str> {
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
        "columns must have the same length: {kinds}left has {left}, right has {right} rows"
    )))
}

fn step<'a>(code: u8, left: Operand<'a>, right: Operand<'a>) -> Step<'a> {
    match Kind::from_code(code) {
        Some(kind) => Step::Link(kind, left, right),
        None => Step::Observe(left),
    }
}

#[pymethods]
impl Resolver {
    #[new]
    #[pyo3(signature = (policy, canonical, id_limit=None))]
    fn new(policy: PolicyFields, canonical: &Bound<'_, PyAny>, id_limit: Option<u32>) -> PyResult<Self> {
        let (strategy, chooser) = match canonical.cast::<PyString>() {
            Ok(name) => (strategy(name.to_str()?)?, None),
            Err(_) => (Strategy::FirstSeen, Some(canonical.clone().unbind())),
        };
        let limit = id_limit.unwrap_or(Id::LIMIT);
        let core = Core::with_id_limit(policy.read()?, strategy, limit);
        Ok(Self { core: RwLock::new(core), chooser })
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
        let id = operand(distinct_id);
        Ok(self.write(distinct_id.py())?.observe(id).map_err(Failure::from)?)
    }

    /// Make many IDs known, in order; invalid ones and missing values stay unknown.
    fn observe_many(&self, py: Python<'_>, ids: &Bound<'_, PyAny>) -> PyResult<()> {
        let ids = Column::from_python(ids, "ids", Elements::Ids)?;
        py.detach(|| self.take(ids.operands().map(Step::Observe), 0))?;
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
        let left = Column::from_python(left, "left", Elements::Operands)?;
        let right = Column::from_python(right, "right", Elements::Operands)?;
        same_length(kinds.len(), left.len(), right.len())?;
        let links = left.operands().zip(right.operands()).enumerate();
        let outcomes =
            py.detach(|| self.take(links.map(|(row, (a, b))| Step::Link(kinds.get(row), a, b)), 0))?;
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
        let left = Column::from_python(left, "left", Elements::Operands)?;
        let right = Column::from_python(right, "right", Elements::Operands)?;
        same_length(Some(codes.len()), left.len(), right.len())?;
        let operands = left.operands().zip(right.operands());
        let steps = codes.iter().zip(operands).map(|(&code, (a, b))| step(code, a, b));
        let outcomes = py.detach(|| self.take(steps, first_row))?;
        Ok(PyArray1::from_vec(py, outcomes))
    }

    /// Take rows of a scan, their holes filled, and return the outcomes of the links and their rows.
    #[pyo3(name = "_take_scan")]
    fn take_scan<'py>(
        &self,
        scan: &Bound<'py, Scan>,
        rows: (usize, usize),
        codes: &[u8],
        left: &Bound<'py, PyList>,
        right: &Bound<'py, PyList>,
    ) -> PyResult<OutcomesAndRows<'py>> {
        let py = scan.py();
        let left = Column::from_python(left, "left", Elements::Operands)?;
        let right = Column::from_python(right, "right", Elements::Operands)?;
        let steps = Steps::new(scan.get(), rows, codes, (left, right))?;
        let outcomes = py.detach(|| self.take(steps.iter(), 0))?;
        Ok((PyArray1::from_vec(py, outcomes), PyArray1::from_vec(py, steps.links())))
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
        let text = canonical.map(|id| PyString::new(py, core.text(id).as_str()));
        Ok(text.unwrap_or_else(|| distinct_id.clone()).into_any())
    }

    /// Return the canonical ID of each row as an Arrow column.
    #[pyo3(name = "_resolve_column")]
    fn resolve_column(&self, py: Python<'_>, ids: &Bound<'_, PyAny>) -> PyResult<ArrowColumn> {
        let column = Column::from_python(ids, "ids", Elements::Ids)?;
        column.check_unicode("ids")?;
        let kind = column.arrow_type.clone().unwrap_or(DataType::Utf8);
        py.detach(|| self.canonical_texts(&column, true))?.into_column(&kind)
    }

    /// Return the canonical ID of each item as a list.
    #[pyo3(name = "_resolve_list")]
    fn resolve_list<'py>(&self, py: Python<'py>, ids: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        let given: Bound<'py, PyTuple> = ids.cast::<PyList>()?.to_tuple();
        let column = Column::from_python(&given, "ids", Elements::Ids)?;
        let others = py.detach(|| self.canonical_texts(&column, false))?.finish();
        let others = others.iter().flat_map(|chunk| chunk.iter());
        let answers = given.iter().zip(others).map(|(given, other)| match other {
            Some(text) => PyString::new(py, text).into_any(),
            None => given,
        });
        PyList::new(py, answers.collect::<Vec<_>>())
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
        Ok(py.detach(|| Ok::<_, Failure>(Table::mapping(&*self.core.read()?)))?)
    }

    /// Return how many links had each outcome, and how many clusters have each size.
    #[pyo3(name = "_counts")]
    fn counts(&self, py: Python<'_>) -> PyResult<(Vec<u64>, BTreeMap<u32, u64>)> {
        let counts = py.detach(|| {
            let core = self.core.read()?;
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

fn unknown(distinct_id: &Bound<'_, PyString>) -> PyErr {
    match distinct_id.repr() {
        Ok(shown) => UnknownIdError::new_err(format!("{shown} is not known")),
        Err(error) => error,
    }
}
