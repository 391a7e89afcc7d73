"""Killed writers to a journal: after each kill the journal is read back and compared.

    python -m benches.campaigns.crashes [KILLS] [--seed SEED]    default 300 kills

The kills come at random moments: while a journal is made or opened, while batches of links,
observations and acts are written with offsets, some of them in several blocks and some while there
is more to come, while they are copied from the write-ahead log into the file, while checkpoints are
written and while the journal is compacted. Each process goes on where the one before was killed.
What is read back must be whole batches, all that were acknowledged and at most one more, and say
what a resolver says that took the same batches and was never interrupted.
"""

from __future__ import annotations

import os
import random
import select
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from benches.campaigns.journal_writer import (
    COMPACTING,
    OPENED,
    POLICY,
    READY,
    next_number,
    offsets_of,
    take_batch,
)
from benches.support.campaign import campaign_options, run_campaign
from benches.support.paths import ROOT
from idmerge import DurableResolver

KILLS = 300
_KILLS_A_JOURNAL = (1, 1, 4, 20)
"""Writers killed on one journal, drawn: a new journal dies early, an old one holds more."""
_SECONDS = {OPENED: 0.03, "": 0.1, COMPACTING: 0.02}
"""Seconds at most that a process lives after it began a stage: opening, writing, compacting."""
_PATIENCE = 300.0


class Writer:
    """A process that waits for the path of a journal to write to."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "benches.campaigns.journal_writer"]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self._said = b""

    def killed(self, path: Path, stage: str, after: float) -> list[str]:
        """Let it write until so many seconds after a stage began, and return what it said."""
        assert self._process.stdin is not None
        self._read_until(READY)
        self._process.stdin.write(f"{path}\n".encode())
        if stage != OPENED:
            self._read_until(stage or OPENED)
        self._read_until(None, monotonic() + after)
        return self.stopped()

    def stopped(self) -> list[str]:
        """Kill it and return what it said."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.kill()
        self._said += self._process.stdout.read()
        self._process.stdin.close()
        self._process.stdout.close()
        if (code := self._process.wait()) != -9:
            raise AssertionError(f"the writer ended by itself, with code {code}")
        return self._said.decode().split("\n")[1:-1]

    def _read_until(self, word: str | None, deadline: float | None = None) -> None:
        assert self._process.stdout is not None
        end = deadline or monotonic() + _PATIENCE
        while word is None or word not in self._said.decode().split("\n")[:-1]:
            readable, _, _ = select.select([self._process.stdout], [], [], max(0.0, end - monotonic()))
            if readable and not (said := os.read(self._process.stdout.fileno(), 65_536)):
                raise AssertionError(f"the writer ended by itself, after {self._said!r}")
            if not readable and deadline is None:
                raise AssertionError(f"the writer did not come to {word}")
            if not readable:
                return
            self._said += said


def crash(kills: int, directory: Path, seed: int = 0) -> Counter[str]:
    """Kill so many writers; return how many were killed when, and how many batches they wrote.

    Raises:
        AssertionError: A journal did not hold what was committed.
    """
    drawn = random.Random(seed)
    counts: Counter[str] = Counter()
    spare = Writer()
    try:
        while counts["kills"] < kills:
            counts["journals"] += 1
            path = directory / f"journal {counts['journals']}"
            with DurableResolver.open(":memory:", POLICY) as expected:
                written = -1
                for turn in range(min(drawn.choice(_KILLS_A_JOURNAL), kills - counts["kills"])):
                    stage = drawn.choice((OPENED, "", "", COMPACTING)) if turn else OPENED
                    counts["kills"] += 1
                    writer, spare = spare, Writer()
                    was_there = path.exists()
                    said = writer.killed(path, stage, drawn.uniform(0, _SECONDS[stage]))
                    acknowledged = max([written, *(int(word) for word in said if word.isdigit())])
                    counts[_when(said, was_there=was_there)] += 1
                    written = _check(path, acknowledged, expected)
                counts["batches"] += written + 1
    finally:
        spare.stopped()
    return counts


def _when(said: list[str], *, was_there: bool) -> str:
    if not said:
        return "opening" if was_there else "making"
    return "compacting" if said[-1] == COMPACTING else "writing"


def _check(path: Path, acknowledged: int, expected: DurableResolver) -> int:
    """Return the number of the last batch in a copy of the journal, which must be as committed."""
    with tempfile.TemporaryDirectory(dir=path.parent) as directory:
        for file in path.parent.glob(f"{path.name}*"):
            if not file.name.endswith("-shm"):
                shutil.copy(file, directory)
        with DurableResolver.open(Path(directory) / path.name, POLICY) as found:
            written = next_number(found) - 1
            if not acknowledged <= written <= acknowledged + 1:
                raise AssertionError(f"{path}: {acknowledged} was acknowledged, {written} is there")
            for number in range(next_number(expected), written + 1):
                take_batch(expected, number)
                expected.commit(offsets_of(number))
            if _said_by(found) != _said_by(expected):
                raise AssertionError(f"{path}: it is not what it was after batch {written}")
    return written


def _said_by(resolver: DurableResolver) -> list[Any]:
    tables = [resolver.mapping().to_pydict(), resolver.changes(0).to_pydict()]
    return [*tables, resolver.position, resolver.stats(), resolver.offsets]


def main(arguments: Sequence[str]) -> int:
    """Print the counts as JSON; return 1 if something did not hold."""
    chosen = campaign_options("crashes", __doc__, "kills", KILLS).parse_args(arguments)
    return run_campaign(lambda folder: (crash(chosen.kills, folder, chosen.seed), []), chosen)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
