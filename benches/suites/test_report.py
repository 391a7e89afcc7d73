"""The recorded run, the tables made of it and the charts belong together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benches.reports.performance import CHARTS, DOCUMENT, RECORD
from benches.reports.tables import filled


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads(RECORD.read_text("utf-8"))
    return recorded


def test_the_document_shows_the_recorded_run(figures: dict[str, Any]) -> None:
    document = DOCUMENT.read_text("utf-8")
    assert filled(document, figures) == document


def test_a_document_without_a_marker_is_refused(figures: dict[str, Any]) -> None:
    document = DOCUMENT.read_text("utf-8").replace("<!-- generated: limits -->", "")
    with pytest.raises(ValueError, match="generated: limits.*once, found it 0 times"):
        filled(document, figures)


def test_every_chart_can_be_drawn_and_stands_in_the_document(figures: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from benches.reports import charts

    charts.draw_all(figures, tmp_path)
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == {f"{name}.svg" for name in charts.CHARTS}
    shown = DOCUMENT.read_text("utf-8")
    assert all(f"](charts/{path.name})" in shown for path in CHARTS.iterdir())
    assert drawn <= {path.name for path in CHARTS.iterdir()}
