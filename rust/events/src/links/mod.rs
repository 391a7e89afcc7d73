//! Links stated by events: lines of JSON, cells, or values that the caller finds.
//!
//! A line is declined whenever it is no JSON for certain ([`crate::json`]), and so is every
//! identity event that lacks an operand, and an event whose ID may be an integer beyond 64 bits:
//! the caller words what is wrong with it.

mod operand;
mod parser;
mod plain;
mod rules;
mod simplified;

pub use operand::{OperandId, Value};
pub use plain::End;
pub(crate) use rules::{DEVICE_AND_USER, DEVICE_EVIDENCE, OBSERVE_DEVICE};
pub use rules::{MAX_KEYS, ODD_ID, Rules, Stated};
pub(crate) use simplified::{DEVICE_PREFIX, Named};
