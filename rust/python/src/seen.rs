//! Rows that were seen before, told by a hash of 128 bits: 16 bytes a row, whatever stands in it.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::sync::Mutex;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_schema::DataType;
use numpy::PyArray1;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::errors::Failure;
use crate::imported::read_arrow;

/// The rows that were seen.
///
/// Two rows are taken for one if both their hashes are equal: `SipHash`, under keys of the process's own, which
/// nobody can aim at.
#[pyclass(frozen, module = "idmerge._core")]
pub struct Seen {
    rows: Mutex<HashSet<u128, BuildHasherDefault<Itself>>>,
    hashes: [RandomState; 2],
}

/// A hash of what is a hash already.
#[derive(Default)]
struct Itself(u64);

impl Hasher for Itself {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.first_chunk().map_or(0, |first| u64::from_ne_bytes(*first));
    }
}

#[pymethods]
impl Seen {
    #[new]
    fn new() -> Self {
        Self { rows: Mutex::default(), hashes: [RandomState::new(), RandomState::new()] }
    }

    /// Return, for each row of text ``columns``, whether none like it came before.
    ///
    /// A row that is null in the last of them is like no other.
    #[expect(clippy::needless_pass_by_value, reason = "it is made for this call")]
    fn are_new<'py>(
        &self,
        py: Python<'py>,
        columns: Vec<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray1<bool>>> {
        let mut arrays = Vec::new();
        for column in &columns {
            let (chunks, _) = read_arrow(column, "a column")?;
            let [chunk] = chunks.as_slice() else {
                return Err(PyValueError::new_err(format!("a column has {} chunks, not one", chunks.len())));
            };
            if *chunk.data_type() != DataType::Utf8 {
                return Err(PyTypeError::new_err(format!(
                    "a column must be utf8, got {}",
                    chunk.data_type()
                )));
            }
            arrays.push(chunk.clone());
        }
        let texts: Vec<_> = arrays.iter().map(AsArray::as_string::<i32>).collect();
        let Some(last) = texts.last() else { return Err(PyValueError::new_err("there are no columns")) };
        if texts.iter().any(|column| column.len() != last.len()) {
            return Err(PyValueError::new_err("columns must have the same length"));
        }
        let are_new = py.detach(|| -> Result<Vec<bool>, Failure> {
            let mut seen = self.rows.lock()?;
            let mut is_new = |row: usize| {
                last.is_null(row) || {
                    let [high, low] = self.hashes.each_ref().map(|state| {
                        let mut hasher = state.build_hasher();
                        for column in &texts {
                            column.is_valid(row).then(|| column.value(row)).hash(&mut hasher);
                        }
                        hasher.finish()
                    });
                    seen.insert(u128::from(high) << 64 | u128::from(low))
                }
            };
            Ok((0..last.len()).map(&mut is_new).collect())
        })?;
        Ok(PyArray1::from_vec(py, are_new))
    }

    /// Return how many different rows were seen.
    fn __len__(&self) -> PyResult<usize> {
        Ok(self.rows.lock().map_err(Failure::from)?.len())
    }
}
