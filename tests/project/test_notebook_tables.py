"""The tables that a notebook shows for answers and for a diagnosis."""

from __future__ import annotations

from pathlib import Path

from idmerge import doctor, questions
from stitched_by_hand import stitched_table

HOSTILE = "<script>alert(1)</script>"


def test_an_answer_is_shown_as_a_table_in_which_every_text_is_escaped() -> None:
    bought = {"time": 10**9, "distinct_id": "ana", "utm_campaign": HOSTILE, "amount": 5.0}
    events = stitched_table([{"event": "Purchase", "properties": bought}])
    shown = questions.attribution(events)._repr_html_()
    assert shown.count("<table>") == shown.count("</table>") == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert HOSTILE not in shown
    assert "5.00" in shown


def test_a_diagnosis_is_shown_as_its_text(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_text('{"event": "$identify", "properties": {"distinct_id": "<b>ana"}}', encoding="utf-8")
    shown = doctor.examine(path)._repr_html_()
    assert shown.startswith("<pre>")
    assert "<b>" not in shown
