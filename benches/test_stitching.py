"""Stitching beside DuckDB's join: it runs, and the answers agree; `benches/stitching.py` says what each does."""

from __future__ import annotations

import pytest

from benches.stitching import main


def test_stitching_agrees_with_the_reference_and_with_a_join(capsys: pytest.CaptureFixture[str]) -> None:
    main(20_000, 1)
    assert "200 rows as the reference has them" in capsys.readouterr().out
