//! Errors of a journal as failures of a call.

use arrow_schema::ArrowError;
use idmerge_core::{Damage, NotRetracted};

use crate::errors::Failure;

impl From<Damage> for Failure {
    fn from(damage: Damage) -> Self {
        if damage.what == Damage::NO_MEMORY {
            return Self::Memory(damage.what.to_owned());
        }
        Self::Damaged(damage.to_string())
    }
}

impl From<ArrowError> for Failure {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::MemoryError(text) => Self::Memory(text),
            _ => Self::Damaged(error.to_string()),
        }
    }
}

impl From<NotRetracted> for Failure {
    fn from(error: NotRetracted) -> Self {
        match error {
            NotRetracted::NotThere(position) => {
                Self::Retraction(format!("there is nothing at position {position} yet"))
            }
            NotRetracted::Already { position, by } => Self::Retraction(format!(
                "position {position} was taken back already, at position {by}; take that back to restore it"
            )),
            NotRetracted::Forgotten => {
                Self::Retraction("an ID was forgotten there, and that cannot be undone".to_owned())
            }
            NotRetracted::Damaged(damage) => damage.into(),
        }
    }
}
