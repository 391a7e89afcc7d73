"""Numbers, IDs, times and rows as text for people, on a terminal, in a message or on a page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from idmerge._naming import visible
from idmerge.policy import DEVICE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from datetime import datetime


UUID_SHOWN = 8
"""Characters of a UUID in a label."""
LONGEST_READ = 2000
"""Characters beyond which `cut` drops the rest of a text."""
LONGEST_QUOTED = 120
"""Characters beyond which `beginning` drops the rest of a text."""
LONGEST, HEAD, TAIL = 20, 13, 6
"""Characters of a label; of a longer ID, those kept of its beginning and of its end."""
ALIKE = 0.7
"""Similarity, of 1 at most, from which on one name may be a typo of another."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Return ``count`` with its noun, plural unless it is one: ``1 link``, ``2,000 links``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {plural or f'{noun}s'}"


def links_and_acts(count: int) -> str:
    """Return a number of positions of a journal in words."""
    return counted(count, "link or act", "links and acts")


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return the names that are spelt like ``name``, as a question that ends a message; or ''."""
    from difflib import get_close_matches  # noqa: PLC0415 - needed for a typo alone

    close = [repr(other) for other in get_close_matches(name, [*names], cutoff=ALIKE)]
    return f" Did you mean {' or '.join(close)}?" if close else ""


def printable(text: str | None) -> str:
    """Return ``text``, quoted where it would be invisible or could steer the terminal."""
    if text is None:
        return "(missing)"
    if text and text.isprintable() and text == text.strip():
        return text
    return ascii(text)


def shortened(text: str) -> str:
    """Return a label for an ID: a UUID's first 8 characters, or both ends of a long text."""
    prefix = DEVICE_PREFIX if text.startswith(DEVICE_PREFIX) else ""
    if _UUID.fullmatch(text, len(prefix)):
        return f"{text[: len(prefix) + UUID_SHOWN]}…"
    shown = printable(text[: LONGEST * 2] + text[-LONGEST * 2 :] if len(text) > LONGEST * 4 else text)
    return shown if len(shown) <= LONGEST else f"{shown[:HEAD]}…{shown[-TAIL:]}"


def cut(text: str) -> str:
    """Return ``text``; of one longer than `LONGEST_READ`, the beginning and the length."""
    if len(text) <= LONGEST_READ:
        return text
    return f"{text[:LONGEST_READ]}… ({len(text):,} characters)"


def utc(time: datetime | None) -> str:
    """Return a time in UTC to the second; a link that is not committed yet has none."""
    return "(not yet)" if time is None else time.strftime("%Y-%m-%d %H:%M:%SZ")


def aligned(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> Iterator[str]:
    """Yield an indented line a row; columns are padded, those in ``right`` on the left.

    The last column is not padded.
    """
    rows = [[*map(visible, row)] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            text.rjust(width) if place in right else text.ljust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        if len(row) - 1 not in right:
            cells[-1] = row[-1]
        yield f"  {'  '.join(cells)}".rstrip()


def beginning(text: str | None) -> str:
    """Return ``text`` `printable`; beyond `LONGEST_QUOTED` its beginning and its length."""
    if text is None or len(text) <= LONGEST_QUOTED:
        return printable(text)
    return f"{printable(text[:LONGEST_QUOTED])}… ({len(text):,} characters)"


def middle_cut(text: str, longest: int) -> str:
    """Return ``text``, or the beginning and the end of one of more than ``longest`` characters."""
    if len(text) <= longest:
        return text
    tail = longest // 3
    return f"{text[: longest - tail - 1]}…{text[-tail:]}"


def full(text: str | None) -> str:
    """Return an ID `printable` and `cut`; None stands for one that was forgotten."""
    return "(forgotten)" if text is None else cut(printable(text))
