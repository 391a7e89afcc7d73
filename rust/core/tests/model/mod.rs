//! The resolver in plain Rust, to be read beside SPEC 2, 4 and 5 and to be obviously right.
//!
//! It keeps one record an ID, in the order in which they became known. A record holds which cluster
//! its ID is in and what was claimed of it; whatever else is asked is computed from the records
//! anew. From the core it takes the words (`Kind`, `Outcome`, …) and none of the rules.

use std::cmp::Ordering;

use idmerge_core::{
    AnonFormat, AnonGuard, Api, Id, Kind, Operand, Outcome, Policy, Resolver, Step, Strategy,
};

/// The policy with every field in the open.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    pub api: Api,
    pub max_cluster_size: Option<u32>,
    pub anon_format: AnonFormat,
    pub anon_guard: AnonGuard,
    pub alias_once: bool,
    pub max_id_length: Option<usize>,
    pub blocked: Vec<&'static str>,
    pub respects_verdicts: bool,
    pub takes_evidence: bool,
}

impl Rules {
    /// Returns the same rules for the core.
    pub fn policy(&self) -> Policy {
        let mut policy = Policy::default().blocking(&self.blocked);
        policy.api = self.api;
        policy.max_cluster_size = self.max_cluster_size;
        policy.anon_format = self.anon_format;
        policy.anon_guard = self.anon_guard;
        policy.alias_once = self.alias_once;
        policy.max_id_length = self.max_id_length;
        policy.respects_verdicts = self.respects_verdicts;
        policy.takes_evidence = self.takes_evidence;
        policy
    }

    /// Returns whether the API has links of this kind.
    fn takes(&self, kind: Kind) -> bool {
        match (self.api, kind) {
            (_, Kind::Mapping | Kind::Evidence) => true,
            (Api::Simplified, kind) => matches!(kind, Kind::Association | Kind::RefusedAssociation),
            (Api::Legacy, kind) => matches!(kind, Kind::Alias | Kind::RefusedAlias),
            (Api::Original, kind) => !matches!(kind, Kind::Association | Kind::RefusedAssociation),
        }
    }

    fn is_valid(&self, text: &str) -> bool {
        let blocks = |value: &str| self.blocked.iter().any(|blocked| blocked.eq_ignore_ascii_case(value));
        let too_long = self.max_id_length.is_some_and(|limit| text.chars().count() > limit);
        !text.is_empty() && !too_long && !blocks(text) && !blocks(without_prefix(text))
    }

    /// Returns the two IDs of an event that is evidence of them.
    pub fn evidence<'a>(&self, first: Operand<'a>, second: Operand<'a>) -> Option<[&'a str; 2]> {
        let (Operand::Text(first), Operand::Text(second)) = (first, second) else { return None };
        let counts = self.takes_evidence && self.is_valid(first) && self.is_valid(second) && first != second;
        counts.then_some([first, second])
    }

    fn is_anonymous(&self, text: &str) -> bool {
        let groups: Vec<&str> = without_prefix(text).split('-').collect();
        let is_hex = |group: &&str| group.chars().all(|digit| digit.is_ascii_hexdigit());
        let is_uuid4 = || {
            groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
                && groups.iter().all(is_hex)
                && groups[2].starts_with('4')
                && groups[3].starts_with(['8', '9', 'a', 'b', 'A', 'B'])
        };
        match self.anon_format {
            AnonFormat::Mixpanel => {
                let is_old = groups.len() == 5
                    && groups.iter().all(|group| !group.is_empty() && is_hex(group))
                    && groups[0].len() >= 11
                    && groups[4].len() >= 11;
                is_old || is_uuid4()
            }
            AnonFormat::Uuid4 => is_uuid4(),
            AnonFormat::Sdk => {
                let is_word = |group: &&str| group.chars().all(|letter| letter.is_ascii_alphanumeric());
                groups.len() == 5 && groups.iter().all(|group| !group.is_empty() && is_word(group))
            }
            AnonFormat::Any => true,
        }
    }
}

fn without_prefix(text: &str) -> &str {
    text.strip_prefix("$device:").unwrap_or(text)
}

#[derive(Clone, PartialEq)]
struct Record<'a> {
    text: &'a str,
    /// Any one member stands for the cluster; all members name the same.
    cluster: usize,
    /// The cluster's canonical ID under "stable", the one that depends on the way there.
    stable: usize,
    /// The cluster's canonical ID, if a mapping or evidence stated it.
    stated: Option<usize>,
    claimed: bool,
    identified: bool,
    alias_value: bool,
}

/// The resolver; see the module. IDs are numbered in the order in which they became known.
///
/// No later step can distinguish two equal ones.
#[derive(Clone, PartialEq)]
pub struct Model<'a> {
    rules: &'a Rules,
    strategy: Strategy,
    records: Vec<Record<'a>>,
    differing: u64,
}

impl<'a> Model<'a> {
    pub fn new(rules: &'a Rules, strategy: Strategy) -> Self {
        Self { rules, strategy, records: Vec::new(), differing: 0 }
    }

    /// Takes a step and returns its outcome if it is a link.
    pub fn take(&mut self, step: Step<'a>) -> Option<Outcome> {
        match step {
            Step::Link(kind, first, second) => Some(self.link(kind, first, second)),
            Step::Observe(Operand::Text(text)) if self.rules.is_valid(text) => {
                self.know(text);
                None
            }
            Step::Observe(_) => None,
            Step::Evidence(first, second) => {
                self.take(Step::Observe(first));
                if let Some(ids) = self.rules.evidence(first, second) {
                    let [first, second] = ids.map(|text| self.know(text));
                    if self.records[first].cluster != self.records[second].cluster {
                        self.unite(first, second);
                    }
                    self.state(first);
                }
                None
            }
        }
    }

    /// Judges a link by the checks of SPEC 2, from top to bottom.
    fn link(&mut self, kind: Kind, first: Operand<'a>, second: Operand<'a>) -> Outcome {
        if !self.rules.takes(kind) {
            return Outcome::VerbNotAllowed;
        }
        if first == Operand::Missing || second == Operand::Missing {
            return Outcome::Malformed;
        }
        let (Operand::Text(first), Operand::Text(second)) = (first, second) else {
            return Outcome::InvalidId;
        };
        if !self.rules.is_valid(first) || !self.rules.is_valid(second) {
            return Outcome::InvalidId;
        }
        let first = self.know(first);
        let second = self.know(second);
        if kind == Kind::TrackedMerge {
            return Outcome::MergeNotAllowed;
        }
        let own = match kind {
            Kind::RefusedIdentify => Kind::Identify,
            Kind::RefusedAlias => Kind::Alias,
            Kind::RefusedMerge => Kind::Merge,
            Kind::RefusedAssociation => Kind::Association,
            _ => kind,
        };
        let outcome = self.by_rules(own, first, second);
        if own != kind {
            self.differing += u64::from(matches!(outcome, Outcome::Merged | Outcome::Unchanged));
            if self.rules.respects_verdicts {
                return Outcome::RefusedBefore;
            }
        }
        match outcome {
            Outcome::Unchanged => self.claim(own, first, second),
            Outcome::Merged => {
                self.claim(own, first, second);
                self.unite(first, second);
            }
            _ => return outcome,
        }
        if kind == Kind::Mapping {
            self.state(second);
        }
        outcome
    }

    /// Returns the outcome of a link between two known IDs, refused by nobody else.
    fn by_rules(&self, kind: Kind, first: usize, second: usize) -> Outcome {
        if first == second {
            return Outcome::SameIds;
        }
        let is_identify = kind == Kind::Identify || kind == Kind::Association;
        if is_identify && !self.rules.is_anonymous(self.records[first].text) {
            return Outcome::AnonFormat;
        }
        if self.records[first].cluster == self.records[second].cluster {
            return Outcome::Unchanged;
        }
        if is_identify && self.is_claimed(first) {
            return Outcome::AnonClaimed;
        }
        if kind == Kind::Alias && self.rules.alias_once && self.records[first].alias_value {
            return Outcome::AliasTaken;
        }
        let merged_size = self.members(first).len() + self.members(second).len();
        let is_limited = kind != Kind::Mapping;
        if is_limited && self.rules.max_cluster_size.is_some_and(|limit| merged_size > limit as usize) {
            return Outcome::TooManyIds;
        }
        Outcome::Merged
    }

    /// Makes `id` the canonical ID of its cluster.
    fn state(&mut self, id: usize) {
        for member in self.members(id) {
            self.records[member].stable = id;
            self.records[member].stated = Some(id);
        }
    }

    fn know(&mut self, text: &'a str) -> usize {
        if let Some(known) = self.records.iter().position(|record| record.text == text) {
            return known;
        }
        let id = self.records.len();
        let (claimed, identified, alias_value) = (false, false, false);
        let (stable, stated) = (id, None);
        self.records.push(Record { text, cluster: id, stable, stated, claimed, identified, alias_value });
        id
    }

    fn is_claimed(&self, anon: usize) -> bool {
        match self.rules.anon_guard {
            AnonGuard::Anon => self.records[anon].claimed,
            AnonGuard::Cluster => self.holds_identified(anon),
            AnonGuard::Off => false,
        }
    }

    fn holds_identified(&self, id: usize) -> bool {
        self.members(id).iter().any(|&member| self.records[member].identified)
    }

    fn claim(&mut self, kind: Kind, first: usize, second: usize) {
        match kind {
            Kind::Identify | Kind::Association => {
                self.records[first].claimed = true;
                self.records[second].identified = true;
            }
            Kind::Alias => self.records[first].alias_value = true,
            _ => (),
        }
    }

    fn unite(&mut self, first: usize, second: usize) {
        let of_stable = self.stays(first, second);
        let stated = match (self.records[first].stated, self.records[second].stated) {
            (Some(a), Some(b)) if self.strategy == Strategy::Stable => {
                Some(if of_stable == a { a } else { b })
            }
            (Some(a), Some(b)) => Some(self.best(&[a.min(b), a.max(b)])),
            (one, other) => one.or(other),
        };
        let stated = if self.rules.api == Api::Legacy { Some(self.canonical(second)) } else { stated };
        let stable = stated.unwrap_or(of_stable);
        let cluster = self.records[first].cluster;
        for member in [self.members(first), self.members(second)].concat() {
            self.records[member].cluster = cluster;
            self.records[member].stable = stable;
            self.records[member].stated = stated;
        }
    }

    /// Returns which canonical ID stays under "stable" (SPEC 5).
    fn stays(&self, a: usize, b: usize) -> usize {
        let (of_a, of_b) = (self.records[a].stable, self.records[b].stable);
        match self.members(a).len().cmp(&self.members(b).len()) {
            Ordering::Greater => of_a,
            Ordering::Less => of_b,
            Ordering::Equal => match (self.holds_identified(a), self.holds_identified(b)) {
                (true, false) => of_a,
                (false, true) => of_b,
                _ => of_a.min(of_b),
            },
        }
    }

    fn members(&self, id: usize) -> Vec<usize> {
        let cluster = self.records[id].cluster;
        (0..self.records.len()).filter(|&other| self.records[other].cluster == cluster).collect()
    }

    fn canonical(&self, id: usize) -> usize {
        match (self.records[id].stated, self.strategy) {
            (Some(stated), _) => stated,
            (None, Strategy::Stable) => self.records[id].stable,
            _ => self.best(&self.members(id)),
        }
    }

    /// Returns the best of some IDs, in the order in which they became known, by what a strategy
    /// but "stable" asks of an ID.
    fn best(&self, ids: &[usize]) -> usize {
        match self.strategy {
            Strategy::Stable | Strategy::FirstSeen => ids[0],
            Strategy::Identified => *ids.iter().find(|&&id| self.records[id].identified).unwrap_or(&ids[0]),
            Strategy::Smallest => {
                let text = |id: &&usize| self.records[**id].text.as_bytes();
                *ids.iter().min_by_key(text).expect("a cluster has a member")
            }
        }
    }

    /// Returns how many links were refused before that the other rules accept.
    #[allow(dead_code, reason = "not all tests send such links")]
    pub fn differing(&self) -> u64 {
        self.differing
    }

    /// Returns how many IDs are known.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Returns all that a caller can see.
    pub fn view(&self) -> View {
        let rows = 0..self.len();
        let members: Vec<Vec<usize>> = rows.clone().map(|id| self.members(id)).collect();
        View {
            canonical: rows.clone().map(|id| self.canonical(id)).collect(),
            sizes: members.iter().map(Vec::len).collect(),
            clusters: rows.filter(|&id| members[id][0] == id).count(),
            members,
            texts: self.records.iter().map(|record| record.text.to_owned()).collect(),
        }
    }
}

/// Everything that a caller can see: a row for each known ID, in the order in which they became
/// known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub texts: Vec<String>,
    pub canonical: Vec<usize>,
    pub sizes: Vec<usize>,
    pub members: Vec<Vec<usize>>,
    pub clusters: usize,
}

impl View {
    /// Returns what a caller sees of the core.
    pub fn of(core: &Resolver) -> Self {
        let members = |id| core.members(id).into_iter().map(Id::index).collect();
        Self {
            texts: core.ids().map(|id| core.text(id).as_str().to_owned()).collect(),
            canonical: core.ids().map(|id| core.canonical(id).index()).collect(),
            sizes: core.ids().map(|id| core.size(id) as usize).collect(),
            members: core.ids().map(members).collect(),
            clusters: core.cluster_count(),
        }
    }
}
