//! Links stated by events.
//!
//! A line is declined whenever it is no JSON for certain ([`crate::json`]), and so is every
//! identity event that lacks an operand, and an event whose ID may be an integer beyond 64 bits:
//! the caller words what is wrong with it.

mod operand;
mod parser;
mod rules;

pub use rules::{ODD_ID, Rules, Stated};
