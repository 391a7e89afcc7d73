"""Killed salvages of a damaged journal: after each there is a whole journal or none.

    python -m benches.campaigns.salvages [KILLS] [--seed SEED]    default 250 kills

A salvage is killed in front of a line of Python, drawn from its first one to its last; every fourth
time from the last 170, where the finished file gets its name. What is found then under the new name
must hold every batch that was good, and one more salvage must go through, or be refused because the
name is taken, with nothing left beside it.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import sys
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benches.campaigns.flips import make
from benches.support.campaign import campaign_options, run_campaign
from idmerge import DurableResolver
from idmerge.journal.verify import Verdict, salvage, verify

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

KILLS = 250
END = 170
"""Lines, the last ones of a salvage, that are aimed at apart."""


class AtLine:
    """Counts lines, and kills the process at the one with this number."""

    def __init__(self, number: int | None) -> None:
        self.lines = 0
        self._number = number

    def __call__(self, _frame: FrameType, event: str, _: Any) -> AtLine:
        """Count a line."""
        if event == "line":
            if self.lines == self._number:
                os.kill(os.getpid(), signal.SIGKILL)
            self.lines += 1
        return self


def damage(path: Path) -> Verdict:
    """Make a journal with a damaged batch, and return what is good of it."""
    make(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE batches SET steps = steps + 1 WHERE number = (SELECT max(number) - 3 FROM batches)"
        )
    verdict = verify(path)
    assert verdict.damage is not None
    assert verdict.batches > 0
    return verdict


def kill(kills: int, folder: Path, seed: int = 0) -> Counter[str]:
    """Kill so many salvages, and return what they left behind.

    Raises:
        AssertionError: It is a part of a journal.
    """
    counts: Counter[str] = Counter()
    old, new = folder / "old", folder / "new"
    verdict = damage(old)
    _counted(old, new, verdict)  # What it imports and caches is there from now on.
    at, expected = _counted(old, new, verdict)
    drawn = random.Random(seed)
    while (number := counts["kills"]) < kills:
        # One in four behind the last batch, where the file gets its name.
        first = at.lines - END if number % 4 == 0 else 0
        if not _is_killed(old, new, verdict, drawn.randrange(first, at.lines)):
            counts["ended before"] += 1
            for path in folder.glob("new*"):
                path.unlink()
            continue
        counts["kills"] += 1
        if os.path.lexists(new):
            counts["whole"] += 1
            if _found(new, verdict) != expected:
                raise AssertionError(f"kill {number}: {new} is another journal")
            with suppress(FileExistsError):
                salvage(old, new, verdict)
                raise AssertionError(f"kill {number}: {new} was written over")
        else:
            counts["none"] += 1
            salvage(old, new, verdict)
            if _found(new, verdict) != expected:
                raise AssertionError(f"kill {number}: {new} is another journal when it is salvaged again")
        if left := [path.name for path in folder.glob(".*")]:
            raise AssertionError(f"kill {number}: {left} is left")
        for path in folder.glob("new*"):
            path.unlink()
    counts["lines"] = at.lines
    return counts


def _counted(old: Path, new: Path, verdict: Verdict) -> tuple[AtLine, Any]:
    """Count the lines of a salvage; return them, and what it made, which is removed."""
    at = AtLine(None)
    sys.settrace(at)
    try:
        salvage(old, new, verdict)
    finally:
        sys.settrace(None)
    found = _found(new, verdict)
    for path in new.parent.glob("new*"):
        path.unlink()
    return at, found


def _is_killed(old: Path, new: Path, verdict: Verdict, line: int) -> bool:
    child = os.fork()
    if child == 0:
        sys.settrace(AtLine(line))
        salvage(old, new, verdict)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _found(path: Path, verdict: Verdict) -> Any:
    again = verify(path)
    if again.damage is not None or again.batches != verdict.batches:
        raise AssertionError(f"{path}: {again} was salvaged of {verdict}")
    with DurableResolver.open(path) as resolver:
        return [resolver.mapping().to_pydict(), resolver.position, resolver.offsets, resolver.stats()]


def main(arguments: Sequence[str]) -> int:
    """Print the counts as JSON; return 1 if something did not hold."""
    chosen = campaign_options("salvages", __doc__, "kills", KILLS).parse_args(arguments)
    return run_campaign(lambda folder: (kill(chosen.kills, folder, chosen.seed), []), chosen)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
