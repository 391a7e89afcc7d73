//! The spool: columns encoded one by one, whose pages wait in a file.

use std::io;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, Encoding};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;

use crate::columns::{Columns, NamedKinds, SparseColumn, always, arrow_type, is_plain};
use crate::error::Error;
use crate::parquet::pages::{FileStores, PageFile};
use crate::parquet::row_group::{CANONICAL, EncodedEvents, IdNumbers, SentIds, as_known, write_sent};

/// A file without a name where encoded columns wait, and how they are encoded.
pub struct Spool {
    pages: Arc<PageFile>,
    properties: Arc<WriterProperties>,
    without_dictionary: Vec<String>,
}

/// The canonical IDs of a row group, encoded.
pub struct EncodedIds(Option<ArrowColumnChunk>);

impl EncodedEvents {
    /// Takes the canonical IDs.
    pub fn set_canonical_ids(&mut self, ids: EncodedIds) {
        self.always[CANONICAL] = ids.0;
    }

    /// Takes the canonical IDs as they were when the events came.
    pub fn set_known_ids(&mut self, ids: EncodedIds) {
        self.known = ids.0;
    }
}

impl Spool {
    /// Makes a spool in a directory.
    ///
    /// The columns named are encoded without a dictionary, and with the least and greatest value of
    /// each row group.
    ///
    /// # Errors
    ///
    /// The system can make no file there.
    pub fn new(
        directory: &Path,
        without_dictionary: Vec<String>,
        statistics: Vec<String>,
    ) -> io::Result<Self> {
        let file = tempfile::tempfile_in(directory)?;
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_offset_index_disabled(true);
        for name in statistics {
            properties = properties.set_column_statistics_enabled(path(name), EnabledStatistics::Chunk);
        }
        let properties = Arc::new(properties.build());
        Ok(Self { pages: Arc::new(PageFile::new(file)), properties, without_dictionary })
    }

    /// Returns how columns are encoded, but for those without a dictionary.
    pub(crate) fn properties(&self) -> &WriterProperties {
        &self.properties
    }

    /// Encodes the columns of blocks as a row group, but for the canonical IDs.
    ///
    /// `numbers` holds the numbers of the IDs of each block in the `era`. None is returned if a
    /// column cannot be of the type that its kinds ask for.
    pub fn encode(
        &self,
        blocks: &[Columns],
        numbers: &[IdNumbers],
        properties: &[NamedKinds],
        era: Option<u64>,
    ) -> Result<Option<EncodedEvents>, Error> {
        let sent = write_sent(blocks, numbers)?;
        Ok(self.encode_blocks(blocks, properties, &sent, era)?)
    }

    /// Returns the IDs that were sent with encoded events.
    pub fn sent(&self, events: &EncodedEvents) -> Result<SentIds, Error> {
        let text = self.pages.read(events.sent)?;
        Ok(SentIds::read(&text, events.era)?)
    }

    /// Encodes the canonical IDs of a row group of so many rows.
    ///
    /// # Errors
    ///
    /// There are more or fewer, or no room.
    pub fn encode_canonical_ids(&self, ids: Vec<ArrayRef>, rows: usize) -> Result<EncodedIds, Error> {
        self.encode_ids(always()[CANONICAL].clone(), ids, rows)
    }

    /// Encodes the canonical IDs that a row group of so many rows had when its events came.
    ///
    /// # Errors
    ///
    /// There are more or fewer, or no room.
    pub fn encode_known_ids(&self, ids: Vec<ArrayRef>, rows: usize) -> Result<EncodedIds, Error> {
        self.encode_ids(as_known(), ids, rows)
    }

    fn encode_ids(&self, field: Field, ids: Vec<ArrayRef>, rows: usize) -> Result<EncodedIds, Error> {
        let given: usize = ids.iter().map(Array::len).sum();
        if given != rows {
            return Err(Error::Value(format!("{given} ids came for {rows} events")));
        }
        Ok(EncodedIds(self.encode_columns(Schema::new(vec![field]), vec![ids])?.pop()))
    }

    fn encode_blocks(
        &self,
        blocks: &[Columns],
        properties: &[NamedKinds],
        sent: &[u8],
        era: Option<u64>,
    ) -> Result<Option<EncodedEvents>, ParquetError> {
        let (mut fields, mut names) = (Vec::new(), Vec::new());
        for (place, field) in always().into_iter().enumerate() {
            if place != CANONICAL {
                fields.push(field);
            }
        }
        let mut columns = Vec::new();
        for (name, column, kinds) in properties.iter().filter(|(name, ..)| is_plain(name)) {
            if blocks.iter().all(|block| block.plain(name).is_none()) {
                continue;
            }
            let wanted = arrow_type(*kinds);
            let widened = blocks.iter().map(|block| match block.plain(name) {
                None => Ok(Some(SparseColumn::without_values(block.rows(), &wanted))),
                Some(column) => column.widened(&wanted),
            });
            let Some(blocks) = widened.collect::<Result<Option<Vec<_>>, _>>()? else { return Ok(None) };
            fields.push(Field::new(column, wanted.clone(), true));
            columns.push(blocks);
            names.push((name, wanted));
        }
        let always_there = (0..4).filter(|&place| place != CANONICAL);
        let always_there =
            always_there.map(|place| blocks.iter().map(|block| block.always()[place].clone()).collect());
        // One column at a time has all its rows.
        let plain = columns.into_iter().map(|blocks| blocks.iter().map(SparseColumn::dense).collect());
        let mut chunks = self.encode_columns(Schema::new(fields), always_there.chain(plain))?.into_iter();
        let always = [chunks.next(), chunks.next(), None, chunks.next()];
        let plain = names.into_iter().zip(chunks);
        let plain = plain.map(|((name, kind), chunk)| (name.clone(), (kind, chunk))).collect();
        let rows = blocks.iter().map(Columns::rows).sum();
        Ok(Some(EncodedEvents { rows, era, sent: self.pages.append(sent)?, always, known: None, plain }))
    }

    /// Returns how columns of these types are encoded: those without a dictionary as differences,
    /// or their lengths apart from their texts.
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
        columns: impl IntoIterator<Item = Vec<ArrayRef>>,
    ) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
        let schema = Arc::new(schema);
        let parquet = ArrowSchemaConverter::new().convert(&schema)?;
        let properties = Arc::new(self.properties_of(&schema));
        let nowhere = SerializedFileWriter::new(io::sink(), parquet.root_schema_ptr(), properties)?;
        let writers = ArrowRowGroupWriterFactory::new(&nowhere, schema.clone())
            .with_page_store_factory(Arc::new(FileStores(self.pages.clone())))
            .create_column_writers(0)?;
        let mut chunks = Vec::with_capacity(writers.len());
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
