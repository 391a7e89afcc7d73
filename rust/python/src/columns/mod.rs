//! Columns in: of IDs, of kinds and of integers; from lists, from numpy and from Arrow.

mod chunk;
mod ids;
mod imported;
mod integers;
mod kinds;
mod numpy_numbers;
mod numpy_text;
mod objects;
mod pinned;
mod purpose;
mod string_dtype;
mod text;

pub use ids::{IdText, each_array};
pub use imported::{read_arrow, read_utf8};
pub use integers::{Form, Integers, unsigned};
pub use kinds::Kinds;
pub use numpy_text::write as write_numpy;
pub use objects::{Elements, Objects};
pub use pinned::{Pinned, Reader};
pub use purpose::Purpose;
pub use text::TextColumn;
