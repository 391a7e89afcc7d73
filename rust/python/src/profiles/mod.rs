//! The classes that apply profile updates to the dicts of `idmerge.Profiles`.

mod objects;
mod operations;
mod rows;
mod texts;
mod updater;

pub use rows::UpdateRows;
pub use updater::ProfileUpdater;
