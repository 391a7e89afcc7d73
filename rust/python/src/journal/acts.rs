//! Acts of a resolver that a journal keeps beside links, and the end of all changes.

#![expect(clippy::needless_pass_by_value, reason = "pyo3 makes an argument for the call")]

use std::sync::atomic::Ordering;

use idmerge_core::{Id, NotApart};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::columns::IdText;
use crate::errors::{Failure, KeptApartError};
use crate::resolver::{Core, Resolver, known_text, unicode, unknown};
use crate::tables::Table;

impl Resolver {
    /// Forgets a known ID by `act`, and returns what that does.
    fn forget_known<T>(
        &self,
        distinct_id: &IdText<'_>,
        act: impl FnOnce(&mut Core, Id) -> Result<T, Failure>,
    ) -> PyResult<T> {
        let py = distinct_id.py();
        let text = known_text(distinct_id)?;
        let done = {
            let _turn = self.turn(py)?;
            self.renew_era();
            let mut core = self.write(py)?;
            let found = core.get(text);
            found.map(|id| act(&mut core, id)).transpose()?
        };
        done.ok_or_else(|| unknown(distinct_id))
    }
}

#[pymethods]
impl Resolver {
    /// The number of links and acts so far: the position that the next one gets.
    #[getter]
    fn position(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.read(py)?.position())
    }

    /// Keep two IDs apart from now on.
    fn keep_apart(&self, a: IdText<'_>, b: IdText<'_>) -> PyResult<()> {
        let py = a.py();
        let (first, second) = (unicode(&a).unwrap_or_default(), unicode(&b).unwrap_or_default());
        let kept = {
            let _turn = self.turn(py)?;
            self.write(py)?.keep_apart([first, second])
        };
        match kept {
            Ok(()) => Ok(()),
            Err(NotApart::Full(error)) => Err(Failure::from(error).into()),
            Err(NotApart::Same) => {
                Err(PyValueError::new_err(format!("{} cannot be kept apart from itself", a.repr()?)))
            }
            Err(NotApart::Together) => Err(KeptApartError::new_err(format!(
                "{} and {} are together; take back the links that joined them first (explain, or idmerge why, names them)",
                a.repr()?,
                b.repr()?
            ))),
            Err(NotApart::Invalid(which)) => Err(PyValueError::new_err(format!(
                "{} can be no ID: it is empty, too long, blocked or no Unicode text",
                [&a, &b][which].repr()?
            ))),
        }
    }

    /// Forget a known ID.
    fn forget(&self, distinct_id: IdText<'_>) -> PyResult<()> {
        self.forget_known(&distinct_id, |core, id| Ok(core.forget(id)?))
    }

    /// Forget a known ID, and return what canonical IDs change.
    #[pyo3(name = "_forget_changing")]
    fn forget_changing(&self, distinct_id: IdText<'_>) -> PyResult<Table> {
        self.forget_known(&distinct_id, |core, id| {
            let changes = core.forget_changing(id)?;
            Table::changes(core, &changes, core.position())
        })
    }

    /// Refuse every call that would change something from now on, for this reason.
    #[pyo3(name = "_seal")]
    fn seal(&self, py: Python<'_>, reason: String) -> PyResult<()> {
        if self.orphaned.get().is_some() {
            return Ok(());
        }
        let _turn = self.turn_of_any(py)?;
        *self.sealed.lock().map_err(Failure::from)? = Some(reason);
        self.is_sealed.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Refuse every call from now on, for this reason, and wait for no lock to do so.
    #[pyo3(name = "_orphan")]
    fn orphan(&self, reason: String) {
        let _ = self.orphaned.set(reason);
    }
}
