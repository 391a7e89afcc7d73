"""A report as text."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from idmerge._formatting import printable
from idmerge.reporting.page import STITCHED, TITLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from idmerge.doctor import Diagnosis
    from idmerge.reporting.sections import Section

WIDTH, LABEL = 100, 19
"""Columns of sentences, and of the labels before them."""


def lines(
    sections: Sequence[Section],
    check_up: Diagnosis | None,
    method: Sequence[tuple[str, str]],
    *,
    width: int | None,
) -> Iterator[str]:
    """Yield the lines of a report, sentences wrapped at ``width``."""
    wide = min(width or WIDTH, WIDTH)
    yield TITLE
    for section in sections:
        yield ""
        yield from _heading(section.question)
        yield from _wrapped(section.headline.sentence, wide)
        if section.answer is not None:
            yield ""
            yield from section.answer.text(width=width).splitlines()
            for note in section.answer.notes:
                yield ""
                yield from _wrapped(note, wide)
    yield ""
    yield from _heading("What is wrong with identity?")
    yield from _wrapped(STITCHED, wide) if check_up is None else check_up.text(width=width).splitlines()
    yield ""
    yield from _heading("How this was computed")
    for label, said in method:
        yield from _wrapped(f"{label:<{LABEL}}{printable(said)}", wide, LABEL)


def _heading(text: str) -> Iterator[str]:
    yield text
    yield "-" * len(text)


def _wrapped(text: str, width: int, hang: int = 0) -> list[str]:
    return textwrap.wrap(printable(text), width, subsequent_indent=" " * hang, break_on_hyphens=False)
