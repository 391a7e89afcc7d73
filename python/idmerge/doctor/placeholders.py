"""Texts that stand for a missing ID, though no rule blocks them.

A placeholder is recognised by its words, whatever stands around them: blanks, quotes, brackets and
`$device:`. Templates that nobody filled in count too, and objects that were turned into text.
"""

from __future__ import annotations

import re

from idmerge.policy import DEFAULT_BLOCKED_IDS, DEVICE_PREFIX

_AROUND = " \t\r\n\f\v\u00a0\ufeff\"'`\u00b4\u2018\u2019\u201c\u201d()[]<>{}|\\/.,:;*?$_-"
_WORDS = DEFAULT_BLOCKED_IDS | {
    "#n/a",
    "#null",
    "#ref",
    "absent",
    "anonymous id",
    "anonymous user",
    "anonymousid",
    "blank",
    "customer",
    "customer id",
    "customerid",
    "default",
    "device",
    "device id",
    "deviceid",
    "distinct id",
    "distinctid",
    "dummy",
    "empty",
    "example",
    "guest",
    "guest user",
    "id",
    "inf",
    "infinity",
    "invalid",
    "logged out",
    "missing",
    "n.a",
    "nan",
    "nat",
    "no id",
    "no user",
    "no user id",
    "not available",
    "not logged in",
    "not set",
    "nothing",
    "optional(nil",
    "placeholder",
    "replace me",
    "string",
    "todo",
    "unidentified",
    "unknown user",
    "unset",
    "user",
    "user id",
    "userid",
    "username",
    "visitor",
    "your user id",
}
_NOTHING = frozenset({"nan", "nil", "none", "null", "undefined"})
"""Words that mean no more when they are repeated."""
_PATTERNS = re.compile(
    r"""
      -?0+(\.0*)?                             # Zero, in whatever length.
    | -1(\.0*)
    | (0+-)+0+ | (f+-)+f+ | f{8,} | x{3,}     # A UUID of zeros, or of the largest digits.
    | \[?object\s\w+\]?.*                     # JavaScript's text of an object.
    | function\s*\(.*
    | (\$?\{|<%|%\{|\$\(|\#\{).*[})>]          # A template.
    | %[sdi@] | %\w+%
    """,
    re.VERBOSE | re.DOTALL,
)


def is_placeholder(text: str) -> bool:
    """Return whether ``text`` stands for a missing ID, blocked or not."""
    if len(text) > _LONGEST:
        return False
    plain = text.strip().removeprefix(DEVICE_PREFIX).strip().casefold()
    words = re.sub(r"[\s,;|_-]+", " ", plain.removeprefix("b'").strip(_AROUND))
    if words in _WORDS or _NOTHING.issuperset(words.split()):
        return True
    return _PATTERNS.fullmatch(plain) is not None


_LONGEST = 100
"""Characters of the longest placeholder; a template may be long."""
