"""How numbers and IDs read, on a terminal and in a report."""

from __future__ import annotations


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Return ``count`` with its noun, in the plural unless it is one: ``1 link``, ``2,000 links``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {plural or f'{noun}s'}"


def printable(text: str | None) -> str:
    """Return ``text``, quoted where it would be invisible or could steer the terminal."""
    if text is None:
        return "(missing)"
    if text and text.isprintable() and text == text.strip():
        return text
    return ascii(text)


LONGEST = 120
"""Characters of a text that are shown of one that may be of any length."""


def beginning(text: str | None) -> str:
    """Return `printable` text, of a long one its beginning and how long it is."""
    if text is None or len(text) <= LONGEST:
        return printable(text)
    return f"{printable(text[:LONGEST])}… ({len(text):,} characters)"
