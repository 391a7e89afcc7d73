"""The tables that a notebook shows, and the short names that a prompt does."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import idmerge
from idmerge import Resolver, doctor, questions
from stitched_by_hand import stitched_table

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "<script>alert(1)</script>"


def test_an_answer_is_shown_as_a_table_in_which_every_text_is_escaped() -> None:
    bought = {"time": 10**9, "distinct_id": "ana", "utm_campaign": HOSTILE, "amount": 5.0}
    events = stitched_table([{"event": "Purchase", "properties": bought}])
    shown = questions.attribution(events)._repr_html_()
    assert shown.count("<table ") == shown.count("</table>") == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert HOSTILE not in shown
    assert "5.00" in shown


def test_a_diagnosis_is_shown_as_its_text(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_text('{"event": "$identify", "properties": {"distinct_id": "<b>ana"}}', encoding="utf-8")
    shown = doctor.examine(path)._repr_html_()
    assert shown.startswith("<pre>")
    assert "<b>" not in shown


def rows_of(shown: str) -> list[list[str]]:
    """The texts of the cells of each row of a table."""
    return [
        re.findall(r"<t[hd]><bdi>(.*?)</bdi>", row) for row in re.findall(r"<tr>(.*?)</tr>", shown, re.DOTALL)
    ]


def test_a_mapping_is_shown_by_its_first_ten_rows_and_its_types() -> None:
    resolver = Resolver()
    resolver.merge(HOSTILE, "ana")
    for number in range(30):
        resolver.observe(f"u{number}")
    shown = resolver.mapping()._repr_html_()
    names, types, first, *others = rows_of(shown)
    assert names == ["distinct_id", "canonical_id", "cluster_size"]
    assert types == ["string", "string", "int32"]
    assert first == ["&lt;script&gt;alert(1)&lt;/script&gt;"] * 2 + ["2"]
    assert len(others) == 9
    assert "32 rows, 3 columns" in shown
    assert "the first 10 rows" in shown
    empty = Resolver().mapping()._repr_html_()
    assert rows_of(empty) == [names, types]


def test_a_resolver_and_its_numbers_are_shown_as_facts() -> None:
    resolver = Resolver()
    resolver.merge("a", "b")
    resolver.merge("a", "a")
    shown = resolver._repr_html_()
    assert shown == resolver.stats()._repr_html_()
    assert "<b>2 IDs in 1 clusters</b>" not in shown
    assert "<b>2 IDs in 1 cluster</b>" in shown
    assert ["IDs of the largest cluster", "2"] in rows_of(shown)
    assert ["links MERGED", "1"] in rows_of(shown)
    assert ["links SAME_IDS", "1"] in rows_of(shown)
    assert "largest" not in Resolver()._repr_html_()


def test_stitched_events_are_shown_by_their_first_rows(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    event = {"event": "View", "properties": {"time": 1_700_000_000, "distinct_id": "u", "page": HOSTILE}}
    path.write_text(f"{json.dumps(event)}\n" * 12, encoding="utf-8")
    events = idmerge.stitch(path)
    shown = events._repr_html_()
    names, types, *rows = rows_of(shown)
    assert names == events.column_names
    assert types[:2] == ["string", "timestamp[ms, tz=UTC]"]
    assert len(rows) == 10
    assert HOSTILE not in shown
    assert "the first 10 rows" in shown
    assert f"<b>{events!r}</b>" in shown


def test_what_a_prompt_shows_is_short(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_text('{"event": "$identify", "properties": {"distinct_id": "ana"}}\n' * 3, encoding="utf-8")
    assert repr(doctor.examine(path)) == "Diagnosis(1 error, 1 warning in 3 events, .text() has all)"
    bought = {"time": 10**9, "distinct_id": "ana", "utm_campaign": "mail", "amount": 5.0}
    answer = questions.attribution(stitched_table([{"event": "Purchase", "properties": bought}]))
    assert repr(answer) == f"Answer({answer.heading}: {answer.finding}; 1 row)"
