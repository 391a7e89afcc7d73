"""A peer: a way to answer one of three questions, the part of it that is timed, and its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from benches.support.workload import Columns

Question = Literal["link", "link without rules", "resolve", "observe"]
"""The clusters under the default policy, or with every link accepted; canonical IDs; known IDs."""
Given = Literal["Arrow", "list", "numbers", "polars", "pandas"]
"""The input when the clock starts; "numbers" are IDs that were turned into integers before."""

LOOK_UPS = 1_000_000
"""At most so many IDs are looked up, whatever the number of links."""


def count_of(question: Question, links: int) -> int:
    """Return how many things an answer on ``links`` links is about: links, look-ups or IDs."""
    if question == "resolve":
        return min(links, LOOK_UPS)
    return 2 * links if question == "observe" else links


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One way to answer a question. Each run is a process of its own."""

    name: str
    """Its name on the command line and in results."""
    label: str
    """Its name in tables and charts."""
    question: Question
    given: Given
    until: str
    """The output when the clock stops."""
    prepare: Callable[[Columns], Any]
    """Makes what is given; not timed."""
    work: Callable[[Any], Any]
    """The part that is timed."""
    answer: Callable[[Any, Columns], Mapping[str, str]]
    """Returns digests of the work's result, to be compared with the others'; not timed."""
    needs: tuple[str, ...] = ()
    """Modules without which it cannot run."""
    environment: Mapping[str, str] = field(default_factory=dict)
    ours: bool = False
    most_ids: int | None = None
    """More are not tried, because the cost grows faster than the IDs or nobody would."""
