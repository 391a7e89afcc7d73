"""The report on one stitching: its counts, and warnings of links and times that came out wrong."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass, field

from idmerge._formatting import counted
from idmerge.errors import StitchWarning
from idmerge.files.localtimes import local_times
from idmerge.outcome import Outcome


@dataclass(kw_only=True)
class StitchReport:
    """Counts of the events that were stitched, and of the links among them.

    Examples:
        >>> import idmerge
        >>> reports = []
        >>> events = idmerge.stitch("examples/shop.ndjson", on_report=reports.append)
        >>> [report] = reports
        >>> report.events, report.links, report.accepted, report.malformed
        (600, 89, 83, 1)
        >>> report.warn(stacklevel=1)
    """

    dialect: str = ""
    """The words for the dialect of the events; empty for files."""
    events: int = 0
    """The events that were read."""
    duplicates: int = 0
    """The events that were dropped as duplicates; of files once they are read again."""
    unreadable_times: int = 0
    """The events with a time that is none (SPEC 9); of tables alone."""
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    """The links among the events by outcome; none if a resolver was given."""
    offset: str | None = None
    """The distance of times from the moments of receipt, such as ``+05:30``, if they look local."""

    @property
    def links(self) -> int:
        """The number of links."""
        return self.outcomes.total()

    @property
    def malformed(self) -> int:
        """The number of identity events without two IDs."""
        return self.outcomes[Outcome.MALFORMED]

    @property
    def accepted(self) -> int:
        """The number of links that were accepted."""
        return sum(count for outcome, count in self.outcomes.items() if outcome.accepted)

    def warn(self, stacklevel: int, timezone: str | None = None) -> None:
        """Warn if links were malformed, if none was accepted, and if times of a zone look local."""
        for message in (self._of_links(), self._of_times(timezone)):
            if message is not None:
                warnings.warn(StitchWarning(message), stacklevel=stacklevel + 1)

    def _of_links(self) -> str | None:
        rest = ", ".join(
            f"{count:,} {outcome.name}" for outcome, count in sorted(self.outcomes.items()) if count
        )
        if self.links and not self.accepted:
            links = "the only link was" if self.links == 1 else f"all {self.links:,} links were"
            message = f"{links} refused ({rest}), so no IDs were joined"
        elif self.malformed:
            are = "is" if self.malformed == 1 else "are"
            message = f"{self.malformed:,} of {counted(self.links, 'link')} {are} malformed ({rest})"
        else:
            return None
        return f"{message}; on_report= gets the counts"

    def _of_times(self, timezone: str | None) -> str | None:
        if self.offset is None:
            return None
        return f"{local_times(self.offset, timezone)}; timezone= names their zone, such as Asia/Kolkata"
