//! Times of links, look-ups and preparation in the core, without the interpreter.
//!
//! ```sh
//! cargo bench -p idmerge-core --bench resolver   # 10⁵ and 10⁶ IDs; `-- links/new` chooses
//! cargo test -p idmerge-core --bench resolver    # a thousand IDs, once: the answers are right
//! ```
//!
//! One thread. *Links* are whole: prepared and settled, a batch at a time, as the binding does
//! where there is one processor. Rates count prepared operands, and else links or look-ups. Every
//! answer is checked before it is timed.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput};
use criterion::{criterion_group, criterion_main, measurement::WallTime};
use idmerge_core::{Answer, Batch, Outcome, Policy, Preparer, Resolver, Side, Strategy};
use workload::Workload;

mod workload;

const SIZES: [usize; 2] = [100_000, 1_000_000];
const FEW: [usize; 1] = [1000];

/// Returns how many IDs there are: few where nothing is timed.
fn sizes() -> &'static [usize] {
    if std::env::args().any(|argument| argument == "--bench") { &SIZES } else { &FEW }
}

fn empty() -> Resolver {
    Resolver::new(Policy::default(), Strategy::Stable)
}

/// Takes all links, batch by batch.
fn link(resolver: &mut Resolver, links: &Workload, outcomes: &mut Vec<Outcome>) {
    let (preparer, mut batch) = (resolver.preparer(), Batch::default());
    outcomes.clear();
    for rows in Workload::pieces(links.kinds.len()) {
        links.fill(&preparer, &mut batch, rows);
        resolver.take_batch(&mut batch, outcomes).expect("there is room for all IDs");
    }
}

/// Takes all links, one by one.
fn link_each(resolver: &mut Resolver, links: &Workload, mut each: impl FnMut(Outcome)) {
    let rows = 0..links.kinds.len();
    let operands = links.first.operands(rows.clone()).zip(links.second.operands(rows));
    for (&kind, (first, second)) in links.kinds.iter().zip(operands) {
        each(resolver.link(kind, first, second).expect("there is room for all IDs"));
    }
}

/// Looks up every ID, batch by batch, and returns how many name their cluster themselves.
fn look_up(resolver: &Resolver, links: &Workload) -> usize {
    let (preparer, mut batch, mut themselves) = (resolver.preparer(), Batch::default(), 0);
    for rows in Workload::pieces(links.ids.len()) {
        links.ask(&preparer, &mut batch, rows);
        resolver.resolve_batch(&mut batch, |answer| match black_box(answer) {
            Answer::Itself(_) => themselves += 1,
            Answer::Other(_) => {}
            Answer::Missing | Answer::Exceeded(_) => panic!("every look-up has a short text"),
        });
    }
    themselves
}

/// Prepares all operands and returns how many there were.
fn prepare(preparer: &Preparer, batch: &mut Batch, links: &Workload) -> usize {
    let mut received = 0;
    for rows in Workload::pieces(links.kinds.len()) {
        batch.clear();
        links.prepare(preparer, batch, rows);
        received += batch.rows(Side::First) + batch.rows(Side::Second);
    }
    received
}

fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    // A round takes up to a second, and each has a resolver of its own.
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    group
}

fn prepare_all(criterion: &mut Criterion) {
    let mut group = group(criterion, "preparation");
    for &ids in sizes() {
        let links = Workload::new(ids);
        let (preparer, mut batch, operands) = (empty().preparer(), Batch::default(), 2 * links.kinds.len());
        assert_eq!(prepare(&preparer, &mut batch, &links), operands);
        group.throughput(Throughput::Elements(operands as u64));
        group.bench_function(BenchmarkId::new("operands", ids), |bencher| {
            bencher.iter(|| prepare(&preparer, &mut batch, &links));
        });
    }
}

fn link_all(criterion: &mut Criterion) {
    let mut group = group(criterion, "links");
    for &ids in sizes() {
        let links = Workload::new(ids);
        let (mut known, mut outcomes) = (empty(), Vec::with_capacity(links.kinds.len()));
        link(&mut known, &links, &mut outcomes);
        links.check(&outcomes);
        link(&mut known, &links, &mut outcomes);
        assert!(outcomes.iter().all(|&outcome| outcome == Outcome::Unchanged));

        group.throughput(Throughput::Elements(links.kinds.len() as u64));
        group.bench_function(BenchmarkId::new("new", ids), |bencher| {
            bencher.iter_batched(
                empty,
                |mut resolver| {
                    link(&mut resolver, &links, &mut outcomes);
                    resolver
                },
                BatchSize::PerIteration,
            );
        });
        group.bench_function(BenchmarkId::new("known", ids), |bencher| {
            bencher.iter(|| link(&mut known, &links, &mut outcomes));
        });
    }
}

fn link_one_by_one(criterion: &mut Criterion) {
    let mut group = group(criterion, "links one by one");
    for &ids in sizes() {
        let links = Workload::new(ids);
        let (mut known, mut outcomes) = (empty(), Vec::new());
        link_each(&mut known, &links, |outcome| outcomes.push(outcome));
        links.check(&outcomes);

        group.throughput(Throughput::Elements(links.kinds.len() as u64));
        group.bench_function(BenchmarkId::new("new", ids), |bencher| {
            bencher.iter_batched(
                empty,
                |mut resolver| {
                    link_each(&mut resolver, &links, |outcome| {
                        black_box(outcome);
                    });
                    resolver
                },
                BatchSize::PerIteration,
            );
        });
        group.bench_function(BenchmarkId::new("known", ids), |bencher| {
            bencher.iter(|| link_each(&mut known, &links, |outcome| assert_eq!(outcome, Outcome::Unchanged)));
        });
    }
}

fn look_ups(criterion: &mut Criterion) {
    let mut group = group(criterion, "look-ups");
    for &ids in sizes() {
        let links = Workload::new(ids);
        let (mut known, mut outcomes) = (empty(), Vec::new());
        link(&mut known, &links, &mut outcomes);
        assert_eq!(look_up(&known, &links), links.users, "one ID of each cluster names it");
        assert_eq!(look_up(&empty(), &links), links.ids.len(), "an unknown ID stands for itself");

        group.throughput(Throughput::Elements(links.ids.len() as u64));
        group.bench_function(BenchmarkId::new("known", ids), |bencher| {
            bencher.iter(|| look_up(&known, &links));
        });
    }
}

criterion_group!(benches, prepare_all, link_all, link_one_by_one, look_ups);
criterion_main!(benches);
