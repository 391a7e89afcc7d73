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
    from idmerge import files as files
    from idmerge import spark as spark
    from idmerge import testing as testing
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


_LAZY = {
    "StitchedEvents",
    "doctor",
    "files",
    "questions",
    "spark",
    "stitch",
    "stitching",
    "testing",
}
"""Names of what reads events, and of what few need, half of the package: loaded when asked for."""


if not TYPE_CHECKING:  # A checker would take any name for one that is there.

    def __getattr__(name: str) -> Any:
        """Load an add-on, or its function, when it is first asked for."""
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}{_meant_by(name)}")
        if name in {"StitchedEvents", "stitch"}:
            return getattr(import_module("idmerge.stitching"), name)
        return import_module(f"idmerge.{name}")


def _meant_by(name: str) -> str:
    """Return a question that suggests public names; libraries probe for private ones."""
    if name.startswith("_"):
        return ""
    from idmerge._formatting import did_you_mean  # noqa: PLC0415 - needed for a typo alone

    return f".{question}" if (question := did_you_mean(name, {*__all__, *_LAZY})) else ""


def __dir__() -> list[str]:
    """List the public names, those that are not loaded yet included."""
    return sorted({*__all__, *_LAZY, *(name for name in globals() if name.startswith("__"))})
