//! Errors of reading, encoding and writing events.

use std::fmt;
use std::io;

use arrow_schema::ArrowError;
use parquet::errors::ParquetError;

/// The reason for which events cannot be read, encoded or written.
#[derive(Debug)]
pub enum Error {
    /// A value is not one that is accepted; the text states which.
    Value(String),
    /// A text has more bytes than are taken; the text states the limit.
    TooLong(String),
    /// A row or an end lies outside of what is there; the text states both.
    Index(String),
    /// The system could not read or write a file.
    Io(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(text) | Self::TooLong(text) | Self::Index(text) => f.write_str(text),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        Self::Value(error.to_string())
    }
}

impl From<ParquetError> for Error {
    fn from(error: ParquetError) -> Self {
        match error {
            ParquetError::External(error) => match error.downcast::<io::Error>() {
                Ok(error) => Self::Io(*error),
                Err(error) => Self::Value(error.to_string()),
            },
            error => Self::Value(error.to_string()),
        }
    }
}
