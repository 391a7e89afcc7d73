//! A pipeline of batches, on one thread or several.
//!
//! A batch is filled (texts checked, packed and hashed), then looked ahead for, then settled.
//! Batches are filled in order and settled in order, so the answer does not depend on the threads.
//!
//! If no interpreter is needed, each thread takes a batch all the way: while one settles, the
//! others fill and look ahead. A batch never changes hands, for its memory is slow to follow.
//! Python's strings are read by the thread that is attached to the interpreter, and another one
//! settles; whichever of the two has more time looks ahead.
//!
//! A system that has no thread to spare gets the same answer from fewer, down to the caller's own.
//! Where processors have other work, a thread that loses its own while it settles has all others
//! wait for it: these sleep, so that they take no time from it.

pub mod sources;

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{self, Scope, ScopedJoinHandle};

use idmerge_core::{Batch, Prefetcher};
use pyo3::prelude::*;

use crate::errors::Failure;
use crate::pipeline::sources::Source;

/// The rows that are worth a second thread: to start one costs as much as some hundreds.
const WORTH_A_THREAD: usize = 8 * Batch::ROWS;
/// The batches that are on their way between two threads. Measured: 3 to 16 do equally well.
const ON_THE_WAY: usize = 6;
/// The filled batches that must wait before the filling thread looks ahead too.
const ENOUGH: usize = 1;
/// The looks of a thread whether it is its turn before it sleeps: as long as another one settles.
const LOOKS: usize = 4000;
/// Settles a batch, and returns a prefetcher that looks ahead for batches to come.
pub trait Settle: FnMut(&mut Batch) -> Result<Prefetcher, Failure> + Send {}

impl<F: FnMut(&mut Batch) -> Result<Prefetcher, Failure> + Send> Settle for F {}

/// Fills batches from `source` and settles them, in order, until it ends or settling fails.
pub fn run_detached(
    source: &mut (impl Source + Send),
    rows: usize,
    threads: usize,
    settle: impl Settle,
) -> Result<(), Failure> {
    let others = if rows < WORTH_A_THREAD { 0 } else { threads.saturating_sub(1) };
    let pipeline = Pipeline {
        source: Mutex::new((source, 0)),
        settle: Mutex::new(settle),
        turn: AtomicU64::new(0),
        sleeping: AtomicUsize::new(0),
        gate: Mutex::new(()),
        opened: Condvar::new(),
        has_others: AtomicBool::new(false),
    };
    thread::scope(|scope| {
        let others: Vec<_> = (0..others).map_while(|_| spawn(scope, || pipeline.help())).collect();
        let mine = pipeline.run();
        // A panic over there goes on here.
        let theirs =
            others.into_iter().map(|other| other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        theirs.fold(mine, Result::and)
    })
}

/// Starts a thread, if the system has one to spare.
pub fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Option<ScopedJoinHandle<'scope, T>> {
    thread::Builder::new().spawn_scoped(scope, work).ok()
}

/// The state that the threads of a pipeline share.
struct Pipeline<'a, S, F> {
    /// The source, and the number of the batch to be filled next.
    source: Mutex<(&'a mut S, u64)>,
    settle: Mutex<F>,
    /// The number of the batch to be settled next.
    turn: AtomicU64,
    /// The number of threads that sleep until a turn ends, or are about to.
    sleeping: AtomicUsize,
    gate: Mutex<()>,
    opened: Condvar,
    /// Whether a thread beside the caller's takes batches.
    has_others: AtomicBool,
}

/// No batch has this number: none is to be settled any more.
const OVER: u64 = u64::MAX;

impl<'a, S: Source, F: Settle> Pipeline<'a, S, F> {
    /// Takes batches beside the caller's thread.
    fn help(&self) -> Result<(), Failure> {
        self.has_others.store(true, Ordering::Relaxed);
        self.run()
    }

    /// Takes batches all the way until there are no more.
    fn run(&self) -> Result<(), Failure> {
        let (mut batch, mut prefetcher) = (Batch::default(), None::<Prefetcher>);
        while let Some(turn) = self.fill(&mut batch) {
            // A thread alone looks ahead a group at a time while it settles: that is nearer.
            if let Some(prefetcher) = prefetcher
                && self.has_others.load(Ordering::Relaxed)
            {
                prefetcher.prefetch(&mut batch);
            }
            if !turn.wait() {
                return Ok(());
            }
            // It is this thread's turn, so no other thread has the lock, and none that panicked had
            // it.
            let Ok(mut settle) = self.settle.lock() else { return Ok(()) };
            prefetcher = Some(settle(&mut batch)?);
            drop(settle);
            turn.end();
        }
        Ok(())
    }

    /// Fills a batch and returns its turn, unless the source has ended.
    fn fill(&self, batch: &mut Batch) -> Option<Turn<'_, 'a, S, F>> {
        batch.clear();
        let mut source = self.lock_source()?;
        source.0.fill(batch);
        let number = source.1;
        source.1 += 1;
        // Made only for a batch: where one is dropped, all is over.
        (!batch.is_empty()).then(|| Turn { pipeline: self, number, next: OVER })
    }

    /// Waits until no other thread fills, without sleeping at first: to wake up takes longer.
    fn lock_source(&self) -> Option<MutexGuard<'_, (&'a mut S, u64)>> {
        for _ in 0..LOOKS {
            match self.source.try_lock() {
                Ok(source) => return Some(source),
                // The panicking thread reports the error.
                Err(TryLockError::Poisoned(_)) => return None,
                Err(TryLockError::WouldBlock) => std::hint::spin_loop(),
            }
        }
        self.source.lock().ok()
    }
}

/// A batch's turn to be settled. If it does not end well, there is no other.
struct Turn<'p, 'a, S, F> {
    pipeline: &'p Pipeline<'a, S, F>,
    /// The number of the batch.
    number: u64,
    next: u64,
}

impl<S, F> Turn<'_, '_, S, F> {
    /// Waits until this batch is to be settled, without sleeping at first; returns whether it is.
    fn wait(&self) -> bool {
        let Pipeline { turn, sleeping, gate, opened, .. } = self.pipeline;
        let is_decided = |turn: u64| turn == self.number || turn == OVER;
        for _ in 0..LOOKS {
            let turn = turn.load(Ordering::Acquire);
            if is_decided(turn) {
                return turn == self.number;
            }
            std::hint::spin_loop();
        }
        // Whoever ends a turn either sees that a thread sleeps, or is seen to have ended it.
        sleeping.fetch_add(1, Ordering::SeqCst);
        let mut closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
        while !is_decided(turn.load(Ordering::SeqCst)) {
            closed = opened.wait(closed).unwrap_or_else(PoisonError::into_inner);
        }
        drop(closed);
        sleeping.fetch_sub(1, Ordering::SeqCst);
        turn.load(Ordering::Acquire) == self.number
    }

    fn end(mut self) {
        self.next = self.number + 1;
    }
}

impl<S, F> Drop for Turn<'_, '_, S, F> {
    fn drop(&mut self) {
        let Pipeline { turn, sleeping, gate, opened, .. } = self.pipeline;
        // What is over stays over.
        if self.next == OVER {
            turn.store(OVER, Ordering::SeqCst);
        } else {
            let _ = turn.compare_exchange(self.number, self.next, Ordering::SeqCst, Ordering::SeqCst);
        }
        if sleeping.load(Ordering::SeqCst) > 0 {
            // A thread that is about to sleep has looked at the turn before, or does so behind.
            drop(gate.lock());
            opened.notify_all();
        }
    }
}

/// Does the same for a source that reads Python's strings: this thread fills, and with two another
/// one settles.
pub fn run_attached(
    py: Python<'_>,
    source: &mut impl Source,
    rows: usize,
    threads: usize,
    mut settle: impl Settle,
) -> Result<(), Failure> {
    if threads > 1
        && rows >= WORTH_A_THREAD
        && let Some(result) = run_in_two(py, source, &mut settle)
    {
        return result;
    }
    let mut batch = Batch::default();
    loop {
        batch.clear();
        source.fill(&mut batch);
        if batch.is_empty() {
            return Ok(());
        }
        py.detach(|| settle(&mut batch).map(|_| ()))?;
    }
}

/// A batch to be filled, and a prefetcher that can look ahead for it.
type Empty = (Batch, Option<Prefetcher>);

/// Returns None, having done nothing, if there is no thread to settle.
fn run_in_two(
    py: Python<'_>,
    source: &mut impl Source,
    settle: &mut impl Settle,
) -> Option<Result<(), Failure>> {
    let (full, to_settle) = sync_channel(ON_THE_WAY);
    let (empty, to_fill) = channel();
    for _ in 0..ON_THE_WAY {
        let _ = empty.send((Batch::default(), None));
    }
    let waiting = AtomicUsize::new(0);
    thread::scope(|scope| {
        let waiting = &waiting;
        let settling = spawn(scope, move || settle_all(&to_settle, waiting, settle, &empty))?;
        fill_all(py, source, to_fill, waiting, &full);
        drop(full);
        // A panic over there goes on here.
        Some(py.detach(|| settling.join()).unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

fn fill_all(
    py: Python<'_>,
    source: &mut impl Source,
    mut to_fill: Receiver<Empty>,
    waiting: &AtomicUsize,
    full: &SyncSender<Batch>,
) {
    loop {
        let empty = if let Ok(empty) = to_fill.try_recv() {
            Ok(empty)
        } else {
            let to_fill = &mut to_fill;
            py.detach(move || to_fill.recv())
        };
        // No batch comes back any more once settling has failed.
        let Ok((mut batch, prefetcher)) = empty else { return };
        batch.clear();
        source.fill(&mut batch);
        if batch.is_empty() {
            return;
        }
        if let Some(prefetcher) = prefetcher
            && waiting.load(Ordering::Relaxed) > ENOUGH
        {
            prefetcher.prefetch(&mut batch);
        }
        waiting.fetch_add(1, Ordering::Relaxed);
        if full.send(batch).is_err() {
            return;
        }
    }
}

fn settle_all(
    to_settle: &Receiver<Batch>,
    waiting: &AtomicUsize,
    settle: &mut impl Settle,
    empty: &Sender<Empty>,
) -> Result<(), Failure> {
    for mut batch in to_settle {
        waiting.fetch_sub(1, Ordering::Relaxed);
        let prefetcher = settle(&mut batch)?;
        // The filling thread may have ended already.
        let _ = empty.send((batch, Some(prefetcher)));
    }
    Ok(())
}
