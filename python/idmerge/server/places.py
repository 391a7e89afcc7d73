"""Places in the log, and numbers of updates, as journals state them beside their steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idmerge.errors import JournalError

if TYPE_CHECKING:
    from idmerge.journal import DurableResolver

LOG = "log"
"""The name of the offset up to which events are applied."""
PROFILES = "profiles"
"""The name of that up to which updates are applied, of people and of groups."""
UPDATES, GROUP_UPDATES = "profile-updates", "group-updates"
"""The names of the numbers of updates that are on disk."""


def stated(resolver: DurableResolver, name: str) -> int:
    """Return what a journal states under a name; 0 if it states nothing.

    Raises:
        JournalError: It is no number.
    """
    number = resolver.offsets.get(name, 0)
    if not isinstance(number, int):
        raise JournalError(f"the journal's offset {name!r} is {number!r}, and a number is expected")
    return number
