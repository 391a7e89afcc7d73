"""Files of events and of links, read in pieces; `replacing` writes a file as a whole.

`read` takes what a file is from its first bytes (gzip, zstd, Parquet, Arrow, a JSON array) and, for
CSV alone, from its name. It yields `EventBatch` and `LinkBatch` in the order of the file, and a
`BadLine` between them where a line cannot be read: the rest of the file goes on. `scan` is `read` for
large files: lines of JSON come as `StepBatch`, of which only the IDs are kept.

1. Memory is bounded by a batch (`BATCH` events, `BATCH_BYTES` of text), whatever the file's size.
   A line beyond `MAX_LINE` is skipped in pieces and never held. Parquet and Arrow files are bounded
   by `BATCH` rows and by the page or record batch that their writer chose.
2. JSON is what `json.loads` on bytes says it is, but for integers of any length and for nesting, which has
   one limit (`idmerge.jsondecoding`). Blank lines count as lines and state nothing. The items of an array
   are read as lines.
3. Damage after which nothing can be trusted (a stream cut off, a missing column, an unknown kind, an
   array that is no JSON) is a `FileFormatError` that names file and line.

    for piece in read("events.ndjson.gz"):
        if isinstance(piece, EventBatch):
            report = resolver.apply_events(piece.events)

    for piece in scan("events.ndjson.gz"):
        if isinstance(piece, StepBatch):
            report = resolver.apply_steps(piece)

Lines count from 1. In a JSON array the items count, in Parquet and Arrow files the rows.
"""

from idmerge.files.pieces import (
    BATCH,
    BATCH_BYTES,
    MAX_LINE,
    BadLine,
    EventBatch,
    LinkBatch,
    Piece,
    kind_named,
)
from idmerge.files.reading import STDIN, Source, name_of, read, scan
from idmerge.files.scanning import StepBatch
from idmerge.files.twice import RereadableFile, rereadable
from idmerge.files.writing import replacing, replacing_directory

__all__ = [
    "BATCH",
    "BATCH_BYTES",
    "MAX_LINE",
    "STDIN",
    "BadLine",
    "EventBatch",
    "LinkBatch",
    "Piece",
    "RereadableFile",
    "Source",
    "StepBatch",
    "kind_named",
    "name_of",
    "read",
    "replacing",
    "replacing_directory",
    "rereadable",
    "scan",
]
