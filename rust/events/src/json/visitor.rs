//! A macro for visitors that take a value of any type.

/// Writes the methods of a visitor that takes any value: a line for each type of scalar.
macro_rules! any_value {
    ($($visit:ident($value:ty) => $answer:expr;)*) => {
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a JSON value")
        }

        $(#[inline]
        fn $visit<E>(self, value: $value) -> Result<Self::Value, E> {
            Ok($answer(self, value))
        })*
    };
}

pub(crate) use any_value;
