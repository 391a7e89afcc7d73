//! The interface through which a resolver reports its steps to a journal, or to nothing.
//!
//! A recorder is passed to each call that changes something, so a resolver holds none and does not
//! depend on journals. Calls are generic over it: with [`Unrecorded`] all of it compiles to
//! nothing, and a link costs not even the question whether there is a journal.

use crate::error::Error;
use crate::ids::id::Id;
use crate::link::{Kind, Outcome};

/// A receiver of all that a resolver does, in order.
///
/// No call but [`Self::reserve`] can fail: a step that has begun is recorded.
pub(crate) trait Recorder {
    /// Whether observations are to be reported; to find out which are new costs a write to memory.
    const RECORDS: bool;

    /// Notes that the next steps are those of this row of a batch.
    #[inline]
    fn begin_row(&mut self, _row: usize) {}

    /// Makes room for so many steps, so that memory that fails does so before a step begins.
    fn reserve(&mut self, steps: usize) -> Result<(), Error>;
    /// Records a link; `ids` is None if an operand can be no ID.
    fn link(&mut self, kind: Kind, outcome: Outcome, ids: Option<[Id; 2]>);
    /// Records the first observation of an ID.
    fn observation(&mut self, id: Id);
    /// Records that two IDs are kept apart.
    fn keep_apart(&mut self, a: Id, b: Id);
    /// Records that an ID is forgotten.
    fn forget(&mut self, id: Id);
}

/// The recorder of a resolver without a journal.
pub(crate) struct Unrecorded;

impl Recorder for Unrecorded {
    const RECORDS: bool = false;

    #[inline]
    fn reserve(&mut self, _: usize) -> Result<(), Error> {
        Ok(())
    }

    #[inline]
    fn link(&mut self, _: Kind, _: Outcome, _: Option<[Id; 2]>) {}

    #[inline]
    fn observation(&mut self, _: Id) {}

    #[inline]
    fn keep_apart(&mut self, _: Id, _: Id) {}

    #[inline]
    fn forget(&mut self, _: Id) {}
}
