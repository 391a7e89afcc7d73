"""Identity clusters by the rules of Mixpanel's Original ID Merge API.

idmerge takes the identity events of Mixpanel's Original ID Merge API, joins IDs into identity
clusters under that API's rules, and picks a canonical ID for each. Start with `Resolver`;
`reference.Resolver` is the same in plain Python, written to be read.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from idmerge import client as client
    from idmerge import compat, doctor, errors, migration, questions, reference, reporting, stitching
    from idmerge import files as files
    from idmerge import spark as spark
    from idmerge import testing as testing
    from idmerge._core import Column, Table, __version__
    from idmerge.components import Components, connected_components
    from idmerge.events import Kind, Link, parse
    from idmerge.journal.durable import DurableResolver
    from idmerge.outcome import Outcome, Report, Stats
    from idmerge.policy import DEFAULT_BLOCKED_IDS, Policy
    from idmerge.profiles import Profiles, UpdateOutcome, UpdateReport
    from idmerge.recorded import RecordedLink, Statement
    from idmerge.reporting import report
    from idmerge.resolver import Resolver
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
    "Statement",
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
    "migration",
    "parse",
    "questions",
    "reference",
    "report",
    "reporting",
    "stitch",
    "stitching",
]


_MODULES = {
    "client",
    "compat",
    "doctor",
    "errors",
    "files",
    "migration",
    "questions",
    "reference",
    "reporting",
    "spark",
    "stitching",
    "testing",
}
_PARTS = {
    "canonical",
    "components",
    "events",
    "journal",
    "outcome",
    "policy",
    "profiles",
    "recorded",
    "resolver",
}
"""The modules of which this one has the names that most need."""
_HOMES = {
    "Column": "_core",
    "Components": "components",
    "DEFAULT_BLOCKED_IDS": "policy",
    "DurableResolver": "journal.durable",
    "Kind": "events",
    "Link": "events",
    "Outcome": "outcome",
    "Policy": "policy",
    "Profiles": "profiles",
    "RecordedLink": "recorded",
    "Statement": "recorded",
    "Report": "outcome",
    "Resolver": "resolver",
    "Stats": "outcome",
    "StitchedEvents": "stitching",
    "Table": "_core",
    "UpdateOutcome": "profiles",
    "UpdateReport": "profiles",
    "__version__": "_core",
    "connected_components": "components",
    "parse": "events",
    "report": "reporting",
    "stitch": "stitching",
}
"""The module of each public name that is no module. All are loaded when they are asked for."""


if not TYPE_CHECKING:  # A checker would take any name for one that is there.

    def __getattr__(name: str) -> Any:
        """Load a module, or a name from its module, when it is first asked for."""
        if name in _MODULES or name in _PARTS:
            return import_module(f"idmerge.{name}")
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}{_meant_by(name)}")
        value = globals()[name] = getattr(import_module(f"idmerge.{_HOMES[name]}"), name)
        return value


def _meant_by(name: str) -> str:
    """Return a question that suggests public names; libraries probe for private ones."""
    if name.startswith("_"):
        return ""
    from idmerge._formatting import did_you_mean  # noqa: PLC0415 - needed for a typo alone

    return f".{question}" if (question := did_you_mean(name, {*__all__, *_MODULES})) else ""


def __dir__() -> list[str]:
    """List the public names, those that are not loaded yet included."""
    return sorted({*__all__, *_MODULES, *(name for name in globals() if name.startswith("__"))})
