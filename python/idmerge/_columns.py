"""Columns of IDs in and out: the kinds that idmerge takes, and answers of the same library.

Text crosses into the core by reference where that is possible: Arrow buffers as they are, Python
strings by a reference each. No frame library is imported here; one is used only when the caller's
own column comes from it, so that it is loaded already.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from idmerge._ids import AnyId

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from idmerge._core import Column


class ArrowArray(Protocol):
    """An array that speaks Arrow's PyCapsule interface: such as pyarrow's."""

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        """Export the array."""


class ArrowStream(Protocol):
    """A stream of arrays that speaks Arrow's PyCapsule interface: such as a polars Series."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Export the stream."""


IdColumn = Sequence[AnyId | None] | np.ndarray[Any, Any] | ArrowArray | ArrowStream
"""A list or tuple of IDs, a numpy array of object, str, bytes (UTF-8), StringDType, integers or
floats, or an Arrow column of text, bytes (UTF-8), integers, floats, decimals without digits behind
the point, UUIDs or a dictionary of these: a column of pyarrow, polars, pandas or any other library
that speaks Arrow. None, NaN and Arrow's null are missing. SPEC 3 says which values are IDs."""

KindColumn = int | Sequence[int] | np.ndarray[Any, Any] | ArrowArray | ArrowStream
"""One `Kind` for all links, or a column of integers that are kinds."""

ElementColumn = Sequence[str | None] | Sequence[int] | np.ndarray[Any, Any] | ArrowArray | ArrowStream
"""A column of text, or of integers, which stay integers: a list or tuple of str or of int, a numpy
array or an Arrow column of text or of any integer type."""

C = TypeVar("C")


def in_family_of(
    ids: C,
    list_of: Callable[[list[Any]], list[Any]],
    column_of: Callable[[Any], Column],
) -> C:
    """Answer ``ids`` in its own family: ``list_of`` answers lists, ``column_of`` Arrow columns.

    The answers are texts, so a column of numbers or UUIDs is answered by one of text: in numpy by
    objects, which can be None.
    """
    given: Any = ids
    answer: Any
    if isinstance(given, list):
        answer = list_of(given)
    elif isinstance(given, tuple):
        answer = tuple(list_of(list(given)))
    elif isinstance(given, np.ndarray):
        answer = _numpy_answer(given, list_of, column_of)
    else:
        answer = _arrow_answer(given, column_of(given))
    result: C = answer
    return result


def _numpy_answer(
    ids: NDArray[Any],
    list_of: Callable[[list[Any]], list[Any]],
    column_of: Callable[[Any], Column],
) -> NDArray[Any]:
    if ids.ndim != 1:
        raise TypeError(f"ids must have one dimension, got {ids.ndim}")
    if isinstance(ids, np.ma.MaskedArray):
        raise TypeError("ids must not have a mask; pass a list with None instead")
    if ids.dtype.kind == "S":
        # Bytes that are no UTF-8 are nobody's ID; they travel as lone surrogates and come back as
        # they were.
        texts = [item.decode(errors="surrogateescape") for item in ids.tolist()]
        answers = [item.encode(errors="surrogateescape") for item in list_of(texts)]
        return _fixed_width(answers, np.bytes_, b"\0")
    if ids.dtype.kind in "UT":
        # A lone surrogate has no UTF-8; a str can hold it, and it resolves to itself.
        with suppress(UnicodeError):
            return column_of(ids)._to_numpy(ids.dtype)
    if ids.dtype.kind not in "OUT" and ids.size:
        return _objects(column_of(ids).to_pylist())
    answers = list_of(ids.tolist())
    if ids.dtype.kind == "U":
        return _fixed_width(answers, np.str_, "\0")
    if ids.dtype.kind == "O":
        return _objects(answers)
    return np.array(answers, dtype=ids.dtype)


def _objects(answers: list[Any]) -> NDArray[Any]:
    objects = np.empty(len(answers), dtype=object)
    objects[:] = answers
    return objects


def _fixed_width(answers: list[Any], dtype: type[np.str_ | np.bytes_], padding: str | bytes) -> NDArray[Any]:
    """Return the answers in one array.

    The array pads with NULs, and so must not hold what ends in one.
    """
    for answer in answers:
        if answer.endswith(padding):
            raise ValueError(f"a numpy array of fixed width cannot hold {answer!r}; pass a list or objects")
    return np.array(answers, dtype=dtype)


def _arrow_answer(ids: Any, column: Column) -> Any:
    library = type(ids).__module__.partition(".")[0]
    module = sys.modules.get(library)
    if library == "pyarrow" and module is not None:
        chunked = module.chunked_array(column)
        return chunked if isinstance(ids, module.ChunkedArray) else module.concat_arrays(chunked.chunks)
    if library == "polars" and module is not None:
        return module.Series(column).alias(ids.name)
    if library == "pandas" and module is not None and hasattr(ids, "name"):
        plain = ids.dtype if ids.dtype == object or module.api.types.is_string_dtype(ids.dtype) else None
        answers = column.to_pylist()
        if isinstance(ids, module.Series):
            return module.Series(answers, index=ids.index, name=ids.name, dtype=plain)
        return module.Index(answers, name=ids.name, dtype=plain)
    return column
