"""``idmerge profiles``: updates in, one profile a person out."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from pyarrow import parquet

from command_line import error_of, run
from idmerge import DurableResolver, Profiles, Resolver, reference
from idmerge.testing import events
from paths import DATA

EVENTS = list(events(2000, seed=5, identity_share=0.2))
OWN = [event["properties"]["distinct_id"] for event in EVENTS if "distinct_id" in event["properties"]]
UPDATES = [
    {"$distinct_id": own, "$set_once": {"first": number}, "$add": {"n": 1}, "$union": {"list": [number % 3]}}
    for number, own in enumerate(OWN)
]


def ndjson(path: str, values: list[Any]) -> str:
    Path(path).write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return path


def setting(own: str, **properties: Any) -> dict[str, Any]:
    return {"$distinct_id": own, "$set": properties}


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ndjson("updates.ndjson", UPDATES)
    ndjson("events.ndjson", EVENTS)
    Path("links.csv").write_text("kind,first,second\nmerge,ana,phone\n", encoding="utf-8")


def expected() -> pa.Table:
    """The table of all updates after all events, by the reference."""
    twin = reference.Resolver()
    twin.apply_events(EVENTS)
    profiles = Profiles(twin)
    profiles.update_many(UPDATES)
    assert len(profiles) > 50
    return profiles.table()


def test_updates_go_to_whom_all_events_say() -> None:
    run("profiles", "updates.ndjson", "--events", "events.ndjson", "-o", "p.parquet")
    assert parquet.read_table("p.parquet").equals(expected())


def test_a_journal_says_the_same_as_its_events_and_is_only_read() -> None:
    run("resolve", "events.ndjson", "--journal", "ids")
    before = Path("ids").read_bytes()
    with DurableResolver.open("ids"):  # A writer does not stand in the way.
        run("profiles", "updates.ndjson", "--journal", "ids", "-o", "p.arrow")
    assert pa.ipc.open_file("p.arrow").read_all().equals(expected())
    assert Path("ids").read_bytes() == before


@pytest.mark.parametrize("form", ["gzip", "zstd", "array", "pieces", "stdin"])
def test_updates_come_in_every_form_of_json(form: str) -> None:
    text = Path("updates.ndjson").read_bytes()
    half = len(UPDATES) // 2
    stdin, paths = None, ["packed"]
    if form == "gzip":
        Path("packed").write_bytes(gzip.compress(text))
    elif form == "zstd":
        with pa.CompressedOutputStream("packed", "zstd") as packed:
            packed.write(text)
    elif form == "array":
        Path("packed").write_text(json.dumps(UPDATES, indent=1), encoding="utf-8")
    elif form == "pieces":
        paths = [ndjson("one", UPDATES[:half]), ndjson("two", UPDATES[half:])]
    else:
        stdin, paths = text, ["-"]
    (one, two) = (ndjson("e1", EVENTS[:500]), ndjson("e2", EVENTS[500:]))
    run("profiles", *paths, "--events", one, "--events", two, "-o", "p.parquet", stdin=stdin)
    assert parquet.read_table("p.parquet").equals(expected())


def test_without_an_output_the_table_is_csv_on_standard_output() -> None:
    ndjson("u", [setting("phone", **{"na,me": 'A "q"', "n": 1}), setting("ben", tags=["x"])])
    rows = list(csv.reader(io.StringIO(run("profiles", "u", "--events", "links.csv").stdout)))
    assert rows == [
        ["distinct_id", "na,me", "n", "tags"],
        ["ana", 'A "q"', "1", ""],
        ["ben", "", "", '["x"]'],
    ]
    ndjson("u", [setting("ben", plan="pro")])
    assert run("profiles", "u", "--events", "links.csv").stdout == "distinct_id,plan\nben,pro\n"


def test_the_table_joins_with_the_mapping_in_duckdb() -> None:
    ndjson("u", [setting("phone", plan="pro"), setting("ben", plan="free")])
    run("profiles", "u", "--events", "links.csv", "-o", "p.parquet")
    run("resolve", "links.csv", "-o", "m.parquet")
    rows = duckdb.sql(
        "select m.distinct_id, plan from 'm.parquet' m join 'p.parquet' p on p.distinct_id = canonical_id "
        "order by 1"
    ).fetchall()
    assert rows == [("ana", "pro"), ("phone", "pro")]


def test_a_store_keeps_profiles_from_run_to_run_and_hides_what_links_have_joined_since() -> None:
    Path("none.csv").write_text("kind,first,second\n", encoding="utf-8")
    ndjson("u", [setting("phone", plan="free", os="iOS"), setting("ana", plan="pro"), setting("ben")])
    first = run("profiles", "u", "--events", "none.csv", "--store", "kept")
    assert "profiles    3 shown, 0 hidden (hide)\n" in first.stderr
    ndjson("u", [setting("phone", seen=True)])
    again = ["profiles", "u", "--events", "links.csv", "--store", "kept", "-o", "p.ndjson"]
    filled = run(*again, "--merge-profiles", "fill")
    assert "profiles    2 shown, 1 hidden (fill)\n" in filled.stderr
    people = [json.loads(line) for line in Path("p.ndjson").read_text(encoding="utf-8").splitlines()]
    assert people[0] == {"distinct_id": "ana", "plan": "pro", "seen": True, "os": "iOS"}
    hidden = run(*again)
    assert "profiles    2 shown, 1 hidden (hide)\n" in hidden.stderr
    people = [json.loads(line) for line in Path("p.ndjson").read_text(encoding="utf-8").splitlines()]
    assert people == [
        {"distinct_id": "ana", "plan": "pro", "seen": True},
        {"distinct_id": "ben", "plan": None, "seen": None},
    ]


def test_a_property_whose_column_is_renamed_is_told() -> None:
    ndjson("u", [setting("ana", **{"a\0b": 1})])
    done = run("profiles", "u", "--events", "links.csv")
    assert "the property 'a\\x00b' has a NUL in its name; its column is a\ufffdb\n" in done.stderr


def run_into(stdout: int) -> int:
    """Add 1 to a property in a process of its own that prints its table; return its exit code."""
    ndjson("u", [{"$distinct_id": "ana", "$add": {"n": 1}}])
    command = [sys.executable, "-m", "idmerge", "profiles", "u", "--events", "links.csv", "--store", "kept"]
    done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, timeout=60, check=False)
    assert b"Traceback" not in done.stderr
    return done.returncode


def stored() -> Any:
    return Profiles.load("kept", Resolver()).get("ana")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_updates_whose_table_cannot_be_printed_are_not_kept_and_count_once_when_run_again() -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        assert run_into(full.fileno()) == 1
        assert not Path("kept").exists()
        assert run_into(subprocess.DEVNULL) == 0
        assert stored() == {"n": 1}
        assert run_into(full.fileno()) == 1
        assert stored() == {"n": 1}


def test_updates_whose_table_has_lost_its_reader_are_not_kept() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert run_into(writing) == 1
    finally:
        os.close(writing)
    assert not Path("kept").exists()


def test_a_summary_that_cannot_be_printed_leaves_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("idmerge.cli.commands.profiles._summary", fail)
    ndjson("u", [{"$distinct_id": "ana", "$add": {"n": 1}}])
    run("profiles", "u", "--events", "links.csv", "--store", "kept", "-o", "p.csv", code=1)
    assert not Path("kept").exists()


def test_profiles_of_the_earlier_form_are_taken_over_as_updates() -> None:
    ndjson(
        "old", [{"$distinct_id": own, "$ignore_alias": True, "$set": {"n": own}} for own in ("ana", "phone")]
    )
    run("profiles", "old", "--events", "links.csv", "--store", "new")
    held = Profiles.load("new", Resolver())
    assert [(own, held.get(own)) for own in held] == [("ana", {"n": "ana"}), ("phone", {"n": "phone"})]


def test_an_empty_store_is_refused_and_stays() -> None:
    Path("kept").touch()
    error = error_of("profiles", "updates.ndjson", "--events", "links.csv", "--store", "kept")
    assert error == "kept: the file is empty, and so no store of profiles; remove it to begin a new store"
    assert Path("kept").read_bytes() == b""


def test_two_runs_do_not_write_one_store_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ndjson("u", [{"$distinct_id": "ana", "$add": {"n": 1}}])
    again = ["profiles", "u", "--events", "links.csv", "--store", "kept"]
    run(*again)
    told: list[str] = []
    update_many = Profiles.update_many

    def meanwhile(held: Profiles, updates: Any, **options: Any) -> Any:
        monkeypatch.setattr(Profiles, "update_many", update_many)
        told.append(error_of(*again))
        return held.update_many(updates, **options)

    monkeypatch.setattr(Profiles, "update_many", meanwhile)
    run(*again)
    assert told[0].startswith(str(Path("kept").resolve()))
    assert "a store of profiles has one writer at a time" in told[0]
    assert (Profiles.load("kept", Resolver()).get("ana") or {})["n"] == 2
    run(*again)  # The lock ends with the run.


def test_a_store_that_is_changed_during_a_run_is_not_written_over(monkeypatch: pytest.MonkeyPatch) -> None:
    ndjson("u", [{"$distinct_id": "ana", "$add": {"n": 1}}])
    again = ["profiles", "u", "--events", "links.csv", "--store", "kept", "-o", "p.csv"]
    update_many = Profiles.update_many

    def meanwhile(held: Profiles, updates: Any, **options: Any) -> Any:
        other = Profiles(Resolver())
        other.update({"$distinct_id": "ben", "$set": {}})
        other.save("kept")
        return update_many(held, updates, **options)

    monkeypatch.setattr(Profiles, "update_many", meanwhile)
    for _ in range(2):  # Where there was none, and where there was another one.
        assert error_of(*again) == (
            "kept was changed by somebody else since it was loaded; load it again and apply the updates to "
            "that, or save to another file"
        )
        assert list(Profiles.load("kept", Resolver())) == ["ben"]
        (held := Profiles(Resolver())).save("kept")
        assert len(held) == 0


def test_the_summary_counts_updates_by_operation_and_what_was_left_out() -> None:
    sent: list[Any] = [
        setting("ana", plan="pro"),
        {"$distinct_id": "phone", "$set": {"a": 1}, "$append": {"plan": 1}},
        setting("null", plan="x"),
        {"$distinct_id": "ana"},
        [1],
    ]
    ndjson("u", sent)
    with Path("u").open("a", encoding="utf-8") as file:
        file.write("\noops\n")
    Path("links.csv").write_text("kind,first,second\nmerge,ana,phone\nmerge,ana,ana\n", encoding="utf-8")
    lines = run("profiles", "u", "--events", "links.csv").stderr.splitlines()
    assert lines[0].startswith("malformed: u:4: the update has no operation; expected one of $set, ")
    assert lines[1:3] == [
        "malformed: u:5: the update must be a JSON object, got list",
        "malformed: u:7: the update is no JSON: Expecting value (column 1)",
    ]
    assert lines[3].startswith("read        3 updates from 1 file in ")
    assert lines[4:] == [
        "links       2, of which 1 rejected",
        "applied     2 updates",
        "                  2  $set",
        "                  1  $append",
        "mismatched  1 update left a value of another type as it was",
        "refused     1 update for an ID that belongs to nobody",
        "malformed   3 lines passed over",
        "profiles    1 shown, 0 hidden (hide)",
    ]


def test_malformed_lines_of_events_are_passed_over_too() -> None:
    Path("events.ndjson").write_text('oops\n{"event": "x"}\n', encoding="utf-8")
    assert (
        "malformed: events.ndjson:1: the event is no JSON"
        in run("profiles", "updates.ndjson", "--events", "events.ndjson").stderr
    )


def test_links_are_judged_in_the_order_of_processing_if_it_is_wanted() -> None:
    order = DATA / "field" / "order.ndjson"
    ndjson("u.ndjson", [{"$distinct_id": "$device:5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11", "$set": {"n": 1}}])
    plain, by_time = (run("profiles", "u.ndjson", "--events", order, *sort) for sort in ([], ["--sort"]))
    assert plain.stdout.splitlines()[1] == "ben,1"
    assert by_time.stdout.splitlines()[1] == "ana,1"
    assert "--sort" in plain.stderr
    assert "--sort" not in by_time.stderr
    run("resolve", order, "--journal", "ids")
    said = run("profiles", "u.ndjson", "--journal", "ids", "--sort", code=2).stderr
    assert "leave --sort out" in said


def test_strict_stops_at_the_first_malformed_line_and_writes_nothing() -> None:
    ndjson("u", [setting("ana"), {"$distinct_id": "ana"}])
    error = error_of("profiles", "u", "--events", "links.csv", "--strict", "--store", "kept", "-o", "p.csv")
    assert error.startswith("u:2: the update has no operation")
    assert not Path("kept").exists()
    assert not Path("p.csv").exists()


def test_options_of_the_policy_judge_the_links_and_say_who_is_nobody() -> None:
    ndjson("u", [setting("phone", plan="pro"), setting("nil", plan="x")])
    Path("blocked").write_text("phone\n", encoding="utf-8")
    out = run("profiles", "u", "--events", "links.csv", "--blocked-ids", "blocked").stdout
    assert out == "distinct_id,plan\nnil,x\n"
    out = run("profiles", "u", "--events", "links.csv", "--canonical", "smallest").stdout
    assert out == "distinct_id,plan\nana,pro\n"


def test_a_call_that_is_unclear_or_would_lose_a_file_is_refused() -> None:
    DurableResolver.open("ids").close()
    call = ["profiles", "updates.ndjson"]
    unclear = "name the files whose links say who is who by --events, or a journal by --journal"
    assert error_of(*call, code=2) == unclear
    assert error_of(*call, "--events", "links.csv", "--journal", "ids", code=2) == unclear
    assert "a journal states its policy" in error_of(*call, "--journal", "ids", "--anon-guard", "off", code=2)
    assert "'ids' is a journal; name it by --journal" in error_of(*call, "--events", "ids", code=2)
    both = ["--store", "x.ndjson", "-o", "./x.ndjson"]
    assert "--output and --store name the same file" in error_of(
        *call, "--events", "links.csv", *both, code=2
    )
    for option in ("--store", "-o"):
        error = error_of(*call, "--events", "links.csv", option, "./updates.ndjson", code=2)
        assert error == "'updates.ndjson' would be read and written over; name another file"
    assert "read once" in error_of("profiles", "-", "--events", "-", code=2)
    assert "no suffix that names a format" in error_of(*call, "--events", "links.csv", "-o", "p.txt", code=2)


def test_a_file_that_is_no_updates_or_no_store_is_one_line() -> None:
    assert error_of("profiles", "links.csv", "--events", "links.csv") == (
        "links.csv: the file holds links in columns, no profiles; give it under --events"
    )
    store = ndjson("other", UPDATES[:1])
    assert error_of("profiles", "updates.ndjson", "--events", "links.csv", "--store", store) == (
        "other: the file holds updates, or profiles saved without checksums, where nothing shows whether "
        "some are missing; if it is whole, apply it to a new store: "
        "idmerge profiles other --journal PATH --store NEW"
    )
    assert Path("other").read_text(encoding="utf-8") == f"{json.dumps(UPDATES[0])}\n"
    assert error_of("profiles", "nothing", "--events", "links.csv") == "nothing: No such file or directory"
