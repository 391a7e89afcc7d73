"""The record that an accepted request leaves in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from idmerge.events import Source

Stream = Literal["events", "updates", "groups"]


class Record(NamedTuple):
    r"""Some JSON objects that one request sent to one project.

    Examples:
        >>> from idmerge.server.log.records import Record
        >>> lines = b'{"event": "Log In", "properties": {"distinct_id": "ana"}}\n'
        >>> record = Record("main", "events", "track", 1_700_000_000_000, lines)
        >>> record.project, record.stream, record.lines == lines
        ('main', 'events', True)
    """

    project: str
    """The project's name."""
    stream: Stream
    """What the objects are: events, updates of profiles, or updates of groups."""
    source: Source
    """The route by which they came; ``"import"`` allows ``$merge``."""
    received: int
    """The time at which they came, by the server's clock: milliseconds since 1970 in UTC."""
    lines: bytes
    """The objects as JSON, each ending in a newline, in the order in which they are judged."""
