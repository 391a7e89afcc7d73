//! The purposes for which texts are read, each with its way into a batch.

use idmerge_core::{Batch, Operand, Preparer, Side};

/// The purpose for which the texts of a column are read.
#[derive(Clone, Copy)]
pub enum Purpose {
    /// To be an operand of a step.
    Step(Side),
    /// To be looked up.
    Lookup,
    /// To be an end of a link without a policy, whatever it is.
    End(Side),
}

impl Purpose {
    /// Returns the side of a batch that takes them.
    pub fn side(self) -> Side {
        match self {
            Self::Step(side) | Self::End(side) => side,
            Self::Lookup => Side::First,
        }
    }

    /// Gives texts to a batch.
    pub fn give<'a>(
        self,
        batch: &mut Batch,
        preparer: &Preparer,
        operands: impl Iterator<Item = Operand<'a>>,
    ) {
        match self {
            Self::Step(side) => batch.prepare(side, preparer, operands),
            Self::Lookup => batch.prepare_lookups(preparer, operands),
            Self::End(side) => batch.prepare_ends(side, preparer, operands),
        }
    }
}
