"""Ways in beside the engine: each against what it cannot be faster than, in pairs in one run.

    python -m benches.reports.doors [ROW …]            print the rows, all by default
    python -m benches.reports.doors --record [ROW …]   keep them too, and draw
    python -m benches.reports.doors --draw             draw what is kept

Rows:

- ``dicts``: `apply_events` of dicts, against a bare loop that looks up two keys of each;
- ``texts``: `apply_events` of JSON text, against ``json.loads`` of each;
- ``arrays``: a file with a JSON array, against one with the same events a line each;
- ``bodies``: `apply_body` of JSON arrays of 2,000 events, against the same file of lines;
- ``tables``: `stitch` of a table whose properties are JSON text, in memory and as Parquet, against
  a file of lines of the same events: that alone, which reads links and kinds and no event, and with
  its events read;
- ``once``: `stitch` of a file of lines into Parquet with senders as known and without duplicates,
  and into partitions, against the same without these;
- ``profiles``: `Profiles.update_many` of updates as bytes, as dicts and from a file of lines, against
  ``json.loads`` of each text, by the clock and by the processor's, since one processor does the
  work; answers are compared with those of updates applied in Python;
- ``apis``: a file of lines, each event of both a device and a user, under Simplified ID Merge against
  the same under the Original API;
- ``threads``: a file of lines, scanned alone and applied, on one thread and on two; its part that
  is done one after another, and what 16 processors would give by that;
- ``busy``: `link_many` on two threads, against one, while another process keeps a core busy;
- ``start``: ``idmerge --version`` and ``idmerge resolve`` of ten events, in seconds behind
  ``python -c pass``, by the clock and of the processor.

The two take turns; the ratio counts: its median and its range over the pairs. Answers are compared
with those of the plain parse in Python, or of the file of lines; those of ``once`` with what is
written when the file is read twice. A run of some rows replaces these in
`benches/results/doors.json` and keeps the others, each with the machine on which it was measured.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from typing import TYPE_CHECKING

import idmerge
from benches.reports.doors import events, profiles, record, threads
from benches.reports.doors.start import start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benches.reports.doors.row import Figures, Row

ROWS: dict[str, Callable[[], Iterator[Row]]] = {
    "dicts": events.dicts,
    "texts": events.texts,
    "arrays": events.arrays,
    "bodies": events.bodies,
    "tables": events.tables,
    "once": events.once,
    "profiles": profiles.profiles,
    "apis": events.apis,
    "threads": threads.threads,
    "busy": threads.busy,
    "start": start,
}


def main(arguments: Sequence[str]) -> None:
    """Print the machine and the rows; keep and draw them if asked to."""
    parser = argparse.ArgumentParser(
        prog="python -m benches.reports.doors", description=__doc__.splitlines()[0]
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"{', '.join(ROWS)}; all by default")
    manners = parser.add_mutually_exclusive_group()
    manners.add_argument("--record", action="store_true", help="write benches/results/doors.json, and draw")
    manners.add_argument("--draw", action="store_true", help="draw what is recorded, and measure nothing")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.rows) - ROWS.keys():
        parser.error(f"expected rows among {', '.join(ROWS)}, got {', '.join(sorted(unknown))}")
    if not chosen.draw:
        print(f"idmerge {idmerge.__version__}, Python {platform.python_version()}, {platform.platform()}")
        for name in chosen.rows or ROWS:
            rows = _measured(name)
            if chosen.record:  # At once, so that an error in a later row costs no figures.
                _keep(name, rows)
    if chosen.record or chosen.draw:
        record.draw(_recorded())


def _measured(name: str) -> list[Row]:
    """Return the rows of a name, each printed as soon as it is measured."""
    rows = []
    for row in ROWS[name]():
        print(row, flush=True)
        rows.append(row)
    return rows


def _keep(name: str, rows: Sequence[Row]) -> None:
    merged = record.merged(_recorded(), {name: rows}, record.circumstances(), [*ROWS])
    record.RECORD.write_text(json.dumps(merged, indent=1) + "\n", "utf-8")


def _recorded() -> Figures:
    recorded: Figures = json.loads(record.RECORD.read_text("utf-8")) if record.RECORD.exists() else {}
    return recorded


if __name__ == "__main__":
    main(sys.argv[1:])
