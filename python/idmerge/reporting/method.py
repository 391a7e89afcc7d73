"""The account of how a report was computed."""

from __future__ import annotations

import sys
from dataclasses import fields
from importlib import metadata
from typing import TYPE_CHECKING

from idmerge._formatting import counted
from idmerge.policy import PRESETS
from idmerge.questions.columns import quoted
from idmerge.questions.lengths import length_of
from idmerge.questions.sql import in_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from idmerge.reporting.guessing import Guess
    from idmerge.reporting.options import ReportOptions
    from idmerge.reporting.sections import Reading

MOST_SOURCES = 20
"""Files that are named."""


def method_of(
    reading: Reading, guesses: Sequence[Guess], options: ReportOptions
) -> Iterator[tuple[str, str]]:
    """Yield labels, and what stands behind each."""
    yield "read", _sources(reading)
    yield "events", _events(reading)
    if reading.ids is not None and reading.clusters is not None:
        yield "IDs", f"{reading.ids:,} in {counted(reading.clusters, 'cluster')}"
    yield "links", _links(reading)
    if reading.policy is not None:
        yield "rules", _rules(reading)
        yield "canonical ID", reading.canonical
    for guess in guesses:
        value = "none" if guess.value is None else quoted(guess.value)
        yield guess.label, f"{value}: {guess.reason}"
    yield "conversion", f"a sign-up within {in_words(length_of(options.within))} after the content event"
    yield "attribution", options.model
    yield "events that count", _limits(options)
    versions = [f"{name} {metadata.version(name)}" for name in ("idmerge", "duckdb")]
    yield "versions", ", ".join([*versions, f"Python {_python()}"])


def _sources(reading: Reading) -> str:
    shown = ", ".join(reading.sources[:MOST_SOURCES])
    more = len(reading.sources) - MOST_SOURCES
    return f"{shown} and {counted(more, 'more file')}" if more > 0 else shown


def _events(reading: Reading) -> str:
    said = [f"{reading.events:,}"]
    if reading.malformed:
        said.append(f"{counted(reading.malformed, 'malformed line')} passed over")
    if reading.dialects:
        said.append(f"read as {', '.join(reading.dialects)}")
    if reading.times_in is not None:
        said.append(f"times that name no zone are in {reading.times_in}")
    return "; ".join(said)


def _links(reading: Reading) -> str:
    if reading.policy is None:
        return "the events were stitched before"
    if not reading.is_applied:
        return "those of a resolver that was given"
    counts = [f"{count:,} {outcome.name}" for outcome, count in sorted(reading.outcomes.items()) if count]
    return ", ".join(counts) or "none"


def _rules(reading: Reading) -> str:
    """Return the API, and the switches that differ from its preset."""
    policy = reading.policy
    assert policy is not None  # noqa: S101 - asked before
    preset = PRESETS[policy.api]
    names = [field.name for field in fields(policy)]
    changed = [name for name in names if getattr(policy, name) != getattr(preset, name)]
    said = [
        f"{name} {counted(len(policy.blocked_ids), 'ID')}"
        if name == "blocked_ids"
        else f"{name} {getattr(policy, name)}"
        for name in changed
    ]
    return ", ".join([f"the {policy.api} API", *said])


def _limits(options: ReportOptions) -> str:
    limits = [f"from {options.from_date}"] if options.from_date is not None else []
    limits += [f"to {options.to_date}"] if options.to_date is not None else []
    limits += [f"where {options.where}"] if options.where is not None else []
    return f"{', '.join(limits) or 'all'}; days of {options.timezone}; the check-up is of all events"


def _python() -> str:
    return ".".join(map(str, sys.version_info[:3]))
