"""Updates that the core applies: the same as those that Python applies, in all that can be seen."""

from __future__ import annotations

import io
import json
from collections import UserDict
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idmerge import (
    DurableResolver,
    Policy,
    Profiles,
    Resolver,
    UpdateOutcome,
    UpdateReport,
    _core,
    reference,
)
from idmerge._exported import ExportedProfile
from idmerge.errors import DialectError
from idmerge.files import BadLine, EventBatch, read_updates
from idmerge.files.dialects import PEOPLE as PEOPLE_DIALECT
from idmerge.files.jsontext import LineReader
from idmerge.files.people import update_of
from idmerge.profiles.store import write_store
from idmerge.profiles.updates import OPERATIONS
from idmerge.profiles.updates import plain as plain_profile
from profiles_by_hand import PEOPLE, deep, modes

DEVICE = "5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11"


class Asked:
    """A resolver of another class, which the core cannot ask: Python applies the updates."""

    def __init__(self, resolver: Any) -> None:
        self._resolver = resolver
        self.policy = resolver.policy

    def resolve(self, distinct_id: str) -> str:
        return str(self._resolver.resolve(distinct_id))

    def members(self, distinct_id: str) -> Sequence[str]:
        members: Sequence[str] = self._resolver.members(distinct_id)
        return members

    def __contains__(self, distinct_id: str) -> bool:
        return distinct_id in self._resolver


def saved(profiles: Profiles) -> bytes:
    """The file of the profiles."""
    stream = io.BytesIO()
    write_store(stream, ((own, plain_profile(profile)) for own, profile in profiles._stored.items()))
    return stream.getvalue()


def seen(profiles: Profiles) -> tuple[Any, ...]:
    """All that can be seen of profiles, with types and orders."""
    table = profiles.table()
    people = {own: (profiles.get(own), profiles.hidden(own)) for own in PEOPLE}
    shown = repr(people), list(profiles), profiles.hidden_count
    return saved(profiles), shown, table.schema, table.to_pydict()


def told(report: UpdateReport) -> tuple[list[Any], ...]:
    """All that a report says, with orders."""
    parts = report.outcomes, report.operations, report.malformed, report.folded
    return tuple(list(part.items()) for part in parts)


# Updates of every kind, odd ones among them

names = st.sampled_from(["plan", "n", "list", "distinct_id", "é", "a\0b"])
numbers = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([0.0, -0.0, 0.5, 1.0, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**64, 10**30, 1e308, 1e22]),
    st.floats(allow_nan=False, allow_infinity=False),
)
scalars = st.one_of(
    st.sampled_from(["a", "b", "", "é😀", "\ud800", "x" * 50]), numbers, st.booleans(), st.none()
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=2)),
    max_leaves=5,
)
wrong = st.sampled_from([None, 1, "x", [1], {"a": "x"}, [], {}, float("nan"), {"n": float("inf")}, deep])


def of(of_values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(names, of_values, max_size=3)


tags = st.lists(st.sampled_from("abcdefghijklmnopqrstuvwxyz"), max_size=20)
operands: dict[str, st.SearchStrategy[Any]] = {
    "$set": of(values),
    "$set_once": of(values),
    "$add": of(numbers),
    "$append": of(values),
    "$union": of(st.one_of(tags, st.lists(values, max_size=3))),
    "$remove": of(st.one_of(st.sampled_from("abc"), values)),
    "$unset": st.lists(names, max_size=2),
    "$delete": values,
}
own_ids = st.one_of(
    st.sampled_from(PEOPLE),
    st.sampled_from([7, 2**63, 1.0, 1.5, True, None, "", "null", "\ud800", "x" * 300, [1]]),
)
others = {"$ignore_alias": st.sampled_from([True, False, 1, None]), "$token": values, "$time": st.just(5)}
plain = st.fixed_dictionaries({"$distinct_id": st.sampled_from(PEOPLE)}, optional=operands | others)
odd = st.fixed_dictionaries(
    {},
    optional={"$distinct_id": own_ids}
    | others
    | {name: st.one_of(operands[name], wrong) for name in operands},
)
rows = st.one_of(
    st.fixed_dictionaries({"$distinct_id": st.sampled_from(PEOPLE), "$properties": of(values)}),
    st.fixed_dictionaries(
        {"$distinct_id": own_ids, "$properties": st.one_of(of(values), wrong)},
        optional={"plan": scalars, "$ignore_alias": st.booleans(), "$set": of(values)},
    ),
)
TEXTS = [
    b"",
    b"{",
    b"[]",
    b"\xff",
    b'{"$distinct_id": "U1", "$set": {"a": 1, "a": [2]}}',
    b'{"$distinct_id": "U1", "$set_once": {"a": 1, "a": 2}}',
    b'{"$distinct_id": "U1", "$add": {"n": 1, "n": 2}}',
    b'{"$distinct_id": "U1", "$set": {"a": 1}, "$set": {"b": 1}}',
    b'{"$distinct_id": "U1", "$set": {"a": {"x": 1, "y": 2, "x": 3}}}',
    b'{"$distinct_id": "U2", "$distinct_id": "U1", "$unset": ["a", "a"]}',
    b'\xef\xbb\xbf{"$distinct_id": "U1", "$set": {"a": 1}}',
    b'{"$distinct_id": "U1", "$set": {"a": -0, "b": -0.0, "c": 1E400, "d": 1e-400}}',
    b'{"$distinct_id": "U1", "$set": {"a": 0.10000000000000000555111512, "b": 9007199254740993.0}}',
    b'{"$distinct_id": "U1", "$add": {"a": 2.2250738585072011e-308, "n": 1.7976931348623158e308}}',
    b'{"$distinct_id": "U1", "$set": {"a": 0e0, "b": -1e-400}}',
    b'{"$distinct_id": "U1", "$set": {"a": -0e0}}',
    b'{"$distinct_id": "U1", "$set": {"a": [-0.0, 1]}}',
    b'{"$distinct_id": "U1", "$properties": {"a": -0.0, "a": 1, "b": -0}}',
    '{"$distinct_id": "U1", "$set": {"a": "\\u00e9\\ud83d\\ude00"}}'.encode("utf-16"),
    b'{"\\u0024distinct_id": "U1", "$\\u0073et": {"\\u0061": "\\n"}} ',
    b'{"$distinct_id": "U1", "$set": {"a": ' + b"[" * 100 + b"]" * 100 + b"}}",
    b'{"$distinct_id": "U1", "$set": {"a": ' + b"[" * 101 + b"]" * 101 + b"}}",
]
texts = st.sampled_from(TEXTS)
merges = st.tuples(
    st.sampled_from(["merge", "identify"]), st.sampled_from(PEOPLE[:4]), st.sampled_from(PEOPLE[:4])
)


def as_dict(update: dict[str, Any]) -> Any:
    return update


def as_mapping(update: dict[str, Any]) -> Any:
    return UserDict(update)


def as_bytes(update: dict[str, Any]) -> Any:
    return json.dumps(update).encode()


def as_text(update: dict[str, Any]) -> Any:
    return json.dumps(update, ensure_ascii=False)


def as_bytearray(update: dict[str, Any]) -> Any:
    return bytearray(json.dumps(update, ensure_ascii=False).encode("utf-8", "surrogatepass"))


forms = st.sampled_from([as_dict, as_dict, as_bytes, as_bytes, as_text, as_bytearray, as_mapping])
updates = st.one_of(
    st.builds(lambda form, update: form(update), forms, st.one_of(plain, plain, plain, odd, rows)), texts
)
batches = st.tuples(
    st.sampled_from(["list", "tuple", "iterator", "one by one"]), st.lists(updates, max_size=8), st.booleans()
)
exports = st.tuples(
    st.sampled_from(["list", "iterator"]),
    st.lists(st.builds(lambda form, row: form(row), forms, rows), max_size=8),
    st.booleans(),
)
stories = st.lists(st.one_of(batches, batches, exports, merges), max_size=8)


def play(profiles: Profiles, step: tuple[str, list[Any], bool]) -> list[Any]:
    """Give updates to profiles, and return what was answered."""
    form, given_updates, continues = step
    if form == "one by one":
        answers: list[Any] = []
        for update in given_updates:
            try:
                answers.append(profiles.update(update))
            except ValueError as error:
                answers.append(repr(error))
        return answers
    given_form: Any = {"list": list, "tuple": tuple, "iterator": iter}[form]
    return list(told(profiles.update_many(given_form(given_updates), continues=continues)))


@given(stories, modes, st.booleans())
def test_the_core_answers_and_stores_what_python_does(story: list[Any], mode: Any, durable: Any) -> None:
    policy = Policy(blocked_ids=["null", "U3"])
    resolver: Any = DurableResolver.open(":memory:", policy) if durable else Resolver(policy)
    ours, judge = Profiles(resolver, merge_profiles=mode), Profiles(Asked(resolver), merge_profiles=mode)
    assert ours._updater() is not None
    assert judge._updater() is None
    for step in story:
        if step[0] in {"merge", "identify"}:
            getattr(resolver, step[0])(*step[1:])
        else:
            assert play(ours, step) == play(judge, step)
            assert saved(ours) == saved(judge)
    assert seen(ours) == seen(judge)


LETTERS = list("abcdefghijklmnop")
EDGES: dict[str, list[dict[str, Any]]] = {
    "zeros": [{"$set": {"a": -0.0, "b": 0.0, "c": 0}}, {"$add": {"a": 0.0, "d": -0.0}}],
    "union": [{"$union": {"l": ["a", "b", "a"]}}, {"$union": {"l": ["b", "c", "b"]}}],
    "union of many": [
        {"$union": {"l": LETTERS}},
        {"$union": {"l": ["p", "q", "q"]}},
        {"$append": {"l": "q"}},
        {"$union": {"l": ["x", "q"]}},
        {"$remove": {"l": "q"}},
    ],
    "union at once": [{"$union": {"l": [*LETTERS, "q", "a"]}}, {"$union": {"l": ["a", "r"]}}],
    "union of likes": [{"$union": {"l": ["1", 1]}}, {"$union": {"l": [1.0, True, "1", None, [1]]}}],
    "removal": [
        {"$set": {"l": ["a", "b", "a", "c", "a", 1]}},
        {"$remove": {"l": 1.0}},
        {"$remove": {"l": "z", "m": 1}},
        {"$remove": {"l": "a"}},
    ],
    "sums": [
        {"$set": {"n": 1e308, "i": 2**63 - 1, "j": -(2**63), "b": True, "t": "x", "big": 2**1000}},
        {"$add": {"n": 1e308, "i": 1, "j": -1, "b": 1, "t": 1, "big": 1, "new": 2.5}},
        {"$add": {"n": -1, "i": 1.5, "j": 0, "big": 1.0, "new": 2**63}},
        {"$add": {"n": 2**1023, "i": 2**53 + 1}},
    ],
    "lists": [{"$append": {"l": 1, "m": [1]}}, {"$append": {"l": [2], "m": {}}}, {"$append": {"l": "x"}}],
    "not lists": [
        {"$set": {"l": {"a": 1}, "m": "x", "n": None}},
        {"$append": {"l": 1, "k": 1}},
        {"$union": {"m": ["x"], "k": ["x"]}},
        {"$remove": {"n": None}},
    ],
    "once": [{"$set_once": {"a": None, "b": 1}}, {"$set_once": {"a": 1, "b": 2, "c": 3}}],
    "order": [{"$unset": ["a", "b"], "$add": {"a": 1, "c": 1}, "$set": {"c": 1, "b": 1}}],
    "deleted": [{"$set": {"a": 1}}, {"$delete": 0, "$set": {"a": 2}}, {"$unset": ["a"]}, {"$add": {"n": 1}}],
    "emptied": [{"$set": {"a": 1}}, {"$unset": ["a", "a"]}, {"$set": {}}],
    "made": [{"$union": {}}, {"$delete": None}, {"$remove": {"a": 1}}, {"$append": {}}],
    "that very ID": [
        {"$distinct_id": DEVICE, "$set": {"a": 1}},
        {"$distinct_id": DEVICE, "$set": {"a": 2}, "$ignore_alias": True},
        {"$distinct_id": DEVICE, "$set": {"a": 3}, "$ignore_alias": 1},
    ],
    "export": [
        {"$distinct_id": DEVICE, "$properties": {"a": 1, "b": 1}},
        {"$properties": {"a": 2, "c": [1, {"d": 2**64}]}},
        {"$distinct_id": DEVICE, "$properties": {"a": 3, "d": 1}},
    ],
    "nobody": [{"$distinct_id": "null", "$set": {"a": 1}}, {"$distinct_id": "", "$properties": {"a": 1}}],
}


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("given_form", [as_bytes, as_dict, as_text])
def test_the_edges_of_each_operation_are_those_of_python(edge: str, given_form: Any) -> None:
    resolver = Resolver()
    resolver.identify(DEVICE, "U1")
    ours, judge = Profiles(resolver), Profiles(Asked(resolver))
    for update in EDGES[edge]:
        given_update = given_form({"$distinct_id": "U1"} | update)
        assert told(ours.update_many([given_update])) == told(judge.update_many([given_update]))
        assert saved(ours) == saved(judge)


@pytest.mark.parametrize("text", TEXTS)
def test_the_edges_of_text_are_those_of_python(text: bytes) -> None:
    ours, judge = Profiles(Resolver()), Profiles(Asked(Resolver()))
    before = as_bytes({"$distinct_id": "U1", "$set": {"a": 0, "n": 1}})
    for people in (ours, judge):
        people.update(before)
    assert told(ours.update_many([text])) == told(judge.update_many([text]))
    assert saved(ours) == saved(judge)


# Files

lines = st.lists(
    st.one_of(
        st.builds(as_bytes, st.one_of(plain, plain, rows, odd)), texts.filter(lambda text: b"\n" not in text)
    ),
    min_size=1,
    max_size=12,
).map(lambda texts: [as_bytes({"$distinct_id": "U1", "$set": {}}), *texts])


def judged(profiles: Profiles, text: bytes) -> list[Any]:
    """Take the lines of a file as dicts, and return the counts and the bad lines."""
    reader = LineReader("f", PEOPLE_DIALECT)
    bad: list[tuple[int, str]] = []
    total = UpdateReport()
    for number, line in enumerate(text.split(b"\n"), 1):
        if not line.strip():
            continue
        item = reader(number, line)
        assert item is not None
        if isinstance(item, BadLine):
            bad.append((number, item.message.replace("the event ", "the update ", 1)))
            continue
        report = profiles.update_many([update_of(item[1])], continues=number > 1)
        bad += [(number, message) for message in report.malformed.values()]
        add(total, report)
    return [bad, total.outcomes, total.operations, total.folded]


def add(total: UpdateReport, report: UpdateReport) -> None:
    total.outcomes.update(report.outcomes)
    total.operations.update(report.operations)
    total.folded.update(report.folded)


def taken(profiles: Profiles, text: bytes, **options: Any) -> list[Any]:
    bad: list[tuple[int, str]] = []
    total = UpdateReport()
    is_begun = False
    for piece in read_updates(io.BytesIO(text), **options):
        if isinstance(piece, BadLine):
            bad.append((piece.line, piece.message))
            continue
        report = profiles.update_many(piece.events, continues=is_begun)
        is_begun = True
        bad += [(piece.lines[row], message) for row, message in report.malformed.items()]
        add(total, report)
    return [sorted(bad), total.outcomes, total.operations, total.folded]


@given(lines, st.lists(merges, max_size=3))
def test_a_file_is_what_its_lines_are(texts: list[bytes], links: list[Any]) -> None:
    resolver = Resolver()
    for call, first, second in links:
        getattr(resolver, call)(first, second)
    ours, python, judge = Profiles(resolver), Profiles(Asked(resolver)), Profiles(Asked(resolver))
    text = b"\n".join(texts)
    expected = judged(judge, text)
    assert taken(ours, text) == taken(python, text) == expected
    assert seen(ours) == seen(python) == seen(judge)


def test_updates_of_a_file_are_dicts_for_whoever_looks_at_them() -> None:
    given_rows: list[dict[str, Any]] = [
        {"$distinct_id": "a", "$set": {"n": 1}},
        {"$distinct_id": "b", "$properties": {"n": -0.0}},
        {"$distinct_id": "c", "$add": {"n": 10**30}},
        {"$distinct_id": "d", "$properties": {"n": 2}},
    ]
    text = b"".join(as_bytes(row) + b"\n\n" for row in given_rows)
    (batch,) = read_updates(io.BytesIO(text))
    assert isinstance(batch, EventBatch)
    rows_read = [{"$distinct_id": "b", "$set": {"n": -0.0}}, {"$distinct_id": "d", "$set": {"n": 2}}]
    expected = [given_rows[0], rows_read[0], given_rows[2], rows_read[1]]
    assert batch.events == expected
    assert (list(batch.lines), len(batch), repr(batch.events)) == ([1, 3, 5, 7], 4, repr(expected))
    assert (batch.events[-1], batch.events[:2]) == (expected[3], expected[:2])
    assert [type(row) for row in batch.events] == [dict, ExportedProfile, dict, ExportedProfile]
    with pytest.raises(IndexError):
        batch.events[4]


def test_lines_of_several_blocks_and_of_batches_keep_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idmerge.files.blocks.BLOCK", 2000)
    monkeypatch.setattr("idmerge.files.updates.BATCH", 7)
    good = as_bytes({"$distinct_id": "u", "$add": {"n": 1}})
    texts = [b"oops" if number % 50 == 3 else b"" if number % 9 == 0 else good for number in range(1, 400)]
    bad = [number for number in range(1, 400) if number % 50 == 3]
    profiles = Profiles(Resolver())
    faults, outcomes, *_ = taken(profiles, b"\n".join(texts))
    assert [number for number, _ in faults] == bad
    assert outcomes == {UpdateOutcome.APPLIED: texts.count(good)}
    assert profiles.get("u") == {"n": texts.count(good)}


# What comes between


def test_each_update_of_an_iterator_goes_where_the_links_before_it_lead() -> None:
    resolver = Resolver()
    profiles = Profiles(resolver)

    def story() -> Iterator[Any]:
        yield as_bytes({"$distinct_id": DEVICE, "$set": {"n": 1}})
        resolver.identify(DEVICE, "U1")
        yield as_bytes({"$distinct_id": DEVICE, "$set": {"n": 2}})
        assert profiles.get("U1") == {"n": 2}
        assert profiles.update({"$distinct_id": "U1", "$add": {"n": 1}})
        assert profiles.update_many([{"$distinct_id": "U1", "$add": {"n": 1}}] * 2).outcomes.total() == 2
        yield {"$distinct_id": DEVICE, "$add": {"n": 10}}

    assert profiles.update_many(story()).outcomes == {UpdateOutcome.APPLIED: 3}
    assert profiles.get("U1") == {"n": 15}
    assert profiles.hidden("U1") == {DEVICE: {"n": 1}}


@pytest.mark.parametrize("behind", [0, 1, 1023, 1024, 1025, 2048])
def test_what_is_no_update_is_an_error_behind_those_that_are_applied(behind: int) -> None:
    for form in (list, iter):
        profiles = Profiles(Resolver())
        given_updates: Any = form([{"$distinct_id": "u", "$add": {"n": 1}}] * behind + [3])
        with pytest.raises(TypeError, match=rf"^update {behind}: an update must be a mapping, str or bytes"):
            profiles.update_many(given_updates)
        assert profiles.get("u") == ({"n": behind} if behind else None)


def test_an_error_of_the_iterator_is_raised_behind_the_updates_that_came() -> None:
    def failing() -> Iterator[Any]:
        yield {"$distinct_id": "u", "$set": {"n": 1}}
        raise RuntimeError("no more")

    profiles = Profiles(Resolver())
    with pytest.raises(RuntimeError, match="no more"):
        profiles.update_many(failing())
    assert profiles.get("u") == {"n": 1}
    assert profiles.update_many([{"$distinct_id": "u", "$add": {"n": 1}}]).outcomes.total() == 1


def test_nothing_of_a_dict_is_shared_with_the_profile() -> None:
    inner: dict[str, Any] = {"list": [1, [2]], "dict": {"a": {}}}
    profiles = Profiles(Resolver())
    profiles.update_many([{"$distinct_id": "u", "$set": inner, "$append": {"more": inner}}])
    before = repr(profiles.get("u"))
    inner["list"][1].append(3)
    inner["dict"]["a"]["b"] = 1
    assert repr(profiles.get("u")) == before


def test_a_resolver_that_resolves_in_a_way_of_its_own_is_asked() -> None:
    class Own(Resolver):
        def resolve(self, distinct_id: Any) -> str:
            return f"own {super().resolve(distinct_id)}"

    for resolver in (Own(), reference.Resolver(), Resolver(canonical=min)):
        assert Profiles(resolver)._updater() is None
    profiles = Profiles(Own())
    profiles.update_many([{"$distinct_id": "u", "$set": {}}])
    assert profiles.forget("own u")


@pytest.mark.parametrize("given_form", [as_bytes, as_dict, as_text])
def test_columns_of_other_names_count_before_the_usual_ones(given_form: Any) -> None:
    row = {"$distinct_id": "ana", "$properties": {"uid": "ben", "plan": "pro"}}
    resolver = Resolver()
    for columns in ({"distinct_id": "uid"}, {"properties": "$distinct_id"}, {"distinct_id": "$properties"}):
        ours, judge = Profiles(resolver), Profiles(Asked(resolver))
        answers = [told(people.update_many([given_form(row)], columns=columns)) for people in (ours, judge)]
        assert answers[0] == answers[1]
        assert saved(ours) == saved(judge)
        text = as_bytes(row) + b"\n" + as_bytes({"$distinct_id": "u", "$set": {}})
        assert taken(ours, text, columns=columns) == taken(judge, text, columns=columns)
        assert saved(ours) == saved(judge)


def test_an_unknown_dialect_is_refused_before_any_update() -> None:
    profiles = Profiles(Resolver())
    with pytest.raises(DialectError):
        profiles.update_many([{"$distinct_id": "u", "$set": {}}], dialect="no")
    assert len(profiles) == 0


def test_the_core_takes_all_operations_in_their_order_alone() -> None:
    functions = list(OPERATIONS.items())
    with pytest.raises(ValueError, match=r"^operations must be \$set, \$set_once, .*, \$delete$"):
        _core.ProfileUpdater(Resolver(), {}, functions[1:])
    updater = _core.ProfileUpdater(Resolver(), {}, functions)
    rows = _core.UpdateRows(b"", b"oops", 4, 100, rows=True)
    with pytest.raises(ValueError, match="row 0 is no update"):
        updater.take_rows(rows, 0, 1, lambda _own, _place, properties: {"$set": properties})
    with pytest.raises(IndexError):
        rows.line(1)
    with pytest.raises(IndexError):
        _core.UpdateRows(b"", b"oops", 5, 100, rows=False)
