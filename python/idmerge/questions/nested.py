"""Properties that stand together in one column, ``properties``, as terms of SQL (SPEC 9)."""

from __future__ import annotations

from typing import Any

from idmerge.errors import ColumnError
from idmerge.questions.sql import Column, identifier, literal

JSON_TEXT = ("VARCHAR", "JSON", "BLOB", "ENUM")


def property_in(column: str, kind: Any, name: str) -> Column | None:
    """Return the property ``name`` in a ``column`` of type ``kind``; None if it is never there.

    Args:
        column: The column that holds the properties, by its name in SQL.
        kind: Its type, as DuckDB has it.
        name: The property's name.

    Raises:
        ColumnError: Another property of a struct differs in case alone.
    """
    whole = f"events.{identifier(column)}"
    if kind.id == "struct":
        types = {field: str(of_field) for field, of_field in kind.children}
        twins = sorted(field for field in types if field.lower() == name.lower())
        if name in types and len(twins) > 1:
            raise ColumnError(
                f"{column!r} has {' and '.join(map(repr, twins))}, which SQL does not tell apart in a struct"
            )
        term = f"struct_extract({whole}, {literal(name)})"
        return Column(column, types[name], term) if name in types else None
    if kind.id == "map":
        return Column(column, str(dict(kind.children)["value"]), f"map_extract({whole}, {literal(name)})[1]")
    if not str(kind).startswith(JSON_TEXT):
        return None
    text = f"TRY(decode({whole}))" if kind.id == "blob" else f"CAST({whole} AS VARCHAR)"
    text = whole if str(kind) == "VARCHAR" else text
    pointer = literal("/" + name.replace("~", "~0").replace("/", "~1"))
    term = f"CASE WHEN json_valid({text}) THEN json_extract_string({text}, {pointer}) END"
    return Column(column, "VARCHAR", term)
