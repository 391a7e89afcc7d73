"""Files of events with all that their events hold, for those who keep events.

Each piece comes with its events: lines of JSON in the raw shape as their text, rows of a table as
that. Links and mappings have none.
"""

from __future__ import annotations

import json
import os
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any, NamedTuple

from idmerge.errors import FileFormatError
from idmerge.files.blocks import PARTS, each_block
from idmerge.files.choosing import choice_of
from idmerge.files.copies import RereadableFile, rereadable
from idmerge.files.jsontext import checked, mappings_in, text_of
from idmerge.files.names import INSERT_ID, TIME
from idmerge.files.opening import CountedBytes, import_pyarrow, unpacked
from idmerge.files.pieces import BadLine, LinkBatch
from idmerge.files.reading import not_all_bad, scan
from idmerge.files.recognition import no_matter
from idmerge.files.renaming import holds_events
from idmerge.files.rows import link_columns
from idmerge.files.scanning import StepBatch, pieces_of, scanner_of
from idmerge.files.tablefiles import format_of, names_of, table_pieces
from idmerge.files.tables import check_names
from idmerge.files.tabular import renamed_in
from idmerge.files.textrows import read_ahead, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from idmerge.files.choosing import Choice
    from idmerge.files.dialects import Dialect
    from idmerge.files.jsontext import Text
    from idmerge.files.reading import Source
    from idmerge.files.recognition import OnDialect
    from idmerge.files.rows import Rows
    from idmerge.policy import Api

VALUES = (TIME, INSERT_ID)
"""What the rows of a table are asked for beside their IDs and links."""


class Whole(NamedTuple):
    """A piece with all that its events hold."""

    piece: StepBatch | Rows | LinkBatch | BadLine
    lines: Sequence[bytes] = ()
    """The text of each event, if they were lines of JSON."""
    table: pa.Table | None = None
    """The rows of all columns under raw names, if they were a table."""


def whole(  # noqa: PLR0913 - each says what is wanted
    source: Source | RereadableFile,
    *,
    on_bytes: Callable[[int], object] = lambda _count: None,
    dialect: str | Dialect | None = None,
    columns: Mapping[str, str] | None = None,
    on_dialect: OnDialect = no_matter,
    api: Api = "original",
) -> Iterator[Whole]:
    """Yield the pieces that `idmerge.files.scan` yields, with all that their events hold.

    Raises what `scan` raises.

    Examples:
        >>> from idmerge.files.whole import whole
        >>> [(piece, lines, table)] = whole("examples/flow-1-new-user.ndjson")
        >>> len(piece), len(lines), lines[1][:25], table
        (5, 5, b'{"event": "Page View", "p', None)
    """
    file = rereadable(source)
    choice = choice_of(dialect, columns, api)
    found = (_of_table if format_of(file) is not None else _of_text)(file, choice, on_bytes, on_dialect)
    kept: list[Whole] = []

    def pieces() -> Iterator[StepBatch | Rows | LinkBatch | BadLine]:
        for one in found:
            kept[:] = [one]
            yield one.piece

    for _ in not_all_bad(file.name, pieces()):
        yield kept[0]


def _of_text(
    file: RereadableFile, choice: Choice, on_bytes: Callable[[int], object], on_dialect: OnDialect
) -> Iterator[Whole]:
    with ExitStack() as stack:
        counts: list[int] = []  # Of another thread, which reads ahead.
        stream = stack.enter_context(open(file.path, "rb", buffering=0))  # noqa: PTH123
        text = text_of(file.name, unpacked(CountedBytes(stream, counts.append)), choice, on_dialect)
        if text.dialect.content != "events":
            found: Iterator[Whole] = map(Whole, mappings_in(file.name, text))
        else:
            found = _checked(text, _of_lines(file.name, text))
        for one in found:
            on_bytes(sum(counts[: (taken := len(counts))]))
            del counts[:taken]
            yield one
        on_bytes(sum(counts))


def _checked(text: Text, found: Iterator[Whole]) -> Iterator[Whole]:
    kept: list[Whole] = []

    def pieces() -> Iterator[StepBatch | BadLine]:
        for one in found:
            kept[:] = [one]
            piece: Any = one.piece
            yield piece

    for _ in checked(text, pieces()):
        yield kept[0]


def _of_lines(path: str, text: Text) -> Iterator[Whole]:
    scanner, line = scanner_of(text.reader.api), text.passed + 1

    def scanned(head: bytes, block: bytes, end: int) -> tuple[Any, list[bytes]]:
        return scanner.scan(head, block, end), (head + block[:end]).split(b"\n")

    try:
        with closing(each_block(text.stream, text.head, scanned, ahead=True, parts=PARTS)) as blocks:
            for scan_, lines in blocks:
                for piece in pieces_of(text.reader, line, scan_):
                    is_none = isinstance(piece, BadLine)
                    yield Whole(piece, () if is_none else _lines_of(piece, line, lines))
                line += scan_.lines
    except FileFormatError as error:
        raise FileFormatError(f"{path}:{line}: {error}") from error


def _lines_of(piece: Any, first_line: int, lines: list[bytes]) -> list[bytes]:
    """Return the text of each event of a piece; ``lines`` begin with the number ``first_line``."""
    count = len(piece)
    first, last = piece.line(0) - first_line, piece.line(count - 1) - first_line
    if last - first == count - 1:  # Nearly always: no line between is blank.
        chosen = lines[first : last + 1]
    else:
        chosen = [lines[piece.line(index) - first_line] for index in range(count)]
    for index, event in piece.events.items():  # As Python has read it, maybe in another dialect.
        chosen[index] = json.dumps(dict(event)).encode()
    return chosen


def _of_table(
    file: RereadableFile, choice: Choice, on_bytes: Callable[[int], object], on_dialect: OnDialect
) -> Iterator[Whole]:
    names = names_of(file)
    if not names or not holds_events(names, choice):
        found = scan(file.path, name=file.name, on_bytes=on_bytes, on_dialect=on_dialect, **choice.arguments)
        yield from map(Whole, found)
        return
    arrow = import_pyarrow("tables of events")
    dialect, raw = renamed_in(file.name, names, choice)
    on_dialect(file.name, dialect)
    looked_at = [name for name in raw if name in {*link_columns(choice.api), *VALUES}]
    check_names(file.name, looked_at)
    own = {name: given for given, name in reversed([*zip(names, raw, strict=True)])}  # The first of each.
    size = os.stat(file.path).st_size  # noqa: PTH116

    def each() -> Iterator[Whole]:
        for piece in table_pieces(file, [*own.values()], size, on_bytes):
            if isinstance(piece, BadLine):
                yield Whole(piece)
                continue
            table = arrow.Table.from_batches([piece.batch]).rename_columns([*own])
            yield Whole(
                rows_of(
                    table.select(looked_at),
                    file.name,
                    piece.lines,
                    VALUES,
                    choice.api,
                    names_link=dialect.names_link,
                ),
                table=table,
            )

    yield from read_ahead(each(), lambda one: [one.piece])
