"""Journals of earlier formats, kept as files: they give the answers that were kept with them."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from idmerge import DurableResolver, Outcome
from idmerge.errors import JournalError
from idmerge.journal import FORMAT
from idmerge.journal.verify import verify
from make_journal import POLICY, make, said
from paths import DATA

FORMATS = range(1, FORMAT + 1)


@pytest.fixture(params=FORMATS)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A copy of a journal that is kept, and what it said when it was made."""
    path = DATA / f"journal-{request.param}.idmerge"
    expected: dict[str, Any] = json.loads(path.with_suffix(".json").read_text("utf-8"))
    if request.param < 3:  # Then all links were judged anew, and no event was evidence.
        expected["policy"] |= {"verdicts": "ignore", "evidence": False}
    if request.param < 4:  # Then there was one API.
        expected["policy"]["api"] = "original"
    return Path(shutil.copy(path, tmp_path)), expected


@pytest.mark.parametrize("settings", [{}, {"read_only": True}, {"history": False}])
def test_a_journal_of_each_format_says_what_it_said(
    kept: tuple[Path, dict[str, Any]], settings: dict[str, Any]
) -> None:
    path, expected = kept
    with DurableResolver.open(path, **settings) as resolver:
        assert said(resolver) == expected


def test_the_defaults_of_today_open_a_journal_of_each_format(kept: tuple[Path, dict[str, Any]]) -> None:
    path, expected = kept
    refused = {"alias": "x", "distinct_id": "y", "$failure_reason": "errManyIDs"}
    with DurableResolver.open(path, POLICY) as resolver:
        assert said(resolver) == expected
        is_old = resolver.policy.verdicts == "ignore"
        outcome = resolver.apply({"event": "$create_alias", "properties": refused})
        assert outcome is (Outcome.MERGED if is_old else Outcome.REFUSED_BEFORE)
        resolver.commit()
    for field, other in {"max_cluster_size": 9, "anon_format": "any", "alias_once": False}.items():
        with pytest.raises(JournalError, match=f"made with another policy: {field} is"):
            DurableResolver.open(path, replace(POLICY, **{field: other}))  # type: ignore[arg-type]


def test_a_journal_of_each_format_goes_on(kept: tuple[Path, dict[str, Any]]) -> None:
    path, _ = kept
    with DurableResolver.open(path) as resolver:
        resolver.retract(27)
        resolver.merge("U1", "U9")
        resolver.compact()
        expected = said(resolver)
    with DurableResolver.open(path) as again:
        assert said(again) == expected


def test_what_is_written_now_says_what_the_latest_that_is_kept_says(tmp_path: Path) -> None:
    make(tmp_path / "journal")
    with DurableResolver.open(tmp_path / "journal") as resolver:
        assert said(resolver) == json.loads((DATA / f"journal-{FORMAT}.json").read_text("utf-8"))


def test_a_journal_of_format_1_without_facts_gets_those_of_its_format(tmp_path: Path) -> None:
    """The process that made it was killed before it stated them."""
    path = Path(shutil.copy(DATA / "journal-1.idmerge", tmp_path))
    with closing(sqlite3.connect(path)) as connection, connection:
        for table in ("facts", "head", "batches"):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608
    for number in range(2):
        with DurableResolver.open(path) as resolver:
            assert resolver.position == number
            resolver.merge("a", f"b{number}")
            resolver.commit({"topic": number})
    assert verify(path).damage is None
