//! A dialect: the keys under which rows have an event's fields.

use std::borrow::Cow;
use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::transcode::vendor::Vendor;

/// The keys under which the rows of a dialect have their fields (SPEC 11).
pub struct Dialect {
    /// The keys of an event's name; the first that a row has counts.
    pub(super) events: Vec<String>,
    /// The keys of the object of properties, or of its JSON text; the first that a row has counts.
    pub(super) properties: Vec<String>,
    /// Whether the keys beside these are properties too.
    pub(super) is_flat: bool,
    /// The key of the row in a message of the type `RECORD`.
    pub(super) record: Option<String>,
    /// The raw names of properties that are spelt in another way.
    names: HashMap<String, String, RandomState>,
    /// The prefix that stands for `$`, in lower and in upper case.
    prefixes: [String; 2],
    /// What rows of another product have besides.
    pub(super) vendor: Option<Vendor>,
}

impl Dialect {
    /// Takes the keys of the name, those of the properties, whether rows are flat, the key of a
    /// message's record, other spellings with their raw names, and the prefix that stands for `$`.
    pub fn new(
        events: Vec<String>,
        properties: Vec<String>,
        is_flat: bool,
        record: Option<String>,
        names: impl IntoIterator<Item = (String, String)>,
        prefix: &str,
    ) -> Self {
        let names = names.into_iter().collect();
        let prefixes = [prefix.to_owned(), prefix.to_uppercase()];
        Self { events, properties, is_flat, record, names, prefixes, vendor: None }
    }

    /// Returns the dialect of rows of another product, whose fields have no other spellings.
    #[must_use]
    pub fn of_vendor(self, vendor: Vendor) -> Self {
        Self { vendor: Some(vendor), ..self }
    }

    /// Returns the raw name of the property under `key` beside an event's name, or None where it is
    /// not certain.
    pub(super) fn raw_name<'a>(&'a self, key: &'a str) -> Option<Cow<'a, str>> {
        if let Some(raw) = self.names.get(key) {
            return Some(Cow::Borrowed(raw));
        }
        if let Some(name) = key.strip_prefix(&self.prefixes[0]) {
            return Some(Cow::Owned(format!("${name}")));
        }
        match key.strip_prefix(&self.prefixes[1]) {
            // Languages differ in the lower case of other letters.
            Some(name) if name.is_ascii() => Some(Cow::Owned(format!("${}", name.to_ascii_lowercase()))),
            Some(_) => None,
            None => Some(Cow::Borrowed(key)),
        }
    }
}
