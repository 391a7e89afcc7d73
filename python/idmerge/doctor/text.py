"""A diagnosis as text for a terminal."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from idmerge._formatting import beginning, counted, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from idmerge.doctor.findings import Example, Finding, NotLookedFor, Overview, Severity

    Styled = Callable[[str, Severity], str]
    """Returns the word of a severity as it is shown."""

WIDTH = 100
INDENT = " " * 12


def unstyled(word: str, _severity: Severity) -> str:
    """Return the word of a severity as it is."""
    return word


def lines(
    overview: Overview,
    findings: Sequence[Finding],
    not_looked_for: Sequence[NotLookedFor],
    *,
    width: int,
    styled: Styled,
) -> Iterator[str]:
    """Yield the lines of a diagnosis, whose sentences are wrapped at ``width``."""
    yield from _overview(overview)
    if not findings:
        yield ""
        yield healthy(overview)
    for finding in findings:
        yield ""
        yield from _finding(finding, width, styled)
    if not_looked_for:
        yield ""
        yield "not looked for"
        for missing in not_looked_for:
            yield f"  {missing.code}: {printable(missing.reason)}"


def healthy(overview: Overview) -> str:
    """Return the sentence in place of findings if there are none."""
    if overview.links:
        return "Nothing is wrong here: every link holds, and every ID looks as it should."
    return "Nothing is wrong here, but no link was seen either: nobody was identified."


def touched(finding: Finding) -> str:
    """Return the number of events that a finding touches, and their share.

    The text is empty if no events were read.
    """
    if finding.events is None or finding.share is None:
        return ""
    return f"{counted(finding.events, 'event')} touched ({percent(finding.share)})"


def percent(share: float) -> str:
    """Return a share as a percentage; only 0 itself reads as 0 %."""
    return "under 0.1 %" if 0 < share < 0.001 else f"{share:.1%}".replace("%", " %")  # noqa: PLR2004


def _overview(overview: Overview) -> Iterator[str]:
    yield f"{'read':<12}{', '.join(printable(source) for source in overview.sources)}"
    if overview.events is not None:
        yield f"{'events':<12}{overview.events:,}"
    yield f"{'IDs':<12}{overview.ids:,} in {counted(overview.clusters, 'cluster')}"
    yield f"{'links':<12}{overview.links:,}, of which {overview.rejected:,} rejected"
    for outcome, count in overview.outcomes.items():
        yield f"{INDENT}{count:>9,}  {outcome}"


def _finding(finding: Finding, width: int, styled: Styled) -> Iterator[str]:
    yield f"{styled(f'{finding.severity.name:<8}', finding.severity)}{finding.code}"
    yield from _wrapped("  ", finding.title, width)
    facts = [touched(finding), counted(finding.links, "link") if finding.links else ""]
    if any(facts):
        yield f"  {', '.join(filter(None, facts))}"
    for example in finding.examples:
        yield f"    {_example(example)}"
    yield from _wrapped("  change: ", finding.change, width)


def _example(example: Example) -> str:
    """Return an example on one line: its place, its IDs, and what is wrong."""
    place = None if example.place is None else printable(example.place)
    ids = "  ".join(map(beginning, example.ids))
    return "  ".join(filter(None, [place, ids, f"({example.note})" if example.note else ""]))


def _wrapped(begin: str, text: str, width: int) -> list[str]:
    hang = " " * len(begin)
    return textwrap.wrap(text, width, initial_indent=begin, subsequent_indent=hang, break_on_hyphens=False)
