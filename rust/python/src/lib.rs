//! The Python binding of idmerge: take, detach, wrap.
//!
//! It turns Python's and Arrow's texts into what the core reads, runs the core without the
//! interpreter, and wraps the answers. It decides nothing about identity.
//!
//! - [`columns`]: columns in, of text, kinds and integers, from lists, numpy and Arrow; the only
//!   unsafe code.
//! - [`tables`]: Arrow columns and tables out.
//! - [`pipeline`]: batches of steps on their way into the core, on one thread or several.
//! - [`events`]: classes over `idmerge_events`: lines of events as steps, columns and Parquet.
//! - [`resolver`]: the class that `idmerge.Resolver` extends; [`journal`]: its part that serves a
//!   journal.
//! - [`profiles`]: profile updates, applied to Python's dicts.
//! - [`disjoint`]: the classes that those of `idmerge.compat` extend, and components.
//! - [`errors`]: the core's errors as Python's exceptions; [`memory`]: objects that may not fit.
//!
//! A module uses those above it in this list, [`errors`] and [`memory`];
//! `rust/events/tests/modules.rs` checks that there are no cycles.

#![deny(unsafe_code)]

mod columns;
mod disjoint;
mod errors;
mod events;
mod journal;
mod memory;
mod pipeline;
mod profiles;
mod resolver;
mod tables;

#[pyo3::pymodule(gil_used = false)]
mod _core {
    use numpy::PyArray1;
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::disjoint::{DisjointSet, Partition, UnionFind, connected_components};
    #[pymodule_export]
    use crate::events::{
        Admission, Beginning, DistinctEvents, DistinctRows, EncodedEvents, EncodedFile, EventReader, Flat,
        Flattener, Items, RowReader, Scan, Scanner, SentIds, Spool, Transcoder, WaitingEvents, float_text,
        frame_front, frame_front_length, frame_length, frame_of_parts, inflated_body, milliseconds_of,
        stored_columns, waiting_events, whole_frames,
    };
    #[pymodule_export]
    use crate::profiles::{ProfileUpdater, UpdateRows};
    #[pymodule_export]
    use crate::resolver::Resolver;
    #[pymodule_export]
    use crate::tables::{Column, Table, utf8_of_ids};

    /// Looks numpy up: at its first use Python code would do that, where an error, such as that of
    /// Ctrl-C, is a panic.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        numpy::get_array_module(py)?;
        PyArray1::<u8>::zeros(py, 0, false);
        crate::errors::name_panics(py)
    }

    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "the name is Python's")]
    const __version__: &str = idmerge_core::VERSION;
}
