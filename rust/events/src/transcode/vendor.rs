//! Rows of another product as events: they have a user and a device where Mixpanel's have one ID,
//! and calls that state links, which are left to the caller.

use crate::transcode::fields::{Fields, place, push, push_field, push_inner};

const NULL: &str = "null";
const EMPTY: &str = "\"\"";

/// What rows of another product have besides the keys of a dialect (SPEC 11).
#[derive(Default)]
pub struct Vendor {
    /// The raw name of each field and its keys, of which the first that a row has counts.
    pub fields: Vec<(String, Vec<String>)>,
    /// The raw names of the fields that are an event's ID, the first that it has.
    pub own_id: Vec<String>,
    /// The names of events that are left to the caller.
    pub left_names: Vec<String>,
    /// The key of a row's call.
    pub call_key: String,
    /// The calls that are left to the caller.
    pub left_calls: Vec<String>,
}

impl Vendor {
    /// Appends a row as an event of the raw shape to `out`, or returns None if it is to be read by
    /// the caller.
    ///
    /// A null is a field that is not there, and so is an empty name, or an empty ID.
    pub(super) fn event(
        &self,
        names: &[String],
        properties: &[String],
        fields: &Fields<'_>,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let there = |wanted: &str| place(fields, wanted).filter(|place| fields[*place].1 != NULL);
        let event = names.iter().find_map(|key| there(key).filter(|place| fields[*place].1 != EMPTY))?;
        let name = &fields[event].1;
        let call = there(&self.call_key).map(|place| &*fields[place].1);
        if may_be_among(name, &self.left_names)
            || call.is_some_and(|call| may_be_among(call, &self.left_calls))
        {
            return None;
        }
        let nested = properties.iter().find_map(|key| there(key));
        out.extend_from_slice(b"{\"event\":");
        push(out, name);
        out.extend_from_slice(b",\"properties\":{");
        let start = out.len();
        if let Some(nested) = nested {
            push_inner(out, &fields[nested].1)?;
        }
        let beside = |place: usize| place != event && Some(place) != nested;
        let raws = self.raws(|key| there(key).filter(|place| beside(*place)));
        let places = || (0..fields.len()).filter(|place| beside(*place) && fields[*place].1 != NULL);
        let raw_of = |place: usize| raws.iter().find(|(_, named)| *named == place).map(|(raw, _)| *raw);
        for place in places() {
            if let Some(raw) = raw_of(place).filter(|raw| *raw != fields[place].0) {
                push_field(out, start, raw, &fields[place].1);
            }
        }
        for place in places().filter(|place| raw_of(*place).is_none_or(|raw| raw == fields[*place].0)) {
            push_field(out, start, &fields[place].0, &fields[place].1);
        }
        if !self.own_id.is_empty() && there(ID).is_none_or(|place| !beside(place)) && !has(&raws, ID) {
            let own = self.own_id.iter().find_map(|raw| {
                let (_, place) = raws.iter().find(|(named, _)| named == raw)?;
                Some(&fields[*place].1).filter(|value| *value != EMPTY)
            });
            if let Some(own) = own {
                push_field(out, start, ID, own);
            }
        }
        out.extend_from_slice(b"}}");
        Some(())
    }

    /// Returns the raw name of each field that a row has, and the place of its value.
    fn raws(&self, place: impl Fn(&str) -> Option<usize>) -> Vec<(&str, usize)> {
        let field = |(raw, keys): &'_ (String, Vec<String>)| {
            place(raw).or_else(|| keys.iter().find_map(|key| place(key)))
        };
        self.fields.iter().filter_map(|named| Some((&*named.0, field(named)?))).collect()
    }
}

const ID: &str = "distinct_id";

fn has(raws: &[(&str, usize)], wanted: &str) -> bool {
    raws.iter().any(|(raw, _)| *raw == wanted)
}

/// Returns whether a value is one of `texts`, or may be one that is spelt with an escape.
fn may_be_among(value: &str, texts: &[String]) -> bool {
    let Some(text) = value.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else { return false };
    match text.split_once('\\') {
        Some((begun, _)) => texts.iter().any(|wanted| wanted.starts_with(begun)),
        None => texts.iter().any(|wanted| wanted == text),
    }
}
