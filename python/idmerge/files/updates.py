"""Lines of JSON read by the core as profile updates (SPEC 10).

Lines that the core leaves to Python, rows of exports among them, are read as
`idmerge.files.jsontext` reads all of them.
"""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

from idmerge import _core
from idmerge._scanned_updates import ScannedUpdates, UpdateBlock
from idmerge.errors import FileFormatError
from idmerge.files.blocks import each_block
from idmerge.files.choosing import Choice
from idmerge.files.dialects import PEOPLE
from idmerge.files.jsontext import checked, text_of
from idmerge.files.pieces import BATCH, MAX_LINE, BadLine, EventBatch
from idmerge.files.scanning import read_rows

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

    from idmerge.files.jsontext import LineReader, Text


def scan_updates(
    path: str, stream: io.BufferedReader, *, ahead: bool, rows: bool
) -> Iterator[EventBatch | BadLine]:
    """Read the objects in ``stream``, in another thread if ``ahead``.

    With ``rows`` the core reads rows of exports too, by their usual names.

    Raises:
        FileFormatError: As `text_of`.
    """
    text = text_of(path, stream, Choice(PEOPLE), as_raw=False)
    yield from checked(text, _scanned(path, text, ahead=ahead, rows=rows))


def _scanned(path: str, text: Text, *, ahead: bool, rows: bool) -> Iterator[EventBatch | BadLine]:
    line = text.passed + 1
    try:
        work = partial(_scan, rows)
        with closing(each_block(text.stream, text.head, work, ahead=ahead)) as blocks:
            for block in blocks:
                yield from _batches(text.reader, line, block)
                line += block.rows.lines
    except FileFormatError as error:
        raise FileFormatError(f"{path}:{line}: {error}") from error


def _scan(rows: bool, head: bytes, text: bytes, end: int) -> UpdateBlock:  # noqa: FBT001
    return UpdateBlock(_core.UpdateRows(head, text, end, MAX_LINE, rows), head, text, end)


def _batches(reader: LineReader, first_line: int, block: UpdateBlock) -> Iterator[EventBatch | BadLine]:
    """Yield the rows of ``block`` in batches, cut where a line is bad."""
    lines = block.rows.numbers(first_line)
    for item in read_rows(reader, first_line, block.rows):
        if isinstance(item, BadLine):
            yield item
            continue
        rows, read = item
        for start in range(0, len(rows), BATCH):
            part = rows[start : start + BATCH]
            own: dict[int, Any] = {
                place - start: row for place, row in read.items() if start <= place < start + BATCH
            }
            yield EventBatch(reader.path, lines[part.start : part.stop], ScannedUpdates(block, part, own))
