//! Profile updates of JSON text, read into their operations (SPEC 10).
//!
//! The updates that are read are those of the plain kind: an ID that is text or an integer, and
//! operations whose values they can take; and, where they are wanted, rows of exports with nothing
//! but such an ID and properties (SPEC 11). Any other, also a malformed one, is declined, and so is
//! one whose values are not certain: a number that may be an integer beyond 64 bits, a negative
//! zero, or an object of one operation with two equal keys where the order of these counts.

mod names;
mod parser;
mod rows;
mod scanned;

pub use names::{DISTINCT_ID, IGNORE_ALIAS, OPERATIONS, PROPERTIES};
pub use rows::{Node, Operation, Stated, TextRange, Updates};
pub use scanned::UpdateRows;
