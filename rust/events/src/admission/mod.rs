//! Admission: the items of a request that a server takes, and the reasons why it does not take the
//! others.
//!
//! The limits are those that Mixpanel documents for `/track`, `/import`, `/engage` and `/groups`;
//! the caller gives them. Whether an identity event is allowed is not asked here: the resolver
//! judges it. An item is taken in the bytes in which it came. What is JSON is what Python's `json`
//! reads, without its limit of digits and with a fixed one of nesting. Time and memory are in
//! proportion to the body, of which no more than a limit is inflated.

mod item;
mod reader;

use memchr::memchr_iter;

use crate::admission::item::{Item, text};
use crate::admission::reader::{Value, characters};
use crate::bodies;
use crate::error::Error;

/// Milliseconds that the time of an event by `/track` may lie before its receipt.
const OLDEST: i64 = 5 * 24 * 3600 * 1000;
/// Milliseconds that the time of an event of a strict import may lie ahead of its receipt.
const AHEAD: i64 = 3600 * 1000;
/// The beginning of 1971 in milliseconds: strict imports take no earlier times.
const FIRST: i64 = 31_536_000_000;
/// The most characters of an insert ID of a strict import.
const MAX_INSERT_ID: usize = 36;

/// The way in which items come, which decides what is asked of each.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Events of SDKs.
    Track,
    /// Imported events.
    Import,
    /// Imported events that are held to all that Mixpanel documents.
    StrictImport,
    /// Updates of profiles.
    Engage,
    /// Updates of groups.
    Groups,
}

/// The limits of a request and of its items.
pub struct Limits {
    /// Bytes of a body, also when it is inflated.
    pub bytes: usize,
    /// Items of a request.
    pub items: usize,
    /// Bytes of an item, with the end of its line.
    pub item: usize,
    /// Properties of an event.
    pub properties: usize,
    /// Characters of an event's name, and of the insert ID in a failure.
    pub name: usize,
}

/// The rules of a route.
pub struct Admission {
    route: Route,
    limits: Limits,
    /// The names of identity events, in which strict imports need no IDs.
    identity: Vec<String>,
}

/// The projects that items of a request may be of.
#[derive(Clone, Copy)]
pub enum Owners<'a> {
    /// All items are of one project, whatever token they name.
    One,
    /// An item is of the project whose token it names, or else of that of the second token.
    ByToken(&'a [&'a str], &'a str),
}

/// The items that are taken, and what is wrong with the others.
#[derive(Default)]
pub struct Admitted {
    /// The lines of each project that has some, by its place among the tokens.
    pub lines: Vec<(usize, Vec<u8>)>,
    /// The number of items that are taken, without those whose token is unknown.
    pub count: usize,
    /// The number of items that nothing but their token is wrong with.
    pub unknown: usize,
    /// What is wrong with each other one, in their order.
    pub failures: Vec<Failure>,
}

/// The reason for which an item is not taken.
pub struct Failure {
    /// Its place in the request, counted from 0.
    pub place: usize,
    /// The wrong field.
    pub field: &'static str,
    /// What is wrong with it.
    pub message: String,
    /// The insert ID of the item: UTF-8, in which a lone surrogate may be encoded.
    pub insert_id: Vec<u8>,
}

/// The reason for which no item of a request is taken.
pub enum Refusal {
    /// It holds no items.
    Malformed(String),
    /// It has more bytes, or more items, than are taken.
    TooLong(String),
}

/// An item that is taken.
struct Taken<'a> {
    line: &'a [u8],
    owner: usize,
    time: Option<i64>,
}

/// The wrong field of an item, and what is wrong with it.
type Fault = (&'static str, String);

impl Admission {
    /// Takes a route, its limits, and the names of identity events.
    pub fn new(route: Route, limits: Limits, identity: Vec<String>) -> Self {
        Self { route, limits, identity }
    }

    /// Returns the items of a body that are taken.
    ///
    /// `kind` is the body's content type, as far as it is known, and `received` the moment of its
    /// receipt in milliseconds since 1970. The events of each project are in the order of their
    /// times, if all have one that is a number.
    ///
    /// # Errors
    ///
    /// The body holds no items, or too many.
    pub fn admit(
        &self,
        body: &[u8],
        kind: Option<&str>,
        received: i64,
        owners: Owners<'_>,
    ) -> Result<Admitted, Refusal> {
        let mut lines =
            bodies::lines_of(body, kind, self.limits.bytes).map_err(|error| self.refusal(&error))?;
        if !lines.is_empty() && !lines.ends_with(b"\n") {
            lines.to_mut().push(b'\n');
        }
        let mut admitted = Admitted::default();
        let mut taken = Vec::new();
        let is_unicode = simdutf8::basic::from_utf8(&lines).is_ok();
        for (place, line) in items_of(&lines).enumerate() {
            if place == self.limits.items {
                return Err(Refusal::TooLong(format!("request has more than {place} items")));
            }
            match self.judged(line, is_unicode, received) {
                Err(((field, message), insert_id)) => {
                    admitted.failures.push(Failure { place, field, message, insert_id });
                }
                Ok(item) => match owners.of(&item) {
                    Some(owner) => taken.push(Taken { line, owner, time: item.time() }),
                    None => admitted.unknown += 1,
                },
            }
        }
        admitted.count = taken.len();
        admitted.lines = self.by_owner(taken);
        Ok(admitted)
    }

    fn refusal(&self, error: &Error) -> Refusal {
        match error {
            Error::TooLong(_) => {
                Refusal::TooLong(format!("request exceeds max limit of {} bytes", self.limits.bytes))
            }
            error => Refusal::Malformed(error.to_string()),
        }
    }

    /// Returns a line's item if it is taken, else what is wrong with it, and its insert ID.
    ///
    /// `is_unicode` is whether the line is UTF-8 for certain.
    fn judged<'a>(
        &self,
        line: &'a [u8],
        is_unicode: bool,
        received: i64,
    ) -> Result<Item<'a>, (Fault, Vec<u8>)> {
        let whole = |message: String| Err((("event", message), Vec::new()));
        let longest = self.limits.item;
        if line.len() > longest {
            return whole(format!("the item has more than {longest} bytes"));
        }
        let is_unicode = is_unicode || reader::is_unicode(line);
        let Some(item) = is_unicode.then(|| Item::read(line)).flatten() else {
            return whole("the item is no JSON object".to_owned());
        };
        match self.fault(&item, received) {
            None => Ok(item),
            Some(fault) => {
                let insert_id = item.insert_id().unwrap_or_default();
                let shown = beginning(&insert_id, self.limits.name).to_vec();
                Err((fault, shown))
            }
        }
    }

    fn fault(&self, item: &Item<'_>, received: i64) -> Option<Fault> {
        match self.route {
            Route::Track => self.event_fault(item).or_else(|| age_fault(item, received)),
            Route::Import => self.event_fault(item),
            Route::StrictImport => self.event_fault(item).or_else(|| self.strict_fault(item, received)),
            Route::Engage => update_fault(&[("$distinct_id", &item.distinct_id)]),
            Route::Groups => update_fault(&[("$group_key", &item.group_key), ("$group_id", &item.group_id)]),
        }
    }

    fn event_fault(&self, item: &Item<'_>) -> Option<Fault> {
        let Limits { name: longest, properties: most, .. } = self.limits;
        let Some(name) = text(item.event.as_ref()).filter(|name| !name.is_empty()) else {
            return Some(invalid("event", "must be a text that is not empty"));
        };
        if characters(&name.bytes()) > longest {
            return Some(invalid("event", &format!("must have at most {longest} characters")));
        }
        let Some(properties) = &item.properties else {
            return Some(invalid("properties", "must be an object"));
        };
        let are_many = properties.are_more_than(most);
        are_many.then(|| invalid("properties", &format!("must have at most {most} properties")))
    }

    fn strict_fault(&self, item: &Item<'_>, received: i64) -> Option<Fault> {
        let properties = item.properties.as_ref()?;
        let Some(time) = item.time() else {
            return Some(invalid(
                "properties.time",
                "must be specified as seconds or milliseconds since epoch",
            ));
        };
        if !(FIRST..=received.saturating_add(AHEAD)).contains(&time) {
            return Some(invalid(
                "properties.time",
                "must be no earlier than 1971 and no later than an hour from now",
            ));
        }
        let name = text(item.event.as_ref())?.bytes();
        if self.identity.iter().any(|identity| identity.as_bytes() == &*name) {
            return None; // They have IDs of their own, and none that hides a duplicate.
        }
        let has_id = matches!(
            &properties.distinct_id,
            Some(Value::Text(_) | Value::Integer(_) | Value::Bool) // Python's bools are integers.
        );
        let names_sender =
            text(properties.device_id.as_ref()).or(text(properties.user_id.as_ref())).is_some();
        if !has_id && !names_sender {
            return Some(invalid("properties.distinct_id", "must be a text"));
        }
        let is_insert_id = item.insert_id().is_some_and(|id| {
            (1..=MAX_INSERT_ID).contains(&id.len())
                && id.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
        });
        let wrong = "must be a text of 1 to 36 letters, digits and hyphens";
        (!is_insert_id).then(|| invalid("properties.$insert_id", wrong))
    }

    /// Returns the lines of each owner, in the order in which they are to be judged.
    fn by_owner(&self, taken: Vec<Taken<'_>>) -> Vec<(usize, Vec<u8>)> {
        let mut groups: Vec<(usize, Vec<Taken<'_>>)> = Vec::new();
        let mut last = 0;
        for one in taken {
            if groups.get(last).is_none_or(|(owner, _)| *owner != one.owner) {
                last = groups.iter().position(|(owner, _)| *owner == one.owner).unwrap_or_else(|| {
                    groups.push((one.owner, Vec::new()));
                    groups.len() - 1
                });
            }
            groups[last].1.push(one);
        }
        let are_events = !matches!(self.route, Route::Engage | Route::Groups);
        let lines = |(owner, mut group): (usize, Vec<Taken<'_>>)| {
            if are_events && group.iter().all(|one| one.time.is_some()) {
                group.sort_by_key(|one| one.time); // Stable: the order sent breaks ties.
            }
            let mut lines = Vec::with_capacity(group.iter().map(|one| one.line.len()).sum());
            for one in &group {
                lines.extend_from_slice(one.line);
            }
            (owner, lines)
        };
        groups.into_iter().map(lines).collect()
    }
}

impl Owners<'_> {
    /// Returns the owner of an item, None if it is of no project.
    fn of(self, item: &Item<'_>) -> Option<usize> {
        match self {
            Self::One => Some(0),
            Self::ByToken(tokens, other) => {
                let stated = item.token().filter(|token| !token.is_empty());
                let token = stated.as_deref().unwrap_or(other.as_bytes());
                tokens.iter().position(|known| known.as_bytes() == token)
            }
        }
    }
}

/// Yields the lines that are not blank, with their ends.
fn items_of(lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    let whole = memchr_iter(b'\n', lines).map(move |end| {
        let line = &lines[start..=end];
        start = end + 1;
        line
    });
    whole.filter(|line| !line.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0x0b))
}

fn invalid(field: &'static str, wrong: &str) -> Fault {
    (field, format!("'{field}' is invalid: {wrong}"))
}

fn age_fault(item: &Item<'_>, received: i64) -> Option<Fault> {
    let is_old = item.time().is_some_and(|time| time < received.saturating_sub(OLDEST));
    let wrong = "/track takes no event older than five days; send it to /import";
    is_old.then(|| invalid("properties.time", wrong))
}

fn update_fault(wanted: &[(&'static str, &Option<Value<'_>>)]) -> Option<Fault> {
    let is_right = |value: &Option<Value<'_>>| match value {
        Some(Value::Text(text)) => !text.is_empty(),
        Some(Value::Integer(_) | Value::Float(_)) => true,
        _ => false,
    };
    let (field, _) = wanted.iter().find(|(_, value)| !is_right(value))?;
    Some(invalid(field, "must be a text that is not empty"))
}

/// Returns the first characters of a text.
fn beginning(bytes: &[u8], most: usize) -> &[u8] {
    let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte & 0xc0 != 0x80);
    starts.map(|(place, _)| place).nth(most).map_or(bytes, |end| &bytes[..end])
}
