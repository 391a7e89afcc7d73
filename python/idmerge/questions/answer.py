"""An answer: its table of both versions, its SQL statement, and its charts."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from idmerge._formatting import counted, cut, printable
from idmerge._naming import named
from idmerge.errors import ColumnError
from idmerge.files import replacing
from idmerge.pages import bars
from idmerge.pages.document import document_bytes
from idmerge.pages.series import series_chart
from idmerge.questions.columns import VERSIONS, shown_name, shown_others
from idmerge.questions.intervals import shown_interval
from idmerge.questions.scope import Scope, named_sources
from idmerge.questions.tables import html_lines, text_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from idmerge.questions.columns import Key, Measure

Picture = Literal["svg", "png", "html"]

OTHERS, INTERVAL = "others", "95% interval"
MOST_ROWS_SHOWN, MOST_DAYS_SHOWN = 100, 400
"""Rows of a table of text, and of one whose rows are periods of time."""


@dataclass(frozen=True, repr=False)
class Answer:
    """The answer to a question: yields a dict a row, prints as a table, exports Arrow.

    Each measure is a column, and once more with ``_unstitched`` behind its name.

    Examples:
        >>> import idmerge
        >>> from idmerge import questions
        >>> events = idmerge.stitch("examples/shop.ndjson")
        >>> answer = questions.signup_rate(events)
        >>> print(answer.finding)
        51.3% of visitors sign up; without stitching it looks like 36.1%
        >>> answer.headings()[:4], answer.cells()[0][:4]
        (['visitors', 'sign ups', 'rate', '95% interval'], ['76', '39', '51.3%', '40.3 to 62.2%'])
        >>> max(map(len, answer.text(width=50).splitlines())) <= 50
        True
        >>> answer.about
        'Visitors who did "Sign Up" · 600 events of 2024-01-01 (UTC)'
        >>> answer.read_from("shop.parquet").scope.source
        'shop.parquet'
        >>> answer.chart("rate.html")
        >>> b"51.3%" in answer.drawn("html"), "51.3%" in "".join(answer.page())
        (True, True)
    """

    title: str
    """The question in a line."""
    key: Key | None
    """The column that distinguishes the rows; None if there is one row only."""
    measures: tuple[Measure, ...]
    charted: Measure
    """The measure that a chart shows."""
    table: pa.Table = field(repr=False)
    sql: str = field(repr=False)
    """The statement that ran; it reads a table or view called ``events``."""
    scope: Scope | None = field(default=None, repr=False)
    """The events that were read."""
    finding: str = field(default="", repr=False)
    """The answer in a sentence."""
    notes: tuple[str, ...] = field(default=(), repr=False)
    """What a reader should know of these numbers, a line each."""
    more_keys: tuple[Key, ...] = ()
    """Further columns that distinguish the rows."""
    has_others: bool = False
    """Whether a column ``others`` has, in a row that sums up several values, their number."""

    @classmethod
    def of_rows(  # noqa: PLR0913 - its fields, the table as rows
        cls,
        rows: Sequence[Sequence[Any]],
        sql: str,
        *,
        title: str,
        key: Key | None,
        measures: tuple[Measure, ...],
        charted: Measure,
        scope: Scope | None = None,
        more_keys: tuple[Key, ...] = (),
        has_others: bool = False,
    ) -> Answer:
        """Return the answer whose table DuckDB gave as ``rows``.

        Examples:
            >>> from idmerge.questions import Answer, SignupRate
            >>> asked = SignupRate()
            >>> shown = {"title": asked.title, "measures": asked.measures, "charted": asked.charted}
            >>> answer = Answer.of_rows([(4, 2, 0.5, 5, 2, 0.4)], asked.sql(), key=None, **shown)
            >>> [*answer][0]["rate_unstitched"], answer.heading
            (0.4, 'Visitors who did "Sign Up"')
        """
        import pyarrow as pa  # noqa: PLC0415

        numbers = {"count": pa.int64(), "share": pa.float64(), "sum": pa.float64()}
        kinds = {"text": pa.string(), "date": pa.date32(), "number": pa.int64()}
        keys = () if key is None else (key, *more_keys)
        schema: list[tuple[str, Any]] = [(one.name, kinds[one.form]) for one in keys]
        if has_others:
            schema.append((OTHERS, pa.int64()))
        for suffix, _ in VERSIONS:
            schema += [(measure.name + suffix, numbers[measure.form]) for measure in measures]
        names = [name for name, _ in schema]
        try:
            table = pa.Table.from_pylist(
                [dict(zip(names, row, strict=True)) for row in rows], schema=pa.schema(schema)
            )
        except pa.ArrowException as error:
            if key is None or not key.is_date:
                raise
            # DuckDB hands over such a date as a text.
            strange = next((row[0] for row in rows if isinstance(row[0], str)), "")
            raise ColumnError(
                f"the column 'time' has times beyond the years 1 to 9999: {strange or error}"
            ) from error
        return cls(
            title, key, measures, charted, table, sql, scope, more_keys=more_keys, has_others=has_others
        )

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Export the table."""
        table: Any = self.table
        exported: object = table.__arrow_c_stream__(requested_schema)
        return exported

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self.table.num_rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the rows."""
        yield from self.table.to_pylist()

    def __repr__(self) -> str:
        """Name the question, the answer in a sentence, and the number of rows."""
        said = f": {self.finding}" if self.finding else ""
        return f"Answer({self.heading}{said}; {counted(len(self), 'row')})"

    def __str__(self) -> str:
        """Return the table as aligned text, under its title, and the notes below it."""
        return "\n".join([self.text(), *(f"\n{note}" for note in self.notes)])

    def text(self, *, width: int | None = None) -> str:
        """Return the table as aligned text, under its title, of ``width`` columns if it can be.

        Of many rows it has the first, and says how many more there are.
        """
        cells, most = self.cells(), MOST_DAYS_SHOWN if self._is_timed else MOST_ROWS_SHOWN
        more = []
        if len(cells) > most:
            hint = "" if self._is_timed else "top= (--top) sums them up, "
            more = ["", f"{counted(len(cells) - most, 'more row')}; {hint}files have all"]
        lines = text_lines(self.headings(), cells[:most], keys=len(self._keys), width=width)
        return "\n".join([self.heading, "", *lines, *more])

    def _repr_html_(self) -> str:
        """Return the answer as a notebook shows it: the sentence, the question, and the table."""
        said = [f"<p><b>{escape(self.finding)}</b></p>"] if self.finding else []
        notes = (f"<p>{escape(note)}</p>" for note in self.notes)
        return "\n".join([*said, f"<p>{escape(self.about)}</p>", *notes, *self._html_table()])

    @property
    def heading(self) -> str:
        """The question in a line, as it can be shown anywhere."""
        return cut(printable(self.title))

    @property
    def about(self) -> str:
        """The question, and the events that it was put to."""
        return self.heading if self.scope is None else f"{self.heading} · {self.scope}"

    def read_from(self, events: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> Answer:
        """Return the answer with the files in which its events were, if it does not name them."""
        if self.scope is None or self.scope.source:
            return self
        return replace(self, scope=self.scope._replace(source=named_sources(events)))

    @property
    def _keys(self) -> tuple[Key, ...]:
        return () if self.key is None else (self.key, *self.more_keys)

    @property
    def _is_timed(self) -> bool:
        return self.key is not None and self.key.is_date

    def headings(self) -> list[str]:
        """Return the headings of the columns under their version."""
        rows = [*self]
        numbers = []
        for measure in self.measures:
            numbers += [measure.label, INTERVAL] if self._has_intervals(measure, rows) else [measure.label]
        return [*(shown_name(key.label) for key in self._keys), *numbers * len(VERSIONS)]

    def cells(self) -> list[list[str]]:
        """Return the rows as text; a share of few persons has its interval behind it (`wilson`)."""
        rows = [*self]
        with_intervals = {measure for measure in self.measures if self._has_intervals(measure, rows)}
        shown = []
        for row in rows:
            cells = self._names(row)
            for suffix, _ in VERSIONS:
                for measure in self.measures:
                    cells.append(measure.shown(row[measure.name + suffix]))
                    if measure in with_intervals:
                        cells.append(shown_interval(*_counts(measure, row, rows[0], suffix)))
            shown.append(cells)
        return shown

    def _has_intervals(self, measure: Measure, rows: Sequence[dict[str, Any]]) -> bool:
        """Return whether any row has a share of few persons."""
        return bool(measure.whole) and any(
            shown_interval(*_counts(measure, row, rows[0], suffix)) for row in rows for suffix, _ in VERSIONS
        )

    def _names(self, row: dict[str, Any]) -> list[str]:
        """Return what distinguishes a row, as text."""
        names = [shown_name(row[key.name]) for key in self._keys]
        others = row[OTHERS] if self.has_others else None
        return names if others is None else [shown_others(others), *names[1:]]

    def chart(self, path: str | os.PathLike[str]) -> None:
        """Draw the answer; the suffix of ``path`` names the format: .svg, .png or .html.

        The file is there whole or not at all.

        Raises:
            MissingExtraError: An SVG or PNG is wanted, and matplotlib is not installed.
            OSError: No file can be made there.
            ValueError: The suffix is none of these.
        """
        suffix = Path(path).suffix[1:]
        if suffix not in get_args(Picture):
            raise ValueError(f"a chart must be called .svg, .png or .html, got '{named(path)}'")
        drawing = self.drawn(suffix)  # type: ignore[arg-type]
        with replacing(os.fspath(path)) as stream:
            stream.write(drawing)

    def drawn(self, picture: Picture) -> bytes:
        """Return the chart in the format ``picture``; a page also has the table and the statement.

        Raises:
            MissingExtraError: An SVG or PNG is wanted, and matplotlib is not installed.
        """
        chart = self._bar_chart()
        if picture == "html":
            return document_bytes(self.finding or self.heading, self._main(chart), about=self.about)
        return bars.png(chart) if picture == "png" else bars.svg(chart)

    def _bar_chart(self) -> bars.BarChart:
        measure, counts = self.charted, self._counts
        rows: list[dict[str, Any]] = self.table.slice(0, self._most_bars).to_pylist()
        series = []
        for suffix, label in VERSIONS:
            values = [row[measure.name + suffix] for row in rows]
            numbers = [] if counts is None else [f"n = {row[counts.name + suffix]:,}" for row in rows]
            series.append(bars.Series(label, suffix, values, [*map(measure.shown, values)], numbers))
        names = [" ".join(self._names(row)) or measure.label for row in rows]
        days = [row[self.key.name] for row in rows] if self.key is not None and self.key.is_date else None
        return bars.BarChart(self.heading, names, series, len(self), days)

    @property
    def _counts(self) -> Measure | None:
        """The measure that says of how many a charted share is."""
        return self.measures[0] if self.charted.form == "share" else None

    @property
    def _most_bars(self) -> int:
        return bars.MOST_DAYS if self._is_timed else bars.MOST_BARS

    def page(self) -> Iterator[str]:
        """Yield the chart, the table, the notes and the statement as HTML, for a part of a page."""
        yield from self._main(self._bar_chart())

    def _main(self, chart: bars.BarChart) -> Iterator[str]:
        """Yield the main part of a page: the chart, the table and the statement."""
        yield from series_chart(chart)
        yield '<section class="sheet">'
        yield from self._html_table()
        yield "</section>"
        yield from (f"<p>{escape(note)}</p>" for note in self.notes)
        yield "<details>"
        yield "<summary>SQL</summary>"
        yield f"<pre>{escape(self.sql)}</pre>"
        yield "</details>"

    def _html_table(self) -> Iterator[str]:
        return html_lines(self.headings(), self.cells(), keys=len(self._keys))


def _counts(
    measure: Measure, row: dict[str, Any], first: dict[str, Any], suffix: str
) -> tuple[int | None, int | None]:
    """Return the numbers of persons of which a share is; none for all of the first row's."""
    if measure.of_first and row is first:
        return None, None
    whole = first if measure.of_first else row
    return row[measure.part + suffix], whole[measure.whole + suffix]
