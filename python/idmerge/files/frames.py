"""Conversion of a frame's columns to a pyarrow table; errors name the column."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from idmerge._ids import id_texts, is_missing
from idmerge.errors import ColumnError
from idmerge.events import operand_names
from idmerge.files.names import BEFORE, EVENT, ID, INSERT_ID, PROCESSED, PROPERTIES, RECEIVED, TIME
from idmerge.policy import is_unicode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pyarrow as pa


def pandas_columns(frame: Any, names: Sequence[str]) -> pa.Table:
    """Return the columns ``names`` of a frame of pandas, which must be there.

    Raises:
        ColumnError: A column is there twice, or holds values that no column of Arrow holds
            together.
        TypeError: A value among mixed ones can be no ID.
    """
    import pyarrow as pa  # noqa: PLC0415

    columns = {}
    for name in names:
        if getattr(frame[name], "ndim", 1) > 1:
            raise repeated_column(name)
        columns[name] = object_column(name, frame[name])
    return pa.table(columns)


def object_column(name: str, values: Any) -> Any:
    """Return ``values``, a Series of pandas or a list, as a column of Arrow.

    Values that differ in type are read as those of a file of JSON: objects as JSON text, IDs, times
    and names each by their own rule.

    Raises what `pandas_columns` raises.
    """
    import pyarrow as pa  # noqa: PLC0415

    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, OverflowError) as error:
        text_of = _text_of(name)
        if text_of is None:
            reason = str(error).partition("\n")[0]
            raise ColumnError(f"the column {name!r} cannot be read: {reason}") from error
    except UnicodeEncodeError as error:
        raise ColumnError(f"the column {name!r} cannot be read: {error}") from error
    if name in {ID, BEFORE, *operand_names("simplified")} and name != "$distinct_ids":
        ids = id_texts(values, f"the column {name}")
        texts = [text if isinstance(text, str) and is_unicode(text) else None for text in ids]
    else:
        texts = [None if is_missing(value) else text_of(value) for value in values]
    return pa.array(texts, pa.large_string())


def _text_of(  # noqa: PLR0911 - a rule for each column
    name: str,
) -> Callable[[Any], str | None] | None:
    """Return the function that makes text of a row's value in the column called ``name``."""
    if name == PROPERTIES:
        return lambda value: value if isinstance(value, str) else _json(_without_nulls(value))
    if name == EVENT:
        return lambda value: value if isinstance(value, str) else None
    if name == TIME:
        return _time
    if name in {INSERT_ID, PROCESSED, RECEIVED}:
        return lambda value: value if isinstance(value, str) else _json(value)
    if name == "$distinct_ids":
        return _json
    if name in {ID, BEFORE, *operand_names("simplified")}:
        return str  # Checked as IDs.
    return None


def _time(value: Any) -> str:
    moment = getattr(value, "isoformat", None)
    return moment() if moment is not None else value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:
    """Return a value that JSON does not have as one that it has."""
    for convert in ("tolist", "isoformat"):  # Numbers and arrays of numpy, dates and times.
        if hasattr(value, convert):
            return getattr(value, convert)()
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


def _without_nulls(value: Any) -> Any:
    """Return an object without nulls, which are no properties in a struct either."""
    if not isinstance(value, Mapping):
        return value
    return {str(name): item for name, item in value.items() if item is not None}


def polars_columns(frame: Any, names: Iterable[str]) -> pa.Table:
    """Return the columns ``names`` of a frame of polars, also those of Python objects.

    Raises what `pandas_columns` raises.
    """
    import pyarrow as pa  # noqa: PLC0415

    columns = {}
    for name in names:
        series = frame.get_column(name)
        is_object = str(series.dtype) == "Object"
        columns[name] = object_column(name, series.to_list()) if is_object else series.to_arrow()
    return pa.table(columns)


def repeated_column(name: str) -> ColumnError:
    """Return the error for a table of events that has the column called ``name`` twice."""
    return ColumnError(f"events have the column {name!r} more than once")


_READ: WeakSet[Any] = WeakSet()
"""Streams that were read, as long as somebody holds them."""


def read_once(reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """Return ``reader``, which is read now and never again.

    Raises:
        ColumnError: It was read already.
    """
    if reader in _READ:
        raise ColumnError(
            "the stream of events was read already, and has nothing left; make a new one, or give a table"
        )
    _READ.add(reader)
    return reader
