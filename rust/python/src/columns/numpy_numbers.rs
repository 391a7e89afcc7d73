//! numpy's columns of numbers in, as Arrow's.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, Float64Array, Int64Array, UInt64Array};
use numpy::{Element, PyReadonlyArray1};
use pyo3::intern;
use pyo3::prelude::*;

/// Reads an array of integers, or of floats of 32 or 64 bits; returns None if it is any other.
pub fn read(array: &Bound<'_, PyAny>) -> PyResult<Option<ArrayRef>> {
    let dtype = array.getattr(intern!(array.py(), "dtype"))?;
    let kind: String = dtype.getattr(intern!(array.py(), "kind"))?.extract()?;
    let itemsize: usize = dtype.getattr(intern!(array.py(), "itemsize"))?.extract()?;
    Ok(Some(match (kind.as_str(), itemsize) {
        ("i", _) => Arc::new(Int64Array::from(values::<i64>(array, "int64")?)),
        ("u", _) => Arc::new(UInt64Array::from(values::<u64>(array, "uint64")?)),
        ("f", 4) => Arc::new(Float32Array::from(values::<f32>(array, "float32")?)),
        ("f", 8) => Arc::new(Float64Array::from(values::<f64>(array, "float64")?)),
        _ => return Ok(None),
    }))
}

/// Returns the values of an array as a type that holds all of them.
fn values<T: Element + Copy>(array: &Bound<'_, PyAny>, dtype: &str) -> PyResult<Vec<T>> {
    let numpy = array.py().import(intern!(array.py(), "numpy"))?;
    let values = numpy.call_method1(intern!(array.py(), "asarray"), (array, dtype))?;
    Ok(values.extract::<PyReadonlyArray1<'_, T>>()?.as_array().to_vec())
}
