//! The classes that encode scans as Parquet before the canonical IDs are known.

use std::path::PathBuf;
use std::sync::Mutex;

use arrow_schema::DataType;
use idmerge_events::columns::NamedKinds;
use idmerge_events::parquet;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::columns::read_utf8;
use crate::errors::Failure;
use crate::events::scanner::Scan;
use crate::tables::Column;

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
    /// column, and kinds; of IDs that a resolver has taken in the `era` its numbers are kept.
    ///
    /// Returns None if there is a column that cannot be of the type that its kinds ask for.
    #[expect(clippy::needless_pass_by_value, reason = "they are made for this call")]
    fn encode(
        &self,
        py: Python<'_>,
        scans: Vec<Py<Scan>>,
        properties: Vec<NamedKinds>,
        era: Option<u64>,
    ) -> Result<Option<EncodedEvents>, Failure> {
        py.detach(|| {
            let (mut blocks, mut numbers) =
                (Vec::with_capacity(scans.len()), Vec::with_capacity(scans.len()));
            for scan in &scans {
                let Some(block) = scan.get().take_columns()? else {
                    return Err(Failure::Value("a scan has no columns, or they were taken".to_owned()));
                };
                numbers.push(match era {
                    Some(era) => scan.get().observed_ids(era)?,
                    None => vec![None; block.rows()],
                });
                blocks.push(block);
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

    /// Encode the canonical IDs of encoded events.
    fn name(&self, ids: &Bound<'_, PyAny>, events: &Bound<'_, EncodedEvents>) -> PyResult<()> {
        let arrays = read_utf8(ids, "ids")?;
        let events = events.get();
        ids.py().detach(|| -> Result<_, Failure> {
            let encoded = self.0.encode_canonical_ids(arrays, events.rows)?;
            events.events.lock()?.set_canonical_ids(encoded);
            Ok(())
        })?;
        Ok(())
    }
}

#[pymethods]
impl SentIds {
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
    /// Begin a file at ``path``, given each property's name, the name of its column, and kinds.
    #[new]
    #[expect(clippy::needless_pass_by_value, reason = "they are made for this call")]
    fn new(spool: &Bound<'_, Spool>, path: PathBuf, properties: Vec<NamedKinds>) -> Result<Self, Failure> {
        let file = parquet::EncodedFile::create(&spool.get().0, &path, &properties)?;
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
