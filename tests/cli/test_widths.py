"""Lines on terminals of 60 columns and more, and the colours of severities."""

from __future__ import annotations

import re
from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from command_line import ndjson, run
from idmerge._formatting import aligned, display_width, middle_cut
from idmerge.cli.messages import COLOURS, labelled
from idmerge.cli.wrapping import wrapped
from idmerge.questions.tables import text_lines
from idmerge.testing import events
from terminal import on_a_terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

STYLES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
DEVICE = "5f0c1e2a-7b3d-4c58-9a61-2e8f4d7b9c03"


# Lines


@given(
    st.lists(st.text(st.sampled_from("ab-,:東"), min_size=1, max_size=70), min_size=1),
    st.sampled_from([60, 80]),
)
def test_a_line_is_wrapped_between_words_and_loses_none(words: list[str], width: int) -> None:
    line = labelled("note", " ".join(words))
    pieces = [*wrapped(line, width)]
    assert " ".join(click.unstyle(" ".join(pieces)).split()) == " ".join(click.unstyle(line).split())
    for piece in pieces:
        plain = click.unstyle(piece)
        assert display_width(plain) <= width or len(plain.removeprefix("note").split()) == 1


def test_a_line_is_continued_under_its_text() -> None:
    text = "word " * 20
    for line, hang in [
        (labelled("links", text), 12),
        (labelled("", text), 12),
        (f"{'':12}{7:>7,}  {text}", 21),
        (f"{labelled('largest', f'{21:>7,}')}  {text}", 21),
        (labelled("read", f"600 events {text}"), 12),
        (f"    f.ndjson:7  {text}", 6),
        (f"idmerge: error: {text}", 2),
    ]:
        first, *rest = wrapped(line.rstrip(), 60)
        assert rest
        assert first.strip()
        assert {len(piece) - len(piece.lstrip()) for piece in rest} == {hang}, line


def test_a_line_is_whole_where_there_is_no_terminal() -> None:
    line = labelled("note", "word " * 200)
    assert [*wrapped(line, None)] == [line]
    path = f"{'d' * 50}/{'f' * 50}.ndjson"
    assert [*wrapped(f"malformed: {path}:1: no", 60)] == ["malformed:", f"  {path}:1:", "  no"]


ROWS = [("1,204", "identify", DEVICE, "ana"), ("7", "alias", "a", "ben")]


def test_rows_are_broken_before_the_same_cell_if_one_does_not_fit() -> None:
    assert [*aligned(ROWS, (0,), 80, ragged=2)] == [*aligned(ROWS, (0,), ragged=2)]
    assert [*aligned(ROWS, (0,), 50, ragged=2)] == [
        "  1,204  identify",
        f"      {DEVICE}  ana",
        "      7  alias",
        "      a  ben",
    ]


def test_columns_of_wide_characters_stay_aligned() -> None:
    first, second = aligned([("東京", "x"), ("ab", "y")])
    assert first.index("x") + 2 == second.index("y")


@pytest.mark.parametrize("width", [None, 60])
def test_the_rows_of_an_answer_with_wide_characters_stay_aligned(width: int | None) -> None:
    names = ["spring", "東京" * 40, "夏", "e\u0301te\u0301", ""]
    cells = [[name, *map(str, range(4))] for name in names]
    headings = ["campaign", *["people", "rate"] * 2]
    lines = [*text_lines(headings, cells, keys=1, width=width)]
    tables = "\n".join(lines).split("\n\n")  # One of each version, if both do not fit side by side.
    assert len(tables) == (1 if width is None else 2)
    for table in tables:
        _, *rows = table.splitlines()
        assert len({*map(display_width, rows)}) == 1
    if width is not None:
        assert max(map(display_width, lines)) <= width


@given(st.text(st.sampled_from("ab東e\u0301"), max_size=30), st.integers(-3, 30))
def test_a_text_that_is_cut_in_the_middle_fits_and_keeps_both_ends(text: str, longest: int) -> None:
    short = middle_cut(text, longest)
    assert display_width(short) <= max(longest, 0)
    if display_width(text) <= longest:
        assert short == text
    elif longest > 0:
        begin, mark, end = short.partition("…")
        assert mark
        assert text.startswith(begin)
        assert text.endswith(end)


def test_a_measurement_fits_the_terminal() -> None:
    lines = STYLES.sub("", on_a_terminal("bench", "--ids", "200", width=60, delay=60, stdout=True))
    assert max(map(len, lines.splitlines())) <= 60


# Commands


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("widths")
    lines = ndjson(events(3000, seed=3)).splitlines(keepends=True)
    (path / "f.ndjson").write_bytes(b"".join([*lines, *[b"{\n"] * 40]))
    updates = [{"$distinct_id": "ana", "$set": {"a": 1}}, {"$distinct_id": "ana"}]
    (path / "u.ndjson").write_bytes(ndjson(updates))
    with chdir(path):  # A journal keeps the path as it was named, and no line breaks within one.
        run("resolve", "f.ndjson", "--journal", "ids")
    return path


@pytest.fixture(autouse=True)
def in_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


CALLS: list[Sequence[str]] = [
    ["resolve", "f.ndjson", "-o", "m.csv", "--rejected", "r.csv"],
    ["stitch", "f.ndjson", "-o", "out.parquet"],
    ["profiles", "u.ndjson", "--events", "f.ndjson", "-o", "people.csv"],
    ["doctor", "f.ndjson"],
    ["migrate", "f.ndjson", "--dry-run"],
    ["migrate", "f.ndjson", "-o", "f.ndjson"],
    ["doctor", "ids"],
    ["ask", "signup-rate", "f.ndjson", "--by", "week"],
    ["ask", "attribution", "f.ndjson"],
    ["ask", "conversion", "f.ndjson"],
    ["show", "user-1013", "f.ndjson"],
    ["show", "user-1013", "ids"],
    ["why", "user-1013", "user-1005", "ids"],
    ["journal", "ids"],
    ["verify", "ids"],
    ["resolve", f"{'no-such-file/' * 3}f.ndjson"],
    ["resolve", "f.ndjson", "-o", "mapping.xls"],
    ["forget", "user-1013", "ids"],
]


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("call", CALLS, ids=lambda call: " ".join(call[:2]))
def test_no_line_is_longer_than_the_terminal(call: Sequence[str], width: int) -> None:
    shown = STYLES.sub("", on_a_terminal(*call, width=width, delay=60, stdout=True, code=None))
    assert shown
    assert [line for line in shown.splitlines() if len(line) > width] == []


def test_the_width_of_columns_counts_before_that_of_the_terminal() -> None:
    shown = on_a_terminal("resolve", "f.ndjson", delay=60, width=120, environment={"COLUMNS": "60"})
    assert max(map(len, STYLES.sub("", shown).splitlines())) <= 60


def test_an_answer_in_a_pipe_is_not_wrapped() -> None:
    assert max(map(len, run("show", "user-1013", "ids").stdout.splitlines())) > 60
    assert max(map(len, run("doctor", "f.ndjson").stdout.splitlines())) > 80


# Colours


def coloured(word: str, name: str) -> str:
    return click.style(word, fg=name)


def test_severities_have_colours_on_a_terminal_and_their_words_everywhere() -> None:
    shown = on_a_terminal("doctor", "f.ndjson", stdout=True, delay=60)
    for level in ("error", "warning"):
        assert coloured(f"{level.upper():<8}", COLOURS[level]) in shown  # type: ignore[index]
    piped = run("doctor", "f.ndjson").stdout
    without = on_a_terminal("doctor", "f.ndjson", stdout=True, delay=60, environment={"NO_COLOR": "1"})
    for text in (piped, without):
        assert not STYLES.search(re.sub(r"\x1b\[(1|0)m", "", text))
        assert "\nERROR   " in text
        assert "\nWARNING " in text


def test_a_file_gets_no_colours() -> None:
    on_a_terminal("doctor", "f.ndjson", "-o", "check-up.txt", delay=60, stdout=True)
    text = Path("check-up.txt").read_text()
    assert "\nERROR   " in text
    assert "\x1b" not in text


def test_warnings_notes_and_malformed_lines_have_the_colours_of_their_severity() -> None:
    Path("odd.ndjson").write_bytes(ndjson([{"event": "x", "properties": {"distinct_id": ["a"]}}]) + b"{\n")
    shown = on_a_terminal("resolve", "odd.ndjson", delay=60)
    assert coloured("malformed:", "yellow") in shown
    assert coloured("note        ", "blue") in shown
    plain = on_a_terminal("resolve", "odd.ndjson", delay=60, environment={"NO_COLOR": "1"})
    assert "\x1b[3" not in plain
    assert "note        1 event" in plain


def test_a_warning_is_yellow() -> None:
    Path("ids-checkpoint").write_bytes(b"damaged")
    shown = on_a_terminal("mapping", "ids", delay=60)
    assert coloured("idmerge: warning:", "yellow") in shown
