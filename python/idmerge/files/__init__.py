"""Files of events and of links, read in pieces; `replacing` writes a file as a whole.

The first bytes of a file name its format (gzip, zstd, Parquet, Arrow, a JSON array), and for CSV
alone its name does. `read` yields `EventBatch` and `LinkBatch` in the order of the file, and a
`BadLine` between them where a line cannot be read: the rest of the file goes on. `scan` is `read`
for large files: lines of JSON come as `StepBatch`, of which only the IDs are kept. All of them are
a `Piece`.

1. Memory is bounded by a batch (`BATCH` events, `BATCH_BYTES` of text), whatever the file's size.
   A line beyond `MAX_LINE` is skipped in pieces and never held. Parquet and Arrow files are bounded
   by `BATCH` rows and by the page or record batch that their writer chose.
2. JSON is what `json.loads` on bytes says it is, but for integers of any length and for nesting,
   which has one limit (`idmerge._json_decoding`). Blank lines count as lines and state nothing. The
   items of an array are read as lines.
3. Damage after which nothing can be trusted (a stream cut off, a missing column, an unknown kind,
   an array that is no JSON) is a `FileFormatError` that names file and line.

    for piece in scan("events.ndjson.gz"):
        report = piece.apply_to(resolver)
        for link in piece.judged(report):
            print(link.line, link.kind.name, link.outcome.name)

Lines count from 1. In a JSON array the items count, in Parquet and Arrow files the rows.
"""

from idmerge.files.catalogue import BUILT_IN
from idmerge.files.choosing import choice_of
from idmerge.files.copies import RereadableFile, rereadable
from idmerge.files.dialects import MIXPANEL, Dialect, listed
from idmerge.files.ids import odd_ids_in_words
from idmerge.files.judging import JudgedLink
from idmerge.files.kinds import kind_named
from idmerge.files.localtimes import local_times
from idmerge.files.pieces import (
    BATCH,
    BATCH_BYTES,
    MAX_LINE,
    BadLine,
    EventBatch,
    LinkBatch,
    Piece,
)
from idmerge.files.reading import STDIN, Source, name_of, read, read_updates, scan
from idmerge.files.sampling import Sample, sampled
from idmerge.files.scanning import StepBatch
from idmerge.files.sorting import sorted_by_processing_time
from idmerge.files.writing import (
    check_replaceable,
    check_replaceable_directory,
    replacing,
    replacing_directory,
)
from idmerge.files.zones import check_zone

__all__ = [
    "BATCH",
    "BATCH_BYTES",
    "BUILT_IN",
    "MAX_LINE",
    "MIXPANEL",
    "STDIN",
    "BadLine",
    "Dialect",
    "EventBatch",
    "JudgedLink",
    "LinkBatch",
    "Piece",
    "RereadableFile",
    "Sample",
    "Source",
    "StepBatch",
    "check_replaceable",
    "check_replaceable_directory",
    "check_zone",
    "choice_of",
    "kind_named",
    "listed",
    "local_times",
    "name_of",
    "odd_ids_in_words",
    "read",
    "read_updates",
    "replacing",
    "replacing_directory",
    "rereadable",
    "sampled",
    "scan",
    "sorted_by_processing_time",
]
