//! Blocks of a journal, read back and damaged.

use std::collections::HashSet;

use idmerge_core::{JournaledResolver, Kind, Pending, Policy, Resolver, Strategy as Canonical};
use idmerge_events::journal_blocks::{StepBlock, TextBlock, write_fitting, write_texts};
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
