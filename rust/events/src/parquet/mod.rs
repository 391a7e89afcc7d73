//! Events encoded as Parquet while their files are still read: every column but the canonical IDs.
//!
//! Canonical IDs are known only after the last link. Until then the pages of each row group wait in
//! a [`Spool`], a file without a name; then the IDs are encoded and everything is copied into its
//! place. So memory holds the row groups that are being encoded, and of each other one where its
//! pages are.

mod duplicates;
mod file;
mod pages;
mod row_group;
mod spool;
mod waiting;

pub use duplicates::DistinctEvents;
pub use file::EncodedFile;
pub use row_group::{EncodedEvents, IdNumbers, SentIds};
pub use spool::{EncodedIds, Spool};
pub use waiting::{MOST_CELLS, WaitingEvents};
