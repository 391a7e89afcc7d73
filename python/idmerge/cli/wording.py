"""How numbers, IDs and links read on a terminal."""

from __future__ import annotations

import click


def counted(count: int, noun: str) -> str:
    """Return ``count`` with its noun, in the plural unless it is one: ``1 link``, ``2,000 links``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def printable(text: str | None) -> str:
    """Return ``text``, quoted where it would be invisible or could steer the terminal."""
    if text is None:
        return "(missing)"
    if text and text.isprintable() and text == text.strip():
        return text
    return ascii(text)


def labelled(label: str, text: str) -> str:
    """Return one line of an answer: a label in bold where the terminal can, and what it labels."""
    return f"{click.style(f'{label:<12}', bold=True)}{text}"
