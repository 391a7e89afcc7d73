"""Exports of one person's IDs, one after another: the later one counts, in it the canonical ID."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from command_line import run
from idmerge import Profiles, Resolver

OTHERS = ("ana", "phone")
IDS = ("old-id", *OTHERS)
MERGES = [{"event": "$merge", "properties": {"$distinct_ids": ["old-id", other]}} for other in OTHERS]


def row(own: str, **properties: Any) -> dict[str, Any]:
    return {"$distinct_id": own, "$properties": properties}


def known() -> Resolver:
    resolver = Resolver()
    resolver.apply_events(MERGES)
    assert resolver.resolve("ana") == "old-id"
    return resolver


def shown(*exports: list[dict[str, Any]]) -> dict[str, Any] | None:
    profiles = Profiles(known())
    for export in exports:
        profiles.update_many(export)
    return profiles.get("ana")


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in rows), encoding="utf-8")
    return path


DAYS: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "another ID alone": ([row("ana", plan="free")], [row("ana", plan="pro")]),
    "both IDs": (
        [row("ana", plan="a"), row("old-id", plan="free")],
        [row("ana", plan="b"), row("old-id", plan="pro")],
    ),
    "the canonical ID once": (
        [row("old-id", plan="free"), row("ana", plan="a")],
        [row("ana", plan="pro")],
    ),
}


@pytest.mark.rule("11.rows of people")
@pytest.mark.parametrize("days", DAYS)
def test_the_later_export_counts_in_one_run_and_with_a_store(days: str, tmp_path: Path) -> None:
    events = written(tmp_path / "e", MERGES)
    first, second = (written(tmp_path / f"d{day}", rows) for day, rows in enumerate(DAYS[days]))
    assert shown(*DAYS[days]) == {"plan": "pro"}
    wanted = "distinct_id,plan\nold-id,pro\n"
    assert run("profiles", first, second, "--events", events).stdout == wanted
    stored = ("--events", events, "--store", tmp_path / "st")
    run("profiles", first, *stored)
    assert run("profiles", second, *stored).stdout == wanted


@pytest.mark.rule("11.rows of people")
def test_an_export_in_several_files_is_one_whatever_their_order() -> None:
    export = [row("old-id", plan="pro"), row("ana", plan="free", os="iOS"), row("phone", plan="trial")]
    later = [row("old-id", plan="max"), row("ana", plan="none", os="web"), row("phone", plan="none")]
    for first in permutations(export):
        assert shown(*([item] for item in first)) == {"plan": "pro", "os": "iOS"}
        for second in permutations(later):
            assert shown(*([item] for item in (*first, *second))) == {"plan": "max", "os": "web"}


@pytest.mark.rule("11.rows of people")
def test_an_id_that_comes_twice_in_one_file_replaces_its_own_values_alone(tmp_path: Path) -> None:
    rows = [
        row("ana", n=1, plan="a"),
        row("old-id", plan="pro"),
        row("phone", n=9),
        row("ana", n=2, plan="b"),
    ]
    assert shown(rows) == {"n": 2, "plan": "pro"}
    many = [rows[0], rows[1], *(row(f"id {number}", n=0) for number in range(30_000)), rows[3]]
    path, events = written(tmp_path / "d", many), written(tmp_path / "e", MERGES)
    people = run("profiles", path, "--events", events).stdout.splitlines()
    assert people[:2] == ["distinct_id,n,plan", "old-id,2,pro"]


def test_a_row_sets_what_updates_have_set_before_and_adds_what_they_removed() -> None:
    profiles = Profiles(known())
    profiles.update_many([{"$distinct_id": "ana", "$set": {"plan": "free"}}, row("ana", plan="pro")])
    assert profiles.get("ana") == {"plan": "pro"}
    profiles.update_many([row("old-id", os="iOS"), {"$distinct_id": "ana", "$unset": ["os"]}])
    profiles.update_many([row("phone", os="web")])
    assert profiles.get("ana") == {"plan": "pro", "os": "web"}


def test_a_forgotten_profile_takes_nothing_of_its_exports_along() -> None:
    profiles = Profiles(known())
    profiles.update_many([row("old-id", plan="pro")])
    profiles.forget("old-id")
    profiles.update_many([row("ana", plan="free"), row("ana", plan="trial")])
    assert profiles.get("ana") == {"plan": "trial"}


exports = st.lists(
    st.dictionaries(
        st.sampled_from(IDS), st.dictionaries(st.sampled_from("ab"), st.integers(0, 5)), min_size=1
    ),
    min_size=1,
    max_size=3,
)


@pytest.mark.rule("11.rows of people")
@given(exports, st.randoms(use_true_random=False))
def test_the_canonical_ids_row_of_the_last_export_is_what_is_shown(
    given_exports: list[dict[str, dict[str, int]]], random: Any
) -> None:
    calls = [[row(own, **properties) for own, properties in export.items()] for export in given_exports]
    for call in calls:
        random.shuffle(call)
    last = given_exports[-1]
    people = shown(*calls) or {}
    for name, value in last.get("old-id", {}).items():
        assert people[name] == value
    names = {name for export in given_exports for properties in export.values() for name in properties}
    assert set(people) == names
