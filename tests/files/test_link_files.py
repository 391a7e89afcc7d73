"""Files of links: CSV, Parquet and Arrow with the columns kind, first and second."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from idmerge import Kind, Resolver
from idmerge.errors import FileFormatError
from idmerge.files import BadLine, LinkBatch, read

Row = tuple[int, Kind, str | None, str | None]

NAMES = ["identify", "alias", "merge", "$identify", "$create_alias", "$merge"]
KINDS = [Kind.IDENTIFY, Kind.ALIAS, Kind.MERGE] * 2


def rows_of(source: Path | io.BytesIO, name: str | None = None) -> tuple[list[Row], list[BadLine]]:
    rows: list[Row] = []
    bad = []
    for piece in read(source, name=name):
        if isinstance(piece, LinkBatch):
            assert len(piece.lines) == len(piece.kinds) == len(piece.first) == len(piece.second) <= 8192
            rows += [(line, *piece.link(index)) for index, line in enumerate(piece.lines)]
        else:
            assert isinstance(piece, BadLine)
            bad.append(piece)
    return rows, bad


def csv_rows(text: str | bytes) -> tuple[list[Row], list[BadLine]]:
    content = text.encode() if isinstance(text, str) else text
    return rows_of(io.BytesIO(content), "f.csv")


def csv_error(text: str | bytes) -> str:
    with pytest.raises(FileFormatError) as caught:
        csv_rows(text)
    return str(caught.value)


def write_parquet(path: Path, columns: dict[str, Any]) -> Path:
    parquet.write_table(pa.table(columns), path)
    return path


def write_arrow(path: Path, columns: dict[str, Any]) -> Path:
    table = pa.table(columns)
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)
    return path


def write_arrow_stream(path: Path, columns: dict[str, Any]) -> Path:
    table = pa.table(columns)
    with pa.ipc.new_stream(str(path), table.schema) as writer:
        writer.write_table(table)
    return path


WRITERS = [
    pytest.param(write_parquet, "f.parquet", id="Parquet"),
    pytest.param(write_arrow, "f.arrow", id="Arrow file"),
    pytest.param(write_arrow_stream, "f.arrow", id="Arrow stream"),
]


# CSV


def test_a_kind_is_a_word_or_an_event_name_or_a_number() -> None:
    text = "kind,first,second\n" + "".join(f"{name},a,b\n" for name in [*NAMES, "0", "1", "2"])
    rows, bad = csv_rows(text)
    assert [kind for _, kind, _, _ in rows] == [*KINDS, *KINDS[:3]]
    assert bad == []


@given(
    st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.text("a,\"\r\n' ")), max_size=5)
)
def test_every_text_comes_back_from_a_csv(pairs: list[tuple[str, str]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerows([("kind", "first", "second"), *(("merge", left, right) for left, right in pairs)])
    rows, bad = csv_rows(text.getvalue())
    assert [(left, right) for _, _, left, right in rows] == pairs
    assert bad == []


def test_columns_stand_in_any_order_among_others() -> None:
    rows, _ = csv_rows("note,second,kind,first\nx,b,alias,a\n")
    assert rows == [(2, Kind.ALIAS, "a", "b")]


def test_an_empty_cell_is_an_empty_id() -> None:
    assert csv_rows("kind,first,second\nmerge,,b\n")[0] == [(2, Kind.MERGE, "", "b")]


def test_a_bom_and_crlf_and_blank_lines_and_no_last_newline_are_fine() -> None:
    rows, bad = csv_rows(b"\xef\xbb\xbfkind,first,second\r\n\r\nmerge,a,b\r\n\r\nmerge,c,d")
    assert rows == [(3, Kind.MERGE, "a", "b"), (5, Kind.MERGE, "c", "d")]
    assert bad == []


def test_a_row_of_another_width_is_a_bad_line_between_the_others() -> None:
    text = "kind,first,second\nmerge,a,b\nmerge,a\nmerge,c,d\nmerge,e,f,g\n"
    pieces = list(read(io.BytesIO(text.encode()), name="f.csv"))
    assert [type(piece) for piece in pieces] == [LinkBatch, BadLine, LinkBatch, BadLine]
    assert str(pieces[1]) == "f.csv:3: the row must have 3 cells like the header, got 2"


def test_a_csv_is_read_through_gzip_and_in_batches() -> None:
    text = "kind,first,second\n" + "".join(f"0,a{number},b\n" for number in range(20_000))
    pieces = list(read(io.BytesIO(gzip.compress(text.encode())), name="f.csv.gz"))
    assert [len(piece.lines) for piece in pieces if isinstance(piece, LinkBatch)] == [8192, 8192, 3616]


@pytest.mark.parametrize("header", ["", "kind,first\n", "kind,first,second,first\n", "first,second\n"])
def test_a_header_without_each_column_once_is_an_error_that_names_them(header: str) -> None:
    message = csv_error(header)
    assert message.startswith("f.csv: needs the columns kind, first, second, each once; wrong or missing: ")
    found = header.strip().replace(",", ", ") or "none"
    assert message.endswith(f"found: {found}; rename the columns that hold the kinds and the IDs")


def test_a_header_cannot_steer_the_terminal() -> None:
    assert r"found: kind, first, '\x1b[2J'; rename" in csv_error("kind,first,\x1b[2J\n")


@pytest.mark.parametrize("kind", ["", "Identify", "3", "-1", "identify ", "x" * 1000])
def test_an_unknown_kind_is_an_error_that_names_the_line(kind: str) -> None:
    message = csv_error(f"kind,first,second\nmerge,a,b\n{kind},a,b\n")
    assert message.startswith("f.csv:3: kind must be identify, alias, merge, ")
    assert len(message) < 250


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'kind,first,second\nmerge,"a"x,b\n', "f.csv:2: the row is no CSV: "),
        (b'kind,first,second\nmerge,"a,b\n', "f.csv:2: the row is no CSV: "),
        (b"kind,first,second\nmerge,a\rb,c\n", "f.csv:2: the row is no CSV: "),
        (b"kind,first,second\nmerge,a,\xff\n", "f.csv:2: the text is no UTF-8: "),
        ("kind,first,second\n".encode("utf-16"), "f.csv:1: the text is UTF-16; convert it to UTF-8"),
        pytest.param(
            b"kind,first,second\nmerge,a," + b"b" * 17 * 2**20,
            "f.csv:2: the line is longer than 16777216 bytes",
            id="a line of 17 MiB",
        ),
        (
            gzip.compress(b"kind,first,second\nmerge,a,b\n", mtime=0)[:-3],
            "f.csv:3: here or a little later the gzip stream",
        ),
    ],
)
def test_a_csv_that_is_none_is_an_error_that_names_the_line(text: bytes, message: str) -> None:
    assert csv_error(text).startswith(message)


# Parquet and Arrow


@pytest.mark.parametrize(("write", "name"), WRITERS)
@pytest.mark.parametrize("kinds", [NAMES, KINDS, pa.array(NAMES).dictionary_encode()])
@pytest.mark.parametrize("text", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_columns_hold_text_of_every_layout_and_nulls(
    write: Any, name: str, kinds: Any, text: Any, tmp_path: Path
) -> None:
    left = ["a", None, "", "d", "é", None]
    right = ["b", "b", None, "", "x", None]
    if isinstance(kinds, list) and isinstance(kinds[0], Kind):
        kinds = pa.array([int(kind) for kind in kinds], pa.int8())
    columns = {
        "other": [1.5] * 6,
        "second": pa.array(right).cast(text),
        "kind": kinds,
        "first": pa.array(left).cast(text),
    }
    rows, bad = rows_of(write(tmp_path / name, columns))
    assert rows == list(zip(range(1, 7), KINDS, left, right, strict=True))
    assert bad == []


@pytest.mark.parametrize(("write", "name"), WRITERS)
def test_rows_are_numbered_through_the_batches(write: Any, name: str, tmp_path: Path) -> None:
    ids = [f"user-{number}" for number in range(20_000)]
    rows, _ = rows_of(write(tmp_path / name, {"kind": [2] * 20_000, "first": ids, "second": ids}))
    assert [(line, left) for line, _, left, _ in rows] == list(enumerate(ids, start=1))


@pytest.mark.parametrize(("write", "name"), WRITERS)
def test_an_integer_is_taken_by_its_decimal_digits(write: Any, name: str, tmp_path: Path) -> None:
    rows, _ = rows_of(write(tmp_path / name, {"kind": ["merge"], "first": [-12], "second": [2**60]}))
    assert rows == [(1, Kind.MERGE, "-12", "1152921504606846976")]


@pytest.mark.parametrize(("write", "name"), WRITERS)
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"kind": ["merge"], "first": ["a"]}, "wrong or missing: second; found: kind, first"),
        (
            {"kind": ["merge"], "first": [1.5], "second": ["b"]},
            "the column first must hold text, integers or UUIDs, got Arrow Float64 1.5 in row 1",
        ),
        (
            {"kind": ["merge"] * 2, "first": ["a", "a"], "second": [None, True]},
            "the column second must hold text, integers or UUIDs, got Arrow Boolean in row 2",
        ),
        ({"kind": ["merge"], "first": ["a"], "second": [b"caf\xe9"]}, "Invalid UTF8"),
        ({"kind": ["merge", "fuse"], "first": ["a", "a"], "second": ["b", "b"]}, ":2: kind must be "),
        ({"kind": ["merge", None], "first": ["a", "a"], "second": ["b", "b"]}, ":2: kind must be "),
        ({"kind": [True], "first": ["a"], "second": ["b"]}, ":1: kind must be "),
        ({"kind": [1.0], "first": ["a"], "second": ["b"]}, ":1: kind must be "),
        ({"kind": [3], "first": ["a"], "second": ["b"]}, ":1: kind must be "),
        ({"kind": pa.array([None], pa.null()), "first": ["a"], "second": ["b"]}, ":1: kind must be "),
    ],
)
def test_wrong_columns_are_an_error_that_names_them(
    write: Any, name: str, columns: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(FileFormatError) as caught:
        rows_of(write(tmp_path / name, columns))
    assert message in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize(("write", "name"), WRITERS)
def test_a_file_that_is_cut_off_is_an_error(write: Any, name: str, tmp_path: Path) -> None:
    path = write(tmp_path / name, {"kind": ["merge"] * 999, "first": ["a"] * 999, "second": ["b"] * 999})
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(FileFormatError, match=r"no readable .* get a whole copy of the file"):
        rows_of(path)


@pytest.mark.parametrize("name", ["f.parquet", "f.arrow"])
@pytest.mark.parametrize("content", [b"", b"PAR1", b"ARROW1", b'{"event": "x"}\n'])
def test_a_file_that_only_has_the_name_is_an_error(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileFormatError, match=name):
        rows_of(tmp_path / name)


@pytest.mark.parametrize(("write", "name"), WRITERS[:2])
def test_a_parquet_or_arrow_file_is_known_by_its_bytes(write: Any, name: str, tmp_path: Path) -> None:
    write(tmp_path / name, {"kind": ["merge"], "first": ["a"], "second": ["b"]}).rename(tmp_path / "renamed")
    assert rows_of(tmp_path / "renamed")[0] == [(1, Kind.MERGE, "a", "b")]


@pytest.mark.parametrize(("write", "name"), WRITERS)
def test_an_open_file_can_be_read_twice_and_stays_open(write: Any, name: str, tmp_path: Path) -> None:
    with write(tmp_path / name, {"kind": ["merge"], "first": ["a"], "second": ["b"]}).open("rb") as stream:
        first = [piece.link(0) for piece in read(stream) if isinstance(piece, LinkBatch)]
        stream.seek(0)
        assert first == [piece.link(0) for piece in read(stream) if isinstance(piece, LinkBatch)]
        assert not stream.closed


@pytest.mark.parametrize(("write", "name"), WRITERS)
def test_every_byte_is_told_once(write: Any, name: str, tmp_path: Path) -> None:
    path = write(tmp_path / name, {"kind": [0] * 30_000, "first": ["a"] * 30_000, "second": ["b"] * 30_000})
    told: list[int] = []
    for _ in read(path, on_bytes=told.append):
        pass
    assert sum(told) == path.stat().st_size


def test_parquet_from_a_pipe_is_an_error_that_says_what_to_do() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    with pytest.raises(FileFormatError, match="Parquet cannot be read from a pipe; name a file"):
        rows_of(Pipe(b"PAR1...."), "<stdin>")


def test_a_large_row_group_is_read_page_by_page(tmp_path: Path) -> None:
    ids = pa.array([f"{number:0200}" for number in range(200_000)])
    path = tmp_path / "f.parquet"
    table = pa.table({"kind": pa.array([2] * len(ids), pa.int8()), "first": ids, "second": ids})
    parquet.write_table(table, path, row_group_size=len(ids), use_dictionary=False, compression="none")
    before = pa.total_allocated_bytes()
    held = [pa.total_allocated_bytes() - before for _ in read(path)]
    assert len(held) == 25
    assert max(held) < table.nbytes / 4


def test_a_piece_without_events_is_true_and_applies_what_it_has() -> None:
    pieces = list(read(io.BytesIO(b"kind,first,second\nmerge,a,b\nmerge\n"), name="f.csv"))
    resolver = Resolver()
    assert [(len(piece), bool(piece)) for piece in pieces] == [(0, True), (0, True)]
    reports = [piece.apply_to(resolver) for piece in pieces]
    assert [report.outcomes.tolist() for report in reports] == [[0], []]
    judged = [list(piece.judged(report)) for piece, report in zip(pieces, reports, strict=True)]
    assert [[(link.line, link.first, link.second) for link in links] for links in judged] == [
        [(2, "a", "b")],
        [],
    ]
