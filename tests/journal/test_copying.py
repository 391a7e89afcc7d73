"""SQLite's write-ahead log goes into the journal's file while commits go on, so it stays small."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from idmerge import DurableResolver, Kind
from idmerge.journal import copying

if TYPE_CHECKING:
    import pytest

COMMITS = 150


def test_the_log_begins_anew_while_commits_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "LOG", 100_000)
    path, log = tmp_path / "journal", tmp_path / "journal-wal"
    largest = 0
    with DurableResolver.open(path) as r:
        for number in range(COMMITS):
            names = [f"user {number} with a long name {row}" for row in range(200)]
            r.link_many(Kind.MERGE, names[:-1], names[1:])
            r.commit()
            largest = max(largest, log.stat().st_size)
        expected = r.mapping().to_pydict()
    assert path.stat().st_size > 1_500_000
    assert largest < 1_500_000
    assert not [thread for thread in threading.enumerate() if thread.name == "idmerge-journal"]
    with DurableResolver.open(path, read_only=True) as again:
        assert again.mapping().to_pydict() == expected


def test_a_reader_in_the_middle_costs_nothing_but_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "LOG", 50_000)
    path = tmp_path / "journal"
    with DurableResolver.open(path) as r, DurableResolver.open(path, read_only=True) as reader:
        for number in range(50):
            r.link_many(Kind.MERGE, [f"a{number}-{row}" for row in range(500)], ["b"] * 500)
            r.commit()
            assert reader.refresh() == r.position
        batches = reader._journal.batches()
        next(batches)  # A snapshot that keeps the log from beginning anew.
        for number in range(50):
            r.link_many(Kind.MERGE, [f"c{number}-{row}" for row in range(500)], ["d"] * 500)
            r.commit()
        batches.close()  # type: ignore[attr-defined]
        reader.refresh()
        assert reader.mapping().to_pydict() == r.mapping().to_pydict()
