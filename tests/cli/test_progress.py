"""Progress on a terminal: bars, spinners, and the commands that show them."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from command_line import ndjson
from idmerge import DurableResolver
from idmerge._formatting import display_width
from idmerge.cli import progress as module
from idmerge.cli.messages import tell
from idmerge.cli.progress import Progress, numbers_of, progress, without_display, working
from idmerge.testing import events
from terminal import on_a_terminal

pytest.importorskip("rich")

from rich.console import Console


def work(
    description: str = "reading", total: int | None = None, unit: Any = "bytes", then: str = ""
) -> Progress:
    return Progress(description, total, unit, then)


def test_a_speed_is_shown_once_there_is_time_to_tell_it() -> None:
    reading = work(total=10**9)
    reading.advance(10**8)
    assert numbers_of(reading, 0.01) == "0.1/1.0 GB"
    assert numbers_of(reading, 2) == "0.1/1.0 GB  50.0 MB/s  0:18 left"
    assert numbers_of(reading, 2, is_wide=False) == "0.1/1.0 GB  0:18 left"


def test_things_are_counted_and_what_has_no_total_shows_the_time() -> None:
    writing = work(total=5_000_000, unit="things")
    assert numbers_of(writing, 9) == "0 of 5,000,000"
    writing.advance(1_250_000)
    assert numbers_of(writing, 9) == "1,250,000 of 5,000,000  0:27 left"
    assert numbers_of(work(unit="things"), 75.9) == "1:15"
    piped = work()
    piped.advance(999)
    assert numbers_of(piped, 3_700) == "999 bytes  1:01:40"


def test_the_work_behind_the_total_is_shown_as_such() -> None:
    reading = work(total=10, then="examining")
    reading.advance(9)
    assert reading.description == "reading"
    reading.advance(1)
    assert (reading.description, reading.total, reading.count) == ("examining", None, 0)
    reading.advance(5)
    assert reading.description == "examining"


def test_turns_are_counted_from_the_first() -> None:
    measuring = work("making links", unit="things")
    for turns in range(3):
        measuring.turn("measuring", 3)
        assert (measuring.description, measuring.total, measuring.count) == ("measuring", 3, turns)


def on_a_made_up_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(module, "DELAY", 0.0)


def test_work_within_work_is_shown_in_its_place(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_a_made_up_terminal(monkeypatch)
    with working("outer") as outer:
        with progress("inner", 10) as inner:
            assert inner is outer
            assert outer.description == "inner"
        assert outer.description == "outer"
        assert outer.total is None
        time.sleep(0.5)
    assert "outer" in capsys.readouterr().err


def test_nothing_is_shown_while_data_go_to_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_a_made_up_terminal(monkeypatch)
    with working("outer"):
        time.sleep(0.5)
        assert "outer" in capsys.readouterr().err
        with without_display(), progress("inner", 10):
            time.sleep(0.3)
        assert "inner" not in capsys.readouterr().err
        time.sleep(0.3)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["x[/x].store", "ids[old].idmerge", ":smile:", "a[bold]b"])
@pytest.mark.parametrize("total", [None, 10])
def test_a_name_in_a_description_is_shown_as_it_is(name: str, total: int | None) -> None:
    written = StringIO()
    console = Console(file=written, width=80)
    console.print(module._drawn(work(f"opening {name}", total, "things"), console))
    assert f"opening {name} " in written.getvalue()


@pytest.mark.parametrize("description", ["f" * 300, "東京" * 80, "f"])
@pytest.mark.parametrize("total", [None, 10**9])
@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_description_is_cut_to_fit_the_terminal(description: str, total: int | None, width: int) -> None:
    written = StringIO()
    console = Console(file=written, width=width)
    console.print(module._drawn(work(description, total), console))
    (line,) = written.getvalue().splitlines()
    assert display_width(line) <= width
    assert ("…" in line) == (len(description) > 1)


def test_messages_are_printed_together_in_their_order(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_a_made_up_terminal(monkeypatch)
    many = 2_000
    with working("outer"):
        time.sleep(0.5)
        assert "outer" in capsys.readouterr().err
        for number in range(many):
            tell(f"[{number}]")
    shown = capsys.readouterr().err
    printed = re.findall(r"^\s*\[(\d+)\]$", plain(shown), flags=re.MULTILINE)
    assert printed == [str(number) for number in range(many)]
    frames = shown.count("outer")
    assert 0 < frames < many / 10


def test_a_second_message_comes_while_the_work_goes_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_a_made_up_terminal(monkeypatch)
    with working("outer"):
        time.sleep(0.5)
        tell("first")
        time.sleep(0.5)
        assert "first\n" in plain(capsys.readouterr().err)


def test_an_interrupt_while_the_display_begins_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_made_up_terminal(monkeypatch)
    begun: list[bool] = []
    made = module._live

    def slowly(work: Progress) -> Any:
        time.sleep(0.3)
        live = made(work)
        monkeypatch.setattr(live, "start", lambda **_: begun.append(True))
        return live

    monkeypatch.setattr(module, "_live", slowly)
    display = module._Display(work())
    display.start()
    time.sleep(0.1)
    join, calls = display._thread.join, []

    def interrupted() -> None:
        calls.append(True)
        if len(calls) == 1:
            raise KeyboardInterrupt
        join()

    monkeypatch.setattr(display._thread, "join", interrupted)
    with pytest.raises(KeyboardInterrupt):
        display.stop()
    assert not display._thread.is_alive()
    assert begun == []


def test_an_interrupt_takes_the_display_away_and_gives_the_cursor_back(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_a_made_up_terminal(monkeypatch)

    def interrupted() -> None:
        with working("outer"):
            time.sleep(0.5)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    shown = capsys.readouterr().err
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")
    with working("next"):  # There is a display again.
        time.sleep(0.5)
    assert "next" in capsys.readouterr().err


# Commands


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def journal(batches: int = 1) -> int:
    """Make the journal ``ids``; return how many bytes of it are checked."""
    with DurableResolver.open("ids") as resolver:
        for start in range(0, batches * 10_000, 10_000):
            resolver.observe_many([f"user-{number}" for number in range(start, start + 10_000)])
            resolver.merge(f"user-{start}", f"user-{start + 1}")
            resolver.commit()
        return sum(head["text_bytes"] + head["block_bytes"] for head in resolver._journal.heads())


JOURNAL = "opening|making the mapping|looking for|taking back|forgetting|writing|closing"


def plain(shown: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)


def test_a_terminal_shows_a_bar_by_bytes_and_the_notes_whole() -> None:
    malformed = {"event": "$merge", "properties": {"$distinct_ids": ["[bold]x"]}}
    Path("f.ndjson.gz").write_bytes(gzip.compress(ndjson([malformed, *events(60_000)])))
    shown = plain(on_a_terminal("resolve", "f.ndjson.gz"))
    size = Path("f.ndjson.gz").stat().st_size / 1e6
    assert re.search(rf"reading [━╸]+ *\d+\.\d/{size:.1f} MB", shown)
    assert "malformed: f.ndjson.gz:1: $merge needs exactly two $distinct_ids, got ['[bold]x']" in shown
    assert "60,001 events from 1 file" in shown


def test_short_work_shows_no_bar_and_loads_no_rich() -> None:
    Path("f.ndjson").write_bytes(ndjson(events(100)))
    imports = {"PYTHONPROFILEIMPORTTIME": "1"}  # Python lists them on standard error.
    shown = on_a_terminal("resolve", "f.ndjson", delay=60, environment=imports)
    assert "reading " not in shown
    assert "\x1b[?25l" not in shown  # A display hides the cursor.
    loaded = {line.rpartition("|")[2].strip() for line in shown.splitlines() if "import time:" in line}
    assert {"click", "idmerge.cli.progress"} <= loaded
    assert not any(name.split(".")[0] == "rich" for name in loaded)


def test_a_terminal_shows_how_far_a_journal_is_checked() -> None:
    size = journal(40) / 1e6
    assert re.search(rf"checking [━╸]+ *\d+\.\d/{size:.1f} MB", plain(on_a_terminal("verify", "ids")))


@pytest.mark.parametrize(
    ("call", "described"),
    [
        (["journal", "ids"], "reading the list of batches"),
        (["mapping", "ids"], JOURNAL),
        (["changes", "ids", "--since", "0"], JOURNAL),
        (["show", "user-1", "ids"], JOURNAL),
        (["why", "user-0", "user-1", "ids"], JOURNAL),
        (["retract", "--dry-run", "0", "ids"], JOURNAL),
        (["keep-apart", "user-0", "user-3", "ids"], JOURNAL),
        (["forget", "user-0", "ids", "--confirm"], JOURNAL),
        (["compact", "ids"], JOURNAL),
        (["doctor", "ids"], "reading the journal|examining"),
        (["generate", "--events", "100000"], "writing"),
        (["bench", "--ids", "2000"], "measuring"),
        (["stitch", "f.ndjson", "-o", "out.parquet"], "reading|encoding|writing"),
        (["ask", "signup-rate", "f.ndjson"], "reading|answering"),
        (["doctor", "f.ndjson"], "reading twice|examining"),
        (["migrate", "f.ndjson", "-o", "new"], "reading|planning|writing"),
        (["profiles", "u.ndjson", "--events", "f.ndjson"], "starting|reading|making the table"),
        (["show", "user-1013", "f.ndjson"], "first pass|second pass"),
        (["show", "user-0", "ids", "--svg", "x.svg"], "drawing"),
        (["why", "user-0", "user-1", "ids", "--html", "x.html"], "drawing"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_every_command_that_may_take_long_shows_what_it_does(call: list[str], described: str) -> None:
    if "ids" in call:
        journal(20)
    Path("f.ndjson").write_bytes(ndjson(events(40_000 if "f.ndjson" in call else 0)))
    Path("u.ndjson").write_bytes(ndjson([{"$distinct_id": "a", "$set": {"n": n}} for n in range(20_000)]))
    shown = plain(on_a_terminal(*call))
    assert re.search(rf"({described}) ", shown), shown[-2000:]


def test_colours_are_left_out_where_they_are_not_wanted() -> None:
    journal(20)
    coloured = on_a_terminal("verify", "ids")
    without = on_a_terminal("verify", "ids", environment={"NO_COLOR": "1"})
    assert re.search(r"\x1b\[[0-9;]*3[0-9]", coloured)
    assert "checking" in without
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", without)


@pytest.mark.parametrize(
    "call",
    [["mapping", "ids"], ["mapping", "ids", "--format", "ndjson"], ["generate", "--events", "100000"],
     ["stitch", "f.ndjson", "-o", "-"]],
    ids=" ".join,
)  # fmt: skip
def test_no_bar_is_drawn_over_a_pager(call: list[str]) -> None:
    journal(20)
    Path("f.ndjson").write_bytes(ndjson(events(40_000)))
    pager = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert pager.stdin is not None
    try:
        assert "writing" not in plain(on_a_terminal(*call, stdout=pager.stdin.fileno()))
    finally:
        pager.stdin.close()
        pager.wait()
    with Path("out").open("wb") as file:
        assert re.search(r"writing ", plain(on_a_terminal(*call, stdout=file.fileno())))


def test_nothing_is_drawn_under_quiet() -> None:
    journal(20)
    Path("f.ndjson").write_bytes(ndjson(events(40_000)))
    assert plain(on_a_terminal("resolve", "f.ndjson", "-o", "m.csv", "--quiet")) == ""
    assert plain(on_a_terminal("verify", "ids", "-q")) == ""


@pytest.mark.parametrize("width", [60, 80])
def test_a_bar_fits_the_terminal(width: int) -> None:
    Path("f").write_bytes(ndjson(events(40_000)))
    for call in (["resolve", "f"], ["doctor", "f"]):
        for line in re.split(r"[\r\n]", plain(on_a_terminal(*call, width=width))):
            assert len(line) <= width
