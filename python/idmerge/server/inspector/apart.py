"""The page that keeps two IDs apart: whether that can be done, and that it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idmerge._formatting import counted
from idmerge.errors import KeptApartError
from idmerge.server.acts import check_pair
from idmerge.server.inspector.acting import known_statements, statement_table
from idmerge.server.inspector.frame import framed, see_other
from idmerge.server.inspector.markup import changing_form, id_link, id_text, link, section, url
from idmerge.server.inspector.why import chain_picture, two_ids

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from idmerge.journal import DurableResolver
    from idmerge.recorded import RecordedLink, Statement
    from idmerge.server.http.answers import Answer
    from idmerge.server.inspector.visits import Visit


def page(visit: Visit) -> Answer:
    """Return what it means to keep the IDs ``a`` and ``b`` apart, or a form that asks for them."""
    a, b = visit.query.get("a", ""), visit.query.get("b", "")
    if not a or not b:
        return framed(visit, "Keep two IDs apart", two_ids("apart", a, b, ("a", "b"), "Go on"))
    with visit.subject.still() as resolver:
        check_pair(resolver, a, b)
        unknown = [text for text in (a, b) if text not in resolver]
        chain = None if unknown else resolver.explain(a, b)
        kept = _kept(resolver, a, b)
        sizes = [1 if text in unknown else len(resolver.members(text)) for text in (a, b)]
    if kept:
        return framed(visit, "Kept apart", _is_done(visit, a, b, kept, is_new="done" in visit.query))
    if chain is not None:
        return framed(visit, "These two are one person", _together(visit, a, b, chain), status=409)
    return framed(visit, "Keep two IDs apart", _question(visit, a, b, sizes, unknown))


def done(visit: Visit) -> Answer:
    """Keep the IDs ``a`` and ``b`` apart."""
    a, b = visit.form.get("a", ""), visit.form.get("b", "")
    with visit.subject.still() as resolver:
        is_done = bool(_kept(resolver, a, b))
    if not is_done:
        try:
            visit.subject.keep_apart(a, b)
        except KeptApartError:  # They were joined meanwhile: the page says by what.
            return see_other(url("apart", a=a, b=b))
    return see_other(url("apart", a=a, b=b, done=1))


def _kept(resolver: DurableResolver, a: str, b: str) -> list[Statement]:
    """Return the statements that keep exactly these two IDs apart."""
    if a not in resolver or b not in resolver:
        return []
    found = known_statements(resolver, a, b)
    return [
        one
        for one in found
        if one.kind is None and not one.is_taken_back and {one.first, one.second} == {a, b}
    ]


def _question(visit: Visit, a: str, b: str, sizes: Sequence[int], unknown: Sequence[str]) -> Iterator[str]:
    for text, size in zip((a, b), sizes, strict=True):
        if text in unknown:
            yield f'<p class="lead">{id_text(text)} is not known yet, and becomes known.</p>'
        else:
            others = "alone" if size == 1 else f"with {counted(size - 1, 'other ID')}"
            yield f'<p class="lead">{id_link(text)} is one person, {others}.</p>'
    yield (
        '<p class="lead">From then on no link brings these two people together: it is refused as '
        "<code>KEPT_APART</code>. No canonical ID changes, and it can be taken back.</p>"
    )
    if visit.may_change:
        content = ['<div class="buttons"><button>Keep them apart</button>', _back(a), "</div>"]
        yield from changing_form(visit, "apart", content, a=a, b=b)


def _together(visit: Visit, a: str, b: str, chain: Sequence[RecordedLink]) -> Iterator[str]:
    yield (
        '<p role="alert" class="wrong">They are together, and cannot be kept apart unless what joined them '
        "is taken back first.</p>"
    )
    yield from section("What joined them", chain_picture(visit, a, chain), name="chain")
    yield f'<p class="buttons">{link(url("why", id=a, other=b), "More on why")} {_back(a)}</p>'


def _is_done(visit: Visit, a: str, b: str, kept: Sequence[Statement], *, is_new: bool) -> Iterator[str]:
    if is_new:
        yield f'<p role="status" class="done">Done: {id_text(a)} and {id_text(b)} are kept apart.</p>'
    yield from statement_table(visit, "Kept apart", kept)
    way = link(url("why", id=a, other=b), "What else stands between them")
    yield f'<p class="buttons">{way} {_back(a)}</p>'


def _back(distinct_id: str) -> str:
    return link(url("person", id=distinct_id), "To the person")
