//! Calls of the resolver: one link or a column of them in, one ID's answers and the whole mapping
//! out.

#![expect(clippy::needless_pass_by_value, reason = "pyo3 makes an argument for the call")]

use std::collections::BTreeMap;

use idmerge_core::{Id, Kind, Operand, Outcome};
use idmerge_events::scan::is_step;
use numpy::PyArray1;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;

use crate::columns::{Elements, IdText, Kinds, Pinned, TextColumn};
use crate::errors::Failure;
use crate::pipeline::sources::{Acts, MixedRows, PinnedRows};
use crate::pipeline::{run_attached, run_detached};
use crate::resolver::{Core, Resolver, unicode, unknown};
use crate::tables::Table;

impl Resolver {
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

    /// Returns the `answer` for an ID, or None if it is not known.
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
        columns: &[&TextColumn<'_>],
        first_row: usize,
    ) -> Result<Vec<u8>, Failure> {
        let rows = columns[0].len();
        let _turn = self.turn(py)?;
        let preparer = self.read(py)?.preparer();
        let pinned: Option<Vec<&Pinned>> = columns.iter().map(|column| column.as_pinned()).collect();
        self.take_all(
            rows,
            None,
            |row| first_row + row,
            |_| (),
            |settle| {
                if let Some(pinned) = pinned {
                    let mut source = PinnedRows::new(acts, &pinned, &preparer);
                    return py.detach(|| run_detached(&mut source, rows, self.threads, settle));
                }
                let mut source = MixedRows::new(acts, columns, &preparer);
                run_attached(py, &mut source, rows, self.threads, settle)
            },
        )
    }
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

fn same_length(kinds: Option<usize>, first: usize, second: usize) -> PyResult<()> {
    if first == second && kinds.is_none_or(|kinds| kinds == first) {
        return Ok(());
    }
    let kinds = kinds.map(|kinds| format!("kind has {kinds}, ")).unwrap_or_default();
    Err(PyValueError::new_err(format!(
        "columns must have the same length: {kinds}first has {first}, second has {second} rows"
    )))
}

#[pymethods]
impl Resolver {
    /// Judge a ``$identify``: an anonymous ID, then the user's own (SPEC 2).
    fn identify<'py>(&self, anon_id: IdText<'py>, identified_id: IdText<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.link_one(Kind::Identify, &anon_id, &identified_id)
    }

    /// Judge a ``$create_alias``: another name, then the ID that it stands for (SPEC 2).
    fn alias<'py>(&self, alias: IdText<'py>, distinct_id: IdText<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.link_one(Kind::Alias, &alias, &distinct_id)
    }

    /// Judge a ``$merge``: two IDs of one person (SPEC 2).
    fn merge<'py>(&self, first: IdText<'py>, second: IdText<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.link_one(Kind::Merge, &first, &second)
    }

    /// Judge a link whose kind is the core's number ``code``.
    #[pyo3(name = "_link_coded")]
    fn link_coded<'py>(
        &self,
        code: u8,
        first: IdText<'py>,
        second: IdText<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let kind = Kind::from_code(code).filter(|kind| kind.has_outcome());
        let kind =
            kind.ok_or_else(|| PyValueError::new_err(format!("no kind of link has the code {code}")))?;
        self.link_one(kind, &first, &second)
    }

    /// Make an ID known, if it is valid, so that its cluster of one is counted.
    fn observe(&self, distinct_id: IdText<'_>) -> PyResult<()> {
        let (py, id) = (distinct_id.py(), operand(&distinct_id));
        let _turn = self.turn(py)?;
        Ok(self.write(py)?.observe(id).map_err(Failure::from)?)
    }

    /// Make many IDs known, in order; invalid ones and missing values stay unknown.
    fn observe_many(&self, py: Python<'_>, ids: &Bound<'_, PyAny>) -> PyResult<()> {
        let ids = TextColumn::from_python(ids, "ids", Elements::Ids)?;
        self.take(py, Acts::Observations, &[&ids], 0)?;
        Ok(())
    }

    /// Judge many links and return their outcomes as a uint8 array.
    #[pyo3(name = "_link_columns")]
    fn link_columns<'py>(
        &self,
        py: Python<'py>,
        kind: &Bound<'py, PyAny>,
        first: &Bound<'py, PyAny>,
        second: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray1<u8>>> {
        let kinds = Kinds::from_python(kind)?;
        let first = TextColumn::from_python(first, "first", Elements::Ids)?;
        let second = TextColumn::from_python(second, "second", Elements::Ids)?;
        same_length(kinds.len(), first.len(), second.len())?;
        let outcomes = self.take(py, Acts::Links(&kinds), &[&first, &second], 0)?;
        Ok(PyArray1::from_vec(py, outcomes))
    }

    /// Take links and observations in order and return the outcomes of the links.
    #[pyo3(name = "_take_steps")]
    fn take_steps<'py>(
        &self,
        py: Python<'py>,
        codes: &[u8],
        first: &Bound<'py, PyAny>,
        second: &Bound<'py, PyAny>,
        first_row: usize,
    ) -> PyResult<Bound<'py, PyArray1<u8>>> {
        if let Some(code) = codes.iter().find(|code| !is_step(**code)) {
            return Err(PyValueError::new_err(format!("no step has the code {code}")));
        }
        let first = TextColumn::from_python(first, "first", Elements::Own)?;
        let second = TextColumn::from_python(second, "second", Elements::Own)?;
        same_length(Some(codes.len()), first.len(), second.len())?;
        let outcomes = self.take(py, Acts::Coded(codes), &[&first, &second], first_row)?;
        Ok(PyArray1::from_vec(py, outcomes))
    }

    /// Return the canonical ID of an ID's cluster; an unknown ID resolves to itself (SPEC 5).
    fn resolve<'py>(&self, distinct_id: IdText<'py>) -> PyResult<Bound<'py, PyAny>> {
        let py = distinct_id.py();
        if let Some(chooser) = &self.chooser {
            return match self.members_of(&distinct_id)? {
                Some(members) => chooser.bind(py).call1((members,)),
                None => Ok((*distinct_id).clone().into_any()),
            };
        }
        let text = unicode(&distinct_id);
        let core = self.read(py)?;
        let canonical = get(&core, text).and_then(|id| core.other_canonical(id));
        // A str is nothing that the collector watches: to make one runs no Python under the lock.
        let text = canonical.map(|id| PyString::from_bytes(py, core.text(id).as_bytes())).transpose()?;
        Ok(text.unwrap_or_else(|| (*distinct_id).clone()).into_any())
    }

    /// Return whether two IDs are the same person as far as is known.
    fn same(&self, a: IdText<'_>, b: IdText<'_>) -> PyResult<bool> {
        if a.as_any().eq(&*b)? {
            return Ok(true);
        }
        let (first, second) = (unicode(&a), unicode(&b));
        let core = self.read(a.py())?;
        Ok(get(&core, first).zip(get(&core, second)).is_some_and(|(a, b)| core.same(a, b)))
    }

    /// Return the IDs of an ID's cluster in the order in which they became known.
    fn members(&self, distinct_id: IdText<'_>) -> PyResult<Vec<String>> {
        self.members_of(&distinct_id)?.ok_or_else(|| unknown(&distinct_id))
    }

    /// Return how many IDs an ID's cluster has.
    fn size(&self, distinct_id: IdText<'_>) -> PyResult<u32> {
        self.of_known(&distinct_id, |core, id| core.size(id))?.ok_or_else(|| unknown(&distinct_id))
    }

    /// Return whether an ID is known.
    fn __contains__(&self, distinct_id: IdText<'_>) -> PyResult<bool> {
        Ok(self.of_known(&distinct_id, |_, _| ())?.is_some())
    }

    /// Return how many IDs are known.
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.read(py)?.len())
    }

    /// The number of clusters, those of one ID included.
    #[getter]
    fn cluster_count(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.read(py)?.cluster_count())
    }

    /// Return every known ID with its canonical ID and the size of its cluster.
    fn mapping(&self, py: Python<'_>) -> PyResult<Table> {
        Ok(py.detach(|| Table::mapping(&*self.read_detached()?))?)
    }

    /// Return how many links had each outcome, how many clusters have each size, and how many
    /// verdicts of Mixpanel's differ.
    #[pyo3(name = "_counts")]
    fn counts(&self, py: Python<'_>) -> PyResult<(Vec<u64>, BTreeMap<u32, u64>, u64)> {
        let counts = py.detach(|| {
            let core = self.read_detached()?;
            let mut sizes = BTreeMap::new();
            for size in core.cluster_sizes() {
                *sizes.entry(size).or_default() += 1;
            }
            Ok::<_, Failure>((core.outcomes().to_vec(), sizes, core.differing()))
        });
        Ok(counts?)
    }
}

/// Returns the number of a text if it is a known ID.
fn get(core: &Core, text: Option<&str>) -> Option<Id> {
    core.get(text?)
}
