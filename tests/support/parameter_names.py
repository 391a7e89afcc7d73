"""Names of parameters in the names of tests, the same in each process."""

from __future__ import annotations

import re
from typing import Any

_ADDRESS = re.compile(r" (?:object )?at 0x[0-9a-f]+")
LONGEST = 400
"""Characters that a name of a test may have at most."""


def stable(value: Any) -> str:
    """Return ``repr(value)`` without addresses in memory, a set's in order, and cut."""
    text = repr(value)
    if isinstance(value, set | frozenset) and value:
        # Hashes of text differ from process to process, and the order of a set with them.
        members = ", ".join(sorted(map(repr, value)))
        text = text[: text.index("{")] + "{" + members + text[text.rindex("}") :]
    return _ADDRESS.sub("", text)[:80]


def is_stable(name: str) -> bool:
    """Return whether a test can be chosen by its name in another process."""
    return len(name) <= LONGEST and not _ADDRESS.search(name)
