"""What a file is read into, and how large a piece may be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from idmerge.events import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

BATCH = 8192
"""Events or links in a batch, at most."""
BATCH_BYTES = 16 * 2**20
"""Text in a batch, beyond which it ends early."""
MAX_LINE = 16 * 2**20
"""Longest line, or item of a JSON array, in bytes, its end included."""


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events that stand one after another in a file."""

    path: str
    """The file as messages name it."""
    lines: Sequence[int]
    """The line of each event."""
    events: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, eq=False)
class LinkBatch:
    """Links that stand one after another in a file, as columns."""

    path: str
    """The file as messages name it."""
    lines: Sequence[int]
    """The line of each link."""
    kinds: NDArray[np.uint8]
    """The number of each link's `Kind`."""
    left: list[str] | pa.Array[Any]
    """The first operand of each link; null where the file has none."""
    right: list[str] | pa.Array[Any]
    """The second operand of each link; null where the file has none."""

    def link(self, index: int) -> tuple[Kind, str | None, str | None]:
        """Return the link at ``index``; an operand that the file lacks is None."""
        return Kind(int(self.kinds[index])), _text(self.left[index]), _text(self.right[index])


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be read. Nothing of it counts."""

    path: str
    """The file as messages name it."""
    line: int
    message: str
    """What is wrong with it."""
    is_no_json: bool = field(default=False, compare=False, repr=False)
    """Whether it is no JSON at all, so that what follows it in an array cannot be trusted."""

    def __str__(self) -> str:
        """Return ``path:line: message``."""
        return f"{self.path}:{self.line}: {self.message}"


Piece = EventBatch | LinkBatch | BadLine

_KINDS: dict[str | int, Kind] = {
    **dict.fromkeys(("identify", "$identify", "0", 0), Kind.IDENTIFY),
    **dict.fromkeys(("alias", "$create_alias", "1", 1), Kind.ALIAS),
    **dict.fromkeys(("merge", "$merge", "2", 2), Kind.MERGE),
}


def kind_named(name: object) -> Kind | None:
    """Return the kind that a file calls ``name``: its word, its event's name or its number."""
    return _KINDS.get(name) if isinstance(name, (str, int)) and not isinstance(name, bool) else None


def event_batches(
    path: str, events: Iterable[tuple[int, dict[str, Any], int] | BadLine]
) -> Iterator[EventBatch | BadLine]:
    """Gather ``events`` (line, event, length of its text) into batches; a bad line ends one early."""
    lines: list[int] = []
    batch: list[dict[str, Any]] = []
    length = 0
    for item in events:
        full = len(batch) >= BATCH or length >= BATCH_BYTES
        if batch and (full or isinstance(item, BadLine)):
            yield EventBatch(path, lines, batch)
            lines, batch, length = [], [], 0
        if isinstance(item, BadLine):
            yield item
            continue
        line, event, event_length = item
        lines.append(line)
        batch.append(event)
        length += event_length
    if batch:
        yield EventBatch(path, lines, batch)


def _text(value: Any) -> str | None:
    text: str | None = value if isinstance(value, str) or value is None else value.as_py()
    return text
