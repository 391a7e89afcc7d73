//! Blocks of a journal: whatever they hold, they are read or refused, and a resolver takes or
//! refuses them.

#![no_main]

use std::collections::HashSet;
use std::sync::Once;

use idmerge_core::{JournaledResolver, Policy, Resolver, Strategy};
use idmerge_events::journal_blocks::{StepBlock, TextBlock};
use idmerge_events::origins::{Origins, later_than};
use libfuzzer_sys::fuzz_target;

/// libFuzzer ends at every panic, but those of Arrow's reader are met where it is called. Any other
/// one gets out of the target, and that ends it as well.
static QUIET: Once = Once::new();

fuzz_target!(|bytes: &[u8]| {
    QUIET.call_once(|| std::panic::set_hook(Box::new(|panic| eprintln!("{panic}"))));
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return };
    let middle = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let (texts, steps) = rest.split_at(middle);
    if let Ok(origins) = Origins::read(steps, 0) {
        assert!(origins.all.len() <= steps.len());
    }
    let _ = later_than(steps, 0, 0, true);
    let (Ok(texts), Ok(steps)) = (TextBlock::read(texts), StepBlock::read(steps)) else { return };
    let mut resolver = JournaledResolver::new(Resolver::new(Policy::default(), Strategy::Stable));
    resolver.keep_record();
    let retracted = (&HashSet::new(), u64::MAX);
    if resolver.restore(texts.iter(), steps.steps(), retracted, true).is_ok() {
        assert!(resolver.mapping().count() == resolver.len());
    }
});
