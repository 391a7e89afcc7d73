"""A JSON decoder without the limits of the process: any integer, one limit of nesting.

Python reads no integer of more than 4,300 digits, or of as many as a process chooses, and nests no
deeper than the stack of its caller allows. Here an integer may have any number of digits, and
nesting has one limit.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

DEEPEST = 500
"""Objects and lists within each other, at most."""
_MOST_DIGITS = 640
"""Characters of an integer that ``int`` reads under any setting; it is beyond every double long
before."""
_LONG = re.compile(rb"(?<![0-9])[0-9]{%d}" % _MOST_DIGITS)
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_NO_BRACKETS = bytes({*range(256)} - {*b"[]{}"})


class WrittenInteger(float):
    """An integer whose value is a float: ``-0``, or one beyond every double, which is infinite.

    As an ID it is its ``digits``.
    """

    digits: str

    def __new__(cls, value: float, digits: str) -> Self:
        """Return ``value`` with the digits of the integer."""
        self = super().__new__(cls, value)
        self.digits = digits
        return self


class NestedTooDeeplyError(RecursionError):
    """JSON text is nested more than `DEEPEST` levels."""


def decoded(text: str | bytes | bytearray) -> Any:
    """Return the value of JSON ``text``, as ``json.loads`` does where that has no limits.

    Raises:
        NestedTooDeeplyError: It is nested too deeply.
        ValueError: It is no JSON.
    """
    written, read = _both(text)
    is_long = len(written) > _MOST_DIGITS and _LONG.search(written) is not None
    return (_WITH_LONG_INTEGERS if is_long else _PLAIN).decode(read)


def decoded_or_none(text: str | bytes | bytearray) -> Any:
    """Return the value of JSON ``text``; None if it is no JSON, or nested too deeply."""
    try:
        return decoded(text)
    except (ValueError, RecursionError):
        return None


def decoded_object(
    text: Any, noun: str, malformed: Callable[[str], Exception], decode: Callable[[Any], Any] = decoded
) -> dict[str, Any]:
    """Return the object in JSON ``text``, which messages call ``noun``.

    Raises:
        Exception: The text is no JSON object: what ``malformed`` makes of the message.
        TypeError: ``text`` is no text.
    """
    if not isinstance(text, (str, bytes, bytearray)):
        raise TypeError(f"an {noun} must be a mapping, str or bytes, got {type(text).__name__}")
    try:
        value = decode(text)
    except (ValueError, RecursionError) as error:
        raise malformed(f"the {noun} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise malformed(f"the {noun} must be a JSON object, got {type(value).__name__}")
    return value


def decoded_for_tables(text: str | bytes | bytearray) -> Any:
    """Return the value of JSON ``text`` as tables have it: ``-0`` is a float (SPEC 9).

    Raises what `decoded` raises.
    """
    return _FOR_TABLES.decode(_both(text)[1])


def _both(text: str | bytes | bytearray) -> tuple[bytes | bytearray, str]:
    """Return ``text`` as bytes and as text, if it is not nested too deeply."""
    if isinstance(text, str):
        written: bytes | bytearray = text.encode("utf-8", "surrogatepass")
    else:
        written, text = text, text.decode(json.detect_encoding(text), "surrogatepass")
    _check_depth(written)
    return written, text


def _integer(text: str) -> int | WrittenInteger:
    if len(text) <= _MOST_DIGITS:
        return int(text)
    return WrittenInteger(float("-inf" if text.startswith("-") else "inf"), text)


def _integer_for_tables(text: str) -> int | WrittenInteger:
    return WrittenInteger(-0.0, "0") if text == "-0" else _integer(text)


_PLAIN = json.JSONDecoder()
_WITH_LONG_INTEGERS = json.JSONDecoder(parse_int=_integer)
_FOR_TABLES = json.JSONDecoder(parse_int=_integer_for_tables)


def _check_depth(written: bytes | bytearray) -> None:
    if written.count(b"[") + written.count(b"{") <= DEEPEST:
        return
    brackets = np.frombuffer(_STRING.sub(b"", written).translate(None, _NO_BRACKETS), np.uint8)
    is_opening = (brackets == ord("[")) | (brackets == ord("{"))
    if np.cumsum(np.where(is_opening, 1, -1)).max(initial=0) > DEEPEST:
        raise NestedTooDeeplyError(f"it is nested more than {DEEPEST} levels")
