"""Notes in a summary on rejected links, on IDs that are none, and on runs that read nothing.

A rejected link is judged by the first check that applies (SPEC 2). So a note names the switch with
which links pass *this check*; what the later checks say of them is not known.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from idmerge import Outcome
from idmerge._formatting import counted, printable
from idmerge.cli.messages import tell_note
from idmerge.files import odd_ids_in_words
from idmerge.pages.rules import RULES
from idmerge.policy import ANON_FORMATS, can_be_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from idmerge import Policy, Report
    from idmerge.files import JudgedLink, Piece, Sample

MOST_LOOKED_AT = 10_000
"""Rejected links of an outcome that are looked at one by one; of more, no part is counted."""
FORMATS = ("uuid4", "mixpanel", "sdk", "any")
"""Anonymous formats, each of which the next one includes."""
NO_LINK = "no event states a link, so each ID is a person of its own"
NOTHING = "nothing was read: there is neither an event nor a link"
LENGTH = "--max-id-length none"


class RejectedLinks:
    """Counts the links of one run by outcome, and the rejected ones by the option they need."""

    def __init__(self, policy: Policy, *, in_journal: bool = False) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        self._policy = policy
        self._any_length = replace(policy, max_id_length=None)
        self._in_journal = in_journal
        self._looked_at: Counter[Outcome] = Counter()
        self._passing: Counter[str] = Counter()
        """Links that were looked at, by the option with which they pass the check."""
        self._odd_ids = 0
        """Ordinary events whose value for an ID can be none."""
        self._first_odd_id = ""
        """The first of them, as ``file:line``."""
        self._events = 0
        self._has_ids = False
        """Whether some event has a value as its ID, or states a link."""

    def take(self, piece: Piece, report: Report | None) -> None:
        """Count the odd IDs of one ``piece``, and its links, on which the ``report`` is."""
        self._take_ids(piece)
        if report is None:
            return
        counts = report.counts
        self.outcomes.update(counts)
        for outcome in (Outcome.ANON_FORMAT, Outcome.INVALID_ID):
            room = MOST_LOOKED_AT - self._looked_at[outcome]
            if room <= 0 or not counts.get(outcome):
                continue
            rows = np.flatnonzero(report.outcomes == outcome)[:room].tolist()
            for link in piece.judged(report, rows):
                self._passing.update(self._options(link))
                self._looked_at[outcome] += 1

    def _take_ids(self, piece: Piece) -> None:
        lines = piece.odd_ids()
        if lines and not self._odd_ids:
            self._first_odd_id = f"{piece.path}:{lines[0]}"
        self._odd_ids += len(lines)
        self._events += len(piece)
        self._has_ids = self._has_ids or piece.has_ids()

    def _options(self, link: JudgedLink) -> Iterator[str]:
        """Yield the options with each of which ``link`` passes the check that rejected it."""
        operands = [text for text in (link.first, link.second) if text is not None]
        if link.outcome is Outcome.INVALID_ID:
            if all(can_be_id(text, self._any_length) for text in operands):
                yield LENGTH
            return
        for name in FORMATS:
            if re.fullmatch(ANON_FORMATS[name], operands[0]):
                yield f"--anon-format {name}"

    def notes(self, sample: Sample, *, events: int, told_empty: bool = False) -> Iterator[str]:
        """Yield the notes on a run that read so many ``events``, links in columns among them.

        A ``sample`` with signs of Simplified ID Merge has a note of its own on events without
        links. ``told_empty`` says that the files without an event have been named already.
        """
        total = self.outcomes.total()
        if not total:
            if events and not sample.is_simplified and self._odd_ids < self._events and self._has_ids:
                yield NO_LINK
            elif not events and not told_empty:
                yield NOTHING
            return
        yield from self._none_accepted(total)
        for outcome, option, count in self._advice():
            links, were = counted(count, "link"), "was" if count == 1 else "were"
            they = "it" if count == 1 else "they"
            where = " in a new journal" if self._in_journal else ""
            yield f"{links} {were} {outcome}: with {option}{where} {they} would pass this check"

    def _none_accepted(self, total: int) -> Iterator[str]:
        """Yield the note on a run of which no link was accepted, with the main reason."""
        if any(outcome.accepted for outcome in self.outcomes):
            return
        ((main, count),) = self.outcomes.most_common(1)
        links = f"{counted(total, 'link')} was" if total == 1 else f"{total:,} links were"
        part = "" if count == total else f"{count:,} of them "
        yield f"no link was accepted: {links} rejected, {part}as {main.name}: {RULES[main]}"

    def _advice(self) -> Iterator[tuple[str, str, int]]:
        """Yield the outcomes that an option avoids, the option, and the number of links."""
        if count := self.outcomes[Outcome.ANON_FORMAT]:
            is_whole = self._looked_at[Outcome.ANON_FORMAT] == count
            options = [f"--anon-format {name}" for name in FORMATS]
            narrow = (option for option in options if is_whole and self._passing[option] == count)
            yield "ANON_FORMAT", next(narrow, options[-1]), count
        if count := self.outcomes[Outcome.ALIAS_TAKEN]:
            yield "ALIAS_TAKEN", "--no-alias-once", count
        if count := self.outcomes[Outcome.TOO_MANY_IDS]:
            yield "TOO_MANY_IDS", "--max-cluster-size none", count
        if count := self.outcomes[Outcome.REFUSED_BEFORE]:
            yield "REFUSED_BEFORE", "--verdicts ignore", count
        is_whole = self._looked_at[Outcome.INVALID_ID] == self.outcomes[Outcome.INVALID_ID]
        if is_whole and (count := self._passing[LENGTH]):
            yield "INVALID_ID for a length alone", LENGTH, count

    def tell(self, sample: Sample, *, events: int, told_empty: bool = False) -> None:
        """Print the notes to standard error."""
        self.tell_ids(sample)
        for note in self.notes(sample, events=events, told_empty=told_empty):
            tell_note(note)

    def tell_ids(self, sample: Sample) -> None:
        """Print the notes on IDs that are none, and on events of which none has an ID."""
        if self._odd_ids:
            first = "" if self._odd_ids == 1 else "the first in "
            tell_note(f"{odd_ids_in_words(self._odd_ids)}: {first}{self._first_odd_id}")
        elif self._events and not self._has_ids:
            tell_note(without_ids(self._events, sample))


def without_ids(events: int, sample: Sample) -> str:
    """Return the note on so many ``events`` of which none has an ID."""
    if events == 1:
        what, place = "the only event has no ID", f": {sample.first}"
    else:
        what, place = f"none of {events:,} events has an ID", f"; the first is {sample.first}"
    likely = sample.likely_id
    given = shlex.quote(f"distinct_id={likely}")
    option = f"; if it is in {printable(likely)}: --column {given}" if likely else ""
    return f"{what} (distinct_id){place if sample.first else ''}{option}"
