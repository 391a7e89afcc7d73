//! Stories to test laws on: rules, a strategy, a few IDs and many steps between them.
//!
//! The IDs of a story are few, so that its links meet. Some are anonymous in one format or another,
//! the others are what is hard to tell apart, to judge or to store.

use idmerge_core::{
    AnonFormat, AnonGuard, Api, Error, JournaledResolver, Kind, Operand, Outcome, Resolver, Step,
    Strategy as Naming,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::model::{Model, Rules};

const UUIDS: [&str; 2] = ["5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11", "0bad5eed-0000-4abc-b000-0000000000ff"];
const BLOCKED: [&str; 6] = ["null", "N/A", "", "k", "É", UUIDS[1]];
const OLD_WEB_ID: &str = "18c4f0a1b2c3d4-0a1B2c3d4e5f60-1b525637-1fa400-18c4f0a1b2d9e0";
const CONFUSABLE: [&str; 24] = [
    OLD_WEB_ID,
    "$device:0123456789a-b-c-d-0123456789f",
    "0123456789-b-c-d-0123456789f",
    "0123456789a-b-c-d-0123456789",
    "0123456789a-b--d-0123456789f",
    "null",
    "NuLL",
    "$device:null",
    "$device:NULL",
    "$Device:null",
    "$device:$device:null",
    "$device:",
    "$device",
    "n/a",
    "K",
    "\u{212a}", // The Kelvin sign: k in lower case, but not in ASCII.
    "É",
    "é",
    "1-2-3-4-5",
    "$device:1-B-c-4-5",
    "1-2-3-4",
    "1--3-4-5",
    "é-2-3-4-5",
    "1-2-3-4-5-6",
];

/// Rules, a strategy, and the steps for a resolver under them.
#[derive(Debug, Clone)]
pub struct Story {
    pub rules: Rules,
    strategy: Naming,
    ids: Vec<String>,
    stated: Vec<Stated>,
}

#[derive(Debug, Clone)]
enum Stated {
    Link(Kind, Word, Word),
    Observe(Word),
    Evidence(Word, Word),
}

#[derive(Debug, Clone)]
enum Word {
    Missing,
    NotUnicode,
    /// One of the story's IDs, counted round and round.
    Id(usize),
}

impl Story {
    /// Returns the steps, in order.
    pub fn steps(&self) -> Vec<Step<'_>> {
        let operand = |word: &Word| match *word {
            Word::Missing => Operand::Missing,
            Word::NotUnicode => Operand::NotUnicode,
            Word::Id(number) => Operand::Text(&self.ids[number % self.ids.len()]),
        };
        let step = |stated: &Stated| match stated {
            Stated::Link(kind, first, second) => {
                Step::Link(self.kind(*kind), operand(first), operand(second))
            }
            Stated::Observe(id) => Step::Observe(operand(id)),
            Stated::Evidence(id, sent) => Step::Evidence(operand(id), operand(sent)),
        };
        self.stated.iter().map(step).collect()
    }

    /// Returns a kind that the story's API has more often.
    fn kind(&self, kind: Kind) -> Kind {
        match (self.rules.api, kind) {
            (Api::Simplified, Kind::Identify | Kind::Alias) => Kind::Association,
            (Api::Simplified, Kind::RefusedIdentify) => Kind::RefusedAssociation,
            (Api::Legacy, Kind::Identify) => Kind::Alias,
            _ => kind,
        }
    }

    /// Returns the steps that leave it to the strategy who names a cluster: no mapping and no
    /// evidence, of which the latest counts, and no alias that keeps what it points to.
    pub fn steps_without_names(&self) -> Vec<Step<'_>> {
        let names = |step: &Step| match step {
            Step::Link(Kind::Mapping, ..) | Step::Evidence(..) => true,
            Step::Link(Kind::Alias, ..) => self.rules.api == Api::Legacy,
            _ => false,
        };
        self.steps().into_iter().filter(|step| !names(step)).collect()
    }

    /// Returns whether a step takes a position.
    pub fn has_position(&self, step: Step) -> bool {
        match step {
            Step::Link(..) => true,
            Step::Observe(_) => false,
            Step::Evidence(id, sent) => self.rules.evidence(id, sent).is_some(),
        }
    }

    pub fn core(&self) -> Resolver {
        Resolver::new(self.rules.policy(), self.strategy)
    }

    pub fn core_with_id_limit(&self, limit: u32) -> Resolver {
        Resolver::with_id_limit(self.rules.policy(), self.strategy, limit)
    }

    pub fn model(&self) -> Model<'_> {
        Model::new(&self.rules, self.strategy)
    }
}

/// A resolver that takes one step at a time, with a journal or without.
pub trait TakesSteps {
    /// Takes a step and returns its outcome if it is a link.
    fn take_step(&mut self, step: Step) -> Result<Option<Outcome>, Error>;
}

impl TakesSteps for Resolver {
    fn take_step(&mut self, step: Step) -> Result<Option<Outcome>, Error> {
        match step {
            Step::Link(kind, first, second) => self.link(kind, first, second).map(Some),
            Step::Observe(id) => self.observe(id).map(|()| None),
            Step::Evidence(id, sent) => self.observe_evidence(id, sent).map(|()| None),
        }
    }
}

impl TakesSteps for JournaledResolver {
    fn take_step(&mut self, step: Step) -> Result<Option<Outcome>, Error> {
        match step {
            Step::Link(kind, first, second) => self.link(kind, first, second).map(Some),
            Step::Observe(id) => self.observe(id).map(|()| None),
            Step::Evidence(id, sent) => self.observe_evidence(id, sent).map(|()| None),
        }
    }
}

/// Takes steps one by one and returns the outcome of each, None for an observation.
pub fn take_each(core: &mut impl TakesSteps, steps: &[Step]) -> Vec<Option<Outcome>> {
    steps.iter().map(|&step| core.take_step(step).expect("there is room")).collect()
}

/// Stories of up to 8 IDs and 60 steps.
pub fn stories() -> impl Strategy<Value = Story> {
    let ids = (vec(anonymous(), 1..4), vec(text(), 1..5)).prop_map(|(some, others)| [some, others].concat());
    let stated = vec(stated(word()), 0..60);
    (rules(), strategy(), ids, stated).prop_map(|(rules, strategy, ids, stated)| Story {
        rules,
        strategy,
        ids,
        stated,
    })
}

/// Stories of this many IDs in every form, linked to near neighbours in no order.
pub fn long_stories(ids: usize) -> impl Strategy<Value = Story> {
    let stated = (kind(), 0..ids, 0..4_usize, any::<bool>()).prop_map(|(kind, number, gap, is_turned)| {
        let (first, second) = (Word::Id(number), Word::Id(number + gap));
        if is_turned { Stated::Link(kind, second, first) } else { Stated::Link(kind, first, second) }
    });
    let stated = vec(stated, 2 * ids..3 * ids);
    (rules(), strategy(), stated).prop_map(move |(rules, strategy, stated)| Story {
        rules: Rules { max_id_length: None, ..rules },
        strategy,
        ids: (0..ids).map(numbered).collect(),
        stated,
    })
}

/// Returns a text of its own for each number, neighbours in different forms.
fn numbered(number: usize) -> String {
    match number % 6 {
        0 => format!("{number:08x}-0000-4000-8000-000000000000"),
        1 => format!("$device:{number:08x}-0000-4000-8000-000000000000"),
        2 => format!("{number:08X}-AAAA-4AAA-AAAA-AAAAAAAAAAAA"),
        3 => format!("u{number}"),
        4 => format!("a user whose ID is too long to pack, the {number}th"),
        _ => format!("{number:08x}-0000-4000-0000-000000000000"),
    }
}

fn rules() -> impl Strategy<Value = Rules> {
    let api = prop_oneof![3 => Just(Api::Original), 1 => Just(Api::Simplified), 1 => Just(Api::Legacy)];
    (
        api,
        prop_oneof![Just(None), (2..6_u32).prop_map(Some)],
        prop_oneof![2 => Just(AnonFormat::Mixpanel), 2 => Just(AnonFormat::Uuid4), 1 => Just(AnonFormat::Sdk), 1 => Just(AnonFormat::Any)],
        prop_oneof![Just(AnonGuard::Anon), Just(AnonGuard::Cluster), Just(AnonGuard::Off)],
        any::<bool>(),
        prop_oneof![Just(None), Just(Some(255)), Just(Some(15)), Just(Some(36))],
        subsequence(&BLOCKED[..], 0..=BLOCKED.len()),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(api, max_cluster_size, anon_format, anon_guard, alias_once, max_id_length, blocked, a, b)| {
            Rules {
                api,
                max_cluster_size,
                anon_format,
                anon_guard,
                alias_once,
                max_id_length,
                blocked,
                respects_verdicts: a,
                takes_evidence: b,
            }
        })
}

fn strategy() -> impl Strategy<Value = Naming> {
    select(vec![Naming::Stable, Naming::Identified, Naming::FirstSeen, Naming::Smallest])
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        5 => Just(Kind::Identify),
        3 => Just(Kind::Alias),
        3 => Just(Kind::Merge),
        1 => Just(Kind::TrackedMerge),
        1 => Just(Kind::Mapping),
        1 => select(vec![Kind::RefusedIdentify, Kind::RefusedAlias, Kind::RefusedMerge]),
    ]
}

fn stated(word: impl Strategy<Value = Word> + Clone) -> impl Strategy<Value = Stated> {
    prop_oneof![
        8 => (kind(), word.clone(), word.clone()).prop_map(|(kind, first, second)| Stated::Link(kind, first, second)),
        1 => word.clone().prop_map(Stated::Observe),
        1 => (word.clone(), word).prop_map(|(id, sent)| Stated::Evidence(id, sent)),
    ]
}

fn word() -> impl Strategy<Value = Word> + Clone {
    prop_oneof![1 => Just(Word::Missing), 1 => Just(Word::NotUnicode), 60 => (0..64_usize).prop_map(Word::Id)]
}

/// A UUID of two, in one of three spellings, with or without the prefix.
fn anonymous() -> impl Strategy<Value = String> + Clone {
    let spelled = (select(&UUIDS[..]), 0..3).prop_map(|(uuid, spelling)| match spelling {
        0 => uuid.to_owned(),
        1 => uuid.to_ascii_uppercase(),
        _ => uuid.replace('e', "E"),
    });
    (spelled, any::<bool>())
        .prop_map(|(uuid, is_bare)| if is_bare { uuid } else { format!("$device:{uuid}") })
}

/// A text that is hard in one way or another.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => anonymous(),
        3 => near_miss(),
        3 => select(&CONFUSABLE[..]).prop_map(str::to_owned),
        // Around the 15 bytes that pack, with what could be taken for padding.
        3 => vec(select(vec!["\0", "a", "b", "é", "\u{1f98a}"]), 0..7).prop_map(|parts| parts.concat()),
        2 => (13..18_usize, select(vec!["\0", "x", "A"])).prop_map(|(length, letter)| letter.repeat(length)),
        // Around the longest in characters, which is not the longest in bytes.
        1 => (254..257_usize, select(vec!["x", "é"])).prop_map(|(length, letter)| letter.repeat(length)),
        1 => any::<String>(),
    ]
}

/// An anonymous ID with a character replaced that matters, by one that often breaks it.
fn near_miss() -> impl Strategy<Value = String> {
    // Bare and after the prefix: the first and the last, a hyphen, the version, the variant.
    let place = select(vec![0, 8, 14, 19, 35, 7, 15, 21, 26, 42]);
    let replaced = select(vec!['0', '4', '7', 'c', 'g', 'G', '-', '\0', 'é']);
    (anonymous(), place, replaced).prop_map(|(text, place, new)| {
        text.chars().enumerate().map(|(position, old)| if position == place { new } else { old }).collect()
    })
}
