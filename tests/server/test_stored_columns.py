"""Records as columns: the core reads lines as Python does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idmerge import _core
from idmerge.events import ids_of
from idmerge.files.tables import record_batch
from idmerge.policy import Api
from idmerge.server.log.records import Record
from idmerge.server.store.columns import columns_of, event_of

NOON = 1_764_504_000

ids = st.one_of(
    st.sampled_from(["ana", "$device:d", "d", "", 17, -3, 1.0, 2.5, 2**64, 10**30, True, None, ["ana"], {}]),
    st.text(max_size=3),
)
times = st.one_of(
    st.sampled_from([NOON, NOON * 1000, NOON + 0.25, -1, 1e300, True, None, [], "yesterday"]),
    st.sampled_from(["2026-11-30T12:00:00Z", "1971-01-01T00:00:00+01:00", "1970-01-02", "1960-01-01"]),
    st.integers(0, 10**18),
    st.floats(allow_nan=False),
)
properties = st.fixed_dictionaries(
    {},
    optional={
        "distinct_id": ids,
        "$distinct_id_before_identity": ids,
        "$device_id": ids,
        "$user_id": ids,
        "time": times,
        "$insert_id": st.one_of(st.none(), st.text(max_size=3), st.integers(), st.floats(), st.lists(ids)),
        "x": st.recursive(ids, lambda inner: st.lists(inner, max_size=2), max_leaves=4),
    },
)
names = st.one_of(st.sampled_from(["View", "$identify", "$hotshard_events", None, 5]), st.text(max_size=3))
lines = st.one_of(
    st.builds(lambda name, own: {"event": name, "properties": own}, names, properties),
    st.sampled_from([{}, [], 7, {"event": "View"}, {"event": "View", "properties": "{}"}]),
)


def written(value: Any, *, is_ascii: bool) -> bytes:
    return json.dumps(value, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass") + b"\n"


@given(
    st.lists(st.lists(st.tuples(lines, st.booleans()), max_size=4), max_size=4), st.sampled_from(Api.__args__)
)
def test_the_core_cuts_lines_as_python_reads_them(sent: list[list[tuple[Any, bool]]], api: Api) -> None:
    records = [
        (Record("main", "events", "track", NOON * 1000 + number, text), 100 * number)
        for number, some in enumerate(sent)
        if (text := b"".join(written(value, is_ascii=is_ascii) for value, is_ascii in some))
    ]
    found = columns_of(records, api).to_pylist()
    expected = []
    for record, behind in records:
        for place, line in enumerate(record.lines.splitlines()):
            event = event_of(line, api)
            if event is not None:
                time = record.received if event.time is None else event.time
                expected.append((*event[:2], time, event.insert_id, behind, place))
                own = json.loads(line)["properties"]
                assert json.loads(found[len(expected) - 1]["properties"]) == own or own != own  # noqa: PLR0124
    assert [
        (
            *(one[name] for name in ("event", "distinct_id")),
            round(one["time"].timestamp() * 1000) if one["time"].year > 1 else 0,
            *(one[name] for name in ("insert_id", "record", "place")),
        )
        for one in found
    ] == expected


@given(names, properties, st.sampled_from(["original", "simplified", "legacy"]))
def test_a_sender_is_the_id_as_it_was_sent(name: Any, own: dict[str, Any], api: Api) -> None:
    event = {"event": name, "properties": own}
    columns, declined = _core.stored_columns(
        written(event, is_ascii=True), 1 << 20, simplified=api == "simplified"
    )
    distinct_id, before = ids_of(json.loads(json.dumps(event)), api)
    [row] = record_batch(columns).to_pylist()
    if not declined:
        assert row["distinct_id"] == (distinct_id if before is None else before)


@pytest.mark.parametrize(
    ("time", "moment"),
    [
        ("1971-06-01T00:00:00Z", 44_582_400_000),
        ("1970-01-02", 86_400_000),
        (44_582_400, 44_582_400_000),
        ("2026-11-30T12:00:00+01:00", 1_796_036_400_000),
    ],
)
def test_texts_of_times_count_no_seconds(time: Any, moment: int) -> None:
    line = json.dumps({"event": "View", "properties": {"time": time}}).encode()
    event = event_of(line, "original")
    assert event is not None
    assert event.time == moment


def test_properties_stay_as_they_were_sent() -> None:
    text = b'{ "n" : 1.50, "big": 123456789012345678901234567890, "a": "\\u00e9", "a": 2 }'
    record = Record("main", "events", "track", 0, b'{"properties":' + text + b',"event":"V"}\n')
    assert columns_of([(record, 1)], "original").column("properties").to_pylist() == [text.decode()]


def test_text_that_is_no_unicode_is_escaped() -> None:
    line = b'{"event":"\xed\xa0\x80","properties":{"distinct_id":"\xed\xa0\x80","x":"\\ud800"}}\n'
    [event] = columns_of([(Record("main", "events", "track", 0, line), 1)], "original").to_pylist()
    assert (event["event"], event["distinct_id"]) == ("\ufffd", "\ufffd")
    assert json.loads(event["properties"]) == {"distinct_id": "\ud800", "x": "\ud800"}
