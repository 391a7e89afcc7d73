"""Conversions of the core's tables to those of other libraries, and their HTML.

Each library is loaded when its table is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idmerge.errors import MissingExtraError

if TYPE_CHECKING:
    import pyarrow as pa

    from idmerge._core import Table

INTEGERS = {"cluster_size": "int32", "position": "int64"}
"""The columns of the core's tables that are no text, with their types."""


def to_arrow(table: Table) -> pa.Table:
    """Return the table as one of pyarrow.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("to_arrow needs pyarrow: pip install pyarrow") from error
    # `pa.table` would first import pandas, where it is installed, to ask whether this is a frame of
    # its.
    return pa.RecordBatchReader.from_stream(table).read_all()


def to_pandas(table: Table) -> Any:
    """Return the table as a frame of pandas.

    Raises:
        MissingExtraError: pandas or pyarrow is not installed.
    """
    try:
        import pandas as pd  # type: ignore[import-untyped]  # noqa: F401, PLC0415
    except ImportError as error:
        raise MissingExtraError("to_pandas needs pandas: pip install pandas pyarrow") from error
    return to_arrow(table).to_pandas()


def to_polars(table: Table) -> Any:
    """Return the table as a frame of polars.

    Raises:
        MissingExtraError: polars is not installed.
    """
    try:
        import polars as pl  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("to_polars needs polars: pip install polars") from error
    return pl.DataFrame(table)


def html(table: Table) -> str:
    """Return the first rows, with the types of the columns."""
    from idmerge._notebook import ROWS, shown_table  # noqa: PLC0415 - for notebooks alone

    columns: dict[str, list[Any]] = table.head(ROWS).to_pydict()
    types = {name: INTEGERS.get(name, "string") for name in columns}
    return shown_table(types, zip(*columns.values(), strict=True), len(table))
