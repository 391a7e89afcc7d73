"""Notes in a summary: the switch that rejected links need, and runs that read or join nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from command_line import ndjson, run
from idmerge import DurableResolver, Outcome, Policy, Resolver
from idmerge.cli import link_notes
from strategies import D1, D2

OLD_WEB = "18c4f0a1b2c3d4-0a1b2c3d4e5f60-1b525637-1fa400-18c4f0a1b2d9e0"
SDK = "aZ-b-c-d-e"


def identify(anon: Any, user: Any, **more: Any) -> dict[str, Any]:
    return {"event": "$identify", "properties": {"$anon_id": anon, "$identified_id": user, **more}}


def alias(first: str, second: str) -> dict[str, Any]:
    return {"event": "$create_alias", "properties": {"alias": first, "distinct_id": second}}


def merge(*ids: Any) -> dict[str, Any]:
    return {"event": "$merge", "properties": {"$distinct_ids": [*ids]}}


GOOD = merge("x", "y")
PAGE = {"event": "Page View", "properties": {"distinct_id": "u1", "time": 1_700_000_000}}


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def notes(stderr: str) -> list[str]:
    return [line[4:].strip() for line in stderr.splitlines() if line.startswith("note ")]


def notes_of(*stated: dict[str, Any], options: tuple[str, ...] = ()) -> list[str]:
    Path("e.ndjson").write_bytes(ndjson(stated))
    return notes(run("resolve", "e.ndjson", "-o", "m.csv", *options).stderr)


@pytest.mark.parametrize(
    ("stated", "options", "expected"),
    [
        (
            [identify(OLD_WEB, "u"), identify(f"$device:{OLD_WEB}", "v")],
            ["--anon-format", "uuid4"],
            ["2 links were ANON_FORMAT: with --anon-format mixpanel they would pass this check"],
        ),
        (
            [identify(OLD_WEB, "u"), identify(SDK, "v")],
            ["--anon-format", "uuid4"],
            ["2 links were ANON_FORMAT: with --anon-format sdk they would pass this check"],
        ),
        (
            [identify("a", "u")],
            [],
            ["1 link was ANON_FORMAT: with --anon-format any it would pass this check"],
        ),
        (
            [alias("a", "b"), alias("a", "c")],
            [],
            ["1 link was ALIAS_TAKEN: with --no-alias-once it would pass this check"],
        ),
        (
            [merge("a", "b"), merge("b", "c")],
            ["--max-cluster-size", "2"],
            ["1 link was TOO_MANY_IDS: with --max-cluster-size none it would pass this check"],
        ),
        (
            [merge("a", "x" * 300), merge("null", "x" * 300), merge("a", "")],
            [],
            ["1 link was INVALID_ID for a length alone: with --max-id-length none it would pass this check"],
        ),
        (
            [identify(D1, "u", **{"$failure_reason": "errManyIDs"})],
            [],
            ["1 link was REFUSED_BEFORE: with --verdicts ignore it would pass this check"],
        ),
        ([identify(D1, "u"), identify(D1, "v"), merge("a", "a"), merge("a"), merge("a", "null")], [], []),
    ],
    ids=["old web", "sdk", "any", "alias", "size", "length", "verdict", "no switch"],
)
def test_a_note_names_the_switch_with_which_rejected_links_pass_their_check(
    stated: list[Any], options: list[str], expected: list[str]
) -> None:
    assert notes_of(GOOD, *stated, options=tuple(options)) == expected


@pytest.mark.parametrize("option", ["uuid4", "mixpanel"])
def test_no_link_has_the_outcome_again_with_the_switch_that_the_note_names(option: str) -> None:
    stated = [GOOD, identify(SDK, "u"), identify(OLD_WEB, "v"), identify("$device:a", "w")]
    for last in range(2, len(stated) + 1):
        found = notes_of(*stated[:last], options=("--anon-format", option))
        for note in found:
            chosen = note.partition("--anon-format ")[2].partition(" ")[0]
            resolver = Resolver(Policy(anon_format=chosen))  # type: ignore[arg-type]
            assert Outcome.ANON_FORMAT not in resolver.apply_events(stated[:last]).counts


def test_of_more_links_than_are_looked_at_no_part_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_notes, "MOST_LOOKED_AT", 3)
    stated = [
        GOOD,
        *(identify(OLD_WEB, f"u{n}") for n in range(4)),
        *(merge("a", "x" * 300) for _ in range(4)),
    ]
    found = notes_of(*stated, options=("--anon-format", "uuid4"))
    assert found == ["4 links were ANON_FORMAT: with --anon-format any they would pass this check"]


def test_a_journal_keeps_its_policy_so_the_switch_is_for_a_new_one() -> None:
    Path("e.ndjson").write_bytes(ndjson([GOOD, identify("a", "u")]))
    found = notes(run("resolve", "e.ndjson", "--journal", "j").stderr)
    assert found == [
        "1 link was ANON_FORMAT: with --anon-format any in a new journal it would pass this check"
    ]


def test_every_command_that_judges_links_has_the_notes() -> None:
    Path("e.ndjson").write_bytes(ndjson([GOOD, PAGE, identify("a", "u")]))
    Path("u.ndjson").write_text('{"$distinct_id": "a", "$set": {"plan": "free"}}\n', encoding="utf-8")
    for call in (
        ["stitch", "e.ndjson", "-o", "s.parquet"],
        ["ask", "signup-rate", "e.ndjson", "--signup", "Page View", "-o", "a.csv"],
        ["profiles", "u.ndjson", "--events", "e.ndjson"],
    ):
        assert notes(run(*call).stderr)[0].startswith(
            "1 link was ANON_FORMAT: with --anon-format any it would"
        )


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (
            [merge("a"), merge()],
            "no link was accepted: 2 links were rejected, as MALFORMED: an operand is missing or is no text",
        ),
        (
            [merge("a"), merge("a"), identify("a", "b")],
            "no link was accepted: 3 links were rejected, 2 of them as MALFORMED: an operand is",
        ),
        (
            [merge("a", "null")],
            "no link was accepted: 1 link was rejected, as INVALID_ID: an ID is empty, too long, blocked",
        ),
    ],
)
def test_a_run_without_an_accepted_link_says_so_with_the_main_reason(
    stated: list[Any], expected: str
) -> None:
    assert notes_of(PAGE, *stated)[0].startswith(expected)


EMPTY: dict[str, str] = {
    "empty.ndjson": "",
    "blank.ndjson": "\n \n",
    "array.json": "[]",
    "header.csv": "kind,first,second\n",
    "no-links.ndjson": json.dumps(PAGE),
}


@pytest.mark.parametrize("name", EMPTY)
@pytest.mark.parametrize(
    "call",
    [
        ["resolve", "FILE", "-o", "m.csv"],
        ["resolve", "FILE", "--journal", "j"],
        ["stitch", "FILE", "-o", "s.parquet"],
        ["doctor", "FILE", "-o", "d.txt"],
        ["ask", "signup-rate", "FILE", "--signup", "Page View", "-o", "a.csv"],
        ["profiles", "u.ndjson", "--events", "FILE", "-o", "p.csv"],
    ],
    ids=lambda call: " ".join(call[:2]),
)
def test_a_run_that_reads_nothing_or_no_link_says_so_in_one_line(call: list[str], name: str) -> None:
    Path(name).write_text(EMPTY[name], encoding="utf-8")
    Path("u.ndjson").write_text('{"$distinct_id": "a", "$set": {"plan": "free"}}\n', encoding="utf-8")
    lines = run(*(part.replace("FILE", name) for part in call)).stderr.splitlines()
    said = [line for line in lines if line.startswith("note")]
    if call[0] == "ask" and name != "no-links.ndjson":
        assert said.pop() == "note        there are no events"
    (line,) = said
    if name == "no-links.ndjson":
        assert line == "note        no event states a link, so each ID is a person of its own"
    elif name == "header.csv":
        assert line == "note        nothing was read: there is neither an event nor a link"
    else:
        assert line == f"note        {name} is empty: there is no event in it"


ODD = {"ids.ndjson": ("3", 6), "one.ndjson": ("1", 2), "array.json": ("2", 1), "text.ndjson": ("2", 2)}
ODD_CALLS = {
    "resolve": ["resolve", "FILE"],
    "stitch": ["stitch", "FILE", "-o", "s.parquet"],
    "stitch in parts": ["stitch", "FILE", "-o", "s", "--partition-by", "event"],
    "stitch with a journal": ["stitch", "FILE", "-o", "s.parquet", "--journal", "ids"],
    "ask": ["ask", "signup-rate", "FILE", "--signup", "A"],
    "profiles": ["profiles", "u.ndjson", "--events", "FILE"],
}


def odd(value: Any, **more: Any) -> dict[str, Any]:
    return {"event": "A", "properties": {"distinct_id": value, **more}}


@pytest.mark.rule("3.values")
@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("call", ODD_CALLS)
def test_an_event_whose_id_can_be_none_is_counted_with_its_line(call: str, name: str) -> None:
    Path("ids.ndjson").write_bytes((Path(__file__).parents[1] / "data/field/ids.ndjson").read_bytes())
    Path("one.ndjson").write_bytes(ndjson([PAGE, odd(1.5), odd(None), odd(""), odd(7.0)]))
    Path("array.json").write_text(
        json.dumps([odd([]), PAGE, odd({"a": 1}, x=float("nan")), odd(float("nan"))])
    )
    # A key that JSON cannot hold otherwise sends the line to Python; a bad line cuts the batch.
    text = json.dumps(odd(value=True, x=float("nan"))) + "\n5\n"
    Path("text.ndjson").write_bytes(ndjson([PAGE]) + text.encode() + ndjson([odd({})]))
    Path("u.ndjson").write_text('{"$distinct_id": "a", "$set": {"plan": "free"}}\n', encoding="utf-8")
    DurableResolver.open("ids").close()
    answer = run(*(part.replace("FILE", name) for part in ODD_CALLS[call]))
    (line,) = [line for line in notes(answer.stderr) if "neither text nor" in line]
    count, first = ODD[name]
    have, belong, which = ("has", "belongs", "") if count == "1" else ("have", "belong", "the first in ")
    assert line == (
        f"{count} event{'s' * (count != '1')} {have} an ID that is neither text nor a whole number, "
        f"and {belong} to nobody: {which}{name}:{first}"
    )


@pytest.mark.rule("3.values")
def test_an_odd_id_among_the_properties_of_a_table_is_counted() -> None:
    rows = [{"distinct_id": "a"}, {"distinct_id": [1]}, {"x": 1}]
    table = pa.table({"event": ["A"] * 3, "properties": [json.dumps(row) for row in rows]})
    pq.write_table(table, "e.parquet")
    (line,) = [line for line in notes(run("resolve", "e.parquet").stderr) if "neither" in line]
    assert line.endswith(": e.parquet:2")


NO_IDS = {
    "raw.ndjson": ([odd(None), {"event": "A", "properties": {}}], ""),
    "named.ndjson": (
        [{"event": "A", "properties": {"user_id": "u"}}] * 2,
        "; if it is in user_id: --column distinct_id=user_id",
    ),
    "spaced.ndjson": (
        [{"event": "A", "properties": {"user id": "u"}}] * 2,
        "; if it is in user id: --column 'distinct_id=user id'",
    ),
    "flat.ndjson": ([{"event": "A", "time": 5}] * 2, ""),
    "table.parquet": ([{"event": "A", "distinct_id": None, "time": "5"}] * 2, ""),
    "nested.parquet": ([{"event": "A", "properties": "{}"}] * 2, ""),
}


@pytest.mark.rule("11.nothing by default")
@pytest.mark.parametrize("name", NO_IDS)
@pytest.mark.parametrize("call", ODD_CALLS)
def test_events_of_which_none_has_an_id_are_said_and_no_person_of_its_own(call: str, name: str) -> None:
    rows, option = NO_IDS[name]
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(rows).cast(pa.schema(dict.fromkeys(rows[0], pa.string()))), name)
    else:
        Path(name).write_bytes(ndjson(rows))
    Path("u.ndjson").write_text('{"$distinct_id": "a", "$set": {"plan": "free"}}\n', encoding="utf-8")
    DurableResolver.open("ids").close()
    answer = run(*(part.replace("FILE", name) for part in ODD_CALLS[call]))
    found = [line for line in notes(answer.stderr) if "ID" in line]
    assert found == [f"none of 2 events has an ID (distinct_id); the first is {name}:1{option}"]


def test_the_doctor_says_too_that_no_event_has_an_id() -> None:
    Path("e.ndjson").write_bytes(ndjson([odd(None)] * 2))
    assert notes(run("doctor", "e.ndjson").stderr) == ["none of 2 events has an ID (distinct_id)"]
    Path("e.ndjson").write_bytes(ndjson([odd(None)]))
    assert notes(run("resolve", "e.ndjson").stderr) == ["the only event has no ID (distinct_id): e.ndjson:1"]


def test_events_whose_ids_are_all_odd_are_no_persons_of_their_own() -> None:
    Path("e.ndjson").write_bytes(ndjson([odd(1.5)] * 2))
    (note,) = notes(run("resolve", "e.ndjson").stderr)
    assert note.startswith("2 events have an ID that is neither")


def test_a_link_of_a_table_has_no_odd_id() -> None:
    rows = [{"distinct_id": [1], "$anon_id": D1, "$identified_id": "u"}, {"distinct_id": [1]}]
    table = pa.table({"event": ["$identify", "A"], "properties": [json.dumps(row) for row in rows]})
    pq.write_table(table, "e.parquet")
    (line,) = [line for line in notes(run("resolve", "e.parquet").stderr) if "neither" in line]
    assert line.startswith("1 event has")
    assert line.endswith(": e.parquet:2")


def test_updates_that_are_none_are_said() -> None:
    Path("u.ndjson").touch()
    Path("e.ndjson").write_bytes(ndjson([GOOD]))
    found = notes(run("profiles", "u.ndjson", "--events", "e.ndjson").stderr)
    assert found == ["no update was read, so no profile was changed"]


def test_a_clean_run_has_no_note() -> None:
    assert notes_of(GOOD, PAGE, identify(D2, "u")) == []
