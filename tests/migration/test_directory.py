"""The directory of a migration: any file that is not as it was written is found, and all is JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from idmerge import migration
from idmerge.errors import FileFormatError, MigrationError

if TYPE_CHECKING:
    from collections.abc import Callable

PHONE, TABLET = "5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11", "0b0f7d52-55a8-4be5-a1f0-67c1c7a7a1f2"
EVENTS = [
    {"event": "View", "properties": {"distinct_id": PHONE, "time": 1706659200}},
    {"event": "$identify", "properties": {"distinct_id": "ana", "$anon_distinct_id": PHONE}},
    {"event": "$identify", "properties": {"distinct_id": "ben", "$anon_distinct_id": TABLET}},
    {"event": "Buy", "properties": {"distinct_id": "ana", "time": 1706659300}},
    {"event": "Buy", "properties": {"distinct_id": "ben", "time": 1706659400}},
]
FILES = ("associations.ndjson", "events.ndjson", "profiles.ndjson", "mapping.ndjson")

Lines = list[str]


def written(path: Path, *events: dict[str, Any] | str) -> Path:
    source, profiles = path / "export.ndjson", path / "engage.ndjson"
    rows = [each if isinstance(each, str) else json.dumps(each) for each in events or EVENTS]
    source.write_text("\n".join(rows))
    profiles.write_text(f"{json.dumps({'$distinct_id': PHONE, '$set': {'plan': 'ana'}})}\n" * 2)
    migration.plan(str(source)).write(path / "new", profiles=[str(profiles)])
    return path / "new"


def without_the_last(lines: Lines) -> Lines:
    return lines[:-1]


def of_another_user(lines: Lines) -> Lines:
    *others, last = lines
    return [*others, last.replace("ben", "ana") if "ben" in last else last.replace("ana", "ben")]


def twice(lines: Lines) -> Lines:
    return [*lines, lines[-1]]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("change", [without_the_last, of_another_user, twice])
def test_a_line_that_is_deleted_altered_or_added_is_found(
    tmp_path: Path, name: str, change: Callable[[Lines], Lines]
) -> None:
    new = written(tmp_path)
    assert migration.verify(str(new)).altered == ()
    lines = (new / name).read_text().splitlines(keepends=True)
    (new / name).write_text("".join(change(lines)))
    verdict = migration.verify(str(new))
    assert not verdict
    assert verdict.altered == (name,)


def test_a_file_that_is_missing_or_added_is_found(tmp_path: Path) -> None:
    new = written(tmp_path)
    profiles = (new / "profiles.ndjson").read_bytes()
    (new / "profiles.ndjson").unlink()
    assert migration.verify(str(new)).altered == ("profiles.ndjson",)
    migration.plan(str(tmp_path / "export.ndjson")).write(new)
    assert migration.verify(str(new))
    (new / "profiles.ndjson").write_bytes(profiles)
    assert migration.verify(str(new)).altered == ("profiles.ndjson",)


def test_a_plan_without_digests_and_a_line_that_is_no_json_are_errors(tmp_path: Path) -> None:
    new = written(tmp_path)
    plan = json.loads((new / "plan.json").read_text())
    (new / "events.ndjson").write_text("{")
    with pytest.raises(FileFormatError, match=r"events\.ndjson:1"):
        migration.verify(str(new))
    (new / "plan.json").write_text(json.dumps({**plan, "files": 1}))
    with pytest.raises(MigrationError, match="lacks the digests"):
        migration.verify(str(new))


def test_numbers_that_json_does_not_have_are_written_as_others(tmp_path: Path) -> None:
    long = "9" * 5000
    event = (
        f'{{"event": "V", "properties": {{"distinct_id": "ana", "v": [1e999, NaN, -Infinity, 1.5, {long}]}}}}'
    )
    new = written(tmp_path, event)

    def refuse(text: str) -> None:
        raise AssertionError(text)

    [line] = (new / "events.ndjson").read_text().splitlines()
    found = json.loads(line, parse_constant=refuse)["properties"]["v"]
    assert found == [None, None, None, 1.5, long]
    assert migration.verify(str(new))
