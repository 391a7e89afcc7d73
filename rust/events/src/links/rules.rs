//! Rules for identity events: their names, and the keys of `properties` under which their operands
//! stand.

use crate::links::operand::{OperandId, Value};

/// The largest number of keys.
pub const MAX_KEYS: usize = 8;

/// The events that state a link, and the keys of `properties` under which their operands stand.
pub struct Rules {
    keys: Vec<String>,
    /// The bits of the keys' [`mark`]s.
    marks: u64,
    events: Vec<Rule>,
    /// The place of `distinct_id`.
    pub(crate) distinct_id: usize,
}

struct Rule {
    event: String,
    code: u8,
    operands: Operands,
}

enum Operands {
    /// The places of each operand's keys; the first that is present counts.
    Apart(Vec<usize>, Vec<usize>),
    /// The place of the key with a list of both.
    Together(usize),
}

/// The step that a line states: its code and its operands.
pub type Stated<'a> = (u8, Option<&'a str>, Option<&'a str>);

impl Rules {
    /// Takes each identity event's name, code, and keys: of both operands, or one for a list of
    /// them.
    ///
    /// Returns None if there are too many keys.
    pub fn new(events: Vec<(String, u8, Vec<Vec<String>>)>) -> Option<Self> {
        let mut known = Self { keys: Vec::new(), marks: 0, events: Vec::new(), distinct_id: 0 };
        known.distinct_id = known.place("distinct_id".to_owned());
        for (event, code, keys) in events {
            let mut operands = keys.into_iter().map(|keys| known.places(keys));
            let operands = match (operands.next(), operands.next()) {
                (Some(first), Some(second)) => Operands::Apart(first, second),
                (Some(both), None) => Operands::Together(*both.first()?),
                _ => return None,
            };
            known.events.push(Rule { event, code, operands });
        }
        (known.keys.len() <= MAX_KEYS).then_some(known)
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

    /// Returns the number of the rule for events with this name.
    pub(crate) fn rule(&self, event: &str) -> Option<usize> {
        self.events.iter().position(|rule| rule.event == event)
    }

    /// Returns what an event with these values states.
    pub(crate) fn step<'a>(
        &self,
        rule: Option<usize>,
        values: &[Value<'a>],
        unescaped: &'a str,
        observe: u8,
    ) -> Option<Stated<'a>> {
        let (code, first, second) = match rule.map(|rule| &self.events[rule]) {
            Some(rule) => {
                let (first, second) = match &rule.operands {
                    Operands::Apart(first, second) => (operand(values, first)?, operand(values, second)?),
                    Operands::Together(place) => match &values[*place] {
                        Value::Pair(both) => (&both.0, &both.1),
                        _ => return None,
                    },
                };
                (rule.code, Some(first), Some(second))
            }
            None => match &values[self.distinct_id] {
                Value::Id(id) => (observe, Some(id), None),
                Value::Number => return None,
                Value::Absent | Value::NoId | Value::Pair(..) => (observe, None, None),
            },
        };
        let text = |id: &OperandId<'a>| match id {
            OperandId::Borrowed(text) => *text,
            OperandId::Unescaped(range) => &unescaped[range.clone()],
        };
        Some((code, first.map(text), second.map(text)))
    }
}

/// Returns the value of an operand: of its keys the first that is present counts.
fn operand<'v, 'a>(values: &'v [Value<'a>], places: &[usize]) -> Option<&'v OperandId<'a>> {
    let mut values = places.iter().map(|&place| &values[place]);
    match values.find(|value| !matches!(value, Value::Absent))? {
        Value::Id(id) => Some(id),
        _ => None,
    }
}

/// Returns one bit for a key, by its length and its last byte.
#[inline]
fn mark(key: &str) -> u64 {
    1 << ((key.len() + 7 * usize::from(key.as_bytes().last().copied().unwrap_or_default())) % 64)
}
