"""NDJSON flattened by the core to tables with a column a property.

The core says which lines it leaves alone; those are read here as `idmerge.files.jsontext` reads all
of them, made plain, and given back.
"""

from __future__ import annotations

import io
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from idmerge import _core
from idmerge.errors import FileFormatError
from idmerge.files.blocks import block_parts, each_block
from idmerge.files.names import TIME
from idmerge.files.opening import import_pyarrow
from idmerge.files.pieces import MAX_LINE, BadLine
from idmerge.files.scanning import StepBatch, pieces_of, plain_lines, scanner_of
from idmerge.files.shape import TEXT
from idmerge.files.zones import names_zone, time_of, with_utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from idmerge.files.jsontext import LineReader, Text
    from idmerge.files.pieces import LinkBatch
    from idmerge.files.rows import Rows
    from idmerge.files.shape import Shape
    from idmerge.policy import Api

T = TypeVar("T")


def flattener_of(shape: Shape, api: Api = "original") -> _core.Flattener:
    """Return what turns events of this ``shape`` into tables."""
    return _core.Flattener(shape.columns(), MAX_LINE, api == "simplified")


class Flattened(NamedTuple, Generic[T]):
    """Events that stand one after another in a file, as a table."""

    table: T | None
    """The result of `Flattening.finish`; None for links, which are no events."""
    steps: Sequence[StepBatch] = ()
    """The same events as steps, if these were wanted."""
    links: LinkBatch | None = None
    """Links that stand in the file, instead of events."""


class Flattening(NamedTuple, Generic[T]):
    """The way in which events become tables."""

    flattener: _core.Flattener
    finish: Callable[[Any], T]
    """A function applied to each table, in any thread."""
    with_steps: bool = False
    """True if the steps of the events are wanted too."""
    zone: str | None = None
    """The zone of times that name none; with one, ``finish`` returns a record batch."""
    has_zones: bool = True
    """False if no time of the events names a zone."""

    def of_zone(self, zone: str | None, shape: Shape) -> Flattening[T]:
        """Return the flattening in which times that name no zone are those of ``zone``."""
        return self._replace(zone=zone, has_zones=bool(dict(shape.kinds()).get(TIME, 0) & TEXT))

    @property
    def columns(self) -> list[str]:
        """The names of the columns of a table."""
        return list(import_pyarrow("tables of events").schema(self.flattener).names)

    def of_rows(self, rows: Rows) -> Flattened[T]:
        """Return the rows of a table with the columns of events of JSON; steps are not kept."""
        batch = rows.batch(import_pyarrow("tables of events").schema(self.flattener), self.zone)
        return Flattened(self.finish(batch))

    def of_lines(self, path: str, text: Text, *, ahead: bool) -> Iterator[Flattened[T]]:
        """Yield the lines of ``text`` as tables.

        Raises:
            FileFormatError: The stream is cut off or damaged, or the events are not of the
                flattener's shape.
        """
        line = text.passed + 1
        parts = block_parts(len(self.columns))
        try:
            work = partial(self._of_block, text.reader)
            blocks_in_order = each_block(text.stream, text.head, work, ahead=ahead, parts=parts)
            with closing(blocks_in_order) as blocks:
                for lines, flattened in blocks:
                    if flattened is not None:
                        yield flattened
                    line += lines
        except FileFormatError as error:
            raise FileFormatError(f"{path}:{line}: {error}") from error

    def _of_block(
        self, reader: LineReader, head: bytes, text: bytes, end: int
    ) -> tuple[int, Flattened[T] | None]:
        """Return how many lines a block has, and its events."""
        flat = self._table(reader, head, text, end)
        if flat.table is None or not len(flat.table):
            return flat.lines, None
        steps: list[StepBatch] = []
        if self.with_steps:
            scan = scanner_of(reader.api).scan(head, text, end)
            steps = [piece for piece in pieces_of(reader, 1, scan) if not isinstance(piece, BadLine)]
        table = self.finish(flat.table)
        if self.zone is not None:
            named = _names_zones(reader, head + text[:end]) if self.has_zones else None
            table = with_utc(table, self.zone, named)
        return flat.lines, Flattened(table, steps)

    def _table(self, reader: LineReader, head: bytes, text: bytes, end: int) -> _core.Flat:
        """Flatten a block; what the core leaves alone is read here."""
        try:
            flat = self.flattener.flatten(head, text, end)
            holes = flat.holes()
            if not holes:
                return flat
            return self.flattener.flatten(head, text, end, plain_lines(reader, holes))
        except ValueError as error:
            raise FileFormatError(f"the file was changed while it was read: {error}") from error


def _names_zones(reader: LineReader, text: bytes) -> Any:
    """Return for each event in the lines of ``text`` whether its time names a zone."""
    lines = io.BytesIO(text)
    items = (reader(0, line) for line in lines if not line.isspace())
    return import_pyarrow("times of a zone").array(
        [names_zone(time_of(item[1])) for item in items if item is not None and not isinstance(item, BadLine)]
    )
