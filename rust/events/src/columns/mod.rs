//! Events as columns of a table.

mod builder;
mod flatten;
mod inference;
mod sparse;
mod table;
mod time;

pub use builder::{ColumnBuilder, arrow_type};
pub use flatten::{Flattened, Flattener};
pub use inference::{Columns, ExpectedKinds, Inference, Kinds, LineRead};
pub use sparse::SparseColumn;
pub(crate) use table::HOT_SHARD;
pub use table::{NamedKinds, TableBuilder, always, fields_of, is_plain};
pub(crate) use time::MILLISECONDS_FROM;
pub use time::{TimeReader, milliseconds};
