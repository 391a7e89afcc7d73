//! The policy and the strategy, from Python's objects, which have checked themselves.

use std::collections::HashSet;

use idmerge_core::{AnonFormat, AnonGuard, Api, Policy, Strategy};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// `idmerge.Policy`, attribute by attribute.
#[derive(FromPyObject)]
pub struct PolicyFields {
    api: String,
    max_cluster_size: Option<Limit<u32>>,
    anon_format: String,
    anon_guard: String,
    alias_once: bool,
    blocked_ids: HashSet<String>,
    max_id_length: Option<Limit<usize>>,
    verdicts: String,
    evidence: bool,
}

/// A positive whole number; None if it is beyond what can be reached, and so no limit.
struct Limit<T>(Option<T>);

impl<'a, 'py, T: FromPyObject<'a, 'py>> FromPyObject<'a, 'py> for Limit<T> {
    type Error = PyErr;

    fn extract(number: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        Ok(Self(number.extract().ok()))
    }
}

/// Returns the name's value, or an error that names the field.
fn named<T: Copy>(field: &str, name: &str, values: &[(&str, T)]) -> PyResult<T> {
    let found = values.iter().find(|(known, _)| *known == name);
    found.map(|&(_, value)| value).ok_or_else(|| PyValueError::new_err(format!("unknown {field}: {name:?}")))
}

impl PolicyFields {
    /// Returns the core's policy.
    pub fn read(self) -> PyResult<Policy> {
        let mut policy = Policy::default().blocking(self.blocked_ids);
        policy.api = named(
            "api",
            &self.api,
            &[("original", Api::Original), ("simplified", Api::Simplified), ("legacy", Api::Legacy)],
        )?;
        policy.max_cluster_size = self.max_cluster_size.and_then(|limit| limit.0);
        policy.max_id_length = self.max_id_length.and_then(|limit| limit.0);
        policy.alias_once = self.alias_once;
        policy.anon_format = named(
            "anon_format",
            &self.anon_format,
            &[
                ("mixpanel", AnonFormat::Mixpanel),
                ("uuid4", AnonFormat::Uuid4),
                ("sdk", AnonFormat::Sdk),
                ("any", AnonFormat::Any),
            ],
        )?;
        policy.respects_verdicts =
            named("verdicts", &self.verdicts, &[("respect", true), ("ignore", false)])?;
        policy.takes_evidence = self.evidence;
        policy.anon_guard = named(
            "anon_guard",
            &self.anon_guard,
            &[("anon", AnonGuard::Anon), ("cluster", AnonGuard::Cluster), ("off", AnonGuard::Off)],
        )?;
        Ok(policy)
    }
}

/// Returns the strategy with this name.
pub fn strategy(name: &str) -> PyResult<Strategy> {
    let names = [
        ("stable", Strategy::Stable),
        ("identified", Strategy::Identified),
        ("first_seen", Strategy::FirstSeen),
        ("smallest", Strategy::Smallest),
    ];
    named("canonical strategy", name, &names)
}
