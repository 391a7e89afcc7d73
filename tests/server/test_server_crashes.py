"""The campaign of killed servers, in short; ``python -m benches.campaigns.server_crashes`` runs more."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="the extra serve is not installed")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals end the server")


def test_killed_servers_keep_what_they_acknowledged_once(tmp_path: Path) -> None:
    from benches.campaigns.server_crashes import crash

    counts, violations = crash(6, tmp_path, seed=1)
    assert violations == []
    assert counts["kills"] == 6
    assert counts["events"] > 100
