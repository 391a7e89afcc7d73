"""Conditions on profiles, in a part of the language that Mixpanel's queries have.

    properties["plan"] == "pro" and (defined(properties["city"]) or properties["visits"] > 3)

A property that a profile lacks equals nothing, is in nothing and is not ordered. Numbers compare
with numbers and texts with texts; between other values the order is that neither comes first.
"""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from idmerge._json_decoding import decoded_or_none
from idmerge.profiles.indexedlist import likeness

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Condition = Callable[[Mapping[str, Any]], bool]
    """Returns whether a profile fulfils a condition."""
    _Value = Callable[[Mapping[str, Any]], Any]

MOST_CHARACTERS = 10_000
"""The length of a condition."""
DEEPEST = 50
"""Parentheses and negations within each other."""
SUPPORTED = (
    'supported are properties["name"], texts, numbers, true, false and null, compared by ==, !=, <, <=, >, '
    ">= and in; defined(…), not, and, or, and parentheses"
)
_TOKEN = re.compile(
    r"""
    \s* (?:
        (?P<text> "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' )
      | (?P<number> -?[0-9][0-9.]*(?:[eE][+-]?[0-9]+)? )
      | (?P<word> [A-Za-z_]+ )
      | (?P<sign> ==|!=|<=|>=|[<>()\[\]] )
      | (?P<end> $ )
    )""",
    re.DOTALL | re.VERBOSE,
)
_MISSING = object()
_WORDS = {"true": True, "false": False, "null": None}
_ORDERS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def condition_of(text: str) -> Condition:
    """Return the condition that ``text`` states.

    Raises:
        ValueError: It states none, or one beyond what is supported.

    Examples:
        >>> from idmerge.server.reading.where import condition_of
        >>> is_meant = condition_of('properties["plan"] == "pro" and not defined(properties["n"])')
        >>> is_meant({"plan": "pro"}), is_meant({"plan": "pro", "n": 1})
        (True, False)
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"where must have at most {MOST_CHARACTERS} characters")
    reader = _Reader(text)
    found = reader.either(0)
    if reader.token.kind != "end":
        raise reader.error()
    return found


class _Token(NamedTuple):
    kind: str
    text: str
    place: int


class _Reader:
    """Reads a condition from left to right; `token` is the next one."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._end = 0
        self.take()

    def take(self) -> None:
        """Go on to the next token."""
        found = _TOKEN.match(self._text, self._end)
        if found is None or found.lastgroup is None:
            raise ValueError(f"where cannot be read at character {self._end + 1}; {SUPPORTED}")
        self._end = found.end()
        self.token = _Token(found.lastgroup, found[found.lastgroup], found.start(found.lastgroup))

    def error(self) -> ValueError:
        """Return the error that names the next token."""
        what = f"at {self.token.text!r:.50}" if self.token.text else "at its end"
        return ValueError(f"where cannot be read {what}, character {self.token.place + 1}; {SUPPORTED}")

    def takes(self, *texts: str) -> bool:
        """Go on if the next token is a sign or a word of ``texts``; return whether it is."""
        is_one = self.token.kind in {"word", "sign"} and self.token.text in texts
        if is_one:
            self.take()
        return is_one

    def expect(self, text: str) -> None:
        """Go on behind ``text``."""
        if not self.takes(text):
            raise self.error()

    def either(self, depth: int) -> Condition:
        """Read conditions of which one has to hold."""
        if depth > DEEPEST:
            raise ValueError(f"where must be nested no more than {DEEPEST} deep")
        options = [self._all(depth)]
        while self.takes("or"):
            options.append(self._all(depth))
        return options[0] if len(options) == 1 else lambda profile: any(one(profile) for one in options)

    def _all(self, depth: int) -> Condition:
        parts = [self._one(depth)]
        while self.takes("and"):
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else lambda profile: all(one(profile) for one in parts)

    def _one(self, depth: int) -> Condition:
        if depth > DEEPEST:
            raise ValueError(f"where must be nested no more than {DEEPEST} deep")
        if self.takes("not"):
            negated = self._one(depth + 1)
            return lambda profile: not negated(profile)
        if self.takes("("):
            inner = self.either(depth + 1)
            self.expect(")")
            return inner
        if self.takes("defined"):
            self.expect("(")
            value = self._property()
            self.expect(")")
            return lambda profile: value(profile) is not _MISSING
        return self._comparison()

    def _comparison(self) -> Condition:
        left = self._value()
        sign = self.token.text
        if not self.takes("==", "!=", "in", *_ORDERS):
            raise self.error()
        right = self._value()
        compare = _COMPARISONS[sign]
        return lambda profile: compare(left(profile), right(profile))

    def _value(self) -> _Value:
        token = self.token
        if token.kind == "text":
            value: Any = _text_of(token.text)
            if value is None:
                raise self.error()
        elif token.kind == "number":
            value = decoded_or_none(token.text)
            if value is None:
                raise self.error()
        elif token.kind == "word" and token.text in _WORDS:
            value = _WORDS[token.text]
        else:
            return self._property()
        self.take()
        return lambda _: value

    def _property(self) -> _Value:
        if not self.takes("properties", "user"):
            raise self.error()
        self.expect("[")
        name = _text_of(self.token.text) if self.token.kind == "text" else None
        if name is None:
            raise self.error()
        self.take()
        self.expect("]")
        return lambda profile: profile.get(name, _MISSING)


def _text_of(token: str) -> str | None:
    """Return the text between quotation marks of either kind; None if its escapes are wrong."""
    if token[0] == "'":
        token = '"' + token[1:-1].replace("\\'", "'").replace('"', '\\"') + '"'
    found = decoded_or_none(token)
    return found if isinstance(found, str) else None


def _equal(left: Any, right: Any) -> bool:
    return left is not _MISSING and right is not _MISSING and likeness(left) == likeness(right)


def _is_in(left: Any, right: Any) -> bool:
    if isinstance(right, str):
        return isinstance(left, str) and left in right
    return isinstance(right, list) and any(_equal(left, item) for item in right)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def is_so(left: Any, right: Any) -> bool:
        are_texts = isinstance(left, str) and isinstance(right, str)
        return (are_texts or (_is_number(left) and _is_number(right))) and compare(left, right)

    return is_so


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": _equal,
    "!=": lambda left, right: not _equal(left, right),
    "in": _is_in,
    **{sign: _ordered(compare) for sign, compare in _ORDERS.items()},
}
