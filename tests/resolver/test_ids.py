"""IDs are IDs whatever their type: one rule for events, columns, frames, calls and look-ups."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idmerge import Kind, Outcome, Policy, Profiles, Resolver, reference
from idmerge.compat import DisjointSet
from idmerge.files import scan
from parameter_names import stable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

U = UUID("18c4f0a1-b2c3-4d0a-8b2c-3d4e5f6018c4")
MISSING = object()
"""The answer for what stands for no ID."""
REFUSED = object()
"""The answer for what can be no ID."""

VALUES: list[tuple[Any, Any]] = [
    ("ana", "ana"),
    (np.str_("ana"), "ana"),
    (b"ana", "ana"),
    ("ünï".encode(), "ünï"),
    (bytearray(b"ana"), "ana"),
    (np.bytes_(b"ana"), "ana"),
    (366, "366"),
    (-7, "-7"),
    (2**64 - 1, str(2**64 - 1)),
    (10**40, str(10**40)),
    (np.int8(-5), "-5"),
    (np.uint64(2**64 - 1), str(2**64 - 1)),
    (Kind.MERGE, "2"),
    (366.0, "366"),
    (1e3, "1000"),
    (-0.0, "0"),
    (2.0**53, str(2**53)),
    (-(2.0**53), str(-(2**53))),
    (np.float64(366), "366"),
    (np.float32(2**24), str(2**24)),
    (np.float16(2**11), str(2**11)),
    (np.longdouble(2**53), str(2**53)),
    (Decimal(366), "366"),
    (Decimal(-0), "0"),
    (Decimal(10**37), str(10**37)),
    (U, str(U)),
    (None, MISSING),
    (float("nan"), MISSING),
    (np.float32("nan"), MISSING),
    (Decimal("NaN"), MISSING),
    (pd.NA, MISSING),
    (pd.NaT, MISSING),
    (True, REFUSED),
    (np.True_, REFUSED),
    (0.5, REFUSED),
    (2.0**53 + 2, REFUSED),
    (np.float32(2**25), REFUSED),
    (np.float16(2**12), REFUSED),
    (np.longdouble(2**53) + 2, REFUSED),
    (float("inf"), REFUSED),
    (Decimal("366.0"), REFUSED),
    (Decimal("1E+3"), REFUSED),
    (Decimal("Infinity"), REFUSED),
    (["ana"], REFUSED),
    ({"$oid": "63eeff7715a42d0d5c99dc66"}, REFUSED),
    (pd.Timestamp("2024-01-01"), REFUSED),
    (np.datetime64("2024-01-01"), REFUSED),
    (object(), REFUSED),
    (memoryview(b"ana"), REFUSED),
]

OBJECTS: dict[str, Callable[[list[Any]], Any]] = {
    "list": list,
    "tuple": tuple,
    "numpy objects": lambda values: objects([*values]),
    "pandas objects": lambda values: pd.Series(objects(values), dtype=object),
    "pandas Index": lambda values: pd.Index(objects(values), dtype=object),
    "polars objects": lambda values: pl.Series("ids", values, dtype=pl.Object),
}


def objects(values: list[Any]) -> Any:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def both() -> tuple[Resolver, reference.Resolver]:
    return Resolver(), reference.Resolver()


@pytest.mark.rule("3.values")
@pytest.mark.parametrize("family", OBJECTS)
@pytest.mark.parametrize(("value", "text"), VALUES, ids=stable)
def test_a_value_is_the_same_id_or_is_refused_in_every_column_of_objects(
    value: Any, text: Any, family: str
) -> None:
    for resolver in both():
        given = OBJECTS[family]([None, value]) if isinstance(resolver, Resolver) else [None, value]
        if text is REFUSED:
            for call in (resolver.observe_many, resolver.resolve_many):
                with pytest.raises(
                    TypeError, match=r"ids must hold text, integers or UUIDs, got .* in row 1"
                ):
                    call(given)
            for place, name in ((1, "first"), (2, "second")):
                operands = [["a", "b"], ["a", "b"]]
                operands[place - 1] = given
                with pytest.raises(TypeError, match=rf"{name} must hold .* in row 1"):
                    resolver.link_many(Kind.MERGE, *operands)
            assert len(resolver) == 0
            continue
        report = resolver.link_many(Kind.MERGE, given, ["b", "b"])
        wanted = Outcome.MALFORMED if text is MISSING else Outcome.MERGED
        if text != "0":  # It is blocked.
            assert [Outcome(code) for code in report.outcomes] == [Outcome.MALFORMED, wanted]
        answer = list(resolver.resolve_many(given))
        assert (pd.isna(answer[1]), pd.isna(answer[0])) == (text is MISSING, True)
        if text is not MISSING:
            assert answer[1] == text
            assert type(answer[1]) is str or isinstance(value, str)
            observing = type(resolver)()
            observing.observe_many(given)
            assert len(observing) == (text != "0")
            assert text == "0" or text in observing


@pytest.mark.rule("3.values")
@pytest.mark.parametrize(("value", "text"), VALUES, ids=stable)
def test_a_value_is_the_same_id_or_is_refused_in_every_call_of_one(value: Any, text: Any) -> None:
    for resolver in both():
        profiles = Profiles(resolver)
        calls: list[Callable[[Any], Any]] = [
            lambda own, r=resolver: r.identify(own, "U"),
            lambda own, r=resolver: r.identify("U", own),
            lambda own, r=resolver: r.alias(own, "U"),
            lambda own, r=resolver: r.alias("U", own),
            lambda own, r=resolver: r.merge(own, "U"),
            lambda own, r=resolver: r.merge("U", own),
            lambda own, r=resolver: r.link(Kind.MERGE, own, "U"),
            resolver.observe,
            resolver.resolve,
            resolver.__contains__,
            lambda own, r=resolver: r.same(own, "U"),
            lambda own, r=resolver: r.same("U", own),
            lambda own, r=resolver: r.members(own),
            lambda own, r=resolver: r.size(own),
            lambda own, r=resolver: r.keep_apart(own, "U"),
            resolver.forget,
            profiles.get,
            profiles.hidden,
            profiles.forget,
        ]
        if text is REFUSED or text is MISSING:
            for call in calls:
                with pytest.raises(TypeError, match="an ID must be text, an integer or a UUID, got"):
                    call(value)
            assert len(resolver) == 0
        elif text != "0":
            assert resolver.resolve(value) == text
            assert (value in resolver, resolver.same(value, text)) == (False, True)
            assert resolver.merge(value, "U") is Outcome.MERGED
            assert (text in resolver, value in resolver) == (True, True)
            assert resolver.members(value) == [text, "U"]
            assert (resolver.size(value), resolver.resolve("U")) == (2, resolver.resolve(value))
            profiles.update({"$distinct_id": value, "$set": {"a": 1}})
            assert profiles.get(text) == {"a": 1} == profiles.get(value)


@pytest.mark.rule("3.values")
@pytest.mark.parametrize(("value", "text"), VALUES, ids=stable)
def test_a_value_is_the_same_id_or_none_in_an_event(value: Any, text: Any) -> None:
    anon = "$device:5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11"
    events = [
        {"event": "A", "properties": {"distinct_id": value}},
        {"event": "$identify", "properties": {"$anon_id": anon, "$identified_id": value}},
        {"event": "$merge", "properties": {"$distinct_ids": [value, "other"]}},
    ]
    for resolver in both():
        resolver.apply_events(events[:1])
        is_id = text is not REFUSED and text is not MISSING
        assert len(resolver) == (is_id and text != "0")
        outcomes = [Outcome(code) for code in resolver.apply_events(events[1:]).outcomes]
        if not is_id:
            assert outcomes == [Outcome.MALFORMED] * 2
        elif text != "0":
            assert outcomes == [Outcome.MERGED] * 2
            assert resolver.members("other") == [text, anon, "other"]


NUMBERS = ["366", "366.0", "1000000.0", "1e3", "1E+3", "-0", "-0.0", "-5.0", "9007199254740992.0"]
NUMBERS += ["9007199254740993.0", "-9007199254740992.0", "12345678901234567890123", "18446744073709551615"]
NO_IDS = ["366.5", "9007199254740994.0", "1e16", "1e22", "1e400", "-1e19", "true", "null", '{"a": 1}', "[1]"]


@pytest.mark.rule("3.values", "9.ids")
@pytest.mark.parametrize("written", [*NUMBERS, *NO_IDS])
def test_a_number_in_a_line_of_json_is_the_id_that_it_is_in_a_dict(written: str, tmp_path: Path) -> None:
    anon = "$device:5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11"
    lines = [
        f'{{"event": "A", "properties": {{"distinct_id": {written}}}}}',
        f'{{"event": "$identify", "properties": {{"$anon_id": "{anon}", "distinct_id": {written}}}}}',
        f'{{"event": "$merge", "properties": {{"$distinct_ids": ["other", {written}]}}}}',
    ]
    path = tmp_path / "events.ndjson"
    path.write_text("".join(f"{line}\n" for line in lines))
    judge, one_by_one, at_once = reference.Resolver(), Resolver(), Resolver()
    for resolver in (judge, one_by_one):
        resolver.apply_events(json.loads(line) for line in lines)
    for piece in scan(path):
        piece.apply_to(at_once)
    texts = Resolver()
    texts.apply_events(lines)
    wanted = judge.mapping()
    for resolver in (one_by_one, at_once, texts):
        assert resolver.mapping().to_pydict() == wanted
        assert resolver.stats().outcomes == judge.stats().outcomes
    assert (len(judge) == 0) == (written in NO_IDS) or written.startswith("-0")


# Columns of one type


class Typed(NamedTuple):
    """A column of one type, and its IDs as texts."""

    column: Any
    texts: list[str | None]


def arrow(values: list[Any], kind: Any) -> Any:
    return pa.array(values, kind)


UUIDS = pa.array([U.bytes, None], pa.uuid())
TYPED = {
    "numpy int8": Typed(np.array([3, -7], np.int8), ["3", "-7"]),
    "numpy int64 strided": Typed(np.array([3, 0, -7, 0])[::2], ["3", "-7"]),
    "numpy uint64": Typed(np.array([3, 2**64 - 1], np.uint64), ["3", str(2**64 - 1)]),
    "numpy swapped": Typed(np.array([3, 7], ">i4"), ["3", "7"]),
    "numpy float64": Typed(np.array([3.0, np.nan, 2.0**53]), ["3", None, str(2**53)]),
    "numpy float32": Typed(np.array([3.0, np.nan], np.float32), ["3", None]),
    "numpy float16": Typed(np.array([3.0, np.nan], np.float16), ["3", None]),
    "numpy longdouble": Typed(np.array([3.0, np.nan], np.longdouble), ["3", None]),
    "pandas int": Typed(pd.Series([3, 7]), ["3", "7"]),
    "pandas Int64": Typed(pd.Series([3, None], dtype="Int64"), ["3", None]),
    "pandas float": Typed(pd.Series([3, None]), ["3", None]),
    "pandas objects of all types": Typed(
        pd.Series([3, None, "a", b"b", U, 4.0], dtype=object), ["3", None, "a", "b", str(U), "4"]
    ),
    "pandas objects of UUIDs": Typed(pd.Series([U, None], dtype=object), [str(U), None]),
    "pandas category of integers": Typed(pd.Series([3, None, 3]).astype("category"), ["3", None, "3"]),
    "pandas category of UUIDs": Typed(pd.Series([U, None]).astype("category"), [str(U), None]),
    "pandas category of text": Typed(pd.Series(["a", None]).astype("category"), ["a", None]),
    "pandas string": Typed(pd.Series(["a", None], dtype="string"), ["a", None]),
    "pandas Arrow UUIDs": Typed(pd.Series([U, None], dtype=pd.ArrowDtype(pa.uuid())), [str(U), None]),
    "pandas Index of integers": Typed(pd.Index([3, 7]), ["3", "7"]),
    "polars integers": Typed(pl.Series([3, None]), ["3", None]),
    "polars Int128": Typed(pl.Series([3, None]).cast(pl.Int128), ["3", None]),
    "polars floats": Typed(pl.Series([3.0, None, math.nan]), ["3", None, None]),
    "polars binary": Typed(pl.Series([b"a", None]), ["a", None]),
    "polars decimals": Typed(pl.Series([Decimal(3), None], dtype=pl.Decimal(10, 0)), ["3", None]),
    "polars Enum": Typed(pl.Series(["a", None], dtype=pl.Enum(["a", "b"])), ["a", None]),
    "polars Null": Typed(pl.Series([None, None]), [None, None]),
    "arrow int8": Typed(arrow([3, None], pa.int8()), ["3", None]),
    "arrow uint64": Typed(arrow([2**64 - 1, None], pa.uint64()), [str(2**64 - 1), None]),
    "arrow float16": Typed(arrow([3.0, None, math.nan], pa.float16()), ["3", None, None]),
    "arrow float32": Typed(arrow([3.0, None, math.nan], pa.float32()), ["3", None, None]),
    "arrow float64": Typed(arrow([3.0, None, math.nan], pa.float64()), ["3", None, None]),
    "arrow decimal32": Typed(arrow([Decimal(3), None], pa.decimal32(9, 0)), ["3", None]),
    "arrow decimal64": Typed(arrow([Decimal(-3), None], pa.decimal64(18, 0)), ["-3", None]),
    "arrow decimal128": Typed(arrow([Decimal(10**37), None], pa.decimal128(38, 0)), [str(10**37), None]),
    "arrow decimal256": Typed(arrow([Decimal(10**60), None], pa.decimal256(76, 0)), [str(10**60), None]),
    "arrow binary": Typed(arrow([b"a", None], pa.binary()), ["a", None]),
    "arrow large_binary": Typed(arrow([b"a", None], pa.large_binary()), ["a", None]),
    "arrow binary_view": Typed(
        arrow([b"a", None, b"more than twelve bytes"], pa.binary_view()),
        ["a", None, "more than twelve bytes"],
    ),
    "arrow uuid": Typed(UUIDS, [str(U), None]),
    "arrow uuid chunks": Typed(pa.chunked_array([UUIDS, UUIDS[1:]]), [str(U), None, None]),
    "arrow null": Typed(pa.nulls(2), [None, None]),
    "arrow nulls of booleans": Typed(pa.nulls(2, pa.bool_()), [None, None]),
    "arrow dictionary of integers": Typed(
        arrow([3, None, 3], pa.int32()).dictionary_encode(), ["3", None, "3"]
    ),
    "arrow dictionary of floats": Typed(arrow([3.0, None], pa.float64()).dictionary_encode(), ["3", None]),
    "arrow dictionary of bytes": Typed(arrow([b"a", None], pa.binary()).dictionary_encode(), ["a", None]),
    "arrow dictionary larger than its rows": Typed(
        pa.DictionaryArray.from_arrays(pa.array([2, None], pa.int8()), pa.array([1, 2, 3])), ["3", None]
    ),
    "arrow dictionary with a value that no row has": Typed(
        pa.DictionaryArray.from_arrays(pa.array([1, None, 1], pa.int8()), pa.array([0.5, 3.0])),
        ["3", None, "3"],
    ),
}


@pytest.mark.rule("3.values")
@pytest.mark.parametrize("family", TYPED)
def test_a_column_of_one_type_holds_the_ids_that_its_values_are(family: str) -> None:
    column, texts = TYPED[family]
    resolver, judge = both()
    second = ["other"] * len(texts)
    report = resolver.link_many(Kind.MERGE, column, second)
    assert report == judge.link_many(Kind.MERGE, texts, second)
    assert resolver.mapping().to_pydict() == judge.mapping()
    observing = Resolver()
    observing.observe_many(column)
    assert observing.mapping().to_pydict()["distinct_id"] == list(dict.fromkeys(filter(None, texts)))
    answer = resolver.resolve_many(column)
    library, kind = type(column).__module__.partition(".")[0], type(answer)
    assert kind is type(column) or library == "pyarrow"
    plain = [None if pd.isna(text) else text for text in list(pa.array(answer).to_pylist())]
    assert plain == judge.resolve_many(texts)
    chosen = Resolver(canonical=max)
    chosen.link_many(Kind.MERGE, column, second)
    plain = [
        None if pd.isna(text) else text for text in list(pa.array(chosen.resolve_many(column)).to_pylist())
    ]
    assert plain == [text and chosen.resolve(text) for text in texts]


WRONG = {
    "numpy bool": (np.array([True]), "bool in row 0"),
    "numpy float": (np.array([1.0, np.nan, 1.5]), "numpy float64 1.5 in row 2"),
    "numpy float32 beyond its integers": (np.array([2.0**25], np.float32), "numpy float32 33554432 in row 0"),
    "numpy infinity": (np.array([np.inf]), "numpy float64 inf in row 0"),
    "numpy datetime": (np.array(["2024-01-01"], "M8[D]"), "in row 0"),
    "numpy complex": (np.array([1j]), "complex in row 0"),
    "pandas bool": (pd.Series([True, False]), "Arrow Boolean in row 0"),
    "pandas float": (pd.Series([1, None, 0.5]), "Arrow Float64 0.5 in row 2"),
    "pandas objects": (pd.Series(["a", True, 1], dtype=object), "bool in row 1"),
    "pandas objects of booleans": (pd.Series([None, True], dtype=object), "bool in row 1"),
    "pandas category": (pd.Series([0.5, None]).astype("category"), "float64 0.5 in row 0"),
    "pandas time": (pd.Series(pd.to_datetime(["2024-01-01"])), "Timestamp.* in row 0"),
    "polars bool": (pl.Series([None, True]), "Arrow Boolean in row 1"),
    "polars objects": (pl.Series([U, object()], dtype=pl.Object), "object in row 1"),
    "polars list": (pl.Series([["a"]]), "LargeList.* in row 0"),
    "arrow float in a later chunk": (
        pa.chunked_array([[1.0, None], [2.0, 2.5]]),
        "Arrow Float64 2.5 in row 3",
    ),
    "arrow bool": (pa.array([None, True]), "Arrow Boolean in row 1"),
    "arrow decimal": (pa.array([Decimal("3.00")]), r"Arrow Decimal128\(3, 2\) in row 0"),
    "arrow date": (pa.array([None, 1], pa.date32()), "Arrow Date32 in row 1"),
    "arrow fixed bytes": (pa.array([U.bytes], pa.binary(16)), r"Arrow FixedSizeBinary\(16\) in row 0"),
    "arrow dictionary": (pa.array([1.0, 0.5]).dictionary_encode(), "0.5 in row 1"),
    "arrow dictionary of times": (
        pa.array([None, 1], pa.timestamp("s")).dictionary_encode(),
        "Timestamp.* in row 1",
    ),
    "arrow table": (pa.table({"a": ["x"]}), "Arrow Struct.* in row 0"),
}


@pytest.mark.rule("3.values")
@pytest.mark.parametrize("family", WRONG)
def test_a_column_of_another_type_is_refused_by_column_row_and_type(family: str) -> None:
    column, came = WRONG[family]
    resolver = Resolver()
    for call in (resolver.observe_many, resolver.resolve_many):
        with pytest.raises(TypeError, match=rf"ids must hold text, integers or UUIDs, got .*{came}"):
            call(column)
    many: Any = ["a"] * len(column)
    for name, operands in (("first", (column, many)), ("second", (many, column))):
        with pytest.raises(TypeError, match=rf"{name} must hold text, integers or UUIDs, got .*{came}"):
            resolver.link_many(Kind.MERGE, *operands)
    assert len(resolver) == 0


@pytest.mark.rule("2.2")
def test_bytes_that_are_no_utf8_are_an_invalid_id_in_every_way() -> None:
    broken = b"caf\xe9"
    for resolver in both():
        assert resolver.merge(broken, "U") is Outcome.INVALID_ID
        assert resolver.link_many(Kind.MERGE, [broken], ["U"]).outcomes.tolist() == [Outcome.INVALID_ID]
        resolver.observe(broken)
        assert (broken in resolver, len(resolver)) == (False, 0)
    for kind in (pa.binary(), pa.large_binary(), pa.binary_view()):
        resolver = Resolver()
        column = pa.array([broken, b"a"], kind)
        outcomes = resolver.link_many(Kind.MERGE, column, ["U", "U"]).outcomes.tolist()
        assert outcomes == [Outcome.INVALID_ID, Outcome.MERGED]
        with pytest.raises(ValueError, match="row 0 of ids is not valid UTF-8"):
            resolver.resolve_many(column)


def test_bytes_that_say_that_they_are_something_else_are_no_ids() -> None:
    kind = pa.opaque(pa.binary(), "bit", "DuckDB")
    column = pa.ExtensionArray.from_storage(kind, pa.array([b"\x05\xfd"]))
    with pytest.raises(TypeError, match="ids must hold .*, got Arrow arrow.opaque in row 0"):
        Resolver().observe_many(column)


numbers = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.integers(-(2**54), 2**54).map(float),
    st.decimals(),
    st.uuids(),
    st.binary(max_size=4),
    st.text(max_size=4),
    st.none(),
    st.booleans(),
)


@given(values=st.lists(numbers, max_size=6))
def test_any_mix_of_values_is_the_same_to_the_reference(values: list[Any]) -> None:
    policy = Policy.unrestricted()
    answers = []
    for resolver in (Resolver(policy), reference.Resolver(policy)):
        try:
            report = resolver.link_many(Kind.MERGE, values, values[::-1])
            mapping = resolver.mapping()
            plain = mapping if isinstance(mapping, dict) else mapping.to_pydict()
            answers.append((report.outcomes.tolist(), plain["distinct_id"]))
        except TypeError as error:
            answers.append(str(error))
    assert answers[0] == answers[1]


def test_a_value_that_another_thread_puts_into_a_list_is_missing() -> None:
    class Text(str):
        __slots__ = ()

    assert Resolver().link_many(Kind.MERGE, [Text("a")], [Text("b")]).outcomes.tolist() == [Outcome.MERGED]


def test_elements_of_sets_keep_their_own_types() -> None:
    sets = DisjointSet([1, "1", 2])
    assert sets.merge(1, 2)
    assert not sets.connected("1", 1)
    with pytest.raises(TypeError, match="first must hold str or None, got int in row 1"):
        sets.merge_many(["1", 1], ["1", "1"])  # type: ignore[list-item]
