//! Columns in: of text, of kinds and of integers; from lists, from numpy and from Arrow.

mod chunk;
mod imported;
mod integers;
mod kinds;
mod numpy_text;
mod objects;
mod pinned;
mod purpose;
mod string_dtype;
mod text;

pub use imported::{read_arrow, read_utf8};
pub use integers::{Form, Integers, unsigned};
pub use kinds::Kinds;
pub use numpy_text::write as write_numpy;
pub use objects::{Elements, Objects};
pub use pinned::{Pinned, Reader};
pub use purpose::Purpose;
pub use text::TextColumn;
