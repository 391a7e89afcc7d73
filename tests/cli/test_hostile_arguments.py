"""Awkward targets and options of the command line: each once did damage or gave a traceback."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from idmerge.cli.group import commands

MERGE = {"event": "$merge", "properties": {"$distinct_ids": ["a", "b"]}}


@pytest.fixture(autouse=True)
def in_a_folder_with_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("e.ndjson").write_text(json.dumps(MERGE) + "\n", encoding="utf-8")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(commands, arguments, prog_name="idmerge")


def test_an_old_output_passes_on_its_permissions() -> None:
    Path("m.csv").touch()
    Path("m.csv").chmod(0o600)
    assert run("resolve", "e.ndjson", "-o", "m.csv").exit_code == 0
    assert Path("m.csv").stat().st_mode & 0o777 == 0o600
    assert Path("m.csv").read_text(encoding="utf-8").endswith("a,a,2\nb,a,2\n")


def test_a_named_pipe_is_written_as_it_is() -> None:
    os.mkfifo("p.csv")
    read: list[str] = []
    reader = threading.Thread(
        target=lambda: read.append(Path("p.csv").read_text(encoding="utf-8")), daemon=True
    )
    reader.start()
    assert run("resolve", "e.ndjson", "-o", "p.csv").exit_code == 0
    reader.join(timeout=30)
    assert read == ["distinct_id,canonical_id,cluster_size\na,a,2\nb,a,2\n"]
    assert Path("p.csv").is_fifo()


def test_a_folder_as_output_is_refused_by_its_own_name() -> None:
    Path("d.csv").mkdir()
    result = run("resolve", "e.ndjson", "-o", "d.csv")
    assert (result.exit_code, result.stderr) == (1, "idmerge: error: d.csv: Is a directory\n")


def test_a_name_that_is_all_suffix_names_its_format() -> None:
    assert run("resolve", "e.ndjson", "-o", ".csv").exit_code == 0
    assert Path(".csv").read_text(encoding="utf-8").startswith("distinct_id,")


def test_the_list_of_blocked_ids_is_not_written_over() -> None:
    Path("b.csv").write_text("x\n", encoding="utf-8")
    result = run("resolve", "e.ndjson", "--blocked-ids", "b.csv", "-o", "b.csv")
    assert (result.exit_code, Path("b.csv").read_text(encoding="utf-8")) == (2, "x\n")


def test_a_giant_limit_is_no_limit() -> None:
    assert run("resolve", "e.ndjson", "--max-cluster-size", "9" * 60).exit_code == 0


def test_a_share_that_is_no_number_is_a_usage_error() -> None:
    assert run("generate", "--identity-share", "nan").exit_code == 2


def test_a_malformed_event_shows_the_operand_that_it_has() -> None:
    stated: dict[str, Any] = {"event": "$identify", "properties": {"$anon_id": "a", "$identified_id": None}}
    Path("e.ndjson").write_text(f"{json.dumps(MERGE)}\n{json.dumps(stated)}\n", encoding="utf-8")
    assert run("resolve", "e.ndjson", "--rejected", "r.csv").exit_code == 0
    assert Path("r.csv").read_text(encoding="utf-8").splitlines()[1:] == ["e.ndjson,2,identify,a,,MALFORMED,"]
    assert "e.ndjson:2  identify  MALFORMED" in run("show", "b", "e.ndjson").stdout


def test_an_environment_variable_that_means_nothing_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("IDMERGE_THREADS", "many")
    result = run("resolve", "e.ndjson")
    assert result.exit_code == 1
    assert result.stderr == "idmerge: error: IDMERGE_THREADS must be a positive integer, got 'many'\n"
