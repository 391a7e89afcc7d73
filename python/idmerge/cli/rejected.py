"""Rejected links as a file: one row a link, with the place where it stands and the reason.

The columns ``kind``, ``first`` and ``second`` are those of a file of links, so that a CSV written
without --csv-safe can be read again: under another policy, or once the IDs are mended.
"""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Protocol

from idmerge.files.csvtext import ENDING, safe

if TYPE_CHECKING:
    from typing import BinaryIO

    from idmerge.files.judging import JudgedLink

COLUMNS = ("file", "line", "kind", "first", "second", "outcome", "failure_reason")
SUFFIXES = (".csv", ".ndjson", ".jsonl")


class RejectedWriter(Protocol):
    """Takes the rejected links one after another."""

    def write(self, link: JudgedLink) -> None:
        """Write one row."""


class CsvWriter:
    """Writes CSV in UTF-8; what is no Unicode text appears as an escape."""

    def __init__(self, stream: BinaryIO, *, csv_safe: bool) -> None:
        self._rows = csv.writer(_UnixLines(stream))
        self._rows.writerow(COLUMNS)
        self._csv_safe = csv_safe

    def write(self, link: JudgedLink) -> None:
        """Write one row; a missing operand is an empty cell."""
        row = _row(link)
        if self._csv_safe:
            row = tuple(safe(cell) if isinstance(cell, str) else cell for cell in row)
        self._rows.writerow(row)


class _UnixLines:
    """Takes rows that end in CR LF and ends them in LF.

    `csv` before Python 3.13 quotes a CR only where it stands in the line's end.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, row: str) -> None:
        line = row.removesuffix(ENDING) + "\n"
        self._stream.write(line.encode("utf-8", "backslashreplace"))


class NdjsonWriter:
    """Writes one JSON object a line."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, link: JudgedLink) -> None:
        """Write one row; a missing operand is null."""
        self._stream.write(json.dumps(dict(zip(COLUMNS, _row(link), strict=True))).encode() + b"\n")


def rejected_suffix(path: str | None) -> str:
    """Return the suffix of the format for ``path``: CSV on standard output, none without a path."""
    return next((suffix for suffix in SUFFIXES if path and path.endswith(suffix)), ".csv" if path else "")


def rejected_writer(suffix: str, stream: BinaryIO, *, csv_safe: bool) -> RejectedWriter:
    """Return the writer to ``stream`` for the format of the ``suffix``."""
    return CsvWriter(stream, csv_safe=csv_safe) if suffix == ".csv" else NdjsonWriter(stream)


def _row(link: JudgedLink) -> tuple[str | int | None, ...]:
    return (
        link.path,
        link.line,
        link.kind.name.lower(),
        link.first,
        link.second,
        link.outcome.name,
        link.failure_reason,
    )
