"""Stitching beside DuckDB's join, as in `benches/peers/stitching.py`: the answers agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benches.peers.stitching import main

if TYPE_CHECKING:
    import pytest


def test_stitching_agrees_with_the_reference_and_with_a_join(capsys: pytest.CaptureFixture[str]) -> None:
    main(20_000, 1)
    assert "200 rows as the reference has them" in capsys.readouterr().out
