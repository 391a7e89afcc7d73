"""Journals that are replaced by another file while somebody follows them."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from idmerge import DurableResolver
from idmerge.sinks import open_sink
from idmerge.sinks.following import Follower, Reader


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_follower_notices_another_file_in_the_place_of_its_journal() -> None:
    for name in ("ids.idmerge", "other.idmerge"):
        with DurableResolver.open(name) as resolver:
            resolver.merge("ana", f"of {name}")
            resolver.commit()
    told: list[str] = []
    stop = threading.Event()
    follower = Follower(Reader("ids.idmerge"), lambda: open_sink("ndjson:copy"), interval=0.05)
    thread = threading.Thread(target=follower.run, args=[stop], kwargs={"on_failure": told.append})
    thread.start()
    try:
        end = time.monotonic() + 60
        while follower.state().position < 1:
            assert time.monotonic() < end
            time.sleep(0.01)
        os.replace("other.idmerge", "ids.idmerge")  # noqa: PTH105
        while not told:
            assert time.monotonic() < end
            time.sleep(0.01)
    finally:
        stop.set()
        thread.join()
    assert "it is another journal, or was put back to an earlier state" in told[0]
