//! The class that `idmerge.Resolver` extends, by theme.

mod calls;
mod class;
mod events;
mod lookups;
mod scans;
mod settings;
mod turn;

pub use class::{Core, Note, OutcomesAndRows, Resolver, known_text, unicode, unknown};
