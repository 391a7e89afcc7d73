"""Calls whose standard output or standard error was closed before they began."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from command_line import ndjson
from idmerge import DurableResolver
from idmerge.testing import events

CALLS = [
    ["generate", "--events", "10", "-o", "g.ndjson"],
    ["resolve", "f.ndjson", "-o", "m.csv"],
    ["stitch", "f.ndjson", "-o", "s.parquet"],
    ["ask", "signup-rate", "f.ndjson"],
    ["doctor", "f.ndjson"],
    ["show", "user-1001", "f.ndjson"],
    ["show", "a", "ids"],
    ["why", "a", "b", "ids"],
    ["journal", "ids"],
    ["verify", "ids"],
    ["mapping", "ids", "-o", "m.csv"],
    ["bench", "--ids", "100"],
    ["--version"],
]


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f.ndjson").write_bytes(ndjson(events(300, seed=3)) + b"{\n")
    with DurableResolver.open("ids") as resolver:
        resolver.merge("a", "b")
        resolver.commit()


def run(call: list[str], closed: str) -> subprocess.CompletedProcess[bytes]:
    """Run ``idmerge CALL`` with a redirection of the shell's that closes streams."""
    command = ["sh", "-c", f'exec "$0" "$@" {closed}', sys.executable, "-m", "idmerge", *call]
    return subprocess.run(command, capture_output=True, check=False)


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_a_command_does_without_a_stream_that_is_closed(call: list[str]) -> None:
    usual = run(call, "")
    assert usual.returncode == 0, usual.stderr
    for closed in ("2>&-", ">&-", ">&- 2>&-"):
        result = run(call, closed)
        assert result.returncode == 0, (closed, result.stderr)
        assert b"Traceback" not in result.stdout + result.stderr
        if closed == "2>&-" and call[0] != "bench":  # Whose figures differ.
            assert result.stdout == usual.stdout


@pytest.mark.parametrize("call", [["mapping", "ids"], ["resolve", "f.ndjson"], ["generate"]], ids=" ".join)
def test_data_for_a_closed_standard_output_are_an_error_that_names_the_option(call: list[str]) -> None:
    result = run(call, ">&-")
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last == b"idmerge: error: standard output is closed; name a file by -o"
    assert b"Traceback" not in result.stderr


def test_an_error_with_a_closed_standard_error_is_an_exit_code() -> None:
    for closed in ("2>&-", ">&- 2>&-"):
        assert run(["show", "nobody", "f.ndjson"], closed).returncode == 1
        assert run(["show", "--no-such-option"], closed).returncode == 2
