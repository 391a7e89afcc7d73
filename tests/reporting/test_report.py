"""Reports: the same answers and findings as the commands, from every input; nothing left silent."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

import idmerge
from idmerge import Policy, Resolver, doctor, questions
from idmerge.errors import FileFormatError
from idmerge.reporting import IdentityReport, ReportOptions
from idmerge.testing import events as workload
from paths import ROOT

SHOP = ROOT / "examples" / "shop.ndjson"
HOSTILE = "<script>alert('x')</script>\u202e\n\"&"


@pytest.fixture(scope="module")
def shop() -> IdentityReport:
    return idmerge.report(SHOP)


def rows(report: IdentityReport) -> list[list[dict[str, Any]] | None]:
    return [None if section.answer is None else [*section.answer] for section in report.sections]


def test_the_answers_are_those_of_the_questions(shop: IdentityReport) -> None:
    events = idmerge.stitch(SHOP)
    assert rows(shop) == [
        [*questions.signup_rate(events)],
        [*questions.attribution(events, top=15)],
        [*questions.conversion(events, top=15)],
    ]
    assert [section.headline.sentence for section in shop.sections] == [
        section.answer.finding for section in shop.sections if section.answer
    ]


def test_the_check_up_is_that_of_the_doctor(shop: IdentityReport) -> None:
    assert shop.check_up is not None
    assert shop.check_up.to_dict() == doctor.examine(SHOP).to_dict()


def test_the_numbers_of_the_headlines_stand_in_the_tables(shop: IdentityReport) -> None:
    signup, revenue, content = (section.headline for section in shop.sections)
    assert (signup.number, signup.unstitched) == ("51.3%", "36.1%")
    shares = [row for row in rows(shop)[1] or () if row["campaign"] is not None]
    assert revenue.number == f"{sum(row['share'] for row in shares):.1%}"
    assert revenue.unstitched == f"{sum(row['share_unstitched'] for row in shares):.1%}"
    assert (content.number, content.unstitched) == ("41.2%", "0.0%")


@pytest.mark.parametrize("form", ["gz", "array", "columns", "folder", "stitched", "flat"])
def test_every_input_gives_the_same_answers(form: str, shop: IdentityReport, tmp_path: Path) -> None:
    lines = SHOP.read_bytes()
    events = [json.loads(line) for line in lines.splitlines()]
    path = tmp_path / "e.ndjson"
    if form == "gz":
        path = tmp_path / "e.ndjson.gz"
        path.write_bytes(gzip.compress(lines))
    elif form == "array":
        path.write_text(json.dumps(events))
    elif form == "flat":
        path.write_text("".join(json.dumps({"event": e["event"], **e["properties"]}) + "\n" for e in events))
    elif form == "folder":
        path = tmp_path / "folder"
        path.mkdir()
        half = lines.index(b"\n", len(lines) // 2) + 1
        (path / "part-1.ndjson").write_bytes(lines[:half])
        (path / "part-2.ndjson").write_bytes(lines[half:])
    else:
        stitched = tmp_path / "s.parquet"
        idmerge.stitch(SHOP, output=stitched)
        path = stitched
        if form == "columns":
            table = parquet.read_table(stitched)
            raw = table.drop_columns("distinct_id").rename_columns(
                {"$distinct_id_before_identity": "distinct_id"}
            )
            path = tmp_path / "raw.parquet"
            parquet.write_table(raw, path)
    found = idmerge.report(path)
    assert rows(found) == rows(shop)
    assert found.reading.events == 600
    assert (found.check_up is None) == (form == "stitched")


def test_a_resolver_that_is_given_has_the_links(shop: IdentityReport) -> None:
    (alone,) = rows(idmerge.report(SHOP, Resolver()))[0] or ()
    (stitched,) = rows(shop)[0] or ()
    assert alone["visitors"] > stitched["visitors"]
    known = Resolver()
    for piece in idmerge.files.scan(str(SHOP)):
        if not isinstance(piece, idmerge.files.BadLine):
            piece.apply_to(known)
    assert rows(idmerge.report(SHOP, known)) == rows(shop)
    with pytest.raises(ValueError, match="give these or the resolver"):
        idmerge.report(SHOP, known, policy=Policy())


def test_the_rules_hold_for_answers_and_check_up_alike() -> None:
    found = idmerge.report(SHOP, policy=Policy(anon_format="any"), canonical="smallest")
    assert found.check_up is not None
    assert "anon-format" not in {finding.code for finding in found.check_up.findings}
    method = dict(found.method())
    assert method["rules"] == "the original API, anon_format any"
    assert method["canonical ID"] == "smallest"
    assert idmerge.report(SHOP, api="simplified").reading.policy == Policy.simplified()


def test_sorted_events_give_the_same_report(shop: IdentityReport) -> None:
    assert rows(idmerge.report(SHOP, sort=True)) == rows(shop)


def test_events_that_count_are_limited_and_the_report_says_so() -> None:
    found = idmerge.report(
        SHOP, where="event <> 'Purchase' OR amount > 50", to_date="2024-01-01", timezone="Asia/Tokyo"
    )
    assert dict(found.method())["events that count"] == (
        "to 2024-01-01, where event <> 'Purchase' OR amount > 50; days of Asia/Tokyo; the check-up is of all "
        "events"
    )
    answer = found.sections[1].answer
    assert answer is not None
    whole = idmerge.report(SHOP).sections[1].answer
    assert whole is not None
    assert 0 < sum(row["revenue"] for row in answer) < sum(row["revenue"] for row in whole)


def test_a_question_without_its_names_is_not_answered_and_says_why() -> None:
    found = idmerge.report(ROOT / "examples" / "flow-3-shared-device.ndjson")
    assert rows(found) == [None, None, None]
    sentences = [section.headline.sentence for section in found.sections]
    assert sentences[0] == (
        "Not answered: no event is called a sign-up, and none comes with the first user ID of many persons "
        "(--signup names one)"
    )
    for sentence in sentences:
        assert sentence in found.text().replace("\n", " ")
        assert sentence.replace("'", "&#x27;") in found.html()
    assert found.to_dict()["answers"]["attribution"]["rows"] is None


def test_content_that_is_the_sign_up_itself_is_not_answered() -> None:
    found = idmerge.report(SHOP, content_event="Sign Up", content="utm_campaign")
    assert found.sections[2].headline.sentence == (
        'Not answered: "Sign Up" is the sign-up itself (--content-event names one)'
    )


def test_malformed_lines_and_dialects_are_part_of_the_account(tmp_path: Path) -> None:
    flat = [{"event": "Sign Up", "distinct_id": "ana", "time": 1_700_000_000}]
    (tmp_path / "e.ndjson").write_text("".join(json.dumps(each) + "\n" for each in flat) + "{broken\n")
    found = idmerge.report(tmp_path / "e.ndjson", times_in="Asia/Kolkata")
    assert dict(found.method())["events"] == (
        "1; 1 malformed line passed over; read as flat events; times that name no zone are in Asia/Kolkata"
    )


@pytest.mark.parametrize("given", [7, [], [SHOP, 7]])
def test_what_is_no_path_is_refused(given: Any) -> None:
    with pytest.raises(TypeError, match="events must be paths"):
        idmerge.report(given)


def test_stitched_and_raw_events_do_not_mix(tmp_path: Path) -> None:
    idmerge.stitch(SHOP, output=tmp_path / "s.parquet")
    with pytest.raises(FileFormatError, match="stitch all of them together"):
        idmerge.report([tmp_path / "s.parquet", SHOP])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"from_date": "soon"}, "from_date must be a date"),
        ({"timezone": "Mars"}, "Mars"),
        ({"model": "best"}, "model must be one of"),
        ({"top": 0}, "top must be at least 1"),
        ({"signup": ""}, "signup must be Unicode text"),
        ({"within": "soon"}, "'soon' is no length of time"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ReportOptions(**options)


def test_hostile_names_inject_nothing_into_the_page(tmp_path: Path) -> None:
    def event(name: str, second: int, **properties: Any) -> dict[str, Any]:
        stated = {"distinct_id": f"{HOSTILE}ana", "time": 1_700_000_000 + second, **properties}
        return {"event": name, "properties": stated}

    events = [
        event(f"{HOSTILE}read", 0, **{f"{HOSTILE}post": HOSTILE, f"{HOSTILE}campaign": HOSTILE}),
        event(f"{HOSTILE}joined", 1),
        event(f"{HOSTILE}bought", 2, **{f"{HOSTILE}amount": 5}),
    ]
    path = tmp_path / "<script>.ndjson"
    path.write_text("".join(json.dumps(each) + "\n" for each in events), encoding="utf-8")
    found = idmerge.report(
        path,
        signup=f"{HOSTILE}joined",
        purchase=f"{HOSTILE}bought",
        amount=f"{HOSTILE}amount",
        campaign=f"{HOSTILE}campaign",
        content_event=f"{HOSTILE}read",
        content=f"{HOSTILE}post",
    )
    page = found.html()
    assert all(section.answer is not None for section in found.sections)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "\u202e" not in re.sub(r"<pre>.*?</pre>", "", page, flags=re.DOTALL)
    assert "\u202e" not in found.text()


def test_a_large_workload_is_counted_whole(tmp_path: Path) -> None:
    path = tmp_path / "e.ndjson"
    path.write_text("".join(json.dumps(event) + "\n" for event in workload(3000, seed=5)))
    steps: list[str] = []
    done: list[int] = []
    found = idmerge.report(path, on_bytes=done.append, on_step=steps.append)
    assert found.reading.events == 3000
    assert [*dict.fromkeys(steps)] == ["answering", "reading twice", "examining"]
    assert 3.9 < sum(done) / path.stat().st_size <= 4.01
    shutil.rmtree(tmp_path)
    assert found.html() == found.html()
