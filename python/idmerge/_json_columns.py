"""Type inference for columns of JSON values.

Text, integers, numbers and truth values become columns of their own types. Lists, objects, and
values that differ in type become JSON text, among which text stays as it is. Nothing is rounded:
integers that a double cannot hold exactly, beside fractions, are text as well. A value that is null
or missing is null.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    import pyarrow as pa

INT64 = range(-(2**63), 2**63)
EXACT = 2**53
"""Integers up to here are exact as doubles."""


def json_column(values: Sequence[Any]) -> pa.ChunkedArray[Any]:
    """Return ``values`` as a column of pyarrow's, which must be installed."""
    import pyarrow as pa  # noqa: PLC0415

    kinds = {type(value) for value in values} - {type(None)}
    if kinds == {bool}:
        return pa.chunked_array([pa.array(values, pa.bool_())])
    if kinds == {int} and all(value in INT64 for value in values if value is not None):
        return pa.chunked_array([pa.array(values, pa.int64())])
    if kinds and kinds <= {int, float} and all(_is_exact(value) for value in values if type(value) is int):
        return pa.chunked_array([pa.array([None if v is None else float(v) for v in values], pa.float64())])
    texts = pa.array([None if value is None else _text(value) for value in values], pa.string())
    return texts if isinstance(texts, pa.ChunkedArray) else pa.chunked_array([texts])


def column_names(names: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """Return the column of each of ``names``: itself, or after ``properties.`` if taken."""
    columns: dict[str, str] = {}
    used = set(taken)
    for name in names:
        column = free_name(column_text(name), used)
        used.add(column)
        columns[name] = column
    return columns


def column_text(name: str) -> str:
    """Return ``name`` as a column's, with U+FFFD for lone surrogates, and NUL, which Arrow cuts."""
    return unicode_text(name).replace("\0", "\ufffd")


def free_name(name: str, taken: Collection[str]) -> str:
    """Return ``name``, with ``properties.`` before it as often as that is ``taken``."""
    while name in taken:
        name = f"properties.{name}"
    return name


def unicode_text(text: str) -> str:
    """Return ``text`` with U+FFFD for each lone surrogate, which no Arrow column can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _is_exact(value: int) -> bool:
    return -EXACT <= value <= EXACT


def _text(value: Any) -> str:
    if not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return unicode_text(value)
