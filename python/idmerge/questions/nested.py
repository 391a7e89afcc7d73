"""Properties that stand within a column, such as ``properties``, as terms of SQL (SPEC 9).

A column holds them as a struct, a map, or JSON text, and they may hold others in turn:
``page.path`` is the property of that name, or ``path`` in the property ``page``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idmerge.errors import ColumnError
from idmerge.questions.sql import Column, identifier, literal

if TYPE_CHECKING:
    from collections.abc import Iterator

JSON_TEXT = ("VARCHAR", "JSON", "BLOB", "ENUM")


def property_in(column: str, kind: Any, name: str) -> Column | None:
    """Return the property ``name`` in a ``column`` of type ``kind``; None if it is never there.

    Args:
        column: The column that holds the properties, by its name in SQL.
        kind: Its type, as DuckDB has it.
        name: The property's name, or the way to it with dots.

    Raises:
        ColumnError: Another property of a struct differs in case alone.
    """
    whole = f"events.{identifier(column)}"
    found = _inside(whole, kind, name)
    if found is None:
        return None
    term, of_term = found
    return Column(column, str(of_term), term, _keys(whole, kind))


def fields_of(kind: Any) -> list[str]:
    """Return the names of the fields that a column of type ``kind`` has, if it is a struct."""
    return [name for name, _ in kind.children] if kind.id == "struct" else []


def ways(name: str) -> Iterator[tuple[str, str]]:
    """Yield the two parts of ``name`` at each of its dots, the longest first part before."""
    place = name.rfind(".")
    while place > 0:
        yield name[:place], name[place + 1 :]
        place = name.rfind(".", 0, place)


def _inside(whole: str, kind: Any, name: str) -> tuple[str, Any] | None:
    """Return the term and the type of the property ``name`` in the term ``whole``."""
    if kind.id == "struct":
        return _in_struct(whole, dict(kind.children), name)
    if kind.id == "map":
        value = dict(kind.children)["value"]
        terms = [f"map_extract({whole}, {literal(name)})[1]"]
        for first, rest in ways(name) if str(value) == "VARCHAR" else ():
            terms.append(_in_text(f"map_extract({whole}, {literal(first)})[1]", value, rest))
        return _first(terms), value
    if not str(kind).startswith(JSON_TEXT):
        return None
    return _in_text(whole, kind, name), "VARCHAR"


def _in_struct(whole: str, types: dict[str, Any], name: str) -> tuple[str, Any] | None:
    for first, rest in ((name, None), *ways(name)):
        if first not in types:
            continue
        twins = sorted(field for field in types if field.lower() == first.lower())
        if len(twins) > 1:
            raise ColumnError(
                f"a struct has {' and '.join(map(repr, twins))}, which SQL does not tell apart in one"
            )
        field = f"struct_extract({whole}, {literal(first)})"
        found = (field, types[first]) if rest is None else _inside(field, types[first], rest)
        if found is not None:
            return found
    return None


def _in_text(whole: str, kind: Any, name: str) -> str:
    """Return the term for a property in JSON text: of that name, else on the way of its parts."""
    text = _text(whole, kind)
    pointers = dict.fromkeys((_pointer([name]), _pointer(name.split("."))))
    found = _first([f"json_extract_string({text}, {literal(pointer)})" for pointer in pointers])
    return f"CASE WHEN json_valid({text}) THEN {found} END"


def _text(whole: str, kind: Any) -> str:
    if str(kind) == "VARCHAR":
        return whole
    return f"TRY(decode({whole}))" if kind.id == "blob" else f"CAST({whole} AS VARCHAR)"


def _pointer(parts: list[str]) -> str:
    """Return the JSON pointer of a way (RFC 6901)."""
    return "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in parts)


def _first(terms: list[str]) -> str:
    return terms[0] if len(terms) == 1 else f"coalesce({', '.join(terms)})"


def _keys(whole: str, kind: Any) -> str:
    """Return the term for the names of a row's properties; nothing for those of a struct."""
    if kind.id == "map":
        return f"map_keys({whole})"
    text = _text(whole, kind)
    return "" if kind.id == "struct" else f"json_keys(CASE WHEN json_valid({text}) THEN {text} END)"
