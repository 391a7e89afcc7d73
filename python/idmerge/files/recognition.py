"""The dialect of a file: chosen by the caller, or found by its first rows (SPEC 11)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from idmerge.errors import DialectError, FileFormatError
from idmerge.files import dialects
from idmerge.files.dialects import Dialect

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

OnDialect = Callable[[str, Dialect | None], object]
"""Called once a file with its name and its dialect; None where the file is empty."""


def _ignored(_path: str, _dialect: Dialect | None) -> None:
    """Do nothing."""


class Spelling(NamedTuple):
    """The caller's choice of a dialect, and whom to tell which one was read."""

    dialect: str | Dialect | None = None
    """The dialect or its name; None where the rows decide."""
    columns: Mapping[str, str] | None = None
    """The key or column of each role that has another name than in the dialect."""
    on_dialect: OnDialect = _ignored

    def chosen(self) -> Dialect | None:
        """Return the dialect that the caller chose, None where the rows decide.

        Raises:
            DialectError: There is no such dialect or role.
        """
        if self.columns:
            dialects.FLAT.with_columns(self.columns)  # Roles are checked before anything is read.
        if self.dialect is None:
            return None
        base = self.dialect if isinstance(self.dialect, Dialect) else dialects.named(self.dialect)
        return base.with_columns(self.columns) if self.columns else base

    def of(self, keys: Iterable[str], value_of: Callable[[str], Any] = lambda _key: None) -> Dialect | None:
        """Return the dialect of a row or a table with these ``keys``, None where it is not known.

        Raises:
            DialectError: There is no such dialect or role, or the events are another product's.
        """
        dialect = self.chosen()
        if dialect is not None:
            return dialect
        if not self.columns:
            return dialects.found(keys, value_of)
        try:
            base = dialects.found(keys, value_of)
        except DialectError:
            base = None
        renamed = (base or dialects.FLAT).with_columns(self.columns)
        row = value_of(renamed.record) if renamed.record else keys
        return renamed if renamed.content == "mappings" or {*renamed.event} & {*(row or ())} else None

    def of_rows(self, path: str, rows: Sequence[Mapping[str, Any]]) -> Dialect | None:
        """Return the dialect of the first of ``rows`` that has one; None if there are no keys.

        Raises:
            FileFormatError: None of the rows has one, or the events are another product's.
        """
        for row in rows:
            try:
                dialect = self.of(row, row.get)
            except DialectError as error:
                raise FileFormatError(f"{path}: {error}") from error
            if dialect is not None:
                return dialect
        first = next((row for row in rows if row), None)
        if first is None:
            return None
        raise FileFormatError(f"{path}: {dialects.unknown(first)}")


ANY = Spelling()
"""The rows decide."""


def spelling_of(
    dialect: str | Dialect | None,
    columns: Mapping[str, str] | None = None,
    on_dialect: OnDialect | None = None,
) -> Spelling:
    """Return the choice of these arguments.

    Raises:
        DialectError: No dialect or role has such a name.
    """
    spelling = Spelling(dialect, columns, on_dialect or _ignored)
    spelling.chosen()
    return spelling
