"""Notes on what events show beside their links: Simplified ID Merge, their order, and local times."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

import idmerge
from command_line import run
from idmerge.cli.link_notes import NO_LINK
from idmerge.files.sampling import sampled
from paths import DATA

FIELD = DATA / "field"
SIMPLIFIED, ORDER = str(FIELD / "simplified.ndjson"), str(FIELD / "order.ndjson")
SIGN = "this looks like Simplified ID Merge"
DEVICE = "$device:5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11"


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("updates.ndjson").write_text('{"$distinct_id": "ana", "$set": {"plan": "pro"}}\n')


def commands(events: str) -> list[tuple[str, ...]]:
    return [
        ("resolve", events),
        ("resolve", events, "--journal", "ids.idmerge"),
        ("stitch", events, "-o", "out.parquet"),
        ("ask", "signup-rate", events),
        ("doctor", events),
        ("profiles", "updates.ndjson", "--events", events),
    ]


@pytest.mark.rule("3.simplified id merge")
@pytest.mark.parametrize("command", commands(SIMPLIFIED), ids=" ".join)
def test_every_command_says_in_one_line_that_events_look_simplified(command: tuple[str, ...]) -> None:
    lines = run(*command).stderr.splitlines()
    (said,) = [line for line in lines if SIGN in line]
    assert "--api simplified" in said
    assert "docs/doctor.md" in said
    assert not any(NO_LINK in line for line in lines)


def test_links_of_devices_and_users_join_what_simplified_id_merge_joins() -> None:
    Path("links.csv").write_text(f"kind,first,second\nidentify,{DEVICE},ana\n")
    answer = run("resolve", "links.csv", SIMPLIFIED)
    assert f"{DEVICE},ana,2" in answer.stdout
    assert SIGN not in answer.stderr


def test_standard_input_is_looked_at_too_and_read_whole() -> None:
    text = Path(SIMPLIFIED).read_bytes()
    for command in (("resolve", "-"), ("stitch", "-", "-o", "out.parquet"), ("ask", "signup-rate", "-")):
        assert SIGN in run(*command, stdin=text).stderr
    assert parquet.read_table("out.parquet").num_rows == 3


def test_columns_are_looked_at_as_lines_are() -> None:
    rows = [json.loads(line) for line in Path(SIMPLIFIED).read_text().splitlines()]
    flat = [{"event": row["event"], **row["properties"]} for row in rows]
    parquet.write_table(pa.Table.from_pylist([*flat[1:], flat[0]]), "flat.parquet")
    parquet.write_table(pa.Table.from_pylist([*rows[1:], rows[0]]), "nested.parquet")
    for name in ("flat.parquet", "nested.parquet"):
        assert sampled([name]).is_simplified
        assert SIGN in run("stitch", name, "-o", "out.parquet").stderr


def test_properties_in_maps_are_looked_at_too() -> None:
    rows = [json.loads(line) for line in Path(SIMPLIFIED).read_text().splitlines()]
    pairs = [[(key, str(value)) for key, value in row["properties"].items()] for row in rows]
    maps = pa.array(pairs, pa.map_(pa.string(), pa.string()))
    parquet.write_table(pa.table({"event": [row["event"] for row in rows], "properties": maps}), "m.parquet")
    assert sampled(["m.parquet"]).is_simplified


def test_a_link_beyond_the_sample_still_counts() -> None:
    lines = [*Path(SIMPLIFIED).read_text().splitlines()] * 400
    link = {"event": "$identify", "properties": {"distinct_id": "ana", "$anon_distinct_id": DEVICE}}
    Path("f.ndjson").write_text("\n".join([*lines, json.dumps(link)]))
    assert sampled(["f.ndjson"]).is_simplified
    for command in commands("f.ndjson"):
        assert SIGN not in run(*command).stderr


def test_devices_alone_are_no_sign() -> None:
    Path("f.ndjson").write_text(
        '{"event": "A", "properties": {"$device_id": "d", "$user_id": null}}\n'
        '{"event": "A", "properties": {"$user_id": "ana"}}\n[]\n"x"\n{"event": "A", "properties": 7}\n'
    )
    assert not sampled(["f.ndjson", "missing.ndjson", "."]).is_simplified


def test_an_order_that_runs_backwards_is_said_with_its_place_and_the_way_out() -> None:
    for command in (
        ("resolve", ORDER),
        ("stitch", ORDER, "-o", "out.parquet"),
        ("ask", "signup-rate", ORDER, "--signup", "Page View"),
    ):
        said = [line for line in run(*command).stderr.splitlines() if "--sort" in line]
        assert len(said) == 1
        assert f"{ORDER}:2: processed before an event in front of it" in said[0]


def test_sorted_events_give_the_device_to_the_user_who_came_first() -> None:
    answer = run("resolve", ORDER, "--sort")
    assert f"{DEVICE},ana,2" in answer.stdout
    assert "--sort" not in answer.stderr
    run("stitch", ORDER, "--sort", "-o", "out.parquet")
    assert parquet.read_table("out.parquet")["distinct_id"].to_pylist() == ["ana", "ana", "ben"]
    assert "backward-order" not in run("doctor", ORDER, "--sort").stdout
    told = run("ask", "signup-rate", ORDER, "--sort", "--signup", "Page View").stdout
    assert "2         1" in told


def test_files_out_of_order_are_noticed_across_their_ends() -> None:
    lines = Path(ORDER).read_text().splitlines()
    Path("a.ndjson").write_text(lines[0])
    Path("b.ndjson").write_text("\n".join(lines[1:]))
    assert sampled(["a.ndjson", "b.ndjson"]).backward == "b.ndjson:1"
    assert sampled(["b.ndjson", "a.ndjson"]).backward is None


LOCAL = str(FIELD / "ist.ndjson")


def spread(*events: dict[str, Any]) -> list[dict[str, Any]]:
    """Return each of ``events`` 24 times, 37 seconds apart."""
    found = []
    for step in range(24):
        for event in events:
            properties = dict(event["properties"])
            for name, unit in (("time", 1), ("$mp_api_timestamp_ms", 1000), ("mp_processing_time_ms", 1000)):
                if type(properties.get(name)) is int and properties[name] < 10**14:
                    properties[name] += 37 * step * unit
            found.append({**event, "properties": properties})
    return found


def zoned(*, hours: float, received: str = "$mp_api_timestamp_ms", **more: Any) -> dict[str, Any]:
    """Return an event that is received 5 s after its time, which is so many hours ahead of UTC."""
    time = 1_746_078_170
    properties = {"distinct_id": "ana", "time": time + int(hours * 3600), received: (time + 5) * 1000}
    return {"event": "Sign Up", "properties": {**properties, **more}}


@pytest.mark.parametrize(
    "command",
    [
        ("stitch", LOCAL, "-o", "out.parquet"),
        ("stitch", LOCAL, "-o", "days", "--partition-by", "date"),
        ("stitch", LOCAL, "-o", "-", "--sort"),
        ("ask", "signup-rate", LOCAL),
    ],
    ids=" ".join,
)
def test_every_command_that_reads_times_says_in_one_line_that_they_look_local(
    command: tuple[str, ...],
) -> None:
    said = [line for line in run(*command).stderr.splitlines() if "look local" in line]
    assert len(said) == 1
    assert "+05:30" in said[0]
    option = "--times-in" if command[0] == "ask" else "--timezone"
    assert f"; {option} names their zone" in said[0]
    assert "look local" not in run(*command, option, "Asia/Kolkata").stderr
    wrong = run(*command, option, "Asia/Karachi").stderr
    assert "read as times of Asia/Karachi, the times of most events are +00:30" in wrong


def test_commands_that_read_no_times_say_nothing_of_them() -> None:
    for command in (("resolve", LOCAL), ("profiles", "updates.ndjson", "--events", LOCAL)):
        assert "look local" not in run(*command).stderr


FORMS: list[Any] = [
    lambda event: event,
    lambda event: {"event": event["event"], **event["properties"]},
    lambda event: {"event": event["event"], "properties": json.dumps(event["properties"])},
    lambda event: {"event_name": event["event"], **event["properties"]},
    lambda event: {
        "event": event["event"],
        "properties": {
            **event["properties"],
            "time": datetime.fromtimestamp(event["properties"]["time"], UTC).isoformat(" ")[:19],
        },
    },
]


@pytest.mark.parametrize("form", FORMS)
def test_local_times_are_seen_in_every_form_of_events(form: Any) -> None:
    events = list(map(form, spread(zoned(hours=-8), zoned(hours=-7), zoned(hours=-8))))
    Path("f.ndjson").write_text("\n".join(map(json.dumps, events)))
    table = pa.Table.from_pylist(events)
    parquet.write_table(table, "f.parquet")
    for name in ("f.ndjson", "f.parquet"):
        assert sampled([name], reads_times=True).offset == "-08:00"
        assert sampled([name]).offset is None
        assert sampled([name], reads_times=True, timezone="Etc/GMT+8").offset is None


def test_times_that_agree_with_their_receipt_on_half_of_the_events_are_not_local() -> None:
    events = spread(zoned(hours=0), zoned(hours=5.5), zoned(hours=1.1), zoned(hours=5.5))
    path = Path("f.ndjson")
    events += [zoned(hours=5.5, time=odd) for odd in (True, [1], {}, "soon", None, 10**400, 1e300)]
    path.write_text("\n".join(map(json.dumps, events)))
    assert sampled([path], reads_times=True).offset is None
    path.write_text("\n".join(map(json.dumps, [*events, zoned(hours=5.5)])))
    assert sampled([path], reads_times=True).offset == "+05:30"


NIGHTLY = [
    {
        "event": "A",
        "properties": {
            "distinct_id": "ana",
            "time": 1_746_057_600 + 86_400 * day,
            "$mp_api_timestamp_ms": (1_746_057_600 + 86_400 * day + 7_230) * 1000,
        },
    }
    for day in range(60)
]
NAMED = [
    {
        **event,
        "properties": {
            **event["properties"],
            "time": datetime.fromtimestamp(event["properties"]["time"], UTC).isoformat(),
        },
    }
    for event in spread(zoned(hours=-2))
]
RIGHT = {
    "an import by night": NIGHTLY,
    "times that name their zone": NAMED,
    "a single event that came late": [zoned(hours=-0.25)],
    "a distance that no zone has": spread(zoned(hours=-0.25)),
    "few events": spread(zoned(hours=-2))[:19],
    "no distance that most have": spread(zoned(hours=-2), zoned(hours=-5), zoned(hours=-9)),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_times_do_not_look_local(name: str) -> None:
    Path("f.ndjson").write_text("\n".join(map(json.dumps, RIGHT[name])))
    rows = [{"event": row["event"], **row["properties"]} for row in RIGHT[name]]
    table = pa.Table.from_pylist(rows)
    if name == "times that name their zone":
        times = [datetime.fromisoformat(row["time"]) for row in rows]
        table = table.set_column(2, "time", pa.array(times, pa.timestamp("s", "UTC")))
    parquet.write_table(table, "f.parquet")
    for file in ("f.ndjson", "f.parquet"):
        assert sampled([file], reads_times=True).offset is None
        assert "look local" not in run("doctor", file).stdout


def test_times_behind_their_receipt_may_have_come_late() -> None:
    Path("f.ndjson").write_text("\n".join(map(json.dumps, spread(zoned(hours=-2)))))
    for command in (("stitch", "f.ndjson", "-o", "out.csv"), ("doctor", "f.ndjson")):
        result = run(*command)
        said = " ".join((result.stdout + result.stderr).split())
        assert "look local, or the events came that late" in said
    assert "came that late" not in run("stitch", LOCAL, "-o", "out.csv").stderr


def test_the_moment_of_processing_stands_in_for_that_of_receipt() -> None:
    late = zoned(hours=2, received="mp_processing_time_ms")
    Path("f.ndjson").write_text("\n".join(map(json.dumps, spread(late))))
    assert sampled(["f.ndjson"], reads_times=True).offset == "+02:00"
    assert "time-zone" in run("doctor", "f.ndjson").stdout
    both = zoned(hours=2, mp_processing_time_ms=1_746_085_175_000)  # Processed two hours later.
    Path("f.ndjson").write_text("\n".join(map(json.dumps, spread(both))))
    assert sampled(["f.ndjson"], reads_times=True).offset == "+02:00"


def test_a_table_with_times_that_python_cannot_hold_has_no_signs() -> None:
    times = pa.array([2**62], pa.timestamp("us"))
    table = pa.table({"event": ["A"], "distinct_id": ["a"], "time": times, "$mp_api_timestamp_ms": [1]})
    parquet.write_table(table, "f.parquet")
    assert sampled(["f.parquet"], reads_times=True)[:3] == (False, None, None)
    assert idmerge.stitch(table).num_rows == 1


def test_stitched_events_cannot_be_sorted_for_a_question() -> None:
    run("stitch", ORDER, "-o", "out.parquet")
    assert "leave --sort out" in run("ask", "signup-rate", "out.parquet", "--sort", code=2).stderr


@pytest.mark.parametrize(
    "text", ["", "\n", "{", "\ufeff", "[", '[{"event": "A"}', '{"event": 1}', "\x1f\x8b"]
)
def test_a_sample_of_whatever_is_no_error(text: str) -> None:
    Path("f.ndjson").write_bytes(text.encode("latin-1", "replace"))
    assert sampled(["f.ndjson"], reads_times=True)[:3] == (False, None, None)


def test_a_sample_reads_no_more_than_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idmerge.files.sampling.ROWS", 2)
    event: dict[str, Any] = {"event": "A", "properties": {"$device_id": "d", "$user_id": "u"}}
    Path("f.ndjson").write_text("{}\n{}\n" + json.dumps(event))
    assert not sampled(["f.ndjson"]).is_simplified
    monkeypatch.setattr("idmerge.files.sampling.FILES", 1)
    Path("g.ndjson").write_text(json.dumps(event))
    assert sampled(["g.ndjson", "f.ndjson"]).is_simplified
    assert not sampled(["f.ndjson", "g.ndjson"]).is_simplified
