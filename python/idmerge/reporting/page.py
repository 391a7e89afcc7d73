"""A report as an HTML page; `idmerge.pages` has its look."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from idmerge._formatting import cut, printable
from idmerge.doctor import page as check_up_page
from idmerge.pages.document import document
from idmerge.pages.parts import isolated
from idmerge.questions.columns import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from idmerge.doctor import Diagnosis
    from idmerge.reporting.guessing import Guess
    from idmerge.reporting.headlines import Headline
    from idmerge.reporting.sections import Section

TITLE = "Identity report"
STITCHED = "Stitched events were judged before; a check-up needs the raw ones."


def html(sections: Sequence[Section], check_up: Diagnosis | None, method: Sequence[tuple[str, str]]) -> str:
    """Return a report as HTML."""
    header = [f"<p class=sources>{isolated(method[0][1])}</p>"]
    if check_up is not None:
        header.append(f"<p class=verdict>{check_up_page.verdict(check_up.findings)}</p>")
    return "\n".join(document(TITLE, _main(sections, check_up, method), header=header)) + "\n"


def _main(
    sections: Sequence[Section], check_up: Diagnosis | None, method: Sequence[tuple[str, str]]
) -> Iterator[str]:
    yield '<section class="headlines">'
    for section in sections:
        yield from _headline(section.headline)
    yield "</section>"
    for section in sections:
        yield from _section(section)
    yield "<h2>What is wrong with identity?</h2>"
    if check_up is None:
        yield f"<p>{escape(STITCHED)}</p>"
    else:
        yield from check_up_page.main(check_up.overview, check_up.findings, check_up.not_looked_for)
    yield '<section class="missing method">'
    yield "<h2>How this was computed</h2>"
    yield "<dl>"
    for label, text in method:
        yield f"<dt>{escape(label)}</dt><dd>{_shown(text)}</dd>"
    yield "</dl>"
    yield "</section>"


def _headline(headline: Headline) -> Iterator[str]:
    yield '<div class="headline">'
    yield f"<span>{escape(headline.label)}</span>"
    if headline.number:
        without = headline.unstitched or "-"
        yield f"<b>{escape(headline.number)}</b><small>{escape(without)} without stitching</small>"
    yield f"<p>{_shown(headline.sentence)}</p>"
    yield "</div>"


def _section(section: Section) -> Iterator[str]:
    yield f'<section class="question" id="{escape(section.name)}">'
    yield f"<h2>{escape(section.question)}</h2>"
    answer, headline = section.answer, section.headline
    if answer is None:
        yield f"<p>{_shown(headline.sentence)}</p>"
    else:
        yield f"<p><b>{_shown(headline.sentence)}</b></p>"
        yield f'<p class="facts">{_shown(answer.about)}</p>'
        guessed = "; ".join(_guessed(guess) for guess in section.guesses if not guess.is_given)
        if guessed:
            yield f'<p class="facts">Guessed: {guessed}</p>'
        yield from answer.page()
    yield "</section>"


def _guessed(guess: Guess) -> str:
    value = "none" if guess.value is None else quoted(guess.value)
    option, _, rest = guess.way_out.partition(" ")
    return f"{escape(guess.label)} {_shown(f'{value}: {guess.reason}')} (<code>{option}</code> {rest})"


def _shown(text: str) -> str:
    """Return a text with names of events in it as HTML."""
    return f"<bdi>{escape(cut(printable(text)))}</bdi>"
