//! Classes over `idmerge_events`: lines of events as steps, columns and Parquet.

mod admission;
mod dedupe;
mod encoding;
mod flattener;
mod frames;
mod objects;
mod rows;
mod scanner;
mod stored;
mod text;

use pyo3::prelude::*;

pub use admission::{Admission, inflated_body};
pub use dedupe::DistinctRows;
pub use encoding::{
    DistinctEvents, EncodedEvents, EncodedFile, SentIds, Spool, WaitingEvents, waiting_events,
};
pub use flattener::{Flat, Flattener};
pub use frames::{frame_front, frame_front_length, frame_length, frame_of_parts, whole_frames};
pub use objects::{EventReader, ReadEvents, milliseconds_of};
pub use rows::RowReader;
pub use scanner::{Scan, Scanner, holes_filled, up_to};
pub use stored::stored_columns;
pub use text::{Beginning, Items, Transcoder};

/// Return a number in the shortest form that is read as the same one.
#[pyfunction]
pub fn float_text(number: f64) -> String {
    idmerge_events::json::text::float_text(number)
}
