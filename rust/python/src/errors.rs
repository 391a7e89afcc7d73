//! The core's errors as Python's exceptions.

use pyo3::exceptions::{PyIndexError, PyMemoryError, PyOSError, PyRuntimeError, PyValueError};
use pyo3::import_exception;
use pyo3::panic::PanicException;
use pyo3::prelude::*;

import_exception!(idmerge.errors, CapacityError);
import_exception!(idmerge.errors, InternalError);
import_exception!(idmerge.errors, JournalError);
import_exception!(idmerge.errors, KeptApartError);
import_exception!(idmerge.errors, MalformedEventError);
import_exception!(idmerge.errors, NoHistoryError);
import_exception!(idmerge.errors, PoisonedError);
import_exception!(idmerge.errors, RetractionError);
import_exception!(idmerge.errors, SealedError);
import_exception!(idmerge.errors, UnknownIdError);

/// Why a call to the core gave no answer.
pub enum Failure {
    /// A limit is reached; the text names it.
    Limit(String),
    /// The system has no memory; the text names the purpose.
    Memory(String),
    /// A value cannot be taken; the text names it.
    Value(String),
    /// A row is not there; the text names it.
    Index(String),
    /// An earlier call panicked while it changed the resolver.
    Poisoned,
    /// The resolver takes no changes; the text gives the reason.
    Sealed(String),
    /// A block of a journal is not what a resolver writes; the text names the fault.
    Damaged(String),
    /// A position cannot be taken back; the text gives the reason.
    Retraction(String),
    /// No history of links was kept.
    NoHistory,
    /// The system could not read or write a file.
    System(std::io::Error),
    /// A list became shorter while it was read.
    Changed {
        /// The number of its rows that are applied.
        taken: usize,
        /// The number that it had.
        rows: usize,
    },
}

impl Failure {
    /// Returns the failure of a call that exceeded a limit, or memory; `shown` is its message.
    fn exceeded(error: idmerge_core::Error, shown: &impl ToString) -> Self {
        match error {
            idmerge_core::Error::NoMemory => Self::Memory(shown.to_string()),
            _ => Self::Limit(shown.to_string()),
        }
    }

    /// Returns the failure of a call whose answer does not fit in memory.
    pub fn no_memory() -> Self {
        idmerge_core::Error::NoMemory.into()
    }
}

impl From<idmerge_core::Error> for Failure {
    fn from(error: idmerge_core::Error) -> Self {
        Self::exceeded(error, &error)
    }
}

impl From<idmerge_core::Stopped> for Failure {
    fn from(stopped: idmerge_core::Stopped) -> Self {
        Self::exceeded(stopped.error, &stopped)
    }
}

impl From<idmerge_events::Error> for Failure {
    fn from(error: idmerge_events::Error) -> Self {
        match error {
            idmerge_events::Error::Value(text) | idmerge_events::Error::TooLong(text) => Self::Value(text),
            idmerge_events::Error::Index(text) => Self::Index(text),
            idmerge_events::Error::Io(error) => Self::System(error),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::System(error)
    }
}

impl<T> From<std::sync::PoisonError<T>> for Failure {
    fn from(_: std::sync::PoisonError<T>) -> Self {
        Self::Poisoned
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Limit(text) => CapacityError::new_err(text),
            Failure::Memory(text) => PyMemoryError::new_err(text),
            Failure::Value(text) => PyValueError::new_err(text),
            Failure::Index(text) => PyIndexError::new_err(text),
            Failure::Sealed(reason) => SealedError::new_err(reason),
            Failure::Damaged(text) => JournalError::new_err(text),
            Failure::Retraction(text) => RetractionError::new_err(text),
            Failure::System(error) => system_error(&error),
            Failure::NoHistory => NoHistoryError::new_err(
                "the resolver keeps no history of its links; make it with history=True, or open a journal",
            ),
            Failure::Poisoned => PoisonedError::new_err(
                "an earlier call failed half-way inside the core; build the resolver anew",
            ),
            Failure::Changed { taken, rows } => PyRuntimeError::new_err(format!(
                "a list of {rows} rows became shorter while it was read; its first {taken} rows are applied"
            )),
        }
    }
}

/// Returns an `OSError` with the system's number and its words, as Python's own are.
fn system_error(error: &std::io::Error) -> PyErr {
    let text = error.to_string();
    match error.raw_os_error() {
        Some(code) => {
            let words = text.strip_suffix(&format!(" (os error {code})")).unwrap_or(&text);
            PyOSError::new_err((code, words.to_owned()))
        }
        None => PyOSError::new_err(text),
    }
}

/// Lets panics reach Python as `idmerge.errors.InternalError`.
///
/// pyo3 raises them as its `PanicException`, a `BaseException` that no `except Exception` meets. To
/// catch each call's panics here would miss some, so the class itself is made one of ours.
pub fn name_panics(py: Python<'_>) -> PyResult<()> {
    let (raised, ours) = (py.get_type::<PanicException>(), py.get_type::<InternalError>());
    raised.setattr("__bases__", (&ours,))?;
    for name in ["__name__", "__qualname__", "__module__", "__doc__"] {
        raised.setattr(name, ours.getattr(name)?)?;
    }
    Ok(())
}
