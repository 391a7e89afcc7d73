"""The recorded rows, and the tables and the chart made of them.

Each name of a row has its figures and the circumstances of its run: the date, the machine and the
versions. So some rows can be measured anew, elsewhere too.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from benches.reports.doors.row import Figures, Row
from benches.reports.doors.start import BY_CLOCK, OF_PROCESSOR
from benches.reports.machine import machine, versions
from benches.reports.performance import CHARTS, DOCUMENT
from benches.reports.tables import Sections, sections_filled, table, wrapped
from benches.reports.tables import circumstances as run_of
from benches.support.paths import RESULTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

RECORD = RESULTS / "doors.json"
CHART = CHARTS / "doors.svg"
LIBRARIES = ("python", "idmerge", "numpy", "pyarrow")
"""Versions that matter to the rows."""


def circumstances() -> Figures:
    """Return those of a run that ends now."""
    found = versions()
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine(),
        "versions": {name: found[name] for name in LIBRARIES},
    }


def merged(
    recorded: Figures, measured: Mapping[str, Iterable[Row]], of_run: Figures, order: Sequence[str]
) -> Figures:
    """Return the record with the measured rows in place of their older ones."""
    new = {name: {**of_run, "rows": [row.figures() for row in rows]} for name, rows in measured.items()}
    kept = {**recorded, **new}
    return {name: kept[name] for name in order if name in kept}


def rows_of(recorded: Figures) -> list[Row]:
    """Return all recorded rows in their order."""
    return [Row.of(kept) for of_name in recorded.values() for kept in of_name["rows"]]


def draw(recorded: Figures) -> None:
    """Write the tables into the document, and the chart beside it."""
    from benches.reports.charts import save
    from benches.reports.doors.chart import ratios

    DOCUMENT.write_text(sections_filled(DOCUMENT.read_text("utf-8"), sections(recorded)), "utf-8")
    save(ratios(rows_of(recorded)), CHART)


def sections(recorded: Figures) -> Sections:
    """Yield the parts of the document that are made of the record."""
    yield "doors", [*_runs(recorded), *_ratios(recorded)]
    yield "doors, further", _further(recorded)
    yield "start", _start(recorded)


def _runs(recorded: Figures) -> list[str]:
    """Return a paragraph for each run, with its rows if there are several."""
    runs: dict[str, list[str]] = {}
    for name, of_name in recorded.items():
        runs.setdefault(run_of(of_name), []).append(f"`{name}`")
    lines = []
    for run, names in runs.items():
        whose = f"{', '.join(names)}: " if len(runs) > 1 else ""
        lines += [*wrapped(whose + run), ""]
    return lines


def _ratios(recorded: Figures) -> list[str]:
    rows = [
        [f"`{name}`", row.way, row.against, row.speed, str(row.ratio)]
        for name, of_name in recorded.items()
        for row in map(Row.of, of_name["rows"])
        if row.ratio
    ]
    return table(["row", "way in", "against", "a second", "ratio"], rows, words=3)


def _further(recorded: Figures) -> list[str]:
    rows = [row for row in rows_of(recorded) if row.more and BY_CLOCK not in row.more]
    return [line for row in rows for line in wrapped(f"- {row.name}: {row.further}", indent="  ")]


def _start(recorded: Figures) -> list[str]:
    if "start" not in recorded:
        return ["Not measured yet: `python -m benches.reports.doors --record start`."]
    rows = [Row.of(kept) for kept in recorded["start"]["rows"]]
    cells = [[row.way, *(f"{row.more[clock]} s" for clock in (BY_CLOCK, OF_PROCESSOR))] for row in rows]
    return table(["", "by the clock", "of the processor"], cells)
