"""Answers in a sentence, with the number that stitching changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from idmerge.questions.columns import UNSTITCHED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from idmerge.questions import Answer
    from idmerge.reporting.guessing import Guess

Numbers = tuple[float | None, float | None]
"""A share with stitching and without."""


class Headline(NamedTuple):
    """An answer in a sentence.

    Examples:
        >>> from idmerge.reporting import Headline
        >>> headline = Headline("Visitors who sign up", "51.3%", "36.1%", "…", is_answered=True)
        >>> headline.number, headline.unstitched
        ('51.3%', '36.1%')
    """

    label: str
    """What the number is."""
    number: str
    """A share with stitching; empty if there is none."""
    unstitched: str
    """The same without stitching."""
    sentence: str
    is_answered: bool


def headline_of(name: str, question: str, answer: Answer | None, guesses: Iterable[Guess]) -> Headline:
    """Return the headline of a question, of ``guesses`` if a name is missing."""
    if answer is None:
        missing = [guess for guess in guesses if guess.value is None]
        why = "; ".join(f"{guess.reason} ({guess.way_out})" for guess in missing)
        return Headline(question, "", "", f"Not answered: {why}", is_answered=False)
    label, share = NUMBERS[name]
    stitched, unstitched = (_percent(value) for value in share([*answer]))
    return Headline(label, stitched, unstitched, answer.finding, is_answered=True)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _signups(rows: Sequence[dict[str, Any]]) -> Numbers:
    return (rows[0]["rate"], rows[0][f"rate{UNSTITCHED}"]) if rows else (None, None)


def _with_campaign(rows: Sequence[dict[str, Any]]) -> Numbers:
    """Return the share of the revenue that came from any campaign, unless refunds hide it."""
    if len({row.get("currency") for row in rows}) > 1:
        return None, None
    shares: list[float | None] = []
    for column in ("revenue", f"revenue{UNSTITCHED}"):
        total = sum(row[column] or 0 for row in rows)
        none = sum(row[column] or 0 for row in rows if row["campaign"] is None and row.get("others") is None)
        is_told = total > 0 and all((row[column] or 0) >= 0 for row in rows)
        shares.append((total - none) / total if is_told else None)
    return shares[0], shares[1]


def _of_best(rows: Sequence[dict[str, Any]]) -> Numbers:
    """Return the rate of the value that leads most persons to the goal."""
    best = max(
        (row for row in rows if row["value"] is not None), key=lambda row: row["converted"], default=None
    )
    return (None, None) if best is None else (best["rate"], best[f"rate{UNSTITCHED}"])


NUMBERS = {
    "signup_rate": ("Visitors who sign up", _signups),
    "attribution": ("Revenue with a campaign", _with_campaign),
    "conversion": ("Sign-ups after the best content", _of_best),
}
"""The number of each question: its label, and how it follows from the rows."""
