"""Who the sender of each event was thought to be when it came (SPEC 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idmerge.files import EventBatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pyarrow as pa

    from idmerge.files import StepBatch
    from idmerge.resolver import Resolver


def followed(
    resolver: Resolver, sent: pa.Array[Any], steps: Sequence[StepBatch | EventBatch]
) -> pa.Array[Any]:
    """Apply ``steps`` to ``resolver``, and return whom each ID in ``sent`` meant before its own step."""
    import pyarrow as pa  # noqa: PLC0415

    known: list[Any] = []
    row = 0
    for piece in steps:
        count = len(piece.events) if isinstance(piece, EventBatch) else len(piece)
        own = sent.slice(row, count)
        if isinstance(piece, EventBatch):
            known.append(pa.array(followed_events(resolver, own.to_pylist(), piece.events), pa.string()))
        else:
            answers: Any = resolver.follow_steps(piece, own)
            known.extend(pa.chunked_array(answers).chunks)
        row += count
    return pa.concat_arrays(known) if known else sent.slice(0, 0)


def followed_events(
    resolver: Resolver, ids: Iterable[str | None], events: Iterable[Mapping[str, Any]]
) -> list[str | None]:
    """Apply ``events`` one after another, and return whom each one's ID in ``ids`` meant before it."""
    known = []
    for own, event in zip(ids, events, strict=True):
        known.append(None if own is None else resolver.resolve(own))
        resolver.apply(event)
    return known
