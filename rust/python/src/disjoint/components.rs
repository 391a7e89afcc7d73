//! Connected components of two columns, without a policy.

use arrow_schema::DataType;
use idmerge_core::Components;
use numpy::PyArray1;
use pyo3::prelude::*;

use crate::columns::{Form, unsigned};
use crate::disjoint::links::{Links, Numbered};
use crate::tables::{Column, Texts};

/// A component's number for each ID or row. An ID's limit is i32's.
type Labels<'py> = Bound<'py, PyArray1<i32>>;

/// Return how many components there are, the IDs, each ID's component, and each row's.
#[pyfunction]
#[pyo3(name = "_connected_components")]
pub fn connected_components<'py>(
    py: Python<'py>,
    first: &Bound<'py, PyAny>,
    second: &Bound<'py, PyAny>,
) -> PyResult<(u32, Bound<'py, PyAny>, Labels<'py>, Labels<'py>)> {
    let numbered = Links::from_python(first, second)?.number(py)?;
    let (count, labels, rows) = py.detach(|| {
        let Components { count, labels } = Components::of(numbered.len(), numbered.links());
        let labels: Vec<i32> = labels.into_iter().map(u32::cast_signed).collect();
        let rows: Vec<i32> = numbered.links().iter().map(|[first, _]| labels[*first as usize]).collect();
        (count, labels, rows)
    });
    let ids = ids(py, &numbered)?;
    Ok((count, ids, PyArray1::from_vec(py, labels), PyArray1::from_vec(py, rows)))
}

/// Returns the values as an Arrow column of text or a numpy array of integers.
fn ids<'py>(py: Python<'py>, numbered: &Numbered) -> PyResult<Bound<'py, PyAny>> {
    match numbered {
        Numbered::Texts(distinct) => {
            let column = py.detach(|| {
                let mut texts = Texts::with_capacity(distinct.len());
                distinct.iter().for_each(|text| texts.push(Some(text.as_bytes())));
                Column::of(texts, &DataType::Utf8)
            })?;
            Ok(Bound::new(py, column)?.into_any())
        }
        Numbered::Integers { integers, form: Form::Signed, .. } => {
            Ok(PyArray1::from_slice(py, integers).into_any())
        }
        Numbered::Integers { integers, form: Form::Unsigned, .. } => {
            Ok(PyArray1::from_iter(py, integers.iter().copied().map(unsigned)).into_any())
        }
    }
}
