//! Sources that fill the batches of the pipeline: rows of columns, rows of lists, steps of a scan.

use idmerge_core::{Act, Batch, Kind, Preparer, Side, Step};

use crate::columns::{Kinds, Objects, Pinned, Purpose, Reader, TextColumn};

/// The steps that the rows of a call state.
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
            Self::Coded(codes) => Act::of_code(codes[row]),
            Self::Observations => Act::Observe,
            Self::Ends => Act::Link(Kind::Merge),
        }
    }

    /// Returns the purpose of the texts of a side.
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
    pub fn new(acts: Acts<'a>, columns: &[&'a Pinned], preparer: &'a Preparer) -> Self {
        let reader = |(column, side): (&&'a Pinned, Side)| column.reader(acts.purpose(side), preparer, 0);
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
    preparer: &'a Preparer,
    row: usize,
    len: usize,
}

enum MixedColumn<'a, 'py> {
    Objects(&'a Objects<'py>, Purpose),
    Pinned(Box<Reader<'a>>),
}

impl<'a, 'py> MixedRows<'a, 'py> {
    pub fn new(acts: Acts<'a>, columns: &[&'a TextColumn<'py>], preparer: &'a Preparer) -> Self {
        let mixed = |(column, side): (&&'a TextColumn<'py>, Side)| match column {
            TextColumn::Objects(objects) => MixedColumn::Objects(objects, acts.purpose(side)),
            TextColumn::Pinned(pinned) => {
                MixedColumn::Pinned(pinned.reader(acts.purpose(side), preparer, 0).into())
            }
        };
        let len = columns.iter().map(|column| column.len()).min().unwrap_or(0);
        let columns = columns.iter().zip([Side::First, Side::Second]).map(mixed).collect();
        Self { acts, columns, preparer, row: 0, len }
    }
}

impl Source for MixedRows<'_, '_> {
    fn fill(&mut self, batch: &mut Batch) {
        let end = self.len.min(self.row + Batch::ROWS);
        for column in &mut self.columns {
            match column {
                MixedColumn::Objects(objects, purpose) => {
                    objects.fill(batch, *purpose, self.preparer, self.row..end);
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
    pub preparer: &'a Preparer,
}

impl<'a, I: Iterator<Item = Step<'a>>> Source for StepRows<'_, I> {
    fn fill(&mut self, batch: &mut Batch) {
        while !batch.is_ready()
            && let Some(step) = self.steps.next()
        {
            batch.push(self.preparer, step);
        }
    }
}

/// Steps one after another, each with its sender, whose canonical ID before the step is asked for.
pub struct SentRows<'a, I> {
    pub steps: I,
    pub preparer: &'a Preparer,
}

impl<'a, I: Iterator<Item = (Step<'a>, Option<&'a str>)>> Source for SentRows<'_, I> {
    fn fill(&mut self, batch: &mut Batch) {
        while !batch.is_ready()
            && let Some((step, sender)) = self.steps.next()
        {
            batch.push_sent(self.preparer, step, sender);
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
