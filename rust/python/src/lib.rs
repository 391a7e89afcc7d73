//! The Python binding.

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    const __version__: &str = idmerge_core::VERSION;
}
