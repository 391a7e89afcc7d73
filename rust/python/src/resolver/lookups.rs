//! Look-ups of the canonical ID in each row of a column: a list, numpy or Arrow.

use std::ops::Range;
use std::panic::resume_unwind;
use std::thread;

use arrow_array::StringArray;
use arrow_schema::DataType;
use idmerge_core::{Answer, Batch, Preparer, Side};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

use crate::columns::{Elements, Objects, Pinned, Purpose, TextColumn};
use crate::errors::Failure;
use crate::pipeline::spawn;
use crate::resolver::{Core, Resolver};
use crate::tables::{Column, Texts};

/// The rows of a look-up that are worth a thread of their own.
const WORTH_A_THREAD: usize = 1 << 14;

#[pymethods]
impl Resolver {
    /// Return the canonical ID of each row as an Arrow column.
    #[pyo3(name = "_resolve_column")]
    fn resolve_column(&self, py: Python<'_>, ids: &Bound<'_, PyAny>) -> PyResult<Column> {
        match TextColumn::from_python(ids, "ids", Elements::Ids)? {
            TextColumn::Objects(objects) => {
                let (_, batches) = self.lookups(py, &objects)?;
                Column::of(py.detach(|| self.answer(batches, true))?, &DataType::Utf8)
            }
            TextColumn::Pinned(column) => {
                let kind = column.arrow_type.clone().unwrap_or(DataType::Utf8);
                let texts = py.detach(|| {
                    column.check_unicode("ids")?;
                    self.resolve_pinned(&column)
                })?;
                Column::new(texts, &kind)
            }
        }
    }

    /// Return the canonical ID of each item as a list.
    #[pyo3(name = "_resolve_list")]
    fn resolve_list<'py>(&self, py: Python<'py>, ids: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        let TextColumn::Objects(objects) = TextColumn::from_python(ids, "ids", Elements::Ids)? else {
            return Err(PyTypeError::new_err("ids must be a list"));
        };
        let (given, batches) = self.lookups(py, &objects)?;
        let others = py.detach(|| self.answer(batches, false))?.finish()?;
        let others = others.iter().flat_map(|chunk| chunk.iter());
        let answers = given.iter().zip(others).map(|(given, other)| match other {
            Some(text) => PyString::from_bytes(py, text.as_bytes()).map(Bound::into_any),
            None => Ok(given),
        });
        PyList::new(py, answers.collect::<PyResult<Vec<_>>>()?)
    }
}

impl Resolver {
    /// Renders the canonical ID of each row of a pinned column, several threads a range of rows
    /// each.
    fn resolve_pinned(&self, column: &Pinned) -> PyResult<Vec<StringArray>> {
        let core = self.read_detached()?;
        let (core, preparer, rows) = (&*core, &core.preparer(), column.len());
        let parts = self.threads.min(rows / WORTH_A_THREAD).max(1);
        let bounds: Vec<usize> = (0..=parts).map(|part| rows * part / parts).collect();
        thread::scope(|scope| {
            let resolve = |range: Range<usize>| resolve_range(core, preparer, column, range);
            let later = bounds[1..].windows(2).map(|range| {
                let range = range[0]..range[1];
                spawn(scope, {
                    let range = range.clone();
                    move || resolve(range)
                })
                .ok_or(range)
            });
            let later: Vec<_> = later.collect();
            let mut texts = resolve(0..bounds[1])?;
            for part in later {
                texts.extend(match part {
                    Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic))?,
                    Err(range) => resolve(range)?,
                });
            }
            Ok(texts)
        })
    }

    /// Returns the elements of a list, and batches of their look-ups.
    fn lookups<'py>(
        &self,
        py: Python<'py>,
        objects: &Objects<'py>,
    ) -> Result<(Objects<'py>, Vec<Batch>), Failure> {
        let preparer = self.read(py)?.preparer();
        let (given, mut row) = (objects.snapshot(), 0);
        let mut batches = Vec::new();
        batches.try_reserve(given.len() / Batch::ROWS + 1).map_err(|_| Failure::no_memory())?;
        while row < given.len() {
            let mut batch = Batch::default();
            let end = given.len().min(row + Batch::ROWS);
            batch.make_room(end - row)?;
            given.fill(&mut batch, Purpose::Lookup, &preparer, row..end);
            row += batch.rows(Side::First);
            batches.push(batch);
        }
        Ok((given, batches))
    }

    /// Renders the answers to look-ups; one that is the text itself comes out as it is if
    /// `complete`, else as null.
    fn answer(&self, batches: Vec<Batch>, complete: bool) -> Result<Texts, Failure> {
        let core = self.read_detached()?;
        let mut texts = Texts::default();
        for mut batch in batches {
            core.resolve_batch(&mut batch, |answer| match answer {
                Answer::Other(text) => texts.push(Some(text.as_bytes())),
                Answer::Itself(text) if complete => texts.push(Some(text.as_bytes())),
                Answer::Exceeded(error) if complete => texts.fail(error),
                // It need not be held to be given back.
                Answer::Itself(_) | Answer::Missing | Answer::Exceeded(_) => texts.push(None),
            });
        }
        Ok(texts)
    }
}

/// Renders the canonical ID of each of these rows; a row whose ID is unknown comes out as it is.
fn resolve_range(
    core: &Core,
    preparer: &Preparer,
    column: &Pinned,
    rows: Range<usize>,
) -> PyResult<Vec<StringArray>> {
    let (mut texts, mut batch) = (Texts::with_capacity(rows.len()), Batch::default());
    let (mut reader, mut rest) = (column.reader(Purpose::Lookup, preparer, rows.start), rows.len());
    while rest > 0 {
        batch.clear();
        reader.fill(&mut batch, rest.min(Batch::ROWS));
        rest -= batch.rows(Side::First);
        core.resolve_batch(&mut batch, |answer| match answer {
            Answer::Missing => texts.push(None),
            Answer::Itself(text) | Answer::Other(text) => texts.push(Some(text.as_bytes())),
            Answer::Exceeded(error) => texts.fail(error),
        });
    }
    texts.finish()
}
