"""The parts of a report: a question with its answer, and what was read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from idmerge.reporting.headlines import Headline, headline_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idmerge.outcome import Outcome
    from idmerge.policy import Policy
    from idmerge.questions import Answer
    from idmerge.reporting.guessing import Guess


class Section(NamedTuple):
    """A question, and its answer or what it lacks.

    Examples:
        >>> import idmerge
        >>> section = idmerge.report("examples/shop.ndjson").sections[0]
        >>> section.name, section.question
        ('signup_rate', 'Which share of visitors signs up?')
        >>> section.headline.number, section.headline.unstitched
        ('51.3%', '36.1%')
    """

    name: str
    question: str
    guesses: tuple[Guess, ...]
    """The names that it needs."""
    answer: Answer | None
    """None if one of these is missing."""

    @property
    def headline(self) -> Headline:
        """The answer in a sentence with its numbers, or what is missing."""
        return headline_of(self.name, self.question, self.answer, self.guesses)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What was read for a report, and by which rules.

    Examples:
        >>> import idmerge
        >>> reading = idmerge.report("examples/shop.ndjson").reading
        >>> reading.sources, reading.events, reading.ids, reading.clusters
        (('examples/shop.ndjson',), 600, 158, 76)
    """

    sources: tuple[str, ...]
    events: int
    malformed: int = 0
    """Lines that were passed over."""
    ids: int | None = None
    """None if the events were stitched before, as all that follows."""
    clusters: int | None = None
    outcomes: Mapping[Outcome, int] = field(default_factory=dict)
    """The links in the events by outcome."""
    dialects: tuple[str, ...] = ()
    """The dialects of the files, in words."""
    policy: Policy | None = None
    canonical: str = ""
    """The canonical strategy."""
    is_applied: bool = True
    """Whether the links in the events count; else those of a resolver that was given."""
    times_in: str | None = None
    """The zone of times that name none."""
