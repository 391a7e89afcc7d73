"""The values that can be IDs, whatever their type, and the texts of these (SPEC 3).

One rule holds for events, columns, frames, single calls and look-ups:

- text is an ID as it is, and bytes are one as UTF-8;
- an integer is one by its digits, and so is a whole float as far as floats of its size hold every
  integer (2^53 in 64 bits), and a decimal without digits behind the point;
- a UUID is one by its usual text;
- None, NaN and the missing values of pandas are missing;
- no other value can be an ID, neither can a truth value.

Here is the rule for Python's values. The core has it for the numbers of JSON text and for the
columns of Arrow and numpy, in which there are no objects (`rust/events/src/ids.rs`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np

from idmerge._json_decoding import WrittenInteger

if TYPE_CHECKING:
    from collections.abc import Iterable

AnyId = str | bytes | bytearray | int | float | Decimal | UUID | np.integer[Any] | np.floating[Any]
"""A value that can be an ID, if it is of a kind named above."""
_MISSING = ("NAType", "NaTType")
"""The types of what pandas has for a missing value; pandas need not be there to be asked."""


def as_id(value: object) -> str | None:  # noqa: PLR0911 - a type each
    """Return the text of ``value`` as an ID; None if it is missing or can be no ID.

    Bytes that are no UTF-8 become lone surrogates: text that is no Unicode, and so an invalid ID.
    """
    if isinstance(value, str):  # A subclass may compare in other ways than its text.
        return value if type(value) is str else str.__str__(value)
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return _digits(value if isinstance(value, int) else int(value))
    if isinstance(value, WrittenInteger):
        return value.digits
    if isinstance(value, (float, np.floating)):
        return _whole(value)
    if isinstance(value, (bytes, bytearray)):
        return value.decode(errors="surrogateescape")
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Decimal) and value.as_tuple().exponent == 0:
        return _digits(int(value))
    return None


def _digits(number: int) -> str:
    try:
        return int.__repr__(number)
    except ValueError:  # Beyond the interpreter's limit of digits.
        return f"{Decimal(number):f}"


def _whole(value: float | np.floating[Any]) -> str | None:
    """Return the digits of a float that is whole and surely the integer that was meant."""
    bits = 53 if isinstance(value, float) else min(np.finfo(type(value)).nmant + 1, 53)
    return _digits(int(value)) if abs(value) <= 2**bits and value == int(value) else None


def is_missing(value: object) -> bool:
    """Return whether ``value`` stands for none, in a column."""
    if value is None or type(value).__name__ in _MISSING:
        return True
    if isinstance(value, Decimal):
        return value.is_nan()
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def id_text(value: object) -> str:
    """Return the text of ``value``, the ID that a call is given.

    Raises:
        TypeError: It can be no ID, or is missing.
    """
    text = as_id(value)
    if text is None:
        raise TypeError(f"an ID must be text, an integer or a UUID, got {_named(value)}")
    return text


def id_texts(values: Iterable[Any], name: str) -> list[Any]:
    """Return the texts of the IDs in the column called ``name``; missing values stay as they are.

    Raises:
        TypeError: A value can be no ID; the message names the column, the row and the type.
    """
    texts = []
    for row, value in enumerate(values):
        text = as_id(value)
        if text is None and not is_missing(value):
            raise TypeError(f"{name} must hold text, integers or UUIDs, got {_named(value)} in row {row}")
        texts.append(value if text is None else text)
    return texts


def _named(value: object) -> str:
    """Return the type of ``value``, and a number itself; no other value, which may be long."""
    name = type(value).__name__
    return f"{name} {value}" if isinstance(value, (float, np.floating, Decimal)) else name
