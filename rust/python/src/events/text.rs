//! The classes that turn JSON text of any form and dialect into lines of events.

use std::sync::Mutex;

use idmerge_events::array::ArrayLines;
use idmerge_events::beginning::{self, Form, LISTS};
use idmerge_events::pages::PageLines;
use idmerge_events::transcode::{self, Dialect, Vendor};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::errors::Failure;

/// Turns the text of a JSON array, behind its opening bracket, into lines; or objects, or pages.
#[pyclass(frozen, module = "idmerge._core")]
pub struct Items(Mutex<Container>);

enum Container {
    Items(ArrayLines),
    Pages(PageLines),
}

#[pymethods]
impl Items {
    /// Take the form of the text, or the page's list, as `Beginning` knows it; none for an array,
    /// and "rest" for one behind a comma.
    #[new]
    #[pyo3(signature = (form=None))]
    fn new(form: Option<&str>) -> PyResult<Self> {
        let container = match form {
            None => Container::Items(ArrayLines::default()),
            Some("rest") => Container::Items(ArrayLines::behind_comma()),
            Some("objects") => Container::Items(ArrayLines::of_objects()),
            Some(form) => {
                let Some(keys) = LISTS.into_iter().find(|keys| keys.join(".") == form) else {
                    return Err(PyValueError::new_err(format!("no form is called {form:?}")));
                };
                Container::Pages(PageLines::new(keys))
            }
        };
        Ok(Self(Mutex::new(container)))
    }

    /// Turn the next piece of text into lines; an empty one ends it.
    ///
    /// Returns the lines, and what is wrong behind them, if anything is.
    fn cut<'py>(&self, text: &Bound<'py, PyBytes>) -> PyResult<(Bound<'py, PyBytes>, Option<String>)> {
        let py = text.py();
        let text = PyBackedBytes::from(text.clone());
        let (lines, wrong) = py.detach(|| -> Result<_, Failure> {
            let mut lines = Vec::with_capacity(text.len() + 1);
            let wrong = match &mut *self.0.lock()? {
                Container::Items(items) => items.cut(&text, &mut lines),
                Container::Pages(pages) => pages.cut(&text, &mut lines),
            };
            Ok((lines, wrong.err()))
        })?;
        Ok((PyBytes::new(py, &lines), wrong))
    }
}

/// Finds out the form of a JSON text that begins with an object.
#[pyclass(frozen, module = "idmerge._core")]
#[derive(Default)]
pub struct Beginning(Mutex<beginning::Beginning>);

#[pymethods]
impl Beginning {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Look at the next piece of text, an empty one for the end; return the form once it is known.
    fn take(&self, text: &[u8]) -> Result<Option<&'static str>, Failure> {
        let form = self.0.lock()?.take(text);
        Ok(form.map(|form| match form {
            Form::Lines => "lines",
            Form::Objects => "objects",
        }))
    }

    /// Return the keys of the list that the first object has, if it may be that of a page.
    fn page(&self) -> Result<Option<String>, Failure> {
        Ok(self.0.lock()?.page().map(|keys| keys.join(".")))
    }

    /// Return the keys of the first object, as far as it was looked at.
    fn first_keys(&self) -> Result<Vec<String>, Failure> {
        Ok(self.0.lock()?.first_keys().collect())
    }
}

/// The fields of another product's rows with their keys, those of an event's ID, the names of
/// events that are left to the caller, the key of a call with those that are left, and the value of
/// the call that links two fields, with these.
type VendorFacts = (
    Vec<(String, Vec<String>)>,
    Vec<String>,
    Vec<String>,
    (String, Vec<String>),
    Option<(String, String, String)>,
);

/// Turns lines of a dialect into lines of the raw shape.
#[pyclass(frozen, module = "idmerge._core")]
pub struct Transcoder(Mutex<transcode::Transcoder>);

#[pymethods]
impl Transcoder {
    /// Take a dialect's keys, other spellings of properties, the longest line, and what rows of
    /// another product have besides.
    #[new]
    #[pyo3(signature = (events, properties, is_flat, record, names, prefix, longest, vendor=None))]
    #[expect(clippy::too_many_arguments, reason = "each is a fact of its own about a dialect")]
    fn new(
        events: Vec<String>,
        properties: Vec<String>,
        is_flat: bool,
        record: Option<String>,
        names: Vec<(String, String)>,
        prefix: &str,
        longest: usize,
        vendor: Option<VendorFacts>,
    ) -> Self {
        let dialect = Dialect::new(events, properties, is_flat, record, names, prefix);
        let dialect = match vendor {
            None => dialect,
            Some((fields, own_id, left_names, calls, identify)) => {
                let vendor = Vendor::new(fields, own_id, left_names, calls);
                dialect.of_vendor(match identify {
                    None => vendor,
                    Some((value, first, second)) => vendor.with_identify(&value, [first, second]),
                })
            }
        };
        Self(Mutex::new(transcode::Transcoder::new(dialect, longest)))
    }

    /// Transcode the lines that end in the next piece of text; an empty one ends the last line.
    fn cut<'py>(&self, text: &Bound<'py, PyBytes>) -> PyResult<Bound<'py, PyBytes>> {
        let py = text.py();
        let text = PyBackedBytes::from(text.clone());
        let lines = py.detach(|| -> Result<_, Failure> {
            let mut lines = Vec::with_capacity(text.len() + text.len() / 8 + 64);
            self.0.lock()?.cut(&text, &mut lines);
            Ok(lines)
        })?;
        Ok(PyBytes::new(py, &lines))
    }
}
