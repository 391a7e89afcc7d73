//! Deduplication of rows by a hash of 128 bits: 16 bytes a row, whatever stands in it.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};

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
        let is_new = |row: usize| {
            last.is_null(row) || {
                let [high, low] = self.hashes.each_ref().map(|state| {
                    let mut hasher = state.build_hasher();
                    for column in columns {
                        column.is_valid(row).then(|| column.value(row)).hash(&mut hasher);
                    }
                    hasher.finish()
                });
                self.rows.insert(u128::from(high) << 64 | u128::from(low))
            }
        };
        Ok((0..last.len()).map(is_new).collect())
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
