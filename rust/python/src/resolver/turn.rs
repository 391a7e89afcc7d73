//! The right to change a resolver, for one call at a time.
//!
//! A call keeps its turn while it reads Python's strings, and Python may then run a finalizer: when
//! it collects garbage, or when another thread has taken a string out of the list. A finalizer may
//! call the same resolver. So a turn is reentrant: such a call goes in between two batches of the
//! one that it interrupts, as a reader does, and the lock of the core is free then.
//!
//! A panic during a turn does not spoil the turn: the core has a lock of its own, which is poisoned
//! where that matters.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::Python;
use pyo3::sync::MutexExt;

thread_local! {
    /// Its address is another one in each thread.
    static MARK: u8 = const { 0 };
}

/// The holder of a free lock: no thread has this mark.
const NO_THREAD: usize = 0;

/// The turn, and its holder.
#[derive(Default)]
pub struct Turns {
    lock: Mutex<()>,
    /// The mark of the thread that holds the lock.
    holder: AtomicUsize,
}

/// A call's turn; it ends when this is dropped.
pub struct Turn<'a> {
    /// None if the thread had the turn already.
    held: Option<(&'a Turns, MutexGuard<'a, ()>)>,
}

impl Turns {
    /// Waits for the turn, detached from the interpreter.
    pub fn take(&self, py: Python<'_>) -> Turn<'_> {
        self.take_by(|| self.lock.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner))
    }

    /// Does the same without the interpreter.
    pub fn take_detached(&self) -> Turn<'_> {
        self.take_by(|| self.lock.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn take_by<'a>(&'a self, lock: impl FnOnce() -> MutexGuard<'a, ()>) -> Turn<'a> {
        let mine = MARK.with(|mark| std::ptr::from_ref(mark).addr());
        // Only this thread writes its own mark, so it reads that if and only if it has the turn.
        if self.holder.load(Ordering::Relaxed) == mine {
            return Turn { held: None };
        }
        let guard = lock();
        self.holder.store(mine, Ordering::Relaxed);
        Turn { held: Some((self, guard)) }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some((turns, _)) = &self.held {
            turns.holder.store(NO_THREAD, Ordering::Relaxed);
        }
    }
}
