"""Conversion of a pandas DataFrame's columns to a pyarrow table; errors name the column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idmerge.errors import ColumnError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa


def pandas_columns(frame: Any, names: Sequence[str]) -> pa.Table:
    """Return the columns ``names`` of a frame of pandas, which must be there.

    Raises:
        ColumnError: A column is there twice, or holds values that no column of Arrow holds
            together.
    """
    import pyarrow as pa  # noqa: PLC0415

    columns = {}
    for name in names:
        if getattr(frame[name], "ndim", 1) > 1:
            raise repeated_column(name)
        try:
            columns[name] = pa.array(frame[name], from_pandas=True)
        except (pa.ArrowException, UnicodeEncodeError) as error:
            reason = str(error).partition("\n")[0]
            raise ColumnError(f"the column {name!r} cannot be read: {reason}") from error
    return pa.table(columns)


def repeated_column(name: str) -> ColumnError:
    """Return the error for a table of events that has the column called ``name`` twice."""
    return ColumnError(f"events have the column {name!r} more than once")
