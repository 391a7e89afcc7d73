"""Numbers, IDs, times and rows as text for people, on a terminal, in a message or on a page."""

from __future__ import annotations

import re
import unicodedata
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
GAP, BROKEN_INDENT = "  ", " " * 6
"""Blanks before each cell of a row, and before the rest of a row that is broken."""
ALIKE = 0.7
"""Similarity, of 1 at most, from which on one name may be a typo of another."""
MOST_CLOSE = 3
"""Names that are suggested for a typo."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Return ``count`` with its noun, plural unless it is one: ``1 link``, ``2,000 links``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {plural or f'{noun}s'}"


def links_and_acts(count: int) -> str:
    """Return a number of positions of a journal in words."""
    return counted(count, "link or act", "links and acts")


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return the names that are spelt like ``name``, as a question that ends a message; or ''.

    Case makes no difference.
    """
    from difflib import get_close_matches  # noqa: PLC0415 - needed for a typo alone

    alike: dict[str, list[str]] = {}
    for other in names:
        alike.setdefault(other.casefold(), []).append(other)
    found = get_close_matches(name.casefold(), [*alike], cutoff=ALIKE)
    close = [repr(other) for folded in found for other in alike[folded]][:MOST_CLOSE]
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


def display_width(text: str) -> int:
    """Return the columns that ``text`` takes on a terminal."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(one) in "WF" for one in text)
    return len(text) + wide - sum(unicodedata.combining(one) > 0 for one in text)


def aligned(
    rows: Sequence[Sequence[str]],
    right: Collection[int] = (),
    width: int | None = None,
    *,
    ragged: int = 1,
) -> Iterator[str]:
    """Yield an indented line a row; columns are padded, those in ``right`` on the left.

    The last ``ragged`` columns are not padded. Where a row would take more than ``width`` columns,
    every row is broken before the same cells, and continued further in.
    """
    rows = [[*map(visible, row)] for row in rows]
    widths = [max(map(display_width, column)) for column in zip(*rows, strict=True)]
    lines = [*_broken(widths, width)]
    for row in rows:
        first_ragged = len(row) - ragged
        for number, places in enumerate(lines):
            cells = [
                padded(row[place], 0 if place >= first_ragged else widths[place], on_left=place in right)
                for place in places
            ]
            line = f"{BROKEN_INDENT if number else GAP}{GAP.join(cells)}".rstrip()
            if line or not number:
                yield line


def _broken(widths: Sequence[int], width: int | None) -> Iterator[list[int]]:
    """Yield the columns of each line of a row, so many that they fit ``width``."""
    places: list[int] = []
    taken = 0
    for place, wide in enumerate(widths):
        if width is not None and places and taken + len(GAP) + wide > width:
            yield places
            places, taken = [], len(BROKEN_INDENT) - len(GAP)
        places.append(place)
        taken += len(GAP) + wide
    yield places


def padded(text: str, width: int, *, on_left: bool) -> str:
    """Return ``text`` with blanks, so that it takes ``width`` columns."""
    blanks = " " * (width - display_width(text))
    return f"{blanks}{text}" if on_left else f"{text}{blanks}"


def beginning(text: str | None) -> str:
    """Return ``text`` `printable`; beyond `LONGEST_QUOTED` its beginning and its length."""
    if text is None or len(text) <= LONGEST_QUOTED:
        return printable(text)
    return f"{printable(text[:LONGEST_QUOTED])}… ({len(text):,} characters)"


def middle_cut(text: str, longest: int) -> str:
    """Return ``text``, or the beginning and the end of one of more than ``longest`` columns."""
    if display_width(text) <= longest:
        return text
    if longest < 1:
        return ""
    tail = longest // 3
    return f"{_fitting(text, longest - tail - 1)}…{_fitting(text[::-1], tail)[::-1]}"


def _fitting(text: str, columns: int) -> str:
    """Return the longest beginning of ``text`` that takes so many columns at most."""
    taken = 0
    for place, one in enumerate(text):
        taken += display_width(one)
        if taken > columns:
            return text[:place]
    return text


def full(text: str | None) -> str:
    """Return an ID `printable` and `cut`; None stands for one that was forgotten."""
    return "(forgotten)" if text is None else cut(printable(text))


def event_facts(event_time: datetime | None, origin: str | None) -> list[str]:
    """Return the time and the source of a link's event as texts, as far as they are known."""
    time = None if event_time is None else f"event of {utc(event_time)}"
    return [text for text in (time, origin and cut(printable(origin))) if text]
