"""Forgotten IDs are in no answer, though the journal keeps their text until it is compacted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from idmerge import DurableResolver, StitchedEvents
from idmerge.cli.group import commands
from idmerge.doctor import examine_journal
from idmerge.errors import UnknownIdError
from postgres_server import Server, running_server
from resolver_state import state
from strategies import D1, D2

GONE = "gone@example.com"
POSITIONS = 6
"""Number of positions before the ID is forgotten."""
CALLS = [
    ["doctor", "{}"],
    ["doctor", "{}", "--format", "json"],
    ["doctor", "{}", "--format", "html"],
    ["show", "ada", "{}"],
    ["why", "ada", D1, "{}"],
    ["why", "ada", "other", "{}"],
    ["journal", "{}", "--all"],
    ["verify", "{}"],
    ["mapping", "{}"],
    ["changes", "{}", "--since", "0"],
    ["changes", "{}", "--since", "2"],
    ["retract", "--dry-run", "0", "{}"],
    ["stitch", "e.ndjson", "--journal", "{}", "-o", "s.csv"],
    *(["mapping", "{}", "--as-of", str(position)] for position in range(POSITIONS + 2)),
    *(["show", "ada", "{}", "--as-of", str(position)] for position in range(1, POSITIONS + 2)),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def journal(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A journal in which an ID was forgotten that shows in findings and names clusters."""
    monkeypatch.chdir(tmp_path)
    Path("e.ndjson").write_text(
        json.dumps({"event": "e", "properties": {"distinct_id": "ada", "time": 1}}) + "\n", encoding="utf-8"
    )
    path = "ids.idmerge"
    if request.param == "postgresql":
        server = request.getfixturevalue("server")
        path = server.url(server.new_schema())
    with DurableResolver.open(path) as resolver:
        resolver.merge(GONE, "ada")
        resolver.identify(D1, GONE)
        resolver.commit()
        resolver.identify(D1, "other")
        resolver.merge(GONE, "undefined")
        resolver.commit()
        resolver.merge(GONE, GONE)
        resolver.identify("no uuid", GONE)
        resolver.commit()
        resolver.checkpoint()
        assert resolver.position == POSITIONS
        resolver.forget(GONE)
        resolver.commit()
    return path


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_no_command_names_it_before_the_journal_is_compacted(journal: str, call: list[str]) -> None:
    result = CliRunner().invoke(commands, [part.format(journal) for part in call], prog_name="idmerge")
    assert result.exit_code == 0, result.output
    assert GONE not in result.output
    assert not Path("s.csv").exists() or GONE not in Path("s.csv").read_text("utf-8")


def test_no_moment_names_it(journal: str) -> None:
    for moment in [*range(POSITIONS + 2), datetime.now(UTC)]:
        with DurableResolver.open(journal, read_only=True, as_of=moment) as then:
            assert GONE not in then
            assert GONE not in str(then.mapping().to_pydict())
            with pytest.raises(UnknownIdError):
                then.explain(GONE)
            for known in then.mapping().to_pydict()["distinct_id"]:
                told = [*(then.explain(known) or []), *then.why_not(known, known)]
                assert GONE not in str([*told, *then.statements(known)])


def test_each_moment_is_what_it_is_once_the_journal_is_compacted(journal: str) -> None:
    def moments() -> list[object]:
        found = []
        for moment in range(POSITIONS + 2):
            with DurableResolver.open(journal, read_only=True, as_of=moment) as then:
                found.append(state(then))
        return found

    before = moments()
    with DurableResolver.open(journal) as resolver:
        resolver.compact()
    assert moments() == before


def test_the_doctor_finds_what_it_finds_once_the_journal_is_compacted(journal: str) -> None:
    before = examine_journal(journal)
    assert GONE not in repr(before)
    with DurableResolver.open(journal) as resolver:
        resolver.compact()
    assert examine_journal(journal) == before


def test_an_id_that_comes_again_is_not_taken_for_the_forgotten_one(journal: str) -> None:
    with DurableResolver.open(journal) as resolver:
        resolver.merge("stranger", GONE)
        resolver.commit()
    with DurableResolver.open(journal, read_only=True, as_of=POSITIONS) as then:
        assert GONE not in then
    findings = examine_journal(journal).findings
    places = [example.place for finding in findings for example in finding.examples if GONE in example.ids]
    assert set(places) <= {f"position {POSITIONS + 1}"}


def test_an_open_reader_names_it_no_more_once_it_has_caught_up(journal: str) -> None:
    with DurableResolver.open(journal) as writer:
        writer.merge(D2, "ada")
        writer.commit()
        with DurableResolver.open(journal, read_only=True) as reader:
            assert D2 in reader
            writer.forget(D2)
            writer.commit()
            reader.refresh()
            assert D2 not in reader
            events = StitchedEvents(["e.ndjson"], reader, apply=False)
            events.learn()
            assert D2 not in str([batch.to_pylist() for batch in events.batches()])
