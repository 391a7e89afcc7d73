//! Blocks of a journal, read back and damaged.

use std::collections::HashSet;

use idmerge_core::{JournaledResolver, Kind, Origin, Pending, Policy, Resolver, Strategy as Canonical};
use idmerge_events::journal_blocks::{StepBlock, TextBlock, write_fitting, write_texts};
use idmerge_events::origins::{Origins, append, later_than};
use proptest::prelude::*;

fn recorded() -> JournaledResolver {
    let mut resolver = JournaledResolver::new(Resolver::new(Policy::default(), Canonical::Stable));
    resolver.keep_record();
    let device = "5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11";
    for (first, second) in
        [(device, "user"), ("$device:5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a12", "é"), ("user", "é")]
    {
        resolver.link(Kind::Merge, first.into(), second.into()).expect("room");
    }
    resolver.observe("seen".into()).expect("room");
    let forgotten = resolver.get("user").expect("it is known");
    resolver.forget(forgotten).expect("there is memory");
    resolver
}

fn pending(resolver: &JournaledResolver) -> Pending<'_> {
    resolver.pending().expect("it keeps a record")
}

/// Returns a resolver that read blocks back.
fn restored(batches: &[(Vec<u8>, Vec<u8>)]) -> JournaledResolver {
    let mut resolver = JournaledResolver::new(Resolver::new(Policy::default(), Canonical::Stable));
    resolver.keep_record();
    for (texts, steps) in batches {
        let texts = TextBlock::read(texts).expect("whole");
        let steps = StepBlock::read(steps).expect("whole");
        let retracted = (&HashSet::new(), u64::MAX);
        resolver.restore(texts.iter(), steps.steps(), retracted, true).expect("whole");
    }
    resolver
}

fn clusters(resolver: &JournaledResolver) -> Vec<(String, String, u32)> {
    let text = |id| resolver.text(id).as_str().to_owned();
    resolver.mapping().map(|(id, name, size)| (text(id), text(name), size)).collect()
}

#[test]
fn a_resolver_is_the_same_after_reading_its_blocks_back() {
    let resolver = recorded();
    let (texts, steps, all) = write_fitting(&resolver, pending(&resolver), 1 << 20).expect("room");
    assert_eq!(all.steps.codes.len(), pending(&resolver).steps.codes.len());
    let again = restored(&[(texts, steps)]);
    assert_eq!(clusters(&again), clusters(&resolver));
    assert_eq!(again.position(), resolver.position());
}

#[test]
fn batches_of_little_room_hold_a_step_each_and_state_the_same() {
    let resolver = recorded();
    let (mut batches, mut step, mut id) = (Vec::new(), 0, 0);
    while step < pending(&resolver).steps.codes.len() {
        let all = pending(&resolver);
        let rest = all.part(step..all.steps.codes.len(), id..all.ids.end);
        let (texts, steps, part) = write_fitting(&resolver, rest, 1).expect("room");
        assert_eq!(part.steps.codes.len(), 1);
        (step, id) = (step + 1, part.ids.end);
        batches.push((texts, steps));
    }
    assert_eq!(clusters(&restored(&batches)), clusters(&resolver));
}

#[test]
fn a_block_of_the_other_kind_or_of_none_is_an_error() {
    let resolver = recorded();
    let (texts, steps, _) = write_fitting(&resolver, pending(&resolver), 1 << 20).expect("room");
    assert!(TextBlock::read(&steps).is_err() && StepBlock::read(&texts).is_err());
    for none in [b"".as_slice(), b"nonsense", &[0xff; 8], &texts[..texts.len() / 2]] {
        assert!(TextBlock::read(none).is_err() && StepBlock::read(none).is_err(), "{none:?}");
    }
    assert_eq!(StepBlock::empty().steps().codes.len(), 0);
    assert_eq!(
        TextBlock::read(&write_texts(&resolver, 0..0).expect("room")).expect("whole").iter().count(),
        0
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_block_is_read_or_an_error_and_never_a_panic(place in any::<usize>(), byte in any::<u8>()) {
        let resolver = recorded();
        let (texts, steps, _) = write_fitting(&resolver, pending(&resolver), 1 << 20).expect("room");
        for mut block in [texts, steps] {
            let place = place % block.len();
            block[place] = byte;
            if let Ok(texts) = TextBlock::read(&block) {
                prop_assert!(texts.iter().count() < 1 << 20);
            }
            if let Ok(steps) = StepBlock::read(&block) {
                prop_assert_eq!(steps.steps().codes.len(), steps.steps().second.len());
            }
        }
    }
}

/// Returns origins from the position `start` on; their gaps, times, sources and numbers vary.
fn origins(start: u64) -> impl Strategy<Value = Vec<Origin>> {
    let time = prop_oneof![any::<i64>(), (0..2_000_i64).prop_map(|second| second * 1000)];
    let one = (0..3_u64, prop::option::of(time), prop::option::of((0..3_u32, any::<u64>())));
    prop::collection::vec(one, 0..40).prop_map(move |all| {
        let mut next = start;
        let known = all.into_iter().filter(|(_, time, place)| time.is_some() || place.is_some());
        let origin = |(gap, time, place)| {
            let position = next + gap;
            next = position + 1;
            Origin { position, time, place }
        };
        known.map(origin).collect()
    })
}

proptest! {
    #[test]
    fn origins_are_read_as_they_were_written(all in origins(7)) {
        let resolver = recorded();
        let (_, mut block, _) = write_fitting(&resolver, pending(&resolver), 1 << 20).expect("room");
        let (bare, names) = (block.clone(), ["a", "ü", ""].map(Box::from));
        append(&mut block, 7, &all, &names);
        prop_assert_eq!(all.is_empty(), block == bare);
        let steps = |block: &[u8]| StepBlock::read(block).expect("whole").steps().codes.to_vec();
        prop_assert_eq!(steps(&block), steps(&bare));
        // A difference of times beyond 63 bits is none that a calendar has.
        if let Ok(read) = Origins::read(&block, 7) {
            let named = |place: Option<(u32, u64)>, names: &[String]| {
                place.map(|(source, number)| (names[source as usize].clone(), number))
            };
            let given = names.map(String::from);
            for (one, other) in all.iter().zip(&read.all) {
                prop_assert_eq!((one.position, one.time), (other.position, other.time));
                prop_assert_eq!(named(one.place, &given), named(other.place, &read.sources));
                prop_assert_eq!(read.of(one.position), Some(other));
            }
            prop_assert_eq!(all.len(), read.all.len());
        } else {
            prop_assert!(all.iter().any(|one| one.time.is_some_and(|time| time.unsigned_abs() > 1 << 61)));
        }
    }

    #[test]
    fn damaged_origins_are_read_or_refused(
        all in origins(0),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut block = Vec::new();
        append(&mut block, 0, &all, &["a", "b", "c"].map(Box::from));
        if !block.is_empty() {
            let place = place.index(block.len());
            block[place] = byte;
            block.truncate(1 + cut.index(block.len()));
        }
        let resolver = recorded();
        let (_, mut steps, _) = write_fitting(&resolver, pending(&resolver), 1 << 20).expect("room");
        let length = steps.len() + block.len();
        steps.append(&mut block);
        if let Ok(read) = Origins::read(&steps, 0) {
            prop_assert!(read.all.len() <= length);
        }
        let _ = later_than(&steps, 0, 0, true);
    }
}
