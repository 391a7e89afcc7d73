"""DataFrames of events: the links that they state (SPEC 3), and the sender of each event.

Events come in one of three shapes: lines of JSON in a column ``value`` (text), as
``spark.read.text`` has them; columns ``event`` and ``properties`` (a struct, a map, or JSON text);
or a column for each property. The last two may be mixed, and are what `idmerge.stitch` takes; both
may be in any dialect that it knows. Executors read them as it does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from pyspark.sql import types as T
from pyspark.sql.pandas.functions import arrow_udf

from idmerge._steps import EVIDENCE, OBSERVE, step_of
from idmerge.errors import ColumnError, DialectError, MalformedEventError
from idmerge.events import distinct_id_of, event_mapping, sender_of
from idmerge.files.choosing import choice_of
from idmerge.files.names import BEFORE, EVENT, ID, PROPERTIES, places_of_ids
from idmerge.files.renaming import renamed
from idmerge.files.rows import Rows, link_columns
from idmerge.policy import is_unicode
from idmerge.spark.stated import column, observation_of, order_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa
    from pyspark.sql import Column, DataFrame

    from idmerge.files.choosing import Choice
    from idmerge.files.dialects import Dialect
    from idmerge.policy import Api

LINE = "value"
"""The column that holds lines of JSON."""
_LINK = [
    T.StructField("kind", T.ByteType()),
    T.StructField("first", T.StringType()),
    T.StructField("second", T.StringType()),
]


class Step(NamedTuple):
    """A link, evidence, or an observation, which is stated as a link of an ID with itself."""

    kind: int
    """The code of the step: of a link the number of its `Kind`, or another one if Mixpanel refused
    it itself."""
    first: str
    second: str


def links(
    events: DataFrame,
    *,
    order: str | Sequence[str],
    dialect: str | Dialect | None = None,
    columns: Mapping[str, str] | None = None,
    api: Api = "original",
) -> DataFrame:
    """Return the links that ``events`` state, and the IDs that ordinary ones make known (SPEC 3).

    An ordinary event comes as a `$merge` of its ``distinct_id`` with itself (a mapping under
    another API), which makes that known and does nothing else. One that was sent under another ID,
    and links that Mixpanel refused itself, come under numbers of their own, which `resolve` takes
    as its policy says. All events count as imported. Malformed identity events, and lines that are
    no JSON object, are left out: they are as if never sent.

    Args:
        events: A column ``value`` of JSON lines; or ``event`` with ``properties`` (a struct, a map
            or JSON text), with the properties as columns, or both.
        order: The column, or the columns, by which events are ordered. They are passed on.
        dialect: The name of the dialect in which the events are; by default it is found by their
            columns, of lines by their keys. SPEC 11 lists them.
        columns: The column or key of each role that has another name: ``{"distinct_id": "uid"}``.
        api: The API whose links the events state; that of the policy by which they are resolved.

    Returns:
        The order columns, ``kind`` (a `Kind`; 9 to 11, and 14 for an association, for one that
        Mixpanel refused, 12 for an event that was sent under ``second``), ``first`` and ``second``.

    Raises:
        ColumnError: A column is missing.
        DialectError: There is no such dialect or role.

    Examples:
        >>> from pyspark.sql import SparkSession
        >>> from idmerge import spark as on_spark
        >>> spark = SparkSession.builder.getOrCreate()
        >>> line = '{"event": "$merge", "properties": {"$distinct_ids": ["ana", "crm-17"]}}'
        >>> events = spark.createDataFrame([(0, line)], "sent int, value string")
        >>> on_spark.links(events, order="sent").collect()
        [Row(sent=0, kind=2, first='ana', second='crm-17')]
    """
    orders = order_columns(events, order)
    choice = choice_of(dialect, columns, api)
    places = [place.alias(f"order {number}") for number, place in enumerate(orders)]
    named = {raw: own for own, raw in raw_columns(events, choice).items()}
    wanted = [name for name in (LINE, *link_columns(api)) if name in named]
    plain = events.select(*places, *(column(named[name]).alias(name) for name in wanted))
    schema = T.StructType([*plain.schema.fields[: len(orders)], *_LINK])
    found = choice.of(events.columns)
    names_link = found is None or found.names_link
    stated = plain.mapInArrow(partial(_stated, len(orders), choice, names_link=names_link), schema)
    return stated.toDF(*([order] if isinstance(order, str) else order), *(field.name for field in _LINK))


def raw_columns(events: DataFrame, choice: Choice, *, needs_event: bool = True) -> dict[str, str]:
    """Return the raw name of each column of ``events``, or of that of lines alone.

    Raises:
        ColumnError: They are in none of the three shapes.
    """
    names = events.columns
    if EVENT not in names and LINE in names:
        return {LINE: LINE}
    try:
        given, raw = renamed(names, choice, needs_event=needs_event)
    except DialectError as error:
        raise ColumnError(
            f"events need the column {LINE} (lines of JSON), or {EVENT} with {ID} or {PROPERTIES}, "
            f"got {', '.join(names)}: {error}"
        ) from error
    if given.content == "mappings":
        raise ColumnError("these are identity mappings, not events; state each as a link")
    return dict(zip(names, raw, strict=True))


def _stated(
    orders: int, choice: Choice, batches: Iterable[pa.RecordBatch], *, names_link: bool
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa  # noqa: PLC0415

    for batch in batches:
        names = batch.schema.names[orders:]
        columns = dict(zip(names, batch.columns[orders:], strict=True))
        steps = list(_steps(columns, choice, names_link=names_link))
        rows = [row for row, step in enumerate(steps) if step is not None]
        stated = [step for step in steps if step is not None]
        kept = [place.take(pa.array(rows, pa.int64())) for place in batch.columns[:orders]]
        kinds = pa.array([step.kind for step in stated], pa.int8())
        ends = [pa.array([step[end] for step in stated], pa.string()) for end in (1, 2)]
        fields = [*batch.schema.names[:orders], *(field.name for field in _LINK)]
        yield pa.RecordBatch.from_arrays([*kept, kinds, *ends], names=fields)


def _steps(
    columns: Mapping[str, pa.Array[Any]], choice: Choice, *, names_link: bool
) -> Iterator[Step | None]:
    """Yield what each event states: None for nothing."""
    if LINE in columns:
        for event in _events(columns[LINE], choice):
            yield None if event is None else _step(choice.api, *step_of(event, "import", choice.api))
        return
    rows = _rows(columns, choice.api, names_link=names_link)
    for code, first, second in zip(*rows.steps(), strict=True):
        yield _step(choice.api, code, first, second)


def _rows(columns: Mapping[str, pa.Array[Any]], api: Api, *, names_link: bool = True) -> Rows:
    import pyarrow as pa  # noqa: PLC0415

    return Rows(pa.table(dict(columns)), api=api, names_link=names_link)


def _events(lines: pa.Array[Any], choice: Choice) -> Iterator[Mapping[str, Any] | None]:
    """Yield the event of each line, None where it is no JSON object."""
    dialects: dict[tuple[str, ...], Dialect | None] = {}
    for line in lines.to_pylist():
        try:
            row = None if line is None else event_mapping(line)
            yield None if row is None or not row else _raw_event(row, choice, dialects)
        except MalformedEventError:
            yield None


def _raw_event(
    row: Mapping[str, Any], choice: Choice, dialects: dict[tuple[str, ...], Dialect | None]
) -> Mapping[str, Any] | None:
    """Return the event of an object in its dialect; rows of the same keys have the same one."""
    keys = tuple(row)
    if keys not in dialects:
        dialects[keys] = choice.of(keys, row.get)
    dialect = dialects[keys]
    if dialect is None or dialect.content != "events":
        return None
    record = row.get(dialect.record) if dialect.record else row
    return dialect.event_of(record) if isinstance(record, Mapping) else None


def _step(api: Api, code: int, first: str | None, second: str | None) -> Step | None:
    """Return the step with this code and operands, None if it is as if never sent."""
    if code == EVIDENCE and second is not None and not is_unicode(second):
        code = OBSERVE
    if code == OBSERVE:
        code, second = observation_of(api), first
    if first is None or second is None or not is_unicode(first) or not is_unicode(second):
        return None  # No policy takes what is no Unicode text.
    return Step(code, first, second)


def sender(events: DataFrame, choice: Choice) -> Column:
    """Return structs of each event's ``sent`` ID and the one ``before`` any stitching.

    The columns of ``events`` have raw names.
    """
    names = [LINE]
    if EVENT in events.columns or LINE not in events.columns:
        names = [name for name in (BEFORE, *places_of_ids(choice.api)) if name in events.columns]
    scalar: Any = arrow_udf  # Its overloads know no function of several columns that has no name.
    ids: Column = scalar(lambda *held: _senders(names, choice, *held), "sent string, before string")(
        *map(column, names)
    )
    return ids


def _senders(names: Sequence[str], choice: Choice, *columns: pa.Array[Any]) -> pa.Array[Any]:
    import pyarrow as pa  # noqa: PLC0415

    if LINE in names:
        events = _events(columns[0], choice)
        properties = [json.dumps(_properties(event, choice.api)) for event in events]
        names, columns = [PROPERTIES], (pa.array(properties, pa.string()),)
        choice = choice._replace(api="original")  # These are the IDs that count.
    rows = _rows(dict(zip(names, columns, strict=True)), choice.api)
    sent = rows.sent()
    return pa.StructArray.from_arrays([sent, rows.before(sent)], names=["sent", "before"])


def _properties(event: Mapping[str, Any] | None, api: Api) -> dict[str, str | None]:
    """Return the two IDs that an event may have, where they are text."""
    ids = {} if event is None else {ID: sender_of(event, api), BEFORE: _before(event)}
    return {name: own for name, own in ids.items() if own is not None and is_unicode(own)}


def _before(event: Mapping[str, Any]) -> str | None:
    properties = event.get(PROPERTIES)
    return (
        distinct_id_of({PROPERTIES: {ID: properties.get(BEFORE)}}) if isinstance(properties, dict) else None
    )
