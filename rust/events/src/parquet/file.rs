//! Parquet files into which encoded events are copied.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::new_null_array;
use arrow_schema::{Schema, SchemaRef};
use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, compute_leaves};
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;

use crate::columns::{NamedKinds, fields_of, is_plain};
use crate::error::Error;
use crate::parquet::row_group::{ALWAYS, CANONICAL, EncodedEvents, as_known};
use crate::parquet::spool::Spool;

/// A Parquet file that is being written.
pub struct EncodedFile {
    writer: SerializedFileWriter<File>,
    schema: SchemaRef,
    /// Whether the events have the canonical IDs that were known when they came.
    is_known: bool,
    /// The name of each column's property; those that every table has come first and have none.
    names: Vec<String>,
}

impl EncodedFile {
    /// Begins a file at `path`; if `is_known`, with the canonical IDs that were known when each
    /// event came.
    ///
    /// # Errors
    ///
    /// The system can make no file there.
    pub fn create(
        spool: &Spool,
        path: &Path,
        properties: &[NamedKinds],
        is_known: bool,
    ) -> Result<Self, Error> {
        let mut fields = fields_of(properties);
        if is_known {
            fields.insert(ALWAYS, as_known());
        }
        let schema = Arc::new(Schema::new(fields));
        let mut written = spool.properties().clone();
        add_encoded_arrow_schema_to_metadata(&schema, &mut written);
        let file = File::create(path)?;
        let parquet = ArrowSchemaConverter::new().convert(&schema)?;
        let writer = SerializedFileWriter::new(file, parquet.root_schema_ptr(), Arc::new(written))?;
        let names = properties.iter().map(|(name, ..)| name).filter(|name| is_plain(name)).cloned();
        Ok(Self { writer, schema, is_known, names: names.collect() })
    }

    /// Copies encoded events, with their canonical IDs, to the end of the file.
    ///
    /// # Errors
    ///
    /// The canonical IDs are missing, the events were copied before, or there is no room.
    pub fn append(&mut self, events: &mut EncodedEvents) -> Result<(), Error> {
        if events.always[CANONICAL].is_none() || events.known.is_some() != self.is_known {
            return Err(Error::Value("the events are not named, or were copied before".to_owned()));
        }
        Ok(self.copy(events)?)
    }

    fn copy(&mut self, events: &mut EncodedEvents) -> Result<(), ParquetError> {
        let nulls =
            ArrowRowGroupWriterFactory::new(&self.writer, self.schema.clone()).create_column_writers(0)?;
        let known = self.is_known.then(|| events.known.take());
        let always = events.always.iter_mut().map(Option::take).chain(known);
        let plain = self.names.iter().map(|name| events.plain.remove(name).map(|(_, chunk)| chunk));
        let mut group = self.writer.next_row_group()?;
        for ((chunk, mut null), field) in always.chain(plain).zip(nulls).zip(self.schema.fields()) {
            if let Some(chunk) = chunk {
                chunk.append_to_row_group(&mut group)?;
            } else {
                for leaf in compute_leaves(field, &new_null_array(field.data_type(), events.rows))? {
                    null.write(&leaf)?;
                }
                null.close()?.append_to_row_group(&mut group)?;
            }
        }
        group.close()?;
        Ok(())
    }

    /// Writes the end of the file.
    pub fn close(self) -> Result<(), Error> {
        self.writer.close()?;
        Ok(())
    }
}
