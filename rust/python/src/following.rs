//! Who the sender of each event was thought to be when it came: answers and steps in turn.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_schema::DataType;
use idmerge_core::{Resolver as Core, Step};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::column::read_arrow;
use crate::errors::Failure;
use crate::resolver::Resolver;
use crate::scan::{Scan, Steps};
use crate::table::{Column, Texts};

#[pymethods]
impl Resolver {
    /// Take rows of a scan as `_take_scan` does, and return whom each of ``ids`` meant before its row was taken.
    #[pyo3(name = "_follow_scan")]
    fn follow_scan(
        &self,
        ids: &Bound<'_, PyAny>,
        scan: &Bound<'_, Scan>,
        rows: (usize, usize),
        codes: &[u8],
        left: &Bound<'_, PyList>,
        right: &Bound<'_, PyList>,
    ) -> PyResult<Column> {
        let py = scan.py();
        let (arrays, _) = read_arrow(ids)?;
        if arrays.iter().any(|array| *array.data_type() != DataType::Utf8) {
            return Err(PyTypeError::new_err("ids must be a column of utf8"));
        }
        let given: usize = arrays.iter().map(Array::len).sum();
        if given != rows.1.saturating_sub(rows.0) {
            return Err(PyValueError::new_err(format!("{given} ids came for the rows {rows:?}")));
        }
        let steps = Steps::new(scan.get(), rows, codes, left, right)?;
        let _turn = self.turn(py)?;
        let texts = py.detach(|| {
            let mut core = self.write_detached()?;
            let ids = arrays.iter().flat_map(|array| array.as_string::<i32>().iter());
            follow(&mut core, ids, steps.iter()).map_err(Failure::from)
        })?;
        texts.into_column(&DataType::Utf8)
    }
}

fn follow<'a>(
    core: &mut Core,
    ids: impl Iterator<Item = Option<&'a str>>,
    steps: impl Iterator<Item = Step<'a>>,
) -> Result<Texts, idmerge_core::Error> {
    let mut texts = Texts::default();
    for (id, step) in ids.zip(steps) {
        match id.map(|id| (id, core.get(id))) {
            None => texts.push(None),
            Some((id, None)) => texts.push(Some(id.as_bytes())),
            Some((_, Some(known))) => texts.push(Some(core.text(core.canonical(known)).as_str().as_bytes())),
        }
        match step {
            Step::Link(kind, left, right) => _ = core.link(kind, left, right)?,
            Step::Observe(id) => core.observe(id)?,
        }
    }
    Ok(texts)
}
