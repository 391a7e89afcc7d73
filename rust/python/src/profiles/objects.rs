//! Updates as Python's dicts.
//!
//! Here are read exact dicts whose keys are exact str and whose values are exactly of the types
//! that JSON has, with integers of 64 bits; any other update is left to Python. Texts and numbers
//! do not change, so they are shared; lists and dicts are copied.
//!
//! A dict is never asked for its next item after an object was made, which may run finalizers.

use idmerge_events::updates::{DISTINCT_ID, IGNORE_ALIAS, OPERATIONS, PROPERTIES};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBoolMethods, PyDict, PyFloat, PyInt, PyList, PyString};

use crate::profiles::operations::{Kind, Operations, Pair, is_number};

/// The greatest depth of lists and dicts; Python takes one more.
const DEEPEST: u8 = 99;

/// The part of an update beside its operations.
pub struct Head<'py> {
    pub distinct_id: Bound<'py, PyString>,
    /// Whether it is for the profile of that very ID.
    pub exactly: bool,
    /// Whether it is a row of an export; its operation is `$set`.
    pub is_row: bool,
}

/// Takes the operations of an update, in place of others, and returns the rest of it; with
/// `takes_rows` also a row of an export. None leaves it to Python, which also meets any error
/// again.
pub fn take<'py>(
    update: &Bound<'py, PyDict>,
    operations: &mut Operations<'py>,
    takes_rows: bool,
) -> Option<Head<'py>> {
    let (mut distinct_id, mut exactly, mut properties, mut others) = (None, false, None, 0);
    let mut operands = [const { None }; OPERATIONS.len()];
    for (key, value) in update {
        match key.cast_exact::<PyString>().ok()?.to_str().ok()? {
            DISTINCT_ID => distinct_id = Some(value),
            IGNORE_ALIAS => {
                exactly = value.cast_exact::<PyBool>().is_ok_and(PyBoolMethods::is_true);
                others += 1;
            }
            PROPERTIES => properties = Some(value),
            key => match OPERATIONS.iter().position(|name| *name == key) {
                Some(kind) => operands[kind] = Some(value),
                None => others += 1,
            },
        }
    }
    let is_row = operands.iter().all(Option::is_none);
    if is_row {
        if others > 0 || !takes_rows {
            return None;
        }
        operands[Kind::SET.place()] = properties;
    }
    operations.clear();
    for (kind, operand) in Kind::all().zip(&operands) {
        if let Some(operand) = operand {
            push(kind, operand, &mut operations.pairs)?;
            operations.kinds.push((kind, operations.pairs.len()));
        }
    }
    let distinct_id = text_of_id(distinct_id?)?;
    (!operations.kinds.is_empty()).then_some(Head { distinct_id, exactly, is_row })
}

fn text_of_id(distinct_id: Bound<'_, PyAny>) -> Option<Bound<'_, PyString>> {
    match distinct_id.cast_into_exact::<PyString>() {
        Ok(text) => Some(text),
        Err(error) => {
            let number = error.into_inner().cast_into_exact::<PyInt>().ok()?;
            number.extract::<i64>().ok().map(|digits| PyString::new(number.py(), &digits.to_string()))
        }
    }
}

/// Appends the pairs of an operation.
fn push<'py>(kind: Kind, operand: &Bound<'py, PyAny>, pairs: &mut Vec<Pair<'py>>) -> Option<()> {
    match kind {
        Kind::DELETE => {}
        Kind::UNSET => {
            for name in operand.cast_exact::<PyList>().ok()? {
                pairs.push((name.cast_into_exact::<PyString>().ok()?, None));
            }
        }
        _ => {
            let start = pairs.len();
            for (name, value) in operand.cast_exact::<PyDict>().ok()? {
                pairs.push((name.cast_into_exact::<PyString>().ok()?, Some(value)));
            }
            for (_, value) in &mut pairs[start..] {
                let held = value.as_ref()?;
                let is_taken = match kind {
                    Kind::ADD => is_number(held),
                    Kind::UNION => held.is_exact_instance_of::<PyList>(),
                    _ => true,
                };
                *value = Some(is_taken.then(|| copied(held, 2)).flatten()?);
            }
        }
    }
    Some(())
}

/// Returns a copy of a value within `depth` others.
#[inline]
fn copied<'py>(value: &Bound<'py, PyAny>, depth: u8) -> Option<Bound<'py, PyAny>> {
    let is_plain = value.is_exact_instance_of::<PyString>()
        || value.cast_exact::<PyInt>().is_ok_and(|number| number.extract::<i64>().is_ok())
        || value.is_none()
        || value.is_exact_instance_of::<PyBool>()
        || value.cast_exact::<PyFloat>().is_ok_and(|number| number.value().is_finite());
    if is_plain { Some(value.clone()) } else { copied_whole(value, depth) }
}

fn copied_whole<'py>(value: &Bound<'py, PyAny>, depth: u8) -> Option<Bound<'py, PyAny>> {
    if depth > DEEPEST {
        return None;
    }
    if let Ok(list) = value.cast_exact::<PyList>() {
        let copy = list.get_slice(0, list.len());
        for place in 0..copy.len() {
            let item = copied(&copy.get_item(place).ok()?, depth + 1)?;
            copy.set_item(place, item).ok()?;
        }
        return Some(copy.into_any());
    }
    let items: Vec<_> = value.cast_exact::<PyDict>().ok()?.iter().collect();
    let copy = PyDict::new(value.py());
    for (key, item) in items {
        copy.set_item(key.cast_into_exact::<PyString>().ok()?, copied(&item, depth + 1)?).ok()?;
    }
    Some(copy.into_any())
}
