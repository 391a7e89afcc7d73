"""Events of Segment, RudderStack, PostHog, Amplitude and Snowplow: fields, links, one answer (SPEC 11)."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idmerge import Kind, Policy, Resolver, reference
from idmerge._json_decoding import decoded
from idmerge.errors import MalformedEventError
from idmerge.files import BUILT_IN, BadLine, Dialect, read, scan
from idmerge.files.catalogue import found
from idmerge.files.containers import RawLines
from idmerge.files.jsontext import PASSED_ON, LineReader
from idmerge.files.vendors import VENDORS
from idmerge.policy import Api

DATA = Path(__file__).parents[1] / "data" / "vendors"
D1, D2 = "5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11", "0b2b7a46-6f0e-4b6e-9a55-2f7d1c9e4b22"
V1, V2 = "018f3c1e-7a10-7cc2-9d4e-0a1b2c3d4e5f", "018f3c20-11b2-7d00-8a3f-f0e1d2c3b4a5"
A1, A2 = "mVJzZ7vN0kQwq5xTfKd3aR", "b8sYt2Lh6uEoP4xWnCj9gR"
PRODUCTS = ("segment", "rudderstack", "posthog", "amplitude", "snowplow")
FILES = {
    **{f"{name}.ndjson": name for name in PRODUCTS},
    **{f"{name}_batch.json": name for name in PRODUCTS if name != "snowplow"},
}
APIS: tuple[Api, ...] = get_args(Api)
POLICIES = {
    "original": Policy(anon_format="any"),
    "simplified": Policy.simplified(),
    "legacy": Policy.legacy(),
}
TRACK = {"type": "track", "event": "Paid", "anonymousId": "d", "userId": "u", "messageId": "m"}


def rows_of(file: str) -> list[dict[str, Any]]:
    text = (DATA / file).read_text("utf-8")
    if file.endswith(".ndjson"):
        return [json.loads(line) for line in text.splitlines()]
    page = json.loads(text)
    rows: list[dict[str, Any]] = page.get("batch") or page["events"]
    return rows


def resolved(pieces: Any, policy: Policy) -> tuple[list[str], set[frozenset[str]]]:
    """Return the outcomes of the links, and the clusters."""
    resolver = Resolver(policy)
    outcomes: list[str] = []
    for piece in pieces:
        outcomes += [link.outcome.name for link in piece.judged(piece.apply_to(resolver))]
    return outcomes, clusters_of(resolver)


def clusters_of(resolver: Resolver) -> set[frozenset[str]]:
    return {frozenset(members) for _, members in resolver.clusters()}


def links_of(file: str, api: Api) -> list[tuple[str, str, str]]:
    batches = [piece for piece in read(DATA / file, api=api) if not isinstance(piece, BadLine)]
    resolver = Resolver(POLICIES[api])
    return [
        (link.kind.name, link.first or "", link.second or "")
        for batch in batches
        for link in batch.judged(batch.apply_to(resolver))
    ]


@pytest.mark.rule("11.segment", "11.rudderstack", "11.posthog", "11.amplitude", "11.snowplow", "11.found")
@pytest.mark.parametrize(("file", "name"), FILES.items())
def test_the_product_of_a_file_is_found(file: str, name: str) -> None:
    for way in (read, scan):
        seen: list[Any] = []
        list(way(DATA / file, on_dialect=lambda _path, dialect, seen=seen: seen.append(dialect)))
        assert [(dialect.name, dialect.title) for dialect in seen] == [(name, BUILT_IN[name].title)]


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        (("anonymousId", "userId", "messageId", "type", "event"), "segment"),
        (("anonymous_id", "user_id", "received_at", "sent_at", "event", "id"), "segment"),
        (("anonymousId", "channel", "event", "type", "rudderId"), "rudderstack"),
        (("anonymous_id", "user_id", "received_at", "sent_at", "event", "id", "channel"), "rudderstack"),
        (("uuid", "event", "distinct_id", "properties", "timestamp"), "posthog"),
        (("event_type", "user_id", "device_id"), "amplitude"),
        (("app_id", "collector_tstamp", "domain_userid"), "snowplow"),
    ],
)
def test_a_product_is_known_by_its_keys(keys: tuple[str, ...], name: str) -> None:
    assert found(keys) is BUILT_IN[name]


@pytest.mark.parametrize(
    "keys",
    [
        ("event", "properties"),
        ("event", "distinct_id", "time", "properties"),
        ("event", "distinct_id", "timestamp", "time", "uuid"),
        ("event_name", "user_id", "device_id", "time"),
        ("anonymous_id", "user_id", "event"),
        ("type", "record"),
        ("event", "distinct_id", "time", "event_type", "user_id"),
        ("event", "event_type", "user_id"),
        ("event", "distinct_id", "time", "anonymousId", "userId", "type"),
        ("event", "distinct_id", "time", "anonymousId", "channel"),
        ("event", "distinct_id", "time", "anonymous_id", "received_at", "sent_at"),
        ("event_name", "distinct_id", "time", "event_type", "device_id"),
        ("event_name", "distinct_id", "time", "domain_userid", "app_id"),
        ("event_id", "name", "distinct_id", "event_type", "device_id"),
        ("mp_event_name", "distinct_id", "event_type", "user_id"),
        ("distinct_id", "resolved_distinct_id", "event_type", "user_id"),
        ("$distinct_id", "$properties", "event_type", "user_id"),
    ],
)
def test_keys_that_others_have_too_are_of_no_product(keys: tuple[str, ...]) -> None:
    assert found(keys) not in VENDORS


IDENTIFY, ALIAS, MERGE, ASSOCIATION = (
    kind.name for kind in (Kind.IDENTIFY, Kind.ALIAS, Kind.MERGE, Kind.ASSOCIATION)
)
ORIGINAL = {
    "segment": [(IDENTIFY, D1, "ana"), (IDENTIFY, D2, "42"), (ALIAS, "crm-17", "ana")],
    "rudderstack": [(IDENTIFY, D1, "ana"), (IDENTIFY, D2, "ben"), (ALIAS, "crm-17", "ana")],
    "posthog": [
        (IDENTIFY, V1, "ana"),
        (IDENTIFY, V2, "ben"),
        (ALIAS, "crm-17", "ana"),
        (MERGE, "ben", "legacy-9"),
    ],
    "amplitude": [],
    "snowplow": [],
}
PEOPLE = {
    "segment": {frozenset({D1, "ana", "crm-17"}), frozenset({D2, "42"})},
    "rudderstack": {frozenset({D1, "ana", "crm-17"}), frozenset({D2, "ben"})},
    "posthog": {frozenset({V1, "ana", "crm-17"}), frozenset({V2, "ben", "legacy-9"})},
    "amplitude": {frozenset({A1}), frozenset({A2}), frozenset({"ana"}), frozenset({"ben"})},
    "snowplow": {frozenset({D1}), frozenset({D2}), frozenset({"ana"}), frozenset({"ben"})},
}
SIMPLIFIED = {
    "segment": {
        frozenset({f"$device:{D1}", "ana"}),
        frozenset({f"$device:{D2}", "42"}),
        frozenset({"crm-17"}),
    },
    "rudderstack": {
        frozenset({f"$device:{D1}", "ana"}),
        frozenset({f"$device:{D2}", "ben"}),
        frozenset({"crm-17"}),
    },
    "posthog": {frozenset({f"$device:{V1}", "ana"}), frozenset({f"$device:{V2}", "ben"})},
    "amplitude": {frozenset({f"$device:{A1}", "ana"}), frozenset({f"$device:{A2}", "ben"})},
    "snowplow": {frozenset({f"$device:{D1}", "ana"}), frozenset({f"$device:{D2}", "ben"})},
}


@pytest.mark.rule("11.calls")
@pytest.mark.parametrize("name", PRODUCTS)
def test_calls_state_the_links_of_the_original_api(name: str) -> None:
    assert links_of(f"{name}.ndjson", "original") == ORIGINAL[name]
    _, clusters = resolved(read(DATA / f"{name}.ndjson"), POLICIES["original"])
    assert clusters == PEOPLE[name]


@pytest.mark.rule("11.calls")
@pytest.mark.parametrize("name", PRODUCTS)
def test_aliases_alone_state_links_under_legacy(name: str) -> None:
    expected = [link for link in ORIGINAL[name] if link[0] == ALIAS]
    assert links_of(f"{name}.ndjson", "legacy") == expected


@pytest.mark.rule("11.calls", "11.other products")
@pytest.mark.parametrize("name", PRODUCTS)
def test_events_of_a_device_and_a_user_link_them_under_simplified(name: str) -> None:
    kinds = {kind for kind, _, _ in links_of(f"{name}.ndjson", "simplified")}
    assert kinds == {ASSOCIATION}
    outcomes, clusters = resolved(read(DATA / f"{name}.ndjson", api="simplified"), POLICIES["simplified"])
    assert "VERB_NOT_ALLOWED" not in outcomes
    assert clusters == SIMPLIFIED[name]


@pytest.mark.rule("11.other products", "11.containers")
@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(("file", "name"), FILES.items())
def test_every_way_in_and_every_container_has_one_answer(file: str, name: str, api: Api) -> None:
    policy, dialect = POLICIES[api], BUILT_IN[name].under(api)
    rows = rows_of(file)
    twin = reference.Resolver(policy)
    for row in rows:
        twin.apply(dialect.event_of(row))
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    texts = [
        (DATA / file).read_bytes(),
        lines,
        gzip.compress(lines),
        json.dumps(rows).encode(),
        json.dumps(rows, indent=2).encode(),
        json.dumps({"batch": rows, "sentAt": "2024-05-02T10:04:00Z"}).encode(),
    ]
    answers = [
        resolved(way(io.BytesIO(text), name="f", dialect=chosen, api=api), policy)
        for text in texts
        for way in (read, scan)
        for chosen in (None, name)
    ]
    assert all(answer == answers[0] for answer in answers)
    clusters = answers[0][1]
    assert {frozenset(twin.members(own)) for cluster in clusters for own in cluster} == clusters
    assert twin.cluster_count == len(clusters)
    by_dicts = Resolver(policy)
    by_dicts.apply_events([dialect.event_of(row) for row in rows])
    assert clusters_of(by_dicts) == answers[0][1]


@pytest.mark.rule("11.other products")
def test_a_call_of_segment_has_its_fields_under_raw_names() -> None:
    event = BUILT_IN["segment"].event_of({**TRACK, "timestamp": "T", "properties": {"price": 9}})
    assert event == {
        "event": "Paid",
        "properties": {
            "price": 9,
            "$device_id": "d",
            "$user_id": "u",
            "$insert_id": "m",
            "time": "T",
            "type": "track",
            "distinct_id": "u",
        },
    }


@pytest.mark.rule("11.other products")
@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"type": "page", "anonymousId": "d", "event": ""}, ("page", "d")),
        ({"type": "page", "anonymousId": "d", "event": None, "userId": ""}, ("page", "d")),
        ({"type": "track", "event": "A", "anonymousId": "d", "userId": 7}, ("A", 7)),
        ({"type": "track", "event": "A", "userId": None}, ("A", None)),
        ({"type": "track", "event": "A", "userId": "u", "distinct_id": "own"}, ("A", "own")),
        ({"type": "track", "event": "A", "userId": "u", "properties": {"distinct_id": "p"}}, ("A", "u")),
        ({"type": "track", "event": "A", "properties": {"distinct_id": "p"}}, ("A", "p")),
        ({"anonymous_id": "d", "user_id": "u", "id": "m"}, (None, "u")),
        ({"type": "track", "event": "$identify", "anonymousId": "d", "userId": "u"}, ("identify", "u")),
        ({"type": "track", "event": "$hotshard_events", "userId": "u"}, ("hotshard_events", "u")),
        ({"type": "identify", "userId": "u"}, ("identify", "u")),
    ],
)
def test_names_and_ids_that_are_null_or_empty_are_not_there(
    row: dict[str, Any], expected: tuple[Any, Any]
) -> None:
    event = BUILT_IN["segment"].event_of(row)
    assert (event["event"], event["properties"].get("distinct_id")) == expected


@pytest.mark.rule("11.other products")
def test_of_several_times_the_first_counts_that_is_there() -> None:
    row = {**TRACK, "receivedAt": "R", "sentAt": "S", "originalTimestamp": "O", "timestamp": None}
    properties = BUILT_IN["rudderstack"].event_of(row)["properties"]
    assert (properties["time"], properties["receivedAt"], properties["sentAt"]) == ("O", "R", "S")


@pytest.mark.rule("11.calls")
@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"userId": "new", "previousId": "old", "anonymousId": "d"}, ("new", "old")),
        ({"userId": "new", "anonymousId": "d"}, ("new", "d")),
        ({"userId": 5, "previousId": 6}, ("5", "6")),
    ],
)
def test_an_alias_points_to_the_previous_id_or_to_the_device(
    row: dict[str, Any], expected: tuple[str, str]
) -> None:
    line = json.dumps({"type": "alias", "messageId": "m", **row}).encode()
    resolver = Resolver()
    (piece,) = scan(io.BytesIO(line), dialect="segment")
    assert not isinstance(piece, BadLine)
    (link,) = piece.judged(piece.apply_to(resolver))
    assert (link.first, link.second) == expected


@pytest.mark.rule("11.calls")
def test_an_alias_without_its_other_id_is_malformed() -> None:
    for row in ({"userId": "new"}, {"previousId": "old"}):
        line = json.dumps({"type": "alias", "messageId": "m", **row}).encode()
        for way in (read, scan):
            outcomes, _ = resolved(way(io.BytesIO(line), dialect="segment"), Policy())
            assert outcomes == ["MALFORMED"]


@pytest.mark.rule("11.calls")
@pytest.mark.parametrize("api", ["original", "legacy"])
@pytest.mark.parametrize(
    "beside", [{"timestamp": 1, "uuid": "x"}, {"timestamp": 1, "uuid": "x", "distinct_id": "ana"}]
)
def test_mixpanels_own_links_count_in_rows_that_look_like_posthogs(beside: dict[str, Any], api: Api) -> None:
    pairs: list[tuple[str, dict[str, Any]]] = [
        ("$identify", {"distinct_id": "ana", "$identified_id": "ana", "$anon_id": D1}),
        ("$identify", {"distinct_id": D1, "$identified_id": "ana", "$anon_distinct_id": D2}),
        ("$merge", {"$distinct_ids": ["ana", "crm-17"]}),
        ("$create_alias", {"distinct_id": "ana", "alias": "old"}),
    ]
    events = [{"event": name, "properties": properties} for name, properties in pairs]
    text = "".join(json.dumps({**event, **beside}) + "\n" for event in events).encode()
    expected = reference.Resolver(POLICIES[api])
    outcomes = [outcome.name for event in events if (outcome := expected.apply(event)) is not None]
    for way in (read, scan):
        seen: list[Any] = []
        pieces = way(
            io.BytesIO(text), api=api, on_dialect=lambda _path, dialect, seen=seen: seen.append(dialect)
        )
        told, clusters = resolved(pieces, POLICIES[api])
        assert [dialect.name for dialect in seen] == ["posthog"]
        assert told == outcomes
        linked = {own for link in pairs for own in link[1].values() if isinstance(own, str)} | {"crm-17"}
        assert {own for cluster in clusters for own in cluster} <= linked
        for cluster in clusters:
            assert all({*expected.members(own)} == {*cluster} for own in cluster)


@pytest.mark.rule("11.nothing by default")
def test_bad_rows_are_named_by_their_lines() -> None:
    lines = [json.dumps(TRACK), '{"foo": 1}', "{", "[]", json.dumps({**TRACK, "type": "page"})]
    told = []
    for way in (read, scan):
        pieces = list(way(io.BytesIO("\n".join(lines).encode()), name="f"))
        told.append([(piece.line, piece.message) for piece in pieces if isinstance(piece, BadLine)])
        assert sum(len(piece) for piece in pieces if not isinstance(piece, BadLine)) == 2
    assert told[0] == told[1]
    assert [line for line, _ in told[0]] == [2, 3, 4]
    assert told[0][0][1] == "the object has no name of an event (event or type); it has 'foo'"


def test_roles_that_the_caller_gives_count_before_the_products() -> None:
    row = {**TRACK, "accountId": "acme", "type": "identify"}
    line = json.dumps(row).encode()
    for way in (read, scan):
        resolver = Resolver(Policy(anon_format="any"))
        pieces = list(way(io.BytesIO(line), dialect="segment", columns={"user_id": "accountId"}))
        links = [link for piece in pieces for link in piece.judged(piece.apply_to(resolver))]
        assert [(link.first, link.second) for link in links] == [("d", "acme")]


def test_a_role_may_take_the_key_of_another_one() -> None:
    row = {"type": "identify", "anonymousId": "d", "userId": "u", "properties": {}}
    for way in (read, scan):
        pieces = way(
            io.BytesIO(json.dumps(row).encode()), dialect="segment", columns={"insert_id": "$device_id"}
        )
        assert resolved(pieces, POLICIES["original"]) == ([], {frozenset({"u"})})


KEYS = (
    *("event", "type", "event_type", "event_name", "properties", "traits", "event_properties"),
    *("anonymousId", "anonymous_id", "userId", "user_id", "device_id", "domain_userid", "distinct_id"),
    *("messageId", "id", "uuid", "insert_id", "$insert_id", "event_id", "previousId", "alias"),
    *("timestamp", "sentAt", "received_at", "time", "event_time", "derived_tstamp", "$user_id", "$device_id"),
    *("$anon_distinct_id", "mp_reserved_x", "plan"),
)
TEXTS = (
    *('"a"', '""', '"u"', '"track"', '"identify"', '"alias"', '"$identify"', '"$create_alias"', '"$merge"'),
    *('"$merge_dangerously"', '"\\u0024identify"', '"id\\u0065ntify"', '"$hotshard_events"', '"\\u00e9"'),
    *("null", "7", "1.0", "true", "[]", "{}", "NaN"),
)
NESTED = (
    '{"distinct_id":"n","alias":"o"}',
    '{"$anon_distinct_id":"d","$user_id":"u"}',
    '"{\\"a\\":1}"',
    "[1]",
)


@st.composite
def lines(draw: st.DrawFn, dialect: Dialect) -> bytes:
    keys = draw(st.lists(st.sampled_from(KEYS), max_size=8, unique=True))
    names = [draw(st.sampled_from(dialect.event))] if draw(st.integers(0, 5)) else []
    fields = []
    for key in dict.fromkeys([*keys, *names]):
        is_nested = key in dialect.properties
        value = draw(st.sampled_from((*NESTED, "null") if is_nested else TEXTS))
        fields.append(f'"{key}":{value}')
    return ("{" + ",".join(draw(st.permutations(fields))) + "}").encode()


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("name", PRODUCTS)
@given(data=st.data())
@settings(max_examples=150)
def test_a_row_is_transcoded_to_what_python_makes_of_it_or_passed_on(
    name: str, api: Api, data: st.DataObject
) -> None:
    dialect = BUILT_IN[name].under(api)
    line = data.draw(lines(dialect))
    (made,) = RawLines(b"", io.BufferedReader(io.BytesIO(line)), dialect).read().split(b"\n")
    event = LineReader("f", dialect)(1, line)
    if made.startswith(PASSED_ON):
        assert made[1:] == line
    else:
        assert isinstance(event, tuple), (made, event)
        assert repr(decoded(made)) == repr(event[1])


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("name", PRODUCTS)
def test_ordinary_rows_are_not_left_to_python(name: str, api: Api) -> None:
    dialect = BUILT_IN[name].under(api)
    text = (DATA / f"{name}.ndjson").read_bytes()
    made = RawLines(b"", io.BufferedReader(io.BytesIO(text)), dialect).read().splitlines()
    calls = sum(line.startswith(PASSED_ON) for line in made)
    assert calls <= len(made) * 3 // 4
    assert not made[0].startswith(PASSED_ON)


def test_a_row_without_a_name_is_an_error_that_names_the_keys() -> None:
    with pytest.raises(MalformedEventError, match=r"event_type.*'user_id'"):
        BUILT_IN["amplitude"].event_of({"user_id": "u"})
