"""Fixtures of the tests of servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from live_server import Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    """A server in a process of its own, with a new directory."""
    with serving(tmp_path / "served") as served:
        yield served
