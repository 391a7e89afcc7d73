"""``idmerge generate``: write made-up events."""

from __future__ import annotations

import gzip
import json
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from idmerge.cli.messages import sum_up
from idmerge.cli.output import STDOUT, file_option, standard_output
from idmerge.cli.progress import progress
from idmerge.cli.sections import command
from idmerge.errors import MissingExtraError
from idmerge.files import replacing
from idmerge.testing import events as workload_events

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIXES = tuple(f"{name}{packed}" for name in (".ndjson", ".jsonl") for packed in ("", ".gz", ".zst"))
GZIP_LEVEL = 6


@command(
    short_help="Write made-up events to try things on.",
    help="""
    Write the events of a shop's made-up visitors, one JSON object a line.

    They come on several devices, sign up, share devices, reset too often, and send what broken clients
    send. The same seed gives the same events on every machine.

    \b
    Example:
      idmerge generate --events 100000 --seed 7 -o events.ndjson.gz
      idmerge generate | idmerge resolve -
    """,
)
@click.option(
    "--events", "count", type=click.IntRange(min=0), default=1000, show_default=True, help="How many events."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed, other visitors.")
@click.option(
    "--identity-share",
    type=click.FloatRange(0, 1),
    default=0.05,
    show_default=True,
    help="Share of the events that state a link.",
)
@file_option(
    "-o",
    "--output",
    suffixes=SUFFIXES,
    stdout=True,
    text="Write here instead of standard output: .ndjson or .jsonl, with .gz or .zst behind it compressed.",
)
def generate(*, count: int, seed: int, identity_share: float, output: str | None) -> None:
    """Write a workload; the help says more."""
    if math.isnan(identity_share):  # Which no range excludes.
        raise click.BadParameter("nan is no share", param_hint="--identity-share")
    with _opened(output) as stream, progress("writing", count, unit="things") as bar:
        for event in workload_events(count, seed=seed, identity_share=identity_share):
            stream.write(json.dumps(event, separators=(",", ":")).encode() + b"\n")
            bar.advance()
    file = None if output is None or output == STDOUT else output
    sum_up({"events": count, "seed": seed, "output": file}, beside_data=file is None)


@contextmanager
def _opened(path: str | None) -> Iterator[BinaryIO]:
    """Open ``path``, or standard output, compressed if its suffix says so."""
    if path is None or path == STDOUT:
        with standard_output() as stream:
            yield stream
        return
    with replacing(path) as plain:
        if path.endswith(".gz"):
            # Without name and time, so that the same seed gives the same bytes.
            with gzip.GzipFile("", "wb", GZIP_LEVEL, plain, mtime=0) as packed:
                yield packed  # type: ignore[misc]
        elif path.endswith(".zst"):
            with _zstd(plain) as packed:
                yield packed
        else:
            yield plain


def _zstd(plain: Any) -> Any:
    try:
        import pyarrow as pa  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("writing zstd needs pyarrow: pip install pyarrow") from error
    return pa.CompressedOutputStream(plain, "zstd")
