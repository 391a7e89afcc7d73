//! Operations with Python's values, applied to a profile, a dict.
//!
//! `idmerge.profiles.updates` has the rules. Here are those of values of the exact types that JSON
//! has; whatever else a profile holds, such as a list with an index, is left to the functions
//! there.

use idmerge_events::updates::{OPERATIONS, Stated, Updates};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString};

use crate::profiles::rows::Reader;
use crate::profiles::texts::Texts;

/// The longest list of texts that is searched text by text; `LONGEST_SEARCHED` in Python.
const LONGEST_SEARCHED: usize = 16;

/// An operation of SPEC 10; the numbers are places among [`OPERATIONS`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind(u8);

impl Kind {
    pub const SET: Self = Self(0);
    pub const SET_ONCE: Self = Self(1);
    pub const ADD: Self = Self(2);
    pub const APPEND: Self = Self(3);
    pub const UNION: Self = Self(4);
    pub const REMOVE: Self = Self(5);
    pub const UNSET: Self = Self(6);
    pub const DELETE: Self = Self(7);

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..OPERATIONS.len() as u8).map(Self)
    }

    /// Returns the operation at a place.
    pub fn at(place: u8) -> Self {
        Self(place)
    }

    /// Returns its place.
    pub fn place(self) -> usize {
        usize::from(self.0)
    }

    /// Returns whether it makes a profile where there is none.
    fn makes(self) -> bool {
        self <= Self::UNION
    }
}

/// A property and the value of the operation on it, None for a name alone.
pub type Pair<'py> = (Bound<'py, PyString>, Option<Bound<'py, PyAny>>);

/// The operations of one update.
#[derive(Default)]
pub struct Operations<'py> {
    /// Each operation with the end of its pairs, in the order in which they are applied.
    pub kinds: Vec<(Kind, usize)>,
    /// The pairs of all of them.
    pub pairs: Vec<Pair<'py>>,
}

impl<'py> Operations<'py> {
    /// Removes all of them.
    pub fn clear(&mut self) {
        self.kinds.clear();
        self.pairs.clear();
    }

    /// Takes the operations of an update that was read from text, in place of others.
    pub fn take(
        &mut self,
        py: Python<'py>,
        updates: &Updates,
        stated: &Stated<'_>,
        texts: &mut Texts,
    ) -> PyResult<()> {
        self.clear();
        for operation in stated.operations {
            let kind = Kind::at(operation.kind);
            let mut reader = Reader { updates, texts, place: operation.first };
            for _ in 0..operation.count {
                let name = reader.text(py);
                let value = (kind != Kind::UNSET).then(|| reader.value(py)).transpose()?;
                self.pairs.push((name, value));
            }
            self.kinds.push((kind, self.pairs.len()));
        }
        Ok(())
    }

    /// Takes `$set` and `$set_once` from a dict, in place of others.
    pub fn take_dict(&mut self, operations: &Bound<'py, PyDict>) -> PyResult<()> {
        self.clear();
        for kind in [Kind::SET, Kind::SET_ONCE] {
            if let Some(operand) = operations.get_item(OPERATIONS[kind.place()])? {
                for (name, value) in operand.cast::<PyDict>()? {
                    self.pairs.push((name.cast_into()?, Some(value)));
                }
                self.kinds.push((kind, self.pairs.len()));
            }
        }
        Ok(())
    }

    /// Returns the properties and values of all of them.
    pub fn properties(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let properties = PyDict::new(py);
        for (name, value) in &self.pairs {
            properties.set_item(name, value)?;
        }
        Ok(properties)
    }

    /// Applies them to the profile at `place`, and returns whether all could be applied.
    ///
    /// `functions` are those of Python, one for each operation.
    pub fn apply(
        &self,
        stored: &Bound<'py, PyDict>,
        place: &Bound<'py, PyString>,
        functions: &[Py<PyAny>],
    ) -> PyResult<bool> {
        let py = stored.py();
        let before = stored.get_item(place)?.map(|profile| Ok::<_, PyErr>(profile.cast_into::<PyDict>()?));
        let before = before.transpose()?;
        let is_stored = before.is_some();
        let (mut profile, mut all_applied, mut start) = (before, true, 0);
        for &(kind, end) in &self.kinds {
            let pairs = &self.pairs[start..end];
            start = end;
            if kind == Kind::DELETE {
                profile = None;
                continue;
            }
            let profile = match &mut profile {
                Some(profile) => profile,
                None if kind.makes() => profile.insert(PyDict::new(py)),
                None => continue,
            };
            let function = functions[kind.place()].bind(py);
            for (name, value) in pairs {
                all_applied &= match value {
                    None => unset(profile, name)?,
                    Some(value) => changed(kind, profile, name, value, function)?,
                };
            }
        }
        match profile {
            Some(profile) if !is_stored => stored.set_item(place, profile)?,
            None if is_stored => stored.del_item(place)?,
            _ => {}
        }
        Ok(all_applied)
    }
}

fn unset(profile: &Bound<'_, PyDict>, name: &Bound<'_, PyString>) -> PyResult<bool> {
    if profile.contains(name)? {
        profile.del_item(name)?;
    }
    Ok(true)
}

/// Applies an operation to a property, and returns whether it could be.
#[inline]
fn changed<'py>(
    kind: Kind,
    profile: &Bound<'py, PyDict>,
    name: &Bound<'py, PyString>,
    value: &Bound<'py, PyAny>,
    function: &Bound<'py, PyAny>,
) -> PyResult<bool> {
    if kind == Kind::SET {
        return profile.set_item(name, value).map(|()| true);
    }
    let old = profile.get_item(name)?;
    let done = match kind {
        Kind::SET_ONCE => {
            if old.is_none() {
                profile.set_item(name, value)?;
            }
            Some(true)
        }
        Kind::ADD => added(profile, name, old.as_ref(), value)?,
        Kind::APPEND => appended(profile, name, old.as_ref(), value)?,
        Kind::UNION => united(profile, name, old.as_ref(), value)?,
        Kind::REMOVE => removed(old.as_ref(), value)?,
        _ => None,
    };
    done.map_or_else(|| function.call1((profile, name, value))?.extract(), Ok)
}

/// A number of a type that JSON has, within 64 bits if it is an integer.
enum Number {
    Integer(i64),
    Float(f64),
}

impl Number {
    fn of(object: &Bound<'_, PyAny>) -> Option<Self> {
        if let Ok(float) = object.cast_exact::<PyFloat>() {
            return Some(Self::Float(float.value()));
        }
        object.cast_exact::<PyInt>().ok()?.extract().ok().map(Self::Integer)
    }

    /// Returns it as a double, rounded as Python does.
    #[expect(clippy::cast_precision_loss, reason = "it is the rule")]
    fn as_float(&self) -> f64 {
        match self {
            Self::Integer(number) => *number as f64,
            Self::Float(number) => *number,
        }
    }
}

fn added<'py>(
    profile: &Bound<'py, PyDict>,
    name: &Bound<'py, PyString>,
    old: Option<&Bound<'py, PyAny>>,
    value: &Bound<'py, PyAny>,
) -> PyResult<Option<bool>> {
    let Some(more) = Number::of(value) else { return Ok(None) };
    let Some(old) = old.map_or(Some(Number::Integer(0)), Number::of) else { return Ok(None) };
    if let (Number::Integer(old), Number::Integer(more)) = (&old, &more) {
        let Some(total) = old.checked_add(*more) else { return Ok(None) };
        return profile.set_item(name, total).map(|()| Some(true));
    }
    let total = old.as_float() + more.as_float();
    if !total.is_finite() {
        return Ok(Some(false));
    }
    profile.set_item(name, total).map(|()| Some(true))
}

fn appended<'py>(
    profile: &Bound<'py, PyDict>,
    name: &Bound<'py, PyString>,
    old: Option<&Bound<'py, PyAny>>,
    value: &Bound<'py, PyAny>,
) -> PyResult<Option<bool>> {
    match old {
        None => profile.set_item(name, PyList::new(name.py(), [value])?)?,
        Some(old) => match old.cast_exact::<PyList>() {
            Ok(list) => list.append(value)?,
            Err(_) => return Ok(None),
        },
    }
    Ok(Some(true))
}

/// Returns a list of few texts and nothing else.
fn few_texts<'a, 'py>(object: &'a Bound<'py, PyAny>) -> Option<&'a Bound<'py, PyList>> {
    let list = object.cast_exact::<PyList>().ok()?;
    let is_text = |item: Bound<'_, PyAny>| item.is_exact_instance_of::<PyString>();
    (list.len() <= LONGEST_SEARCHED && list.iter().all(is_text)).then_some(list)
}

fn united<'py>(
    profile: &Bound<'py, PyDict>,
    name: &Bound<'py, PyString>,
    old: Option<&Bound<'py, PyAny>>,
    values: &Bound<'py, PyAny>,
) -> PyResult<Option<bool>> {
    let Some(values) = few_texts(values) else { return Ok(None) };
    let begun;
    let list = match old {
        None => {
            begun = PyList::empty(name.py());
            profile.set_item(name, &begun)?;
            &begun
        }
        Some(old) => match few_texts(old) {
            Some(list) => list,
            None => return Ok(None),
        },
    };
    for value in values {
        if !list.contains(&value)? {
            list.append(value)?;
        }
    }
    Ok(Some(true))
}

fn removed(old: Option<&Bound<'_, PyAny>>, value: &Bound<'_, PyAny>) -> PyResult<Option<bool>> {
    let Some(old) = old else { return Ok(Some(true)) };
    let Some(list) = few_texts(old).filter(|_| value.is_exact_instance_of::<PyString>()) else {
        return Ok(None);
    };
    for place in (0..list.len()).rev() {
        if list.get_item(place)?.eq(value)? {
            list.del_item(place)?;
        }
    }
    Ok(Some(true))
}

/// Returns whether an object is a number of JSON's types.
pub fn is_number(object: &Bound<'_, PyAny>) -> bool {
    !object.is_exact_instance_of::<PyBool>() && Number::of(object).is_some()
}
