"""Whoever is killed while writing to a journal leaves what was committed, and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from benches.crashes import crash

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nobody can be killed by a signal there")


def test_after_every_kill_the_journal_holds_the_batches_that_were_committed(tmp_path: Path) -> None:
    counts = crash(40, tmp_path, seed=1)
    assert counts["batches"] > 40
    assert all(counts[stage] for stage in ("making", "opening", "writing", "compacting"))
