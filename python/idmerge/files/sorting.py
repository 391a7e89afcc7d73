"""Events in the order in which Mixpanel processed them, sorted in bounded memory (SPEC 2).

Events are sorted in runs of `RUN_BYTES`, each of which goes to a temporary file, and the runs are
merged. The sort is stable: events of one moment stay in their order, and an event without a moment
stays behind the one in front of it, as does a line that is no event.
"""

from __future__ import annotations

import heapq
import json
from contextlib import ExitStack
from functools import partial
from operator import itemgetter
from struct import Struct
from typing import TYPE_CHECKING, Any, BinaryIO

from idmerge.errors import FileFormatError
from idmerge.files.choosing import choice_of
from idmerge.files.containers import PASSED_ON
from idmerge.files.copies import RereadableFile, rereadable
from idmerge.files.ids import has_id
from idmerge.files.jsontext import check_no_people, checked, numbered_lines, text_of
from idmerge.files.opening import CountedBytes, unpacked
from idmerge.files.pieces import BadLine
from idmerge.files.processing import moment_of
from idmerge.files.recognition import no_matter
from idmerge.files.renaming import holds_events
from idmerge.files.tablefiles import format_of, names_of
from idmerge.files.tablesorting import sorted_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from idmerge.files.choosing import Choice
    from idmerge.files.dialects import Dialect
    from idmerge.files.reading import Source
    from idmerge.files.recognition import OnDialect
    from idmerge.policy import Api

RUN_BYTES = 64 * 2**20
"""Text that is sorted at once."""
RUN_OVERHEAD = 100
"""Bytes that an event takes besides its text, so that many short ones end a run too."""
MOST_RUNS = 64
"""Runs that are merged at once; each is an open file."""
_HEAD = Struct("<qi")
"""The moment of a line in a run, and the line's length."""

Line = tuple[int, bytes]
"""A moment and a line."""


def sorted_by_processing_time(  # noqa: PLR0913 - each says what is read
    sources: Sequence[Source | RereadableFile],
    *,
    on_bytes: Callable[[int], object] = lambda _count: None,
    dialect: str | Dialect | None = None,
    columns: Mapping[str, str] | None = None,
    on_dialect: OnDialect = no_matter,
    api: Api = "original",
) -> list[RereadableFile]:
    r"""Return ``sources`` with their events in one file, by `mp_processing_time_ms`.

    Where that is missing, `$mp_api_timestamp_ms` counts. The file is a temporary one that goes when
    nobody holds it any more; its lines are of the raw shape and count from 1. Files of links stay
    as they are, where they are. The other arguments are those of `idmerge.files.read`.

    Raises:
        FileFormatError: A file is damaged, or holds events in columns beside JSON.
        OSError: A file cannot be opened, or there is no room for the runs.

    Examples:
        >>> from pathlib import Path
        >>> from idmerge.files import read, sorted_by_processing_time
        >>> event = '{"event": "E%d", "distinct_id": "ana", "mp_processing_time_ms": %d}\n'
        >>> _ = Path("e.ndjson").write_text(event % (2, 2000) + event % (1, 1000))
        >>> [file] = sorted_by_processing_time(["e.ndjson"])
        >>> [event["event"] for batch in read(file.path) for event in batch.events]
        ['E1', 'E2']
    """
    files = [file if isinstance(file, RereadableFile) else rereadable(file) for file in sources]
    choice = choice_of(dialect, columns, api)
    events = [file for file in files if not _has_columns(file, choice)]
    if not events:
        return files
    tables = [file for file in events if format_of(file) is not None]
    if tables and len(tables) < len(events):
        raise FileFormatError(
            f"{tables[0].name}: events in columns cannot be sorted together with events as JSON; write all "
            "of them in one way"
        )
    name = events[0].name if len(events) == 1 else f"{events[0].name} and {len(events) - 1} more"
    if tables:
        whole = sorted_table(events, name, choice, on_bytes, on_dialect)
    else:
        import tempfile  # noqa: PLC0415 - few calls need it, and it loads hashlib

        copy: Any = tempfile.NamedTemporaryFile(prefix="idmerge-", suffix=".ndjson")  # noqa: SIM115
        try:
            for _, line in _merged(_runs(_lines(events, choice, on_bytes, on_dialect))):
                copy.write(line)
            copy.flush()
        except BaseException:
            copy.close()
            raise
        whole = RereadableFile(copy.name, f"{name}, sorted", copy)
    place = files.index(events[0])
    return [
        whole if index == place else file
        for index, file in enumerate(files)
        if index == place or file not in events
    ]


def _has_columns(file: RereadableFile, choice: Choice) -> bool:
    """Return whether ``file`` holds links or mappings in columns."""
    return format_of(file) is not None and not holds_events(names_of(file), choice)


def _lines(
    files: Iterable[RereadableFile],
    choice: Choice,
    on_bytes: Callable[[int], object],
    on_dialect: OnDialect,
) -> Iterator[Line]:
    """Yield the lines of ``files`` but blank ones, in the raw shape, each with its moment."""
    latest = -1
    for file in files:
        with ExitStack() as stack:
            stream = stack.enter_context(open(file.path, "rb", buffering=0))  # noqa: PTH123
            packed = CountedBytes(stream, on_bytes)
            text = text_of(file.name, stack.enter_context(unpacked(packed)), choice, on_dialect)
            check_no_people(file.name, text)
            if text.dialect.content != "events":
                raise FileFormatError(
                    f"{file.name}: the file holds identity mappings, which have no order to sort by"
                )
            needed = text.needed_ids
            for number, line in numbered_lines(file.name, text.stream, text.passed, text.head):
                if line.isspace():
                    continue
                item = text.reader(number, line)
                if item is None:
                    continue
                if isinstance(item, BadLine):
                    list(checked(text, [item]))
                else:
                    if text.reader.is_transcoded and line.startswith(PASSED_ON):
                        line = json.dumps(item[1]).encode()  # noqa: PLW2901
                    needed.take(partial(has_id, item[1], choice.api))
                    found = moment_of(item[1])
                    latest = latest if found is None else found[1]
                yield latest, line if line.endswith(b"\n") else line + b"\n"
            needed.check()


def _runs(lines: Iterable[Line]) -> Iterator[Iterator[Line]]:
    """Yield sorted runs of ``lines``, all but a single one in temporary files."""
    run: list[Line] = []
    size = 0
    is_first = True
    for line in lines:
        if size >= RUN_BYTES:
            yield _spilt(sorted(run, key=itemgetter(0)))
            run, size, is_first = [], 0, False
        run.append(line)
        size += len(line[1]) + RUN_OVERHEAD
    run.sort(key=itemgetter(0))
    yield iter(run) if is_first else _spilt(run)


def _merged(runs: Iterable[Iterator[Line]]) -> Iterator[Line]:
    """Yield the lines of sorted ``runs`` in their order; of equal ones those of the first run."""
    waiting: list[Iterator[Line]] = []
    for run in runs:
        if len(waiting) == MOST_RUNS:
            waiting = [_spilt(heapq.merge(*waiting, key=itemgetter(0)))]
        waiting.append(run)
    return heapq.merge(*waiting, key=itemgetter(0))


def _spilt(lines: Iterable[Line]) -> Iterator[Line]:
    """Write sorted ``lines`` to a temporary file without a name, and return them from there."""
    import tempfile  # noqa: PLC0415 - few calls need it, and it loads hashlib

    stream = tempfile.TemporaryFile(prefix="idmerge-")  # noqa: SIM115 - the reader closes it
    for moment, line in lines:
        stream.write(_HEAD.pack(moment, len(line)))
        stream.write(line)
    stream.seek(0)
    return _read_run(stream)


def _read_run(stream: BinaryIO) -> Iterator[Line]:
    with stream:
        while head := stream.read(_HEAD.size):
            moment, length = _HEAD.unpack(head)
            yield moment, stream.read(length)
