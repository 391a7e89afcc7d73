//! The classes that encode scans as Parquet before the canonical IDs are known.

use std::path::PathBuf;
use std::sync::Mutex;

use arrow_schema::DataType;
use idmerge_events::columns::NamedKinds;
use idmerge_events::parquet;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::columns::{read_arrow, read_utf8};
use crate::errors::Failure;
use crate::events::scanner::{Block, Scan};
use crate::tables::{Column, Table};

/// A file without a name where encoded columns wait, and how they are encoded.
#[pyclass(frozen, module = "idmerge._core")]
pub struct Spool(parquet::Spool);

/// The events of a row group, encoded.
#[pyclass(frozen, module = "idmerge._core")]
pub struct EncodedEvents {
    rows: usize,
    events: Mutex<parquet::EncodedEvents>,
}

/// The IDs that were sent with encoded events.
#[pyclass(frozen, module = "idmerge._core")]
pub struct SentIds(pub parquet::SentIds);

/// The distinct events so far.
#[pyclass(frozen, module = "idmerge._core")]
pub struct DistinctEvents(Mutex<parquet::DistinctEvents>);

/// Events that wait as tables for their canonical IDs, each made when it is asked for.
#[pyclass(frozen, module = "idmerge._core")]
pub struct WaitingEvents(Mutex<parquet::WaitingEvents>);

#[pymethods]
impl WaitingEvents {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> Result<Option<Table>, Failure> {
        py.detach(|| Ok(self.0.lock()?.next().transpose()?.map(Table::of)))
    }
}

/// A Parquet file into which encoded events are copied.
#[pyclass(frozen, module = "idmerge._core")]
pub struct EncodedFile(Mutex<Option<parquet::EncodedFile>>);

#[pymethods]
impl Spool {
    /// Make a spool in a directory; the columns named are encoded without a dictionary, and with
    /// the least and greatest value of each row group.
    #[new]
    #[expect(clippy::needless_pass_by_value, reason = "it is made for this call")]
    fn new(
        directory: PathBuf,
        without_dictionary: Vec<String>,
        statistics: Vec<String>,
    ) -> Result<Self, Failure> {
        Ok(Self(parquet::Spool::new(&directory, without_dictionary, statistics)?))
    }

    /// Encode the columns of scans as a row group, given each property's name, the name of its
    /// column, and kinds.
    ///
    /// Of IDs that a resolver has taken in the `era` its numbers are kept, and if it ``follows``
    /// those of the canonical IDs that they had before. ``duplicates`` are dropped.
    ///
    /// Returns None if there is a column that cannot be of the type that its kinds ask for, or a
    /// canonical ID was not noted.
    #[pyo3(signature = (scans, properties, era, *, follows=false, duplicates=None))]
    #[expect(clippy::needless_pass_by_value, reason = "they are made for this call")]
    fn encode(
        &self,
        py: Python<'_>,
        scans: Vec<Py<Scan>>,
        properties: Vec<NamedKinds>,
        era: Option<u64>,
        follows: bool,
        duplicates: Option<&Bound<'_, DistinctEvents>>,
    ) -> Result<Option<EncodedEvents>, Failure> {
        let duplicates = duplicates.map(Bound::get);
        py.detach(|| {
            let (mut blocks, mut numbers) =
                (Vec::with_capacity(scans.len()), Vec::with_capacity(scans.len()));
            for scan in &scans {
                let Some((block, ids)) = taken(scan.get(), era, follows, duplicates)? else {
                    return Ok(None);
                };
                blocks.push(block);
                numbers.push(ids);
            }
            let encoded = self.0.encode(&blocks, &numbers, &properties, era)?;
            Ok(encoded.map(|events| EncodedEvents { rows: events.rows(), events: Mutex::new(events) }))
        })
    }

    /// Return the IDs that were sent with encoded events.
    fn sent(&self, py: Python<'_>, events: &Bound<'_, EncodedEvents>) -> Result<SentIds, Failure> {
        let events = events.get();
        py.detach(|| Ok(SentIds(self.0.sent(&*events.events.lock()?)?)))
    }

    /// Encode the canonical IDs of encoded events, and those that were known when they came.
    #[pyo3(signature = (ids, events, known=None))]
    fn name(
        &self,
        ids: &Bound<'_, PyAny>,
        events: &Bound<'_, EncodedEvents>,
        known: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let arrays = read_utf8(ids, "ids")?;
        let known = known.map(|known| read_utf8(known, "known")).transpose()?;
        let events = events.get();
        ids.py().detach(|| -> Result<_, Failure> {
            let encoded = self.0.encode_canonical_ids(arrays, events.rows)?;
            let known = known.map(|known| self.0.encode_known_ids(known, events.rows)).transpose()?;
            let mut events = events.events.lock()?;
            events.set_canonical_ids(encoded);
            if let Some(known) = known {
                events.set_known_ids(known);
            }
            Ok(())
        })?;
        Ok(())
    }
}

/// Takes the events of a scan that are no duplicates; None if their senders' canonical IDs are
/// wanted and were not noted.
fn taken(
    scan: &Scan,
    era: Option<u64>,
    follows: bool,
    duplicates: Option<&DistinctEvents>,
) -> Result<Option<Block>, Failure> {
    let Some((columns, numbers)) = scan.take_block(era, follows)? else { return Ok(None) };
    let Some(duplicates) = duplicates else { return Ok(Some((columns, numbers))) };
    Ok(Some(match duplicates.0.lock()?.add(&columns) {
        None => (columns, numbers),
        Some(are_new) => {
            let columns = columns.filtered(&are_new).map_err(idmerge_events::Error::from)?;
            (columns, numbers.filtered(&are_new))
        }
    }))
}

#[pymethods]
impl DistinctEvents {
    #[new]
    fn new() -> Self {
        Self(Mutex::default())
    }

    /// Return whether insert IDs were compared as a column of values of all kinds has them.
    #[expect(clippy::needless_pass_by_value, reason = "it is made for this call")]
    fn is_exact(&self, properties: Vec<NamedKinds>) -> Result<bool, Failure> {
        Ok(self.0.lock()?.is_exact(&properties))
    }

    /// The number of events that were dropped.
    #[getter]
    fn dropped(&self) -> Result<usize, Failure> {
        Ok(self.0.lock()?.dropped())
    }
}

/// Return the events of a scan as a table in which they can wait for their canonical IDs, given
/// what `Spool.encode` is given; None if a canonical ID was not noted.
#[pyfunction]
#[pyo3(signature = (scan, properties, era, *, follows=false, duplicates=None))]
#[expect(clippy::needless_pass_by_value, reason = "it is made for this call")]
pub fn waiting_events(
    scan: &Bound<'_, Scan>,
    properties: Vec<NamedKinds>,
    era: Option<u64>,
    follows: bool,
    duplicates: Option<&Bound<'_, DistinctEvents>>,
) -> Result<Option<WaitingEvents>, Failure> {
    let (py, scan, duplicates) = (scan.py(), scan.get(), duplicates.map(Bound::get));
    py.detach(|| {
        let Some((columns, numbers)) = taken(scan, era, follows, duplicates)? else { return Ok(None) };
        let waiting = parquet::WaitingEvents::of(&columns, &numbers, &properties, parquet::MOST_CELLS);
        Ok(Some(WaitingEvents(Mutex::new(waiting))))
    })
}

#[pymethods]
impl SentIds {
    /// Take a column of IDs that waited, with numbers of the `era`.
    #[new]
    fn new(ids: &Bound<'_, PyAny>, era: Option<u64>) -> PyResult<Self> {
        let (arrays, _) = read_arrow(ids, "ids")?;
        Ok(Self(parquet::SentIds::of(&arrays, era).map_err(Failure::from)?))
    }

    /// Return the IDs as texts, null where an event has none, or a number.
    fn texts(&self) -> PyResult<Column> {
        Column::new(self.0.chunks().map(|(_, texts)| texts.clone()).collect(), &DataType::Utf8)
    }
}

#[pymethods]
impl EncodedEvents {
    fn __len__(&self) -> usize {
        self.rows
    }

    /// Return whether all columns have the types that the kinds of their properties ask for.
    #[expect(clippy::needless_pass_by_value, reason = "it is made for this call")]
    fn fits(&self, properties: Vec<NamedKinds>) -> Result<bool, Failure> {
        Ok(self.events.lock()?.fits(&properties))
    }
}

#[pymethods]
impl EncodedFile {
    /// Begin a file at ``path``, given each property's name, the name of its column, and kinds, and
    /// whether there is a column of the canonical IDs that were known when the events came.
    #[new]
    #[pyo3(signature = (spool, path, properties, is_known=false))]
    #[expect(clippy::needless_pass_by_value, reason = "they are made for this call")]
    fn new(
        spool: &Bound<'_, Spool>,
        path: PathBuf,
        properties: Vec<NamedKinds>,
        is_known: bool,
    ) -> Result<Self, Failure> {
        let file = parquet::EncodedFile::create(&spool.get().0, &path, &properties, is_known)?;
        Ok(Self(Mutex::new(Some(file))))
    }

    /// Copy encoded events, which are named, to the end of the file.
    fn append(&self, py: Python<'_>, events: &Bound<'_, EncodedEvents>) -> PyResult<()> {
        let events = events.get();
        py.detach(|| {
            let mut events = events.events.lock().map_err(Failure::from)?;
            let mut file = self.0.lock().map_err(Failure::from)?;
            let file = file.as_mut().ok_or_else(closed)?;
            file.append(&mut events).map_err(|error| Failure::from(error).into())
        })
    }

    /// Write the end of the file.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let file = self.0.lock().map_err(Failure::from)?.take().ok_or_else(closed)?;
        Ok(py.detach(|| file.close()).map_err(Failure::from)?)
    }
}

fn closed() -> PyErr {
    PyValueError::new_err("the file is closed")
}
