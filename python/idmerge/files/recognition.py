"""The dialect of a text of JSON, by its first rows (SPEC 11)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from idmerge.errors import DialectError, FileFormatError
from idmerge.files.dialects import Dialect, unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from idmerge.files.choosing import Choice

OnDialect = Callable[[str, Dialect | None], object]
"""Called once a file with its name and its dialect; None where the file is empty."""


def no_matter(_path: str, _dialect: Dialect | None) -> None:
    """Do nothing."""


def dialect_of_row(row: Mapping[str, Any], choice: Choice) -> Dialect | None:
    """Return the dialect of ``row``, None where it is not known or the row has no event's name.

    Raises:
        DialectError: The row is another product's event.
    """
    dialect = choice.of(row, row.get)
    if dialect is None or dialect.content != "events":
        return dialect
    inner = row if dialect.record is None else row.get(dialect.record)
    return dialect if isinstance(inner, Mapping) and {*dialect.event} & inner.keys() else None


def is_recognised(row: Mapping[str, Any], choice: Choice) -> bool:
    """Return whether it is known to which dialect, or to which other product, ``row`` belongs."""
    try:
        return dialect_of_row(row, choice) is not None
    except DialectError:
        return True


def dialect_of_rows(path: str, rows: Sequence[Mapping[str, Any]], choice: Choice) -> Dialect | None:
    """Return the dialect of the first of ``rows`` that has one; None if there are no keys.

    Raises:
        FileFormatError: None of the rows has one, or the events are another product's.
    """
    for row in rows:
        try:
            dialect = dialect_of_row(row, choice)
        except DialectError as error:
            raise FileFormatError(f"{path}: {error}") from error
        if dialect is not None:
            return dialect
    first = next((row for row in rows if row), None)
    if first is None:
        return None
    raise FileFormatError(f"{path}: {unknown(first)}")
