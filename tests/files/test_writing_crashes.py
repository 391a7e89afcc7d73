"""Killed writers of outputs: the old or the new output is whole, and the next writer cleans up."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from paths import ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nobody can be killed by a signal there")


def test_after_every_death_the_output_is_whole_and_the_next_writer_leaves_nothing() -> None:
    # A process of its own, for this one has threads, which do not bear to be forked.
    command = [sys.executable, "-m", "benches.campaigns.outputs", "10", "--step", "30"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts["kills at a line"] > 20
    assert counts["interrupts at a line"] > 40
    assert counts["left over"] > 10
