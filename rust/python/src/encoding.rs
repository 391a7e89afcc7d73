//! Events encoded as Parquet while their files are still read: every column but the canonical IDs.
//!
//! Whose an event is can be said when all links are read. Until then the pages of each row group wait in a
//! [`Spool`], a file without a name; then the IDs are encoded and everything is copied into its place. So
//! memory holds the row groups that are being encoded, and of each other one where its pages are.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray, UInt32Array, new_null_array};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use idmerge_core::Id;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::basic::{Compression, Encoding};
use parquet::column::page_store::{PageKey, PageStore, PageStoreArgs, PageStoreFactory};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::column::read_utf8;
use crate::errors::{Failure, system_error};
use crate::growing::arrow_type;
use crate::learning::Columns;
use crate::rows::{always, fields_of, is_plain};
use crate::scan::Scan;
use crate::table::Column;

/// Where the canonical IDs stand among the columns that every table has.
const CANONICAL: usize = 2;

type Properties = Vec<(String, String, u8)>;

/// How columns are encoded, and where they wait.
#[pyclass(frozen, module = "idmerge._core")]
pub struct Spool {
    pages: Arc<Pages>,
    properties: Arc<WriterProperties>,
    without_dictionary: Vec<String>,
}

/// The events of a row group, encoded.
#[pyclass(frozen, module = "idmerge._core")]
pub struct EncodedEvents {
    rows: usize,
    /// The era whose numbers some of the IDs are that were sent.
    era: Option<u64>,
    /// Where these stand.
    sent: Place,
    chunks: Mutex<Chunks>,
}

/// The IDs that were sent with encoded events.
#[pyclass(frozen, module = "idmerge._core")]
pub struct Sent {
    chunks: Vec<RecordBatch>,
    /// The era of their numbers.
    pub era: Option<u64>,
}

/// Columns of a row group, each until it is copied into its file.
struct Chunks {
    always: [Option<ArrowColumnChunk>; 4],
    /// By the property's name; those that have no value are missing.
    plain: HashMap<String, (DataType, ArrowColumnChunk)>,
}

/// A Parquet file into which encoded events are copied.
#[pyclass(frozen, module = "idmerge._core")]
pub struct EncodedFile {
    writer: Mutex<Option<SerializedFileWriter<File>>>,
    schema: SchemaRef,
    /// The name of each column's property; those that every table has come first and have none.
    names: Vec<String>,
}

#[pymethods]
impl Spool {
    /// Make a spool in a directory; the columns named are encoded without a dictionary, and with the least and
    /// greatest value of each row group.
    #[new]
    fn new(directory: PathBuf, without_dictionary: Vec<String>, statistics: Vec<String>) -> PyResult<Self> {
        let file = tempfile::tempfile_in(directory).map_err(|error| system_error(&error))?;
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_offset_index_disabled(true);
        for name in statistics {
            properties = properties.set_column_statistics_enabled(path(name), EnabledStatistics::Chunk);
        }
        let properties = Arc::new(properties.build());
        Ok(Self { pages: Arc::new(Pages(Mutex::new((file, 0)))), properties, without_dictionary })
    }

    /// Encode the columns of scans as a row group, given each property's name, the name of its column, and kinds;
    /// of IDs that a resolver has taken in the `era` its numbers are kept.
    ///
    /// Returns None if there is a column that cannot be of the type that its kinds ask for.
    #[expect(clippy::needless_pass_by_value, reason = "they are made for this call")]
    fn encode(
        &self,
        py: Python<'_>,
        scans: Vec<Py<Scan>>,
        properties: Properties,
        era: Option<u64>,
    ) -> PyResult<Option<EncodedEvents>> {
        py.detach(|| {
            let (mut blocks, mut numbers) =
                (Vec::with_capacity(scans.len()), Vec::with_capacity(scans.len()));
            for scan in &scans {
                let Some(block) = scan.get().take_columns()? else {
                    return Err(PyValueError::new_err("a scan has no columns, or they were taken"));
                };
                numbers.push(match era {
                    Some(era) => scan.get().observed_ids(era)?,
                    None => vec![None; block.rows()],
                });
                blocks.push(block);
            }
            let sent = sent(&blocks, &numbers).map_err(parquet_error)?;
            self.encode_blocks(&blocks, &properties, &sent, era).map_err(parquet_error)
        })
    }

    /// Return the IDs that were sent with encoded events.
    fn sent(&self, py: Python<'_>, events: &Bound<'_, EncodedEvents>) -> PyResult<Sent> {
        let place = events.get().sent;
        let chunks = py.detach(|| -> Result<Vec<RecordBatch>, ParquetError> {
            let text = self.pages.read(place)?;
            Ok(StreamReader::try_new(text.as_slice(), None)?.collect::<Result<_, _>>()?)
        });
        Ok(Sent { chunks: chunks.map_err(parquet_error)?, era: events.get().era })
    }

    /// Encode the canonical IDs of encoded events.
    fn name(&self, ids: &Bound<'_, PyAny>, events: &Bound<'_, EncodedEvents>) -> PyResult<()> {
        let arrays = read_utf8(ids, "ids")?;
        let events = events.get();
        let given: usize = arrays.iter().map(Array::len).sum();
        if given != events.rows {
            return Err(PyValueError::new_err(format!("{given} ids came for {} events", events.rows)));
        }
        let encoded = ids.py().detach(|| {
            let schema = Schema::new(vec![always()[CANONICAL].clone()]);
            self.encode_columns(schema, vec![arrays])
        });
        events.chunks.lock().map_err(Failure::from)?.always[CANONICAL] =
            encoded.map_err(parquet_error)?.pop();
        Ok(())
    }
}

impl Spool {
    fn encode_blocks(
        &self,
        blocks: &[Columns],
        properties: &Properties,
        sent: &[u8],
        era: Option<u64>,
    ) -> Result<Option<EncodedEvents>, ParquetError> {
        let (mut fields, mut columns, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for (place, field) in always().into_iter().enumerate() {
            if place != CANONICAL {
                fields.push(field);
                columns.push(blocks.iter().map(|block| block.always()[place].clone()).collect());
            }
        }
        for (name, column, kinds) in properties.iter().filter(|(name, ..)| is_plain(name)) {
            if blocks.iter().all(|block| block.plain(name).is_none()) {
                continue;
            }
            let wanted = arrow_type(*kinds);
            let arrays = blocks.iter().map(|block| match block.plain(name) {
                None => Ok(Some(new_null_array(&wanted, block.rows()))),
                Some(array) => widened(array, &wanted),
            });
            let Some(arrays) = arrays.collect::<Result<Option<Vec<_>>, _>>()? else { return Ok(None) };
            fields.push(Field::new(column, wanted.clone(), true));
            columns.push(arrays);
            names.push((name, wanted));
        }
        let mut chunks = self.encode_columns(Schema::new(fields), columns)?.into_iter();
        let always = [chunks.next(), chunks.next(), None, chunks.next()];
        let plain = names.into_iter().zip(chunks);
        let plain = plain.map(|((name, kind), chunk)| (name.clone(), (kind, chunk))).collect();
        Ok(Some(EncodedEvents {
            rows: blocks.iter().map(Columns::rows).sum(),
            era,
            sent: self.pages.append(sent)?,
            chunks: Mutex::new(Chunks { always, plain }),
        }))
    }

    /// Returns how columns of these types are encoded: those without a dictionary as differences, or their lengths
    /// apart from their texts.
    fn properties_of(&self, schema: &Schema) -> WriterProperties {
        let mut properties = self.properties.as_ref().clone().into_builder();
        for name in &self.without_dictionary {
            properties = properties.set_column_dictionary_enabled(path(name.clone()), false);
            let field = schema.field_with_name(name);
            let encoding = match field.map(Field::data_type) {
                Ok(DataType::Timestamp(..) | DataType::Int64) => Encoding::DELTA_BINARY_PACKED,
                Ok(DataType::Utf8) => Encoding::DELTA_LENGTH_BYTE_ARRAY,
                _ => continue,
            };
            properties = properties.set_column_encoding(path(name.clone()), encoding);
        }
        properties.build()
    }

    /// Encodes columns, each of which comes in some arrays.
    fn encode_columns(
        &self,
        schema: Schema,
        columns: Vec<Vec<ArrayRef>>,
    ) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
        let schema = Arc::new(schema);
        let parquet = ArrowSchemaConverter::new().convert(&schema)?;
        let properties = Arc::new(self.properties_of(&schema));
        let nowhere = SerializedFileWriter::new(io::sink(), parquet.root_schema_ptr(), properties)?;
        let writers = ArrowRowGroupWriterFactory::new(&nowhere, schema.clone())
            .with_page_store_factory(Arc::new(Stores(self.pages.clone())))
            .create_column_writers(0)?;
        let mut chunks = Vec::with_capacity(columns.len());
        for ((mut writer, field), arrays) in writers.into_iter().zip(schema.fields()).zip(columns) {
            for array in arrays {
                for leaf in compute_leaves(field, &array)? {
                    writer.write(&leaf)?;
                }
            }
            chunks.push(writer.close()?);
        }
        Ok(chunks)
    }
}

/// Returns the path of a column: its name, for none is nested.
fn path(name: String) -> ColumnPath {
    ColumnPath::new(vec![name])
}

/// Returns a column as one of a wider type, which loses nothing; None if that cannot be.
fn widened(array: &ArrayRef, wanted: &DataType) -> Result<Option<ArrayRef>, ParquetError> {
    Ok(match (array.data_type(), wanted) {
        (own, wanted) if own == wanted => Some(array.clone()),
        // The kinds of all values say that these integers are exact as doubles.
        (DataType::Int64, DataType::Float64 | DataType::Utf8) | (DataType::Boolean, DataType::Utf8) => {
            Some(arrow_cast::cast(array, wanted)?)
        }
        // Which fractions came as integers is not known any more.
        _ => None,
    })
}

/// Returns the IDs that were sent, as a stream of Arrow: the numbers of those that have some, the texts of others.
fn sent(blocks: &[Columns], numbers: &[Vec<Option<Id>>]) -> Result<Vec<u8>, ParquetError> {
    let number = Field::new("number", DataType::UInt32, true);
    let schema = Arc::new(Schema::new(vec![number, always()[CANONICAL].clone()]));
    let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
    for (block, numbers) in blocks.iter().zip(numbers) {
        let ids = block.always()[CANONICAL].as_string::<i32>().iter();
        let others: StringArray =
            ids.zip(numbers).map(|(id, number)| id.filter(|_| number.is_none())).collect();
        let numbers: UInt32Array = numbers.iter().map(|number| number.map(Id::number)).collect();
        writer.write(&RecordBatch::try_new(schema.clone(), vec![Arc::new(numbers), Arc::new(others)])?)?;
    }
    Ok(writer.into_inner()?)
}

impl Sent {
    pub fn rows(&self) -> usize {
        self.chunks.iter().map(RecordBatch::num_rows).sum()
    }

    /// Returns, block by block, the numbers of IDs, and the texts of those without; both null where there is no ID.
    pub fn chunks(&self) -> impl Iterator<Item = (&UInt32Array, &StringArray)> {
        self.chunks.iter().map(|chunk| (chunk.column(0).as_primitive(), chunk.column(1).as_string()))
    }
}

#[pymethods]
impl Sent {
    /// Return the IDs as texts, null where an event has none, or a number.
    fn texts(&self) -> PyResult<Column> {
        Column::new(self.chunks().map(|(_, texts)| texts.clone()).collect(), &DataType::Utf8)
    }
}

#[pymethods]
impl EncodedEvents {
    fn __len__(&self) -> usize {
        self.rows
    }

    /// Return whether all columns have the types that the kinds of their properties ask for.
    #[expect(clippy::needless_pass_by_value, reason = "it is made for this call")]
    fn fits(&self, properties: Properties) -> PyResult<bool> {
        let chunks = self.chunks.lock().map_err(Failure::from)?;
        let fits = |(name, _, kinds): &(String, String, u8)| {
            chunks.plain.get(name).is_none_or(|(own, _)| *own == arrow_type(*kinds))
        };
        Ok(properties.iter().all(fits))
    }
}

#[pymethods]
impl EncodedFile {
    /// Begin a file at ``path``, given each property's name, the name of its column, and kinds.
    #[new]
    fn new(spool: &Bound<'_, Spool>, path: PathBuf, properties: Properties) -> PyResult<Self> {
        let schema = Arc::new(Schema::new(fields_of(&properties)));
        let mut written = spool.get().properties.as_ref().clone();
        add_encoded_arrow_schema_to_metadata(&schema, &mut written);
        let file = File::create(path).map_err(|error| system_error(&error))?;
        let writer = ArrowSchemaConverter::new().convert(&schema).and_then(|parquet| {
            SerializedFileWriter::new(file, parquet.root_schema_ptr(), Arc::new(written))
        });
        Ok(Self {
            writer: Mutex::new(Some(writer.map_err(parquet_error)?)),
            schema,
            names: properties.into_iter().map(|(name, ..)| name).filter(|name| is_plain(name)).collect(),
        })
    }

    /// Copy encoded events, which are named, to the end of the file.
    fn append(&self, py: Python<'_>, events: &Bound<'_, EncodedEvents>) -> PyResult<()> {
        let events = events.get();
        py.detach(|| {
            let mut chunks = events.chunks.lock().map_err(Failure::from)?;
            let mut writer = self.writer.lock().map_err(Failure::from)?;
            let Some(writer) = writer.as_mut() else {
                return Err(PyValueError::new_err("the file is closed"));
            };
            if chunks.always[CANONICAL].is_none() {
                return Err(PyValueError::new_err("the events are not named, or were copied before"));
            }
            self.copy(writer, &mut chunks, events.rows).map_err(parquet_error)
        })
    }

    /// Write the end of the file.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let writer = self.writer.lock().map_err(Failure::from)?.take();
        let Some(writer) = writer else { return Err(PyValueError::new_err("the file is closed")) };
        py.detach(|| writer.close()).map_err(parquet_error)?;
        Ok(())
    }
}

impl EncodedFile {
    fn copy(
        &self,
        writer: &mut SerializedFileWriter<File>,
        chunks: &mut Chunks,
        rows: usize,
    ) -> Result<(), ParquetError> {
        let nulls = ArrowRowGroupWriterFactory::new(writer, self.schema.clone()).create_column_writers(0)?;
        let names = self.names.iter();
        let always = chunks.always.iter_mut().map(Option::take);
        let plain = names.map(|name| chunks.plain.remove(name).map(|(_, chunk)| chunk));
        let mut group = writer.next_row_group()?;
        for ((chunk, mut null), field) in always.chain(plain).zip(nulls).zip(self.schema.fields()) {
            if let Some(chunk) = chunk {
                chunk.append_to_row_group(&mut group)?;
            } else {
                for leaf in compute_leaves(field, &new_null_array(field.data_type(), rows))? {
                    null.write(&leaf)?;
                }
                null.close()?.append_to_row_group(&mut group)?;
            }
        }
        group.close()?;
        Ok(())
    }
}

// The pages.

/// Pages one behind the other in a file, and how many bytes they have.
#[derive(Debug)]
struct Pages(Mutex<(File, u64)>);

/// Where bytes stand in the file, and how many they are.
type Place = (u64, usize);

impl Pages {
    fn append(&self, bytes: &[u8]) -> io::Result<Place> {
        let (file, end) = &mut *self.0.lock().map_err(|_| io::Error::other("an earlier call failed"))?;
        file.seek(SeekFrom::Start(*end))?;
        file.write_all(bytes)?;
        let place = (*end, bytes.len());
        *end += bytes.len() as u64;
        Ok(place)
    }

    fn read(&self, (start, length): Place) -> io::Result<Vec<u8>> {
        let (file, _) = &mut *self.0.lock().map_err(|_| io::Error::other("an earlier call failed"))?;
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::with_capacity(length);
        file.take(length as u64).read_to_end(&mut bytes)?;
        if bytes.len() == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

/// Makes a [`Store`] for each column.
#[derive(Debug)]
struct Stores(Arc<Pages>);

impl PageStoreFactory for Stores {
    fn create(&self, _: &PageStoreArgs<'_>) -> Result<Box<dyn PageStore>, ParquetError> {
        Ok(Box::new(Store { pages: self.0.clone(), places: Vec::new() }))
    }
}

/// The pages of one column of a row group.
struct Store {
    pages: Arc<Pages>,
    places: Vec<Place>,
}

impl PageStore for Store {
    fn put(&mut self, page: Bytes) -> Result<PageKey, ParquetError> {
        self.places.push(self.pages.append(&page)?);
        Ok(PageKey::new(self.places.len() as u64 - 1))
    }

    fn take(&mut self, key: PageKey) -> Result<Bytes, ParquetError> {
        Ok(self.pages.read(self.places[key.get() as usize])?.into())
    }
}

/// Returns the exception for what could not be encoded or written.
fn parquet_error(error: ParquetError) -> PyErr {
    match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => system_error(&error),
            Err(error) => PyValueError::new_err(error.to_string()),
        },
        error => PyValueError::new_err(error.to_string()),
    }
}
