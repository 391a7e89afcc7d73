"""Records for tests of the server's log, and events as their lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from idmerge.server.log.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from idmerge.events import Source
    from idmerge.server.log.log import Log

NOW = 1_700_000_000_000


def record(*events: Mapping[str, Any], project: str = "main", source: Source = "import") -> Record:
    lines = "".join(json.dumps(event) + "\n" for event in events or [{"event": "Log In"}])
    return Record(project, "events", source, NOW, lines.encode())


def records() -> st.SearchStrategy[Record]:
    """Records of any kind; some lines look like frames."""
    text = st.one_of(st.binary(max_size=40), st.just(b"\xff\x00L\x01" + bytes(24)))
    return st.builds(
        Record,
        st.sampled_from(["main", "é", "x" * 255]),
        st.sampled_from(["events", "updates", "groups"]),
        st.sampled_from(["track", "import"]),
        st.integers(0, 1 << 62),
        text.map(lambda line: line + b"\n"),
    )


def kept(log: Log, offset: int = 0) -> list[Record]:
    return [one for one, _ in log.read(offset)]


def flat(appends: Iterable[Iterable[Record]]) -> list[Record]:
    return [one for append in appends for one in append]
