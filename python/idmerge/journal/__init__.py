"""Journals: where the steps of a durable resolver are kept, batch by batch.

A journal is a list of batches in the order in which they were committed, and a few facts that hold for all
of them. The journal is the truth; a resolver is what the journal says. It knows nothing of identity: a
batch's two blocks are the core's (texts of IDs that became known, and steps as numbers), and are kept and
given back byte for byte.

`open_journal` opens one by its path or URL: a file of SQLite, or tables of PostgreSQL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from idmerge.journal.batch import Batch
from idmerge.journal.protocol import FORMAT, Facts, Journal, Offsets
from idmerge.naming import check_local, is_journal_url

if TYPE_CHECKING:
    import os

__all__ = ["FORMAT", "Batch", "Facts", "Journal", "Offsets", "open_journal"]


def open_journal(path: str | os.PathLike[str], *, create: bool, read_only: bool) -> Journal:
    """Open the journal at ``path``: a file's path, or a ``postgresql://`` or ``postgres://`` URL.

    A new one has no facts yet.

    Raises:
        FileNotFoundError: There is none, and ``create`` is false or ``read_only`` true.
        JournalError: It is in use by another writer, no journal, or damaged.
        MissingExtraError: It is a URL, and psycopg is not installed.
        OSError: It cannot be reached.
    """
    if is_journal_url(path):
        from idmerge.journal.postgres import PostgresJournal  # noqa: PLC0415 - needs an extra

        return PostgresJournal(str(path), create=create, read_only=read_only)
    check_local(path, "a journal's path or postgresql:// URL is needed")
    from idmerge.journal.sqlite import SqliteJournal  # noqa: PLC0415

    return SqliteJournal(path, create=create, read_only=read_only)
