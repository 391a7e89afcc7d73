//! Forged checkpoints, whose checksums are right.

use std::io::Cursor;

use idmerge_core::{JournaledResolver, Kind, Part, Policy, Resolver, Steps, Strategy};
use proptest::prelude::*;

/// The contents of two parts, behind the length of the first one; found by fuzzing.
///
/// Its parents form a cycle, and it counts more merged links than it has IDs.
const CYCLE: &[u8] = include_bytes!("data/checkpoint-with-a-cycle.bin");

/// Returns a part of a checkpoint: its beginning, the content as whole words, and its checksum.
fn part(content: &[u8]) -> Vec<u8> {
    let mut part = [b"idmerge\x04".as_slice(), &[0; 40], content].concat();
    part.resize(part.len().next_multiple_of(8), 0);
    with_checksum(part)
}

fn with_checksum(mut part: Vec<u8>) -> Vec<u8> {
    let checksum = u64::from(crc32fast::hash(&part));
    part.extend(checksum.to_le_bytes());
    part
}

fn recording() -> JournaledResolver {
    let mut core = JournaledResolver::new(Resolver::new(Policy::default(), Strategy::Stable));
    core.keep_record();
    core
}

fn loaded([first, second]: [Vec<u8>; 2]) -> std::io::Result<JournaledResolver> {
    let sizes = [first.len() as u64, second.len() as u64];
    let (mut first, mut second) = (Cursor::new(first), Cursor::new(second));
    let parts: [Part; 2] = [(&mut first, sizes[0]), (&mut second, sizes[1])];
    recording().loaded(parts, |_| true)
}

#[test]
fn a_cycle_of_parents_is_refused_whatever_the_count_of_merged_links() {
    let (length, rest) = CYCLE.split_first_chunk::<2>().expect("it begins with a length");
    let middle = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let [first, second] = [&rest[..middle], &rest[middle..]].map(part);
    let error = loaded([first, second]).err().expect("it is refused");
    assert!(error.to_string().contains("its clusters are none"), "{error}");
}

/// A checkpoint of a resolver with retractions, and what forging it needs.
struct Retracted {
    parts: [Vec<u8>; 2],
    /// The byte of the second part at which the number of retractions stands, before their pairs.
    list: usize,
    codes: Vec<u8>,
    first: Vec<u32>,
    second: Vec<u32>,
}

/// The retractions of [`Retracted`]: of a link, of that retraction, and of another link.
const RETRACTIONS: [u64; 6] = [6, 2, 7, 6, 8, 4];

impl Retracted {
    fn new() -> Self {
        let mut core = recording();
        for [first, second] in [["a", "b"], ["c", "d"], ["b", "c"], ["e", "f"], ["f", "a"], ["g", "e"]] {
            core.link(Kind::Merge, first.into(), second.into()).expect("there is room");
        }
        for position in [2, 6, 4] {
            let past = core.without(&[position], []).expect("it is there");
            core.retract(&[position], past).expect("there is memory");
        }
        let pairs: Vec<u64> = core.retractions().iter().flat_map(|&(by, of)| [by, of]).collect();
        assert_eq!(pairs, RETRACTIONS);
        let mut bytes = Vec::new();
        let size = core.save([0; 5], &mut bytes).expect("a Vec takes all") as usize;
        let rest = bytes.split_off(bytes.len() - size);
        let sought: Vec<u8> =
            [&[3], &RETRACTIONS[..]].concat().into_iter().flat_map(u64::to_le_bytes).collect();
        let places = || rest.windows(sought.len()).enumerate().filter(|(_, window)| *window == sought);
        assert_eq!(places().count(), 1, "the retractions stand at one place");
        let (list, _) = places().next().expect("there is one");
        let Steps { codes, first, second } = core.pending().expect("it keeps a record").steps;
        let (codes, first, second) = (codes.to_vec(), first.to_vec(), second.to_vec());
        Self { parts: [bytes, rest], list, codes, first, second }
    }

    /// Loads the checkpoint with these words in the place of its retractions, and a right checksum.
    fn forged(&self, words: &[u64]) -> std::io::Result<JournaledResolver> {
        let [texts, mut rest] = self.parts.clone();
        rest.truncate(rest.len() - 8);
        let end = self.list + 8 * (1 + RETRACTIONS.len());
        rest.splice(self.list..end, words.iter().flat_map(|word| word.to_le_bytes()));
        loaded([texts, with_checksum(rest)])
    }

    fn steps(&self) -> Steps<'_> {
        Steps { codes: &self.codes, first: &self.first, second: &self.second }
    }

    /// Asks everything of a resolver with forged retractions that walks along them.
    fn check_that_it_answers(&self, mut core: JournaledResolver) {
        for position in 0..core.position() {
            if let Ok(past) = core.without(&[position], [self.steps()]) {
                core.changes_to(&past);
            }
        }
        core.link(Kind::Merge, "a".into(), "h".into()).expect("there is room");
        assert!(core.ids().all(|id| core.members(id).contains(&core.canonical(id))));
    }
}

#[test]
fn forged_retractions_that_no_resolver_wrote_are_refused() {
    let checkpoint = Retracted::new();
    let whole = checkpoint.forged(&[&[3], &RETRACTIONS[..]].concat()).expect("nothing is forged");
    assert_eq!(whole.retractions(), [(6, 2), (7, 6), (8, 4)]);
    checkpoint.check_that_it_answers(whole);
    let none = "a retraction of it takes back no earlier position";
    for (what, words, expected) in [
        ("two take back each other", [3, 6, 7, 7, 6, 8, 4], none),
        ("one takes back itself", [3, 6, 2, 7, 7, 8, 4], none),
        ("one takes back a later link", [3, 2, 6, 7, 6, 8, 4], none),
        ("two stand at one position", [3, 6, 2, 6, 3, 8, 4], none),
        ("they are out of order", [3, 7, 6, 6, 2, 8, 4], none),
        ("one stands behind the last position", [3, 6, 2, 7, 6, 9, 4], none),
        ("one takes back a position beyond all", [3, 6, 2, 7, 6, 8, u64::MAX], none),
        ("there are more than bytes", [u64::MAX / 16, 6, 2, 7, 6, 8, 4], "it states more than it holds"),
        ("their bytes overflow", [u64::MAX, 6, 2, 7, 6, 8, 4], "it states more than it holds"),
    ] {
        let error = checkpoint.forged(&words).err().unwrap_or_else(|| panic!("{what}, and it is loaded"));
        assert!(error.to_string().contains(expected), "{what}: {error}");
    }
}

#[test]
fn forged_retractions_that_a_resolver_may_have_written_answer() {
    let checkpoint = Retracted::new();
    for words in [vec![0], vec![1, 8, 0], vec![3, 6, 2, 7, 6, 8, 6], vec![4, 5, 4, 6, 5, 7, 6, 8, 7]] {
        let core = checkpoint.forged(&words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
        assert_eq!(core.retractions().len() as u64, words[0]);
        checkpoint.check_that_it_answers(core);
    }
}

proptest! {
    #[test]
    fn forged_retractions_are_refused_or_answer(
        pairs in prop::collection::vec((0..10_u64, prop_oneof![9 => 0..10_u64, 1 => any::<u64>()]), 0..6)
    ) {
        let checkpoint = Retracted::new();
        let words: Vec<u64> = pairs.iter().flat_map(|&(by, of)| [by, of]).collect();
        if let Ok(core) = checkpoint.forged(&[&[pairs.len() as u64], &words[..]].concat()) {
            checkpoint.check_that_it_answers(core);
        }
    }
}
