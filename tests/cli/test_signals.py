"""Signals: Ctrl-C, SIGTERM and SIGHUP end a command in one line, with an exit code each."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from idmerge import DurableResolver
from idmerge.testing import events as workload

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc says when a process handles signals")

ENDINGS = [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated"), (signal.SIGHUP, "hung up")]
IDMERGE = [sys.executable, "-m", "idmerge"]
PATIENCE = 30


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = "".join(f"{json.dumps(event)}\n" for event in workload(2000, seed=3))
    Path("events.ndjson").write_text(lines, encoding="utf-8")
    Path("copies").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "copies"))


def names() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*"))


@contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command whose standard input stays open, and end it in any case."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(condition: Any, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    _, stderr = process.communicate(timeout=PATIENCE)
    return process.returncode, stderr.decode()


WAITING = {
    "resolve": ["resolve", "-", "-o", "out.csv", "--rejected", "rejected.csv"],
    "stitch": ["stitch", "events.ndjson", "-", "-o", "out.parquet"],
    "show": ["show", "x", "-"],
    "doctor": ["doctor", "-", "-o", "out.html", "--format", "html"],
    "profiles": ["profiles", "-", "--events", "events.ndjson", "-o", "out.csv", "--store", "store"],
    "ask": ["ask", "signup-rate", "events.ndjson", "-", "-o", "out.csv"],
    "generate": ["generate", "--events", "100000000", "-o", "out.ndjson"],
    "bench": ["bench", "--ids", "3000000", "-o", "out.json"],
}
"""Commands that are not done soon; most wait for standard input."""


@pytest.mark.parametrize(
    ("command", "number", "word"),
    [
        *(("resolve", *ending) for ending in ENDINGS),
        *((command, *ending) for command, ending in zip([*WAITING][1:], ENDINGS * 3, strict=False)),
    ],
)
def test_every_command_that_is_stopped_says_so_in_one_line_and_leaves_nothing(
    command: str, number: signal.Signals, word: str
) -> None:
    before = names()
    with running([*IDMERGE, *WAITING[command]]) as process:
        assert process.stdin is not None
        if command not in {"generate", "bench"}:
            process.stdin.write(b'{"event": "x"}\n')
            process.stdin.flush()
        wait_for(lambda: is_begun(process), process)
        time.sleep(0.5)
        process.send_signal(number)
        code, stderr = ended(process)
    assert code == 128 + number
    assert stderr.splitlines()[-1] == f"idmerge: {word}"
    assert "Traceback" not in stderr
    assert [line for line in stderr.splitlines() if not line.startswith("malformed: ")] == [
        f"idmerge: {word}"
    ]
    assert [name for name in names() if name != "store-writer"] == before  # A lock's file stays.


DOING = """
import os, signal, sys, threading, time
from idmerge.cli import main
{}
sys.argv = ["idmerge", *sys.argv[1:]]
main()
"""


def patched(patch: str, *arguments: str) -> list[str]:
    """Return a command of which something is replaced."""
    return [sys.executable, "-c", DOING.format(patch), *arguments]


def test_what_is_ignored_stays_ignored() -> None:
    for number, word in ENDINGS:
        ignoring = f"signal.signal({int(number)}, signal.SIG_IGN)"
        with running(patched(ignoring, "resolve", "-")) as process:
            assert process.stdin is not None
            wait_for(lambda: is_begun(process), process)
            process.send_signal(number)
            process.stdin.write(b'{"event": "x"}\n')
            process.stdin.close()
            assert process.stderr is not None
            stderr = process.stderr.read().decode()
        assert process.returncode == 0
        assert word not in stderr


SLOW_CLEANUP = """
from idmerge.files import temporary
original, finished = temporary._finish, []
def slow(*given):
    if finished:  # The output was checked: its names were made once, and removed.
        print("cleaning", flush=True)
        time.sleep({})
    finished.append(given)
    original(*given)
temporary._finish = slow
"""


def test_a_second_signal_at_once_does_not_disturb_the_cleaning_up() -> None:
    before = names()
    patch = SLOW_CLEANUP.format(0.5)
    with running(patched(patch, "resolve", "-", "-o", "out.csv")) as process:
        wait_for(lambda: is_begun(process) and len(names()) == len(before) + 2, process)
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert process.stdout.readline() == b"cleaning\n"
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process.send_signal(number)
        code, stderr = ended(process)
    assert (code, stderr) == (130, "idmerge: interrupted\n")
    assert names() == before


def test_a_second_signal_later_ends_a_command_that_does_not_come_to_an_end() -> None:
    before = names()
    patch = SLOW_CLEANUP.format(1000)
    with running(patched(patch, "resolve", "-", "-o", "out.csv")) as process:
        wait_for(lambda: is_begun(process) and len(names()) == len(before) + 2, process)
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        assert process.stdout.readline() == b"cleaning\n"
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        code, stderr = ended(process)
    assert (code, stderr) == (143, "idmerge: terminated\n")
    assert len(names()) == len(before) + 2
    subprocess.run([*IDMERGE, "resolve", "events.ndjson", "-o", "out.csv"], check=True, capture_output=True)
    assert names() == sorted([*before, "out.csv"])


LOSING = """
from idmerge.files import blocks
class Losing:
    def __del__(self):
        print("losing", flush=True)
        time.sleep(0.5)
from idmerge.cli.commands import resolve
original = resolve._read_all
def losing(*given, **named):
    Losing()
    time.sleep(1000)
resolve._read_all = losing
"""


def test_a_signal_that_a_destructor_loses_comes_again() -> None:
    before = names()
    with running(patched(LOSING, "resolve", "events.ndjson", "-o", "out.csv")) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"losing\n"
        process.send_signal(signal.SIGTERM)
        assert ended(process) == (143, "idmerge: terminated\n")
    assert names() == before


QUERY = """
from idmerge.questions import SignupRate
def statement(*_):
    print("running", flush=True)
    return "SELECT count(*) FROM range(1000000000000)"
SignupRate.statement = statement
"""


@pytest.mark.parametrize(("number", "word"), ENDINGS)
def test_a_query_of_duckdb_is_stopped(number: signal.Signals, word: str) -> None:
    before = names()
    with running(patched(QUERY, "ask", "signup-rate", "events.ndjson", "-o", "out.csv")) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"running\n"
        time.sleep(0.2)
        process.send_signal(number)
        code, stderr = ended(process)
    assert code == 128 + number
    assert [line for line in stderr.splitlines() if not line.startswith("note ")] == [f"idmerge: {word}"]
    assert names() == before


SLOW_SCAN = """
from idmerge.files import blocks
from idmerge.cli.commands import resolve
resolve.COMMIT_EVERY = {}
blocks.BLOCK = 20_000
original = resolve._report
def slow(*given):
    original(*given)
    print("read", flush=True)
    time.sleep(0.2)
resolve._report = slow
"""


@pytest.mark.parametrize("every", [1, 100_000])
def test_an_interrupted_run_says_what_the_journal_keeps(every: int) -> None:
    patch = SLOW_SCAN.format(every)
    arguments = ["resolve", "events.ndjson", "--journal", "j.idmerge", "-o", "out.csv"]
    with running(patched(patch, *arguments)) as process:
        assert process.stdout is not None
        for _ in range(5):
            assert process.stdout.readline() == b"read\n"
        process.send_signal(signal.SIGTERM)
        code, stderr = ended(process)
    with DurableResolver.open("j.idmerge", read_only=True) as resolver:
        kept = resolver.position
    assert code == 143
    (line,) = stderr.splitlines()
    said = f"{kept:,} links and acts so far" if every == 1 else "what it held before"
    assert line == f"idmerge: terminated; the journal keeps {said}; repeat the run to add the rest"
    assert (kept > 0) == (every == 1)
    assert not Path("out.csv").exists()
    subprocess.run([*IDMERGE, *arguments], check=True, capture_output=True)
    subprocess.run([*IDMERGE, "resolve", "events.ndjson", "-o", "all.csv"], check=True, capture_output=True)
    assert Path("out.csv").read_bytes() == Path("all.csv").read_bytes()


def is_begun(process: subprocess.Popen[bytes]) -> bool:
    """Return whether the command has handlers of its own, or ignores what they would handle."""
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{process.pid}/status").read_text("utf-8").splitlines()
    )
    handled = int(status["SigCgt"], 16) | int(status["SigIgn"], 16)
    return all(handled >> (number - 1) & 1 for number, _ in ENDINGS)
