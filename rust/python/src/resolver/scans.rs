//! Scans of lines into the resolver, and the canonical IDs of the IDs in them: at the end, or row
//! by row.

use std::collections::HashMap;
use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::{Array, StringArray, UInt32Array};
use arrow_schema::DataType;
use idmerge_core::{Batch, Id, JournaledResolver as Core, Step};
use idmerge_events::parquet;
use idmerge_events::scan::Steps;
use numpy::PyArray1;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::PyList;

use crate::columns::read_utf8;
use crate::errors::Failure;
use crate::events::{Scan, SentIds, holes_filled};
use crate::pipeline::run_detached;
use crate::pipeline::sources::{SentRows, StepRows};
use crate::resolver::{Note, OutcomesAndRows, Resolver};
use crate::tables::{Column, Texts};

#[pymethods]
impl Resolver {
    /// Take rows of a scan, their holes filled, and return the outcomes of the links and their
    /// rows.
    ///
    /// ``origin`` has the name of the lines' source and the number of the scan's first line, to be
    /// kept in a journal; ``times`` the event times of the holes. An error counts the rows from
    /// ``first_row`` on. A scan with columns notes the ID of each ordinary event, and if the call
    /// ``follows`` the canonical ID of each sender before the row.
    #[pyo3(
        name = "_take_scan",
        signature = (
            scan, rows, codes, first, second, first_row=0, *, follows=false, origin=None, times=vec![]
        )
    )]
    #[expect(clippy::too_many_arguments, reason = "the rows, the steps that fill holes, and a switch")]
    #[expect(clippy::needless_pass_by_value, reason = "pyo3 makes an argument for the call")]
    fn take_scan<'py>(
        &self,
        scan: &Bound<'py, Scan>,
        rows: (usize, usize),
        codes: &[u8],
        first: &Bound<'py, PyList>,
        second: &Bound<'py, PyList>,
        first_row: usize,
        follows: bool,
        origin: Option<(PyBackedStr, u64)>,
        times: Vec<Option<i64>>,
    ) -> PyResult<OutcomesAndRows<'py>> {
        let py = scan.py();
        let scan = scan.get();
        let filled = holes_filled(first, second)?;
        let steps = Steps::new(scan.get(), rows, codes, filled).map_err(Failure::from)?;
        let _turn = self.turn(py)?;
        let preparer = self.read(py)?.preparer();
        let (start, count, era) = (rows.0, rows.1 - rows.0, self.era());
        let sent = scan.sent()?;
        // The rows of the steps, where some rows have none.
        let rows_of = (origin.is_some() && sent.is_none()).then(|| steps.effective_rows());
        let lines = scan.get();
        let holes = lines.holes().map(|(row, _)| row).filter(|row| (rows.0..rows.1).contains(row));
        let times: HashMap<usize, i64> =
            holes.zip(times).filter_map(|(row, time)| Some((row, time?))).collect();
        let first_line = origin.as_ref().map_or(0, |(_, line)| *line);
        let of_row = |step: usize| {
            let row = start + rows_of.as_ref().map_or(step, |rows| rows[step]);
            let line = lines.line(row).map_or(0, u64::from);
            (lines.time(row).or_else(|| times.get(&row).copied()), first_line + line)
        };
        let note = origin.as_ref().map(|(source, _)| Note { source: Some(source), of_row: &of_row });
        let outcomes = py.detach(|| {
            let Some(sent) = &sent else {
                let count = steps.effective_count();
                let mut source = StepRows { steps: steps.effective(), preparer: &preparer };
                let place_of = |step| first_row + steps.row_of_effective(step);
                return self.take_all(
                    count,
                    note.as_ref(),
                    place_of,
                    |_| (),
                    |settle| run_detached(&mut source, count, self.threads, settle),
                );
            };
            let (mut ids, mut senders) = (Vec::new(), Vec::new());
            let see = |batch: &Batch| {
                ids.extend(batch.observed());
                senders.extend(batch.senders());
            };
            let place_of = |row| first_row + row;
            let outcomes = self.take_all(count, note.as_ref(), place_of, see, |settle| {
                if follows {
                    let sent = steps.senders(sent.as_string());
                    let mut source = SentRows { steps: steps.iter().zip(sent), preparer: &preparer };
                    run_detached(&mut source, count, self.threads, settle)
                } else {
                    let mut source = StepRows { steps: steps.iter(), preparer: &preparer };
                    run_detached(&mut source, count, self.threads, settle)
                }
            })?;
            scan.note_observed(era, start, &ids, &senders)?;
            Ok::<_, Failure>(outcomes)
        })?;
        Ok((PyArray1::from_vec(py, outcomes), PyArray1::from_vec(py, steps.links())))
    }

    /// Return the canonical IDs of the IDs that were sent with encoded events.
    #[pyo3(name = "_resolve_sent")]
    fn resolve_sent(&self, py: Python<'_>, sent: &Bound<'_, SentIds>) -> PyResult<Column> {
        self.named_by(py, &sent.get().0, |core, sent| Ok(named(core, sent)))
    }

    /// Return the canonical IDs that the senders of encoded events had when these came.
    #[pyo3(name = "_resolve_known")]
    fn resolve_known(&self, py: Python<'_>, sent: &Bound<'_, SentIds>) -> PyResult<Column> {
        self.named_by(py, &sent.get().0, |core, sent| {
            let known = sent.known_chunks();
            let known = known.ok_or_else(|| Failure::Value("no row was followed".to_owned()))?;
            Ok(named_before(core, sent.rows(), known))
        })
    }

    /// Return another number whenever an ID's number may stand for another ID than before.
    #[pyo3(name = "_era")]
    fn era_of_numbers(&self) -> u64 {
        self.era()
    }

    /// Return the era, the number of IDs and the position: where none of them changes, no answer
    /// does.
    #[pyo3(name = "_standing")]
    fn standing(&self, py: Python<'_>) -> Result<(u64, usize, u64), Failure> {
        let core = self.read(py)?;
        Ok((self.era(), core.numbered(), core.position()))
    }

    /// Take rows of a scan as `_take_scan` does, and return the canonical ID of each of ``ids``
    /// before its row was taken.
    #[pyo3(name = "_follow_scan")]
    fn follow_scan(
        &self,
        ids: &Bound<'_, PyAny>,
        scan: &Bound<'_, Scan>,
        rows: (usize, usize),
        codes: &[u8],
        first: &Bound<'_, PyList>,
        second: &Bound<'_, PyList>,
    ) -> PyResult<Column> {
        let py = scan.py();
        let arrays = read_utf8(ids, "ids")?;
        let given: usize = arrays.iter().map(Array::len).sum();
        if given != rows.1.saturating_sub(rows.0) {
            return Err(PyValueError::new_err(format!("{given} ids came for the rows {rows:?}")));
        }
        let filled = holes_filled(first, second)?;
        let steps = Steps::new(scan.get().get(), rows, codes, filled).map_err(Failure::from)?;
        let _turn = self.turn(py)?;
        let texts = py.detach(|| {
            let mut core = self.write_detached()?;
            let ids = arrays.iter().flat_map(|array| array.as_string::<i32>().iter());
            follow(&mut core, ids, steps.iter()).map_err(Failure::from)
        })?;
        Column::of(texts, &DataType::Utf8)
    }
}

impl Resolver {
    /// Returns a column of IDs whose texts `names` finds, in the era of the numbers of `sent`.
    fn named_by(
        &self,
        py: Python<'_>,
        sent: &parquet::SentIds,
        names: impl FnOnce(&Core, &parquet::SentIds) -> Result<Texts, Failure> + Send,
    ) -> PyResult<Column> {
        let texts = py.detach(|| {
            let core = self.read_detached()?;
            if sent.era.is_some_and(|era| era != self.era()) {
                return Err(Failure::Value(
                    "the IDs are numbers of an earlier era of the resolver".to_owned(),
                ));
            }
            names(&core, sent)
        })?;
        Column::of(texts, &DataType::Utf8)
    }
}

/// Returns the texts of canonical IDs that have numbers; other senders had their own ID.
fn named_before(core: &Core, rows: usize, known: Vec<(&UInt32Array, &StringArray)>) -> Texts {
    let mut texts = Texts::with_capacity(rows);
    for (numbers, ids) in known {
        for (number, id) in numbers.iter().zip(ids) {
            match number {
                Some(number) => texts.push(Some(core.text(Id::new(number)).as_str().as_bytes())),
                None => texts.push(id.map(str::as_bytes)),
            }
        }
    }
    texts
}

/// Returns the canonical ID of each ID that was sent: by its number, or else by its text.
fn named(core: &Core, sent: &parquet::SentIds) -> Texts {
    let mut texts = Texts::with_capacity(sent.rows());
    for (numbers, ids) in sent.chunks() {
        let (mut rows, mut numbered) = (Vec::with_capacity(ids.len()), Vec::with_capacity(ids.len()));
        for (row, number) in numbers.iter().enumerate() {
            if let Some(number) = number {
                rows.push(row);
                numbered.push(Id::new(number));
            }
        }
        let mut row = 0;
        let by_text = |texts: &mut Texts, rows: Range<usize>| {
            for row in rows {
                let id = ids.is_valid(row).then(|| ids.value(row));
                push_canonical(texts, core, id);
            }
        };
        let mut rows = rows.into_iter();
        core.resolve_ids(&numbered, |canonical| {
            let next = rows.next().expect("each number has a row");
            by_text(&mut texts, row..next);
            texts.push(Some(canonical.as_str().as_bytes()));
            row = next + 1;
        });
        by_text(&mut texts, row..ids.len());
    }
    texts
}

/// Appends the canonical ID of `id`; one that is not known is its own.
fn push_canonical(texts: &mut Texts, core: &Core, id: Option<&str>) {
    match id.map(|id| (id, core.get(id))) {
        None => texts.push(None),
        Some((id, None)) => texts.push(Some(id.as_bytes())),
        Some((_, Some(known))) => texts.push(Some(core.text(core.canonical(known)).as_str().as_bytes())),
    }
}

fn follow<'a>(
    core: &mut Core,
    ids: impl Iterator<Item = Option<&'a str>>,
    steps: impl Iterator<Item = Step<'a>>,
) -> Result<Texts, idmerge_core::Error> {
    let mut texts = Texts::default();
    for (id, step) in ids.zip(steps) {
        push_canonical(&mut texts, core, id);
        match step {
            Step::Link(kind, first, second) => _ = core.link(kind, first, second)?,
            Step::Observe(id) => core.observe(id)?,
            Step::Evidence(id, sent) => core.observe_evidence(id, sent)?,
        }
    }
    Ok(texts)
}
