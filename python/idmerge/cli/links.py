"""Links of a journal as lines of text: position, time, kind, IDs, and why one was rejected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idmerge._formatting import printable, utc
from idmerge.cli.messages import labelled, rows
from idmerge.cli.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from idmerge import RecordedLink


def link_rows(links: Sequence[RecordedLink]) -> Iterator[str]:
    """Yield a line for each accepted link."""
    return rows([(*_when(link), *_ends(link)) for link in links], right=(0,), ragged=2)


def rejected_rows(links: Sequence[RecordedLink]) -> Iterator[str]:
    """Yield a line for each rejected link, and then the rules behind the outcomes."""
    yield from rows(
        [
            (*_when(link), link.outcome.name, link.outcome.failure_reason or "", *_ends(link))
            for link in links
        ],
        right=(0,),
        ragged=2,
    )
    for place, outcome in enumerate(sorted({link.outcome for link in links})):
        yield labelled("" if place else "rules", f"{outcome.name}: {RULES[outcome]}")


def _when(link: RecordedLink) -> tuple[str, str, str]:
    return f"{link.position:,}", utc(link.time), link.kind.name.lower()


def _ends(link: RecordedLink) -> Iterator[str]:
    for text in (link.first, link.second):
        yield "(forgotten)" if text is None else printable(text)
