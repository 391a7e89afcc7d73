//! The error of the core: too many IDs, a text too long, no memory.
//!
//! A rejected link is no error but an answer, its [`Outcome`](crate::Outcome). A call that fails
//! with an error has changed nothing, or of a batch the steps before.

use std::fmt;

/// A limit that a call would have exceeded; the call changed nothing.
///
/// Displayed as a sentence without a full stop, fit for an exception's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The resolver knows as many IDs as it can number.
    TooManyIds {
        /// The most IDs that it can know.
        limit: u32,
    },
    /// There are as many elements as can be numbered.
    TooManyElements {
        /// The most elements that there can be.
        limit: u32,
    },
    /// An ID's text is longer than a key can describe, or than a journal takes.
    TextTooLong {
        /// The text's length in bytes.
        bytes: usize,
        /// The longest text in bytes.
        limit: usize,
    },
    /// The system has no memory for more.
    NoMemory,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyIds { limit } => write!(f, "the resolver can know at most {limit} IDs"),
            Self::TooManyElements { limit } => write!(f, "there can be at most {limit} distinct elements"),
            Self::TextTooLong { bytes, limit } => {
                write!(f, "an ID of {bytes} bytes exceeds the limit of {limit} bytes")
            }
            Self::NoMemory => write!(f, "the system has no memory for more"),
        }
    }
}

impl std::error::Error for Error {}

/// A batch that stopped at a step which exceeded a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// The number of steps that were taken before.
    pub taken: usize,
    /// The limit.
    pub error: Error,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { taken, error } = self;
        write!(f, "{error}; reached in row {taken}, and the rows before it are applied")
    }
}

impl std::error::Error for Stopped {}
