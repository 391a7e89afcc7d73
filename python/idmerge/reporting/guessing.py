"""Guesses of the names that a report needs, each with its reason."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from idmerge._formatting import counted
from idmerge.questions.campaigns import MOST_CURRENCIES
from idmerge.questions.columns import quoted
from idmerge.reporting.counting import counts
from idmerge.reporting.options import NAMES, NAMES_OF_EVENTS, ReportOptions
from idmerge.reporting.vocabulary import (
    AMOUNTS,
    CALLS,
    CAMPAIGNS,
    CONTENTS,
    CURRENCIES,
    NO_PURCHASES,
    NO_SIGNUPS,
    PAGES,
    PAID,
    POSTS,
    PURCHASES,
    SIGNUPS,
    plain,
    rank,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from idmerge.files.dialects import Dialect
    from idmerge.questions.source import Events
    from idmerge.reporting.counting import Counted, Counts

HALF, NEARLY_ALL = 0.5, 0.95
"""Shares of events from which on a property is theirs, and a number."""
FEWEST_KNOWN, LEAST_KNOWN = 0.2, 10
"""The share and the number of persons who became known just when they did an event, for it to be
the sign-up."""
NAMES_OF_PROPERTIES = tuple(name for name in NAMES if name not in NAMES_OF_EVENTS)
LABELS = {
    "signup": "sign-up",
    "purchase": "purchase",
    "amount": "amount",
    "currency": "currency",
    "campaign": "campaign",
    "content_event": "content event",
    "content": "content",
}
"""The names in words."""


@dataclass(frozen=True, kw_only=True)
class Guess:
    """A name that was guessed or given, or is missing.

    Examples:
        >>> from idmerge.reporting import Guess
        >>> guess = Guess(name="signup", value="Sign Up", reason="by its name")
        >>> guess.option, guess.label, str(guess)
        ('--signup', 'sign-up', 'sign-up "Sign Up": by its name (--signup names another)')
        >>> guess.way_out, guess.to_dict()["value"]
        ('--signup names another', 'Sign Up')
    """

    name: str
    """The option of `ReportOptions` that it is for."""
    value: str | None
    """The event or property; None if nothing looks like one."""
    reason: str
    """Why it is taken, or why none is."""
    is_given: bool = False

    @property
    def option(self) -> str:
        """The option of the command line that gives it."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def label(self) -> str:
        """What it names, in words."""
        return LABELS[self.name]

    @property
    def way_out(self) -> str:
        """How to give another name, if this was no caller's choice."""
        if self.is_given:
            return ""
        return f"{self.option} names {'one' if self.value is None else 'another'}"

    def to_dict(self) -> dict[str, Any]:
        """Return a dict for `json.dumps`: ``name``, ``value``, ``reason`` and ``is_given``."""
        return asdict(self)

    def __str__(self) -> str:
        """Return it in a line."""
        value = "none" if self.value is None else quoted(self.value)
        said = f"{self.label} {value}: {self.reason}"
        return f"{said} ({self.way_out})" if self.way_out else said


def guesses_of(
    events: Events,
    options: ReportOptions,
    *,
    dialect: str | Dialect | None = None,
    columns: Mapping[str, str] | None = None,
) -> tuple[tuple[Guess, ...], ReportOptions, int]:
    """Return guesses of the names that ``options`` lack in files of stitched events.

    Behind the guesses come the options with the names, and the number of events.

    Raises what `idmerge.questions.Question.ask` raises.
    """
    acts, properties = (
        [options.named[name] for name in names if name in options.named]
        for names in (NAMES_OF_EVENTS, NAMES_OF_PROPERTIES)
    )
    with counts(events, acts, properties, dialect=dialect, columns=columns) as known:
        found = {each.name: each for each in _Guessing(known, options).all()}
        content_event = found["content_event"]
        if content_event.value is not None and content_event.value == found["signup"].value:
            reason = f"{quoted(content_event.value)} is the sign-up itself"
            found["content_event"] = Guess(name="content_event", value=None, reason=reason)
        by_path = options.by_path
        if by_path is None:
            content = found["content"]
            by_path = _is_url(known, found["content_event"].value, content.value)
            if by_path:
                found["content"] = replace(content, reason=f"{content.reason}; its URLs count by their paths")
        total = known.total
    values: dict[str, Any] = {name: each.value for name, each in found.items()}
    return tuple(found[name] for name in NAMES), replace(options, **values, by_path=by_path), total


def _is_url(known: Counts, event: str | None, content: str | None) -> bool:
    """Return whether values are URLs, some of which are no bare paths."""
    of = known.of(event)
    values = None if of is None or content is None else of.values.get(content)
    return values is not None and values.urls >= NEARLY_ALL * values.filled and values.queries > 0


class _Guessing:
    """The guesses of one report."""

    def __init__(self, known: Counts, options: ReportOptions) -> None:
        self._known, self._options = known, options
        self._acts = [event for event in known.events if plain(event.name) not in CALLS]

    def all(self) -> Iterator[Guess]:
        """Yield a guess for each name."""
        yield self._given("signup") or self._signup()
        purchase, amount = self._purchase_and_amount()
        yield purchase
        yield amount
        yield self._given("currency") or self._currency(purchase.value)
        yield self._given("campaign") or self._campaign()
        yield from self._content()

    def _given(self, name: str) -> Guess | None:
        value = self._options.named.get(name)
        return None if value is None else Guess(name=name, value=value, reason="given", is_given=True)

    def _ranked(self, names: tuple[str, ...], events: Sequence[Counted] | None = None) -> list[Counted]:
        """Return the events whose names are in a list, the surest first, then the most frequent."""
        found = [
            (rank(event.name, names), event) for event in self._acts if events is None or event in events
        ]
        ranked = [(place, -event.persons, event) for place, event in found if place is not None]
        return [event for *_, event in sorted(ranked, key=lambda each: each[:2])]

    def _signup(self) -> Guess:
        found = self._ranked(SIGNUPS)
        if found:
            return Guess(name="signup", value=found[0].name, reason=_by_name(found))
        for event in self._known.where_known():
            if event.near < max(LEAST_KNOWN, FEWEST_KNOWN * event.moments):
                break
            if self._is_known_as_other(event.name):
                continue
            reason = (
                f"{event.near:,} of {counted(event.moments, 'person')} did it within a minute of becoming "
                "known by a user ID, and few do it twice"
            )
            return Guess(name="signup", value=event.name, reason=reason)
        reason = "no event is called a sign-up, and none comes with the first user ID of many persons"
        return Guess(name="signup", value=None, reason=reason)

    @staticmethod
    def _is_known_as_other(name: str) -> bool:
        """Return whether an event has the name of something else than a sign-up."""
        is_named = any(rank(name, names) is not None for names in (PURCHASES, POSTS, PAGES))
        return is_named or plain(name) in CALLS or any(part in plain(name) for part in NO_SIGNUPS)

    # Purchases

    def _purchase_and_amount(self) -> tuple[Guess, Guess]:
        purchase, amount = self._given("purchase"), self._given("amount")
        if purchase is not None:
            return purchase, amount or self._amount_of(purchase.value)
        wanted = self._options.amount
        for event in (ranked := self._ranked(PURCHASES)):
            if wanted in event.values if wanted is not None else self._amounts(event):
                found = Guess(name="purchase", value=event.name, reason=_by_name(_first(event, ranked)))
                return found, amount or self._amount_of(event.name)
        paid = self._paid(wanted)
        if paid:
            event, name = paid[0]
            others = [other.name for other, _ in paid if other is not event]
            reason = f"{_quantity(event)}, {_filled(event, name)} with a number as {quoted(name)}"
            reason += _others([*dict.fromkeys(others)])
            found = Guess(name="purchase", value=event.name, reason=reason)
            return found, amount or self._amount_of(event.name)
        if ranked:
            found = Guess(name="purchase", value=ranked[0].name, reason=_by_name(ranked))
            return found, amount or self._amount_of(ranked[0].name)
        reason = "no event is called a purchase, and none has a number as revenue"
        missing = Guess(name="purchase", value=None, reason=reason)
        return missing, amount or Guess(name="amount", value=None, reason="no purchase is known")

    def _paid(self, wanted: str | None) -> list[tuple[Counted, str]]:
        """Return the events of any name that have an amount which is paid, and that amount.

        The surest stands first.
        """
        candidates = [
            (rank(name, PAID) or 0, -values.numbers, event, name)
            for event in self._acts
            if not any(part in plain(event.name) for part in NO_PURCHASES)
            for name, values in event.values.items()
            if (name == wanted or (wanted is None and rank(name, PAID) is not None))
            and values.numbers >= max(1, HALF * event.events)
        ]
        return [(event, name) for *_, event, name in sorted(candidates, key=lambda each: each[:2])]

    @staticmethod
    def _amounts(event: Counted) -> list[str]:
        """Return the properties that are numbers and called an amount, the surest first."""
        found = [
            (place, name)
            for name, values in event.values.items()
            if (place := rank(name, AMOUNTS)) is not None
            and values.filled >= HALF * event.events
            and values.numbers >= NEARLY_ALL * values.filled
        ]
        return [name for _, name in sorted(found)]

    def _amount_of(self, purchase: str | None) -> Guess:
        event = self._known.of(purchase)
        if event is None:
            return Guess(name="amount", value=None, reason="no such purchase was seen")
        amounts = self._amounts(event)
        if not amounts:
            reason = (
                f"no property of {quoted(event.name)} is a number and called revenue, amount, total or so"
            )
            return Guess(name="amount", value=None, reason=reason)
        reason = f"by its name; a number in {_filled(event, amounts[0])}"
        return Guess(name="amount", value=amounts[0], reason=f"{reason}{_others(amounts[1:])}")

    def _currency(self, purchase: str | None) -> Guess:
        """Guess the property that tells currencies apart; none if there is one currency."""
        event = self._known.of(purchase)
        values = {} if event is None else event.values
        found = sorted((place, name) for name in values if (place := rank(name, CURRENCIES)) is not None)
        for _, name in found:
            count = values[name].distinct
            if 1 < count <= MOST_CURRENCIES:
                reason = f"{counted(count, 'value')}, whose amounts are told apart"
                return Guess(name="currency", value=name, reason=reason)
        reason = f"{quoted(found[0][1])} has one value" if found else "no property names one"
        return Guess(name="currency", value=None, reason=reason)

    # Campaigns and content

    def _campaign(self) -> Guess:
        totals: dict[str, int] = {}
        for event in (*self._acts, *self._known.rest):
            for name, values in event.values.items():
                totals[name] = totals.get(name, 0) + values.filled
        ranked = [
            (place, -totals[name], name) for name in totals if (place := rank(name, CAMPAIGNS)) is not None
        ]
        if not ranked:
            reason = "no event has a property that is called a campaign"
            return Guess(name="campaign", value=None, reason=reason)
        names = [name for *_, name in sorted(ranked)]
        reason = f"by its name; in {counted(totals[names[0]], 'event')}{_others(names[1:])}"
        return Guess(name="campaign", value=names[0], reason=reason)

    def _content(self) -> Iterator[Guess]:
        event, content = self._given("content_event"), self._given("content")
        of = None
        if event is not None:
            of = self._known.of(event.value)
        else:
            for candidate in (ranked := [*self._ranked(POSTS), *self._ranked(PAGES)]):
                if content.value in candidate.values if content is not None else _contents(candidate):
                    of = candidate
                    break
            if of is not None:
                event = Guess(name="content_event", value=of.name, reason=_by_name(_first(of, ranked)))
        if event is None:
            reason = "no event is called the reading of a post or the view of a page, and says of which"
            event = Guess(name="content_event", value=None, reason=reason)
        yield event
        if content is None and of is not None and (names := _contents(of)):
            reason = f"by its name; in {_filled(of, names[0])}{_others(names[1:])}"
            content = Guess(name="content", value=names[0], reason=reason)
        if content is None:
            what = (
                "no content event is known"
                if of is None
                else f"{quoted(of.name)} has no property that says what"
            )
            content = Guess(name="content", value=None, reason=what)
        yield content


def _contents(event: Counted) -> list[str]:
    """Return the properties of an event that say what was read or viewed, the surest first."""
    found = [
        (place, name)
        for name, values in event.values.items()
        if (place := rank(name, CONTENTS)) is not None and values.filled >= HALF * event.events
    ]
    return [name for _, name in sorted(found)]


def _quantity(event: Counted) -> str:
    return f"{counted(event.events, 'event')} of {counted(event.persons, 'person')}"


def _filled(event: Counted, name: str) -> str:
    return f"{event.values[name].filled:,} of {counted(event.events, 'event')}"


def _by_name(found: Sequence[Counted]) -> str:
    return f"by its name; {_quantity(found[0])}{_others([event.name for event in found[1:]])}"


def _first(chosen: Counted, ranked: Sequence[Counted]) -> list[Counted]:
    """Return the events with the chosen one before all others."""
    return [chosen, *(event for event in ranked if event is not chosen)]


def _others(names: Sequence[str]) -> str:
    """Return the other names that could have been taken, as the end of a reason."""
    more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
    return f"; not {quoted(names[0])}{more}" if names else ""
