//! The properties that events have, and the kinds of their values.

pub mod kind;
mod names;
mod properties;

pub use names::{Keys, Names};
pub use properties::Properties;
