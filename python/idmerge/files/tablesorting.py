"""Tables of events in the order in which Mixpanel processed them, sorted in bounded memory.

Runs of `RUN_ROWS` rows are sorted and wait in temporary files; then they are merged by batches, of
which each run has one in memory.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from idmerge.errors import FileFormatError
from idmerge.files.copies import RereadableFile
from idmerge.files.names import EVENT, PROPERTIES
from idmerge.files.opening import import_pyarrow
from idmerge.files.pieces import BadLine
from idmerge.files.processing import CLOCKS, moment_of
from idmerge.files.properties import properties_in
from idmerge.files.rows import ordinary_names
from idmerge.files.tablefiles import schema_of, table_pieces
from idmerge.files.tables import ROWS, check_names
from idmerge.files.tabular import renamed_in

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from idmerge.files.choosing import Choice
    from idmerge.files.recognition import OnDialect

RUN_ROWS = 2**18
"""Rows that are sorted at once."""
RUN_BYTES = 256 * 2**20
"""Bytes of them, at most."""


def sorted_table(
    files: Sequence[RereadableFile],
    name: str,
    choice: Choice,
    on_bytes: Callable[[int], object],
    on_dialect: OnDialect,
) -> RereadableFile:
    """Return the events in the columns of ``files``, sorted, as Parquet with raw names.

    Raises:
        FileFormatError: A file is damaged, a CSV has a row of another width than its header, or the
            columns of the files do not fit.
        OSError: There is no room for the runs.
    """
    library: Any = import_pyarrow("sorting tables")
    from pyarrow import parquet  # noqa: PLC0415 - pyarrow is there, or the line above has raised

    schemas, names, linkless = {}, {}, set[str]()
    for file in files:
        own = schema_of(file)
        dialect, raw = renamed_in(file.name, own.names, choice, needs_event=True)
        on_dialect(file.name, dialect)
        check_names(file.name, raw)
        names[file.path] = own.names
        fields = [field.with_name(raw_name) for field, raw_name in zip(own, raw, strict=True)]
        if not dialect.names_link:
            linkless.add(file.path)
            fields += [] if EVENT in raw else [library.field(EVENT, library.string())]
        schemas[file.path] = library.schema(fields)
    try:
        schema = library.unify_schemas([*schemas.values()], promote_options="permissive").remove_metadata()
        batches = _batches(files, schema, schemas, names, linkless, on_bytes)
        import tempfile  # noqa: PLC0415 - few calls need it, and it loads hashlib

        copy: Any = tempfile.NamedTemporaryFile(prefix="idmerge-", suffix=".parquet")  # noqa: SIM115
        with tempfile.TemporaryDirectory(prefix="idmerge-") as place:
            runs = [_written(library, run, f"{place}/{number}") for number, run in enumerate(_runs(batches))]
            with parquet.ParquetWriter(copy, schema) as writer:
                for table in _merged([_Run(library, run) for run in runs]):
                    writer.write_table(table.cast(schema))
        copy.flush()
    except library.ArrowException as error:
        raise FileFormatError(f"{name}: the columns cannot be sorted: {error}") from error
    return RereadableFile(copy.name, f"{name}, sorted", copy)


def _batches(  # noqa: PLR0913, PLR0917 - each is a fact about the files
    files: Sequence[RereadableFile],
    schema: pa.Schema,
    schemas: dict[str, pa.Schema],
    names: dict[str, list[str]],
    linkless: Collection[str],
    on_bytes: Callable[[int], object],
) -> Iterator[tuple[NDArray[np.int64], pa.Table]]:
    """Yield the rows of all files with their moments, in the columns of ``schema``.

    In files that are ``linkless`` no name of an event states a link; in the answer none looks as if
    it did.
    """
    library: Any = import_pyarrow("sorting tables")
    latest = -1
    for file in files:
        size = os.stat(file.path).st_size  # noqa: PTH116
        there = schemas[file.path].names
        for piece in table_pieces(file, names[file.path], size, on_bytes):
            if isinstance(piece, BadLine):
                raise FileFormatError(f"{piece}; a table is sorted whole: mend the row, or leave sort out")
            held = zip(there, names[file.path], strict=False)  # A name of events may be added.
            columns = {raw: piece.batch.column(own) for raw, own in held}
            if file.path in linkless and EVENT in columns:
                columns[EVENT] = ordinary_names(columns[EVENT])
            moments, latest = _moments(columns, piece.batch.num_rows, latest)
            nulls = piece.batch.num_rows
            yield (
                moments,
                library.table(
                    [
                        columns[field.name].cast(field.type)
                        if field.name in columns
                        else library.nulls(nulls, field.type)
                        for field in schema
                    ],
                    schema=schema,
                ),
            )


def _moments(columns: dict[str, Any], rows: int, latest: int) -> tuple[NDArray[np.int64], int]:
    """Return the moment of each row, and the last one; a row without one has that before it."""
    clocks = [clock for clock in CLOCKS if clock in columns]
    looked_at = {name: columns[name].to_pylist() for name in clocks or [PROPERTIES] if name in columns}
    moments = np.empty(rows, np.int64)
    for row in range(rows):
        cells = {name: values[row] for name, values in looked_at.items()}
        found = moment_of({PROPERTIES: cells if clocks else properties_in(cells.get(PROPERTIES))})
        latest = latest if found is None else found[1]
        moments[row] = latest
    return moments, latest


def _runs(batches: Iterator[tuple[NDArray[np.int64], pa.Table]]) -> Iterator[pa.Table]:
    """Yield sorted runs of rows, their moments in the first column."""
    library: Any = import_pyarrow("sorting tables")
    run: list[pa.Table] = []
    rows = size = 0
    for moments, table in batches:
        run.append(table.add_column(0, "", library.array(moments)))
        rows += table.num_rows
        size += table.nbytes
        if rows >= RUN_ROWS or size >= RUN_BYTES:
            yield _sorted(library, run)
            run, rows, size = [], 0, 0
    if run:
        yield _sorted(library, run)


def _sorted(library: Any, run: list[pa.Table]) -> pa.Table:
    table: pa.Table = library.concat_tables(run)
    order = np.argsort(table.column(0).to_numpy(), kind="stable")
    return table.take(library.array(order))


def _written(library: Any, run: pa.Table, path: str) -> str:
    options = library.ipc.IpcWriteOptions(unify_dictionaries=True)
    with library.ipc.new_file(path, run.schema, options=options) as writer:
        writer.write_table(run, max_chunksize=ROWS)
    return path


class _Run:
    """A sorted run in a file, of which one batch is in memory."""

    def __init__(self, library: Any, path: str) -> None:
        self._library = library
        self._reader = library.ipc.open_file(library.memory_map(path))
        self._next = 0
        self.rows: Any = None
        self.moments = np.empty(0, np.int64)
        self._fill()

    def _fill(self) -> None:
        while not len(self.moments) and self._next < self._reader.num_record_batches:
            self.rows = self._library.Table.from_batches([self._reader.get_batch(self._next)])
            self.moments = self.rows.column(0).to_numpy()
            self._next += 1

    def taken(self, count: int) -> Any:
        """Take the first ``count`` rows of the batch, without their moments."""
        taken = self.rows.slice(0, count).remove_column(0)
        self.rows, self.moments = self.rows.slice(count), self.moments[count:]
        self._fill()
        return taken


def _merged(runs: list[_Run]) -> Iterator[Any]:
    """Yield the rows of sorted runs in their order; of equal ones those of the first run."""
    library: Any = import_pyarrow("sorting tables")
    while runs := [run for run in runs if len(run.moments)]:
        bound = min(int(run.moments[-1]) for run in runs)
        counts = [int(np.searchsorted(run.moments, bound, side="left")) for run in runs]
        if not any(counts):  # All begin at the bound or behind it: the first that begins there.
            first = next(place for place, run in enumerate(runs) if int(run.moments[0]) == bound)
            counts[first] = int(np.searchsorted(runs[first].moments, bound, side="right"))
        moments = np.concatenate([run.moments[:count] for run, count in zip(runs, counts, strict=True)])
        taken = [run.taken(count) for run, count in zip(runs, counts, strict=True) if count]
        table = library.concat_tables(taken)
        yield table.take(library.array(np.argsort(moments, kind="stable")))
