//! Arrays of numpy's `StringDType`, whose entries only numpy's own C functions can read.
//!
//! This is the binding's only `unsafe` code: the crate `numpy` (0.30) leaves these functions out.
//! It is sound for five reasons:
//!
//! 1. The functions are what they are called as. Extension modules find them in a table whose slots
//!    keep their meaning for as long as numpy's ABI has its number, and the crate `numpy` has
//!    checked that number by the time it has said that an object is an array.
//! 2. No other code has the array: it is a copy that numpy made for us, or a new one that is given
//!    away only once it is full. So no thread changes an entry or frees a text meanwhile, and no
//!    thread waits for its dtype's allocator, which is its own too.
//! 3. Entries lie where we look: the dtype is numpy's own (by its type number, which is reserved),
//!    and the array has one dimension and is contiguous and aligned.
//! 4. A text lives in its entry or with the allocator. It is lent to a closure, for no longer than
//!    the array lives and the allocator is held; the allocator is let go of once, also in a panic.
//! 5. No Python runs while the allocator is held: closures get no `Python`, and we call none.

#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_void};
use std::ptr::{self, NonNull};

use numpy::npyffi::{_PyArray_GET_ITEM_DATA, NPY_TYPES, npy_static_string};
use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyMemoryError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyCapsule};

type Load = unsafe extern "C" fn(*mut c_void, entry: *const c_void, text: *mut npy_static_string) -> c_int;
type Pack = unsafe extern "C" fn(*mut c_void, entry: *mut c_void, text: *const c_char, size: usize) -> c_int;
type PackNull = unsafe extern "C" fn(*mut c_void, entry: *mut c_void) -> c_int;
type Acquire = unsafe extern "C" fn(dtype: *const c_void) -> *mut c_void;
type Release = unsafe extern "C" fn(allocator: *mut c_void);

/// Gives every text of an array in order, None for a missing value.
pub fn read(array: &Bound<'_, PyAny>, mut give: impl FnMut(Option<&[u8]>)) -> PyResult<()> {
    let numpy = array.py().import(intern!(array.py(), "numpy"))?;
    let options = [("copy", true), ("subok", false)].into_py_dict(array.py())?;
    let own = Own::new(numpy.call_method("array", (array,), Some(&options))?)?;
    // SAFETY: 1.
    let load: Load = unsafe { function(own.table, 313) };
    for row in 0..own.rows {
        let mut text = npy_static_string { size: 0, buf: ptr::null() };
        // SAFETY: the entry belongs to the allocator, which is held.
        match unsafe { load(own.allocator, own.entry(row), &raw mut text) } {
            0 if text.size == 0 => give(Some(&[])),
            // SAFETY: 4.
            0 => give(Some(unsafe { std::slice::from_raw_parts(text.buf.cast(), text.size) })),
            1 => give(None),
            _ => return Err(PyMemoryError::new_err("numpy could not load a text")),
        }
    }
    Ok(())
}

/// Returns a new array of this dtype with these texts; None is the dtype's missing value.
pub fn write<'py, 'a>(
    dtype: &Bound<'py, PyAny>,
    rows: usize,
    texts: impl Iterator<Item = Option<&'a [u8]>>,
) -> PyResult<Bound<'py, PyAny>> {
    // Every entry is an empty text at first.
    let own =
        Own::new(dtype.py().import(intern!(dtype.py(), "numpy"))?.call_method1("empty", (rows, dtype))?)?;
    // SAFETY: 1.
    let (pack, pack_null): (Pack, PackNull) = unsafe { (function(own.table, 314), function(own.table, 315)) };
    for (row, text) in (0..own.rows).zip(texts) {
        let status = match text {
            // SAFETY: the entry belongs to the allocator, which is held; the text is copied.
            Some(text) => unsafe { pack(own.allocator, own.entry(row), text.as_ptr().cast(), text.len()) },
            // SAFETY: as above.
            None => unsafe { pack_null(own.allocator, own.entry(row)) },
        };
        if status < 0 {
            return Err(PyMemoryError::new_err("numpy could not store a text"));
        }
    }
    Ok(own.array.clone().into_any())
}

/// An array that no other code has, and its allocator, held.
struct Own<'py> {
    array: Bound<'py, PyUntypedArray>,
    rows: usize,
    first: NonNull<c_char>,
    itemsize: usize,
    /// numpy's table of functions.
    table: NonNull<*const c_void>,
    allocator: *mut c_void,
}

impl<'py> Own<'py> {
    fn new(array: Bound<'py, PyAny>) -> PyResult<Self> {
        let py = array.py();
        let array = array.cast_into::<PyUntypedArray>()?;
        let (dtype, rows) = (array.dtype(), array.len());
        let is_right = dtype.num() == NPY_TYPES::NPY_VSTRING as c_int
            && array.ndim() == 1
            && array.is_c_contiguous()
            && array.is_aligned();
        // SAFETY: it is an array, and we are attached.
        let first = NonNull::new(unsafe { (*_PyArray_GET_ITEM_DATA(array.as_array_ptr())).data });
        let Some(first) = first.filter(|_| is_right) else {
            return Err(PyTypeError::new_err(format!("expected an array of StringDType, got numpy {dtype}")));
        };
        let module = py.import(intern!(py, "numpy._core.multiarray"))?;
        let table: Bound<'_, PyCapsule> = module.getattr(intern!(py, "_ARRAY_API"))?.cast_into()?;
        let table = table.pointer_checked(None)?.cast();
        // SAFETY: 1, and the dtype is a `StringDType`, which the array keeps alive.
        let allocator = unsafe { function::<Acquire>(table, 316)(dtype.as_ptr().cast()) };
        Ok(Self { rows, first, itemsize: dtype.itemsize(), table, allocator, array })
    }

    fn entry(&self, row: usize) -> *mut c_void {
        assert!(row < self.rows, "a row of the array");
        // SAFETY: 3.
        unsafe { self.first.add(row * self.itemsize).as_ptr().cast() }
    }
}

impl Drop for Own<'_> {
    fn drop(&mut self) {
        // SAFETY: 1, and it was acquired once, in `new`.
        unsafe { function::<Release>(self.table, 318)(self.allocator) }
    }
}

/// Returns a function of numpy's, which must be of type `F`.
unsafe fn function<F: Copy>(table: NonNull<*const c_void>, slot: usize) -> F {
    // SAFETY: the table is longer than the slots asked for here, and lives as long as the process.
    unsafe { table.add(slot).cast::<F>().read() }
}
