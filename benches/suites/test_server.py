"""The speed of a server, for a moment: every figure is there, and what was acknowledged is kept."""

from __future__ import annotations

import sys

import pytest

from benches.reports.server import UNITS, run
from benches.support import http_load

pytest.importorskip("uvicorn", reason="the extra serve is not installed")
pytest.importorskip("httptools", reason="the extra serve is not installed")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")


def test_every_figure_is_there_and_the_answers_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_load.shutil, "which", lambda _name: None)  # As where wrk is not installed.
    said: list[str] = []
    [figures] = run(0.3, 1, 0, said.append)
    assert set(figures) == set(UNITS)
    assert all(value > 0 for value in figures.values())
    assert said[-1].endswith("acknowledged events are there, and the mapping is the reference's")


def test_what_wrk_prints_is_read() -> None:
    printed = (
        "Running 1s test @ http://127.0.0.1:1\n  Latency Distribution\n     50%  784.00us\n"
        "     75%    1.10ms\n     90%    2.00ms\n     99%    7.71ms\n  27174 requests in 1.10s, 3.19MB read\n"
    )
    load = http_load._read(printed)
    assert (load.requests, load.p50, load.p99) == (27174, 0.784, 7.71)
    assert load.rate == pytest.approx(24703.6, rel=1e-3)
    with pytest.raises(ValueError, match="requests failed"):
        http_load._read(printed + "  Non-2xx or 3xx responses: 5\n")
