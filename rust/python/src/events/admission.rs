//! The items of requests that a server takes.

use idmerge_events::admission::{self, Limits, Owners, Refusal, Route};
use idmerge_events::{Error, bodies};
use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyBytes, PyString};

use crate::errors::MalformedEventError;

/// Bytes of a body from which on other threads may run meanwhile: to wait for their end takes
/// longer than to read a shorter one.
const LARGE: usize = 16 << 10;
/// The same of a body that is no plain JSON, and so may be gzip of a thousand times as many bytes.
const LARGE_PACKED: usize = 1 << 10;

/// A failure as a tuple: the item's place, the wrong field, the message, and the item's insert ID.
type FailureRow<'py> = (usize, &'static str, String, Bound<'py, PyAny>);
/// The lines of each project, the numbers of items that are taken and of those whose token is
/// unknown, and the failures.
type AdmittedRows<'py> = (Vec<(usize, Bound<'py, PyBytes>)>, usize, usize, Vec<FailureRow<'py>>);

/// Decides which items of a request are taken.
#[pyclass(frozen, module = "idmerge._core")]
pub struct Admission(admission::Admission);

#[pymethods]
impl Admission {
    /// Take a route, the names of identity events, and the limits of requests and items.
    #[new]
    #[pyo3(signature = (route, identity_events, *, max_bytes, max_items, max_item, max_properties, max_name))]
    fn new(
        route: &str,
        identity_events: Vec<String>,
        max_bytes: usize,
        max_items: usize,
        max_item: usize,
        max_properties: usize,
        max_name: usize,
    ) -> PyResult<Self> {
        let route = match route {
            "track" => Route::Track,
            "import" => Route::Import,
            "strict" => Route::StrictImport,
            "engage" => Route::Engage,
            "groups" => Route::Groups,
            _ => return Err(PyValueError::new_err(format!("no route is called {route:?}"))),
        };
        let limits = Limits {
            bytes: max_bytes,
            items: max_items,
            item: max_item,
            properties: max_properties,
            name: max_name,
        };
        Ok(Self(admission::Admission::new(route, limits, identity_events)))
    }

    /// Return the items of a body that are taken.
    ///
    /// `MalformedEventError` if it holds none, `OverflowError` if it is too long.
    #[pyo3(signature = (body, kind, received, tokens=None, fallback=""))]
    #[expect(clippy::needless_pass_by_value, reason = "pyo3 makes the list for this call")]
    fn admit<'py>(
        &self,
        py: Python<'py>,
        body: &[u8],
        kind: Option<&str>,
        received: i64,
        tokens: Option<Vec<PyBackedStr>>,
        fallback: &str,
    ) -> PyResult<AdmittedRows<'py>> {
        let tokens: Option<Vec<&str>> = tokens.as_ref().map(|all| all.iter().map(|one| &**one).collect());
        let owners = tokens.as_ref().map_or(Owners::One, |tokens| Owners::ByToken(tokens, fallback));
        let admit = || self.0.admit(body, kind, received, owners);
        let is_plain = matches!(body.trim_ascii_start().first(), Some(b'[' | b'{'));
        let large = if is_plain { LARGE } else { LARGE_PACKED };
        let admitted = if body.len() < large { admit() } else { py.detach(admit) };
        let admitted = admitted.map_err(|refusal| match refusal {
            Refusal::Malformed(text) => MalformedEventError::new_err(text),
            Refusal::TooLong(text) => PyOverflowError::new_err(text),
        })?;
        let lines = admitted.lines.iter().map(|(owner, lines)| (*owner, PyBytes::new(py, lines))).collect();
        let failures = admitted
            .failures
            .into_iter()
            .map(|failure| {
                let insert_id = text_of(py, &failure.insert_id)?;
                Ok((failure.place, failure.field, failure.message, insert_id))
            })
            .collect::<PyResult<_>>()?;
        Ok((lines, admitted.count, admitted.unknown, failures))
    }
}

/// Returns a text in UTF-8, in which lone surrogates may be encoded.
fn text_of<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    match str::from_utf8(bytes) {
        Ok(text) => Ok(PyString::new(py, text).into_any()),
        Err(_) => PyBytes::new(py, bytes).call_method1("decode", ("utf-8", "surrogatepass")),
    }
}

/// Return the body of a request without its gzip, if it has any.
///
/// `MalformedEventError` if the gzip is damaged, `OverflowError` if there are more than `most`
/// bytes.
#[pyfunction]
pub fn inflated_body<'py>(py: Python<'py>, body: &[u8], most: usize) -> PyResult<Bound<'py, PyBytes>> {
    let content = py.detach(|| bodies::inflated(body.into(), most)).map_err(|error| match error {
        Error::TooLong(text) => PyOverflowError::new_err(text),
        error => MalformedEventError::new_err(error.to_string()),
    })?;
    Ok(PyBytes::new(py, &content))
}
