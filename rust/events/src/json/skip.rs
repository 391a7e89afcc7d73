//! Values that do not count: parsed in full, and their kind is all that is kept.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::json::event;
use crate::json::visitor::any_value;
use crate::schema::kind;

/// Parses a value that does not count, nested in `depth` others, and returns its kind.
#[derive(Clone, Copy)]
pub struct Skip {
    /// The number of values around it.
    pub depth: u8,
}

impl Skip {
    fn inside<E: Error>(self) -> Result<Self, E> {
        event::inside(self.depth).map(|depth| Self { depth })
    }
}

impl<'a> DeserializeSeed<'a> for Skip {
    type Value = u8;

    #[inline]
    fn deserialize<D: Deserializer<'a>>(self, value: D) -> Result<u8, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Skip {
    type Value = u8;

    any_value! {
        visit_bool(bool) => |_, _| kind::BOOL;
        visit_f64(f64) => |_, _| kind::FLOAT;
        visit_str(&str) => |_, _| kind::TEXT;
    }

    #[inline]
    fn visit_unit<E>(self) -> Result<u8, E> {
        Ok(kind::NULL)
    }

    #[inline]
    fn visit_i64<E>(self, number: i64) -> Result<u8, E> {
        Ok(kind::of_integer(number))
    }

    #[inline]
    fn visit_u64<E>(self, number: u64) -> Result<u8, E> {
        Ok(kind::of_unsigned(number))
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<u8, A::Error> {
        let inside = self.inside()?;
        while list.next_element_seed(inside)?.is_some() {}
        Ok(kind::NESTED)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<u8, A::Error> {
        let inside = self.inside()?;
        while map.next_key_seed(inside)?.is_some() {
            map.next_value_seed(inside)?;
        }
        Ok(kind::NESTED)
    }
}
