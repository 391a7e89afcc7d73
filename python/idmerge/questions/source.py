"""Events as the relation ``events`` of a DuckDB connection: from files, frames or streams."""

from __future__ import annotations

import errno
import glob
import os
import re
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from idmerge._naming import check_local
from idmerge.errors import ColumnError, DialectError, FileFormatError, IdmergeError, MissingExtraError
from idmerge.files.arrow import check_intact, read_schema
from idmerge.files.choosing import ANY, Choice, choice_of
from idmerge.files.frames import pandas_columns, read_once
from idmerge.files.names import PROPERTIES
from idmerge.files.opening import PARQUET, import_pyarrow
from idmerge.files.sources import files_in
from idmerge.questions.condition import parsed
from idmerge.questions.execution import run
from idmerge.questions.names import MOST_COLUMNS, check_property, close_to, names_of
from idmerge.questions.nested import fields_of, property_in, ways
from idmerge.questions.sql import (
    EVENT,
    PERSON,
    SENT,
    STANDARD,
    TIME,
    UTC,
    Column,
    Columns,
    identifier,
    literal,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import duckdb
    import pyarrow as pa

    from idmerge.files.dialects import Dialect
    from idmerge.questions.condition import Condition


Events = Any
"""Stitched events: an object that exports an Arrow stream (of pyarrow, polars or idmerge), a frame
of pandas, a relation of DuckDB, or Parquet: a file, a directory, a pattern, or a list of them."""


class Wanted(NamedTuple):
    """The columns that a question needs, and how it reads them."""

    names: tuple[str, ...]
    perhaps: tuple[str, ...] = ()
    """Those that it reads if they are there."""
    where: str | None = None
    """A condition on the events; the columns that it names are read too."""
    zone: str = UTC
    condition: Condition | None = None

    def with_condition(self, connection: duckdb.DuckDBPyConnection) -> Wanted:
        """Return the same with the condition parsed.

        Raises:
            QuestionError: It is not one expression.
        """
        if self.where is None:
            return self
        return self._replace(condition=parsed(connection, self.where))

    @property
    def named(self) -> tuple[str, ...]:
        """The names of columns in the condition."""
        return () if self.condition is None else self.condition.names

    @property
    def every(self) -> tuple[str, ...]:
        """All columns to look for, each once."""
        return tuple(dict.fromkeys((*self.names, *self.named, *self.perhaps)))

    def is_needed(self, name: str) -> bool:
        """Return whether nothing can be answered without a column."""
        return name in self.names or name in self.named


class Place(NamedTuple):
    """The place of a wanted column."""

    column: int
    inside: str | None = None
    """The name of the property in that column, if the wanted one is none of its own."""


TIMES = ("TIMESTAMP", "DATE")


@contextmanager
def opened(
    events: Any, wanted: Wanted, choice: Choice = ANY
) -> Iterator[tuple[duckdb.DuckDBPyConnection, Columns]]:
    """Open a connection in which ``events`` has the columns ``wanted``, by the names of SPEC 11.

    Raises:
        ColumnError: The events lack one of them, their times are no timestamps, the stream was read
            already, or it or DuckDB fails.
        FileFormatError: A file is no Parquet, or DuckDB cannot read it.
        MemoryError: They need more memory than DuckDB may take.
        MissingExtraError: DuckDB or pyarrow is not installed.
        QuestionError: The condition is not one expression.
    """
    with _connected() as connection:
        wanted = wanted.with_condition(connection)
        files = _files(events)
        with _reading(files):
            if files is None:
                if isinstance(events, import_pyarrow("questions").RecordBatchReader):
                    read_once(events)
                known = _load(connection, _stream(events, wanted, choice), wanted, choice)
            else:
                known = _view(connection, files, wanted, choice)
            connection.execute(f"SET TimeZone = {literal(wanted.zone)}")
            _seal(connection, files or ())
            for name, found in known.nested.items():
                if wanted.is_needed(name):
                    check_property(connection, name, found)
            yield connection, known


def schema_of(events: Any, wanted: Wanted, choice: Choice = ANY) -> Columns:
    """Return the columns ``wanted`` of ``events``, without reading rows.

    Raises what `opened` raises.
    """
    with _connected() as connection:
        wanted = wanted.with_condition(connection)
        files = _files(events)
        with _reading(files):
            if files is None:
                return _columns(connection, _stream(events, wanted, choice).schema, wanted, choice)
            return _view(connection, files, wanted, choice)


def columns_without(wanted: Wanted) -> Columns:
    """Return the columns of events as stitching makes them, without any."""
    if wanted.where is None:
        return Columns(zone=wanted.zone)
    with _connected() as connection:
        return Columns(zone=wanted.zone, condition=wanted.with_condition(connection).condition)


def event_names(
    events: Events, *, dialect: str | Dialect | None = None, columns: Mapping[str, str] | None = None
) -> list[str]:
    """Return the names of ``events``, the most frequent first; see `Question.ask`.

    Raises what `opened` raises.

    Examples:
        >>> import idmerge
        >>> from idmerge import questions
        >>> events = idmerge.stitch("examples/shop.ndjson")
        >>> questions.event_names(events)
        ['Page View', 'Read Post', '$identify', 'Sign Up', 'Add to Cart', 'Purchase',
        '$create_alias', '$merge']
    """
    with opened(events, Wanted((EVENT,)), choice_of(dialect, columns)) as (connection, known):
        return names_of(connection, known)


def column_names(events: Events) -> list[str]:
    """Return the names of the columns in files, each once, as they are spelt there.

    SQL numbers the later of two names that differ in case alone.

    Raises what `opened` raises.
    """
    return [*dict.fromkeys(name for file in _files(events) or () for name in _names_in(file))]


def check_installed() -> None:
    """Look whether DuckDB and pyarrow are there, before work is done that ends with a question.

    Raises:
        MissingExtraError: One of them is not installed.
    """
    with _connected():
        pass


@contextmanager
def _connected() -> Iterator[duckdb.DuckDBPyConnection]:
    try:
        import duckdb  # noqa: PLC0415
        import pyarrow as pa  # noqa: F401, PLC0415
    except ImportError as error:
        raise MissingExtraError("questions need duckdb and pyarrow: pip install duckdb pyarrow") from error
    with tempfile.TemporaryDirectory() as spill, duckdb.connect(":memory:") as connection:
        connection.execute(f"SET temp_directory = {literal(spill)}")
        yield connection


def _seal(connection: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> None:
    """Keep statements from all files but ``files``, from extensions, and from settings.

    A condition is written by whoever asks, and DuckDB could read and write files by it.
    """
    paths = dict.fromkeys(name for file in files for name in (str(file), _no_pattern(str(file))))
    connection.execute(f"SET allowed_paths = [{', '.join(map(literal, paths))}]")
    for setting in ("autoload_known_extensions", "autoinstall_known_extensions", "enable_external_access"):
        connection.execute(f"SET {setting} = false")
    connection.execute("SET lock_configuration = true")


@contextmanager
def _reading(files: Sequence[Path] | None) -> Iterator[None]:
    """Turn errors of DuckDB and pyarrow in reading ``files``, or a stream, into ours."""
    import duckdb  # noqa: PLC0415
    import pyarrow as pa  # noqa: PLC0415

    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise MemoryError(_reason(error)) from error
    except (duckdb.Error, pa.ArrowException) as error:
        if isinstance(error, MemoryError):
            raise
        if files is not None:
            raise _unreadable(files, error) from error
        raise ColumnError(f"the events cannot be read: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Return the first line of an error's message, without a traceback from a stream."""
    return str(error).partition("\n")[0].partition(". Detail: Python exception")[0]


# Streams


def _stream(events: Any, wanted: Wanted, choice: Choice) -> pa.RecordBatchReader:
    """Return ``events`` as a stream of Arrow batches."""
    import pyarrow as pa  # noqa: PLC0415

    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(events, pandas.DataFrame):
        names = [name for name in events.columns if isinstance(name, str)]
        places = places_of(names, wanted, choice)
        own = {}
        for name, (place, inside) in places.items():
            is_whole = name in {inside, f"{PROPERTIES}.{inside}"}
            own[names[place]] = name if inside is None else PROPERTIES if is_whole else names[place]
        return pandas_columns(events, [*own]).rename_columns([*own.values()]).to_reader()
    if not hasattr(events, "__arrow_c_stream__"):
        raise TypeError(
            "events must be a table that exports an Arrow stream, a frame of pandas, a relation of DuckDB or "
            f"paths of Parquet, got {type(events).__name__}"
        )
    if isinstance(events, (pa.Table, pa.RecordBatch)):
        check_intact(events, full=False)  # A stream does not carry the sizes of buffers.
    own_schema = getattr(events, "schema", None)
    if isinstance(own_schema, pa.Schema) and hasattr(events, "batches"):
        # Stitched events: their exceptions would be no more than a text on the other side of a
        # stream.
        stream = pa.RecordBatchReader.from_batches(own_schema, events.batches())
    else:
        stream = pa.RecordBatchReader.from_stream(events)
    schema = stream.schema
    for place, column in enumerate(schema):
        if pa.types.is_null(column.type):  # No value at all; SQL would take it for a number.
            kind = pa.timestamp("us", tz="UTC") if column.name == TIME else pa.string()
            schema = schema.set(place, column.with_type(kind))
    return stream if schema.equals(stream.schema) else stream.cast(schema)


def _load(
    connection: duckdb.DuckDBPyConnection,
    stream: pa.RecordBatchReader,
    wanted: Wanted,
    choice: Choice,
) -> Columns:
    """Read the columns ``wanted`` of ``stream``, once, into a table ``events``."""
    import duckdb  # noqa: PLC0415
    import pyarrow as pa  # noqa: PLC0415

    columns = _columns(connection, stream.schema, wanted, choice)
    found = places_of(stream.schema.names, wanted, choice)
    names = {place: columns.known_as(name) for name, (place, _) in found.items() if name in columns}
    places = [*names]
    chosen = ", ".join(f"#{row} AS {identifier(name)}" for row, name in enumerate(names.values(), 1))
    damage: list[Exception] = []
    validated = pa.RecordBatchReader.from_batches(
        pa.schema([stream.schema.field(place) for place in places]),
        _validated(stream, places, damage),
    )
    connection.register("stream", validated)
    try:
        run(connection, f"CREATE TEMPORARY TABLE events AS SELECT {chosen} FROM stream")
    except duckdb.Error as error:
        if damage and isinstance(damage[0], (IdmergeError, MemoryError)):
            raise damage[0] from error
        if damage:
            raise ColumnError(f"the events cannot be read: {_reason(damage[0])}") from damage[0]
        raise
    connection.unregister("stream")
    return columns


def _validated(
    stream: pa.RecordBatchReader, places: Sequence[int], damage: list[Exception]
) -> Iterator[pa.RecordBatch]:
    """Yield the columns of ``stream`` at ``places``, validated, which DuckDB does not do."""
    try:
        for batch in stream:
            chosen = batch.select(list(places))
            check_intact(chosen)
            yield chosen
    except Exception as error:
        damage.append(error)
        raise


def _columns(
    connection: duckdb.DuckDBPyConnection, schema: pa.Schema, wanted: Wanted, choice: Choice
) -> Columns:
    connection.register("nothing", schema.empty_table())
    return _found(connection.sql("SELECT * FROM nothing"), schema.names, wanted, choice)


# Files


def _files(events: Any) -> list[Path] | None:
    """Return the files that ``events`` names, or None if it is no path."""
    if isinstance(events, (str, os.PathLike)):
        places: list[str | os.PathLike[str]] = [events]
    elif (
        isinstance(events, (list, tuple))
        and events
        and all(isinstance(e, (str, os.PathLike)) for e in events)
    ):
        places = list(events)
    else:
        return None
    return [file for place in places for file in _files_at(Path(place))]


def _files_at(place: Path) -> list[Path]:
    check_local(place)
    if place.is_dir():
        files = _parquet_in(place)
        missing = "no file in it is called .parquet"
    elif place.exists():
        return [place]
    else:
        files = [Path(path) for path in sorted(glob.glob(str(place), recursive=True))]  # noqa: PTH207
        missing = os.strerror(errno.ENOENT)
    if not files:
        raise FileNotFoundError(errno.ENOENT, missing, str(place))
    return files


def _parquet_in(directory: Path) -> list[Path]:
    return files_in(directory, (".parquet",))


def is_parquet(file: Path) -> bool:
    """Return whether the bytes of ``file`` begin as Parquet's do."""
    with file.open("rb") as stream:
        return stream.read(len(PARQUET)) == PARQUET


def is_stitched(
    place: Path, *, dialect: str | Dialect | None = None, columns: Mapping[str, str] | None = None
) -> bool:
    """Return whether ``place``, a file or a directory, is Parquet of other than raw events.

    Stitched events have the ID that was sent in a column of its own. Raw ones may be in any
    ``dialect``, or have ``columns`` of other names.

    Examples:
        >>> from pathlib import Path
        >>> import idmerge
        >>> from idmerge.questions import is_stitched
        >>> events = idmerge.stitch("examples/shop.ndjson", output="s.parquet")
        >>> is_stitched(Path("s.parquet")), is_stitched(Path("examples/shop.ndjson"))
        (True, False)
    """
    candidates = _parquet_in(place) if place.is_dir() else [place]
    file = next(filter(is_parquet, candidates), None)
    if file is None:
        return False
    try:
        names = set(_names_in(file))
    except (MissingExtraError, FileFormatError):
        return True  # Opening it raises the same.
    if SENT in names or {EVENT, PERSON, PROPERTIES} & names:
        return SENT in names
    try:
        return choice_of(dialect, columns).of(names) is None
    except DialectError:
        return False  # Stitching it raises the same.


def _names_in(file: Path) -> list[str]:
    """Return the names of the columns of a Parquet file."""
    return list(read_schema(str(file), str(file), "Parquet").names)


def _view(
    connection: duckdb.DuckDBPyConnection, files: Sequence[Path], wanted: Wanted, choice: Choice
) -> Columns:
    """Make the Parquet ``files`` a view ``events``."""
    import duckdb  # noqa: PLC0415

    for file in files:
        if not is_parquet(file):
            raise FileFormatError(
                f"{file}: expected Parquet of stitched events; idmerge stitch makes it of raw ones"
            )
    headings = {tuple(_names_in(file)) for file in files}
    try:
        names = ", ".join(literal(_no_pattern(str(file))) for file in files)
        by_name = str(len(headings) > 1).lower()
        connection.execute(
            f"CREATE TEMPORARY VIEW events AS SELECT * FROM read_parquet([{names}], "
            f"union_by_name = {by_name}, hive_partitioning = false)"
        )
        relation = connection.sql("SELECT * FROM events")
    except duckdb.Error as error:
        raise _unreadable(files, error) from error
    if len(headings) == 1:
        return _found(relation, headings.pop(), wanted, choice)
    for name in wanted.every:
        twins = sorted({twin for names in headings for twin in names if twin.lower() == name.lower()})
        if len(twins) > 1:
            raise ColumnError(
                f"the files call a column {' and '.join(map(repr, twins))}, which SQL does not tell apart; "
                "write them anew with the same columns in each"
            )
    return _found(relation, relation.columns, wanted, choice)


def _no_pattern(path: str) -> str:
    """Return ``path`` so that DuckDB takes no character of it for a pattern."""
    return re.sub(r"([\[*?])", r"[\1]", path)


def _unreadable(files: Sequence[Path], error: Exception) -> FileFormatError:
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return FileFormatError(f"{files[0]}{more}: cannot be read ({' '.join(str(error).split())})")


# Columns


def _found(
    relation: duckdb.DuckDBPyRelation, names: Sequence[str], wanted: Wanted, choice: Choice
) -> Columns:
    """Return the columns ``wanted`` as SQL names of ``relation``, with columns ``names``."""
    places = places_of(names, wanted, choice)
    known = {}
    for name, (place, inside) in places.items():
        column, kind = relation.columns[place], relation.types[place]
        found = Column(column, str(kind)) if inside is None else property_in(column, kind, inside)
        if found is not None:
            known[name] = found
        elif wanted.is_needed(name):
            raise missing(names, name, fields_of(kind))
    times = known[TIME].type if TIME in known else TIMES[0]
    if not times.startswith(TIMES):
        raise ColumnError(f"the column {TIME!r} must hold timestamps, got {times}; idmerge stitch makes them")
    return Columns(known, zone=wanted.zone, condition=wanted.condition)


def places_of(names: Sequence[str], wanted: Wanted, choice: Choice) -> dict[str, Place]:
    """Return the place of each column that is ``wanted`` among ``names``, own or raw ones.

    A property that has no column is in one, as ``page.path`` may be in the column ``page``, or in
    that of all properties, if there is one.

    Raises:
        ColumnError: One that is needed is not there.
    """
    raw: Sequence[str] = names
    if choice != ANY or any(name not in names for name in wanted.every):
        dialect = choice.of(dict.fromkeys(names))
        renamed = {} if dialect is None else dialect.raw_names(dict.fromkeys(names))
        raw = [renamed.get(name, name) for name in names]
    places = {}
    for name in wanted.every:
        place = _place_of(name, names, raw, as_sql=name in wanted.named)
        if place is not None:
            places[name] = place
        elif wanted.is_needed(name):
            raise missing(names, name)
    return places


def _place_of(name: str, names: Sequence[str], raw: Sequence[str], *, as_sql: bool) -> Place | None:
    """Return the place of a column; ``as_sql``, its name may differ in case, as it may in SQL."""
    for known in (names, raw):
        if name in known:
            return Place([*known].index(name), inside=None)
    alike = [place for place, other in enumerate(names) if as_sql and other.lower() == name.lower()]
    if len(alike) == 1:
        return Place(alike[0], inside=None)
    if name in STANDARD:
        return None
    for first, rest in ways(name):
        for known in (names, raw):
            if first in known and first not in STANDARD:
                return Place([*known].index(first), rest)
    whole = next((known for known in (raw, names) if PROPERTIES in known), None)
    return None if whole is None else Place([*whole].index(PROPERTIES), name)


def missing(names: Sequence[str], name: str, fields: Sequence[str] = ()) -> ColumnError:
    """Return the error of a column that is not there."""
    shown = ", ".join(map(repr, names[:MOST_COLUMNS])) or "none"
    more = f" and {len(names) - MOST_COLUMNS} more" if len(names) > MOST_COLUMNS else ""
    return ColumnError(
        f"the events have no column {name!r}; they have {shown}{more}{close_to(name, [*names, *fields])}"
    )
