//! Rules for identity events: their names, and the keys of `properties` under which their operands
//! stand.
//!
//! Two more kinds of properties count (SPEC 3): the ID that was sent, in an ordinary event, and
//! Mixpanel's reason for refusing an identity event.

use idmerge_core::{Kind, OBSERVE};

use crate::links::operand::{OperandId, Value};
use crate::links::simplified::{Event, Named, Sender};

/// The code of an ordinary event that has a value as its ID which can be none (SPEC 3), beside
/// those of the core's steps.
pub const ODD_ID: u8 = OBSERVE + 3;

/// The largest number of keys.
pub const MAX_KEYS: usize = 11;
/// The code of an ordinary event of a device, whose ID lacks its prefix; beside those of the core's
/// steps.
pub(crate) const OBSERVE_DEVICE: u8 = 16;
/// The code of evidence whose second ID is a device's and lacks its prefix.
pub(crate) const DEVICE_EVIDENCE: u8 = 17;

/// The key of the ID as it was sent, where `distinct_id` was rewritten.
const SENT_ID: &str = "$distinct_id_before_identity";
/// The keys of an event's device and of its user.
pub(crate) const DEVICE_AND_USER: [&str; 2] = ["$device_id", "$user_id"];
/// The keys of Mixpanel's reason for refusing an identity event.
const VERDICTS: [&str; 2] = ["$failure_reason", "$identity_failure_reason"];

/// The events that state a link, and the keys of `properties` under which their operands stand.
pub struct Rules {
    keys: Vec<String>,
    /// The bits of the keys' [`mark`]s.
    marks: u64,
    events: Vec<Rule>,
    /// The place of `distinct_id`.
    pub(crate) distinct_id: usize,
    /// The place of the ID that was sent.
    pub(crate) sent: usize,
    /// The places of the reasons for refusing.
    verdicts: [usize; 2],
    /// The places of the keys of an event's device and user, in Simplified ID Merge.
    pub(crate) device_and_user: Option<[usize; 2]>,
    /// The places of the keys that count in an ordinary event.
    ordinary: Vec<usize>,
    /// Whether an object without the key of an event's name is an ordinary event; else it is
    /// declined.
    pub(crate) takes_unnamed: bool,
}

struct Rule {
    event: String,
    code: u8,
    operands: Operands,
    /// The places of the keys that count.
    counting: Vec<usize>,
}

enum Operands {
    /// The places of each operand's keys; the first that is present counts.
    Apart(Vec<usize>, Vec<usize>),
    /// The place of the key with a list of both.
    Together(usize),
}

/// The step that a line states: its code, its operands, and for a link that Mixpanel refused itself
/// its reason.
pub type Stated<'a> = (u8, Option<&'a str>, Option<&'a str>, Option<&'a str>);

impl Rules {
    /// Takes each identity event's name, code, and keys: of both operands, or one for a list of
    /// them.
    ///
    /// Returns None if there are too many keys.
    pub fn new(events: Vec<(String, u8, Vec<Vec<String>>)>) -> Option<Self> {
        let mut known = Self {
            keys: Vec::new(),
            marks: 0,
            events: Vec::new(),
            distinct_id: 0,
            sent: 0,
            verdicts: [0; 2],
            device_and_user: None,
            ordinary: Vec::new(),
            takes_unnamed: false,
        };
        known.distinct_id = known.place("distinct_id".to_owned());
        known.sent = known.place(SENT_ID.to_owned());
        known.verdicts = VERDICTS.map(|key| known.place(key.to_owned()));
        known.ordinary = vec![known.distinct_id, known.sent];
        for (event, code, keys) in events {
            let operands: Vec<_> = keys.into_iter().map(|keys| known.places(keys)).collect();
            let counting = operands.iter().flatten().chain(&known.verdicts).copied().collect();
            let mut operands = operands.into_iter();
            let operands = match (operands.next(), operands.next()) {
                (Some(first), Some(second)) => Operands::Apart(first, second),
                (Some(both), None) => Operands::Together(*both.first()?),
                _ => return None,
            };
            known.events.push(Rule { event, code, operands, counting });
        }
        (known.keys.len() <= MAX_KEYS).then_some(known)
    }

    /// Takes an object without the key of an event's name for an ordinary event, as among events
    /// that a caller hands over.
    #[must_use]
    pub fn taking_unnamed(self) -> Self {
        Self { takes_unnamed: true, ..self }
    }

    /// Returns whether ordinary events are those of Simplified ID Merge.
    pub(crate) fn is_simplified(&self) -> bool {
        self.device_and_user.is_some()
    }

    /// Takes ordinary events for those of Simplified ID Merge, which state links if they have both
    /// a device and a user; None if there are too many keys.
    #[must_use]
    pub fn simplified(mut self) -> Option<Self> {
        let places = DEVICE_AND_USER.map(|key| self.place(key.to_owned()));
        self.device_and_user = Some(places);
        self.ordinary.extend(places.into_iter().chain(self.verdicts));
        (self.keys.len() <= MAX_KEYS).then_some(self)
    }

    fn places(&mut self, keys: Vec<String>) -> Vec<usize> {
        keys.into_iter().map(|key| self.place(key)).collect()
    }

    fn place(&mut self, key: String) -> usize {
        self.find(&key).unwrap_or_else(|| {
            self.marks |= mark(&key);
            self.keys.push(key);
            self.keys.len() - 1
        })
    }

    #[inline]
    pub(crate) fn find(&self, key: &str) -> Option<usize> {
        if self.marks & mark(key) == 0 {
            return None; // Nearly every key.
        }
        self.keys.iter().position(|known| known == key)
    }

    /// Returns the keys whose values count.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// Returns the number of the rule for events with this name; None for ordinary events.
    pub fn rule(&self, event: &str) -> Option<usize> {
        self.events.iter().position(|rule| rule.event == event)
    }

    /// Returns the places among [`Self::keys`] of those that count in events of a rule.
    pub fn counting(&self, rule: Option<usize>) -> &[usize] {
        rule.map_or(&self.ordinary, |rule| &self.events[rule].counting)
    }

    /// Returns what an event of a rule states, or None if it is declined.
    ///
    /// `value` finds the values of the keys that count, by their places, and may keep texts in the
    /// buffer that it is given; None declines the event.
    pub fn stated_by_values<'a>(
        &self,
        rule: Option<usize>,
        observe: u8,
        kept: &'a mut String,
        mut value: impl FnMut(usize, &mut String) -> Option<Value<'a>>,
    ) -> Option<Stated<'a>> {
        kept.clear();
        let mut values = [const { Value::Absent }; MAX_KEYS];
        for &place in self.counting(rule) {
            values[place] = value(place, kept)?;
        }
        self.step(rule, &values, kept, observe)
    }

    /// Returns what an event with these values states.
    pub(crate) fn step<'a>(
        &self,
        rule: Option<usize>,
        values: &[Value<'a>],
        unescaped: &'a str,
        observe: u8,
    ) -> Option<Stated<'a>> {
        let text = |id: &OperandId<'a>| match id {
            OperandId::Borrowed(text) => *text,
            OperandId::Unescaped(range) => &unescaped[range.clone()],
        };
        let (code, first, second, reason) = match rule.map(|rule| &self.events[rule]) {
            Some(rule) => {
                let (first, second) = match &rule.operands {
                    Operands::Apart(first, second) => {
                        (self.operand(values, first)?, self.operand(values, second)?)
                    }
                    Operands::Together(place) => match &values[*place] {
                        Value::Pair(both) => (&both.0, &both.1),
                        _ => return None,
                    },
                };
                let (code, reason) = self.with_verdict(rule.code, values, text)?;
                (code, Some(first), Some(second), reason)
            }
            None if let Some(places) = self.device_and_user => {
                return self.of_device_and_user(places, values, text);
            }
            None => match (&values[self.distinct_id], &values[self.sent]) {
                (Value::Id(id), Value::Id(sent)) if text(id) != text(sent) => {
                    (Kind::Evidence as u8, Some(id), Some(sent), None)
                }
                (Value::Number, _) | (Value::Id(_), Value::Number) => return None,
                (Value::Id(id), _) => (observe, Some(id), None, None),
                (Value::Absent | Value::Null, _) => (observe, None, None, None),
                (Value::NoId | Value::Pair(..), _) => (ODD_ID, None, None, None),
            },
        };
        Some((code, first.map(text), second.map(text), reason))
    }

    /// Returns what an ordinary event of Simplified ID Merge states: a link if it has both a device
    /// and a user, and else that there is the one that it has (SPEC 3).
    fn of_device_and_user<'a>(
        &self,
        places: [usize; 2],
        values: &[Value<'a>],
        text: impl Fn(&OperandId<'a>) -> &'a str,
    ) -> Option<Stated<'a>> {
        let id = |place: usize| match &values[place] {
            Value::Id(id) => Some(Some(text(id))),
            Value::Number => None, // The caller knows its digits.
            Value::Absent | Value::Null | Value::NoId | Value::Pair(..) => Some(None),
        };
        let [device, user] = places.map(id);
        let named = Named::of(device?, user?);
        if let Some((device, user)) = named.both() {
            let (code, reason) = self.with_verdict(Kind::Association as u8, values, &text)?;
            return Some((code, Some(device), Some(user), reason));
        }
        let [own, sent] = [&values[self.distinct_id], &values[self.sent]];
        let is_odd = matches!(own, Value::NoId | Value::Pair(..));
        let id = |value: &Value<'a>| match value {
            Value::Id(id) => Some(text(id)),
            _ => None,
        };
        if matches!(own, Value::Number) || matches!(sent, Value::Number) {
            return None;
        }
        Some(match named.event(id(own), id(sent)) {
            Event::Association { device, user } => (Kind::Association as u8, Some(device), Some(user), None),
            Event::Rewritten { id, sent: Sender::Id(sent) } => {
                (Kind::Evidence as u8, Some(id), Some(sent), None)
            }
            Event::Rewritten { id, sent: Sender::Device(sent) } => {
                (DEVICE_EVIDENCE, Some(id), Some(sent), None)
            }
            Event::Sent(Sender::Id(id)) => (OBSERVE, Some(id), None, None),
            Event::Sent(Sender::Device(id)) => (OBSERVE_DEVICE, Some(id), None, None),
            Event::Nobodys => (if is_odd { ODD_ID } else { OBSERVE }, None, None, None),
        })
    }

    /// Returns the code of a link, that of a refused one if Mixpanel refused it, and the reason;
    /// None if the caller words that.
    fn with_verdict<'a>(
        &self,
        code: u8,
        values: &[Value<'a>],
        text: impl Fn(&OperandId<'a>) -> &'a str,
    ) -> Option<(u8, Option<&'a str>)> {
        let is_reason = |value: &&Value<'a>| match value {
            Value::Absent | Value::Null => false,
            Value::Id(reason) => !text(reason).is_empty(),
            Value::NoId | Value::Number | Value::Pair(..) => true,
        };
        match self.verdicts.iter().map(|&place| &values[place]).find(is_reason) {
            None => Some((code, None)),
            Some(Value::Id(reason)) => Some((refused(code), Some(text(reason)))),
            Some(_) => None,
        }
    }

    /// Returns the value of an operand: of its keys the first that is present counts, and a null ID
    /// as sent is as if missing.
    fn operand<'v, 'a>(&self, values: &'v [Value<'a>], places: &[usize]) -> Option<&'v OperandId<'a>> {
        let is_there = |place: &&usize| match &values[**place] {
            Value::Absent => false,
            Value::Null => **place != self.sent,
            _ => true,
        };
        match &values[*places.iter().find(is_there)?] {
            Value::Id(id) => Some(id),
            _ => None,
        }
    }
}

/// Returns the code of a link that Mixpanel refused itself.
fn refused(code: u8) -> u8 {
    Kind::from_code(code).and_then(Kind::after_refusal).map_or(code, |kind| kind as u8)
}

/// Returns one bit for a key, by its length and its last byte.
///
/// Of the properties that Mixpanel's SDKs send, only `$city` and `$bluetooth_enabled` share a bit
/// with a key that counts, and `$insert_id` that of `$device_id` where this counts.
#[inline]
fn mark(key: &str) -> u64 {
    1 << ((key.len() + 30 * usize::from(key.as_bytes().last().copied().unwrap_or_default())) % 64)
}
