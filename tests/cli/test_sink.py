"""``idmerge sink``: deliveries of a journal, once and again and again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benches.support.sink_rows import mapping, rows_of_duckdb, rows_of_files
from command_line import run
from idmerge import DurableResolver
from idmerge.server.server import Server

IDS = "ids.idmerge"


@pytest.fixture(autouse=True)
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    link("ana", "crm-17")


def link(one: str, other: str) -> dict[str, str]:
    """Commit a merge, and return the mapping."""
    with DurableResolver.open(IDS) as resolver:
        resolver.merge(one, other)
        resolver.commit()
        return mapping(resolver)


def test_the_first_delivery_is_whole_and_the_next_one_what_changed() -> None:
    first = run("sink", IDS, "duckdb:copy.duckdb")
    assert (first.stdout, first.stderr) == (
        "",
        "the whole mapping: 2 rows; the target is as of position 1\n",
    )
    expected = link("ben", "crm-18")
    assert (
        run("sink", IDS, "duckdb:copy.duckdb").stderr == "changes: 2 rows; the target is as of position 2\n"
    )
    assert rows_of_duckdb(Path("copy.duckdb")) == expected
    again = run("sink", IDS, "duckdb:copy.duckdb")
    assert again.stderr == "nothing has changed; the target is as of position 2\n"
    whole = run("sink", IDS, "duckdb:copy.duckdb", "--restart")
    assert whole.stderr == "the whole mapping: 4 rows; the target is as of position 2\n"


def test_the_summary_under_json_is_an_object() -> None:
    told = json.loads(run("sink", IDS, "ndjson:copy", "--json").stdout)
    assert {**told, "seconds": 0} == {
        "command": "sink",
        "is_whole": True,
        "rows": 2,
        "left_out": 0,
        "position": 1,
        "seconds": 0,
        "notes": [],
    }


def test_the_journal_of_a_server_is_delivered() -> None:
    with Server("served"):
        pass
    with DurableResolver.open("served/ids.idmerge") as resolver:
        resolver.merge("ana", "crm-17")
        resolver.commit()
    run("sink", "served", "ndjson:copy", "--project", "main")
    assert rows_of_files(Path("copy")) == {"ana": "ana", "crm-17": "ana"}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["ftp://me:s3cret@host/x"], "idmerge: error: 'ftp://me@host/x' is no target of a sink; expected "),
        (["parquet:copy", "--table", "ids"], "idmerge: error: a target parquet:… has no table; leave it out"),
        (["duckdb:missing/copy.duckdb"], "there is no such directory"),
        (["https://host/x"], "a directory for it is needed: --state DIRECTORY"),
    ],
)
def test_what_is_wrong_with_a_target_is_one_line(arguments: list[str], reason: str) -> None:
    result = run("sink", IDS, *arguments, code=1)
    assert reason in result.stderr
    assert "s3cret" not in result.stderr
    assert result.stderr.count("\n") == 1


def test_another_journal_is_refused_with_the_way_out() -> None:
    run("sink", IDS, "ndjson:copy")
    with DurableResolver.open("other.idmerge") as resolver:
        resolver.merge("ben", "crm-18")
        resolver.commit()
    assert "begin anew by --restart" in run("sink", "other.idmerge", "ndjson:copy", code=1).stderr
    run("sink", "other.idmerge", "ndjson:copy", "--restart")
    assert rows_of_files(Path("copy")) == {"ben": "ben", "crm-18": "ben"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_follow_delivers_what_a_writer_commits_until_a_signal_comes(number: int) -> None:
    command = [sys.executable, "-m", "idmerge", "sink", IDS, "ndjson:copy", "--follow", "--interval", "0.05"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("the whole mapping: 2 rows")
        expected = link("ben", "crm-18")
        assert process.stderr.readline().startswith("changes: 2 rows")
        assert rows_of_files(Path("copy")) == expected
        process.send_signal(number)
        assert process.wait(60) == 0


def test_follow_says_once_why_a_target_cannot_be_reached_and_tries_again() -> None:
    Path("copy").write_text("in the way")
    command = [sys.executable, "-m", "idmerge", "sink", IDS, "ndjson:copy", "--follow", "--interval", "0.05"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.startswith("idmerge: warning: ")
        assert line.endswith("; trying again\n")
        time.sleep(1.5)  # The second try.
        Path("copy").unlink()
        assert process.stderr.readline().startswith("the whole mapping: 2 rows")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
