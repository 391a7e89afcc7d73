"""Times in tables, read as those in JSON text are (SPEC 9).

Numbers count seconds, milliseconds, microseconds or nanoseconds, told by their size. The core reads
text: `idmerge.files` has no second reader of dates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from idmerge import _core
from idmerge.files.arrow import is_text
from idmerge.files.names import TIME
from idmerge.files.pieces import MAX_LINE
from idmerge.files.shape import TEXT
from idmerge.files.tables import record_batch
from idmerge.files.zones import as_utc, names_zone

if TYPE_CHECKING:
    from numpy.typing import NDArray

MILLISECONDS_FROM, MICROSECONDS_FROM, NANOSECONDS_FROM = 10**11, 10**14, 10**17
"""The least numbers, on either side of zero, that count these; smaller ones count seconds."""
LONGEST = 2**16
"""Bytes of a text, from which on it is no time."""
FIRST, LAST = -62_135_596_800_000, 253_402_300_799_999
"""The years 1 to 9999 in milliseconds since 1970."""


def as_times(column: Any) -> Any:  # noqa: PLR0911 - a return a type
    """Return a column of times: timestamps and dates as they are, others in milliseconds, UTC.

    Numbers and text that are no time are null, and so is everything in a column of another type.
    """
    import pyarrow as pa  # noqa: PLC0415

    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return column
    if isinstance(column, pa.ChunkedArray):
        return pa.chunked_array([as_times(chunk) for chunk in column.chunks], _moments())
    if pa.types.is_dictionary(kind):
        if pa.types.is_timestamp(kind.value_type) or pa.types.is_date(kind.value_type):
            return column.dictionary_decode()
        return as_times(column.dictionary).take(column.indices)
    if pa.types.is_integer(kind):
        return _of_integers(column)
    if pa.types.is_floating(kind):
        return _of_floats(column)
    if is_text(kind) or pa.types.is_decimal(kind):
        return _of_texts(column.cast(pa.large_string()))
    return pa.nulls(len(column), _moments())


def in_utc(column: Any, zone: str | None) -> Any:
    """Return a column of times like `as_times`, of which those that name no zone are of ``zone``.

    Timestamps with a zone, and dates, stay as they are.
    """
    import pyarrow as pa  # noqa: PLC0415

    if zone is None:
        return as_times(column)
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    times = as_times(column)
    if pa.types.is_date(times.type) or (pa.types.is_timestamp(column.type) and column.type.tz is not None):
        return times
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    named = pa.array(map(names_zone, column.to_pylist()), pa.bool_()) if is_text(kind) else None
    return as_utc(times, zone, named)


def milliseconds(column: Any) -> Any:
    """Return times as milliseconds since 1970, UTC, in int64; a time without a zone is in UTC."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    times = as_times(column)
    if isinstance(times, pa.ChunkedArray):
        times = times.combine_chunks()
    if pa.types.is_date(times.type):
        times = times.cast(pa.timestamp("ms"), safe=False)
    unit = times.type.unit
    counts = times.cast(pa.int64())
    if unit == "s":
        return pc.multiply(counts, 1000)
    if unit == "ms":
        return counts
    scale = 1000 if unit == "us" else 10**6
    values = counts.fill_null(0).to_numpy(zero_copy_only=False) // scale
    return pa.array(values, pa.int64(), mask=_nulls(counts))


def as_moments(counts: Any) -> Any:
    """Return milliseconds since 1970 as timestamps of these, UTC."""
    return counts.cast(_moments())


def _moments() -> Any:
    import pyarrow as pa  # noqa: PLC0415

    return pa.timestamp("ms", tz="UTC")


def _nulls(column: Any) -> NDArray[np.bool_]:
    nulls: NDArray[np.bool_] = column.is_null().to_numpy(zero_copy_only=False)
    return nulls


def _of_integers(column: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    nulls = _nulls(column)
    numbers = column.fill_null(0).to_numpy(zero_copy_only=False)
    if numbers.dtype == np.uint64:
        nulls |= numbers > np.iinfo(np.int64).max  # Beyond the year 9999 in every unit.
        numbers = np.where(nulls, 0, numbers)
    numbers = numbers.astype(np.int64)
    # The least integer has no counterpart above zero; by rounding it is as good as the next one.
    size = np.abs(np.maximum(numbers, np.iinfo(np.int64).min + 1))
    times = np.where(size < MILLISECONDS_FROM, numbers * 1000, numbers)
    largest = size.max(initial=0)
    for bound, scale in ((MICROSECONDS_FROM, 1000), (NANOSECONDS_FROM, 10**6)):
        if largest < bound:
            break
        rounded = np.sign(numbers) * (size // scale + (size % scale >= scale // 2))
        times = np.where(size >= bound, rounded, times)
    return _array(times, nulls, pa)


def _of_floats(column: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    nulls = _nulls(column)
    numbers = column.cast(pa.float64()).fill_null(0).to_numpy(zero_copy_only=False)
    with np.errstate(invalid="ignore", over="ignore"):
        size = np.abs(numbers)
        scaled = np.where(size < MILLISECONDS_FROM, numbers * 1000.0, numbers)
        for bound, scale in ((MICROSECONDS_FROM, 1000.0), (NANOSECONDS_FROM, 1e6)):
            scaled = np.where(size >= bound, numbers / scale, scaled)
        whole = np.trunc(scaled)
        rounded = whole + np.where(np.abs(scaled - whole) >= 0.5, np.sign(scaled), 0)  # noqa: PLR2004
        is_time = (rounded >= FIRST) & (rounded <= LAST)
    return _array(np.where(is_time, rounded, 0).astype(np.int64), nulls | ~is_time, pa)


def _array(times: NDArray[np.int64], nulls: NDArray[np.bool_], pa: Any) -> Any:
    nulls = nulls | (times < FIRST) | (times > LAST)
    return pa.array(np.where(nulls, 0, times), pa.int64(), mask=nulls).cast(_moments())


def _of_texts(column: Any) -> Any:
    """Return the times that texts hold, as the core's reader of JSON reads them."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    # No time has a character that JSON escapes; and a line has its event whatever the text is.
    is_plain = pc.match_substring_regex(column, r'\A[^"\\\x00-\x1f]*\z')
    is_short: Any = pc.less(pc.binary_length(column), pa.scalar(LONGEST))
    is_known: Any = pc.and_(is_plain, is_short)
    texts: Any = pc.if_else(is_known.fill_null(False), column, pa.scalar("", column.type))  # noqa: FBT003
    lines = pc.binary_join_element_wise(
        pa.scalar('{"event":null,"properties":{"time":"', pa.large_string()),
        texts,
        pa.scalar('"}}\n', pa.large_string()),
        pa.scalar("", pa.large_string()),
    )
    text = "".join(lines.to_pylist()).encode()
    table: Any = _core.Flattener([(TIME, TIME, TEXT)], MAX_LINE).flatten(b"", text, len(text)).table
    return record_batch(table).column(TIME)
