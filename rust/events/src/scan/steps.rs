//! The rows of a scan as steps of a resolver, their holes filled by the caller.

use arrow_array::{Array, StringArray};
use idmerge_core::{Operand, Step};

use crate::error::Error;
use crate::links::ODD_ID;
use crate::scan::scanner::{HOLE, NOTHING, Row, Scan, is_link, is_step};

/// An operand that fills one of a hole.
pub enum FilledOperand<T> {
    /// It is missing or of the wrong type.
    Missing,
    /// It is text of a kind that no ID can have.
    NotUnicode,
    /// It is text.
    Text(T),
}

impl<T: AsRef<str>> FilledOperand<T> {
    fn operand(&self) -> Operand<'_> {
        match self {
            Self::Missing => Operand::Missing,
            Self::NotUnicode => Operand::NotUnicode,
            Self::Text(text) => Operand::Text(text.as_ref()),
        }
    }
}

/// The rows of a scan from `start` to `stop`.
pub struct Steps<'a, T> {
    scan: &'a Scan,
    start: usize,
    stop: usize,
    codes: &'a [u8],
    /// The two operands that fill each hole.
    filled: Vec<[FilledOperand<T>; 2]>,
}

impl<'a, T: AsRef<str>> Steps<'a, T> {
    /// Takes a code and two operands for each hole, in their order.
    ///
    /// # Errors
    ///
    /// There are no such rows, the codes or the operands are not as many as the holes, or a code is
    /// no step's.
    pub fn new(
        scan: &'a Scan,
        (start, stop): (usize, usize),
        codes: &'a [u8],
        filled: Vec<[FilledOperand<T>; 2]>,
    ) -> Result<Self, Error> {
        let rows = scan.rows().get(start..stop);
        let rows = rows.ok_or_else(|| Error::Index("no such rows".to_owned()))?;
        let holes = rows.iter().filter(|row| row.code == HOLE).count();
        if [codes.len(), filled.len()] != [holes; 2] || !codes.iter().all(|&code| is_step(code)) {
            return Err(Error::Value(format!(
                "{holes} holes must be filled with steps, got {} codes of steps and {} pairs of operands",
                codes.len(),
                filled.len()
            )));
        }
        Ok(Self { scan, start, stop, codes, filled })
    }

    /// Returns the steps in order.
    pub fn iter(&self) -> impl Iterator<Item = Step<'_>> {
        let mut filled = self.codes.iter().zip(&self.filled);
        (self.start..self.stop).map(move |row| match self.scan.rows()[row].code {
            HOLE => {
                let (&code, [first, second]) = filled.next().expect("each hole is filled");
                Step::of_code(code, first.operand(), second.operand())
            }
            NOTHING | ODD_ID => Step::Observe(Operand::Missing),
            code => {
                let (first, second) = self.scan.texts(row);
                Step::of_code(code, first.into(), second.into())
            }
        })
    }

    /// Returns the sender of each step, where `sent` has the IDs that were sent with the events in
    /// the columns.
    pub fn senders<'s>(&self, sent: &'s StringArray) -> impl Iterator<Item = Option<&'s str>> {
        let rows = self.scan.rows_in_columns(self.start).take(self.stop - self.start);
        rows.map(|row| row.filter(|&row| sent.is_valid(row)).map(|row| sent.value(row)))
    }

    /// Returns the rows that state links, counted from `start`.
    pub fn links(&self) -> Vec<i64> {
        let mut filled = self.codes.iter();
        let rows = self.scan.rows()[self.start..self.stop].iter().zip(0..);
        let mut is_link = |row: &Row| match row.code {
            HOLE => is_link(*filled.next().expect("each hole is filled")),
            code => is_link(code),
        };
        rows.filter_map(|(row, index)| is_link(row).then_some(index)).collect()
    }
}
