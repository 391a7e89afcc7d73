"""Profile updates that the core read from lines of JSON, beside those that it leaves to Python.

They are a sequence of dicts for whoever looks at them; `idmerge.Profiles.update_many` hands them to
the core as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

from idmerge._json_decoding import decoded

if TYPE_CHECKING:
    from collections.abc import Callable

    from idmerge import _core

    UpdateOf = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, eq=False)
class UpdateBlock:
    """A block of lines: its text, and the updates that the core read."""

    rows: _core.UpdateRows
    head: bytes
    """The beginning of the first line."""
    text: bytes
    """The bytes behind the head."""
    end: int
    """The length of the text that counts."""

    @cached_property
    def lines(self) -> list[bytes]:
        """The lines, for those who want updates as dicts."""
        return (self.head + self.text[: self.end]).split(b"\n")


class ScannedUpdates(Sequence[dict[str, Any]]):
    """The updates of some rows of a block, as dicts.

    Args:
        block: The block.
        rows: The rows.
        read: The updates, or rows of exports, that Python read, by their index.
        update_of: Makes an update of a row of an export, and returns anything else as it is.
    """

    __slots__ = ("_block", "_read", "_rows", "_update_of")

    def __init__(
        self,
        block: UpdateBlock,
        rows: range,
        read: Mapping[int, dict[str, Any]],
        update_of: UpdateOf = lambda row: row,
    ) -> None:
        self._block = block
        self._rows = rows
        self._read = read
        self._update_of = update_of

    def __len__(self) -> int:
        """Return the number of updates."""
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        """Return the update at ``index``, or a list of those in a slice."""
        if isinstance(index, slice):
            return [self[place] for place in range(len(self))[index]]
        place = range(len(self))[index]
        if place in self._read:
            return self._read[place]
        block = self._block
        return self._update_of(decoded(block.lines[block.rows.line(self._rows[place])]))

    def __eq__(self, other: object) -> bool:
        """Return whether the updates are those of ``other``, a sequence too."""
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show the updates as a list."""
        return repr(list(self))

    @property
    def read(self) -> Mapping[int, dict[str, Any]]:
        """The updates that Python read, by their index."""
        return self._read

    @property
    def has_plain(self) -> bool:
        """Whether the core read some: these are updates, or rows of exports."""
        return len(self._read) < len(self)

    def with_updates(self, update_of: UpdateOf) -> ScannedUpdates:
        """Return these updates with those of rows of exports that ``update_of`` makes."""
        read = {place: update_of(row) for place, row in self._read.items()}
        return ScannedUpdates(self._block, self._rows, read, update_of)

    def run(self, start: int, stop: int) -> tuple[_core.UpdateRows, int, int]:
        """Return the rows of the block in which the updates from ``start`` to ``stop`` are."""
        return self._block.rows, self._rows.start + start, self._rows.start + stop
