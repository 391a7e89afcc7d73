"""The rows of the ways in, their record, and the tables and the chart made of it belong together."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from benches.reports.doors import __main__ as report
from benches.reports.doors import profiles, record, start, threads, turns
from benches.reports.doors.row import Row, Spread
from benches.reports.tables import sections_filled


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(record.RECORD.read_text("utf-8"))
    return found


@pytest.fixture
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {
        (turns, "EVENTS"): 200,
        (turns, "PAIRS"): 1,
        (profiles, "UPDATES"): 100,
        (profiles, "PEOPLE"): 20,
        (threads, "LINKS"): 100,
        (start, "STARTS"): 1,
    }
    for (module, name), count in few.items():
        monkeypatch.setattr(module, name, count)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The directory with copies of the record and the document, to be written instead of them."""
    for name in ("RECORD", "DOCUMENT", "CHART"):
        own = getattr(record, name)
        (tmp_path / own.name).write_bytes(own.read_bytes())
        monkeypatch.setattr(record, name, tmp_path / own.name)
    return tmp_path


def labels(row: Row) -> tuple[str, str, str, str, list[str]]:
    """What a row is, without its figures."""
    return row.name, row.way, row.unit, row.against, [*row.more]


def texts(chart: Path) -> list[str]:
    return re.findall(r">([^<>\n]+)</text>", chart.read_text("utf-8"))


def test_the_document_shows_the_recorded_rows(recorded: dict[str, Any]) -> None:
    document = record.DOCUMENT.read_text("utf-8")
    assert sections_filled(document, record.sections(recorded)) == document


@pytest.mark.usefixtures("_few")
@pytest.mark.parametrize("name", report.ROWS)
def test_each_row_measures_what_its_record_says(name: str, recorded: dict[str, Any]) -> None:
    measured = [*report.ROWS[name]()]
    assert measured
    for row in measured:
        assert Row.of(json.loads(json.dumps(row.figures()))).figures() == row.figures()
    if name in recorded:
        assert [*map(labels, measured)] == [labels(Row.of(kept)) for kept in recorded[name]["rows"]]


def test_a_row_reads_as_its_figures_do() -> None:
    plain = {"M events a second in Python": 0.382, "MB a second": 1438.2}
    row = Row("dicts", "", 3.24, "M events", Spread.of([0.7, 0.9, 0.8]), "a loop", plain)
    assert str(row) == (
        "dicts: 3.2 M events a second, 0.80 (0.70 to 0.90) of a loop; "
        "0.38 M events a second in Python, 1,438 MB a second"
    )
    assert str(Row("start", more={"s by the clock": Spread.of([0.5])})) == (
        "start: 0.50 (0.50 to 0.50) s by the clock"
    )


def test_rows_measured_anew_leave_the_others_with_their_machine(recorded: dict[str, Any]) -> None:
    here = {name: {**recorded["dicts"], "rows": kept["rows"]} for name, kept in recorded.items()}
    of_run = {**here["dicts"], "machine": {**here["dicts"]["machine"], "processor": "Another"}}
    row = Row("texts", "text", 1.0, "M events", Spread(2.0, 1.0, 3.0), "json.loads of each")
    new = record.merged(here, {"texts": [row]}, of_run, [*report.ROWS])
    assert [*new] == [*here]
    assert new == {**here, "texts": {**of_run, "rows": [row.figures()]}}
    shown = "\n".join(dict(record.sections(new))["doors"])
    assert re.search(r"^`texts`: .*, Another, ", shown, re.MULTILINE)
    assert re.search(r"^`dicts`, `arrays`, .*", shown, re.MULTILINE)
    assert "| `texts` | text | json.loads of each | 1.0 M events | 2.00 (1.00 to 3.00) |" in shown


def test_the_chart_shows_each_recorded_ratio(recorded: dict[str, Any], tmp_path: Path) -> None:
    rows = [row for row in record.rows_of(recorded) if row.ratio]
    assert f"](charts/{record.CHART.name})" in record.DOCUMENT.read_text("utf-8")
    pytest.importorskip("matplotlib")
    from benches.reports.charts import save
    from benches.reports.doors.chart import ratios

    save(ratios(rows), tmp_path / "doors.svg")
    drawn = texts(tmp_path / "doors.svg")
    assert texts(record.CHART) == drawn
    assert sorted(text for text in drawn if re.fullmatch(r"\d+\.\d\d", text)) == sorted(
        f"{row.ratio.median:.2f}" for row in rows if row.ratio
    )
    assert {row.name for row in rows} | {f"against {row.against}" for row in rows} <= set(drawn)


@pytest.mark.usefixtures("_few")
def test_a_recorded_run_writes_record_tables_and_chart(elsewhere: Path, recorded: dict[str, Any]) -> None:
    pytest.importorskip("matplotlib")
    (elsewhere / "doors.svg").unlink()
    report.main(["--record", "dicts", "start"])
    written = json.loads((elsewhere / "doors.json").read_text("utf-8"))
    assert [*written] == [name for name in report.ROWS if name in {*recorded, "start"}]
    assert written["dicts"] != recorded["dicts"]
    assert written["texts"] == recorded["texts"]
    document = (elsewhere / "performance.md").read_text("utf-8")
    assert document == sections_filled(document, record.sections(written))
    assert re.search(r"\| `idmerge resolve` of ten events \| \d.* s \| \d.* s \|", document)
    assert "dicts" in texts(elsewhere / "doors.svg")


def test_an_unknown_row_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        report.main(["dicts", "dict"])
    assert "expected rows among dicts, texts, " in (printed := capsys.readouterr().err)
    assert printed.endswith("got dict\n")
