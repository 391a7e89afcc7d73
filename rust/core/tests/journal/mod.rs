//! Laws of what lasts: a resolver is what was recorded of it, whichever way it comes back.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

use idmerge_core::{Id, JournaledResolver, Outcome, Part, Resolver, Step, Steps, StoredText};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::cases;
use crate::stories::{Story, long_stories, stories, take_each};

/// A batch of a journal, as a caller keeps it.
#[derive(Debug, Clone, Default)]
struct Kept {
    texts: Vec<Owned>,
    codes: Vec<u8>,
    first: Vec<u32>,
    second: Vec<u32>,
}

#[derive(Debug, Clone)]
enum Owned {
    Uuid([u8; 16]),
    DeviceUuid([u8; 16]),
    Text(String),
    Forgotten(bool),
}

impl Kept {
    /// Takes what is pending.
    fn from(core: &mut JournaledResolver) -> Self {
        static BATCH: AtomicU64 = AtomicU64::new(0);
        let pending = core.pending().expect("it keeps a record");
        let (ids, Steps { codes, first, second }) = (pending.ids.clone(), pending.steps);
        let kept = Self {
            texts: ids.clone().map(|number| core.store(Id::new(number), Owned::of)).collect(),
            codes: codes.to_vec(),
            first: first.to_vec(),
            second: second.to_vec(),
        };
        let batch = BATCH.fetch_add(1, Ordering::Relaxed);
        for _ in 0..2 {
            core.written(batch, kept.codes.len(), ids.end);
        }
        kept
    }

    fn steps(&self) -> Steps<'_> {
        Steps { codes: &self.codes, first: &self.first, second: &self.second }
    }

    fn texts(&self) -> impl Iterator<Item = StoredText<'_>> {
        self.texts.iter().map(|text| match text {
            Owned::Uuid(bytes) => StoredText::Uuid(*bytes),
            Owned::DeviceUuid(bytes) => StoredText::DeviceUuid(*bytes),
            Owned::Text(text) => StoredText::Text(text),
            Owned::Forgotten(anonymous) => StoredText::Forgotten { anonymous: *anonymous },
        })
    }
}

impl Owned {
    fn of(stored: StoredText) -> Self {
        match stored {
            StoredText::Uuid(bytes) => Self::Uuid(bytes),
            StoredText::DeviceUuid(bytes) => Self::DeviceUuid(bytes),
            StoredText::Text(text) => Self::Text(text.to_owned()),
            StoredText::Forgotten { anonymous } => Self::Forgotten(anonymous),
        }
    }
}

/// Each known ID with its canonical ID and its cluster, by texts, in the order in which they became
/// known; the outcomes; and the number of verdicts that differ.
type Known = (Vec<(String, String, Vec<String>)>, [u64; Outcome::COUNT], u64);

fn known(core: &Resolver) -> Known {
    let text = |id| core.text(id).as_str().to_owned();
    let row = |id| {
        let members = core.members(id).into_iter().map(text).collect();
        (text(id), text(core.canonical(id)), members)
    };
    (core.ids().map(row).collect(), core.outcomes(), core.differing())
}

fn recording(story: &Story) -> JournaledResolver {
    let mut core = JournaledResolver::new(story.core());
    core.keep_record();
    core
}

/// Takes steps and commits after each of these numbers of them, round and round.
fn kept(core: &mut JournaledResolver, steps: &[Step], sizes: &[usize]) -> Vec<Kept> {
    let mut journal = Vec::new();
    let mut rest = steps;
    for &size in sizes.iter().cycle() {
        let (now, later) = rest.split_at(size.min(rest.len()));
        take_each(core, now);
        journal.push(Kept::from(core));
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    journal
}

fn restored(story: &Story, journal: &[Kept], until: u64) -> JournaledResolver {
    let mut core = recording(story);
    let nothing = HashSet::new();
    for kept in journal {
        let goes_on = core.restore(kept.texts(), kept.steps(), (&nothing, until), true);
        if !goes_on.expect("nothing is damaged") {
            core.end_restoring();
            break;
        }
    }
    core
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn what_is_recorded_restores_the_resolver(story in stories(), sizes in vec(1..20_usize, 1..5)) {
        let mut core = recording(&story);
        let journal = kept(&mut core, &story.steps(), &sizes);
        let mut again = restored(&story, &journal, u64::MAX);
        prop_assert_eq!(known(&again), known(&core));
        prop_assert_eq!(again.position(), core.position());
        // It goes on as the other one does.
        let outcomes = take_each(&mut core, &story.steps());
        prop_assert_eq!(take_each(&mut again, &story.steps()), outcomes);
        prop_assert_eq!(known(&again), known(&core));
    }

    #[test]
    fn a_link_that_is_taken_back_was_never_sent(
        story in stories(), which in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>()
    ) {
        let steps = story.steps();
        let links: Vec<usize> =
            (0..steps.len()).filter(|&at| story.has_position(steps[at])).collect();
        prop_assume!(!links.is_empty());
        let (position, cut) = (which.index(links.len()), cut.index(steps.len() + 1));
        let mut core = recording(&story);
        take_each(&mut core, &steps[..cut]);
        let journal = [Kept::from(&mut core)];
        take_each(&mut core, &steps[cut..]);  // Still pending.
        let without = core.without(&[position as u64], journal.iter().map(Kept::steps));
        core.retract(&[position as u64], without.expect("it is there")).expect("there is memory");

        let mut never = story.core();
        let mut rest = steps.clone();
        match rest[links[position]] {
            Step::Evidence(id, _) => rest[links[position]] = Step::Observe(id),
            _ => _ = rest.remove(links[position]),
        }
        take_each(&mut never, &rest);
        prop_assert_eq!(known(&core), known(&never));

        // Taking back the retraction restores.
        let again = core.without(&[links.len() as u64], journal.iter().map(Kept::steps));
        core.retract(&[links.len() as u64], again.expect("it is there")).expect("there is memory");
        let mut sent = story.core();
        take_each(&mut sent, &steps);
        prop_assert_eq!(known(&core), known(&sent));
    }

    #[test]
    fn reading_back_can_end_anywhere(story in stories(), end in 0..60_u64) {
        let mut core = recording(&story);
        let steps = story.steps();
        let journal = kept(&mut core, &steps, &[7]);
        let then = restored(&story, &journal, end);
        let mut links = 0;
        let before = steps.iter().take_while(|step| {
            links += u64::from(story.has_position(**step));
            links <= end
        });
        let mut expected = story.core();
        take_each(&mut expected, &before.copied().collect::<Vec<_>>());
        prop_assert_eq!(known(&then), known(&expected));
    }

    #[test]
    fn no_damage_makes_it_panic(
        story in stories(), what in any::<prop::sample::Index>(), code: u8, number in 0..12_u32, side in 0..3
    ) {
        let mut core = recording(&story);
        take_each(&mut core, &story.steps());
        let mut journal = Kept::from(&mut core);
        prop_assume!(!journal.codes.is_empty());
        let step = what.index(journal.codes.len());
        match side {
            0 => journal.codes[step] = code,
            1 => journal.first[step] = number,
            _ => journal.second[step] = number,
        }
        let mut again = recording(&story);
        // Either it is seen, or what was written is something that a resolver may have written.
        let nothing = HashSet::new();
        if again.restore(journal.texts(), journal.steps(), (&nothing, u64::MAX), true).is_ok() {
            prop_assert!(again.ids().all(|id| again.members(id).contains(&again.canonical(id))));
        }
    }
}

fn loaded(
    story: &Story,
    bytes: &[u8],
    second: u64,
    keeps_history: bool,
) -> std::io::Result<JournaledResolver> {
    let mut empty = recording(story);
    if keeps_history {
        empty.keep_history();
    }
    let first = bytes.len() as u64 - second;
    let (mut texts, mut rest) = bytes.split_at(first as usize);
    let parts: [Part; 2] = [(&mut texts, first), (&mut rest, second)];
    empty.loaded(parts, |moment| moment == [1, 2, 3, 4, 5])
}

fn retract(core: &mut JournaledResolver, journal: &[Kept], position: u64) {
    let without = core.without(&[position], journal.iter().map(Kept::steps));
    core.retract(&[position], without.expect("it is there")).expect("there is memory");
}

fn check_that_it_is_saved_and_loaded(story: &Story, keeps_history: bool) -> Result<(), TestCaseError> {
    let mut core = recording(story);
    if keeps_history {
        core.keep_history();
    }
    take_each(&mut core, &story.steps());
    let mut journal = vec![Kept::from(&mut core)];
    let links = core.position();
    if links > 0 {
        retract(&mut core, &journal, links / 2);
        journal.push(Kept::from(&mut core));
    }
    let mut bytes = Vec::new();
    let second = core.save([1, 2, 3, 4, 5], &mut bytes).expect("a Vec takes all");
    let mut again = loaded(story, &bytes, second, keeps_history).expect("it is whole");
    prop_assert_eq!(known(&again), known(&core));
    prop_assert_eq!(again.position(), core.position());
    prop_assert_eq!(again.retractions(), core.retractions());
    for id in core.ids() {
        prop_assert_eq!(again.built(id), core.built(id));
    }
    if links > 0 {
        // Taking back the retraction restores.
        for core in [&mut again, &mut core] {
            retract(core, &journal, links);
        }
        let mut sent = story.core();
        take_each(&mut sent, &story.steps());
        prop_assert_eq!(known(&again), known(&sent));
        prop_assert_eq!(again.retractions(), core.retractions());
    }
    let outcomes = take_each(&mut core, &story.steps());
    prop_assert_eq!(take_each(&mut again, &story.steps()), outcomes);
    prop_assert_eq!(known(&again), known(&core));
    Ok(())
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn a_checkpoint_is_the_resolver(story in stories(), history: bool) {
        check_that_it_is_saved_and_loaded(&story, history)?;
    }

    #[test]
    fn no_byte_of_a_checkpoint_can_be_another(
        story in stories(), at in any::<prop::sample::Index>(), flip in 1..=u8::MAX
    ) {
        let mut core = recording(&story);
        take_each(&mut core, &story.steps());
        let mut bytes = Vec::new();
        let second = core.save([1, 2, 3, 4, 5], &mut bytes).expect("a Vec takes all");
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(loaded(&story, &bytes, second, false).is_err());
    }
}

proptest! {
    #![proptest_config(cases(2))]

    #[test]
    fn a_large_checkpoint_is_the_resolver(story in long_stories(8_000)) {
        check_that_it_is_saved_and_loaded(&story, true)?;
    }
}
