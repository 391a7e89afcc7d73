"""The canonical ID of each sender as of its event (SPEC 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from idmerge.files import StepBatch
    from idmerge.resolver import Resolver


def followed(resolver: Resolver, sent: pa.Array[Any], pieces: Sequence[StepBatch]) -> pa.Array[Any]:
    """Apply ``pieces`` to ``resolver``; return each ID of ``sent`` as resolved before its step."""
    import pyarrow as pa  # noqa: PLC0415

    known: list[Any] = []
    row = 0
    for piece in pieces:
        answers: Any = piece.follow(resolver, sent.slice(row, len(piece)))
        known.extend(pa.chunked_array(answers).chunks)
        row += len(piece)
    return pa.concat_arrays(known) if known else sent.slice(0, 0)
