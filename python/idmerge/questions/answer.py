"""An answer: a table with both versions side by side, the statement that made it, and how it is shown."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from idmerge._formatting import counted, cut, printable
from idmerge.errors import ColumnError
from idmerge.files import replacing
from idmerge.naming import named

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from idmerge.questions.question import Question

Form = Literal["count", "share", "sum"]
Picture = Literal["svg", "png", "html"]

UNSTITCHED = "_unstitched"
"""What the name of a column ends with that was computed without stitching."""
VERSIONS = (("", "with stitching"), (UNSTITCHED, "without stitching"))
NOTHING = "(none)"
GAP = "  "
LONGEST = 60
"""Characters of a name in a table of text."""


class Measure(NamedTuple):
    """A number of an answer: its column, and how it reads."""

    name: str
    form: Form

    @property
    def label(self) -> str:
        """The column's name in words."""
        return self.name.replace("_", " ")

    def shown(self, value: float | None) -> str:
        """Return ``value`` as text."""
        if value is None:
            return "-"
        if self.form == "share":
            return f"{value:.1%}"
        return f"{value:,.2f}" if self.form == "sum" else f"{value:,}"


class Key(NamedTuple):
    """What tells an answer's rows apart: its column, and what it is called."""

    name: str
    label: str
    is_date: bool = False


@dataclass(frozen=True)
class Answer:
    """What came out: opens in whatever library speaks Arrow, yields a dict a row, prints as a table.

    Each measure is a column, and once more with ``_unstitched`` behind its name.
    """

    title: str
    """What was asked."""
    key: Key | None
    """The column that tells the rows apart, or None if there is one row only."""
    measures: tuple[Measure, ...]
    charted: Measure
    """The measure that a chart shows."""
    table: pa.Table = field(repr=False)
    sql: str = field(repr=False)
    """The statement that ran; it reads a table or view called ``events``."""

    @classmethod
    def of(cls, rows: Sequence[Sequence[Any]], sql: str, question: Question) -> Answer:
        """Return the answer to ``question`` that DuckDB gave as ``rows``."""
        import pyarrow as pa  # noqa: PLC0415

        key, numbers = question.key, {"count": pa.int64(), "share": pa.float64(), "sum": pa.float64()}
        schema: list[tuple[str, Any]] = (
            [] if key is None else [(key.name, pa.date32() if key.is_date else pa.string())]
        )
        for suffix, _ in VERSIONS:
            schema += [(measure.name + suffix, numbers[measure.form]) for measure in question.measures]
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
        return cls(question.title, key, question.measures, question.charted, table, sql)

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

    def __str__(self) -> str:
        """Return the table as aligned text, under its title."""
        has_key = self.key is not None
        names = [[shortened_name(row[0], LONGEST), *row[1:]] if has_key else row for row in self.cells()]
        return "\n".join([self.heading, "", *_aligned(self.headings(), names, has_key=has_key)])

    def _repr_html_(self) -> str:
        """Return the table as a notebook shows it."""
        from idmerge.questions import chart  # noqa: PLC0415

        return f"<p><b>{escape(self.heading)}</b></p>\n{chart.table(self)}"

    @property
    def heading(self) -> str:
        """What was asked, as it can be shown anywhere."""
        return cut(printable(self.title))

    def headings(self) -> list[str]:
        """Return what the columns are called under their version."""
        keys = [] if self.key is None else [shown_name(self.key.label)]
        return [*keys, *[measure.label for measure in self.measures] * len(VERSIONS)]

    def cells(self) -> list[list[str]]:
        """Return the rows as text."""
        return [
            [
                *([] if self.key is None else [shown_name(row[self.key.name])]),
                *(
                    measure.shown(row[measure.name + suffix])
                    for suffix, _ in VERSIONS
                    for measure in self.measures
                ),
            ]
            for row in self
        ]

    def chart(self, path: str | os.PathLike[str]) -> None:
        """Draw the answer; the suffix of ``path`` names the format: .svg, .png or .html.

        The file is there whole or not at all.

        Raises:
            MissingExtraError: matplotlib is not installed.
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
        """Return the chart in the format ``picture``; the page also holds the table and the statement.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        from idmerge.questions import chart  # noqa: PLC0415

        draw = {"svg": chart.svg, "png": chart.png, "html": chart.page}[picture]
        return draw(self)


def shortened_name(name: str, longest: int) -> str:
    """Return ``name``, or the beginning and the end of one that is longer than ``longest``."""
    if len(name) <= longest:
        return name
    tail = longest // 3
    return f"{name[: longest - tail - 1]}…{name[-tail:]}"


def shown_name(value: object) -> str:
    """Return the value that a row is about as text, however long; events without one have ``(none)``."""
    return NOTHING if value is None else printable(str(value))


def _aligned(headings: Sequence[str], cells: Sequence[Sequence[str]], *, has_key: bool) -> Iterator[str]:
    """Yield a line for the versions, one for the headings, and one a row; numbers stand on the right."""
    first = int(has_key)
    many = (len(headings) - first) // len(VERSIONS)
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    above = [" " * width for width in widths[:first]]
    for number, (_, label) in enumerate(VERSIONS):
        start, end = first + number * many, first + (number + 1) * many
        wide = sum(widths[start:end]) + len(GAP) * (many - 1)
        widths[end - 1] += max(0, len(label) - wide)
        above.append(label.center(max(wide, len(label)), "-"))
    yield f"{GAP}{GAP.join(above)}".rstrip()
    for row in (headings, *cells):
        line = [
            text.ljust(width) if place < first else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield f"{GAP}{GAP.join(line)}".rstrip()
    if not cells:
        yield f"{GAP}{counted(0, 'row')}"
