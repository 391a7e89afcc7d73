"""Building blocks of statements: quoted names and values, and the part that all begin with."""

from __future__ import annotations

import textwrap
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from idmerge._formatting import counted
from idmerge.policy import DEVICE_PREFIX, ascii_lower
from idmerge.questions.condition import VALUES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from idmerge.questions.condition import Condition

UTC = "UTC"
TIME, EVENT, PERSON, SENT = "time", "event", "distinct_id", "$distinct_id_before_identity"
STANDARD = (EVENT, TIME, PERSON, SENT)
"""The columns of all stitched events."""

WIDTH = 100
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
NUMBERS = {*_INTEGERS, *(f"U{name}" for name in _INTEGERS), "FLOAT", "DOUBLE", "DECIMAL", "VARCHAR"}
"""Types that become amounts without a text between."""


class Column(NamedTuple):
    """A column as SQL calls it."""

    name: str
    """The name in DuckDB, which numbers the later of two names that differ in case alone."""
    type: str
    term: str | None = None
    """The term that stands for the column, where it is a property in another one."""
    keys: str = ""
    """The term for the names of all properties in that one."""


class Columns:
    """The columns of ``events`` in a statement: those of stitching, unless others are ``known``.

    Days are those of a ``zone``; of the events those count that meet a ``condition``.
    """

    def __init__(
        self,
        known: Mapping[str, Column] | None = None,
        *,
        zone: str = UTC,
        condition: Condition | None = None,
    ) -> None:
        self._known = known
        self._zone = zone
        self._condition = condition

    def __contains__(self, name: object) -> bool:
        """Return whether there is a column ``name``."""
        return self._known is None or name in self._known

    def __getitem__(self, name: str) -> str:
        """Return the column ``name`` as it stands in a statement."""
        term = None if self._known is None else self._known[name].term
        return term or f"events.{identifier(self.known_as(name))}"

    def known_as(self, name: str) -> str:
        """Return the name of the column ``name`` in SQL."""
        return name if self._known is None else self._known[name].name

    @property
    def nested(self) -> dict[str, Column]:
        """The properties that stand in no column of their own, by their names."""
        return {name: column for name, column in (self._known or {}).items() if column.term}

    def text(self, name: str) -> str:
        """Return the column as text."""
        if self._known is None or self._known[name].type == "VARCHAR":
            return self[name]
        return f"CAST({self[name]} AS VARCHAR)"

    def number(self, name: str) -> str:
        """Return the column as an amount; null where it is no number, or one of 10²² and more.

        A boolean is none, although SQL takes it for 0 or 1.
        """
        kind = "DOUBLE" if self._known is None else self._known[name].type
        is_list = kind.endswith("]")
        value = self[name] if kind.partition("(")[0] in NUMBERS and not is_list else self.text(name)
        return f"TRY_CAST({value} AS DECIMAL(28, 6))"

    def utc(self, name: str) -> str:
        """Return a column of times without their zone, which is UTC."""
        return f"{self[name]} AT TIME ZONE 'UTC'" if self.has_zone(name) else self[name]

    def local(self, name: str) -> str:
        """Return a column of times as the clocks of the zone show them, without their zone."""
        if self._zone == UTC:
            return self.utc(name)
        moment = self[name] if self.has_zone(name) else f"CAST({self[name]} AS TIMESTAMP) AT TIME ZONE 'UTC'"
        return f"{moment} AT TIME ZONE {literal(self._zone)}"

    def day(self, name: str) -> str:
        """Return the days of a column of times, in the zone."""
        return f"CAST({self.local(name)} AS DATE)"

    @property
    def condition(self) -> str | None:
        """The condition, with its columns as they stand in a statement."""
        if self._condition is None:
            return None
        return f"({self._condition.written(self._term_of)}\n    )"

    def _term_of(self, name: str) -> str | None:
        """Return what stands for a name in a condition; None for what is no column."""
        if name not in self or (self._known is None and name in VALUES):
            return None
        return f"({self.local(TIME)})" if name == TIME else self[name]

    def has_zone(self, name: str) -> bool:
        """Return whether the times in the column have a zone."""
        return self._known is None or "TZ" in (kind := self._known[name].type) or "TIME ZONE" in kind


def identifier(name: str) -> str:
    """Return ``name`` quoted as a name."""
    quoted = name.replace('"', '""')
    return f'"{quoted}"'


def literal(text: str) -> str:
    """Return ``text`` quoted as a value; a character that is not printed as its number."""
    quoted = "".join(
        character if character.isprintable() else f"' || chr({ord(character)}) || '"
        for character in text.replace("'", "''")
    )
    return f"'{quoted}'" if text.isprintable() else f"('{quoted}')"


def path_of(text: str) -> str:
    """Return the path of a URL: without its origin, query, fragment and slashes at its end."""
    address = f"regexp_replace({text}, '[?#].*$', '', 's')"
    path = f"rtrim(regexp_replace({address}, '^([A-Za-z][A-Za-z0-9+.-]*:)?//[^/]*', ''), '/')"
    return f"CASE WHEN {text} <> '' THEN coalesce(nullif({path}, ''), '/') ELSE {text} END"


def interval(length: timedelta) -> str:
    """Return a length of time in hours or less: a day can have 23 hours (clock changes)."""
    for unit, noun in ((timedelta(hours=1), "hours"), (timedelta(seconds=1), "seconds")):
        count, rest = divmod(length, unit)
        if not rest:
            return f"INTERVAL '{count} {noun}'"
    return f"INTERVAL '{length // timedelta(microseconds=1)} microseconds'"


def in_words(length: timedelta) -> str:
    """Return a length of time in words: ``30 days``."""
    for unit, noun in (
        (timedelta(days=1), "day"),
        (timedelta(hours=1), "hour"),
        (timedelta(minutes=1), "minute"),
    ):
        count, rest = divmod(length, unit)
        if count and not rest:
            return counted(count, noun)
    return f"{length.total_seconds():g} seconds"


def facts(
    columns: Columns,
    chosen: Iterable[str],
    blocked_ids: Iterable[str],
    conditions: Sequence[str] = (),
    across: Mapping[str, str] | None = None,
) -> str:
    """Return the first part of a statement: ``facts``, in which each event stands twice.

    Once for its person with stitching, when ``stitched`` is true, and once without. Events that
    carry no ID, or a blocked one, are nobody's: their ``person`` is null. ``chosen`` are further
    columns of it, and the events meet each of the ``conditions``. ``across`` are further tables, by
    their names, with each row of which every event stands.
    """
    version = f"CASE WHEN versions.stitched THEN {columns.text(PERSON)} ELSE {columns.text(SENT)} END AS id"
    lines = ",\n        ".join(["versions.stitched", version, *chosen])
    # A regular expression would take three quarters of the time of a question.
    bare = f"substr(id, {len(DEVICE_PREFIX) + 1})"
    plain = f"lower(CASE WHEN starts_with(id, {literal(DEVICE_PREFIX)}) THEN {bare} ELSE id END)"
    tables = "".join(f"{name} AS (\n{statement}\n),\n" for name, statement in (across or {}).items())
    joined = "".join(f" CROSS JOIN {name}" for name in across or ())
    return f"""\
WITH versions (stitched) AS (
    VALUES (TRUE), (FALSE)
),
{tables}sent AS (
    SELECT
        {lines}
    FROM events CROSS JOIN versions{joined}{where(conditions)}
),
facts AS (
    SELECT
        *,
        CASE
            WHEN {plain} NOT IN (
{_listed(blocked_ids)}
            ) THEN id
        END AS person
    FROM sent
)"""


def where(conditions: Sequence[str]) -> str:
    """Return the clause of a statement that keeps the events that meet every condition."""
    return f"\n    WHERE {f'{chr(10)}        AND '.join(conditions)}" if conditions else ""


def scope_statement(columns: Columns, conditions: Sequence[str] = ()) -> str:
    """Return the statement that counts the events, and finds their first and last day."""
    day = columns.day(TIME)
    return f"SELECT count(*), min({day}), max({day}) FROM events{where(conditions)}"


def _listed(blocked_ids: Iterable[str]) -> str:
    values = sorted({"", *map(ascii_lower, blocked_ids)})
    written = [literal(value) if value.isascii() else f"lower({literal(value)})" for value in values]
    if any(" " in value or "\n" in value for value in values):
        return ",\n".join(f"                {value}" for value in written)
    filled = textwrap.wrap(", ".join(written), WIDTH - 16, break_long_words=False, break_on_hyphens=False)
    return "\n".join(f"                {line}" for line in filled)
