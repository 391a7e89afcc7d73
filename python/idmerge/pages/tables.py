"""The size of tables on pages, whose HTML `idmerge._html` makes."""

from __future__ import annotations

from idmerge._formatting import counted

MOST_ROWS = 5000
"""Rows of a table on a page."""


def count_line(total: int, noun: str) -> str:
    """Return how many rows there are, and how many of them a table on a page shows."""
    more = f", the first {MOST_ROWS:,} of them here" if total > MOST_ROWS else ""
    return f"<p>{counted(total, noun)}{more}</p>"
