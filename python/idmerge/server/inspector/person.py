"""The page of one person, found by any of the IDs: activity, profile, IDs, and what was refused."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from idmerge._formatting import counted, full, utc
from idmerge.errors import UnknownIdError
from idmerge.pages.graph import roles_of
from idmerge.pages.parts import share_bar
from idmerge.pages.rules import RULES
from idmerge.policy import DEVICE_PREFIX
from idmerge.server.inspector.acting import person_acts
from idmerge.server.inspector.activity import Linked, feed_parts, values_list
from idmerge.server.inspector.frame import framed, see_other
from idmerge.server.inspector.ids import ids_parts
from idmerge.server.inspector.markup import facts, id_link, id_text, link, section, table, url
from idmerge.server.inspector.moments import moment_of, time_html, zone_of
from idmerge.server.inspector.people import person_of
from idmerge.server.inspector.picture import picture_parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from idmerge.recorded import RecordedLink
    from idmerge.server.http.answers import Answer
    from idmerge.server.inspector.feed import Feed
    from idmerge.server.inspector.people import Person
    from idmerge.server.inspector.visits import Visit

NEAR = 0.9
"""The share of the limit from which on a person is near it (SPEC 2)."""
MOST_REFUSED = 200
"""Refused links of a person that a page lists, the newest."""
MOST_HIDDEN = 20
"""Hidden profiles that a page shows."""


_PARTS = "".join(
    (
        '<nav aria-label="Parts of this page"><ul class="parts">',
        *(
            f'<li><a href="#{name}">{label}</a></li>'
            for name, label in (
                ("feed", "Activity"),
                ("profile", "Profile"),
                ("ids", "IDs"),
                ("refused", "Refused links"),
                ("acts", "Questions and acts"),
            )
        ),
        "</ul></nav>",
    )
)


def page(visit: Visit) -> Answer:
    """Return the page of the person who has the ID of the URL."""
    distinct_id = visit.query.get("id", "")
    if not distinct_id:
        return see_other("/")
    try:
        with visit.subject.still() as resolver:
            person = person_of(resolver, distinct_id)
    except UnknownIdError:
        return _unknown(visit, distinct_id)
    built = {(one.kind, one.first, one.second): one for one in person.links}
    linked = Linked(resolver.policy.api, built, resolver.same)
    feed, activity = feed_parts(visit, person.members, linked)
    main = _main(visit, distinct_id, person, feed, activity)
    return framed(visit, full(person.canonical), main, heading=id_text(person.canonical))


def _main(
    visit: Visit, distinct_id: str, person: Person, feed: Feed | None, activity: Sequence[str]
) -> Iterator[str]:
    yield from _summary(visit, distinct_id, person, feed)
    aside = [*_profile(visit, distinct_id), *picture_parts(distinct_id, person)]
    if activity:
        yield _PARTS
        yield '<div class="beside"><div>'
        yield from activity
        yield '</div><div class="aside">'
        yield from aside
        yield "</div></div>"
    else:
        yield from aside
    refused = _refused_links(visit, person)
    roles = roles_of(person.links, refused)
    yield from ids_parts(visit, person, roles, None if feed is None else feed.seen)
    yield from _refused(visit, refused)
    yield from person_acts(visit, distinct_id)


def _summary(visit: Visit, distinct_id: str, person: Person, feed: Feed | None) -> Iterator[str]:
    zone = zone_of(visit.subject.timezone)
    known: list[tuple[str, str]] = []
    if distinct_id != person.canonical:
        known.append(("found by", id_text(distinct_id)))
    known.append(("IDs", _near(person)))
    if feed is not None:
        known.append(("events", f"{feed.all:,}"))
        if feed.seen:
            first = min(first for first, _ in feed.seen.values())
            last = max(last for _, last in feed.seen.values())
            known.append(("first seen", time_html(moment_of(first, zone))))
            known.append(("last seen", time_html(moment_of(last, zone))))
    known.append(("as of position", f"{person.position:,}"))
    yield from facts(known)


def _near(person: Person) -> str:
    """Return how many IDs the person has, and how near to the limit that is."""
    if person.limit is None:
        return f"{person.size:,}, without a limit"
    share = min(1.0, person.size / person.limit)
    kind = "warning" if share >= NEAR else "note"
    text = f"{person.size:,} of {person.limit:,}"
    left = max(0, person.limit - person.size)
    more = (
        f" <small>{counted(left, 'more ID', 'more IDs')} until links are refused</small>"
        if share >= NEAR
        else ""
    )
    return f'<span class="near {kind}">{text}{share_bar(share)}</span>{more}'


def _profile(visit: Visit, distinct_id: str) -> Iterator[str]:
    profiles = visit.subject.profiles()
    if profiles is None:
        return
    shown, behind = profiles.get(distinct_id), profiles.hidden(distinct_id)
    yield from section("Profile", _profiles(shown, behind), name="profile")


def _profiles(shown: dict[str, object] | None, behind: dict[str, dict[str, object]]) -> Iterator[str]:
    if shown is None:
        yield '<p class="empty">No profile.</p>'
    else:
        yield from values_list(sorted(shown.items()))
    for number, (distinct_id, profile) in enumerate(behind.items()):
        if number == MOST_HIDDEN:
            yield f'<p class="soft">{counted(len(behind) - number, "more hidden profile")}</p>'
            return
        yield f"<details><summary>Hidden: the profile of {id_text(distinct_id)}</summary>"
        yield from values_list(sorted(profile.items()))
        yield "</details>"


def _refused_links(visit: Visit, person: Person) -> list[RecordedLink]:
    overview = visit.subject.overview
    overview.read_on(visit.subject.resolver())
    return overview.refused_of(person.members)


def _refused(visit: Visit, links: Sequence[RecordedLink]) -> Iterator[str]:
    resolver = visit.subject.resolver()
    seen = visit.subject.overview.read_on(resolver, 0.0)
    position = "" if seen.is_whole else f"as of position {seen.position:,}; load the page again for more"

    def rows() -> Iterator[list[str]]:
        for one in reversed(links[-MOST_REFUSED:]):
            ends = [end if end is None or end in resolver else None for end in (one.first, one.second)]
            is_together = None not in ends and resolver.same(ends[0] or "", ends[1] or "")
            now = ' <span class="soft">They are together now.</span>' if is_together else ""
            code = one.outcome.failure_reason
            reason = f" <code>{escape(code)}</code>" if code else ""
            yield [
                f"{one.position:,}",
                escape(utc(one.time)),
                one.kind.name.lower(),
                id_link(ends[0]),
                id_link(ends[1]),
                f"<b>{one.outcome.name}</b>: {escape(RULES[one.outcome])}{reason}{now}",
            ]

    def content() -> Iterator[str]:
        if not links:
            yield '<p class="empty">No link that names one of these IDs was refused.</p>'
            return
        if len(links) > MOST_REFUSED:
            yield f'<p class="soft">The newest {MOST_REFUSED:,} of {len(links):,}.</p>'
        headings = ["position", "committed (UTC)", "kind", "first ID", "second ID", "why it was refused"]
        yield from table("Refused links", headings, rows())

    yield from section("Refused", content(), name="refused", note=position)


def _unknown(visit: Visit, distinct_id: str) -> Answer:
    """Return a page for an ID that nobody has, with IDs that are spelt nearly so."""
    stripped = distinct_id.strip()
    device = DEVICE_PREFIX + stripped
    variants = [stripped, stripped.lower(), stripped.upper(), device, stripped.removeprefix(DEVICE_PREFIX)]
    resolver = visit.subject.resolver()
    close = [one for one in dict.fromkeys(variants) if one != distinct_id and one in resolver]
    lines = [f"<p>No event and no link has named {id_text(distinct_id)}. IDs count as they are written.</p>"]
    if close:
        lines.append("<p>Spelt nearly so:</p><ul>")
        lines += [f"<li>{id_link(one)}</li>" for one in close]
        lines.append("</ul>")
    lines.append(f"<p>{link(url(''), 'To the start page')}</p>")
    return framed(visit, "Nobody has this ID", lines, status=404)
