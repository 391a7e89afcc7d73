//! A resolver's two halves on two threads.
//!
//! The caller's thread fills batches and judges those that have come back; the other one makes numbers
//! of texts in between. Both are about the same amount of work. Each half gets the batches in order, as
//! it does on one thread, and so the answer is the same.

use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use crate::batch::Batch;
use crate::clusters::Clusters;
use crate::error::Stopped;
use crate::interner::Interner;
use crate::link::Outcome;
use crate::resolver::Resolver;

/// How many batches are on their way at once. Measured: 3 to 16 do equally well.
const ON_THE_WAY: usize = 6;

/// Batches that go round between two threads.
pub struct Pipeline {
    spare: Vec<Batch>,
    /// How many rows are taken.
    taken: usize,
}

/// Why a pipeline stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// There is nothing more to take.
    End,
    /// Somebody waits for the resolver.
    Pause,
}

type Numbered = (Batch, Result<(), Stopped>);

impl Default for Pipeline {
    fn default() -> Self {
        Self { spare: (0..ON_THE_WAY).map(|_| Batch::default()).collect(), taken: 0 }
    }
}

impl Pipeline {
    /// Returns how many rows are taken so far.
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// Takes what `fill` fills batches with, until it leaves one empty or somebody `waits`; appends the
    /// outcomes of links. To be called again after a pause.
    ///
    /// Returns None, having done nothing, if judging reads texts, for then the halves cannot work apart.
    ///
    /// # Errors
    ///
    /// As [`Resolver::take`]; rows are counted from the first call on. Not to be called again then.
    pub fn run(
        &mut self,
        resolver: &mut Resolver,
        fill: impl FnMut(&mut Batch),
        waits: impl Fn() -> bool,
        outcomes: &mut Vec<Outcome>,
    ) -> Option<Result<Rest, Stopped>> {
        let (ids, clusters) = resolver.halves()?;
        let (filled, to_number) = channel();
        let (numbered, to_judge) = channel();
        Some(thread::scope(|scope| {
            let numbering = scope.spawn(move || number(ids, &to_number, &numbered));
            let rest = self.fill_and_judge(clusters, (filled, to_judge), fill, waits, outcomes);
            // A panic over there goes on here.
            numbering.join().unwrap_or_else(|panic| resume_unwind(panic));
            rest
        }))
    }

    fn fill_and_judge(
        &mut self,
        clusters: &mut Clusters,
        (filled, to_judge): (Sender<Batch>, Receiver<Numbered>),
        mut fill: impl FnMut(&mut Batch),
        waits: impl Fn() -> bool,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<Rest, Stopped> {
        // The other thread ends once nobody can send it anything.
        let (mut sender, mut rest) = (Some(filled), Rest::End);
        loop {
            // Judging goes first, for it gives a batch back.
            if let Ok(numbered) = to_judge.try_recv() {
                self.judge(clusters, numbered, outcomes)?;
            } else if let Some(filled) = &sender
                && let Some(mut batch) = self.spare.pop()
            {
                batch.clear();
                if waits() {
                    rest = Rest::Pause;
                } else {
                    fill(&mut batch);
                }
                if batch.is_empty() {
                    sender = None;
                    self.spare.push(batch);
                } else if filled.send(batch).is_err() {
                    sender = None;
                }
            } else if let Ok(numbered) = to_judge.recv() {
                self.judge(clusters, numbered, outcomes)?;
            } else {
                return Ok(rest);
            }
        }
    }

    fn judge(
        &mut self,
        clusters: &mut Clusters,
        (batch, result): Numbered,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<(), Stopped> {
        let rows = result.map_or_else(|stopped| stopped.taken, |()| batch.acts.len());
        clusters.judge(None, &batch, rows, outcomes);
        self.spare.push(batch);
        self.taken += rows;
        result.map_err(|stopped| Stopped { taken: self.taken, ..stopped })
    }
}

/// The other thread: makes numbers of the texts of batches until there are no more or one fails.
fn number(ids: &mut Interner, to_number: &Receiver<Batch>, numbered: &Sender<Numbered>) {
    for mut batch in to_number {
        let result = ids.take_in(&mut batch);
        if numbered.send((batch, result)).is_err() || result.is_err() {
            return;
        }
    }
}
