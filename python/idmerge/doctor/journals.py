"""The links of a journal, in their order: its batches' blocks, read as the core wrote them.

A block is a stream of Arrow IPC. Texts have a form (0 a UUID, 1 one after `$device:`, 2 other text, 3 and 4
forgotten) and bytes; steps a code (its lower half the kind or the act, its upper half the outcome) and two
numbers of IDs.
"""

from __future__ import annotations

import uuid
from contextlib import closing
from typing import TYPE_CHECKING, Any

from idmerge import Kind, Outcome
from idmerge.errors import JournalError
from idmerge.files.opening import import_pyarrow
from idmerge.journal import open_journal
from idmerge.journal.outline import Outline
from idmerge.policy import DEVICE_PREFIX

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from idmerge import DurableResolver

TRACKED_MERGE, OBSERVE = 3, 4
KINDS = {kind.value: kind for kind in Kind} | {TRACKED_MERGE: Kind.MERGE}

RecordedLink = tuple[Kind, str | None, str | None, Outcome, int]
"""Kind, operands (None where one was refused as an ID, or is forgotten), outcome, position."""


def recorded_links(path: str | os.PathLike[str], resolver: DurableResolver) -> Iterator[RecordedLink]:
    """Yield the links at ``path`` that are not taken back, up to where ``resolver`` has read the journal.

    Texts are the resolver's: the journal keeps those of forgotten IDs until it is compacted.
    """
    end = resolver.seq
    with closing(open_journal(path, create=False, read_only=True)) as journal:
        retracted = Outline(journal).retracted(end)
        texts: list[str | None] = []
        for batch in journal.batches():
            if batch.seq >= end:
                return
            if not batch.block:
                continue
            texts += _texts(resolver._texts_block(batch.first_id, batch.end_id))
            position = batch.seq
            for code, first, second in _rows(batch.block, ("code", "first", "second")):
                if code & 0xF == OBSERVE:
                    continue
                kind = KINDS.get(code & 0xF)
                if kind is not None and position not in retracted:
                    left, right = (texts[n] if n < len(texts) else None for n in (first, second))
                    yield kind, left, right, Outcome(code >> 4), position
                position += 1


def _texts(block: bytes) -> Iterator[str | None]:
    for form, text in _rows(block, ("form", "bytes")):
        if text is None:
            yield None
        elif form <= 1:
            yield (DEVICE_PREFIX if form else "") + str(uuid.UUID(bytes=text))
        else:
            yield text.decode()


def _rows(block: bytes, names: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    if not block:
        return iter(())
    arrow = import_pyarrow("reading a journal's links")
    import pyarrow.ipc  # noqa: F401, PLC0415 - a part that pyarrow does not load by itself

    try:
        with arrow.ipc.open_stream(block) as reader:
            table = reader.read_all()
        table.validate(full=True)
    except (arrow.ArrowException, OSError) as error:
        raise JournalError(
            f"a block of the journal is damaged ({error}); idmerge verify tells what is whole"
        ) from error
    return zip(*(table[name].to_pylist() for name in names), strict=True)
