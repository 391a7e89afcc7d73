"""Commands on exports that Mixpanel has rewritten or judged itself."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from click.testing import CliRunner, Result

from idmerge.cli.group import commands
from paths import DATA

FIELD = DATA / "field"
DEVICE = "5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11"


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(commands, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result


def canonical(result: Result) -> dict[str, str]:
    rows = csv.DictReader(io.StringIO(result.stdout))
    return {row["distinct_id"]: row["canonical_id"] for row in rows}


def test_a_link_that_mixpanel_refused_is_refused_and_counted_where_ours_differs(tmp_path: Path) -> None:
    rejected = tmp_path / "rejected.ndjson"
    result = run("resolve", FIELD / "failure_reason.ndjson", "--rejected", rejected)
    assert canonical(result) == {DEVICE: DEVICE, "ben": "ben"}
    assert "1  REFUSED_BEFORE" in result.stderr
    assert "verdicts    1 link that Mixpanel refused passes the other rules" in result.stderr
    row = json.loads(rejected.read_text("utf-8"))
    assert (row["outcome"], row["failure_reason"]) == ("REFUSED_BEFORE", "errAnonDistinctIdAssignedAlready")


def test_verdicts_can_be_ignored() -> None:
    result = run("resolve", FIELD / "failure_reason.ndjson", "--verdicts", "ignore")
    assert canonical(result) == {DEVICE: "ben", "ben": "ben"}
    assert "1  MERGED" in result.stderr


def test_evidence_can_be_left_out() -> None:
    joined = canonical(run("resolve", FIELD / "partial_rekey.ndjson"))
    assert set(joined.values()) == {f"$device:{DEVICE}"}
    apart = canonical(run("resolve", FIELD / "partial_rekey.ndjson", "--no-evidence"))
    assert apart[f"$device:{DEVICE}"] != apart["324172"]


def test_show_gives_the_reason_of_mixpanel() -> None:
    result = run("show", "ben", FIELD / "failure_reason.ndjson")
    assert "REFUSED_BEFORE" in result.stdout
    assert "(errAnonDistinctIdAssignedAlready)" in result.stdout


def test_a_journal_explains_evidence_as_a_mapping(tmp_path: Path) -> None:
    journal = tmp_path / "ids.idmerge"
    run("resolve", FIELD / "partial_rekey.ndjson", "--journal", journal)
    result = run("why", f"$device:{DEVICE}", "324172", journal)
    assert f"mapping  324172  $device:{DEVICE}" in result.stdout
    run("resolve", FIELD / "failure_reason.ndjson", "--journal", journal)
    result = run("why", DEVICE, "ben", journal)
    assert "REFUSED_BEFORE: Mixpanel refused it itself" in result.stdout
