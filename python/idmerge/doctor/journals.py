"""A reader of a journal's links with their recorded outcomes."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from idmerge._steps import kind_of, states_link
from idmerge.errors import JournalError
from idmerge.journal import open_journal
from idmerge.journal.outline import Outline
from idmerge.outcome import Outcome

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from idmerge.events import Kind
    from idmerge.journal import DurableResolver

RecordedLink = tuple["Kind", str | None, str | None, Outcome, int]
"""Kind, operands (None where one was refused as an ID, or is forgotten), outcome, position."""


def recorded_links(path: str | os.PathLike[str], resolver: DurableResolver) -> Iterator[RecordedLink]:
    """Yield the links at ``path`` that hold, up to where ``resolver`` has read the journal.

    Texts are the resolver's: the journal keeps those of forgotten IDs until it is compacted.

    Raises:
        JournalError: The journal is damaged.
        OSError: It cannot be read.
    """
    end = resolver.position
    with closing(open_journal(path, create=False, read_only=True)) as journal:
        retracted = Outline(journal).retracted(end)
        for batch in journal.batches():
            if batch.position >= end:
                return
            try:
                links = resolver._recorded_links(batch.block, batch.position) if batch.block else []
            except JournalError as error:
                name = f"{journal.name}: batch {batch.number}"
                raise JournalError(f"{name}: {error}; idmerge verify reports what is whole") from error
            for code, first, second, position, outcome in links:
                if position not in retracted and states_link(code):
                    yield kind_of(code)[0], first, second, Outcome(outcome), position
