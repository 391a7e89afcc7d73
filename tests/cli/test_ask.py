"""``idmerge ask``: questions at the command line, and their charts."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from datetime import timedelta
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import duckdb
import pyarrow as pa
import pytest
from matplotlib.image import imread
from pyarrow import parquet

import command_line
from answers_by_hand import that_knows
from idmerge import Policy, questions
from idmerge.errors import MissingExtraError
from idmerge.testing import events
from stitched_by_hand import stitched_table

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "$x^2$",
    "$\\frac{",
    "a&amp;b",
    "\x00\x1b[2J",
    "evil\u202egnp",
    "']]>",
    "𝄞漢字",
    "",
    "x" * 10**4,
]
QUESTIONS = {
    "signup-rate": questions.SignupRate(),
    "attribution": questions.Attribution(),
    "conversion": questions.Conversion(),
}


run = partial(command_line.run, "ask")


@pytest.fixture(scope="module")
def shop() -> pa.Table:
    return stitched_table(events(2000, seed=2))


@pytest.fixture(autouse=True)
def stitched(shop: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    parquet.write_table(shop, "stitched.parquet")


def hostile(names: list[str] = HOSTILE) -> pa.Table:
    told = [
        {
            "event": "Purchase",
            "properties": {
                "time": 10**9,
                "distinct_id": f"u{number}",
                "utm_campaign": name,
                "amount": number + 1,
            },
        }
        for number, name in enumerate(names)
    ]
    return stitched_table(told)


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_prints_its_answer(name: str, shop: pa.Table) -> None:
    assert run(name, "stitched.parquet").stdout == f"{QUESTIONS[name].ask(shop)}\n"
    assert run(name, ".").stdout == f"{QUESTIONS[name].ask(shop)}\n"


def test_options_say_what_is_asked(shop: pa.Table) -> None:
    asked = [
        (
            ["signup-rate", "--by", "day", "--signup", "Purchase"],
            questions.SignupRate(by="day", signup="Purchase"),
        ),
        (
            ["attribution", "--model", "linear", "--purchase", "Add to Cart", "--campaign", "utm_source"],
            questions.Attribution(model="linear", purchase="Add to Cart", campaign="utm_source"),
        ),
        (["attribution", "--amount", "post"], questions.Attribution(amount="post")),
        (
            ["conversion", "--from", "Page View", "--to", "Purchase", "--by", "page", "--within", "90m"],
            questions.Conversion(start="Page View", goal="Purchase", by="page", within=timedelta(minutes=90)),
        ),
    ]
    for arguments, question in asked:
        assert run(*arguments, "stitched.parquet").stdout == f"{question.ask(shop).text()}\n"


@pytest.mark.parametrize(
    ("written", "length"),
    [
        ("30d", timedelta(30)),
        ("2w", timedelta(14)),
        ("36h", timedelta(hours=36)),
        ("90m", timedelta(minutes=90)),
        ("90min", timedelta(minutes=90)),
        ("5s", timedelta(seconds=5)),
    ],
)
def test_lengths_of_time_have_a_unit(written: str, length: timedelta) -> None:
    sql = run("conversion", "--within", written, "--sql").stdout
    assert sql == questions.Conversion(within=length).sql() + "\n"
    assert questions.Conversion(within=written) == questions.Conversion(within=length)
    for wrong in ("30", "d", "3x", "-1d", "1.5d"):
        message = (
            f"{wrong!r} is no length of time; expected a number and w, d, h, m (or min) or s, such as 30d"
        )
        assert message in run("conversion", f"--within={wrong}", "--sql", code=2).stderr


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_statement_is_printed_with_and_without_events_and_runs(name: str, shop: pa.Table) -> None:
    sql = run(name, "--sql").stdout
    assert run(name, "stitched.parquet", "--sql").stdout == sql
    connection = duckdb.connect()
    connection.register("events", shop)
    rows = connection.execute(sql).fetchall()
    assert rows == [tuple(row.values()) for row in QUESTIONS[name].ask(shop)]


@pytest.mark.parametrize("suffix", ["csv", "ndjson", "parquet", "arrow"])
def test_an_answer_can_go_to_a_file(suffix: str, shop: pa.Table) -> None:
    assert run("signup-rate", "stitched.parquet", "--by", "week", "-o", f"x.{suffix}").stdout == ""
    expected = questions.signup_rate(shop, by="week").table
    content = Path(f"x.{suffix}").read_bytes()
    if suffix == "csv":
        assert content.decode().splitlines()[0] == ",".join(expected.column_names)
        assert content.decode().splitlines()[1].startswith("2024-01-01,")
    elif suffix == "ndjson":
        (row,) = map(json.loads, content.splitlines())
        assert row == {**expected.to_pylist()[0], "week": "2024-01-01"}
    else:
        opened = (
            parquet.read_table(f"x.{suffix}") if suffix == "parquet" else pa.ipc.open_file(content).read_all()
        )
        assert opened.equals(expected)


def test_names_that_need_quotes_get_them_in_csv() -> None:
    parquet.write_table(hostile(['a,"b"', "c"]), "h.parquet")
    run("attribution", "h.parquet", "-o", "x.csv")
    assert Path("x.csv").read_text(encoding="utf-8").splitlines()[2].startswith('"a,""b""",1')


# Charts


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_chart_has_two_titled_bars_a_row_and_their_numbers(name: str, shop: pa.Table) -> None:
    run(name, "stitched.parquet", "--chart", "x.svg")
    answer = QUESTIONS[name].ask(shop)
    root = ET.parse("x.svg").getroot()  # noqa: S314 - made above
    titles = [element.text for element in root.iter("{http://www.w3.org/2000/svg}title")]
    assert len(titles) == 2 * len(answer)
    shown = "".join(text or "" for text in root.itertext())
    for row in answer:
        for suffix, label in (("", "with stitching"), ("_unstitched", "without stitching")):
            number = answer.charted.shown(row[answer.charted.name + suffix])
            if answer.charted.form == "share":  # A share without its whole says little.
                number += f" (n = {row[answer.measures[0].name + suffix]:,})"
            assert any(title and title.endswith(f"{label}: {number}") for title in titles)
            assert shown.count(number) >= 2


def test_bars_are_as_long_as_their_numbers() -> None:
    told = hostile(["one", "two", "three"])
    questions.attribution(told).chart("x.svg")
    lengths = {}
    for group in ET.parse("x.svg").getroot().iter("{http://www.w3.org/2000/svg}g"):  # noqa: S314
        if group.get("id", "").startswith("bar-"):
            path = next(group.iter("{http://www.w3.org/2000/svg}path")).get("d", "")
            across = [float(x) for x in re.findall(r"[ML] ([\d.]+) ", path)]
            lengths[group.get("id")] = max(across) - min(across)
    assert lengths["bar-0"] == pytest.approx(3 * lengths["bar-2"], rel=1e-3)
    assert lengths["bar-1_unstitched"] == pytest.approx(2 * lengths["bar-2"], rel=1e-3)


def test_a_png_is_a_picture_that_grows_with_the_rows(shop: pa.Table) -> None:
    run("conversion", "stitched.parquet", "--chart", "x.png")
    picture = imread("x.png")
    assert picture.shape[1] > 1000
    assert picture.shape[0] > imread(io.BytesIO(questions.signup_rate(shop).drawn("png"))).shape[0]
    assert Path("x.png").read_bytes() == questions.conversion(shop).drawn("png")


class Tags(HTMLParser):
    """Collects the tags, the attributes and the texts of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_a_page_holds_chart_table_and_statement_and_nothing_that_runs() -> None:
    parquet.write_table(hostile(), "h.parquet")
    run("attribution", "h.parquet", "--purchase", "Purchase", "--chart", "x.html")
    content = Path("x.html").read_bytes()
    page = Tags()
    page.feed(content.decode())
    html = {"html", "head", "meta", "title", "style", "body", "header", "main", "h1", "section", "div", "p"}
    assert page.tags == html | {"span", "i", "bdi", "table", "tr", "th", "td", "details", "summary", "pre"}
    assert not any(name.startswith("on") for name in page.attributes)
    assert b"default-src 'none'" in content
    for text in filter(None, HOSTILE[:-1]):  # An empty campaign is none.
        shown = text if text.isprintable() and text.strip() else ascii(text)
        assert sum(shown in found for found in page.texts) >= 2, text
    assert "… (10,000 characters)" in content.decode()
    assert not any(bytes([code]) in content for code in range(32) if code != 10)
    assert "\u202e" not in content.decode()
    assert "FROM campaigns" in "".join(page.texts)


def test_a_statement_with_what_steers_a_page_is_shown_as_text() -> None:
    purchase = "</pre><script>alert(1)</script>\x1b[2J"
    answer = questions.attribution(that_knows(hostile(), purchase), purchase=purchase)
    content = answer.drawn("html").decode()
    assert "<script" not in content
    assert "\x1b" not in content


def test_long_names_leave_room_for_the_bars() -> None:
    names = ["x" * 500, "漢字" * 300]
    answer = questions.attribution(hostile(names), campaign="utm_campaign", purchase="Purchase" * 1)
    assert b'width="576pt"' in answer.drawn("svg")
    lengths = [
        max(float(x) for x in re.findall(r"[ML] ([\d.]+) ", path))
        for path in re.findall(r' d="(M[^"]+)"', answer.drawn("svg").decode())
    ]
    assert max(lengths) > 400


def test_of_many_rows_the_first_are_drawn_and_all_are_in_the_table() -> None:
    answer = questions.attribution(hostile([f"c{number:03}" for number in range(100)]))
    assert answer.drawn("svg").count(b"<title>") == 60
    assert "(the first 30 of 100)" in answer.drawn("svg").decode()
    assert answer.drawn("html").decode().count("<tr>") == 102


def test_negative_revenue_and_no_rows_can_be_drawn() -> None:
    table = hostile(["back", "x"])
    amounts = pa.array([-5.0, -1.0])
    back = table.set_column(table.column_names.index("amount"), "amount", amounts)
    assert "-5.00" in questions.attribution(back).drawn("svg").decode()
    none = that_knows(table, "Never")
    for picture in ("svg", "png", "html"):
        assert questions.attribution(none, purchase="Never").drawn(picture)  # type: ignore[arg-type]


def test_the_same_answer_gives_the_same_bytes_whatever_the_settings() -> None:
    Path("matplotlibrc").write_text("svg.fonttype: path\nfont.size: 30\n", encoding="utf-8")
    drawings = set()
    for seed in ("0", "1"):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "MATPLOTLIBRC": "matplotlibrc" if seed == "1" else "",
        }
        command = [
            sys.executable,
            "-m",
            "idmerge",
            "ask",
            "attribution",
            "stitched.parquet",
            "--chart",
            "x.html",
        ]
        subprocess.run(command, check=True, env=environment, capture_output=True)
        drawings.add(Path("x.html").read_bytes())
    assert len(drawings) == 1


# What stands in the way


@pytest.fixture
def raw() -> Path:
    path = Path("raw.ndjson")
    path.write_text("\n".join(map(json.dumps, events(2000, seed=2))), encoding="utf-8")
    return path


@pytest.mark.parametrize("question", QUESTIONS)
def test_raw_events_are_stitched_for_the_question(question: str, raw: Path) -> None:
    assert run(question, raw).stdout == run(question, "stitched.parquet").stdout


@pytest.mark.parametrize("question", QUESTIONS)
def test_raw_events_in_parquet_are_stitched_for_the_question_too(question: str) -> None:
    rows = [{"event": event["event"], **event["properties"]} for event in events(2000, seed=2)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = pa.Table.from_pylist([dict.fromkeys(names) | row for row in rows])
    times = pa.array([1000 * row["time"] for row in rows], pa.timestamp("ms", "UTC"))
    table = table.set_column(table.schema.get_field_index("time"), "time", times)
    Path("raw").mkdir()
    parquet.write_table(table, "raw/0.parquet")
    expected = run(question, "stitched.parquet").stdout
    assert run(question, "raw/0.parquet").stdout == run(question, "raw").stdout == expected


def test_raw_events_are_judged_by_the_rules_that_are_given(raw: Path) -> None:
    lax = run("signup-rate", raw, "--anon-guard", "off").stdout
    assert lax != run("signup-rate", raw).stdout
    parquet.write_table(stitched_table(events(2000, seed=2), policy=Policy(anon_guard="off")), "lax.parquet")
    assert lax == run("signup-rate", "lax.parquet").stdout


def test_bad_lines_of_raw_events_are_told_and_passed_over(raw: Path) -> None:
    told = run("signup-rate", raw).stdout
    with raw.open("a", encoding="utf-8") as file:
        file.write("\nno event\n")
    result = run("signup-rate", raw)
    assert result.stdout == told
    assert "raw.ndjson:2001: the event is no JSON" in result.stderr


def test_stitched_events_take_no_rules_and_go_with_no_raw_ones(raw: Path) -> None:
    stderr = run("signup-rate", "stitched.parquet", "--canonical", "smallest", code=2).stderr
    assert "stitched events have been judged; leave the policy's options out" in stderr
    stderr = run("signup-rate", "stitched.parquet", raw, "--sql", code=2).stderr
    assert "some events are stitched and some are not; stitch all of them together" in stderr


@pytest.mark.parametrize(
    ("arguments", "missing", "meant"),
    [
        (["signup-rate", "--signup", "sign_up"], ['"sign_up"'], "Sign Up"),
        (["attribution", "--purchase", "\x1b[2J"], ["'\\x1b[2J'"], None),
        (["conversion", "--from", "Post", "--to", "Sign up"], ['"Post"', '"Sign up"'], "Sign Up"),
        (["conversion", "--to", "PURCHASE"], ['"PURCHASE"'], "Purchase"),
    ],
)
def test_an_event_that_does_not_occur_is_an_error_with_those_that_do(
    arguments: list[str], missing: list[str], meant: str | None, raw: Path
) -> None:
    for place in ("stitched.parquet", raw):
        result = run(*arguments, place, code=1)
        assert result.stdout == ""
        told = "; ".join(f"no event is called {name}" for name in missing)
        line = result.stderr.splitlines()[-1]
        assert line.startswith(f'idmerge: error: {told}; there are "Page View", "Read Post", "Add to Cart"')
        assert line.partition('"$merge"')[2] == (f". Did you mean {meant!r}?" if meant else "")


def test_a_property_that_is_not_there_is_an_error_with_the_nearest_name() -> None:
    stderr = run("attribution", "stitched.parquet", "--campaign", "UTM_campagn", code=1).stderr
    assert stderr.endswith(". Did you mean 'utm_campaign'?\n")


def test_of_no_events_it_is_told_that_there_are_none() -> None:
    Path("empty.ndjson").write_bytes(b"")
    stderr = run("signup-rate", "empty.ndjson").stderr
    assert stderr.splitlines() == [
        "note        empty.ndjson is empty: there is no event in it",
        "note        there are no events",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["attribution"], 2, "Missing argument 'EVENTS...'"),
        (["attribution", "missing.parquet"], 1, "missing.parquet: No such file or directory"),
        (
            ["attribution", "stitched.parquet", "--amount", "paid"],
            1,
            "the events have no column 'paid'; they have",
        ),
        (
            ["attribution", "stitched.parquet", "--purchase", "\udcff"],
            2,
            "purchase must be Unicode text, got '\\udcff'",
        ),
        (["attribution", "stitched.parquet", "--chart", "x.gif"], 2, "expected one of .svg, .png, .html"),
        (["attribution", "stitched.parquet", "-o", "stitched.parquet"], 2, "would be read and written over"),
        (["attribution", "parts", "-o", "parts/one.parquet"], 2, "'parts' would be read and written over"),
        (["attribution", "stitched.parquet", "--sql", "-o", "x.csv"], 2, "--sql runs nothing"),
        (["conversion", "stitched.parquet", "--to", "Read Post"], 2, "start and goal must be two events"),
        (
            ["attribution", "stitched.parquet", "--chart", "no/x.svg"],
            1,
            "no/x.svg: No such file or directory",
        ),
    ],
)
def test_what_stands_in_the_way_is_one_line(arguments: list[str], code: int, message: str) -> None:
    before = Path("stitched.parquet").read_bytes()
    stderr = run(*arguments, code=code).stderr
    assert message in stderr
    assert len(stderr.splitlines()) == (1 if code == 1 else 4)
    assert Path("stitched.parquet").read_bytes() == before


def test_without_matplotlib_one_line_says_what_to_install(
    shop: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    answer = questions.attribution(shop)
    with pytest.raises(MissingExtraError, match=r"^drawing needs matplotlib: pip install matplotlib$"):
        answer.chart("x.svg")
    assert not Path("x.svg").exists()
    result = run("attribution", "not-there.parquet", "--chart", "x.svg", code=1)  # Before anything is read.
    assert result.stderr == "idmerge: error: drawing needs matplotlib: pip install matplotlib\n"
    assert run("attribution", "stitched.parquet", "--chart", "x.html").stdout
    with pytest.raises(ValueError, match="a chart must be called .svg, .png or .html, got 'x.gif'"):
        answer.chart("x.gif")
