//! The rules by which a link is judged (SPEC 2 and 4), as data.
//!
//! The checks of SPEC 2 stand in this file, but for its first step, that a malformed operand comes
//! before an invalid one, which is `refusal` in `resolver/batch.rs`. They have two halves:
//!
//! - Checks of a text alone, made when an operand is prepared: [`Policy::admits`] for whether it
//!   can be an ID at all, [`Policy::marks`] for whether it is in the anonymous format.
//! - Checks of a link between two known IDs, [`Policy::judge`], which read marks, sizes and roots.
//!
//! A policy is built and validated in Python. Here every combination of its fields is valid.

use std::collections::HashSet;

use crate::clusters::marks::Marks;
use crate::ids::key::{DEVICE_PREFIX, Key};
use crate::link::{Kind, Outcome};

/// The format of anonymous IDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AnonFormat {
    /// A UUID of version 4, or the form that the web SDK made before: five groups of hex digits, of
    /// which the first and the last have at least 11. With or without `$device:`.
    #[default]
    Mixpanel,
    /// A UUID of version 4 in digits of either case, with or without `$device:`.
    Uuid4,
    /// Five groups of ASCII letters or digits joined by hyphens, with or without `$device:`.
    Sdk,
    /// Anything.
    Any,
}

/// The condition under which an anonymous ID counts as claimed: two readings of one rule (SPEC 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AnonGuard {
    /// An accepted `$identify` named it as its anonymous ID.
    #[default]
    Anon,
    /// Any member of its cluster is identified.
    Cluster,
    /// It never does.
    Off,
}

/// The API of Mixpanel's whose links are taken (SPEC 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Api {
    /// Original ID Merge: the three identity events.
    #[default]
    Original,
    /// Simplified ID Merge: events of both a device and a user.
    Simplified,
    /// No ID Merge: aliases, each of which stands for what it points to.
    Legacy,
}

/// The rules by which links are judged; every public field is a switch of SPEC 2.
///
/// It is small but for the blocked IDs, and shared: a resolver and its preparers have one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The API whose links are taken.
    pub api: Api,
    /// The largest cluster allowed, in IDs; None for no limit.
    pub max_cluster_size: Option<u32>,
    /// The format of anonymous IDs.
    pub anon_format: AnonFormat,
    /// The condition under which an anonymous ID counts as claimed.
    pub anon_guard: AnonGuard,
    /// Whether an alias can be used only once.
    pub alias_once: bool,
    /// The longest ID allowed, in characters; None for no limit.
    pub max_id_length: Option<usize>,
    /// Whether a link that Mixpanel refused itself is refused.
    pub respects_verdicts: bool,
    /// Whether an event whose ID was rewritten joins its two IDs.
    pub takes_evidence: bool,
    blocked: Blocked,
    /// The longest text, in bytes, that keys or a journal can hold. A limit of storage and no rule:
    /// a longer text is an error, not an outcome.
    longest_text: usize,
}

impl Default for Policy {
    /// Mixpanel's rules, with nothing blocked: what to block is the caller's list.
    fn default() -> Self {
        Self {
            api: Api::default(),
            max_cluster_size: Some(500),
            anon_format: AnonFormat::default(),
            anon_guard: AnonGuard::default(),
            alias_once: true,
            max_id_length: Some(255),
            respects_verdicts: true,
            takes_evidence: true,
            blocked: Blocked::default(),
            longest_text: Key::MAX_TEXT,
        }
    }
}

/// The facts about a link beyond its kind; each is computed when a rule asks for it.
pub(crate) trait Facts {
    /// Returns whether both operands are the same ID.
    fn same_id(&self) -> bool;
    /// Returns whether both are in one cluster.
    fn same_cluster(&self) -> bool;
    /// Returns the marks of the first ID.
    fn first(&self) -> Marks;
    /// Returns the marks of its cluster.
    fn first_cluster(&self) -> Marks;
    /// Returns whether the two clusters hold IDs that are to be kept apart (SPEC 8).
    fn kept_apart(&self) -> bool;
    /// Returns the size of both clusters together, forgotten IDs included.
    fn merged_size(&self) -> u32;
}

impl Policy {
    /// Blocks these IDs, whatever the case of A–Z, alone or after `$device:` (SPEC 4).
    #[must_use]
    pub fn blocking<T: AsRef<str>>(mut self, ids: impl IntoIterator<Item = T>) -> Self {
        self.blocked = Blocked::new(ids);
        self
    }

    /// Limits texts to so many bytes from now on.
    pub(crate) fn limit_texts(&mut self, bytes: usize) {
        self.longest_text = bytes;
    }

    /// Returns the most bytes that a text may have, whatever the rules are.
    #[inline]
    pub(crate) fn longest_text(&self) -> usize {
        self.longest_text
    }

    /// Returns whether `text` can be an ID at all (SPEC 2, step 2).
    ///
    /// Asked for every operand of every link, so its common case is a few comparisons: a text is
    /// measured in characters only if it has too many bytes, and hashed only if the filter of
    /// blocked IDs lets it.
    #[inline]
    pub(crate) fn admits(&self, text: &str) -> bool {
        !text.is_empty() && self.is_short_enough(text) && !self.blocked.has(text)
    }

    /// Returns whether `text` has at most `max_id_length` characters.
    fn is_short_enough(&self, text: &str) -> bool {
        // A text has at most as many characters as bytes, so most need no counting.
        self.max_id_length.is_none_or(|limit| text.len() <= limit || text.chars().count() <= limit)
    }

    /// Returns whether the API has links of this kind (SPEC 2).
    #[inline]
    pub(crate) fn takes(&self, kind: Kind) -> bool {
        const fn all(kinds: &[Kind]) -> u16 {
            let (mut bits, mut next) = (1 << Kind::Mapping as u8 | 1 << Kind::Evidence as u8, 0);
            while next < kinds.len() {
                bits |= 1 << kinds[next] as u8;
                next += 1;
            }
            bits
        }
        const ORIGINAL: u16 = all(&[
            Kind::Identify,
            Kind::Alias,
            Kind::Merge,
            Kind::TrackedMerge,
            Kind::RefusedIdentify,
            Kind::RefusedAlias,
            Kind::RefusedMerge,
        ]);
        const SIMPLIFIED: u16 = all(&[Kind::Association, Kind::RefusedAssociation]);
        const LEGACY: u16 = all(&[Kind::Alias, Kind::RefusedAlias]);
        let taken = match self.api {
            Api::Original => ORIGINAL,
            Api::Simplified => SIMPLIFIED,
            Api::Legacy => LEGACY,
        };
        taken >> kind as u8 & 1 == 1
    }

    /// Returns whether a merge keeps the canonical ID of the second ID's cluster, whatever the
    /// strategy (SPEC 5).
    pub(crate) fn keeps_second(&self) -> bool {
        self.api == Api::Legacy
    }

    /// Returns the marks that an ID has by its text alone; `packed` is its key, if it packs.
    ///
    /// The key shows a canonical UUID of version 4 without a look at the text.
    #[inline]
    pub(crate) fn marks(&self, text: &str, packed: Option<Key>) -> Marks {
        // Most IDs of people end here.
        let is_long = text.len() >= SHORTEST_ANONYMOUS;
        let is_uuid4 = || packed.is_some_and(Key::is_uuid4) || is_uuid4(without_prefix(text));
        let anonymous = match self.anon_format {
            AnonFormat::Mixpanel => is_long && (is_uuid4() || is_old_web_id(without_prefix(text))),
            AnonFormat::Uuid4 => is_long && is_uuid4(),
            AnonFormat::Sdk => is_five_groups(without_prefix(text)),
            AnonFormat::Any => true,
        };
        if anonymous { Marks::ANONYMOUS } else { Marks::NONE }
    }

    /// Returns the marks of an ID whose key is a UUID: the same as [`Self::marks`] of its text.
    pub(crate) fn marks_of_uuid(&self, key: Key) -> Marks {
        match self.anon_format {
            // The first group of a UUID is too short for an old web ID.
            AnonFormat::Mixpanel | AnonFormat::Uuid4 if !key.is_uuid4() => Marks::NONE,
            // A UUID has five groups.
            AnonFormat::Mixpanel | AnonFormat::Uuid4 | AnonFormat::Sdk | AnonFormat::Any => Marks::ANONYMOUS,
        }
    }

    /// Returns the outcome of a link between two known IDs (SPEC 2, from step 3).
    ///
    /// Reads as the specification does, from top to bottom: the first check that applies decides.
    /// An association is judged as an `$identify` is. Kinds that no event states by itself are
    /// judged by [`Self::judge_mapping`], or not at all.
    #[expect(clippy::inline_always, reason = "two callers, of which one is called for every link")]
    #[inline(always)]
    pub(crate) fn judge(&self, kind: Kind, facts: &impl Facts) -> Outcome {
        if facts.same_id() {
            return Outcome::SameIds;
        }
        let is_identify = matches!(kind, Kind::Identify | Kind::Association);
        if is_identify && !facts.first().has(Marks::ANONYMOUS) {
            return Outcome::AnonFormat;
        }
        if facts.same_cluster() {
            return Outcome::Unchanged;
        }
        if is_identify && self.guards(facts) {
            return Outcome::AnonClaimed;
        }
        if kind == Kind::Alias && self.alias_once && facts.first().has(Marks::ALIAS) {
            return Outcome::AliasTaken;
        }
        if facts.kept_apart() {
            return Outcome::KeptApart;
        }
        if self.max_cluster_size.is_some_and(|limit| facts.merged_size() > limit) {
            return Outcome::TooManyIds;
        }
        Outcome::Merged
    }

    /// Returns the outcome of a mapping between two known IDs, which nothing guards (SPEC 2).
    pub(crate) fn judge_mapping(facts: &impl Facts) -> Outcome {
        if facts.same_id() {
            Outcome::SameIds
        } else if facts.same_cluster() {
            Outcome::Unchanged
        } else if facts.kept_apart() {
            Outcome::KeptApart
        } else {
            Outcome::Merged
        }
    }

    /// Returns whether the anonymous ID of an `$identify` is claimed (SPEC 2, `$identify`, step 6).
    fn guards(&self, facts: &impl Facts) -> bool {
        match self.anon_guard {
            AnonGuard::Anon => facts.first().has(Marks::CLAIMED),
            AnonGuard::Cluster => facts.first_cluster().has(Marks::IDENTIFIED),
            AnonGuard::Off => false,
        }
    }
}

/// Returns the claims that an accepted link of this kind makes on its first and its second ID (SPEC
/// 2, `$identify`, steps 5 and 8, and `$create_alias`, steps 4 and 7).
pub(crate) fn claims(kind: Kind) -> (Marks, Marks) {
    match kind {
        Kind::Identify | Kind::Association => (Marks::CLAIMED, Marks::IDENTIFIED),
        Kind::Alias => (Marks::ALIAS, Marks::NONE),
        _ => (Marks::NONE, Marks::NONE),
    }
}

/// Returns `text` without `$device:`, if it begins with that.
fn without_prefix(text: &str) -> &str {
    text.strip_prefix(DEVICE_PREFIX).unwrap_or(text)
}

/// Returns whether `text` is a UUID of version 4 and variant 8 to b, in digits of either case.
fn is_uuid4(text: &str) -> bool {
    let right = |(position, byte): (usize, u8)| match position {
        8 | 13 | 18 | 23 => byte == b'-',
        14 => byte == b'4',
        19 => matches!(byte, b'8' | b'9' | b'a' | b'b' | b'A' | b'B'),
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() == 36 && text.bytes().enumerate().all(right)
}

/// Returns whether `text` is five groups of hex digits, none empty, of which the first and the last
/// have at least 11.
fn is_old_web_id(text: &str) -> bool {
    let is_group = |group: &str| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_hexdigit());
    let [first, last] = [text.split('-').next(), text.rsplit('-').next()];
    let is_long = |group: Option<&str>| group.is_some_and(|group| group.len() >= LONG_GROUP);
    is_long(first) && is_long(last) && text.split('-').count() == 5 && text.split('-').all(is_group)
}

/// The fewest digits of the first and the last group of an old web ID.
const LONG_GROUP: usize = 11;
/// The fewest bytes of an old web ID, which are fewer than those of a UUID.
const SHORTEST_ANONYMOUS: usize = 2 * LONG_GROUP + "-0-0-0-".len();

/// Returns whether `text` is five groups of ASCII letters or digits joined by hyphens, none empty.
fn is_five_groups(text: &str) -> bool {
    let is_group = |group: &str| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_alphanumeric());
    text.split('-').count() == 5 && text.split('-').all(is_group)
}

/// Blocked IDs in lower case, behind a filter that lets nearly every ID pass unhashed (SPEC 4).
///
/// The filter is asked for every operand, so it reads two bytes and a length. It may let a text
/// pass on to the set that is not blocked, and never the other way round.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Blocked {
    ids: HashSet<String>,
    /// For each length, the longest ones together: the first and the last bytes of blocked values,
    /// a bit for each value of a byte's lower five bits. These are the same in upper and lower
    /// case.
    edges: [[u32; 2]; LENGTHS],
}

/// The number of lengths that the filter distinguishes.
const LENGTHS: usize = 64;

impl Default for Blocked {
    fn default() -> Self {
        Self { ids: HashSet::new(), edges: [[0; 2]; LENGTHS] }
    }
}

/// Returns the bits of the first and the last byte of a value.
#[inline]
fn edges(value: &[u8]) -> [u32; 2] {
    [value.first(), value.last()].map(|byte| 1 << (byte.copied().unwrap_or(0) & 31))
}

impl Blocked {
    /// Returns the set of these IDs, whatever the case of A–Z.
    fn new<T: AsRef<str>>(ids: impl IntoIterator<Item = T>) -> Self {
        let mut blocked = Self::default();
        for id in ids {
            let id = id.as_ref().to_ascii_lowercase();
            let entry = &mut blocked.edges[id.len().min(LENGTHS - 1)];
            for (bits, bit) in entry.iter_mut().zip(edges(id.as_bytes())) {
                *bits |= bit;
            }
            blocked.ids.insert(id);
        }
        blocked
    }

    /// Returns whether `text` is blocked, alone or after `$device:`.
    #[inline]
    fn has(&self, text: &str) -> bool {
        self.has_value(text) || text.strip_prefix(DEVICE_PREFIX).is_some_and(|rest| self.has_value(rest))
    }

    /// Returns whether this very value is blocked.
    #[inline]
    fn has_value(&self, value: &str) -> bool {
        let [first, last] = self.edges[value.len().min(LENGTHS - 1)];
        let [begins, ends] = edges(value.as_bytes());
        first & begins != 0 && last & ends != 0 && self.ids.contains(&value.to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_of_blocked_ids_hides_none() {
        let ids = ["null", "N/A", "", "é", "00000000-0000-0000-0000-000000000000"];
        let policy = Policy::default().blocking(ids);
        for id in &ids[1..] {
            for text in [(*id).to_owned(), id.to_ascii_uppercase(), format!("$device:{id}")] {
                assert!(!policy.admits(&text), "{text:?}");
            }
        }
        assert!(!policy.admits("$device:"), "an empty value after the prefix is blocked by ''");
        assert!(policy.admits("nulls") && policy.admits("É") && policy.admits("$Device:null"));
    }

    #[test]
    fn length_is_counted_in_characters() {
        let policy = Policy::default();
        assert!(policy.admits(&"é".repeat(255)));
        assert!(!policy.admits(&"é".repeat(256)));
    }
}
