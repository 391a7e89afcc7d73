//! Checkpoints: files that spare a resolver reading its journal back.

#![expect(clippy::needless_pass_by_value, reason = "pyo3 makes an argument for the call")]

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use idmerge_core::{Moment, Part};
use pyo3::prelude::*;

use crate::errors::Failure;
use crate::resolver::{Core, Resolver};

/// Returns whether a resolver is at the position, and has numbered the IDs, that a moment states
/// last.
fn is_at(core: &Core, moment: Moment) -> bool {
    let [.., position, ids, _] = moment;
    core.position() == position && core.numbered() as u64 == ids
}

#[pymethods]
impl Resolver {
    /// Write what the resolver is to a file, if it is what the journal held at ``moment``; return
    /// whether.
    #[pyo3(name = "_save")]
    fn save(&self, py: Python<'_>, path: PathBuf, moment: Moment) -> PyResult<bool> {
        let _turn = self.turn_of_any(py)?;
        let is_saved = py.detach(|| {
            let core = self.read_detached()?;
            let is_pending = core.pending().is_some_and(|pending| !pending.steps.codes.is_empty());
            if is_pending || !is_at(&core, moment) {
                return Ok::<_, Failure>(false);
            }
            // A file of its own: what a link leads to is not to be written over.
            let mut file = File::create_new(path)?;
            let second = core.save(moment, &mut file)?;
            file.write_all(&second.to_le_bytes())?;
            Ok(true)
        });
        Ok(is_saved?)
    }

    /// Take over the resolver in a file, if it was written at this moment.
    #[pyo3(name = "_load")]
    fn load(&self, py: Python<'_>, path: PathBuf, moment: Moment) -> PyResult<()> {
        let _turn = self.turn_of_any(py)?;
        self.renew_era();
        py.detach(|| {
            // Two parts, and behind them the length of the second one.
            let (mut texts, mut rest) = (File::open(&path)?, File::open(&path)?);
            let mut second = [0; 8];
            let end = rest.seek(SeekFrom::End(-8))?;
            rest.read_exact(&mut second)?;
            let second = u64::from_le_bytes(second);
            let first =
                end.checked_sub(second).ok_or_else(|| Failure::Damaged("it is cut off".to_owned()))?;
            rest.seek(SeekFrom::Start(first))?;
            let parts: [Part; 2] = [(&mut texts, first), (&mut rest, second)];
            let loaded = self.read_detached()?.loaded(parts, |written| written == moment);
            let loaded = loaded.map_err(|error| match error.kind() {
                ErrorKind::OutOfMemory => Failure::no_memory(),
                _ => Failure::Damaged(error.to_string()),
            })?;
            if !is_at(&loaded, moment) {
                return Err(Failure::Damaged("it is not what the journal held then".to_owned()));
            }
            *self.core.write()? = loaded;
            Ok::<_, Failure>(())
        })?;
        Ok(())
    }
}
