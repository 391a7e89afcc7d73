"""Killed writers: the journal holds every commit that was acknowledged, and whole batches only."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from benches.campaigns.crashes import crash

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nobody can be killed by a signal there")


STAGES = ("making", "opening", "writing", "compacting")


def test_after_every_kill_the_journal_holds_the_batches_that_were_committed(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    for seed in range(1, 6):
        (tmp_path / str(seed)).mkdir()
        counts += crash(40, tmp_path / str(seed), seed)
        if all(counts[stage] for stage in STAGES):  # When a kill comes is up to the machine.
            break
    assert counts["batches"] > 40
    assert all(counts[stage] for stage in STAGES)
