//! The updates of lines.

use crate::error::Error;
use crate::lines::{check_length, each_line};
use crate::updates::rows::{Head, Updates};

/// The updates of some lines, a row for each line that is not blank.
pub struct UpdateRows {
    /// The updates.
    pub updates: Updates,
    /// The line of each row, counted from 0.
    lines: Vec<u32>,
    holes: Vec<(usize, Vec<u8>)>,
    line_count: u32,
}

impl UpdateRows {
    /// Reads the lines of `head` and of `text` behind it; those longer than `longest` bytes are
    /// declined, and so are rows of exports unless `takes_rows`.
    ///
    /// # Errors
    ///
    /// There are 2 GiB or more.
    pub fn scan(head: &[u8], text: &[u8], longest: usize, takes_rows: bool) -> Result<Self, Error> {
        check_length(head, text)?;
        let mut rows =
            Self { updates: Updates::new(takes_rows), lines: Vec::new(), holes: Vec::new(), line_count: 0 };
        rows.line_count = each_line(head, text, longest, |line| {
            if !line.text.is_some_and(|text| rows.updates.read(text)) {
                rows.holes.push((rows.lines.len(), line.seen.to_vec()));
                rows.updates.push(Head::default());
            }
            rows.lines.push(line.number);
        });
        Ok(rows)
    }

    /// Returns the line of each row, counted from 0.
    pub fn lines(&self) -> &[u32] {
        &self.lines
    }

    /// Returns how many lines were read, blank ones included.
    pub fn line_count(&self) -> u32 {
        self.line_count
    }

    /// Returns the rows that are declined, with their bytes.
    pub fn holes(&self) -> &[(usize, Vec<u8>)] {
        &self.holes
    }
}
