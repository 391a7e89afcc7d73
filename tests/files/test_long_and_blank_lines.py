"""Cells as long as a line, and any number of blank lines, cost what their bytes cost."""

from __future__ import annotations

import csv
import io
from time import process_time
from typing import Any

import pytest

from idmerge.errors import FileFormatError
from idmerge.files import EventBatch, LinkBatch, StepBatch, read, scan
from idmerge.files.jsontext import beginning, numbered_lines
from idmerge.files.pieces import MAX_LINE

EVENT = b'{"event":"$merge","properties":{"$distinct_ids":["a","b"]}}'
MANY = 400_000


def links_of(text: bytes) -> list[tuple[int, str | None, str | None]]:
    """Return the line of each link in a CSV, and its IDs."""
    found = []
    for piece in read(io.BytesIO(text), name="f.csv"):
        assert isinstance(piece, LinkBatch)
        found += [(line, *piece.link(index)[1:]) for index, line in enumerate(piece.lines)]
    return found


class CountedReads(io.BufferedReader):
    """A stream that counts how often it is asked for something."""

    reads = 0

    def readline(self, size: int | None = -1) -> bytes:
        self.reads += 1
        return super().readline(size)

    def peek(self, size: int = 0) -> bytes:
        self.reads += 1
        return super().peek(size)


# Long cells


@pytest.mark.parametrize("length", [131_073, MAX_LINE - len(b'merge,"",b\n')])
def test_a_cell_is_as_long_as_its_line_may_be(length: int) -> None:
    cell = "x" * length
    assert links_of(b'kind,first,second\nmerge,"%s",b\n' % cell.encode()) == [(2, cell, "b")]
    assert links_of(b"kind,first,second\nmerge,a,b\nmerge,%s,b\n" % cell.encode())[1] == (3, cell, "b")


def test_the_limit_that_others_have_set_for_csv_stays_as_it_was() -> None:
    before = csv.field_size_limit(7)
    try:
        rows = read(io.BytesIO(b"kind,first,second\nmerge,a2345678,b\n"), name="f.csv")
        assert [type(piece) for piece in rows] == [LinkBatch]
        with pytest.raises(csv.Error, match="field larger than field limit .7."):
            list(csv.reader(["12345678"]))
        assert csv.field_size_limit() == 7
    finally:
        csv.field_size_limit(before)


def test_a_row_over_many_lines_is_no_longer_than_a_line_may_be() -> None:
    lines = b"merge," + b'"%s\n",' % (b"x" * 2**20) * 17
    with pytest.raises(FileFormatError, match=f"f.csv:17: the row is longer than {MAX_LINE} bytes"):
        links_of(b"kind,first,second\n" + lines)
    with pytest.raises(FileFormatError, match=f"f.csv:2: the line is longer than {MAX_LINE} bytes"):
        links_of(b"kind,first,second\nmerge," + b"x" * MAX_LINE)


# Blank lines


@pytest.mark.parametrize("blank", [b"\n", b"\r\n", b" \t\n", b"\x0b\n\n"])
def test_an_event_behind_many_blank_lines_has_its_line(blank: bytes) -> None:
    many = blank * MANY
    lines = MANY * blank.count(b"\n")
    for text, expected in (
        (many + EVENT, [lines + 1]),
        (EVENT + b"\n" + many + EVENT, [1, lines + 2]),
        (many + b"  " + EVENT + b"\n" + many + b"x" + many, [lines + 1]),
    ):
        read_by_python = [piece for piece in read(io.BytesIO(text)) if isinstance(piece, EventBatch)]
        assert [line for batch in read_by_python for line in batch.lines] == expected
        scanned = [piece for piece in scan(io.BytesIO(text)) if isinstance(piece, StepBatch)]
        assert [batch.line(index) for batch in scanned for index in range(len(batch))] == expected


def test_a_bad_line_behind_many_blank_lines_is_named_with_its_line() -> None:
    text = b"\n" * MANY + EVENT + b"\n" + b"\n" * MANY + b"{]\n"
    for pieces in (read(io.BytesIO(text)), scan(io.BytesIO(text))):
        assert str(list(pieces)[-1]).startswith(f"<file>:{2 * MANY + 2}: ")


@pytest.mark.parametrize("blank", [b"\n", b"\r\n"])
def test_blank_lines_of_a_csv_are_passed_over_but_for_those_in_a_cell(blank: bytes) -> None:
    many = blank * MANY
    header = b"kind,first,second\n"
    assert links_of(many + header + many + b"merge,a,b\n" + many) == [(2 * MANY + 2, "a", "b")]
    cell = b"\n" * 40
    found = links_of(many + header + b'merge,"a' + cell + b'z",b\n' + many + b"merge,c,d\n")
    assert found == [(MANY + 42, "a" + "\n" * 40 + "z", "b"), (2 * MANY + 43, "c", "d")]


def test_a_line_of_blanks_alone_is_a_row_of_a_csv() -> None:
    pieces = list(
        read(io.BytesIO(b"kind,first,second\n" + b"\n" * 99 + b"  \n" * 3 + b"merge,a,b\n"), name="f.csv")
    )
    assert [str(piece).partition(" the row")[0] for piece in pieces[:3]] == [
        f"f.csv:{n}:" for n in (101, 102, 103)
    ]
    assert isinstance(pieces[3], LinkBatch)


def test_blank_lines_are_not_read_one_by_one() -> None:
    def stream(text: bytes) -> Any:
        return CountedReads(io.BytesIO(text), 2**17)  # type: ignore[arg-type]

    leading = stream(b"\n" * MANY + EVENT)
    assert beginning("f", leading) == (MANY, EVENT)
    inner = stream(EVENT + b"\n" * MANY + EVENT)
    assert list(numbered_lines("f", inner))[-1] == (MANY + 1, EVENT)
    assert leading.reads + inner.reads < 100


def test_blanks_in_an_array_cost_what_their_bytes_cost() -> None:
    blanks = b" \n" * 10_000_000
    started = process_time()
    (batch,) = read(
        io.BytesIO(blanks + b"[" + blanks + EVENT + blanks + b"," + blanks + EVENT + b"]" + blanks)
    )
    assert isinstance(batch, EventBatch)
    assert batch.lines == [1, 2]
    assert process_time() - started < 6  # Some 1.2 s; one character after the other it took 15.
