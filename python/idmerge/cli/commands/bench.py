"""``idmerge bench``: measure the speed on this machine, and draw it."""

from __future__ import annotations

import json
import shutil
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from idmerge._benchmark.measuring import measure
from idmerge._formatting import counted
from idmerge.cli.messages import give, labelled
from idmerge.cli.output import check_outputs, file_option
from idmerge.cli.progress import working
from idmerge.cli.sections import command
from idmerge.files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator

FEWEST_IDS = 100
LABEL_WIDTH, RATE_WIDTH = 31, 12
SHORTEST_BAR, LONGEST_BAR = 10, 50


@command(
    short_help="Measure the speed on this machine.",
    help="""
    Measure how fast IDs are linked and looked up on this machine, and draw it.

    Beside idmerge stands a union-find in Python dicts that keeps the same rules. Both judge the same
    made-up links, in turns. The bars are medians, and all answers must agree.

    \b
    Example:
      idmerge bench
      idmerge bench --ids 1000000 -o speed.json
    """,
)
@click.option(
    "--ids",
    "count",
    type=click.IntRange(min=FEWEST_IDS),
    default=200_000,
    show_default=True,
    help="How many IDs the links are between.",
)
@file_option("-o", "--output", suffixes=(".json",), text="Write the figures here too, as JSON.")
def bench(*, count: int, output: str | None) -> None:
    """Measure and draw; the help says more."""
    check_outputs([], {"--output": output})  # Before the time is spent.
    with working("making links") as work:
        figures = measure(count, partial(work.turn, "measuring"))
    if output:
        with replacing(output) as stream:
            stream.write((json.dumps(figures, indent=1) + "\n").encode())
    give(figures, drawing(figures, shutil.get_terminal_size().columns))


def drawing(figures: dict[str, Any], width: int) -> Iterator[str]:
    """Yield the lines of the drawing, of at most ``width`` columns where that is possible."""
    versions = ", ".join(f"{name} {number}" for name, number in figures["versions"].items())
    yield labelled("versions", versions)
    yield labelled("machine", f"{figures['system']}, {counted(figures['cores'], 'core')}")
    rejected = f"{figures['rejected']:,} rejected"
    yield labelled("workload", f"{counted(figures['links'], 'link')}, {rejected}, {figures['ids']:,} IDs")
    for title, unit in (("links_a_second", "links a second"), ("look_ups_a_second", "look-ups a second")):
        yield ""
        yield click.style(f"million {unit}", bold=True)
        yield from _bars(figures[title], width)
    yield ""
    if figures["bytes_an_id"] is not None:
        yield labelled("memory", f"{figures['bytes_an_id']:.0f} bytes an ID")
    yield labelled("answers", "all agree")


def _bars(rows: list[dict[str, Any]], width: int) -> Iterator[str]:
    """Yield a line a row: its label, its rate, and a bar to the scale of the fastest."""
    longest = min(LONGEST_BAR, max(SHORTEST_BAR, width - LABEL_WIDTH - RATE_WIDTH))
    fastest = max(row["rate"] for row in rows)
    for row in rows:
        bar = _mark() * max(1, round(longest * row["rate"] / fastest))
        coloured = click.style(bar, fg="green") if row["ours"] else bar
        name = f"idmerge {row['way']}" if row["ours"] else row["way"]
        yield f"  {name:<{LABEL_WIDTH}}{row['rate'] / 1e6:>7.2f}  {coloured}"


def _mark() -> str:
    """Return a full block, or what the terminal's encoding has instead."""
    try:
        "█".encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return "#"
    return "█"
