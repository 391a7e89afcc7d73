"""A role that the caller names may be a property of the raw shape (SPEC 11)."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import idmerge
from command_line import ndjson, run
from idmerge.errors import FileFormatError
from idmerge.files import BadLine, read, scan
from idmerge.files.pieces import MAX_LINE
from strategies import D1

ROLES = {"distinct_id": "user_id"}


def event(**properties: Any) -> dict[str, Any]:
    return {"event": "A", "properties": properties}


def ids(content: bytes, columns: dict[str, str] = ROLES) -> list[list[str]]:
    """Return the IDs that each way of reading finds in ``content``."""
    found = []
    for way in (read, scan):
        resolver = idmerge.Resolver()
        for piece in way(io.BytesIO(content), name="f", columns=columns):
            piece.apply_to(resolver)
        found.append(pa.table(resolver.mapping()).column("distinct_id").to_pylist())
    return found


@pytest.mark.rule("11.found")
@pytest.mark.parametrize(
    ("row", "own"),
    [
        (event(user_id="u"), "u"),
        (event(user_id=7, distinct_id=None), "7"),
        (event(user_id="u", distinct_id=float("nan")), "u"),
        (event(user_id="u", distinct_id="d"), "d"),
        ({"event": "A", "properties": json.dumps({"user_id": "u"})}, "u"),
        ({"event": "A", "user_id": "top", "properties": {"user_id": "u"}}, "top"),
        ({"event": "A", "user_id": None, "properties": {"user_id": "u"}}, "u"),
        ({"type": "RECORD", "record": event(user_id="u")}, "u"),
    ],
    ids=range(8),
)
def test_a_role_that_stands_beside_no_name_is_found_among_the_properties(
    row: dict[str, Any], own: str
) -> None:
    rows = [{**row, "record": event()} if "record" in row else event(), row]
    for content in (ndjson(rows), json.dumps(rows).encode(), gzip.compress(ndjson(rows))):
        assert ids(content) == [[own]] * 2


@pytest.mark.rule("11.found")
def test_other_roles_and_links_are_found_there_too() -> None:
    link = {"event": "$identify", "properties": {"anon": D1, "user_id": "u"}}
    columns = {"anon_id": "anon", "identified_id": "user_id"}
    assert [sorted(found) for found in ids(ndjson([link]), columns)] == [sorted([D1, "u"])] * 2


def test_lines_of_every_length_keep_their_numbers() -> None:
    padding = [0, 1, 65_000, 65_536, 200_000, 3]
    rows = [ndjson([event(user_id=f"u{place}", x="é" * more)]) for place, more in enumerate(padding)]
    content = b"\n  \n".join([b"", *rows, b"oops\n", ndjson([event(user_id="last")]).strip()])
    expected = [f"u{place}" for place in range(len(padding))] + ["last"]
    assert ids(content) == [expected] * 2
    bad = [
        [str(p) for p in way(io.BytesIO(content), name="f", columns=ROLES) if isinstance(p, BadLine)]
        for way in (read, scan)
    ]
    assert bad[0] == bad[1]
    assert [message.partition(" ")[0] for message in bad[0]] == [f"f:{3 * len(padding) + 3}:"]


def test_a_line_that_is_too_long_is_a_bad_one_and_the_next_is_read() -> None:
    long = ndjson([event(user_id="u", x="x" * (MAX_LINE + 2**20))])
    content = ndjson([event(user_id="a")]) + long + ndjson([event(user_id="b")])
    assert ids(content) == [["a", "b"]] * 2
    (bad,) = [p for p in scan(io.BytesIO(content), name="f", columns=ROLES) if isinstance(p, BadLine)]
    assert str(bad).startswith("f:2: the line is longer")


def test_damage_behind_lines_is_told_behind_them() -> None:
    text = ndjson([event(user_id=f"u{place}") for place in range(3000)])
    for content, fault in (
        (gzip.compress(text)[:-9], "cut off"),
        (b"[" + b",".join(text.splitlines()) + b", oops]", "no JSON"),
    ):
        resolver = idmerge.Resolver()

        def read_all(content: bytes = content, resolver: idmerge.Resolver = resolver) -> None:
            for piece in scan(io.BytesIO(content), name="f", columns=ROLES):
                piece.apply_to(resolver)

        with pytest.raises(FileFormatError, match=fault):
            read_all()
        assert len(resolver) > 2000


def test_stitched_and_sorted_events_have_the_id_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("e.ndjson").write_bytes(ndjson([event(user_id="u", time=5)] * 2))
    option = ("--column", "distinct_id=user_id")
    for call in (("resolve", "e.ndjson"), ("resolve", "e.ndjson", "--sort")):
        assert "u,u,1" in run(*call, *option).stdout
    for more in ((), ("--sort",)):
        assert run("stitch", "e.ndjson", "-o", "-", *option, *more).stdout.count('"u"') == 4
    assert "no-distinct-id" not in run("doctor", "e.ndjson", *option).stdout
    unmatched = run("resolve", "e.ndjson", "--column", "distinct_id=who")
    assert "none of 2 events has an ID" in unmatched.stderr


@pytest.mark.rule("11.fields")
@pytest.mark.parametrize("name", ["e.ndjson", "e.csv"])
def test_a_role_that_counts_for_nothing_beside_its_raw_name_is_said(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("e.ndjson").write_bytes(ndjson([{"event": "A", "distinct_id": "d", "user_id": "u"}]))
    Path("e.csv").write_text("event,distinct_id,user_id\nA,d,u\n", encoding="utf-8")
    result = run("resolve", name, "--column", "distinct_id=user_id")
    assert "d,d,1" in result.stdout
    assert "columns distinct_id=user_id (distinct_id is there too and counts before user_id)" in result.stderr


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("beside", ["u3", None])
def test_a_role_is_looked_up_in_each_row_whatever_the_first_ones_have(order: int, beside: str | None) -> None:
    rows = [
        {"event": "x", "user_id": beside, "properties": {}},
        {"event": "x", "properties": {"user_id": "u1"}},
        {"event": "x", "user_id": None, "properties": {"user_id": "u2"}},
    ]
    for found in ids("\n".join(map(json.dumps, rows[::order])).encode()):
        assert {*found} == {"u1", "u2", beside} - {None}


@pytest.mark.parametrize(
    ("role", "row", "said"),
    [
        ("distinct_id=usr_id", event(distinct_id="d"), "usr_id is not in the first rows"),
        ("time=tss", event(distinct_id="d"), "tss is not in the first rows"),
        (
            "distinct_id=user_id",
            event(distinct_id="d", user_id="u"),
            "distinct_id is there too and counts before user_id",
        ),
        ("distinct_id=user_id", event(user_id="u"), None),
    ],
)
def test_a_role_that_has_no_effect_is_said_to_have_none(
    tmp_path: Path, role: str, row: dict[str, Any], said: str | None
) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(ndjson([row, row]))
    lines = [line for line in run("resolve", path, "--column", role).stderr.splitlines() if "read as" in line]
    assert lines == [f"read as: columns {role}" + (f" ({said})" if said else "")]
