//! Laws of the resolver: what holds for any policy, any strategy and any steps.

mod journal;
mod model;
mod stories;

use idmerge_core::{Act, Answer, Batch, Error, Id, Operand, Outcome, Resolver, Side, Step, Stopped};
use model::View;
use proptest::collection::vec;
use proptest::prelude::*;
use stories::{Story, long_stories, stories, take_each};

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn is_accepted(outcome: Option<Outcome>) -> bool {
    matches!(outcome, Some(Outcome::Merged | Outcome::Unchanged))
}

/// Takes steps in batches of these sizes, round and round, and returns the outcomes of the links.
fn take_in_batches(core: &mut Resolver, steps: &[Step], sizes: &[usize]) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut rest = steps;
    for &size in sizes.iter().cycle() {
        let (batch, after) = rest.split_at(size.min(rest.len()));
        core.take(batch.iter().copied(), &mut outcomes).expect("there is room");
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    outcomes
}

/// Takes steps in batches whose operands are columns: the first ones as they are, the second ones
/// by way of a dictionary.
fn take_columns(core: &mut Resolver, steps: &[Step], sizes: &[usize]) -> Vec<Outcome> {
    let (preparer, mut batch, mut outcomes) = (core.preparer(), Batch::default(), Vec::new());
    let columns = steps.iter().map(|&step| match step {
        Step::Link(kind, first, second) => (Act::Link(kind), first, second),
        Step::Observe(id) => (Act::Observe, id, Operand::Missing),
        Step::Evidence(id, sent) => (Act::Evidence, id, sent),
    });
    let (acts, (first, second)): (Vec<Act>, (Vec<Operand>, Vec<Operand>)) =
        columns.map(|(act, first, second)| (act, (first, second))).unzip();
    let mut values = Batch::default();
    values.prepare(Side::First, &preparer, second.iter().copied());
    let mut row = 0;
    for &size in sizes.iter().cycle() {
        let end = acts.len().min(row + size);
        batch.clear();
        batch.prepare(Side::First, &preparer, first[row..end].iter().copied());
        batch.copy(
            Side::Second,
            &values,
            (row..end).map(|row| (second[row] != Operand::Missing).then_some(row)),
        );
        assert_eq!(batch.state(acts[row..end].iter().copied()), end - row);
        core.take_batch(&mut batch, &mut outcomes).expect("there is room");
        check_what_was_observed(core, &batch, &steps[row..end]);
        row = end;
        if row == acts.len() {
            break;
        }
    }
    outcomes
}

/// A batch that was taken holds which IDs its ordinary events are of, and these are named as one by
/// one.
fn check_what_was_observed(core: &Resolver, batch: &Batch, steps: &[Step]) {
    let observed: Vec<Option<Id>> = batch.observed().collect();
    let expected = steps.iter().map(|step| match step {
        Step::Observe(Operand::Text(text)) | Step::Evidence(Operand::Text(text), _) => core.get(text),
        _ => None,
    });
    assert_eq!(observed, expected.collect::<Vec<_>>());
    let ids: Vec<Id> = observed.into_iter().flatten().collect();
    let mut named = Vec::new();
    core.resolve_ids(&ids, |text| named.push(text.as_str().to_owned()));
    let one_by_one = ids.iter().map(|&id| core.text(core.canonical(id)).as_str().to_owned());
    assert_eq!(named, one_by_one.collect::<Vec<_>>());
}

/// Takes steps in batches of these sizes; while one is taken, another thread looks ahead for the
/// next, with a prefetcher that is some batches old.
fn take_prefetched(
    core: &mut Resolver,
    steps: &[Step],
    sizes: &[usize],
    age: usize,
) -> (Result<(), Stopped>, Vec<Outcome>) {
    let (preparer, mut outcomes, mut prefetchers) = (core.preparer(), Vec::new(), vec![core.prefetcher()]);
    let (mut rest, mut sizes) = (steps, sizes.iter().cycle());
    let mut next_batch = || {
        let size = rest.len().min(*sizes.next().expect("round and round"));
        let mut batch = Batch::default();
        for &step in &rest[..size] {
            batch.push(&preparer, step);
        }
        rest = &rest[size..];
        batch
    };
    let (mut batch, mut taken) = (next_batch(), 0);
    while !batch.is_empty() {
        let mut next = next_batch();
        let prefetcher = &prefetchers[prefetchers.len().saturating_sub(age + 1)];
        let result = std::thread::scope(|scope| {
            scope.spawn(|| prefetcher.prefetch(&mut next));
            core.take_batch(&mut batch, &mut outcomes)
        });
        if let Err(stopped) = result {
            return (Err(Stopped { taken: taken + stopped.taken, ..stopped }), outcomes);
        }
        taken += batch.rows(Side::First);
        prefetchers.push(core.prefetcher());
        batch = next;
    }
    (Ok(()), outcomes)
}

/// Takes steps in batches of these sizes, each step with a sender, and returns the texts of their
/// canonical IDs before the steps.
fn take_sent(core: &mut Resolver, steps: &[(Step, Option<&str>)], sizes: &[usize]) -> Vec<Option<String>> {
    let (preparer, mut outcomes, mut known) = (core.preparer(), Vec::new(), Vec::new());
    let (mut rest, mut batch) = (steps, Batch::default());
    for &size in sizes.iter().cycle() {
        let (now, after) = rest.split_at(size.min(rest.len()));
        batch.clear();
        for &(step, sender) in now {
            batch.push_sent(&preparer, step, sender);
        }
        core.take_batch(&mut batch, &mut outcomes).expect("there is room");
        let own = now.iter().map(|&(step, sender)| sender_of(step, sender).map(str::to_owned));
        known.extend(batch.senders().zip(own).map(|(canonical, own)| {
            canonical.map(|canonical| core.text(canonical).as_str().to_owned()).or(own)
        }));
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    known
}

/// Returns the sender of a step: an ordinary event's own ID, or the one that was given.
fn sender_of<'a>(step: Step<'a>, given: Option<&'a str>) -> Option<&'a str> {
    match step {
        Step::Link(..) => given,
        Step::Observe(Operand::Text(text)) | Step::Evidence(Operand::Text(text), _) => Some(text),
        Step::Observe(_) | Step::Evidence(..) => None,
    }
}

fn texts<'a>(steps: &[Step<'a>]) -> Vec<&'a str> {
    let operands = |step: &Step<'a>| match *step {
        Step::Link(_, first, second) | Step::Evidence(first, second) => vec![first, second],
        Step::Observe(id) => vec![id],
    };
    let text = |operand| if let Operand::Text(text) = operand { Some(text) } else { None };
    steps.iter().flat_map(operands).filter_map(text).collect()
}

fn check_that_counts_agree(core: &Resolver) -> Result<(), TestCaseError> {
    let ids: Vec<Id> = core.ids().collect();
    prop_assert_eq!((core.len(), core.is_empty()), (ids.len(), ids.is_empty()));
    for &id in &ids {
        let (members, canonical) = (core.members(id), core.canonical(id));
        prop_assert_eq!(core.get(core.text(id).as_str()), Some(id));
        prop_assert_eq!(members.len(), core.size(id) as usize);
        prop_assert!(members.contains(&canonical));
        prop_assert_eq!(core.canonical(canonical), canonical);
        prop_assert_eq!(core.other_canonical(id), (canonical != id).then_some(canonical));
        for &other in &ids {
            prop_assert_eq!(core.same(id, other), members.contains(&other));
            prop_assert_eq!(core.same(id, other), core.canonical(other) == canonical);
        }
    }
    let sizes: Vec<u32> = core.cluster_sizes().collect();
    let mut names: Vec<Id> = ids.iter().map(|&id| core.canonical(id)).collect();
    names.sort_unstable();
    names.dedup();
    prop_assert_eq!((sizes.len(), core.cluster_count()), (names.len(), names.len()));
    prop_assert_eq!(sizes.iter().sum::<u32>() as usize, ids.len());
    let mut sizes_by_name: Vec<u32> = names.iter().map(|&name| core.size(name)).collect();
    let mut sizes = sizes;
    sizes.sort_unstable();
    sizes_by_name.sort_unstable();
    prop_assert_eq!(sizes, sizes_by_name);
    Ok(())
}

fn check_that_a_batch_stops(story: &Story, limit: u32) -> Result<(), TestCaseError> {
    let (mut core, mut model) = (story.core_with_id_limit(limit), story.model());
    let steps = story.steps();
    let (mut expected, mut stop) = (Vec::new(), Ok(()));
    for (taken, &step) in steps.iter().enumerate() {
        let mut after = model.clone();
        let outcome = after.take(step);
        if after.len() > limit as usize {
            stop = Err(Stopped { taken, error: Error::TooManyIds { limit } });
            break;
        }
        expected.extend(outcome);
        model = after;
    }
    let mut outcomes = Vec::new();
    prop_assert_eq!(core.take(steps, &mut outcomes), stop);
    prop_assert_eq!(&outcomes, &expected);
    prop_assert_eq!(View::of(&core), model.view());
    prop_assert_eq!(core.outcomes().iter().sum::<u64>(), expected.len() as u64);
    Ok(())
}

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn the_core_answers_as_the_model(story in stories()) {
        let (mut core, mut model) = (story.core(), story.model());
        for step in story.steps() {
            prop_assert_eq!(take_each(&mut core, &[step]), [model.take(step)], "{:?}", step);
            prop_assert_eq!(View::of(&core), model.view());
            prop_assert_eq!(core.differing(), model.differing());
        }
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn batches_of_any_sizes_answer_as_link_by_link(story in stories(), sizes in vec(1..20_usize, 1..9)) {
        let (mut each, mut batched) = (story.core(), story.core());
        let steps = story.steps();
        let outcomes: Vec<Outcome> = take_each(&mut each, &steps).into_iter().flatten().collect();
        prop_assert_eq!(take_in_batches(&mut batched, &steps, &sizes), outcomes);
        prop_assert_eq!(View::of(&batched), View::of(&each));
        prop_assert_eq!(batched.outcomes(), each.outcomes());
    }

    #[test]
    fn columns_answer_as_link_by_link(story in stories(), sizes in vec(1..20_usize, 1..9)) {
        let (mut each, mut batched) = (story.core(), story.core());
        let steps = story.steps();
        let expected: Vec<Outcome> = take_each(&mut each, &steps).into_iter().flatten().collect();
        prop_assert_eq!(take_columns(&mut batched, &steps, &sizes), expected);
        prop_assert_eq!(View::of(&batched), View::of(&each));
    }

    #[test]
    fn senders_are_named_as_each_was_before_its_own_step(
        story in stories(),
        sizes in vec(1..200_usize, 1..9),
        senders in vec(0..40_usize, 60),
    ) {
        let (mut each, mut batched) = (story.core(), story.core());
        let (steps, mut expected) = (story.steps(), Vec::new());
        let texts = texts(&steps);
        let given = senders.iter().map(|&place| texts.get(place).copied()).cycle();
        let steps: Vec<(Step, Option<&str>)> = steps.into_iter().zip(given).collect();
        for &(step, sender) in &steps {
            let name = |text| each.get(text).map(|id| each.text(each.canonical(id)).as_str().to_owned());
            expected.push(sender_of(step, sender).map(|own| name(own).unwrap_or_else(|| own.to_owned())));
            take_each(&mut each, &[step]);
        }
        prop_assert_eq!(take_sent(&mut batched, &steps, &sizes), expected);
        prop_assert_eq!(View::of(&batched), View::of(&each));
    }

    #[test]
    fn outcomes_are_counted(story in stories()) {
        let mut core = story.core();
        let outcomes = take_each(&mut core, &story.steps());
        for number in 0..Outcome::COUNT {
            let of_it = outcomes.iter().flatten().filter(|&&outcome| outcome as usize == number);
            prop_assert_eq!(core.outcomes()[number], of_it.count() as u64);
        }
    }

    #[test]
    fn a_rejected_link_makes_its_ids_known_and_changes_nothing_else(story in stories()) {
        let (mut core, mut without) = (story.core(), story.core());
        let steps = story.steps();
        for (&step, outcome) in steps.iter().zip(take_each(&mut core, &steps)) {
            let Step::Link(_, first, second) = step else {
                take_each(&mut without, &[step]);
                continue;
            };
            match outcome {
                Some(Outcome::Malformed | Outcome::InvalidId | Outcome::VerbNotAllowed) => (),
                Some(Outcome::Merged | Outcome::Unchanged) => {
                    prop_assert_eq!(take_each(&mut without, &[step]), [outcome]);
                }
                _ => _ = take_each(&mut without, &[Step::Observe(first), Step::Observe(second)]),
            }
        }
        prop_assert_eq!(View::of(&core), View::of(&without));
    }

    #[test]
    fn accepted_links_taken_again_are_unchanged_and_change_nothing(story in stories(), cut in 0..60_usize) {
        let (mut once, mut twice) = (story.core(), story.core());
        let steps = story.steps_without_names();
        let (before, after) = steps.split_at(cut.min(steps.len()));
        let outcomes = take_each(&mut once, before);
        take_each(&mut twice, before);
        let accepted = before.iter().zip(outcomes).filter(|&(_, outcome)| is_accepted(outcome));
        for (&step, _) in accepted {
            prop_assert_eq!(take_each(&mut twice, &[step]), [Some(Outcome::Unchanged)]);
        }
        prop_assert_eq!(View::of(&twice), View::of(&once));
        prop_assert_eq!(take_each(&mut twice, after), take_each(&mut once, after), "no new claims either");
        prop_assert_eq!(View::of(&twice), View::of(&once));
    }

    /// A link rejected at first may come out unchanged: others have joined its IDs since. Then its
    /// claims are recorded, so the clusters are as before, and what was claimed need not be.
    #[test]
    fn a_log_taken_again_merges_nothing_and_a_third_time_changes_nothing(story in stories()) {
        let mut core = story.core();
        let steps = story.steps_without_names();
        let first_time = take_each(&mut core, &steps);
        let once = View::of(&core);
        let second_time = take_each(&mut core, &steps);
        let twice = View::of(&core);
        prop_assert!(!second_time.contains(&Some(Outcome::Merged)));
        for (first, second) in first_time.into_iter().zip(&second_time) {
            prop_assert!(*second == Some(Outcome::Unchanged) || !is_accepted(first));
        }
        prop_assert_eq!((&once.texts, &once.members), (&twice.texts, &twice.members));
        take_each(&mut core, &steps);
        prop_assert_eq!(View::of(&core), twice);
    }

    #[test]
    fn prefetching_changes_no_answer(story in long_stories(120), sizes in vec(1..90_usize, 1..4), age in 0..4_usize) {
        let (mut one, mut other) = (story.core(), story.core());
        let expected = take_in_batches(&mut one, &story.steps(), &[usize::MAX]);
        prop_assert_eq!(take_prefetched(&mut other, &story.steps(), &sizes, age), (Ok(()), expected));
        prop_assert_eq!(View::of(&other), View::of(&one));
        prop_assert_eq!(other.outcomes(), one.outcomes());
    }

    #[test]
    fn prefetching_stops_where_searching_does(story in stories(), sizes in vec(1..4_usize, 1..4), limit in 0..7_u32) {
        let (mut one, mut other) = (story.core_with_id_limit(limit), story.core_with_id_limit(limit));
        let mut expected = Vec::new();
        let result = one.take(story.steps(), &mut expected);
        prop_assert_eq!(take_prefetched(&mut other, &story.steps(), &sizes, 1), (result, expected));
        prop_assert_eq!(View::of(&other), View::of(&one));
    }

    #[test]
    fn clusters_keep_to_the_limit_and_all_counts_agree(story in stories()) {
        let (mut core, mut limited) = (story.core(), story.core());
        take_each(&mut core, &story.steps());
        check_that_counts_agree(&core)?;
        take_each(&mut limited, &story.steps_without_names());
        let limit = story.rules.max_cluster_size;
        prop_assert!(limited.cluster_sizes().all(|size| limit.is_none_or(|limit| size <= limit)));
    }

    #[test]
    fn two_resolvers_agree_though_each_hashes_by_a_seed_of_its_own(story in stories()) {
        let (mut one, mut other) = (story.core(), story.core());
        prop_assert_eq!(take_each(&mut one, &story.steps()), take_each(&mut other, &story.steps()));
        prop_assert_eq!(View::of(&one), View::of(&other));
    }

    #[test]
    fn a_step_that_needs_more_ids_than_the_limit_fails_and_changes_nothing(story in stories(), limit in 0..7_u32) {
        let (mut core, mut model) = (story.core_with_id_limit(limit), story.model());
        for step in story.steps() {
            let mut after = model.clone();
            let expected = after.take(step);
            let answer = match step {
                Step::Link(kind, first, second) => core.link(kind, first, second).map(Some),
                Step::Observe(id) => core.observe(id).map(|()| None),
                Step::Evidence(id, sent) => core.observe_evidence(id, sent).map(|()| None),
            };
            if after.len() > limit as usize {
                prop_assert_eq!(answer, Err(Error::TooManyIds { limit }), "{:?}", step);
            } else {
                prop_assert_eq!(answer, Ok(expected), "{:?}", step);
                model = after;
            }
            prop_assert_eq!(View::of(&core), model.view());
        }
    }

    #[test]
    fn a_batch_stops_at_the_first_step_that_needs_more_ids(story in stories(), limit in 0..7_u32) {
        check_that_a_batch_stops(&story, limit)?;
    }

    #[test]
    fn looking_up_many_answers_as_one_by_one(story in stories(), known in 0..60_usize) {
        let mut core = story.core();
        let steps = story.steps();
        take_each(&mut core, &steps[..known.min(steps.len())]);
        let sought: Vec<&str> = texts(&steps).into_iter().chain(["", "nobody", "nobody of sixteen bytes"]).collect();
        let mut batch = Batch::default();
        batch.prepare_lookups(&core.preparer(), sought.iter().map(|&text| text.into()));
        batch.prepare_lookups(&core.preparer(), [Operand::Missing, Operand::NotUnicode].into_iter());
        let mut found = Vec::new();
        core.resolve_batch(&mut batch, |answer| found.push(match answer {
            Answer::Missing => None,
            Answer::Exceeded(error) => panic!("a short text is held: {error}"),
            Answer::Itself(text) => Some((text.as_str().to_owned(), true)),
            Answer::Other(text) => Some((text.as_str().to_owned(), false)),
        }));
        let expected = sought.iter().map(|&text| {
            let other = core.get(text).and_then(|id| core.other_canonical(id));
            let name = other.map_or(text.to_owned(), |id| core.text(id).as_str().to_owned());
            Some((name, other.is_none()))
        });
        prop_assert_eq!(found, expected.chain([None, None]).collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(cases(8))]

    #[test]
    fn a_batch_of_many_groups_and_ids_answers_as_the_model(story in long_stories(1200)) {
        let (mut core, mut model) = (story.core(), story.model());
        let steps = story.steps();
        let expected: Vec<Outcome> = steps.iter().filter_map(|&step| model.take(step)).collect();
        prop_assert_eq!(take_in_batches(&mut core, &steps, &[steps.len()]), expected);
        prop_assert!(model.len() > 1000);
        prop_assert!(View::of(&core) == model.view(), "the views differ");
    }

    #[test]
    fn a_batch_of_many_groups_stops_at_the_first_step_that_needs_more_ids(
        story in long_stories(300),
        limit in 0..320_u32,
    ) {
        check_that_a_batch_stops(&story, limit)?;
    }
}
