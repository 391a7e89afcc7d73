"""``idmerge resolve``: the mapping, the rejected links, the summary, and broken files."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from command_line import ndjson, run
from idmerge import Kind, Outcome, Policy, Resolver, reference
from idmerge.cli import options, resolved
from idmerge.testing import events

D1 = "5f0c1e2a-7b3d-4c58-9a61-2e8f4d7b9c03"
D2 = "b81d64f7-0a92-4e3b-8c5d-71f6a3e0d294"
EVENTS = list(events(3000, seed=11, identity_share=0.2))


def identify(anon_id: object, identified_id: object) -> dict[str, Any]:
    return {"event": "$identify", "properties": {"$anon_id": anon_id, "$identified_id": identified_id}}


def error_of(*arguments: object, stdin: bytes = b"") -> str:
    """Run a command that fails; return its one line on standard error."""
    result = run(*arguments, stdin=stdin, code=1)
    lines = [line for line in result.stderr.splitlines() if not line.startswith("malformed: ")]
    assert len(lines) == 1
    assert result.stdout == ""
    return lines[0].removeprefix("idmerge: error: ")


def expected_rows(
    stated: list[dict[str, Any]], policy: Policy | None = None, canonical: Any = "stable"
) -> Any:
    resolver = reference.Resolver(policy, canonical)
    resolver.apply_events(stated)
    return list(zip(*resolver.mapping().values(), strict=True))


def csv_rows(text: str) -> list[tuple[str, str, int]]:
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert header == ["distinct_id", "canonical_id", "cluster_size"]
    return [(distinct_id, canonical_id, int(size)) for distinct_id, canonical_id, size in rows]


def rows_in(path: Path) -> Any:
    """Read a mapping back, whatever its format."""
    if path.suffix == ".csv":
        return csv_rows(path.read_text())
    if path.suffix == ".parquet":
        columns = parquet.read_table(path).to_pydict()
    elif path.suffix == ".arrow":
        columns = pa.ipc.open_file(str(path)).read_all().to_pydict()
    else:
        return [tuple(json.loads(line).values()) for line in path.read_text().splitlines()]
    assert list(columns) == ["distinct_id", "canonical_id", "cluster_size"]
    return list(zip(*columns.values(), strict=True))


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.ndjson"
    path.write_bytes(ndjson(EVENTS))
    return path


# The mapping


@pytest.mark.parametrize("suffix", ["csv", "parquet", "arrow", "ndjson", "jsonl"])
def test_every_output_format_holds_the_mapping_of_the_reference(
    suffix: str, shop: Path, tmp_path: Path
) -> None:
    result = run("resolve", shop, "-o", tmp_path / f"out.{suffix}")
    assert result.stdout == ""
    assert rows_in(tmp_path / f"out.{suffix}") == expected_rows(EVENTS)


def test_without_an_output_the_mapping_goes_to_stdout_as_csv(shop: Path) -> None:
    assert csv_rows(run("resolve", shop).stdout) == expected_rows(EVENTS)


def test_several_files_count_as_one_in_their_order(tmp_path: Path) -> None:
    parts = [EVENTS[:1000], EVENTS[1000:1500], EVENTS[1500:]]
    (tmp_path / "a.ndjson").write_bytes(ndjson(parts[0]))
    (tmp_path / "b.json").write_bytes(json.dumps(parts[1], indent=1).encode())
    (tmp_path / "c").write_bytes(gzip.compress(ndjson(parts[2])))
    result = run("resolve", tmp_path / "a.ndjson", tmp_path / "b.json", tmp_path / "c")
    assert csv_rows(result.stdout) == expected_rows(EVENTS)
    assert "3,000 events from 3 files" in result.stderr


def test_a_dash_is_standard_input() -> None:
    assert csv_rows(run("resolve", "-", stdin=gzip.compress(ndjson(EVENTS))).stdout) == expected_rows(EVENTS)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_links_in_columns_give_the_mapping_of_the_same_links(suffix: str, tmp_path: Path) -> None:
    links = [(Kind.IDENTIFY, D1, "ada"), (Kind.ALIAS, "crm-1", "ada"), (Kind.MERGE, "ada", "grace")]
    path = tmp_path / f"links.{suffix}"
    if suffix == "csv":
        path.write_text(
            "kind,first,second\n" + "".join(f"{kind.name.lower()},{a},{b}\n" for kind, a, b in links)
        )
    else:
        kinds, left, right = zip(*links, strict=True)
        parquet.write_table(
            pa.table({"kind": [int(kind) for kind in kinds], "first": left, "second": right}), path
        )
    assert csv_rows(run("resolve", path).stdout) == [
        (name, "ada", 4) for name in (D1, "ada", "crm-1", "grace")
    ]


@pytest.mark.parametrize("name", ["a,b", 'a"b', "a\nb", "a\rb", " a ", "é", "a;b", "𝄞"])
@pytest.mark.parametrize("suffix", ["csv", "ndjson"])
def test_an_id_of_any_text_comes_back_from_the_file(name: str, suffix: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(ndjson([identify(D1, name)]))
    run("resolve", tmp_path / "f", "-o", tmp_path / f"out.{suffix}")
    with (tmp_path / f"out.{suffix}").open(newline="", encoding="utf-8") as file:
        text = file.read()
    rows = (
        csv_rows(text)
        if suffix == "csv"
        else [tuple(json.loads(line).values()) for line in text.split("\n")[:-1]]
    )
    assert rows == [(D1, name, 2), (name, name, 2)]


def test_a_csv_is_quoted_only_where_an_id_asks_for_it(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(ndjson([identify(D1, "ada")]))
    assert (
        run("resolve", tmp_path / "f").stdout
        == f"distinct_id,canonical_id,cluster_size\n{D1},ada,2\nada,ada,2\n"
    )


def test_an_empty_file_gives_an_empty_mapping(tmp_path: Path) -> None:
    (tmp_path / "f.ndjson").write_bytes(b"")
    result = run("resolve", tmp_path / "f.ndjson")
    assert result.stdout == "distinct_id,canonical_id,cluster_size\n"
    assert "0 events from 1 file" in result.stderr
    assert "0 in 0 clusters" in result.stderr


# The policy


@pytest.mark.parametrize(
    ("arguments", "policy"),
    [
        (["--max-cluster-size", "3"], Policy(max_cluster_size=3)),
        (["--max-cluster-size", "none"], Policy(max_cluster_size=None)),
        (["--anon-format", "any"], Policy(anon_format="any")),
        (["--anon-format", "sdk"], Policy(anon_format="sdk")),
        (["--verdicts", "ignore"], Policy(verdicts="ignore")),
        (["--no-evidence"], Policy(evidence=False)),
        (["--anon-guard", "cluster"], Policy(anon_guard="cluster")),
        (["--anon-guard", "off"], Policy(anon_guard="off")),
        (["--no-alias-once"], Policy(alias_once=False)),
        (["--max-id-length", "9"], Policy(max_id_length=9)),
        (["--max-id-length", "none"], Policy(max_id_length=None)),
    ],
)
def test_every_switch_of_the_policy_is_an_option(arguments: list[str], policy: Policy, shop: Path) -> None:
    assert csv_rows(run("resolve", shop, *arguments).stdout) == expected_rows(EVENTS, policy)


def test_a_list_of_blocked_ids_replaces_the_built_in_one(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "blocked.txt").write_bytes(b"\xef\xbb\xbfUser-1013\r\n\r\nuser-1015\n".replace(b"\r", b""))
    policy = Policy(blocked_ids=frozenset({"user-1013", "user-1015"}))
    result = run("resolve", shop, "--blocked-ids", tmp_path / "blocked.txt")
    assert csv_rows(result.stdout) == expected_rows(EVENTS, policy)


@pytest.mark.parametrize("canonical", ["stable", "identified", "first_seen", "smallest"])
def test_every_strategy_is_an_option(canonical: str, shop: Path) -> None:
    rows = csv_rows(run("resolve", shop, "--canonical", canonical).stdout)
    assert rows == expected_rows(EVENTS, canonical=canonical)


def test_the_options_offer_what_the_policy_knows() -> None:
    for name in options.ANON_FORMATS:
        Policy(anon_format=name)  # type: ignore[arg-type]
    for name in options.ANON_GUARDS:
        Policy(anon_guard=name)  # type: ignore[arg-type]
    for name in options.STRATEGIES:
        Resolver(canonical=name)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'uuid4', 'sdk', 'any'"):
        Policy(anon_format="")  # type: ignore[arg-type]
    assert options.ANON_FORMATS == ("mixpanel", "uuid4", "sdk", "any")


# The rejected links


def rejected_rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_rejected_links_stand_with_their_place_and_reason(tmp_path: Path) -> None:
    stated = [
        {"event": "Page View", "properties": {"distinct_id": D1}},
        identify(D1, "ada"),
        identify(D1, "grace"),
        identify("null", "ada"),
        identify(None, "ada"),
        {"event": "$merge", "properties": {"$distinct_ids": ["ada", "ada"]}},
    ]
    (tmp_path / "f.ndjson").write_bytes(ndjson(stated))
    run("resolve", tmp_path / "f.ndjson", "--rejected", tmp_path / "r.ndjson")
    rows = rejected_rows(tmp_path / "r.ndjson")
    assert {row.pop("file") for row in rows} == {str(tmp_path / "f.ndjson")}
    assert [tuple(row.values()) for row in rows] == [
        (3, "identify", D1, "grace", "ANON_CLAIMED", "errAnonDistinctIdAssignedAlready"),
        (4, "identify", "null", "ada", "INVALID_ID", None),
        (5, "identify", None, "ada", "MALFORMED", None),
        (6, "merge", "ada", "ada", "SAME_IDS", "errSameIDs"),
    ]


def test_the_rejected_links_of_columns_stand_with_their_row(tmp_path: Path) -> None:
    table = {"kind": ["merge", "alias", "identify"], "first": ["a", None, ""], "second": ["a", "b", "c"]}
    parquet.write_table(pa.table(table), tmp_path / "f.parquet")
    result = run("resolve", tmp_path / "f.parquet", "--rejected", tmp_path / "r.ndjson")
    assert [tuple(row.values())[1:6] for row in rejected_rows(tmp_path / "r.ndjson")] == [
        (1, "merge", "a", "a", "SAME_IDS"),
        (2, "alias", None, "b", "MALFORMED"),
        (3, "identify", "", "c", "INVALID_ID"),
    ]
    assert "f.parquet:2: first of alias must be a string, got null" in result.stderr


def test_the_rejected_links_are_as_many_as_the_reference_rejects(shop: Path, tmp_path: Path) -> None:
    resolver = reference.Resolver()
    report = resolver.apply_events(EVENTS)
    expected = [
        (int(row) + 1, Outcome(int(outcome)).name)
        for row, outcome in zip(report.rows, report.outcomes, strict=True)
        if not Outcome(int(outcome)).accepted
    ]
    assert len(expected) > 10
    for suffix in ("csv", "jsonl"):
        run("resolve", shop, "--rejected", tmp_path / f"r.{suffix}")
        rows = rejected_rows(tmp_path / f"r.{suffix}")
        assert [(int(row["line"]), row["outcome"]) for row in rows] == expected


@pytest.mark.parametrize("name", ["a,b", 'a"b', "a\nb", "a\rb", " a ", "é"])
def test_a_rejected_csv_is_a_file_of_links_again(name: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(ndjson([identify(D1, "ada"), identify(D1, name)]))
    run("resolve", tmp_path / "f", "--rejected", tmp_path / "r.csv")
    assert rejected_rows(tmp_path / "r.csv")[0]["second"] == name
    assert [row[2] for row in csv_rows(run("resolve", tmp_path / "r.csv").stdout)] == [2, 2]


def test_an_id_that_is_no_unicode_text_is_written_as_an_escape(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(ndjson([identify(D1, "a\ud800")]))
    run("resolve", tmp_path / "f", "--rejected", tmp_path / "r.csv")
    assert rejected_rows(tmp_path / "r.csv")[0]["second"] == "a\\ud800"
    run("resolve", tmp_path / "f", "--rejected", tmp_path / "r.ndjson")
    assert rejected_rows(tmp_path / "r.ndjson")[0]["second"] == "a\ud800"


# The summary


def test_the_summary_says_what_a_person_wants_to_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stated = [identify(D1, "ada"), identify(D2, "ada"), identify(D1, "grace"), identify(None, "x")]
    Path("f.ndjson").write_bytes(ndjson(stated) + b"oops\n")
    lines = run("resolve", "f.ndjson", "--max-cluster-size", "3").stderr.splitlines()
    assert lines[:2] == [
        "malformed: f.ndjson:4: $anon_id of $identify must be a string or an integer, got None",
        "malformed: f.ndjson:5: the event is no JSON: Expecting value (column 1)",
    ]
    assert lines[2].startswith("read        4 events from 1 file in 0.")
    assert lines[3:] == [
        "links       4, of which 2 rejected",
        "                  2  MERGED",
        "                  1  ANON_CLAIMED   errAnonDistinctIdAssignedAlready",
        "                  1  MALFORMED",
        "malformed   2 lines passed over",
        "IDs         4 in 2 clusters",
        "largest           3  ada",
        "                  1  grace",
        "near limit  1 cluster within 10 % of the 3 IDs allowed",
    ]


@pytest.mark.parametrize("canonical", ["stable", "first_seen"])
@pytest.mark.parametrize("clusters", [0, 1, 4, 5, 6, 300])
def test_the_largest_clusters_are_the_same_whichever_way_they_are_found(
    clusters: int, canonical: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = Resolver(canonical=canonical)
    for cluster in range(clusters):
        for member in range(cluster * 7 % 11):
            resolver.merge(f"z{cluster}", f"{member}-{cluster}")
        resolver.observe(f"alone {cluster}")
    found = []
    for few, looked_at in ((10_000, 0), (-1, 0), (-1, 30), (-1, 10_000)):
        monkeypatch.setattr(resolved, "FEW", few)
        monkeypatch.setattr(resolved, "LOOKED_AT", looked_at)
        found.append(resolved.Mapping(resolver.mapping()).largest())
    assert found[0] == found[1] == found[2] == found[3]
    assert len(found[0]) == min(5, resolver.cluster_count)


def test_the_five_largest_clusters_are_shown_the_first_known_of_equal_ones_first(shop: Path) -> None:
    lines = run("resolve", shop).stderr.splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("largest"))
    shown = [tuple(line.removeprefix("largest").split()) for line in lines[start : start + 5]]
    named = [
        (size, canonical)
        for distinct_id, canonical, size in expected_rows(EVENTS)
        if distinct_id == canonical
    ]
    assert shown == [(str(size), name) for size, name in sorted(named, key=lambda row: -row[0])[:5]]


def test_an_id_cannot_steer_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "f.ndjson").write_bytes(ndjson([identify(D1, "\x1b[2Jada\nroot")]))
    stderr = run("resolve", tmp_path / "f.ndjson").stderr
    assert "\x1b" not in stderr
    assert r"'\x1b[2Jada\nroot'" in stderr


# Malformed lines


@pytest.mark.parametrize("bad", [b"{\n", ndjson([identify(None, "x")])])
def test_strict_stops_at_the_first_malformed_line_and_writes_nothing(bad: bytes, tmp_path: Path) -> None:
    (tmp_path / "f.ndjson").write_bytes(ndjson(EVENTS[:50]) + bad + ndjson(EVENTS[50:]))
    for output in ([], ["-o", tmp_path / "m.csv", "--rejected", tmp_path / "r.csv"]):
        assert error_of("resolve", "--strict", tmp_path / "f.ndjson", *output).startswith(
            f"{tmp_path}/f.ndjson:51: "
        )
    assert [path.name for path in tmp_path.iterdir()] == ["f.ndjson"]


def test_strict_does_not_mind_rejected_links(tmp_path: Path) -> None:
    (tmp_path / "f.ndjson").write_bytes(
        ndjson([identify(D1, "ada"), identify(D1, "grace"), identify("", "x")])
    )
    run("resolve", "--strict", tmp_path / "f.ndjson")


# Broken files


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("f.ndjson.gz", gzip.compress(ndjson(EVENTS))[:-9], "the gzip stream is cut off or damaged"),
        (
            "f.ndjson.zst",
            pa.Codec("zstd").compress(ndjson(EVENTS), asbytes=True)[:-9],
            "the zstd stream is cut off",
        ),
        ("f.csv", b"kind,first\n", "needs the columns kind, first, second"),
        ("f.csv", b"kind,first,second\nfuse,a,b\n", ":2: kind must be identify, alias, merge,"),
        ("f.parquet", b"no Parquet", "no readable Parquet"),
        ("f.json", b"[{}, oops]", ":2: the item is no JSON"),
        ("f.ndjson", ndjson(EVENTS).decode().encode("utf-16"), ":1: the text is UTF-16; convert it to UTF-8"),
    ],
)
def test_a_broken_file_is_one_line_with_its_name_and_writes_nothing(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    error = error_of("resolve", tmp_path / name, "-o", tmp_path / "out.parquet")
    assert error.startswith(str(tmp_path / name))
    assert message in error
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_that_is_not_there_is_told_before_any_other_is_read(shop: Path, tmp_path: Path) -> None:
    shop.write_bytes(b"{\n")
    result = run("resolve", shop, tmp_path / "nothing", code=1)
    assert result.stderr == f"idmerge: error: {tmp_path / 'nothing'}: No such file or directory\n"


def test_a_directory_without_files_is_told(tmp_path: Path) -> None:
    told = error_of("resolve", tmp_path)
    assert told.startswith(f"{tmp_path}: the directory holds no events: .ndjson, ")


def test_a_place_that_cannot_be_written_is_told_first(shop: Path, tmp_path: Path) -> None:
    output = tmp_path / "missing" / "m.csv"
    assert error_of("resolve", shop, "-o", output) == f"{output}: No such file or directory"


def test_an_output_is_replaced_whole_or_left_alone(shop: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.csv"
    output.write_text("old")
    broken = tmp_path / "broken.json"
    broken.write_bytes(b"[oops]")
    error_of("resolve", shop, broken, "-o", output)
    assert output.read_text() == "old"
    run("resolve", shop, "-o", output)
    assert rows_in(output) == expected_rows(EVENTS)


# Wrong calls


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["f.ndjson", "-o", "m.xlsx"], "expected one of .parquet, .csv, .ndjson, .jsonl, .json, .arrow"),
        (["f.ndjson", "-o", "m"], "no suffix that names a format"),
        (["f.ndjson", "--rejected", "r.parquet"], "expected one of .csv, .ndjson, .jsonl"),
        (["f.ndjson", "-o", "m.csv", "--rejected", "./m.csv"], "name the same file"),
        (["f.csv", "-o", "./f.csv"], "'f.csv' would be read and written over"),
        (["f.ndjson", "--max-cluster-size", "1"], "max_cluster_size must be at least 2 or None, got 1"),
        (["f.ndjson", "--max-cluster-size", "many"], "'many' is neither a whole number nor none"),
        (["f.ndjson", "--anon-format", "uuid7"], "'uuid7' is not one of"),
        (["f.ndjson", "--canonical", "best"], "'best' is not one of"),
        ([], "Missing argument 'FILE...'"),
    ],
)
def test_a_wrong_call_is_told_before_any_file_is_read(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in run("resolve", *arguments, code=2).stderr
