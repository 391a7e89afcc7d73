"""What ``show``, ``why`` and ``retract --link`` say of copies, pairs kept apart, and what was taken back."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from command_line import error_of, run
from idmerge import DurableResolver, Kind


@pytest.fixture(autouse=True)
def ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with DurableResolver.open("ids") as resolver:
        for _ in range(7):
            resolver.merge("ana", "crm-17")  # 0 to 6
        resolver.alias("crm-17", "ana")  # 7
        for _ in range(2):
            resolver.alias("crm-17", "ben")  # 8 and 9
        resolver.merge("ben", "ben-2")  # 10
        resolver.merge("ben", "ben-3")  # 11
        resolver.commit()
        resolver.retract(11)  # 12
        resolver.keep_apart("ana", "ben")  # 13
        resolver.keep_apart("ben", "zoe")  # 14
        resolver.commit()


def rows(*arguments: str) -> list[str]:
    """Return the lines of an answer without their times, with single blanks."""
    lines = re.sub(r"20\d\d-\S+ \S+Z", "", run(*arguments).stdout).splitlines()
    return [" ".join(line.split()) for line in lines]


def test_why_not_has_the_pairs_between_the_two_and_what_was_taken_back() -> None:
    found = rows("why", "crm-17", "ben-2", "ids")
    assert "rejected 2 links between the two clusters" in found
    assert "8 alias ALIAS_TAKEN errAliasAlreadyExists crm-17 ben (again at 9)" in found
    assert found[-4:] == [
        "kept apart 1 pair of IDs",
        "13 keep-apart ana ben",
        "taken back 1 statement",
        "11 merge ben ben-3 (taken back by 12)",
    ]


def test_why_lists_the_copies_of_the_chain_and_counts_the_rest() -> None:
    found = rows("why", "ana", "crm-17", "ids")
    assert found[3:5] == [
        "copies 6 links of these, sent again",
        "1 merge ana crm-17 (again at 2, 3, 4, 5 and 1 more)",
    ]


def test_show_has_all_of_it_too() -> None:
    assert rows("show", "ben", "ids")[4:] == [
        "links 1 link built the cluster",
        "10 merge ben ben-2",
        "kept apart 2 pairs of IDs",
        "13 keep-apart ana ben",
        "14 keep-apart ben zoe",
        "taken back 1 statement",
        "11 merge ben ben-3 (taken back by 12)",
    ]


def test_show_has_what_was_stated_before_an_earlier_moment() -> None:
    shown = {str(moment): rows("show", "ana", "ids", "--as-of", str(moment)) for moment in (1, 3, 14)}
    assert shown["1"][-1] == "0 merge ana crm-17"
    assert shown["3"][-1] == "1 merge ana crm-17 (again at 2)"
    assert shown["14"][-2:] == ["kept apart 1 pair of IDs", "13 keep-apart ana ben"]


def test_a_taken_back_pair_is_told_as_taken_back() -> None:
    run("retract", "--link", "keep-apart", "ben", "ana", "ids")
    assert "13 keep-apart ana ben (taken back by 15)" in rows("why", "ana", "ben", "ids")


def test_the_objects_have_every_list() -> None:
    found = json.loads(run("why", "ana", "ben", "ids", "--json").stdout)
    assert (found["together"], found["chain"], found["copies"]) == (False, None, [])
    (rejected,) = found["rejected"]
    assert (rejected["position"], rejected["count"], rejected["positions"]) == (8, 2, [8, 9])
    assert [one["kind"] for one in found["kept_apart"]] == ["keep-apart"]
    (taken_back,) = found["taken_back"]
    assert (taken_back["outcome"], taken_back["taken_back_by"]) == (None, [12])
    shown = json.loads(run("show", "ana", "ids", "--json").stdout)
    assert [(one["position"], one["outcome"]) for one in shown["links"]] == [(0, "MERGED")]
    assert [(one["count"], one["positions"]) for one in shown["copies"]] == [(6, [1, 2, 3, 4, 5])]


def test_a_large_cluster_is_cut_with_a_count() -> None:
    with DurableResolver.open("ids") as resolver:
        for number in range(60):
            resolver.merge("hub", f"id-{number}")
        resolver.commit()
    cut, whole = (run("show", "hub", "ids", *more).stdout.splitlines() for more in ([], ["--all"]))
    assert (len(cut), len(whole)) == (3 + 50 + 50, 3 + 61 + 60)
    assert cut[1].endswith("became known (50 of 61 rows here, --all lists all)")
    assert cut[52] == "links       60 links built the cluster (50 of 60 rows here, --all lists all)"
    assert "--all" not in "".join(whole)
    found = json.loads(run("show", "hub", "ids", "--json").stdout)
    assert (len(found["members"]), len(found["links"])) == (61, 60)


def test_a_large_cluster_of_files_is_cut_too() -> None:
    links = "".join(f"merge,hub,id-{number}\nalias,hub,hub\n" for number in range(60))
    Path("links.csv").write_text(f"kind,first,second\n{links}", encoding="utf-8")
    cut, whole = (run("show", "hub", "links.csv", *more).stdout.splitlines() for more in ([], ["--all"]))
    assert (len(cut), len(whole)) == (4 + 3 * 50, 4 + 61 + 60 + 60)
    assert cut[103] == "rejected    60 links named a member (50 of 60 rows here, --all lists all)"
    found = json.loads(run("show", "hub", "links.csv", "--json").stdout)
    assert [len(found[name]) for name in ("members", "links", "rejected")] == [61, 60, 60]
    assert (found["links"][0]["file"], found["links"][1]["line"]) == ("links.csv", 4)


def test_a_link_is_taken_back_by_its_description() -> None:
    tried = run("retract", "--link", "merge", "ben", "ben-2", "ids", "--dry-run")
    assert tried.stderr == "taking back 10 would change 1 canonical ID; nothing was changed\n"
    result = run(
        "retract", "--link", "merge", "ben", "ben-2", "--link", "keep-apart", "zoe", "ben", "0", "ids"
    )
    assert result.stdout.splitlines()[1:] == ["ben-2,ben,ben-2,18"]
    assert result.stderr == "took back 0, 10, 14, by position 15 to 17; 1 canonical ID changed\n"


@pytest.mark.parametrize(
    ("link", "message"),
    [
        (
            ("merge", "ana", "crm-17"),
            "the merge of ana and crm-17 was sent 7 times, at the positions 0, 1, 2, 3, 4, 5 and 1 more",
        ),
        (
            ("alias", "crm-17", "ben"),
            "the alias of crm-17 and ben was sent 2 times, at the positions 8, 9",
        ),
        (
            ("alias", "ben", "crm-17"),
            "there is no alias of ben and crm-17; known of them: alias of crm-17 and ben at 8, 9",
        ),
        (
            ("merge", "ben", "ben-3"),
            (
                "there is no merge of ben and ben-3; known of them: merge of ben and ben-3 at 11, taken "
                "back by 12"
            ),
        ),
        (("merge", "ana", "zoe"), "there is no merge of ana and zoe"),
        (("merge", "nobody", "no one"), "'nobody' is not known"),
    ],
)
def test_a_description_of_several_links_or_none_lists_the_positions(
    link: tuple[str, ...], message: str
) -> None:
    before = Path("ids").read_bytes()
    assert error_of("retract", "--link", *link, "ids") == message
    assert Path("ids").read_bytes() == before


def test_something_to_take_back_must_be_named() -> None:
    assert "--link KIND A B" in run("retract", "ids", code=2).stderr


def test_a_hostile_link_that_was_sent_often_takes_a_line() -> None:
    with DurableResolver.open("ids") as resolver:
        resolver.link_many(Kind.MERGE, ["ana"] * 100_000, ["zoe"] * 100_000)
        resolver.commit()
    found = rows("why", "ana", "zoe", "ids")
    assert found[2:] == [
        "15 merge ana zoe",
        "copies 99,999 links of these, sent again",
        "16 merge ana zoe (again at 17, 18, 19, 20 and 99,994 more)",
        "kept apart 2 pairs of IDs",
        "13 keep-apart ana ben",
        "14 keep-apart ben zoe",
    ]
