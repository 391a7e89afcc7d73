"""The choice of a dialect: forced by name, given by columns, or found by the keys of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from idmerge.files.catalogue import found, named
from idmerge.files.dialects import FLAT, Dialect
from idmerge.policy import check_api

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from idmerge.policy import Api


class Choice(NamedTuple):
    """The wishes of a caller for the dialect of rows; without any it is found."""

    dialect: Dialect | None = None
    """The dialect that all rows have."""
    columns: tuple[tuple[str, str], ...] = ()
    """Roles, and the keys or columns that have them."""
    api: Api = "original"
    """The API whose links the events state (SPEC 3)."""

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments ``dialect=``, ``columns=`` and ``api=`` that make this choice."""
        return {"dialect": self.dialect, "columns": dict(self.columns), "api": self.api}

    def of(self, keys: Collection[str], value_of: Callable[[str], Any] = lambda _key: None) -> Dialect | None:
        """Return the dialect of rows that have ``keys``, or None where none is known."""
        dialect = self._of(keys, value_of)
        return None if dialect is None else dialect.under(self.api)

    def _of(self, keys: Collection[str], value_of: Callable[[str], Any]) -> Dialect | None:
        columns = dict(self.columns)
        if self.dialect is not None:
            return self.dialect.with_columns(columns) if columns else self.dialect
        if not columns:
            return found(keys, value_of)
        given = FLAT.with_columns(columns)
        spelt = {given.property_of(key) for key in keys if key not in {*given.event, *given.properties}}
        spelt |= {role for role in ("event", "properties") if role in columns}
        base = found(spelt | ({*keys} - {*columns.values()}), value_of)
        return (base or FLAT).with_columns(columns)


ANY = Choice()
"""The choice of a caller without wishes."""


def choice_of(
    dialect: str | Dialect | None = None, columns: Mapping[str, str] | None = None, api: Api = "original"
) -> Choice:
    """Return the choice that the arguments ``dialect=``, ``columns=`` and ``api=`` make.

    Raises:
        DialectError: There is no such dialect or role.
        PolicyError: There is no such API.

    Examples:
        >>> from idmerge.files import choice_of
        >>> choice = choice_of(columns={"event": "action", "distinct_id": "uid"})
        >>> choice.of(["action", "uid", "plan"]).title
        'columns event=action, distinct_id=uid'
    """
    chosen = named(dialect) if isinstance(dialect, str) else dialect
    if columns:
        (chosen or FLAT).with_columns(columns)  # An unknown role is refused before anything is read.
    return Choice(chosen, tuple((columns or {}).items()), check_api(api))
