//! Arrow columns and tables out, by the `PyCapsule` interface.
//!
//! An exported stream is made anew at every call, so the same object can be read many times.

mod arrow;
mod column;
mod table;
mod texts;

pub use column::{Column, utf8_of_ids};
pub use table::Table;
pub use texts::Texts;
