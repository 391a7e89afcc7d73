//! Rows of another product as events: they have a user and a device where Mixpanel's have one ID,
//! and calls that state links, which are left to the caller but for the usual one.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::transcode::fields::{Fields, place, push, push_field, push_inner};

const NULL: &str = "null";
const EMPTY: &str = "\"\"";
const ID: &str = "distinct_id";
/// The event that an `identify` call becomes, and its operands.
const IDENTIFY: &str = "\"$identify\"";
const OPERANDS: [&str; 2] = ["$anon_id", "$identified_id"];

/// What rows of another product have besides the keys of a dialect (SPEC 11).
pub struct Vendor {
    /// The raw names of fields.
    fields: Vec<String>,
    /// The field of a key, and its place among the keys of that field, of which the first counts.
    keys: HashMap<String, (usize, usize), RandomState>,
    /// The raw names of the fields that are an event's ID, the first that it has.
    own_id: Vec<String>,
    /// The names of events that are left to the caller.
    left_names: Vec<String>,
    /// The key of a row's call, and the values of it that are left to the caller.
    calls: (String, Vec<String>),
    /// The value of a call that links two fields, as it stands, and their raw names.
    identify: Option<(String, [String; 2])>,
}

/// The places of the fields that a row has, each with its place among the keys of the field.
type Named = Vec<Option<(usize, usize)>>;

impl Vendor {
    /// Takes the raw name of each field with its keys, the fields of an event's ID, the names of
    /// events that are left to the caller, and the key of a call with the values that are left.
    pub fn new(
        fields: Vec<(String, Vec<String>)>,
        own_id: Vec<String>,
        left_names: Vec<String>,
        calls: (String, Vec<String>),
    ) -> Self {
        let mut keys = HashMap::default();
        for (field, (raw, spelt)) in fields.iter().enumerate() {
            for (rank, key) in [raw].into_iter().chain(spelt).enumerate() {
                keys.entry(key.clone()).or_insert((field, rank));
            }
        }
        let fields = fields.into_iter().map(|(raw, _)| raw).collect();
        Self { fields, keys, own_id, left_names, calls, identify: None }
    }

    /// Reads the call `value` as an `$identify` of two fields, if a row has both.
    #[must_use]
    pub fn with_identify(self, value: &str, operands: [String; 2]) -> Self {
        Self { identify: Some((format!("\"{value}\""), operands)), ..self }
    }

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
        let nested = properties.iter().find_map(|key| there(key));
        let is_beside = |place: usize| place != event && Some(place) != nested && fields[place].1 != NULL;
        let found = self.named(fields, is_beside);
        let operands = self.operands(there(&self.calls.0).map(|call| &*fields[call].1), fields, &found)?;
        if may_be_among(&fields[event].1, &self.left_names) {
            return None;
        }

        out.extend_from_slice(b"{\"event\":");
        push(out, if operands.is_some() { IDENTIFY } else { &fields[event].1 });
        out.extend_from_slice(b",\"properties\":{");
        let start = out.len();
        if let Some(nested) = nested {
            push_inner(out, &fields[nested].1)?;
        }
        let mut exact = Vec::new();
        for place in (0..fields.len()).filter(|place| is_beside(*place)) {
            match found.iter().position(|field| field.is_some_and(|(_, own)| own == place)) {
                Some(field) if self.fields[field] != fields[place].0 => {
                    push_field(out, start, &self.fields[field], &fields[place].1);
                }
                _ => exact.push(place),
            }
        }
        for (key, value) in exact.iter().map(|place| &fields[*place]) {
            push_field(out, start, key, value);
        }
        let has_id = self.value(ID, fields, &found).is_some() || place(fields, ID).is_some_and(is_beside);
        if let Some(own) = self.own_id.iter().find_map(|raw| self.id(raw, fields, &found))
            && !has_id
        {
            push_field(out, start, ID, own);
        }
        for (key, value) in operands.into_iter().flat_map(|operands| OPERANDS.into_iter().zip(operands)) {
            push_field(out, start, key, value);
        }
        out.extend_from_slice(b"}}");
        Some(())
    }

    /// Returns the places of the fields among those beside the name.
    fn named(&self, fields: &Fields<'_>, is_beside: impl Fn(usize) -> bool) -> Named {
        let mut named: Named = vec![None; self.fields.len()];
        for (place, (key, _)) in fields.iter().enumerate() {
            if let Some((field, rank)) = self.keys.get(&**key)
                && is_beside(place)
                && named[*field].is_none_or(|(best, _)| *rank < best)
            {
                named[*field] = Some((*rank, place));
            }
        }
        named
    }

    /// Returns the operands of a row's `call`, if it states a link that is read here; None if the
    /// row is to be read by the caller.
    #[expect(clippy::option_option, reason = "the outer one is the caller's")]
    fn operands<'f>(
        &self,
        call: Option<&str>,
        fields: &'f Fields<'_>,
        named: &Named,
    ) -> Option<Option<[&'f str; 2]>> {
        let Some(call) = call else { return Some(None) };
        match &self.identify {
            Some((value, [first, second])) if value == call => {
                Some(self.id(first, fields, named).zip(self.id(second, fields, named)).map(<[_; 2]>::from))
            }
            _ if may_be_among(call, &self.calls.1) => None,
            _ => Some(None),
        }
    }

    /// Returns the value of the field `raw`, if a row has it.
    fn value<'f>(&self, raw: &str, fields: &'f Fields<'_>, named: &Named) -> Option<&'f str> {
        let field = self.fields.iter().position(|field| field == raw)?;
        named[field].map(|(_, place)| &*fields[place].1)
    }

    /// Returns the value of the field `raw`, if a row has one that is not empty.
    fn id<'f>(&self, raw: &str, fields: &'f Fields<'_>, named: &Named) -> Option<&'f str> {
        self.value(raw, fields, named).filter(|value| *value != EMPTY)
    }
}

/// Returns whether a value is one of `texts`, or may be one that is spelt with an escape.
fn may_be_among(value: &str, texts: &[String]) -> bool {
    let Some(text) = value.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else { return false };
    match text.split_once('\\') {
        Some((begun, _)) => texts.iter().any(|wanted| wanted.starts_with(begun)),
        None => texts.iter().any(|wanted| wanted == text),
    }
}
