"""The doctor's text for a terminal."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from idmerge.doctor import examine

if TYPE_CHECKING:
    from pathlib import Path

WITHOUT_ID = {"event": "$identify", "properties": {"$anon_id": None, "$identified_id": "ada", "time": 1}}


def test_the_text_fits_a_width_and_shows_severities_as_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "f.ndjson").write_text(json.dumps(WITHOUT_ID))
    diagnosis = examine(tmp_path / "f.ndjson")
    narrow = diagnosis.text(width=50, styled=lambda word, severity: f"<{word.strip()} {severity:d}>")
    assert "\n<ERROR 0>malformed-event\n" in narrow
    sentences = [line for line in narrow.splitlines() if line.startswith(("  change: ", "          "))]
    assert sentences
    assert max(map(len, sentences)) <= 50
    assert narrow.splitlines() != diagnosis.text().splitlines()
    assert re.sub(r"<(\w+) \d>", r"\1 ", narrow).split() == diagnosis.text().split()
