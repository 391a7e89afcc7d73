"""The bar of a command that reads, on a terminal."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from rich import progress as rich_progress

from idmerge.cli.progress import progress

if TYPE_CHECKING:
    import pytest


def test_a_speed_is_shown_once_there_is_time_to_tell_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    class Kept(rich_progress.Progress):
        def __init__(self, *columns: Any, **settings: Any) -> None:
            made.extend(columns)
            super().__init__(*columns, **settings)

    monkeypatch.setattr(rich_progress, "Progress", Kept)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with progress("reading", 10**9) as bar:
        bar.advance(10**8)
    (speed,) = (column for column in made if isinstance(column, rich_progress.TransferSpeedColumn))

    def task(seconds: float) -> Any:
        return SimpleNamespace(elapsed=seconds, finished_speed=None, speed=5e8)

    assert speed.render(task(0.01)).plain == ""
    assert speed.render(task(2)).plain == "500.0 MB/s"
