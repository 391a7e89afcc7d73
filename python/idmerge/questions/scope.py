"""The events that an answer is about: how many, of which days, and where they were."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

from idmerge._formatting import counted
from idmerge._naming import named
from idmerge.questions.sql import UTC


class Scope(NamedTuple):
    """The events that were read for an answer."""

    events: int
    first: date | None
    """The first day, in the zone; None if no event has a time."""
    last: date | None
    source: str
    """The file, or the number of files; empty for a table in memory."""
    zone: str = UTC

    @classmethod
    def of(cls, row: Sequence[Any], source: str, zone: str = UTC) -> Scope:
        """Return the scope of the row of `idmerge.questions.sql.scope_statement`."""
        count, *days = row
        first, last = (day if isinstance(day, date) else None for day in days)
        return cls(int(count), first, last, source, zone)

    def __str__(self) -> str:
        """Return it in words: ``7 events from 2024-01-01 to 2024-01-07 (UTC) in a.parquet``."""
        words = [counted(self.events, "event")]
        if self.first is not None and self.last is not None:
            same = self.first == self.last
            words.append(
                f"of {self.first} ({self.zone})"
                if same
                else f"from {self.first} to {self.last} ({self.zone})"
            )
        if self.source:
            words.append(f"in {self.source}")
        return " ".join(words)


def named_sources(events: Any) -> str:
    """Return the file's name, or the number of files, that ``events`` are; empty for a table."""
    if isinstance(events, (str, os.PathLike)):
        return os.path.basename(named(events)) or named(events)  # noqa: PTH119 - also of a pattern
    if (
        isinstance(events, Sequence)
        and events
        and all(isinstance(path, (str, os.PathLike)) for path in events)
    ):
        return named_sources(events[0]) if len(events) == 1 else counted(len(events), "file")
    return ""
