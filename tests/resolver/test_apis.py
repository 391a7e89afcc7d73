"""Simplified ID Merge and legacy aliases: what events state, and what becomes of it (SPEC 2, 3, 5)."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import idmerge
from idmerge import DurableResolver, Kind, Outcome, Policy, Resolver, doctor, parse, reference
from idmerge.cli.group import commands
from idmerge.errors import JournalError, PolicyError
from idmerge.files import read, scan
from idmerge.pages.diagram import LINES
from resolver_state import state
from simplified_twin import Simplified
from strategies import D1, D2, D3
from strategies import events as any_events

if TYPE_CHECKING:
    from pathlib import Path

APIS = {"simplified": Policy.simplified(), "legacy": Policy.legacy()}
both = pytest.mark.parametrize("make", [Resolver, reference.Resolver], ids=["core", "reference"])


def event(name: str = "View", **properties: Any) -> dict[str, Any]:
    return {"event": name, "properties": {key.replace("__", "$"): value for key, value in properties.items()}}


def outcomes(resolver: Any, *events: dict[str, Any]) -> list[str]:
    return [Outcome(int(code)).name for code in resolver.apply_events(events).outcomes]


# Simplified ID Merge


@both
@pytest.mark.rule("2.association.8", "3.simplified id merge")
def test_a_user_has_any_number_of_devices_and_the_user_names_them(make: Any) -> None:
    r = make(Policy.simplified())
    devices = [f"session_{number}" for number in range(600)]
    r.apply_events([event(distinct_id=f"$device:{device}") for device in devices])
    told = outcomes(r, *(event(__device_id=device, __user_id="ana") for device in devices))
    assert set(told) == {"MERGED"}
    assert {r.resolve(f"$device:{device}") for device in devices} == {"ana"}


@both
@pytest.mark.rule("2.association.6")
def test_a_device_belongs_to_its_first_user(make: Any) -> None:
    r = make(Policy.simplified())
    told = outcomes(
        r,
        event(__device_id=D1, __user_id="ana"),
        event(__device_id=D1, __user_id="ben"),
        event(__device_id=D1, __user_id="ana"),
    )
    assert told == ["MERGED", "ANON_CLAIMED", "UNCHANGED"]
    assert (r.resolve(f"$device:{D1}"), r.resolve("ben")) == ("ana", "ben")
    assert Outcome.ANON_CLAIMED.failure_reason == "errAnonDistinctIdAssignedAlready"


@both
@pytest.mark.rule("2.association.4", "2.association.5", "2.association.7")
def test_an_association_is_judged_as_an_identify_is(make: Any) -> None:
    r = make(Policy(api="simplified", anon_format="uuid4", max_cluster_size=2))
    pairs = [("ana", "ana"), ("x", "ana"), (D1, "ana"), (D1, "ana"), (D2, "ana")]
    told = [r.link(Kind.ASSOCIATION, first, second).name for first, second in pairs]
    assert told == ["SAME_IDS", "ANON_FORMAT", "MERGED", "UNCHANGED", "TOO_MANY_IDS"]
    r.keep_apart(D3, "ben")
    assert r.link(Kind.ASSOCIATION, D3, "ben") is Outcome.KEPT_APART


@both
@pytest.mark.rule("2.verbs", "2.api")
@pytest.mark.parametrize(
    ("api", "allowed"),
    [("original", {0, 1, 2, 8}), ("simplified", {8, 13}), ("legacy", {1, 8})],
)
def test_each_api_has_its_kinds_of_links(make: Any, api: Any, allowed: set[int]) -> None:
    for kind in Kind:
        r = make(Policy(api=api, anon_format="any"))
        outcome = r.link(kind, "a", "b")
        assert outcome is (Outcome.MERGED if kind in allowed else Outcome.VERB_NOT_ALLOWED)
        assert len(r) == (2 if kind in allowed else 0), "it is as if never sent"
        if kind not in allowed:
            assert r.link(kind, "", "null") is Outcome.VERB_NOT_ALLOWED


@both
@pytest.mark.rule("2.verbs", "3.simplified id merge")
def test_identity_events_are_refused(make: Any) -> None:
    r = make(Policy.simplified())
    refused = [
        event("$identify", __anon_id=D1, __identified_id="ana"),
        event("$identify"),
        event("$create_alias", alias="b", distinct_id="a"),
        event("$merge", __distinct_ids=["a", "b"]),
    ]
    for source in ("import", "track"):
        assert [Outcome(code).name for code in r.apply_events(refused, source).outcomes] == [
            "VERB_NOT_ALLOWED"
        ] * 4
    assert len(r) == 0


@both
@pytest.mark.rule("3.simplified id merge")
@pytest.mark.parametrize(
    ("properties", "own"),
    [
        ({"__user_id": "ana", "distinct_id": "x"}, "ana"),
        ({"__device_id": D1, "distinct_id": "x"}, f"$device:{D1}"),
        ({"__device_id": f"$device:{D1}"}, f"$device:{D1}"),
        ({"__device_id": f"$device:$device:{D1}"}, f"$device:$device:{D1}"),
        ({"__device_id": 366}, "$device:366"),
        ({"distinct_id": D1}, D1),
        ({"distinct_id": f"$device:{D1}"}, f"$device:{D1}"),
        ({"__device_id": "", "__user_id": None, "distinct_id": "x"}, "x"),
        ({"__device_id": "$device:", "distinct_id": "x"}, "x"),
        ({"__device_id": [1], "__user_id": True, "distinct_id": "x"}, "x"),
        ({"__user_id": "$device:d", "distinct_id": "x"}, "x"),
        ({"__user_id": "$device:d", "__device_id": "e"}, "$device:e"),
    ],
)
def test_an_event_has_the_id_of_its_user_or_its_device(
    make: Any, properties: dict[str, Any], own: str
) -> None:
    r = make(Policy.simplified())
    assert r.apply(event(**properties)) is None
    assert r.apply_events([event(**properties), json.dumps(event(**properties))]).outcomes.tolist() == []
    assert own in r
    assert len(r) == 1


@both
@pytest.mark.rule("3.simplified id merge")
def test_a_rewritten_event_is_evidence_of_the_device_that_sent_it(make: Any) -> None:
    r = make(Policy.simplified())
    r.apply(event(distinct_id="ana", __device_id=D1, __distinct_id_before_identity=f"$device:{D1}"))
    r.apply(event(distinct_id="ana", __distinct_id_before_identity=f"$device:{D2}"))
    r.apply(event(distinct_id="ana", __user_id="ana", __distinct_id_before_identity="x"))
    assert r.members("ana") == ["ana", f"$device:{D1}", f"$device:{D2}"]


@both
@pytest.mark.rule("3.simplified id merge")
def test_an_association_that_was_refused_stays_so(make: Any) -> None:
    refused = event(__device_id=D1, __user_id="ben", __failure_reason="errAnonDistinctIdAssignedAlready")
    r = make(Policy.simplified())
    assert outcomes(r, refused) == ["REFUSED_BEFORE"]
    link = parse(refused, api="simplified")
    assert link == (Kind.ASSOCIATION, f"$device:{D1}", "ben", "import", "errAnonDistinctIdAssignedAlready")
    assert parse(refused) is None


devices = st.sampled_from(["d1", "d2", "d3", f"$device:{D1}", D1, "\u00e9"])
users = st.sampled_from(["ana", "ben", "cem", "\u00e9", "7"])
traffic = st.lists(
    st.one_of(
        st.builds(lambda device, user: event(__device_id=device, __user_id=user), devices, users),
        st.builds(lambda device: event(__device_id=device, distinct_id="x"), devices),
        st.builds(lambda user: event(__user_id=user), users),
        st.builds(lambda own: event(distinct_id=own), st.one_of(users, devices)),
        st.just(event("$identify", __anon_id=D1, __identified_id="ana")),
    ),
    max_size=40,
)


@given(traffic)
def test_simplified_id_merge_is_as_its_documentation_tells_it(events: list[dict[str, Any]]) -> None:
    twin, ours, theirs = Simplified(), Resolver(Policy.simplified()), reference.Resolver(Policy.simplified())
    for one in events:
        twin.take(one)
    assert outcomes(ours, *events) == outcomes(theirs, *events) == twin.outcomes
    assert theirs.mapping() == {
        "distinct_id": list(twin.known),
        "canonical_id": list(twin.mapping().values()),
        "cluster_size": [
            sum(twin.person(other) == twin.person(one) for other in twin.known) for one in twin.known
        ],
    }
    assert ours.mapping().to_pydict() == theirs.mapping()


# Legacy aliases


@both
@pytest.mark.rule("2.verbs", "5.legacy")
def test_an_alias_stands_for_what_it_points_to(make: Any) -> None:
    r = make(Policy.legacy())
    told = outcomes(
        r,
        event("$create_alias", alias="mail", distinct_id=D1),
        event("$create_alias", alias="crm", distinct_id="mail"),
        event("$create_alias", alias="crm", distinct_id=D2),
    )
    assert told == ["MERGED", "MERGED", "ALIAS_TAKEN"]
    assert {r.resolve(text) for text in ("mail", "crm", D1)} == {D1}
    chained = [
        event("$create_alias", alias=D1, distinct_id="root"),
        event("$create_alias", alias="root", distinct_id="crm"),
    ]
    assert outcomes(r, *chained) == ["MERGED", "UNCHANGED"]
    assert r.resolve("crm") == "root"


@both
@pytest.mark.rule("3.legacy")
def test_other_identity_events_are_ordinary_ones(make: Any) -> None:
    r = make(Policy.legacy())
    assert outcomes(r, event("$identify", __anon_id=D1, __identified_id="ana", distinct_id="ana")) == []
    assert outcomes(r, event("$merge", __distinct_ids=["a", "b"])) == []
    assert outcomes(r, event(__device_id=D1, __user_id="ana", distinct_id="ben")) == []
    assert [text in r for text in ("ana", "ben", D1)] == [True, True, False]


# Calls


@both
@pytest.mark.rule("2.association.6", "3.simplified id merge")
def test_an_association_by_call_is_that_of_an_event(make: Any) -> None:
    called, applied = make(api="simplified"), make(api="simplified")
    for device, user in (("d", "ana"), ("$device:d", "ben"), ("$device:$device:e", "ana"), (7, 42)):
        told = called.associate(device, user)
        assert told == applied.apply(event(__device_id=device, __user_id=user))
    assert called.resolve("$device:d") == "ana"
    assert "d" not in called
    assert [called.associate(device, "ana") for device in ("", "$device:", "a" * 250)] == [
        Outcome.INVALID_ID
    ] * 3
    assert [called.associate("d", user) for user in ("", "$device:e")] == [Outcome.INVALID_ID] * 2
    assert make().associate("d", "ana") is Outcome.VERB_NOT_ALLOWED
    with pytest.raises(TypeError):
        called.associate(1.5, "ana")


def test_a_journal_keeps_associations_by_call(tmp_path: Path) -> None:
    with DurableResolver.open(tmp_path / "j.idmerge", api="simplified") as r:
        assert r.associate("d", "ana") is Outcome.MERGED
        r.commit()
    with DurableResolver.open(tmp_path / "j.idmerge", api="simplified") as r:
        assert (r.policy, r.resolve("$device:d")) == (Policy.simplified(), "ana")
    with pytest.raises(JournalError, match="api is 'simplified', not 'legacy'"):
        DurableResolver.open(tmp_path / "j.idmerge", api="legacy")


@pytest.mark.parametrize("api", ["original", *APIS])
def test_an_api_stands_for_its_policy(api: Any, tmp_path: Path) -> None:
    policy = {"original": Policy(), **APIS}[api]
    table = pa.table({"event": ["View"], "distinct_id": ["ana"]})
    other = "legacy" if api != "legacy" else "original"
    doors: dict[str, Any] = {
        "resolver": Resolver,
        "reference": reference.Resolver,
        "journal": lambda policy=None, api=None: DurableResolver.open(":memory:", policy, api=api),
    }
    for name, door in doors.items():
        assert door(api=api).policy == door(policy, api=api).policy == policy, name
        strict = replace(policy, max_id_length=5)
        assert door(strict, api=api).policy == strict, name
    path = tmp_path / "e.ndjson"
    path.write_text(json.dumps(event(distinct_id="ana")))
    doors |= {
        "stitch": partial(idmerge.stitch, table),
        "files": partial(idmerge.stitch, path),
        "doctor": partial(doctor.examine, path),
    }
    for name, door in doors.items():
        door(api=api)
        with pytest.raises(PolicyError, match=f"api is '{other}', and the policy's is '{api}'"):
            door(policy=policy, api=other)
        with pytest.raises(PolicyError, match="api must be one of"):
            door(api="new")
        assert name


def test_a_resolver_that_is_given_has_an_api() -> None:
    table = pa.table({"event": ["View"], "distinct_id": ["ana"]})
    with pytest.raises(ValueError, match="give these or the resolver"):
        idmerge.stitch(table, Resolver(), api="legacy")


# Every way in


@pytest.mark.parametrize("api", APIS)
@given(events=st.lists(any_events, max_size=12))
@settings(max_examples=300)
def test_every_way_in_gives_the_reference_s_answer(api: str, events: list[dict[str, Any]]) -> None:
    policy = APIS[api]
    expected = reference.Resolver(policy)
    report = expected.apply_events(events)
    lines = [json.dumps(one) for one in events]
    content = {"lines": "\n".join(lines).encode(), "array": f"[{','.join(lines)}]".encode()}

    def each(r: Resolver) -> None:
        for one in events:
            r.apply(one)

    def of_file(way: Any, form: str, r: Resolver) -> None:
        for piece in way(io.BytesIO(content[form]), name="f", api=api, dialect="mixpanel"):
            told = piece.apply_to(r)
            assert [link.outcome for link in piece.judged(told)] == [*map(Outcome, told.outcomes.tolist())]

    ways: dict[str, Any] = {
        "calls": each,
        "dicts": lambda r: r.apply_events(events),
        "texts": lambda r: r.apply_events(lines),
        "body": lambda r: r.apply_body(content["array"]),
    }
    if events:
        ways |= {
            f"{way.__name__} {form}": lambda r, way=way, form=form: of_file(way, form, r)
            for way in (read, scan)
            for form in content
        }
    for name, way in ways.items():
        resolver = Resolver(policy)
        told = way(resolver) if name != "body" or events else None
        assert state(resolver) == state(expected), name
        if told is not None:
            assert told == report, name


@pytest.mark.rule("2.verbs")
def test_a_piece_of_another_api_is_refused() -> None:
    content = json.dumps(event(__device_id=D1, __user_id="ana")).encode()
    for way in (read, scan):
        (piece,) = way(io.BytesIO(content), name="f")
        with pytest.raises(PolicyError, match=r"read with api='original', .* has api='simplified'"):
            piece.apply_to(Resolver(Policy.simplified()))


def test_an_unknown_api_is_named() -> None:
    for wrong in (lambda: Policy(api="new"), lambda: list(read(io.BytesIO(b""), name="f", api="new"))):  # type: ignore[arg-type]
        with pytest.raises(PolicyError, match=r"api must be one of 'original', 'simplified', 'legacy'"):
            wrong()


def test_the_command_joins_devices_and_users(tmp_path: Path) -> None:
    path = tmp_path / "e.ndjson"
    events = [event(__device_id="d", distinct_id="$device:d"), event(__device_id="d", __user_id="ana")]
    path.write_text("\n".join(map(json.dumps, [*events, event("$merge", __distinct_ids=["a", "b"])])))
    journal = str(tmp_path / "j.idmerge")
    for arguments in (["--api", "simplified"], ["--api", "simplified", "--journal", journal, "-o", "-"]):
        result = CliRunner().invoke(commands, ["resolve", str(path), *arguments])
        assert result.exit_code == 0, result.output
        assert result.stdout.splitlines()[1:] == ["$device:d,ana,2", "ana,ana,2"]
        assert "1  VERB_NOT_ALLOWED" in result.stderr
        assert "looks like Simplified" not in result.stderr
    shown = CliRunner().invoke(commands, ["show", "ana", str(path), "--api", "simplified"])
    assert (shown.exit_code, "$device:d" in shown.stdout) == (0, True)
    again = CliRunner().invoke(commands, ["resolve", str(path), "--journal", journal])
    assert again.exit_code == 0, "the journal states its API"
    other = CliRunner().invoke(commands, ["resolve", str(path), "--journal", journal, "--api", "legacy"])
    assert (other.exit_code, "api is" in other.stderr) == (1, True)


def test_events_are_stitched_under_their_user_or_device(tmp_path: Path) -> None:
    path = tmp_path / "e.ndjson"
    events = [
        event(distinct_id="x", __device_id="d", time=1),
        event("Log In", distinct_id="x", __device_id="d", __user_id="ana", time=2),
        event("Log In", __device_id="d", __user_id="ben", time=3),
        event(distinct_id="$device:e", time=4),
    ]
    path.write_text("\n".join(map(json.dumps, events)))
    table = pa.table(idmerge.stitch(path, policy=Policy.simplified(), as_known=True))
    assert table["distinct_id"].to_pylist() == ["ana", "ana", "ben", "$device:e"]
    assert table["distinct_id_as_known"].to_pylist() == ["$device:d", "ana", "ben", "$device:e"]
    assert table["$distinct_id_before_identity"].to_pylist() == ["$device:d", "ana", "ben", "$device:e"]
    command = ["stitch", str(path), "--api", "simplified", "-o", str(tmp_path / "s.csv")]
    result = CliRunner().invoke(commands, command)
    assert result.exit_code == 0, result.output
    written = [line.split(",")[2] for line in (tmp_path / "s.csv").read_text().splitlines()[1:]]
    assert written == ['"ana"', '"ana"', '"ben"', '"$device:e"']
    asked = CliRunner().invoke(
        commands, ["ask", "signup-rate", str(path), "--api", "simplified", "--signup", "Log In"]
    )
    assert asked.exit_code == 0, asked.output


@pytest.mark.parametrize("form", ["ndjson", "csv"])
@pytest.mark.parametrize("sort", [[], ["--sort"]])
def test_profiles_are_shown_by_the_links_of_an_api(form: str, sort: list[str], tmp_path: Path) -> None:
    path, updates = tmp_path / f"e.{form}", tmp_path / "u.ndjson"
    rows = [("View", "d", ""), ("Log In", "d", "ana")]
    if form == "csv":
        path.write_text("\n".join(["event,device_id,user_id", *map(",".join, rows)]))
    else:
        named = [event(name, __device_id=device, __user_id=user) for name, device, user in rows]
        path.write_text("\n".join(map(json.dumps, named)))
    sets = [{"$distinct_id": "$device:d", "$set": {"a": 1}}, {"$distinct_id": "ana", "$set": {"b": 2}}]
    updates.write_text("\n".join(map(json.dumps, sets)))
    run = partial(CliRunner().invoke, commands)
    command = ["profiles", str(updates), "--events", str(path), "--api", "simplified", *sort, "-o", "-"]
    shown = run(command)
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.splitlines() == ["distinct_id,a,b", "ana,1,2"]


@both
@pytest.mark.rule("2.1", "2.verbs")
@pytest.mark.parametrize("api", ["original", *APIS])
def test_what_is_no_event_is_malformed(make: Any, api: Any) -> None:
    r = make(Policy(api=api))
    no_events: list[Any] = [7, "t", None]
    assert [*map(Outcome, r.apply_events(no_events).outcomes.tolist())] == [Outcome.MALFORMED] * 3
    nameless = event("$create_alias", alias="x")
    malformed = Outcome.VERB_NOT_ALLOWED if api == "simplified" else Outcome.MALFORMED
    assert r.apply(nameless) is malformed
    if isinstance(r, Resolver):
        assert r.apply_body(b'[7, "t", null]').outcomes.tolist() == [Outcome.MALFORMED] * 3


@pytest.mark.parametrize(
    ("api", "row", "has_id", "is_odd"),
    [
        ("simplified", event(__user_id="ana", distinct_id=True), True, False),
        ("simplified", event(__user_id=10**25, distinct_id=True), True, False),
        ("simplified", event(distinct_id=True), True, True),
        ("simplified", event(__user_id=""), False, False),
        ("legacy", event("$identify", distinct_id=True), True, True),
        ("legacy", event("$identify", __anon_id="d"), False, False),
        ("original", event("$identify", distinct_id=True), True, False),
    ],
)
def test_pieces_tell_ids_by_their_api(api: Any, row: Any, has_id: bool, is_odd: bool) -> None:  # noqa: FBT001
    content = json.dumps(row).encode()
    for way in (read, scan):
        (piece,) = way(io.BytesIO(content), name="f", api=api, dialect="mixpanel")
        assert (piece.has_ids(), bool(piece.odd_ids())) == (has_id, is_odd), way


def test_a_journal_s_api_decides_how_events_are_stitched_and_drawn(tmp_path: Path) -> None:
    path, journal = tmp_path / "e.ndjson", str(tmp_path / "j.idmerge")
    users = [event(__device_id="d", __user_id=user, distinct_id="$device:d") for user in ("ana", "ben")]
    path.write_text("\n".join(map(json.dumps, users)))
    run = partial(CliRunner().invoke, commands)
    assert run(["resolve", str(path), "--api", "simplified", "--journal", journal]).exit_code == 0
    stitched = run(["stitch", str(path), "--journal", journal, "-o", str(tmp_path / "s.csv")])
    assert stitched.exit_code == 0, stitched.output
    written = [line.split(",")[2] for line in (tmp_path / "s.csv").read_text().splitlines()[1:]]
    assert written == ['"ana"', '"ben"']
    drawn = run(["why", "$device:d", "ana", journal, "--html", str(tmp_path / "why.html")])
    assert drawn.exit_code == 0, drawn.output
    assert set(LINES) == set(Kind)


def test_a_file_of_links_states_associations(tmp_path: Path) -> None:
    path = tmp_path / "links.csv"
    path.write_text("kind,first,second\nassociation,$device:d,ana\n13,$device:e,ana\n")
    r = Resolver(Policy.simplified())
    for piece in scan(path, api="simplified"):
        piece.apply_to(r)
    assert r.members("ana") == ["$device:d", "ana", "$device:e"]


def test_no_api_of_that_name_reads_an_event() -> None:
    with pytest.raises(PolicyError, match="api must be one of"):
        parse(event(), api="new")  # type: ignore[arg-type]
