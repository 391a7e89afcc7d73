//! The core's kernels, each in a function of its own, for a program that counts instructions.
//!
//! ```sh
//! # Builds this, counts, and compares with the recorded figures.
//! python -m benches.reports.instructions
//! # Runs one kernel once and prints how many units it handled.
//! instructions KERNEL IDS
//! ```
//!
//! The input of a kernel is made before it and its answer is checked after it, so that a count
//! between its first and its last instruction counts the kernel alone. Kernels are never inlined
//! and have `kernel` in their names, which is how they are found. Without arguments each runs on a
//! few IDs.

use std::hint::black_box;
use std::ops::Range;

use idmerge_core::{Act, Answer, Batch, Kind, Outcome, Policy, Preparer, Resolver, Side, Strategy};
use workload::Workload;

mod workload;

const FEW: usize = 1000;

/// A kernel, its name, and how many units it handles of these links.
type Kernel = (&'static str, fn(&Workload) -> usize);

const KERNELS: [Kernel; 4] = [
    ("receive", operands_received),
    ("settle", links_settled),
    ("ask", questions_asked),
    ("resolve", look_ups),
];

/// Prepares the operands of links: checks, packs and hashes them.
#[inline(never)]
fn kernel_receive(links: &Workload, preparer: &Preparer, batch: &mut Batch) {
    for rows in Workload::pieces(links.kinds.len()) {
        batch.clear();
        links.prepare(preparer, batch, rows);
    }
}

/// Settles prepared links in a resolver that knows none of their IDs.
#[inline(never)]
fn kernel_settle(resolver: &mut Resolver, batches: &mut [Batch], outcomes: &mut Vec<Outcome>) {
    for batch in batches {
        resolver.take_batch(batch, outcomes).expect("there is room for all IDs");
    }
}

/// Prepares texts to look up: packs and hashes them.
#[inline(never)]
fn kernel_ask(links: &Workload, preparer: &Preparer, batch: &mut Batch) {
    for rows in Workload::pieces(links.ids.len()) {
        links.ask(preparer, batch, rows);
    }
}

/// Looks up prepared texts of known IDs and counts those that are canonical themselves.
#[inline(never)]
fn kernel_resolve(resolver: &Resolver, batches: &mut [Batch]) -> usize {
    let mut themselves = 0;
    for batch in batches {
        resolver.resolve_batch(batch, |answer| {
            themselves += usize::from(matches!(black_box(answer), Answer::Itself(_)));
        });
    }
    themselves
}

fn operands_received(links: &Workload) -> usize {
    let (mut resolver, mut batch, mut outcomes) = (empty(), Batch::default(), Vec::new());
    kernel_receive(links, &resolver.preparer(), &mut batch);
    let last = batch.state(std::iter::repeat(Act::Link(Kind::Merge)));
    resolver.take_batch(&mut batch, &mut outcomes).expect("there is room for all IDs");
    let settled = |outcome| matches!(outcome, Outcome::Merged | Outcome::Unchanged);
    assert!(last > 0 && outcomes.len() == last && outcomes.into_iter().all(settled));
    2 * links.kinds.len()
}

fn links_settled(links: &Workload) -> usize {
    linked(links);
    links.kinds.len()
}

fn questions_asked(links: &Workload) -> usize {
    let (resolver, mut batch) = (empty(), Batch::default());
    kernel_ask(links, &resolver.preparer(), &mut batch);
    let last = batch.rows(Side::First);
    assert!(last > 0 && kernel_resolve(&resolver, &mut [batch]) == last, "an unknown ID stands for itself");
    links.ids.len()
}

fn look_ups(links: &Workload) -> usize {
    let (resolver, count) = (linked(links), links.ids.len());
    let mut batches = batches(count, |batch, rows| links.ask(&resolver.preparer(), batch, rows));
    assert_eq!(kernel_resolve(&resolver, &mut batches), links.users, "one ID of each cluster names it");
    count
}

fn empty() -> Resolver {
    Resolver::new(Policy::default(), Strategy::Stable)
}

/// Returns a resolver that has taken the links, all of them prepared before the first is settled.
fn linked(links: &Workload) -> Resolver {
    let (mut resolver, mut outcomes) = (empty(), Vec::with_capacity(links.kinds.len()));
    let preparer = resolver.preparer();
    let mut batches = batches(links.kinds.len(), |batch, rows| links.fill(&preparer, batch, rows));
    kernel_settle(&mut resolver, &mut batches, &mut outcomes);
    links.check(&outcomes);
    resolver
}

fn batches(count: usize, mut fill: impl FnMut(&mut Batch, Range<usize>)) -> Vec<Batch> {
    let filled = |rows| {
        let mut batch = Batch::default();
        fill(&mut batch, rows);
        batch
    };
    Workload::pieces(count).map(filled).collect()
}

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let chosen = arguments.first().map(String::as_str);
    let ids = arguments.get(1).map_or(FEW, |ids| ids.parse().expect("IDS is a number"));
    let links = Workload::new(ids);
    let known = KERNELS.into_iter().filter(|(name, _)| chosen.is_none_or(|chosen| chosen == *name));
    for (name, run) in known {
        println!("{name} {}", run(&links));
    }
}
