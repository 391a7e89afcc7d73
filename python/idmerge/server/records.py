"""Records of the log: what a request wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from idmerge.events import Source

Stream = Literal["events", "updates", "groups"]
"""The kind of what was written."""


class Record(NamedTuple):
    """The items that a request wrote into a project."""

    project: str
    """The name of the project."""
    stream: Stream
    source: Source
    """The route of events."""
    received: int
    """The moment of receipt in milliseconds since 1970."""
    lines: bytes
    """JSON objects, one a line, each with its newline, in the order in which they are judged."""
