//! The Python binding of idmerge: take, detach, wrap.
//!
//! It turns Python's and Arrow's texts into what the core reads, runs the core without the
//! interpreter, and wraps the answers. It decides nothing about identity.
//!
//! - [`resolver`]: the class that `idmerge.Resolver` extends.
//! - [`partition`]: the base of [`disjoint_set`] and [`union_find`], the classes of `idmerge.compat`.
//! - [`objects`]: any hashable object as a number.
//! - [`components`]: what is connected, without a policy.
//! - [`links`]: links without a policy in.
//! - [`imported`]: Arrow arrays in, checked; [`column`]: text columns in.
//! - [`numpy_text`]: numpy's columns of text, in and out; [`string_dtype`]: the only unsafe code.
//! - [`batches`]: steps on their way into the core; [`relay`]: who works on them; [`turn`]: one call at a time.
//! - [`lookups`]: the canonical IDs of whole columns.
//! - [`kinds`]: what kind each link of a batch is.
//! - [`journal`]: what a resolver does with a journal.
//! - [`events`]: lines of events as steps, columns and Parquet; [`scanned`]: their steps into a resolver.
//! - [`table`]: Arrow columns and tables out.
//! - [`settings`]: the policy and the strategy, from Python's objects.
//! - [`errors`]: the core's errors as Python's exceptions; [`memory`]: objects that may not fit.

#![deny(unsafe_code)]

mod batches;
mod column;
mod components;
mod disjoint_set;
mod errors;
mod events;
mod imported;
mod journal;
mod kinds;
mod links;
mod lookups;
mod memory;
mod numpy_text;
mod objects;
mod partition;
mod relay;
mod resolver;
mod scanned;
mod settings;
mod string_dtype;
mod table;
mod turn;
mod union_find;

#[pyo3::pymodule(gil_used = false)]
mod _core {
    use numpy::PyArray1;
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::components::connected_components;
    #[pymodule_export]
    use crate::disjoint_set::DisjointSet;
    #[pymodule_export]
    use crate::events::{
        DistinctRows, EncodedEvents, EncodedFile, Flat, Flattener, Items, Scan, Scanner, SentIds, Spool,
        float_text,
    };
    #[pymodule_export]
    use crate::partition::Partition;
    #[pymodule_export]
    use crate::resolver::Resolver;
    #[pymodule_export]
    use crate::table::{Column, Table};
    #[pymodule_export]
    use crate::union_find::UnionFind;

    /// Looks numpy up: at its first use Python code would do that, where an error, such as that of Ctrl-C, is a
    /// panic.
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
