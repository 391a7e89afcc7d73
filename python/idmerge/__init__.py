"""Identity clusters by the rules of Mixpanel's Original ID Merge API.

idmerge takes the identity events of Mixpanel's Original ID Merge API, joins IDs into identity
clusters under that API's rules, and picks a canonical ID for each. Start with `Resolver`;
`reference.Resolver` is the same in plain Python, written to be read.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from idmerge import compat, errors, reference
from idmerge._core import Column, Table, __version__
from idmerge.components import Components, connected_components
from idmerge.events import Kind, Link, parse
from idmerge.journal.durable import DurableResolver
from idmerge.outcome import Outcome, Report, Stats
from idmerge.policy import DEFAULT_BLOCKED_IDS, Policy
from idmerge.profiles import Profiles, UpdateOutcome, UpdateReport
from idmerge.recorded import RecordedLink
from idmerge.resolver import Resolver

if TYPE_CHECKING:
    from idmerge import doctor, questions, stitching
    from idmerge.stitching import StitchedEvents, stitch

__all__ = [
    "DEFAULT_BLOCKED_IDS",
    "Column",
    "Components",
    "DurableResolver",
    "Kind",
    "Link",
    "Outcome",
    "Policy",
    "Profiles",
    "RecordedLink",
    "Report",
    "Resolver",
    "Stats",
    "StitchedEvents",
    "Table",
    "UpdateOutcome",
    "UpdateReport",
    "__version__",
    "compat",
    "connected_components",
    "doctor",
    "errors",
    "parse",
    "questions",
    "reference",
    "stitch",
    "stitching",
]


_LAZY = {"StitchedEvents", "doctor", "questions", "stitch", "stitching"}
"""Names of what reads files of events, half of the package: loaded when first asked for."""


def __getattr__(name: str) -> Any:
    """Load an add-on, or its function, when it is first asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in {"StitchedEvents", "stitch"}:
        return getattr(import_module("idmerge.stitching"), name)
    return import_module(f"idmerge.{name}")


def __dir__() -> list[str]:
    """List the public names, those that are not loaded yet included."""
    return sorted({*__all__, *_LAZY, *(name for name in globals() if name.startswith("__"))})
