//! The rows of a scan as steps of a resolver, their holes filled by the caller.

use arrow_array::{Array, StringArray};
use idmerge_core::{Operand, Step};

use crate::error::Error;
use crate::links::ODD_ID;
use crate::scan::scanner::{HOLE, NOTHING, REPEATED, Row, Scan, is_link, is_step};

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

    /// Returns the step of each row.
    pub fn iter(&self) -> impl Iterator<Item = Step<'_>> {
        self.each().map(|step| step.unwrap_or(Step::Observe(Operand::Missing)))
    }

    /// Returns the steps without those that change no resolver: the rows that state nothing, or
    /// observe an ID again.
    pub fn effective(&self) -> impl Iterator<Item = Step<'_>> {
        self.each().flatten()
    }

    /// Returns the number of effective steps.
    pub fn effective_count(&self) -> usize {
        self.rows().iter().filter(|row| is_effective(row.code)).count()
    }

    /// Returns the row of an effective step, counted from `start`; behind the last one, the number
    /// of rows.
    pub fn row_of_effective(&self, step: usize) -> usize {
        let rows = self.rows().iter().enumerate().filter(|(_, row)| is_effective(row.code));
        rows.map(|(row, _)| row).nth(step).unwrap_or(self.stop - self.start)
    }

    /// Returns the rows of the effective steps, counted from `start`.
    pub fn effective_rows(&self) -> Vec<usize> {
        let rows = self.rows().iter().enumerate();
        rows.filter_map(|(row, found)| is_effective(found.code).then_some(row)).collect()
    }

    fn rows(&self) -> &[Row] {
        &self.scan.rows()[self.start..self.stop]
    }

    /// Returns the step of each row that has an effect.
    fn each(&self) -> impl Iterator<Item = Option<Step<'_>>> {
        let mut filled = self.codes.iter().zip(&self.filled);
        (self.start..self.stop).map(move |row| match self.scan.rows()[row].code {
            HOLE => {
                let (&code, [first, second]) = filled.next().expect("each hole is filled");
                Some(Step::of_code(code, first.operand(), second.operand()))
            }
            code if !is_effective(code) => None,
            code => {
                let (first, second) = self.scan.texts(row);
                Some(Step::of_code(code, first.into(), second.into()))
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
        let rows = self.rows().iter().zip(0..);
        let mut is_link = |row: &Row| match row.code {
            HOLE => is_link(*filled.next().expect("each hole is filled")),
            code => is_link(code),
        };
        rows.filter_map(|(row, index)| is_link(row).then_some(index)).collect()
    }
}

/// Returns whether a row with this code can change a resolver.
fn is_effective(code: u8) -> bool {
    !matches!(code, NOTHING | ODD_ID | REPEATED)
}
