"""What tests of stitching share."""

from __future__ import annotations

import pytest

from idmerge.files import blocks
from idmerge.stitching import encoding


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row groups of 20 events, from blocks of 2,000 bytes."""
    monkeypatch.setattr(blocks, "BLOCK", 2000)
    monkeypatch.setattr(encoding, "ROWS", 20)
