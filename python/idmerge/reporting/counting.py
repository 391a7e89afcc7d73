"""Counts of events and of their properties, by which names are guessed.

One statement reads the columns whose names are in `idmerge.reporting.vocabulary`, of all events.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from idmerge.files.choosing import choice_of
from idmerge.files.names import PROPERTIES
from idmerge.questions.execution import run
from idmerge.questions.names import check_events, names_of
from idmerge.questions.nested import fields_of, property_in
from idmerge.questions.source import Wanted, column_names, opened
from idmerge.questions.sql import EVENT, PERSON, SENT, STANDARD, TIME, literal, path_of
from idmerge.reporting.vocabulary import (
    AMOUNTS,
    CAMPAIGNS,
    CONTENTS,
    CURRENCIES,
    NESTED,
    PAGES,
    POSTS,
    PURCHASES,
    SIGNUPS,
    rank,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import duckdb

    from idmerge.files.dialects import Dialect
    from idmerge.questions.source import Events
    from idmerge.questions.sql import Columns

MOST_EVENTS = 2000
"""Names of events that are counted apart, the most frequent, and those named as in a list."""
MOST_PROPERTIES = 60
"""Properties that are counted of those that are named alike."""
NEAR = "INTERVAL '60 seconds'"
"""The longest time between an event and the moment at which its person became known."""
LISTS = (AMOUNTS, CAMPAIGNS, CONTENTS, CURRENCIES)
OF_EVENTS = (SIGNUPS, PURCHASES, POSTS, PAGES)
URL = "(https?://|/|[^/?#]+[.][^/?#]+/).*"
"""The form of URLs, and of their paths."""


class Values(NamedTuple):
    """The values of a property among the events of a name."""

    filled: int
    """Events that have one, which is no empty text."""
    numbers: int
    """Those of them that are numbers."""
    urls: int
    """Those that look like URLs or paths."""
    queries: int
    """Those with a query, a fragment or an origin, which are no bare paths."""
    distinct: int
    """Different values, if the property is named as currencies are; else 0."""


class Counted(NamedTuple):
    """The events of a name."""

    name: str
    events: int
    persons: int
    values: Mapping[str, Values]
    """The values of the properties that any of them has."""


class Known(NamedTuple):
    """An event that comes when persons become known."""

    name: str
    near: int
    """Persons with such an event within `NEAR` of that moment."""
    moments: int
    """Persons who became known."""


class Counts:
    """The counts of events that are open on a connection of DuckDB."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        columns: Columns,
        named: Iterable[str],
        properties: Iterable[str],
    ) -> None:
        self._connection, self._columns = connection, columns
        self.properties = [name for name in properties if name in columns]
        """The names of the properties that were counted."""
        counted = self._count(_chosen(names_of(connection, columns), named))
        self.rest = [counted.pop(None)] if None in counted else []
        """The events of all names that are not among the first, together, if there are any."""
        self.events = [*counted.values()]
        """The events by name, the most frequent first."""
        [(self.total,)] = run(connection, "SELECT count(*) FROM events")

    def of(self, event: str | None) -> Counted | None:
        """Return the counts of an event; None if there is none."""
        return next((counted for counted in self.events if counted.name == event), None)

    def _count(self, names: Sequence[str] | None) -> dict[str | None, Counted]:
        """Return the counts by name, the most frequent first; without a name, of all others."""
        event = self._columns.text(EVENT)
        apart = event
        if names is not None:
            apart = f"CASE WHEN {event} IN ({', '.join(map(literal, names))}) THEN {event} END"
        measures = [measure for name in self.properties for measure in self._measures(name)]
        chosen = ", ".join([apart, "count(*)", f"count(DISTINCT {self._columns.text(PERSON)})", *measures])
        rows = run(
            self._connection,
            f"SELECT {chosen} FROM events WHERE {event} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1",
        )
        wide = len(Values._fields)
        found = {}
        for name, events, persons, *numbers in rows:
            values = {
                each: Values(*numbers[place * wide : (place + 1) * wide])
                for place, each in enumerate(self.properties)
                if numbers[place * wide]
            }
            found[name] = Counted(name or "", events, persons, values)
        return found

    def _measures(self, name: str) -> Iterator[str]:
        text = f"nullif({self._columns.text(name)}, '')"
        url = f"regexp_full_match({text}, {literal(URL)}, 's')"
        yield f"count({text})"
        yield f"count({self._columns.number(name)})"
        yield f"count(*) FILTER (WHERE {url})"
        yield f"count(*) FILTER (WHERE {url} AND {text} <> {path_of(text)})"
        yield f"count(DISTINCT {text})" if rank(name, CURRENCIES) is not None else "0"

    def where_known(self) -> list[Known]:
        """Return the events around the moments at which persons became known, the nearest first.

        A person becomes known with the first event under the canonical ID that comes after one
        under another ID. Events that a person does again and again are left out.
        """
        event, time = self._columns.text(EVENT), self._columns.utc(TIME)
        person, sent = self._columns.text(PERSON), self._columns.text(SENT)
        rows = run(
            self._connection,
            f"""\
WITH acts AS (SELECT {event} AS name, {time} AS time, {person} AS person, {sent} AS sent FROM events),
starts AS (SELECT person, min(time) AS start FROM acts WHERE sent <> person GROUP BY person),
moments AS (
    SELECT person, min(time) AS moment
    FROM acts JOIN starts USING (person)
    WHERE sent = person AND time >= start
    GROUP BY person
)
SELECT
    name,
    count(DISTINCT person) FILTER (WHERE time BETWEEN moment - {NEAR} AND moment + {NEAR}) AS near,
    (SELECT count(*) FROM moments)
FROM acts JOIN moments USING (person)
WHERE name IS NOT NULL
GROUP BY name
HAVING near > 0 AND count(*) <= 1.2 * count(DISTINCT person)
ORDER BY near DESC, name""",
        )
        return [Known(*row) for row in rows]


def _chosen(names: Sequence[str], named: Iterable[str]) -> list[str] | None:
    """Return the events that are counted apart, ``named`` and the first; None if they are all."""
    if len(names) <= MOST_EVENTS:
        return None
    called = [name for name in names if any(rank(name, of) is not None for of in OF_EVENTS)]
    return [*dict.fromkeys([*named, *called[:MOST_EVENTS], *names[:MOST_EVENTS]])]


@contextmanager
def counts(
    events: Events,
    named: Sequence[str],
    properties: Sequence[str],
    *,
    dialect: str | Dialect | None = None,
    columns: Mapping[str, str] | None = None,
) -> Iterator[Counts]:
    """Count files of stitched events.

    Args:
        events: The files.
        named: Events that are counted however rare they are, and ``properties`` that are counted
            whatever they are called; each of them must occur, unless there are no events at all.
        properties: See there.
        dialect: As for `idmerge.questions.Question.ask`.
        columns: Likewise.

    Raises what `idmerge.questions.Question.ask` raises.
    """
    choice = choice_of(dialect, columns)
    with opened(events, Wanted(STANDARD), choice) as (connection, known):
        check_events(connection, known, named)
        needed = properties if run(connection, "SELECT 1 FROM events LIMIT 1") else ()
        found = [*_candidates(connection, column_names(events))]
    wanted = Wanted((*STANDARD, *needed), (*properties, *found))
    with opened(events, wanted, choice) as (connection, known):
        yield Counts(connection, known, named, dict.fromkeys([*properties, *found]))


def _candidates(connection: duckdb.DuckDBPyConnection, columns: Iterable[str]) -> Iterator[str]:
    """Yield the properties with a name of the vocabulary, those with the surest names first."""
    ranked = sorted(
        (place, name)
        for name in _names(connection, columns)
        if name not in STANDARD
        and (
            place := min((of for of in (rank(name, names) for names in LISTS) if of is not None), default=-1)
        )
        >= 0
    )
    for _, name in ranked[:MOST_PROPERTIES]:
        yield name


def _names(connection: duckdb.DuckDBPyConnection, columns: Iterable[str]) -> Iterator[str]:
    """Yield the names of all columns, of what is in a column of all properties, and of `NESTED`."""
    relation: Any = connection.sql("SELECT * FROM events")
    kinds = dict(zip(relation.columns, relation.types, strict=True))
    for name in columns:
        if name == PROPERTIES and (kind := kinds.get(name)) is not None:
            yield from fields_of(kind)
            whole = property_in(name, kind, "")
            if whole is not None and whole.keys:
                keys = f"SELECT DISTINCT unnest({whole.keys}) AS key FROM events"
                yield from (key for (key,) in run(connection, f"{keys} ORDER BY key"))
        else:
            yield name
            yield from (nested for nested in NESTED if nested.partition(".")[0] == name)
