//! How fast this machine reads memory at random: the line that the charts draw.
//!
//! Prints JSON: nanoseconds for a read that waits for the last one, and millions of reads a second
//! when they do not wait for one another, on one core and on all. A read is of one cache line of 64
//! bytes; the lines lie in 512 MiB, more than any cache holds, on huge pages where Linux grants them.
//! Each figure is the best of five: a limit is what the machine can do, not what it did.
//!
//! Built and run by `benches/reports/machine.py`.

use std::time::Instant;

const LINES: usize = 8 << 20;
const READS: usize = 4 << 20;
const ROUNDS: usize = 5;
/// How many reads are asked for ahead. Measured: 16 to 64 do equally well.
const AHEAD: usize = 32;

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line {
    next: usize,
}

#[cfg(target_os = "linux")]
fn ask_for_huge_pages(lines: &mut Vec<Line>) {
    unsafe extern "C" {
        fn madvise(address: *mut u8, length: usize, advice: i32) -> i32;
    }
    const PAGE: usize = 4096;
    const MADV_HUGEPAGE: i32 = 14;
    let start = (lines.as_mut_ptr() as usize).next_multiple_of(PAGE);
    // SAFETY: the pages lie in the vector's own allocation, and the advice changes no content. If it
    // is refused, pages stay small.
    unsafe { madvise(start as *mut u8, LINES * 64 - PAGE, MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn ask_for_huge_pages(_: &mut Vec<Line>) {}

#[inline]
fn prefetch(lines: &[Line], at: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch is a hint and reads nothing that a program can see.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(&lines[at]).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (lines, at);
}

struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u128::from(self.0) * bound as u128) >> 64) as usize
    }
}

/// Returns lines whose `next` visit all of them in one circle, in random order.
fn circle() -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::with_capacity(LINES);
    ask_for_huge_pages(&mut lines);
    lines.extend((0..LINES).map(|next| Line { next }));
    let mut draw = Draw(0x9E37_79B9_7F4A_7C15);
    for at in (1..LINES).rev() {
        let other = draw.below(at);
        let next = lines[at].next;
        lines[at].next = lines[other].next;
        lines[other].next = next;
    }
    lines
}

fn one_after_another(lines: &[Line]) -> f64 {
    let started = Instant::now();
    let mut at = 0;
    for _ in 0..READS {
        at = lines[at].next;
    }
    std::hint::black_box(at);
    started.elapsed().as_secs_f64() * 1e9 / READS as f64
}

fn overlapped(lines: &[Line], seed: u64) -> usize {
    let mut draw = Draw(seed);
    let mut asked: [usize; AHEAD] = std::array::from_fn(|_| draw.below(LINES));
    let mut sum = 0usize;
    for read in 0..READS {
        let at = std::mem::replace(&mut asked[read % AHEAD], draw.below(LINES));
        prefetch(lines, asked[read % AHEAD]);
        sum = sum.wrapping_add(lines[at].next);
    }
    sum
}

fn million_reads_a_second(lines: &[Line], cores: usize) -> f64 {
    let started = Instant::now();
    std::thread::scope(|scope| {
        for core in 0..cores {
            scope.spawn(move || std::hint::black_box(overlapped(lines, core as u64 * 2 + 1)));
        }
    });
    (READS * cores) as f64 / started.elapsed().as_secs_f64() / 1e6
}

fn main() {
    let lines = circle();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut waiting, mut one, mut all) = (f64::MAX, 0f64, 0f64);
    for _ in 0..ROUNDS {
        waiting = waiting.min(one_after_another(&lines));
        one = one.max(million_reads_a_second(&lines, 1));
        all = all.max(million_reads_a_second(&lines, cores));
    }
    println!(
        "{{\"waiting_ns\": {waiting:.1}, \"one_core_millions\": {one:.1}, \
         \"all_cores_millions\": {all:.1}, \"cores\": {cores}}}"
    );
}
