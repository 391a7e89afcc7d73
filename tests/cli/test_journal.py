"""The command line on journals: showing, checking, retracting, forgetting, and broken journals."""

from __future__ import annotations

import csv
import json
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from command_line import error_of, run
from idmerge import DurableResolver, Kind, Outcome, Policy, reference
from idmerge.cli.commands import resolve as resolve_command
from idmerge.cli.group import commands
from idmerge.journal import Facts, open_journal
from idmerge.pages.rules import RULES
from idmerge.testing import events

D1 = "5f0c1e2a-7b3d-4c58-9a61-2e8f4d7b9c03"
D2 = "b81d64f7-0a92-4e3b-8c5d-71f6a3e0d294"
LINKS = [
    ("identify", D1, "ada"),  # 0
    ("identify", D1, "grace"),  # 1: ANON_CLAIMED
    ("alias", "crm-1", "ada"),  # 2
    ("identify", D2, "grace"),  # 3
    ("alias", "crm-1", "grace"),  # 4: ALIAS_TAKEN
]
EVENTS = list(events(3000, seed=11, identity_share=0.2))


def csv_of(links: list[tuple[str, str, str]]) -> str:
    return "kind,first,second\n" + "".join(f"{','.join(link)}\n" for link in links)


def mapping(path: str) -> dict[str, list[Any]]:
    with DurableResolver.open(path, read_only=True) as resolver:
        return resolver.mapping().to_pydict()


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("links.csv").write_text(csv_of(LINKS), encoding="utf-8")


@pytest.fixture
def ids() -> str:
    """A journal of two batches, with offsets, that `LINKS` made."""
    with DurableResolver.open("ids") as resolver:
        for number, (kind, first, second) in enumerate(LINKS):
            resolver.link(Kind[kind.upper()], first, second)
            if number == 2:
                resolver.commit({"clicks": 12})
        resolver.commit()
    return "ids"


# resolve --journal


def test_a_journal_holds_what_the_reference_says_of_the_files() -> None:
    for name, part in (("a", EVENTS[:1000]), ("b", EVENTS[1000:])):
        Path(name).write_text("".join(json.dumps(event) + "\n" for event in part), encoding="utf-8")
        assert run("resolve", name, "--journal", "ids").stdout == ""
    twin = reference.Resolver()
    twin.apply_events(EVENTS)
    assert mapping("ids") == twin.mapping()


def test_links_sent_twice_change_nothing_and_are_told_of_the_run_alone() -> None:
    run("resolve", "links.csv", "--journal", "ids")
    once = mapping("ids")
    again = run("resolve", "links.csv", "--journal", "ids", "-o", "m.csv")
    assert mapping("ids") == once
    assert "links       5, of which 2 rejected\n                  3  UNCHANGED" in again.stderr
    assert "journal     10 links and acts so far\n" in again.stderr
    assert Path("m.csv").read_text(encoding="utf-8").startswith("distinct_id,canonical_id,cluster_size\n")


def test_links_are_committed_while_files_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve_command, "COMMIT_EVERY", 2)
    Path("broken.json").write_text("[oops]", encoding="utf-8")
    error_of("resolve", "links.csv", "broken.json", "--journal", "ids")
    assert mapping("ids")["distinct_id"] == [D1, "ada", "grace", "crm-1", D2]


def test_strict_commits_nothing_of_files_with_a_malformed_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve_command, "COMMIT_EVERY", 1)
    Path("bad.ndjson").write_text("{\n", encoding="utf-8")
    error_of("resolve", "--strict", "links.csv", "bad.ndjson", "--journal", "ids")
    assert mapping("ids")["distinct_id"] == []


def test_a_file_that_is_not_there_makes_no_journal() -> None:
    assert error_of("resolve", "nothing", "--journal", "ids") == "nothing: No such file or directory"
    assert not Path("ids").exists()


def test_options_of_the_policy_must_be_those_of_the_journal() -> None:
    run("resolve", "links.csv", "--journal", "ids", "--max-cluster-size", 10, "--anon-guard", "off")
    run("resolve", "links.csv", "--journal", "ids")
    run("resolve", "links.csv", "--journal", "ids", "--max-cluster-size", 10)
    error = error_of("resolve", "links.csv", "--journal", "ids", "--max-cluster-size", 500)
    assert "max_cluster_size is 10, not 500." in error
    assert "anon_guard" not in error
    error = error_of(
        "resolve", "links.csv", "--journal", "ids", "--canonical", "stable", "--anon-guard", "anon"
    )
    assert "anon_guard is 'off', not 'anon'" in error


def test_the_strategy_must_be_that_of_the_journal_if_it_is_given() -> None:
    run("resolve", "links.csv", "--journal", "ids", "--canonical", "smallest")
    run("resolve", "links.csv", "--journal", "ids")
    assert "canonical='smallest', not 'stable'" in error_of(
        "resolve", "links.csv", "--journal", "ids", "--canonical", "stable"
    )


@pytest.mark.parametrize("option", [["-o", "./x.csv"], ["--rejected", "./x.csv"]])
def test_a_journal_is_not_written_over(option: list[str]) -> None:
    assert "name the same file" in error_of("resolve", "links.csv", "--journal", "x.csv", *option, code=2)
    assert "would be read and written over" in error_of(
        "resolve", "links.csv", "--journal", "./links.csv", code=2
    )


def test_a_second_writer_is_told_who_is_the_first(ids: str) -> None:
    with DurableResolver.open(ids):
        assert "a journal has one writer at a time" in error_of("resolve", "links.csv", "--journal", ids)
        assert run("show", "ada", ids).stdout.startswith("canonical   ada\n")


# journal


def test_a_journal_shows_its_rules_and_its_batches(ids: str) -> None:
    with DurableResolver.open(ids) as resolver:
        resolver.retract(2)
        resolver.commit()
    lines = run("journal", ids).stdout.splitlines()
    assert lines[:5] == [
        "journal     ids",
        "format      4",
        "canonical   stable",
        "policy      the default one",
        "batches     3 batches",
    ]
    assert " ".join(lines[5].split()) == ("batch committed steps positions new IDs bytes taken back offsets")
    cells = [line[:1] + line[27:] for line in lines[6:9]]
    assert [line.split()[0] for line in lines[6:9]] == ["0", "1", "2"]
    assert "    3  0 to 2           4 " in cells[0]
    assert cells[0].endswith("clicks: 12")
    assert "    2  3 to 4           1 " in cells[1]
    assert cells[2].rstrip().endswith("  2")
    assert lines[9].startswith("total       6 steps, 6 links and acts, 5 IDs, ")
    assert lines[9].endswith(" bytes, 1 retraction")
    assert len(lines) == 10


def test_what_differs_from_the_default_policy_is_told() -> None:
    policy = Policy(max_cluster_size=None, blocked_ids=Policy().blocked_ids - {"null"} | set("abcde"))
    DurableResolver.open("ids", policy, "smallest").close()
    assert run("journal", "ids").stdout.splitlines()[2:6] == [
        "canonical   smallest",
        "policy      max_cluster_size: None, not 500",
        "            blocked_ids: the default ones with a, b, c and 2 more and without null",
        "batches     0 batches",
    ]


def test_the_last_twenty_batches_are_listed_or_all() -> None:
    with DurableResolver.open("ids") as resolver:
        for number in range(25):
            resolver.observe(f"u{number}")
            resolver.commit()
    some, every = run("journal", "ids").stdout, run("journal", "ids", "--all").stdout
    assert "25 batches, the last 20 of them here\n" in some
    numbers = [[int(line.split()[0]) for line in text.splitlines()[6:-1]] for text in (some, every)]
    assert numbers == [list(range(5, 25)), list(range(25))]
    assert some.splitlines()[-1] == every.splitlines()[-1]


@pytest.mark.parametrize("command", [["journal"], ["verify"], ["why", "a", "b"], ["retract", 0], ["compact"]])
def test_a_journal_that_is_not_there_is_one_line(command: list[Any]) -> None:
    assert error_of(*command, "nothing") == "nothing: there is no such journal"
    assert list(Path().glob("nothing*")) == []


@pytest.mark.parametrize(
    "command", [["journal"], ["verify"], ["show", "a"], ["why", "a", "b"], ["retract", 0]]
)
def test_another_file_of_sqlite_is_no_journal(command: list[Any]) -> None:
    with closing(sqlite3.connect("other")) as connection:
        connection.execute("CREATE TABLE t (x)")
    assert (
        error_of(*command, "other")
        == "other is a file of SQLite, and no journal of idmerge; choose another path"
    )


# verify


def damage(statement: str, *values: Any) -> None:
    with closing(sqlite3.connect("ids", isolation_level=None)) as connection:
        connection.execute(statement, values)


def test_a_journal_of_one_link_says_so_in_the_singular() -> None:
    Path("one.csv").write_text("kind,first,second\nmerge,a,b\n", encoding="utf-8")
    assert "journal     1 link or act so far\n" in run("resolve", "one.csv", "--journal", "one").stderr
    assert run("verify", "one").stdout == "whole       1 batch, 1 link or act, 2 IDs\n"
    assert "total       1 step, 1 link or act, " in run("journal", "one").stdout


def test_a_whole_journal_is_said_to_be_whole(ids: str) -> None:
    assert run("verify", ids).stdout == "whole       2 batches, 5 links and acts, 5 IDs\n"
    result = run("verify", ids, "--salvage", "new")
    assert result.stderr == "new was not written, for there is nothing to salvage\n"
    assert not Path("new").exists()


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE batches SET block = zeroblob(length(block)) WHERE number = 1", "batch 1 is damaged"),
        ("UPDATE batches SET texts = x'' WHERE number = 1", "batch 1 is damaged"),
        ("UPDATE batches SET written_at = 0 WHERE number = 1", "batch 1 is damaged"),
        ("UPDATE batches SET offsets = '{}' WHERE number = 1", "batch 1 is damaged"),
        ("DELETE FROM batches WHERE number = 1", "the last batch must be 1, found 0"),
        ("UPDATE batches SET number = 7 WHERE number = 1", "batch 7 is damaged"),
    ],
)
def test_damage_is_named_and_what_stands_before_it_is_saved(ids: str, statement: str, what: str) -> None:
    damage(statement)
    result = run("verify", ids, "--salvage", "new", code=1)
    lines = result.stdout.splitlines()
    assert lines[0].startswith("damaged     at batch 1: ids: ")
    assert what in lines[0]
    assert lines[1:] == [
        "good        1 batch, 3 links and acts, 4 IDs: everything before position 3",
        "offsets     clicks: 12",
    ]
    assert result.stderr.startswith("new was written: 1 batch\nidmerge: error: ids: ")
    assert run("verify", "new").stdout == "whole       1 batch, 3 links and acts, 4 IDs\n"
    with DurableResolver.open("new") as resolver:
        assert resolver.offsets == {"clicks": 12}
        assert resolver.members("ada") == [D1, "ada", "crm-1"]


def test_steps_that_cannot_be_judged_again_are_damage_whatever_their_checksum(ids: str) -> None:
    with closing(open_journal(ids, create=False, read_only=True)) as journal:
        first, second = journal.batches()
    forged = replace(second, block=first.block)
    forged = forged.sealed()
    change = "UPDATE batches SET block = ?, block_checksum = ?, checksum = ? WHERE number = 1"
    damage(change, forged.block, forged.block_checksum, forged.checksum)
    result = run("verify", ids, code=1)
    assert result.stdout.startswith("damaged     at batch 1: ids: batch 1: ")
    assert "good        1 batch, 3 links and acts" in result.stdout


def test_retractions_are_judged_again_too(ids: str) -> None:
    with DurableResolver.open(ids) as resolver:
        resolver.retract(0)
        resolver.identify(D1, "grace")
        resolver.commit()
    assert run("verify", ids).stdout.startswith("whole       3 batches, 7 links and acts")


def test_a_journal_is_not_salvaged_over_a_file(ids: str) -> None:
    damage("DELETE FROM batches WHERE number = 1")
    Path("new").write_text("mine", encoding="utf-8")
    result = run("verify", ids, "--salvage", "new", code=1)
    assert result.stderr == "idmerge: error: new is there already; name a file that is not\n"
    assert Path("new").read_text(encoding="utf-8") == "mine"


def test_a_page_full_of_noise_ends_in_one_line(ids: str) -> None:
    with closing(sqlite3.connect(ids)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = Path(ids).read_bytes()
    told = set()
    for page in range(1, len(whole) // 4096):
        Path(ids).write_bytes(whole[: page * 4096] + bytes(range(256)) * 16 + whole[(page + 1) * 4096 :])
        result = CliRunner().invoke(commands, ["verify", ids])
        assert isinstance(result.exception, SystemExit | None), (page, result.exception)
        told.add(result.exit_code)
        assert result.exit_code == 0 or result.stderr.count("\n") == 1
    assert told == {0, 1}


@pytest.mark.parametrize("broken", [b"TE\xdbT", b"TE\nT"])
def test_a_damaged_schema_is_one_line(ids: str, broken: bytes) -> None:
    with closing(sqlite3.connect(ids)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = Path(ids).read_bytes()
    assert b"offsets TEXT," in whole
    Path(ids).write_bytes(whole.replace(b"offsets TEXT,", b"offsets " + broken + b","))
    for command in ("verify", "journal"):
        assert error_of(command, ids).startswith(f"{ids} is ")


# show and why


def test_a_cluster_of_a_journal_is_shown_with_positions_and_times(ids: str) -> None:
    lines = run("show", "crm-1", ids).stdout.splitlines()
    assert lines[:6] == [
        "canonical   ada",
        "members     3 IDs, in the order in which they became known",
        f"  {D1}",
        "  ada",
        "  crm-1",
        "links       2 links built the cluster",
    ]
    assert [line.split()[0] for line in lines[6:]] == ["0", "2"]
    assert lines[6].endswith(f"Z  identify  {D1}  ada")
    assert lines[7].endswith("Z  alias     crm-1  ada")
    written = datetime.strptime(lines[6][5:25], "%Y-%m-%d %H:%M:%SZ").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - written).total_seconds()) < 60


def test_rejected_links_between_members_are_shown_with_their_rule(ids: str) -> None:
    with DurableResolver.open(ids) as resolver:
        resolver.merge("ada", "grace")
        resolver.commit()
    lines = run("show", "ada", ids).stdout.splitlines()
    start = lines.index("rejected    2 links between its members")
    assert lines[start + 1].endswith(f"identify  ANON_CLAIMED  errAnonDistinctIdAssignedAlready  {D1}  grace")
    assert lines[start + 3] == f"rules       ANON_CLAIMED: {RULES[Outcome.ANON_CLAIMED]}"


@pytest.mark.parametrize(("as_of", "members"), [(1, 2), (2, 2), (3, 3), (5, 3), ("2999-01-01", 3)])
def test_the_past_is_shown_by_position_or_time(ids: str, as_of: object, members: int) -> None:
    assert f"\nmembers     {members} ID" in run("show", "ada", ids, "--as-of", as_of).stdout


def test_before_the_first_commit_nothing_was_known(ids: str) -> None:
    for moment in (0, "2020-01-01", "2020-01-01T12:00+02:00"):
        assert error_of("show", "ada", ids, "--as-of", moment) == "'ada' is not known"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ids", "--as-of", "yesterday"], "'yesterday' is neither a position nor a time"),
        (["ids", "--as-of", "-1"], "'-1' is neither a position nor a time"),
        (["ids", "links.csv"], "a journal is shown alone"),
        (["ids", "--canonical", "stable"], "a journal states its policy"),
        (["ids", "--max-cluster-size", "9"], "a journal states its policy"),
        (["links.csv", "--as-of", "1"], "need a journal"),
        (["links.csv", "--html", "x.html"], "need a journal"),
    ],
)
def test_a_wrong_call_of_show_says_what_goes_with_what(ids: str, arguments: list[str], message: str) -> None:
    del ids
    assert message in error_of("show", "ada", *arguments, code=2)


def test_the_chain_says_why_two_ids_are_one_person(ids: str) -> None:
    lines = run("why", D1, "crm-1", ids).stdout.splitlines()
    assert lines[:2] == [
        "together    in the cluster of ada, 3 IDs",
        f"chain       2 links from {D1} to crm-1",
    ]
    assert [line.split()[0] for line in lines[2:]] == ["0", "2"]


def test_what_was_rejected_says_why_they_are_not(ids: str) -> None:
    lines = run("why", "ada", D2, ids).stdout.splitlines()
    assert lines[:3] == [
        "apart       ada is in the cluster of ada, 3 IDs",
        f"            {D2} is in the cluster of grace, 2 IDs",
        "rejected    2 links between the two clusters",
    ]
    assert lines[3].endswith(f"identify  ANON_CLAIMED  errAnonDistinctIdAssignedAlready  {D1}  grace")
    assert lines[4].endswith("alias     ALIAS_TAKEN   errAliasAlreadyExists             crm-1  grace")
    assert lines[5:] == [
        f"rules       ANON_CLAIMED: {RULES[Outcome.ANON_CLAIMED]}",
        f"            ALIAS_TAKEN: {RULES[Outcome.ALIAS_TAKEN]}",
    ]


def test_every_rejection_has_its_rule() -> None:
    assert set(RULES) == {outcome for outcome in Outcome if not outcome.accepted}


def test_why_asks_for_two_known_ids(ids: str) -> None:
    assert error_of("why", "ada", "nobody", ids) == "'nobody' is not known"
    assert error_of("why", "ada", "ada", ids, code=2) == "A and B are the same ID"


# Acts


def test_a_retraction_is_told_as_csv_and_done_once(ids: str) -> None:
    before = mapping(ids)
    expected = "distinct_id,old_canonical_id,new_canonical_id,position\ncrm-1,ada,grace,6\n"
    dry = run("retract", 2, ids, "--dry-run")
    assert (dry.stdout, mapping(ids)) == (expected, before)
    assert dry.stderr == "taking back 2 would change 1 canonical ID; nothing was changed\n"
    done = run("retract", 2, ids)
    assert (done.stdout, done.stderr) == (expected, "took back 2, by position 5; 1 canonical ID changed\n")
    assert error_of("retract", 2, ids).startswith("position 2 was taken back already, at position 5; ")
    run("retract", 5, ids)
    assert mapping(ids) == before


def test_several_positions_are_taken_back_at_once(ids: str) -> None:
    result = run("retract", 0, 2, 0, ids)
    assert result.stderr.startswith("took back 0, 2, by position 5 to 6; ")
    with DurableResolver.open(ids, read_only=True) as resolver:
        assert (resolver.position, resolver.same(D1, "ada")) == (7, False)


def test_changes_are_quoted_where_an_old_name_asks_for_it() -> None:
    Path("links.csv").write_text(
        f'kind,first,second\nidentify,{D1},"a,""b"\nalias,c,"a,""b"\n', encoding="utf-8"
    )
    run("resolve", "links.csv", "--journal", "ids")
    rows = list(csv.DictReader(run("retract", 1, "ids").stdout.splitlines()))
    assert rows == [
        {"distinct_id": "c", "old_canonical_id": 'a,"b', "new_canonical_id": "c", "position": "3"}
    ]


def test_what_cannot_be_taken_back_is_one_line(ids: str) -> None:
    assert error_of("retract", 99, ids) == "there is nothing at position 99: positions go from 0 to 4"
    assert mapping(ids)["distinct_id"] == [D1, "ada", "grace", "crm-1", D2]


def test_ids_that_are_kept_apart_stay_apart(ids: str) -> None:
    result = run("keep-apart", "ada", "zoe", ids)
    assert result.stderr == "zoe was not known before\nada and zoe are kept apart, by position 5\n"
    Path("more.csv").write_text(csv_of([("merge", "ada", "zoe")]), encoding="utf-8")
    run("resolve", "more.csv", "--journal", ids)
    assert "merge  KEPT_APART    ada  zoe" in run("why", "ada", "zoe", ids).stdout


def test_ids_that_are_together_cannot_be_kept_apart(ids: str) -> None:
    assert "are together; take back the links" in error_of("keep-apart", "ada", D1, ids)
    assert "can be no ID" in error_of("keep-apart", "ada", "null", ids, code=2)


def test_an_id_is_forgotten_only_if_that_is_meant(ids: str) -> None:
    error = error_of("forget", "ada", ids, code=2)
    assert error == "forgetting ada is irreversible, and nothing was forgotten; add --confirm if it is meant"
    assert "ada" in mapping(ids)["distinct_id"]


def test_a_forgotten_id_is_nowhere_in_the_files() -> None:
    person = "ada.lovelace@example.com"
    Path("links.csv").write_text(csv_of([("identify", D1, person), ("alias", "c", person)]), encoding="utf-8")
    run("resolve", "links.csv", "--journal", "ids")
    assert any(person.encode() in path.read_bytes() for path in Path().glob("ids*"))
    result = run("forget", person, "ids", "--confirm")
    assert result.stdout == (
        f"distinct_id,old_canonical_id,new_canonical_id,position\n{D1},,{D1},3\nc,,{D1},3\n"
    )
    assert result.stderr == f"{person} is forgotten, and wiped from the journal; 2 canonical IDs changed\n"
    assert not any(person.encode() in path.read_bytes() for path in Path().glob("ids*"))
    lines = run("show", D1, "ids").stdout.splitlines()
    assert lines[-2].endswith(f"identify  {D1}  (forgotten)")
    assert error_of("forget", person, "ids", "--confirm") == f"'{person}' is not known"
    assert run("verify", "ids").stdout.startswith("whole")


def test_what_a_reader_kept_from_being_wiped_is_wiped_later(ids: str) -> None:
    with DurableResolver.open(ids) as resolver:
        resolver.forget("grace")
        resolver.commit()
    assert any(b"grace" in path.read_bytes() for path in Path().glob("ids*"))
    assert run("compact", ids).output == "ids holds no text of a forgotten ID\n"
    assert not any(b"grace" in path.read_bytes() for path in Path().glob("ids*"))


def test_hostile_ids_cannot_steer_the_terminal() -> None:
    hostile = "\x1b[2Jada\u202e"
    with DurableResolver.open("ids", Policy(anon_format="any")) as resolver:
        resolver.identify(hostile, "grace")
        resolver.identify(hostile, "zoe")
        resolver.commit({hostile: hostile})
    calls: list[list[Any]] = [
        ["show", "grace", "ids"],
        ["why", hostile, "grace", "ids"],
        ["why", "grace", "zoe", "ids"],
        ["journal", "ids"],
        ["keep-apart", hostile, "zoe", "ids"],
        ["forget", hostile, "ids", "--confirm"],
    ]
    for call in calls:
        output = run(*call).output
        assert "\x1b" not in output
        assert "\u202e" not in output
        assert r"\x1b[2Jada\u202e" in output


def test_reading_commands_run_beside_a_writer(ids: str) -> None:
    over = threading.Event()
    with DurableResolver.open(ids) as resolver:

        def write() -> None:
            while not over.is_set():
                resolver.merge("ada", f"u{resolver.position}")
                resolver.commit()

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for call in (["journal"], ["verify"], ["show", "ada"], ["why", "ada", "grace"]):
                run(*call, ids)
        finally:
            over.set()
            writer.join()


def test_a_journal_without_facts_says_that_it_is_unfinished() -> None:
    DurableResolver.open("ids").close()
    damage("DELETE FROM facts")
    damage("DELETE FROM head")
    assert "no policy yet" in run("journal", "ids").stdout
    assert run("verify", "ids").stdout == "whole       0 batches, 0 links and acts, 0 IDs\n"


def test_facts_of_another_version_are_refused_in_one_line(ids: str) -> None:
    stated = Facts(policy=Policy(), canonical="stable", format=9).to_json()
    damage("UPDATE facts SET stated = ?", stated)
    assert "format 9" in error_of("journal", ids)
    assert "format 9" in error_of("verify", ids)
