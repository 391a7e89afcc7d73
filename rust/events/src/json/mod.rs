//! Events of JSON text, parsed in full by sonic-rs.
//!
//! Every string, number and nested value of a line is parsed, for the functions of sonic-rs that
//! pass over values accept some broken text. Every line that is accepted is JSON to Python's `json`
//! too, with the same values; the last of two equal keys counts, however they are escaped. A line
//! is declined, and left to the caller, whenever there could be a difference: no JSON, an extension
//! of Python's (`NaN`, lone surrogates), or nesting beyond [`event::MAX_DEPTH`].
//!
//! Memory and time are linear in the length of the line.

pub mod cells;
pub mod event;
pub mod skip;
pub mod text;
pub mod visitor;
