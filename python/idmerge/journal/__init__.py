"""Journals: where the steps of a durable resolver are kept, batch by batch.

A journal is a list of batches in the order in which they were committed, and a few facts that hold
for all of them. The journal is the truth; a resolver is what the journal says. It knows nothing of
identity: a batch's two blocks are the core's (texts of IDs that became known, and steps as
numbers), and are kept and given back byte for byte.

`open_journal` opens one by its path or URL: a file of SQLite, or tables of PostgreSQL.
"""

from idmerge.journal.batch import Batch
from idmerge.journal.cursor import Cursor, MappingUpdate
from idmerge.journal.durable import DurableResolver
from idmerge.journal.facts import FORMAT, Facts
from idmerge.journal.offsets import Offsets
from idmerge.journal.opening import open_journal
from idmerge.journal.protocol import Journal

__all__ = [
    "FORMAT",
    "Batch",
    "Cursor",
    "DurableResolver",
    "Facts",
    "Journal",
    "MappingUpdate",
    "Offsets",
    "open_journal",
]
