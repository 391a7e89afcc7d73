"""The run of a report: stitches, guesses names, asks the three questions, and checks identity."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from idmerge._naming import named
from idmerge.doctor import examine
from idmerge.errors import FileFormatError
from idmerge.files import MIXPANEL, STDIN, BadLine, RereadableFile, check_zone, rereadable
from idmerge.files.recognition import no_matter
from idmerge.files.sorting import sorted_by_processing_time
from idmerge.files.sources import expanded
from idmerge.questions import Attribution, Conversion, Question, SignupRate, is_stitched
from idmerge.questions.scope import named_sources
from idmerge.questions.source import check_installed
from idmerge.reporting.guessing import Guess, guesses_of
from idmerge.reporting.options import ReportOptions
from idmerge.reporting.result import IdentityReport
from idmerge.reporting.sections import Reading, Section
from idmerge.resolver import Resolver
from idmerge.stitching import StitchedEvents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from idmerge.canonical import Chooser, Strategy
    from idmerge.files import Piece
    from idmerge.files.dialects import Dialect
    from idmerge.files.recognition import OnDialect
    from idmerge.outcome import Report
    from idmerge.policy import Api, Policy
    from idmerge.questions import Answer

Source = str | os.PathLike[str] | RereadableFile
Events = Source | list[Source] | tuple[Source, ...]
QUESTIONS = {
    "signup_rate": ("Which share of visitors signs up?", ("signup",)),
    "attribution": ("Which campaign brought the revenue?", ("purchase", "amount", "campaign")),
    "conversion": ("Which content leads to sign-ups?", ("content_event", "content", "signup")),
}
"""The questions of a report, and the names that each needs."""


class Guesses(NamedTuple):
    """What `guess` found.

    Examples:
        >>> from idmerge.reporting import guess
        >>> found = guess("examples/shop.ndjson")
        >>> found.names[0].value, found.options.signup, found.reading.events
        ('Sign Up', 'Sign Up', 600)
    """

    names: tuple[Guess, ...]
    options: ReportOptions
    """The options that were given, and the names that were guessed."""
    reading: Reading


class _Events(NamedTuple):
    """Stitched events, and the raw ones that they come from."""

    paths: Sequence[str]
    """Parquet of the stitched events."""
    files: Sequence[RereadableFile]
    """Files of the raw events; none if they were stitched before."""
    reading: Reading
    spelling: Mapping[str, Any]
    """The dialect and the columns of the stitched events."""
    arguments: Mapping[str, Any]
    """How the raw ones are read."""


def report(  # noqa: PLR0913 - each by its name
    events: Events,
    resolver: Resolver | None = None,
    *,
    policy: Policy | None = None,
    api: Api | None = None,
    canonical: Strategy | Chooser = "stable",
    dialect: str | Dialect | None = None,
    columns: Mapping[str, str] | None = None,
    sort: bool = False,
    times_in: str | None = None,
    on_bytes: Callable[[int], object] = lambda _count: None,
    on_piece: Callable[[Piece, Report | None], object] = lambda _piece, _report: None,
    on_dialect: OnDialect = no_matter,
    on_step: Callable[[str], object] = lambda _step: None,
    **options: Any,
) -> IdentityReport:
    """Return a report on ``events``: three questions answered, and a check-up.

    The questions are the sign-up rate, revenue by campaign, and conversion by what was read, each
    with and without stitching. Names of events and properties that no option gives are guessed.

    Raw events are read three times, or four times if they are in columns. Their stitched form is
    kept in a temporary file meanwhile.

    Args:
        events: Paths: files of raw events, or directories of them, as `idmerge.stitch` takes them;
            or Parquet of stitched ones, which has no check-up.
        resolver: A resolver that has the links already; by default those in ``events`` count.
        policy: The rules, where no resolver is given.
        api: The API whose links are taken, as for `Resolver`.
        canonical: Who names a cluster, where no resolver is given.
        dialect: The name of the dialect in which the events are; by default it is found.
        columns: The key or column of each role that has another name in the events.
        sort: Whether raw events are read in the order in which Mixpanel processed them.
        times_in: The zone of times that name none; UTC by default.
        on_bytes: Called with the number of bytes done since its last call; all bytes of raw events
            count twice, and twice more for the check-up.
        on_piece: Called with each piece and the report on its links, as by `StitchedEvents.learn`.
        on_dialect: Called with each file's name and the dialect that was read.
        on_step: Called with what comes next: ``answering``, then ``reading twice`` and
            ``examining``, if there is a check-up.
        options: Those of `ReportOptions`: ``signup="Registered"``, ``within="7d"`` and so on.

    Raises:
        ColumnError: The events have no property of a name that was given.
        DialectError: There is no such dialect or role.
        FileFormatError: A file is damaged, or some events are stitched and some are not.
        MissingExtraError: DuckDB or pyarrow is not installed.
        OSError: A file cannot be opened, or there is no room for the stitched events.
        QuestionError: No event has a name that was given.
        TypeError: ``events`` are no paths, or there is no such option.
        ValueError: A resolver is given together with options of one, or an option has no valid
            value.

    Examples:
        >>> import idmerge
        >>> report = idmerge.report("examples/shop.ndjson", content_event="Page View", within="7d")
        >>> report.options.content, report.sections[2].answer.title
        ('page', 'Persons who did "Sign Up" within 7 days after "Page View", by page')
        >>> [(guess.value, guess.reason) for guess in report.guesses[-2:]]
        [('Page View', 'given'), ('page', 'by its name; in 323 of 323 events')]
    """
    asked = ReportOptions(**options)
    known = _resolver(resolver, policy, api, canonical)
    with _stitched(
        events,
        known,
        is_applied=resolver is None,
        spelling={"dialect": dialect, "columns": columns},
        sort=sort,
        times_in=times_in,
        on_bytes=on_bytes,
        on_piece=on_piece,
        on_dialect=on_dialect,
    ) as found:
        on_step("answering")
        guesses, chosen, count = guesses_of(found.paths, asked, **found.spelling)
        sections = [*_sections(found, guesses, chosen, known.policy)]
        check_up = None
        if found.files:
            on_step("reading twice")
            check_up = examine(
                found.files,
                policy=known.policy,
                canonical=known.canonical,
                on_bytes=on_bytes,
                on_check=lambda _checks: on_step("examining"),
                **found.arguments,
            )
        return IdentityReport(
            sections=tuple(sections),
            guesses=guesses,
            options=chosen,
            check_up=check_up,
            reading=replace(found.reading, events=count),
        )


def guess(  # noqa: PLR0913 - each by its name
    events: Events,
    resolver: Resolver | None = None,
    *,
    policy: Policy | None = None,
    api: Api | None = None,
    canonical: Strategy | Chooser = "stable",
    dialect: str | Dialect | None = None,
    columns: Mapping[str, str] | None = None,
    sort: bool = False,
    times_in: str | None = None,
    on_bytes: Callable[[int], object] = lambda _count: None,
    on_piece: Callable[[Piece, Report | None], object] = lambda _piece, _report: None,
    on_dialect: OnDialect = no_matter,
    on_step: Callable[[str], object] = lambda _step: None,
    **options: Any,
) -> Guesses:
    """Return the names that `report` would guess in ``events``, by the same arguments.

    Names are looked for in all events.

    Raises what `report` raises.

    Examples:
        >>> from idmerge.reporting import guess
        >>> for name in guess("examples/shop.ndjson", purchase="Purchase").names[:3]:
        ...     print(name)
        sign-up "Sign Up": by its name; 39 events of 39 persons (--signup names another)
        purchase "Purchase": given
        amount "amount": by its name; a number in 28 of 28 events (--amount names another)
    """
    asked = ReportOptions(**options)
    with _stitched(
        events,
        _resolver(resolver, policy, api, canonical),
        is_applied=resolver is None,
        spelling={"dialect": dialect, "columns": columns},
        sort=sort,
        times_in=times_in,
        on_bytes=on_bytes,
        on_piece=on_piece,
        on_dialect=on_dialect,
    ) as found:
        on_step("guessing")
        guesses, chosen, count = guesses_of(found.paths, asked, **found.spelling)
        return Guesses(guesses, chosen, replace(found.reading, events=count))


def _resolver(
    resolver: Resolver | None, policy: Policy | None, api: Api | None, canonical: Strategy | Chooser
) -> Resolver:
    if resolver is None:
        return Resolver(policy, canonical, api=api)
    if policy is not None or api is not None or canonical != "stable":
        raise ValueError("a resolver has a policy and a canonical strategy; give these or the resolver")
    return resolver


@contextmanager
def _stitched(  # noqa: PLR0913 - as the callers have them
    events: Events,
    known: Resolver,
    *,
    is_applied: bool,
    spelling: dict[str, Any],
    sort: bool,
    times_in: str | None,
    on_bytes: Callable[[int], object],
    on_piece: Callable[[Piece, Report | None], object],
    on_dialect: OnDialect,
) -> Iterator[_Events]:
    """Stitch raw events into a temporary file, which is there until the block ends."""
    check_installed()
    zone = check_zone(times_in)
    given = [*_sources(events)]
    if _are_stitched(given, spelling):
        paths = [os.fspath(path) for path in given if not isinstance(path, RereadableFile)]
        yield _Events(paths, (), Reading(sources=tuple(map(named, paths)), events=0), spelling, {})
        return
    files = [rereadable(source) for source in expanded(given)]
    names = tuple(file.name for file in files)
    if sort:
        files = sorted_by_processing_time(files, on_dialect=on_dialect, api=known.policy.api, **spelling)
        spelling = {}
    titles: dict[str, None] = {}

    def note(path: str, found: Dialect | None) -> None:
        if found is not None and found.title != MIXPANEL.title:
            titles.setdefault(found.title)
        if not sort:
            on_dialect(path, found)

    malformed = 0

    def count(piece: Piece, judged: Report | None) -> None:
        nonlocal malformed
        malformed += isinstance(piece, BadLine)
        on_piece(piece, judged)

    stitched = StitchedEvents(files, known, apply=is_applied, timezone=zone, on_dialect=note, **spelling)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "events.parquet"
        stitched.learn(on_bytes, count, output=path)
        stitched.write(path, on_bytes=on_bytes)
        reading = Reading(
            sources=names,
            events=stitched.events,
            malformed=malformed,
            ids=len(known),
            clusters=known.cluster_count,
            outcomes=dict(stitched.outcomes),
            dialects=tuple(titles),
            policy=known.policy,
            canonical=known.canonical if isinstance(known.canonical, str) else "chosen by a callable",
            is_applied=is_applied,
            times_in=times_in,
        )
        yield _Events([str(path)], files, reading, {}, {**spelling, "timezone": zone})


def _sources(events: Events) -> Sequence[Source]:
    kinds = (RereadableFile, str, os.PathLike)
    if isinstance(events, kinds):
        return [events]
    if isinstance(events, (list, tuple)) and events and all(isinstance(each, kinds) for each in events):
        return events
    raise TypeError(f"events must be paths of files or directories, got {events!r:.100}")


def _are_stitched(sources: Sequence[Source], spelling: Mapping[str, Any]) -> bool:
    """Return whether all events are stitched.

    Raises:
        FileFormatError: Some are and some are not.
    """
    found = {
        not isinstance(source, RereadableFile) and source != STDIN and is_stitched(Path(source), **spelling)
        for source in sources
    }
    if len(found) > 1:
        raise FileFormatError("some events are stitched and some are not; stitch all of them together")
    return found == {True}


def _sections(
    found: _Events, guesses: Iterable[Guess], options: ReportOptions, policy: Policy
) -> Iterator[Section]:
    """Ask each question whose names are all known."""
    by_name = {each.name: each for each in guesses}
    for name, (heading, needed) in QUESTIONS.items():
        names = tuple(by_name[each] for each in needed)
        answer = None
        if all(each.value is not None for each in names):
            answer = _answer(found, _question(name, options, policy))
        yield Section(name, heading, names, answer)


def _question(name: str, options: ReportOptions, policy: Policy) -> Question:
    of = {key: getattr(options, key) for key in ("where", "from_date", "to_date", "timezone")}
    of["blocked_ids"] = policy.blocked_ids
    named = options.named
    if name == "signup_rate":
        return SignupRate(signup=named["signup"], **of)
    of |= {"top": options.top, "min_persons": options.min_persons}
    if name == "attribution":
        return Attribution(
            purchase=named["purchase"],
            amount=named["amount"],
            campaign=named["campaign"],
            currency=options.currency,
            model=options.model,
            **of,
        )
    return Conversion(
        start=named["content_event"],
        goal=named["signup"],
        by=named["content"],
        by_path=bool(options.by_path),
        within=options.within,
        **of,
    )


def _answer(found: _Events, question: Question) -> Answer:
    """Ask a question of the stitched events, and name the files that these come from."""
    answer = question.ask([*found.paths], **found.spelling)
    if answer.scope is None:
        return answer
    return replace(answer, scope=answer.scope._replace(source=named_sources([*found.reading.sources])))
