"""The base of all questions: their columns, their statement, the columns of their answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from idmerge.files.choosing import choice_of
from idmerge.policy import DEFAULT_BLOCKED_IDS, Policy, is_unicode
from idmerge.questions.answer import Answer
from idmerge.questions.execution import run
from idmerge.questions.names import check_events
from idmerge.questions.scope import Scope, named_sources
from idmerge.questions.source import Events, opened, schema_of
from idmerge.questions.sql import STANDARD, Columns, scope_statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from idmerge.files.dialects import Dialect
    from idmerge.questions.columns import Key, Measure


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

    def __post_init__(self) -> None:
        """Check the names, and freeze ``blocked_ids`` as a policy does."""
        for name, value in vars(self).items():
            if isinstance(value, str) and not is_unicode(value):
                raise ValueError(f"{name} must be Unicode text, got {value!r}")
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
            QuestionError: There are events, and none of them has a name that the question needs.
        """
        with opened(events, self._wanted(), choice_of(dialect, columns)) as (connection, known):
            check_events(connection, known, self.events)
            sql = self.statement(known)
            rows = run(connection, sql)
            scope = Scope.of(run(connection, scope_statement(known))[0], named_sources(events))
        answer = Answer.of_rows(
            rows,
            sql,
            title=self.title,
            key=self.key,
            measures=self.measures,
            charted=self.charted,
            scope=scope,
        )
        notes = () if scope.events else ("there are no events",)
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
            return self.statement(Columns())
        return self.statement(schema_of(events, self._wanted(), choice_of(dialect, columns)))

    def _wanted(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*STANDARD, *self.properties)))

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
