"""``idmerge show``: one cluster, and the links that made it what it is."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner
from pyarrow import parquet

import command_line
from command_line import ndjson
from idmerge import reference
from idmerge.cli.group import commands
from idmerge.testing import events

D1 = "5f0c1e2a-7b3d-4c58-9a61-2e8f4d7b9c03"
D2 = "b81d64f7-0a92-4e3b-8c5d-71f6a3e0d294"
STORY = [
    {"event": "Page View", "properties": {"distinct_id": "early"}},
    {"event": "$identify", "properties": {"$anon_id": D1, "$identified_id": "ada"}},
    {"event": "$identify", "properties": {"$anon_id": D1, "$identified_id": "grace"}},
    {"event": "$create_alias", "properties": {"alias": "early", "distinct_id": "ada"}},
    {"event": "$identify", "properties": {"$anon_id": D2, "$identified_id": "grace"}},
    {"event": "$identify", "properties": {"$anon_id": D1, "$identified_id": "ada"}},
]
ANSWER = f"""\
canonical   ada
members     3 IDs, in the order in which they became known
  early
  {D1}
  ada
links       2 links built the cluster, 1 changed nothing
  f.ndjson:2  identify  MERGED     {D1}  ada
  f.ndjson:4  alias     MERGED     early  ada
  f.ndjson:6  identify  UNCHANGED  {D1}  ada
rejected    1 link named a member
  f.ndjson:3  identify  ANON_CLAIMED  {D1}  grace
"""


run = partial(command_line.run, "show")


@pytest.fixture(autouse=True)
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f.ndjson").write_bytes(ndjson(STORY))


@pytest.mark.parametrize("member", ["early", D1, "ada"])
def test_every_member_shows_the_same_cluster(member: str) -> None:
    assert run(member, "f.ndjson").stdout == ANSWER


def test_standard_input_is_read_twice_too() -> None:
    assert run("ada", "-", stdin=ndjson(STORY)).stdout == ANSWER.replace("f.ndjson", "<stdin>")


def test_a_cluster_without_links_says_so() -> None:
    Path("f.ndjson").write_bytes(ndjson(STORY[:1]))
    assert run("early", "f.ndjson").stdout == (
        "canonical   early\n"
        "members     1 ID, in the order in which they became known\n"
        "  early\n"
        "links       0 links built the cluster\n"
    )


def test_links_stand_in_the_order_of_the_files() -> None:
    Path("a").write_bytes(ndjson(STORY[:3]))
    Path("b").write_bytes(ndjson(STORY[3:]))
    places = [
        line.split()[0] for line in run("ada", "a", "b").stdout.splitlines() if line[:4] in ("  a:", "  b:")
    ]
    assert places == ["a:2", "b:1", "b:3", "a:3"]


def test_links_of_columns_are_shown_with_their_row() -> None:
    table = {"kind": ["merge", "merge", "alias"], "first": ["a", "c", None], "second": ["b", "d", "a"]}
    parquet.write_table(pa.table(table), "f.parquet")
    stdout = run("a", "f.parquet").stdout
    assert "  f.parquet:1  merge  MERGED  a  b\n" in stdout
    assert "  f.parquet:3  alias  MALFORMED  (missing)  a\n" in stdout
    assert "f.parquet:2" not in stdout


def test_the_policy_and_the_strategy_are_options() -> None:
    stdout = run("ada", "f.ndjson", "--anon-guard", "off", "--canonical", "first_seen").stdout
    assert stdout.startswith("canonical   early\nmembers     5 IDs")
    assert "rejected" not in stdout


def test_an_unknown_id_is_one_line_and_code_1() -> None:
    result = run("nobody", "f.ndjson", code=1)
    assert result.stdout == ""
    assert result.stderr == "idmerge: error: 'nobody' is not known: no link or event in the files names it\n"


def test_malformed_lines_are_shown_once() -> None:
    Path("f.ndjson").write_bytes(ndjson(STORY) + b"{\n")
    result = run("ada", "f.ndjson")
    assert result.stdout == ANSWER
    assert result.stderr.count("malformed: f.ndjson:7: ") == 1


def test_an_id_that_could_steer_the_terminal_is_quoted() -> None:
    Path("f.ndjson").write_bytes(
        ndjson([{"event": "$identify", "properties": {"$anon_id": D1, "$identified_id": "\x1b[2J"}}])
    )
    stdout = run(D1, "f.ndjson").stdout
    assert "\x1b" not in stdout
    assert r"'\x1b[2J'" in stdout


def test_the_accepted_links_shown_build_exactly_the_cluster() -> None:
    stated = list(events(5000, seed=2, identity_share=0.2))
    Path("f.ndjson").write_bytes(ndjson(stated))
    resolver = reference.Resolver()
    resolver.apply_events(stated)
    largest = max(resolver.mapping()["canonical_id"], key=resolver.size)
    stdout = run(largest, "f.ndjson").stdout
    links = [line for line in stdout.splitlines() if line.startswith("  f.ndjson") and "MERGED" in line]
    assert len(links) == resolver.size(largest) - 1
    assert set(resolver.members(largest)) == {name for line in links for name in line.split()[-2:]}


def test_a_directory_stands_for_the_files_in_it(tmp_path: Path) -> None:
    given = list(events(300, seed=2))
    folder = tmp_path / "in"
    folder.mkdir()
    for name, part in (("a.ndjson", given[:150]), ("b.ndjson", given[150:])):
        (folder / name).write_text("".join(f"{json.dumps(event)}\n" for event in part), encoding="utf-8")
    (folder / "c.csv").write_text("kind,first,second\nmerge,only,here\n", encoding="utf-8")
    (folder / "notes.txt").write_text("not read", encoding="utf-8")
    files = [str(folder / name) for name in ("a.ndjson", "b.ndjson", "c.csv")]

    def told(*arguments: str) -> str:
        result = CliRunner().invoke(commands, arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    assert told("show", "only", str(folder)) == told("show", "only", *files)
    assert told("resolve", str(folder)) == told("resolve", *files)
    (tmp_path / "u").write_text('{"$distinct_id": "here", "$set": {"a": 1}}', encoding="utf-8")
    updates = str(tmp_path / "u")
    by_files = told("profiles", updates, *(part for file in files for part in ("--events", file)))
    assert told("profiles", updates, "--events", str(folder)) == by_files
    assert "only" in by_files
    (tmp_path / "empty").mkdir()
    result = CliRunner().invoke(commands, ["resolve", str(tmp_path / "empty")])
    assert result.exit_code == 1
    assert "the directory holds no events: .ndjson" in result.output


def test_malformed_lines_are_counted_before_an_id_that_is_not_known() -> None:
    Path("bad").write_bytes(ndjson(STORY) + b"{\n" * 5)
    Path("empty").touch()
    lines = run("nobody", "bad", "empty", code=1).stderr.splitlines()
    assert "malformed   5 lines passed over, 2 of them not listed (--list-malformed lists all)" in lines
    assert "note        empty is empty: there is no event in it" in lines
    assert lines[-1].startswith("idmerge: error: 'nobody' is not known")
