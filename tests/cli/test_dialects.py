"""``--dialect``, ``--column``, ``--config`` and ``idmerge.toml``, and what the summary says of them."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from pyarrow import csv, parquet

import idmerge
from idmerge.cli.group import commands
from idmerge.errors import DialectError

FIELD = Path(__file__).parents[1] / "data" / "field"
D = "$device:5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11"


def run(*arguments: object, stdin: bytes = b"", code: int = 0) -> Result:
    result = CliRunner().invoke(commands, [str(argument) for argument in arguments], input=stdin)
    assert result.exit_code == code, result.output
    return result


@pytest.mark.parametrize("name", ["mp_master_event.ndjson", "singer_flat.ndjson", "stream_query.json"])
@pytest.mark.parametrize("command", ["resolve", "stitch", "show", "doctor", "ask"])
def test_every_command_reads_every_shape(command: str, name: str, tmp_path: Path) -> None:
    arguments = {
        "resolve": ["resolve", FIELD / name],
        "stitch": ["stitch", FIELD / name, "-o", tmp_path / "out.csv"],
        "show": ["show", "ana", FIELD / name],
        "doctor": ["doctor", FIELD / name],
        "ask": ["ask", "signup-rate", FIELD / name],
    }
    result = run(*arguments[command])
    title = {"mp_master_event.ndjson": "Mixpanel pipeline", "singer_flat.ndjson": "flat events"}.get(name)
    assert [line for line in result.stderr.splitlines() if line.startswith("read as")] == (
        [f"read as: {title}"] if title else []
    )
    if command == "resolve":
        assert f"{D},ana," in result.stdout


def test_stitched_rows_have_raw_names_and_nothing_is_lost(tmp_path: Path) -> None:
    run("stitch", FIELD / "singer_flat.ndjson", "-o", tmp_path / "out.csv")
    header, *rows = (tmp_path / "out.csv").read_text().splitlines()
    names = [name.strip('"') for name in header.split(",")]
    assert {"event", "time", "distinct_id", "$insert_id", "$device_id", "page"} <= set(names)
    assert len(rows) == 3
    assert {row.split(",")[2].strip('"') for row in rows} == {"ana"}


@pytest.mark.parametrize("name", ["engage.ndjson", "engage_page.json", "mp_people_data.ndjson", "people.csv"])
def test_exported_profiles_give_a_profile_each(name: str) -> None:
    result = run("profiles", "--events", FIELD / "ist.ndjson", FIELD / name)
    header, *rows = result.stdout.splitlines()
    assert len(rows) == 3
    assert "plan" in header
    assert [row.split(",")[0] for row in rows] == ["ana", D, "ben"]


@pytest.mark.rule("11.rows of mappings")
@pytest.mark.parametrize(
    "names", [("DISTINCT_ID", "RESOLVED_DISTINCT_ID"), ("Distinct_Id", "Resolved_Distinct_ID")]
)
@pytest.mark.parametrize("form", ["ndjson", "csv", "parquet"])
def test_mappings_are_read_whatever_the_case_of_their_names(
    names: tuple[str, str], form: str, tmp_path: Path
) -> None:
    expected = run("resolve", FIELD / "mappings.ndjson").stdout
    rows = [json.loads(line) for line in (FIELD / "mappings.ndjson").read_text().splitlines()]
    pairs = [(row["distinct_id"], row["resolved_distinct_id"]) for row in rows]
    path = tmp_path / f"f.{form}"
    table = pa.table(dict(zip(names, zip(*pairs, strict=True), strict=True)))
    if form == "ndjson":
        path.write_text("\n".join(json.dumps(row) for row in table.to_pylist()))
    elif form == "csv":
        csv.write_csv(table, path)
    else:
        parquet.write_table(table, path)
    assert run("resolve", path).stdout == expected
    run("stitch", path, FIELD / "props_text.ndjson", "-o", tmp_path / "out.csv")


def test_a_hint_prefers_the_column_of_the_same_name_in_another_case() -> None:
    names = ["user_id", "Distinct_Id", "Name", "Event", "time"]
    with pytest.raises(DialectError, match="--column event=Event --column distinct_id=Distinct_Id"):
        idmerge.stitch(pa.table({name: ["x"] for name in names}))


@pytest.mark.parametrize("dialect", [[], ["--dialect", "warehouse"]])
def test_a_hint_shows_names_as_they_are(dialect: list[str], tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    for names in (["x", "y"], ["événement", "clé_id"]):
        parquet.write_table(pa.table({name: ["a"] for name in names}), path)
        said = run("stitch", path, "-o", tmp_path / "out.parquet", *dialect, code=1).stderr
        assert "\\u" not in said
    assert 'columns={"event": "…", "distinct_id": "clé_id"}' in said


@pytest.mark.parametrize("command", ["resolve", "stitch"])
@pytest.mark.parametrize("strict", [[], ["--strict"]])
def test_exported_profiles_are_refused_where_events_are_wanted(
    command: str, strict: list[str], tmp_path: Path
) -> None:
    output = ["-o", tmp_path / "out.parquet"]
    result = run(command, FIELD / "engage.ndjson", *output, *strict, code=1)
    assert "idmerge profiles" in result.stderr
    assert not (tmp_path / "out.parquet").exists()


ACTIONS = b'{"action": "$identify", "uid": "ana", "anon_id": "%s"}\n' % D.encode()


@pytest.mark.parametrize("strict", [[], ["--strict"]])
def test_unknown_keys_are_an_error_that_names_them_and_the_option(strict: list[str]) -> None:
    result = run("resolve", "-", *strict, stdin=ACTIONS, code=1)
    (line,) = result.stderr.splitlines()
    assert "'action', 'uid', 'anon_id'" in line
    assert "--column event=" in line
    assert result.stdout == ""


def test_columns_are_given_by_an_option_or_by_a_file(tmp_path: Path) -> None:
    events = tmp_path / "data" / "events.ndjson"
    events.parent.mkdir()
    events.write_bytes(ACTIONS)
    config = tmp_path / "other.toml"
    config.write_text('[columns]\nevent = "action"\ndistinct_id = "uid"\n')
    given = ["--column", "event=action", "--column", "distinct_id=uid"]
    answers = [run("resolve", events, *given), run("resolve", events, "--config", config)]
    shutil.copy(config, events.parent / "idmerge.toml")
    answers += [run("resolve", events), run("resolve", events.parent)]
    for answer in answers:
        assert f"{D},ana,2" in answer.stdout
        assert "read as: columns event=action, distinct_id=uid\n" in answer.stderr


def test_options_count_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "events.ndjson").write_bytes(ACTIONS)
    (tmp_path / "idmerge.toml").write_text(
        'dialect = "singer"\n[columns]\nevent = "x"\ndistinct_id = "uid"\n'
    )
    options = ["--dialect", "flat", "--column", "event=action"]
    assert f"{D},ana,2" in run("resolve", tmp_path / "events.ndjson", *options).stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dialekt = 'flat'", "unknown: 'dialekt'; known are dialect, columns"),
        ("dialect = 1", "dialect must be a text"),
        ("columns = 1", "columns must be a table of texts"),
        ("[columns]\nevent = 1", "columns must be a table of texts"),
        ("= 1", "is no TOML"),
        ("dialect = 'x'", "no dialect is called 'x'"),
        ("[columns]\nwho = 'x'", "'who' is no role"),
    ],
)
def test_a_wrong_file_is_an_error_that_names_it(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "idmerge.toml").write_text(text)
    (tmp_path / "events.ndjson").write_bytes(ACTIONS)
    assert message in run("resolve", tmp_path / "events.ndjson", code=2).stderr


def test_a_wrong_column_is_a_usage_error() -> None:
    for column in ("event", "=x", "event="):
        assert "ROLE=NAME" in run("resolve", "-", "--column", column, code=2).stderr


def test_an_empty_file_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "none.ndjson").touch()
    lines = run("resolve", tmp_path / "none.ndjson").stderr.splitlines()
    assert [line for line in lines if "empty" in line] == [
        f"note        {tmp_path / 'none.ndjson'} is empty: there is no event in it"
    ]


def test_files_passed_over_in_a_directory_are_named_and_part_10_follows_part_9(tmp_path: Path) -> None:
    for number in (9, 10, 100):
        event = {"event": "A", "properties": {"distinct_id": f"u{number}"}}
        (tmp_path / f"part-{number}.ndjson").write_text(json.dumps(event) + "\n")
    (tmp_path / "readme.txt").touch()
    (tmp_path / "_SUCCESS").touch()
    result = run("resolve", tmp_path)
    assert [line.split(",")[0] for line in result.stdout.splitlines()[1:]] == ["u9", "u10", "u100"]
    notes = [line for line in result.stderr.splitlines() if line.startswith("note")]
    assert f"note        passed over in {tmp_path}: readme.txt" in notes


def test_several_dialects_are_named_with_their_files() -> None:
    result = run("resolve", FIELD / "mp_master_event.ndjson", FIELD / "order.ndjson")
    assert "read as: Mixpanel pipeline (1 file), Mixpanel export (1 file)" in result.stderr


@pytest.mark.parametrize("sort", [[], ["--sort"]])
@pytest.mark.parametrize("name", ["engage.ndjson", "people.csv"])
def test_profiles_of_people_are_refused_as_events_in_the_same_words(name: str, sort: list[str]) -> None:
    (line,) = run("resolve", FIELD / name, *sort, code=1).stderr.splitlines()
    wanted = "these are profiles of people, not events; give them to idmerge profiles, with the events under "
    assert f"{name}: {wanted}--events" in line


def test_mappings_have_no_order_to_sort_by() -> None:
    (line,) = run("resolve", FIELD / "mappings.ndjson", "--sort", code=1).stderr.splitlines()
    assert line.endswith("mappings.ndjson: the file holds identity mappings, which have no order to sort by")


def test_files_that_are_read_by_columns_are_named_where_there_are_several(tmp_path: Path) -> None:
    column = ("--column", "distinct_id=uid")
    events, more, people = (tmp_path / name for name in ("e.ndjson", "f.ndjson", "p.csv"))
    event = json.dumps({"event": "$identify", "uid": "ana", "$anon_id": D, "$identified_id": "ana"})
    events.write_text(event + "\n")
    more.write_text(event + "\n")
    people.write_text("uid,plan\nana,pro\n")

    def told(*arguments: object) -> list[str]:
        lines = run(*arguments, *column).stderr.splitlines()
        return [line for line in lines if line.startswith("read as")]

    assert told("resolve", events) == ["read as: columns distinct_id=uid"]
    assert told("resolve", events, more) == [f"read as: columns distinct_id=uid ({events}, {more})"]
    assert told("profiles", people, "--events", events) == [
        f"read as: columns distinct_id=uid ({events}, {people})"
    ]
    people.write_text("distinct_id,plan\nana,pro\n")
    assert told("profiles", people, "--events", events) == ["read as: columns distinct_id=uid"]
    people = tmp_path / "p.ndjson"
    people.write_text('{"uid": "ana", "plan": "pro"}\n')
    assert told("profiles", people, "--events", events) == [
        f"read as: columns distinct_id=uid ({events}, {people})"
    ]
    parts = [tmp_path / f"{part}.ndjson" for part in range(4)]
    for part in parts:
        part.write_text(event + "\n")
    assert told("resolve", *parts) == ["read as: columns distinct_id=uid (4 files)"]


@pytest.mark.parametrize(
    "command", ["stitch csv -o out.csv", "ask signup-rate csv", "doctor csv", "resolve csv"]
)
def test_a_directory_of_csv_alone_is_read_by_every_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "csv").mkdir()
    for day in (9, 10):
        rows = f"event,distinct_id,time\nSign Up,user-{day},17000000{day:02}\n"
        (tmp_path / "csv" / f"part-{day}.{'CSV' if day == 9 else 'csv'}").write_text(rows, "utf-8")
    (tmp_path / "csv" / "notes.txt").write_text("x", "utf-8")
    result = run(*command.split())
    assert "passed over in csv: notes.txt" in result.stderr
    assert "2 events" in result.stderr + result.stdout or "         2         2  100.0%" in result.stdout


def test_a_shell_reads_the_option_that_a_refusal_names(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("event,time,$anon id\nA,1,x\n", encoding="utf-8")
    message = run("resolve", tmp_path / "e.csv", code=1).stderr
    options = shlex.split(message[message.rindex("or --column") :])[1:]
    assert options == ["--column", "distinct_id=$anon id"]
    assert run("resolve", tmp_path / "e.csv", *options).stdout.splitlines()[1:] == ["x,x,1"]
