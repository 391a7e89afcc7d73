"""Identity mappings: rows of an ID and the canonical ID of its cluster, as links."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from idmerge._ids import as_id
from idmerge.events import Kind, shown
from idmerge.files.dialects import RESOLVED
from idmerge.files.names import ID
from idmerge.files.pieces import BATCH, BATCH_BYTES, BadLine, LinkBatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def mapping_batches(
    path: str, rows: Iterable[tuple[int, dict[str, Any], int] | BadLine]
) -> Iterator[LinkBatch | BadLine]:
    """Gather ``rows`` (line, mapping, length of its text) into batches; a bad line ends one."""
    lines: list[int] = []
    first: list[str] = []
    second: list[str] = []
    length = 0
    for item in rows:
        row = item if isinstance(item, BadLine) else _operands(path, item[0], item[1])
        full = len(lines) >= BATCH or length >= BATCH_BYTES
        if lines and (full or isinstance(row, BadLine)):
            yield _batch(path, lines, first, second)
            lines, first, second, length = [], [], [], 0
        if isinstance(row, BadLine):
            yield row
            continue
        assert not isinstance(item, BadLine)  # noqa: S101
        lines.append(item[0])
        first.append(row[0])
        second.append(row[1])
        length += item[2]
    if lines:
        yield _batch(path, lines, first, second)


def _operands(path: str, line: int, row: dict[str, Any]) -> tuple[str, str] | BadLine:
    first, second = as_id(row[ID]), as_id(row[RESOLVED])
    if first is not None and second is not None:
        return first, second
    key = ID if first is None else RESOLVED
    return BadLine(path, line, f"{key} must be a string or an integer, got {shown(row[key])}")


def _batch(path: str, lines: list[int], first: list[str], second: list[str]) -> LinkBatch:
    return LinkBatch(path, lines, np.full(len(lines), Kind.MAPPING, np.uint8), first, second)
