"""Events as Mixpanel's APIs show them: under the canonical ID of now, with the time in seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from idmerge._json_decoding import decoded_or_none
from idmerge.events import SENT_ID, VERDICTS
from idmerge.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from idmerge.resolver import Resolver

_NOT_SHOWN = frozenset({"token", "time", "distinct_id", SENT_ID})


def shown(table: pa.Table, resolver: Resolver) -> Iterator[dict[str, Any]]:
    """Yield stored events (`idmerge.server.store.columns`), each with its ``properties``.

    Its ``distinct_id`` is the canonical ID of its sender; the ID that was sent stands beside it if
    that is another one. An event whose link was refused has the reason, as Mixpanel has it.
    """
    senders = table.column("distinct_id").combine_chunks()
    columns = [table.column(name).to_pylist() for name in ("event", "properties", "source", "outcome")]
    moments = [table.column(name).cast(pa.int64()).to_pylist() for name in ("time", "received")]
    people: Any = resolver.resolve_many(senders)
    rows = zip(*columns, *moments, senders.to_pylist(), people.to_pylist(), strict=True)
    for name, text, source, outcome, time, received, sent, canonical in rows:
        properties: dict[str, Any] = {"time": time // 1000}
        if sent is not None:
            properties["distinct_id"] = canonical
            if canonical != sent:
                properties[SENT_ID] = sent
        stated = decoded_or_none(text) or {}
        properties |= {key: value for key, value in stated.items() if key not in _NOT_SHOWN}
        properties["mp_processing_time_ms"] = received
        if source == "import":
            properties["$import"] = True
        if outcome is not None and not any(properties.get(key) for key in VERDICTS):
            properties[VERDICTS[0]] = Outcome[outcome].failure_reason or outcome
        yield {"event": name, "properties": properties}
