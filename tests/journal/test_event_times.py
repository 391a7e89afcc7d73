"""Event times and sources of links: kept beside them, shown, and a moment to look back at."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idmerge import DurableResolver, Policy, Resolver, reference
from idmerge.errors import JournalError, KeptApartError, RetractionError, UnknownIdError
from idmerge.events import SENT_ID
from idmerge.files import BadLine, read, scan
from idmerge.journal import commit as commit_module
from idmerge.journal import committing, open_journal
from idmerge.journal.verify import salvage, verify
from paths import DATA
from resolver_state import state
from strategies import friendly_ids, policies, strategies

SECOND = 1_700_000_000
"""The first second of the tests' times."""


def moment(second: int) -> datetime:
    return datetime.fromtimestamp(SECOND + second, UTC)


def merge(a: str, b: str, time: object = None) -> dict[str, Any]:
    return {"event": "$merge", "properties": {"$distinct_ids": [a, b], "time": time}}


def _identify(a: str, b: str, time: object) -> dict[str, Any]:
    return {"event": "$identify", "properties": {"$anon_id": a, "$identified_id": b, "time": time}}


def _alias(a: str, b: str, time: object) -> dict[str, Any]:
    return {"event": "$create_alias", "properties": {"alias": a, "distinct_id": b, "time": time}}


def _buy(a: str, b: str, time: object) -> dict[str, Any]:
    return {"event": "Buy", "properties": {"distinct_id": a, SENT_ID: b, "time": time}}


seconds = st.integers(0, 5)
times = st.one_of(st.none(), seconds.map(lambda second: SECOND + second), st.just("yesterday"))
events = st.builds(
    lambda make, a, b, time: make(a, b, time),
    st.sampled_from([merge, merge, _identify, _alias, _buy]),
    friendly_ids,
    friendly_ids,
    times,
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("apply"), events),
        st.tuples(st.just("apply"), events),
        st.tuples(st.just("keep_apart"), friendly_ids, friendly_ids),
        st.tuples(st.just("forget"), friendly_ids),
        st.tuples(st.just("retract"), st.integers(0, 20)),
        st.tuples(st.just("commit"), seconds),
    ),
    max_size=25,
)


class Timed:
    """A resolver with a journal, the reference, and when each position was stated."""

    def __init__(self, path: Path, policy: Policy, canonical: Any) -> None:
        self.path = path
        self.ours = DurableResolver.open(path, policy, canonical)
        self.theirs = reference.Resolver(policy, canonical)
        self.event: list[int | None] = []
        """The event's second of each position; None without one."""
        self.committed: list[int] = []
        """The second of each position's commit."""

    def tell(self, name: str, *arguments: Any) -> None:
        if name == "commit":
            written = (SECOND + arguments[0]) * 1_000_000
            with patch.object(committing, "microseconds", lambda _: written):
                self.ours.commit()
            self.committed += [arguments[0]] * (len(self.event) - len(self.committed))
            return
        for resolver in (self.ours, self.theirs):
            with suppress(UnknownIdError, KeptApartError, RetractionError, ValueError):
                getattr(resolver, name)(*arguments)
        assert self.ours.position == self.theirs.position
        time = arguments[0]["properties"]["time"] if name == "apply" else None
        second = time - SECOND if isinstance(time, int) else None
        self.event += [second] * (self.ours.position - len(self.event))

    def left_out(self, second: int) -> set[int]:
        """Return the positions that are left out as of the events up to ``second`` (SPEC 8)."""
        acts = [step[0] for step in self.theirs._log if step[0] != "observe"]
        facts = zip(acts, self.event, self.committed, strict=True)
        return {
            position
            for position, (name, event, committed) in enumerate(facts)
            if name in ("_link", "_join_evidence") and (committed if event is None else event) > second
        }

    def without(self, left_out: set[int]) -> reference.Resolver:
        """Return the reference that was never sent the links at these positions."""
        acts = [step for step in self.theirs._log if step[0] != "observe"]
        left_out = left_out | reference._taken_back(acts)
        again, position = reference.Resolver(self.theirs.policy, self.theirs.canonical), 0
        for name, *arguments in self.theirs._log:
            if name == "observe" or (name != "retract" and position not in left_out):
                with suppress(KeptApartError, UnknownIdError):
                    getattr(again, name)(*arguments)
            position += name != "observe"
        return again


@pytest.mark.rule("8.event time")
@given(policies, strategies, steps, st.sampled_from([1, 60, 400]))
def test_a_moment_by_events_is_what_the_reference_makes_of_the_links_up_to_it(
    tmp_path_factory: pytest.TempPathFactory, policy: Policy, canonical: Any, told: list[Any], block: int
) -> None:
    timed = Timed(tmp_path_factory.mktemp("j") / "journal", policy, canonical)
    with patch.object(commit_module, "BLOCK", block):
        for step in [*told, ("commit", 5)]:
            timed.tell(*step)
    timed.ours.close()
    for second in range(-1, 7):
        expected = timed.without(timed.left_out(second))
        with DurableResolver.open(timed.path, read_only=True, as_of=moment(second), by="event") as past:
            assert state(past)["mapping"] == state(expected)["mapping"]
            assert past.stats().outcomes == expected.stats().outcomes
            assert past.position == len(timed.event)
            known = past.mapping().to_pydict()["distinct_id"]
            stated = [one for text in known for one in past.statements(text) if one.outcome is not None]
            assert not {one.position for one in stated} & timed.left_out(second)
            with DurableResolver.open(
                timed.path, read_only=True, as_of=moment(second), by="event", history=False
            ) as bare:
                assert [bare.explain(text) for text in known] == [past.explain(text) for text in known]
                assert bare.changes(0).to_pydict() == past.changes(0).to_pydict()


@pytest.mark.rule("8.event time")
@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (SECOND, moment(0)),
        (1000 * SECOND + 250, moment(0) + timedelta(milliseconds=250)),
        (f"{SECOND}", moment(0)),
        (SECOND + 0.5, moment(0) + timedelta(milliseconds=500)),
        ("2023-11-14T22:13:20Z", moment(0)),
        (-5, datetime(1969, 12, 31, 23, 59, 55, tzinfo=UTC)),
        ("yesterday", None),
        (None, None),
        (True, None),
        ([SECOND], None),
        (1e300, None),
    ],
)
def test_an_event_time_is_the_time_as_it_is_read_by_every_way_in(
    tmp_path: Path, time: object, expected: datetime | None
) -> None:
    event = merge("ana", "ben", time)
    text = json.dumps(event)
    (tmp_path / "e.ndjson").write_text(f"{text}\n{text.replace('ana', 'né')}\n")
    (tmp_path / "e.json").write_text(f"[{text}]")
    ways: list[Any] = [
        lambda r: r.apply(event),
        lambda r: r.apply(text),
        lambda r: r.apply_events([event]),
        lambda r: r.apply_events([text.encode()]),
        lambda r: r.apply_events([_Mapping(event)]),
        lambda r: r.apply_body(f"[{text}]".encode()),
        lambda r: r.apply_body(text.encode(), "application/x-ndjson"),
        lambda r: _applied(r, scan(str(tmp_path / "e.ndjson"), with_times=True)),
        lambda r: _applied(r, scan(str(tmp_path / "e.json"), with_times=True)),
        lambda r: _applied(r, read(str(tmp_path / "e.ndjson"))),
    ]
    for number, way in enumerate(ways):
        with DurableResolver.open(tmp_path / f"{number}.idmerge") as resolver:
            way(resolver)
            [link, *_] = resolver.explain("ana") or []
            assert link.event_time == expected, number
            resolver.commit()
            [link, *_] = resolver.explain("ana") or []
            assert link.event_time == expected, number


class _Mapping(dict[str, Any]):
    """No exact dict, which Python reads."""


def _applied(resolver: DurableResolver, pieces: Any) -> None:
    for piece in pieces:
        assert not isinstance(piece, BadLine)
        piece.apply_to(resolver)


@pytest.mark.rule("8.event time")
def test_a_python_datetime_is_an_event_time_in_utc() -> None:
    with DurableResolver.open(":memory:") as resolver:
        resolver.apply_events([merge("a", "b", moment(1)), merge("b", "c", moment(2).replace(tzinfo=None))])
        assert [link.event_time for link in resolver.explain("a") or []] == [moment(1), moment(2)]
        resolver.commit()


def test_a_link_has_its_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "shop.ndjson"
    lines = [
        json.dumps({"event": "Visit", "properties": {"distinct_id": "ana"}}),
        "",
        json.dumps(merge("ana", "ben", SECOND)),
        json.dumps({"event": "Visit", "properties": {"distinct_id": "ana"}}),
        '{"event": "$merge", "properties": {"$distinct_ids": ["ben", "car\\ud800l"], "time": 5}}',
        json.dumps(merge("ben", "carl", 1000 * SECOND + 7)),
    ]
    path.write_text("\n".join(lines))
    for number, way in enumerate([read, lambda source: scan(source, with_times=True)]):
        with DurableResolver.open(tmp_path / f"{number}.idmerge") as resolver:
            _applied(resolver, way(str(path)))
            resolver.commit()
            found = [(link.position, link.origin, link.event_time) for link in resolver.explain("ana") or []]
            later = moment(0) + timedelta(milliseconds=7)
            assert found == [(0, f"{path}:3", moment(0)), (2, f"{path}:6", later)]


def test_an_event_has_the_name_that_the_caller_gave_and_its_number() -> None:
    with DurableResolver.open(":memory:") as resolver:
        resolver.apply_events([merge("a", "b"), "no event", merge("b", "c", SECOND)], origin="queue 7")
        resolver.apply_body(json.dumps([merge("c", "d")]).encode(), origin="request")
        resolver.merge("d", "e")
        expected = ["queue 7:1", "queue 7:3", "request:1", None]
        assert [link.origin for link in resolver.explain("a") or []] == expected
        resolver.commit()
        assert [link.origin for link in resolver.explain("a") or []] == expected
        resolver.merge("a", "a2")
        resolver.apply_events([merge("a", "a3")], origin="queue 8")
        assert [link.origin for link in resolver.explain("a") or []] == [*expected, None, "queue 8:1"]
        [stated] = [one for one in resolver.statements("a") if one.second == "c"]
        assert (stated.origin, stated.event_time, stated.origins) == ("queue 7:3", moment(0), ("queue 7:3",))
        resolver.commit()


def test_a_resolver_without_a_journal_keeps_neither() -> None:
    resolver = Resolver(history=True)
    resolver.apply_events([merge("a", "b", SECOND)], origin="queue")
    [link] = resolver.explain("a") or []
    assert (link.event_time, link.origin) == (None, None)


@given(st.lists(st.tuples(times, st.booleans()), max_size=40), st.sampled_from([1, 60, 400, 2**24]))
def test_origins_outlast_batches_reopening_compaction_and_salvage(
    tmp_path_factory: pytest.TempPathFactory, links: list[tuple[Any, bool]], block: int
) -> None:
    folder = tmp_path_factory.mktemp("j")
    path = folder / "a.idmerge"
    with patch.object(commit_module, "BLOCK", block), DurableResolver.open(path) as resolver:
        for number, (time, is_named) in enumerate(links):
            origin = f"part {number % 3}" if is_named else None
            resolver.apply_events([merge("hub", f"id {number}", time)], origin=origin)
            if number % 7 == 6:
                resolver.commit()
        expected = _origins(resolver)
        resolver.commit()
        assert _origins(resolver) == expected
        if links:
            resolver.forget("id 0")
        resolver.compact()
        assert _origins(resolver) == expected
    assert [time for time, _ in expected] == [
        moment(time - SECOND) if isinstance(time, int) else None for time, _ in links
    ]
    verdict = verify(path)
    assert verdict.damage is None
    salvage(path, folder / "b.idmerge", verdict)
    for copy in (path, folder / "b.idmerge"):
        with DurableResolver.open(copy, read_only=True) as resolver:
            assert _origins(resolver) == expected


def _origins(resolver: DurableResolver) -> list[tuple[datetime | None, str | None]]:
    links = resolver.explain("hub") or [] if "hub" in resolver else []
    return [(link.event_time, link.origin) for link in links]


def test_links_without_event_times_and_sources_take_no_byte(tmp_path: Path) -> None:
    pairs = [(f"a{number}", f"b{number}") for number in range(100)]
    with DurableResolver.open(tmp_path / "1") as calls, DurableResolver.open(tmp_path / "2") as bare:
        for a, b in pairs:
            calls.merge(a, b)
        bare.apply_events([merge(a, b) for a, b in pairs])
        calls.commit()
        bare.commit()
    with DurableResolver.open(tmp_path / "3") as named:
        named.apply_events([merge(a, b, SECOND + n) for n, (a, b) in enumerate(pairs)], origin="file")
        named.commit()
    sizes = [len(_block(tmp_path / name)) for name in "123"]
    assert sizes[0] == sizes[1]
    assert 100 < sizes[2] - sizes[0] < 5 * 100


def _block(path: Path) -> bytes:
    journal = open_journal(path, create=False, read_only=True)
    [block] = journal.blocks(0, 1)
    journal.close()
    return block


def test_origins_are_kept_in_a_journal_of_an_earlier_format_too(tmp_path: Path) -> None:
    for kept in sorted(DATA.glob("journal-*.idmerge")):
        path = tmp_path / kept.name
        path.write_bytes(kept.read_bytes())
        with DurableResolver.open(path) as resolver:
            known = resolver.mapping().to_pydict()["distinct_id"]
            assert all(link.event_time is None for text in known for link in resolver.explain(text) or [])
            resolver.apply_events([merge("somebody new", "and another", SECOND)], origin="queue")
            resolver.commit()
        with DurableResolver.open(path, read_only=True) as resolver:
            [link] = resolver.explain("somebody new") or []
            assert (link.event_time, link.origin) == (moment(0), "queue:1")


def test_a_damaged_origin_is_an_error_of_the_question_and_of_verify(tmp_path: Path) -> None:
    path = tmp_path / "a.idmerge"
    with DurableResolver.open(path) as resolver:
        resolver.apply_events([merge("a", "b", SECOND)], origin="queue")
        resolver.commit()
        _put_block(resolver, lambda block: block[:-1])
    with DurableResolver.open(path, read_only=True) as resolver:
        assert resolver.resolve("b") == "a"
        with pytest.raises(JournalError, match="origins of the batch's links are damaged"):
            resolver.explain("a")
    assert "origins" in str(verify(path).damage)
    with pytest.raises(JournalError, match="batch 0: .*origins"):
        DurableResolver.open(path, read_only=True, as_of=moment(0), by="event")


def _put_block(resolver: DurableResolver, change: Callable[[bytes], bytes]) -> None:
    """Change the block of the first batch, with the right checksums."""
    journal: Any = resolver._journal
    batch = journal.batch(0)
    batch = replace(batch, block=change(batch.block)).sealed()
    journal._ask(
        "UPDATE batches SET block = ?, block_checksum = ?, checksum = ? WHERE number = 0",
        (batch.block, batch.block_checksum, batch.checksum),
    )


@given(st.binary(max_size=60))
def test_whatever_stands_behind_the_steps_is_read_or_refused(tail: bytes) -> None:
    with DurableResolver.open(":memory:") as resolver:
        resolver.merge("a", "b")
        resolver.commit()
        _put_block(resolver, lambda block: block + tail)
        try:
            [link] = resolver.explain("a") or []
        except JournalError as error:
            assert "origins" in str(error) or "event time" in str(error)  # noqa: PT017 - or it is right
        else:
            assert (link.event_time is None and link.origin is None) or tail
        assert resolver.resolve("b") == "a"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"by": "event"}, "needs as_of to be a datetime, got None"),
        ({"by": "event", "as_of": 3}, "needs as_of to be a datetime, got 3"),
        ({"by": "other", "as_of": 3}, "by must be 'commit' or 'event', got 'other'"),
    ],
)
def test_a_wrong_clock_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DurableResolver.open("x.idmerge", read_only=True, **settings)


def test_a_moment_by_events_has_no_cursor(tmp_path: Path) -> None:
    with DurableResolver.open(tmp_path / "j") as resolver:
        resolver.apply_events([merge("a", "b", SECOND)])
        resolver.commit()
    with (
        DurableResolver.open(tmp_path / "j", read_only=True, as_of=moment(0), by="event") as past,
        pytest.raises(ValueError, match="no cursor is as of an event time"),
    ):
        past.mapping_since(None)


def test_explaining_within_commit_all_leaves_the_journal_alone(tmp_path: Path) -> None:
    with DurableResolver.open(tmp_path / "j") as resolver:
        resolver.apply_events([merge("a", "b", SECOND)])
        resolver.commit()
        seen = []

        def work() -> Any:
            resolver.apply_events([merge("b", "c", SECOND)])
            seen.extend(resolver.explain("a") or [])
            yield

        resolver.commit_all(work())
        assert [link.event_time for link in seen] == [None, moment(0)]
        assert [link.event_time for link in resolver.explain("a") or []] == [moment(0), moment(0)]
