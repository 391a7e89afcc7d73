"""Which of these IDs are the same person?

idmerge takes the identity events of Mixpanel's Original ID Merge API, joins IDs into identity
clusters under that API's rules, and picks a canonical ID for each. Start with `Resolver`;
`reference.Resolver` is the same in plain Python, written to be read.
"""

from typing import TYPE_CHECKING, Any

from idmerge import compat, errors, reference
from idmerge._core import Column, Table, __version__
from idmerge.components import Components, connected_components
from idmerge.durable import DurableResolver
from idmerge.events import Kind, Link, parse
from idmerge.outcome import Outcome, Report, Stats
from idmerge.policy import DEFAULT_BLOCKED_IDS, Policy
from idmerge.profiles import Profiles, UpdateOutcome, UpdateReport
from idmerge.recorded import RecordedLink
from idmerge.resolver import Resolver

if TYPE_CHECKING:
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
    "errors",
    "parse",
    "reference",
    "stitch",
]


def __getattr__(name: str) -> Any:
    """Load what reads files of events when it is first asked for: it is half of the package."""
    if name in {"StitchedEvents", "stitch"}:
        from idmerge import stitching  # noqa: PLC0415

        return getattr(stitching, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
