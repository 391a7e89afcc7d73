//! Deduplication of rows by a hash of 128 bits: 16 bytes a row, whatever stands in it.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

use arrow_array::{Array, StringArray};

use crate::error::Error;

/// The distinct rows so far.
///
/// Two rows are taken for one if both their hashes are equal: `SipHash`, under keys of the
/// process's own, so no sender can aim at it.
#[derive(Default)]
pub struct DistinctRows {
    rows: HashSet<u128, BuildHasherDefault<Identity>>,
    hashes: [RandomState; 2],
}

/// The values of a row as bytes, which differ wherever a value does.
#[derive(Default)]
pub struct RowValues(Vec<u8>);

impl RowValues {
    /// Adds a text, or a null.
    pub fn add_text(&mut self, text: Option<&str>) {
        let Some(text) = text else { return self.0.push(0) };
        self.0.push(1);
        self.0.extend_from_slice(&text.len().to_ne_bytes());
        self.0.extend_from_slice(text.as_bytes());
    }

    /// Adds an integer, or a null.
    pub fn add_integer(&mut self, number: Option<i64>) {
        let Some(number) = number else { return self.0.push(0) };
        self.0.push(1);
        self.0.extend_from_slice(&number.to_ne_bytes());
    }
}

/// The hash of a value that is a hash already.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.first_chunk().map_or(0, |first| u64::from_ne_bytes(*first));
    }
}

impl DistinctRows {
    /// Adds the rows of columns, and returns for each whether no row before it was equal.
    ///
    /// A row that is null in the last column equals no other.
    ///
    /// # Errors
    ///
    /// There are no columns, or their lengths differ.
    pub fn add(&mut self, columns: &[&StringArray]) -> Result<Vec<bool>, Error> {
        let Some(last) = columns.last() else { return Err(Error::Value("there are no columns".to_owned())) };
        if columns.iter().any(|column| column.len() != last.len()) {
            return Err(Error::Value("columns must have the same length".to_owned()));
        }
        Ok(self.add_each(last.len(), |row, values| {
            let can_be_equal = last.is_valid(row);
            for column in columns.iter().filter(|_| can_be_equal) {
                values.add_text(column.is_valid(row).then(|| column.value(row)));
            }
            can_be_equal
        }))
    }

    /// Adds rows, and returns for each whether no row before it was equal.
    ///
    /// `write` writes the values of a row, and returns whether it can equal another one.
    pub fn add_each(&mut self, rows: usize, write: impl Fn(usize, &mut RowValues) -> bool) -> Vec<bool> {
        let mut values = RowValues::default();
        // All hashes first: then the set's memory is waited for many rows at a time.
        let hash_of = |row: usize| {
            values.0.clear();
            write(row, &mut values).then(|| {
                let [high, low] = self.hashes.each_ref().map(|state| {
                    let mut hasher = state.build_hasher();
                    hasher.write(&values.0);
                    hasher.finish()
                });
                u128::from(high) << 64 | u128::from(low)
            })
        };
        let hashes: Vec<Option<u128>> = (0..rows).map(hash_of).collect();
        hashes.into_iter().map(|hash| hash.is_none_or(|hash| self.rows.insert(hash))).collect()
    }

    /// Returns the number of distinct rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}
