//! Steps on their way into the core, batch by batch, and who works on them meanwhile.
//!
//! Reading texts, packing and hashing them is one half of the work and needs no resolver; judging is
//! the other half. So with two threads the caller's thread fills batches and another one settles
//! them, in order: what either does is the same with one thread, and so is the answer.

use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;

use idmerge_core::{Act, Batch, Door, Kind, Side, Step};
use pyo3::prelude::*;

use crate::column::{Column, Objects, Pinned, Purpose, Reader};
use crate::errors::Failure;
use crate::kinds::Kinds;

/// How many batches are on their way at once. Measured: 3 to 16 do equally well.
const ON_THE_WAY: usize = 6;
/// How many rows are worth a second thread: to start one costs as much as some hundreds.
const WORTH_A_THREAD: usize = 8 * Batch::ROWS;

/// A code of `take_steps` that observes an ID; lower ones are the core's kinds.
pub const OBSERVE: u8 = 4;

/// What the rows of a call state.
pub enum Acts<'a> {
    Links(&'a Kinds),
    Coded(&'a [u8]),
    Observations,
    /// Nothing that a policy judges: the operands are the ends of links.
    Ends,
}

impl Acts<'_> {
    fn get(&self, row: usize) -> Act {
        match self {
            Self::Links(kinds) => Act::Link(kinds.get(row)),
            Self::Coded(codes) => Kind::from_code(codes[row]).map_or(Act::Observe, Act::Link),
            Self::Observations => Act::Observe,
            Self::Ends => Act::Link(Kind::Merge),
        }
    }

    /// Returns what the texts of a side are wanted for.
    fn purpose(&self, side: Side) -> Purpose {
        match self {
            Self::Links(_) | Self::Coded(_) | Self::Observations => Purpose::Step(side),
            Self::Ends => Purpose::End(side),
        }
    }
}

/// Fills batches with the rows of columns.
pub trait Source {
    /// Fills an empty batch; leaves it empty at the end.
    fn fill(&mut self, batch: &mut Batch);
}

/// The rows of pinned columns: one for each operand.
pub struct PinnedRows<'a> {
    acts: Acts<'a>,
    readers: Vec<Reader<'a>>,
    row: usize,
}

impl<'a> PinnedRows<'a> {
    pub fn new(acts: Acts<'a>, columns: &[&'a Pinned], door: &'a Door) -> Self {
        let reader = |(column, side): (&&'a Pinned, Side)| column.reader(acts.purpose(side), door, 0);
        let readers = columns.iter().zip([Side::First, Side::Second]).map(reader).collect();
        Self { acts, readers, row: 0 }
    }
}

impl Source for PinnedRows<'_> {
    fn fill(&mut self, batch: &mut Batch) {
        for reader in &mut self.readers {
            reader.fill(batch, Batch::ROWS);
        }
        let rows = state(batch, &self.acts, self.row);
        self.row += rows.taken;
        if rows.dropped {
            self.readers.iter_mut().for_each(|reader| reader.seek(self.row));
        }
    }
}

/// The rows of columns some of which are Python's lists.
pub struct MixedRows<'a, 'py> {
    acts: Acts<'a>,
    columns: Vec<MixedColumn<'a, 'py>>,
    door: &'a Door,
    row: usize,
    len: usize,
}

enum MixedColumn<'a, 'py> {
    Objects(&'a Objects<'py>, Purpose),
    Pinned(Reader<'a>),
}

impl<'a, 'py> MixedRows<'a, 'py> {
    pub fn new(acts: Acts<'a>, columns: &[&'a Column<'py>], door: &'a Door) -> Self {
        let mixed = |(column, side): (&&'a Column<'py>, Side)| match column {
            Column::Objects(objects) => MixedColumn::Objects(objects, acts.purpose(side)),
            Column::Pinned(pinned) => MixedColumn::Pinned(pinned.reader(acts.purpose(side), door, 0)),
        };
        let len = columns.iter().map(|column| column.len()).min().unwrap_or(0);
        let columns = columns.iter().zip([Side::First, Side::Second]).map(mixed).collect();
        Self { acts, columns, door, row: 0, len }
    }
}

impl Source for MixedRows<'_, '_> {
    fn fill(&mut self, batch: &mut Batch) {
        let end = self.len.min(self.row + Batch::ROWS);
        for column in &mut self.columns {
            match column {
                MixedColumn::Objects(objects, purpose) => {
                    objects.fill(batch, *purpose, self.door, self.row..end);
                }
                MixedColumn::Pinned(reader) => reader.fill(batch, end - self.row),
            }
        }
        let rows = state(batch, &self.acts, self.row);
        self.row += rows.taken;
        if rows.dropped {
            for column in &mut self.columns {
                if let MixedColumn::Pinned(reader) = column {
                    reader.seek(self.row);
                }
            }
        }
    }
}

/// Steps one after another.
pub struct StepRows<'a, I> {
    pub steps: I,
    pub door: &'a Door,
}

impl<'a, I: Iterator<Item = Step<'a>>> Source for StepRows<'_, I> {
    fn fill(&mut self, batch: &mut Batch) {
        while !batch.is_ready()
            && let Some(step) = self.steps.next()
        {
            batch.push(self.door, step);
        }
    }
}

struct Stated {
    taken: usize,
    /// Whether one side had more rows than the other, because of long texts.
    dropped: bool,
}

fn state(batch: &mut Batch, acts: &Acts, row: usize) -> Stated {
    let most = batch.rows(Side::First).max(batch.rows(Side::Second));
    let taken = batch.state((row..row + most).map(|row| acts.get(row)));
    Stated { taken, dropped: taken < most }
}

/// How a thread waits for another one.
pub trait Wait {
    /// Returns what `blocking` returns.
    fn wait<T: Send>(&self, blocking: impl FnOnce() -> T + Send) -> T;
}

/// Waits as it is: without the interpreter.
pub struct Detached;

impl Wait for Detached {
    fn wait<T: Send>(&self, blocking: impl FnOnce() -> T + Send) -> T {
        blocking()
    }
}

/// Lets the interpreter go while it waits.
pub struct Attached<'py>(pub Python<'py>);

impl Wait for Attached<'_> {
    fn wait<T: Send>(&self, blocking: impl FnOnce() -> T + Send) -> T {
        self.0.detach(blocking)
    }
}

/// Fills batches from `source` and settles them, in order, until it ends or settling fails.
pub fn run(
    source: &mut impl Source,
    rows: usize,
    threads: usize,
    wait: &impl Wait,
    mut settle: impl FnMut(&mut Batch) -> Result<(), Failure> + Send,
) -> Result<(), Failure> {
    if threads > 1 && rows >= WORTH_A_THREAD {
        return run_in_two(source, wait, settle);
    }
    let mut batch = Batch::default();
    loop {
        batch.clear();
        source.fill(&mut batch);
        if batch.is_empty() {
            return Ok(());
        }
        wait.wait(|| settle(&mut batch))?;
    }
}

fn run_in_two(
    source: &mut impl Source,
    wait: &impl Wait,
    settle: impl FnMut(&mut Batch) -> Result<(), Failure> + Send,
) -> Result<(), Failure> {
    let (full, to_settle) = sync_channel(ON_THE_WAY);
    let (empty, mut to_fill) = channel();
    for _ in 0..ON_THE_WAY {
        let _ = empty.send(Batch::default());
    }
    thread::scope(|scope| {
        let settling = scope.spawn(move || {
            settle_all(&to_settle, settle, |batch| {
                // The filling thread may have ended already.
                let _ = empty.send(batch);
            })
        });
        fill_all(source, wait, &mut to_fill, &full);
        drop(full);
        // A panic over there goes on here.
        wait.wait(|| settling.join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn fill_all(
    source: &mut impl Source,
    wait: &impl Wait,
    to_fill: &mut Receiver<Batch>,
    full: &SyncSender<Batch>,
) {
    loop {
        let batch = if let Ok(batch) = to_fill.try_recv() {
            Ok(batch)
        } else {
            let to_fill = &mut *to_fill;
            wait.wait(move || to_fill.recv())
        };
        // Nobody gives batches back any more once settling has failed.
        let Ok(mut batch) = batch else { return };
        batch.clear();
        source.fill(&mut batch);
        if batch.is_empty() || full.send(batch).is_err() {
            return;
        }
    }
}

fn settle_all(
    to_settle: &Receiver<Batch>,
    mut settle: impl FnMut(&mut Batch) -> Result<(), Failure>,
    give_back: impl Fn(Batch),
) -> Result<(), Failure> {
    for mut batch in to_settle {
        settle(&mut batch)?;
        give_back(batch);
    }
    Ok(())
}
