"""The base of all questions: their columns, their statement, the columns of their answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from idmerge.files import check_zone
from idmerge.files.choosing import choice_of
from idmerge.policy import DEFAULT_BLOCKED_IDS, Policy, is_unicode
from idmerge.questions.answer import Answer
from idmerge.questions.execution import run
from idmerge.questions.names import check_events, refused
from idmerge.questions.scope import Scope, named_sources
from idmerge.questions.source import Events, Wanted, columns_without, opened, schema_of
from idmerge.questions.sql import STANDARD, TIME, UTC, scope_statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import duckdb

    from idmerge.files.dialects import Dialect
    from idmerge.questions.columns import Key, Measure
    from idmerge.questions.sql import Columns


TIMELESS = "no event that counts has a time, so none comes before or after another"


def _day(name: str, given: date | str | None) -> date | None:
    """Return the day that ``given`` is, or states as text.

    Raises:
        TypeError: It is neither.
        ValueError: The text is no date.
    """
    if given is None or (isinstance(given, date) and not isinstance(given, datetime)):
        return given
    if not isinstance(given, str):
        raise TypeError(f"{name} must be a date or text such as 2024-01-31, got {given!r:.100}")
    try:
        return datetime.strptime(given, "%Y-%m-%d").date()  # noqa: DTZ007 - a day, in the zone asked for
    except ValueError as error:
        raise ValueError(f"{name} must be a date such as 2024-01-31, got {given!r:.100}") from error


@dataclass(frozen=True, kw_only=True)
class Question(ABC):
    """A question about stitched events: frozen settings, to be asked as often as you like.

    Raises:
        TypeError: ``blocked_ids`` is no collection of str.
        ValueError: A name is no Unicode text, or options contradict each other.

    Examples:
        >>> import idmerge
        >>> from idmerge import questions
        >>> events = idmerge.stitch("examples/shop.ndjson")
        >>> asked = questions.SignupRate(by="month")
        >>> asked.title
        'Visitors who did "Sign Up", by month of the first event'
        >>> asked.key.name, asked.events, asked.properties
        ('month', ('Sign Up',), ())
        >>> asked.finding([*asked.ask(events)])
        '51.3% of visitors sign up; without stitching it looks like 36.1%'
    """

    measures: ClassVar[tuple[Measure, ...]]
    """The numbers of the answer."""
    charted: ClassVar[Measure]
    """The one of them that a chart shows."""

    blocked_ids: Iterable[str] = field(default=DEFAULT_BLOCKED_IDS, repr=False)
    """IDs that belong to nobody, as in `idmerge.Policy`."""
    where: str | None = None
    """The events that count: an expression of DuckDB's SQL over their columns and properties."""
    from_date: date | str | None = None
    """The first day of the events that count, as a date or ``"2024-01-31"``."""
    to_date: date | str | None = None
    """The last day of the events that count."""
    timezone: str = UTC
    """The zone of days, weeks and months, such as ``"Europe/Berlin"``."""

    def __post_init__(self) -> None:
        """Check the names, the days and the zone; freeze ``blocked_ids`` as a policy does."""
        for name, value in vars(self).items():
            if isinstance(value, str) and not is_unicode(value):
                raise ValueError(f"{name} must be Unicode text, got {value!r}")
        for name in ("from_date", "to_date"):
            object.__setattr__(self, name, _day(name, getattr(self, name)))
        if self.from_date is not None and self.to_date is not None and self.from_date > self.to_date:  # type: ignore[operator]
            raise ValueError(
                f"from_date must be no later than to_date, got {self.from_date} and {self.to_date}"
            )
        if self.where is not None and not isinstance(self.where, str):
            raise TypeError(f"where must be text, got {self.where!r:.100}")
        if check_zone(self.timezone) is None:
            raise TypeError("timezone must be the name of a zone, got None")
        object.__setattr__(self, "blocked_ids", Policy(blocked_ids=self.blocked_ids).blocked_ids)  # type: ignore[arg-type]

    def ask(
        self,
        events: Events,
        *,
        dialect: str | Dialect | None = None,
        columns: Mapping[str, str] | None = None,
    ) -> Answer:
        """Return the answer of ``events``: a stream is read once, files by two statements.

        Args:
            events: Stitched events, in columns.
            dialect: The names of the columns, by default those of stitching or found (SPEC 11).
            columns: The column of each role that has another name: ``{"distinct_id": "person"}``.

        Raises:
            ColumnError: The events lack a column, their times are no timestamps, or they are a
                stream that was read already.
            DialectError: There is no such dialect or role.
            FileFormatError: A file is no Parquet.
            MissingExtraError: DuckDB or pyarrow is not installed.
            QuestionError: There are events, and none of them has a name that the question needs; or
                ``where`` is no expression over them.
        """
        with opened(events, self._wanted(), choice_of(dialect, columns)) as (connection, known):
            check_events(connection, known, self.events)
            self._check(connection, known)
            sql = self.statement(known)
            [counted] = self._run(connection, known, scope_statement(known, self._conditions(known)))
            rows = self._run(connection, known, sql)
            notes = self._notes(connection, known) if counted[0] else (self._nothing,)
            if counted[0] and counted[1] is None and self._needs_times:
                notes = (*notes, TIMELESS)
            scope = Scope.of(counted, named_sources(events), self.timezone)
        answer = Answer.of_rows(
            rows,
            sql,
            title=self.title + self._limits,
            key=self.key,
            measures=self.measures,
            charted=self.charted,
            scope=scope,
            more_keys=self._more_keys,
            has_others=self._has_others,
        )
        return replace(answer, finding=self.finding([*answer]), notes=notes)

    def sql(
        self,
        events: Events | None = None,
        *,
        dialect: str | Dialect | None = None,
        columns: Mapping[str, str] | None = None,
    ) -> str:
        """Return the statement that `ask` would run, and run nothing.

        Without ``events`` it is the one for columns as stitching makes them.

        Examples:
            >>> import duckdb
            >>> import idmerge
            >>> from idmerge import questions
            >>> events = idmerge.stitch("examples/shop.ndjson", output="s.parquet")
            >>> with duckdb.connect() as connection:
            ...     _ = connection.execute("CREATE VIEW events AS FROM 's.parquet'")
            ...     print(connection.execute(questions.SignupRate().sql()).fetchone()[:2])
            (76, 39)
        """
        if events is None:
            return self.statement(columns_without(self._wanted()))
        return self.statement(schema_of(events, self._wanted(), choice_of(dialect, columns)))

    @property
    def _perhaps(self) -> tuple[str, ...]:
        """The properties of events that it reads where there are any."""
        return ()

    @property
    def _needs_times(self) -> bool:
        """Whether events without a time make the answer nothing."""
        return True

    @property
    def _more_keys(self) -> tuple[Key, ...]:
        """Further columns that distinguish the answer's rows."""
        return ()

    @property
    def _has_others(self) -> bool:
        """Whether a row of the answer may sum up several values."""
        return False

    def _check(self, connection: duckdb.DuckDBPyConnection, columns: Columns) -> None:  # noqa: B027 - most need none
        """Check what the statement would answer only after a very long time."""

    def _notes(self, connection: duckdb.DuckDBPyConnection, columns: Columns) -> tuple[str, ...]:  # noqa: ARG002
        """Return what a reader should know of the answer, a line each."""
        return ()

    def _wanted(self) -> Wanted:
        names = tuple(dict.fromkeys((*STANDARD, *self.properties)))
        return Wanted(names, self._perhaps, where=self.where, zone=self.timezone)

    def _conditions(self, columns: Columns, *, is_begun: bool = True) -> list[str]:
        """Return what the events that count meet; without ``is_begun``, from the first day on."""
        day, last = columns.day(TIME), self.to_date
        first = self.from_date if is_begun else None
        conditions = [f"{day} >= DATE '{first}'"] if first is not None else []
        conditions += [f"{day} <= DATE '{last}'"] if last is not None else []
        return [*conditions, *([] if columns.condition is None else [columns.condition])]

    @property
    def _limits(self) -> str:
        """What limits the events that count, as the end of a title."""
        first, last = self.from_date, self.to_date
        days = [f"from {first}"] * (first is not None) + [f"to {last}"] * (last is not None)
        words = [" ".join(days)] if days else []
        words += [f"days of {self.timezone}"] if self.timezone != UTC else []
        words += [f"where {' '.join(self.where.split())}"] if self.where is not None else []
        return "".join(f", {word}" for word in words)

    @property
    def _nothing(self) -> str:
        is_limited = not (self.where is None and self.from_date is None and self.to_date is None)
        return "no event is among those that count" if is_limited else "there are no events"

    def _run(
        self, connection: duckdb.DuckDBPyConnection, columns: Columns, statement: str
    ) -> list[tuple[Any, ...]]:
        """Run a statement; it may fail because of the condition."""
        import duckdb  # noqa: PLC0415

        try:
            return run(connection, statement)
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error as error:
            if self.where is None:
                raise
            run(connection, scope_statement(columns))  # If that fails too, the events are to blame.
            raise refused(connection, self.where, error) from error

    @abstractmethod
    def statement(self, columns: Columns) -> str:
        """Return the statement.

        Examples:
            >>> from idmerge.questions import SignupRate
            >>> from idmerge.questions.sql import Columns
            >>> SignupRate().statement(Columns()) == SignupRate().sql()
            True
        """

    @abstractmethod
    def finding(self, rows: Sequence[Mapping[str, Any]]) -> str:
        """Return the answer in a sentence, of the rows of its table."""

    @property
    @abstractmethod
    def title(self) -> str:
        """The question in a line."""

    @property
    @abstractmethod
    def events(self) -> tuple[str, ...]:
        """The events that it is about."""

    @property
    @abstractmethod
    def properties(self) -> tuple[str, ...]:
        """The properties of events that it needs."""

    @property
    @abstractmethod
    def key(self) -> Key | None:
        """The column that distinguishes the answer's rows; None if there is one row only."""
