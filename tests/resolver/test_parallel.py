"""Large columns: the same answer on any number of threads, in any family, while others read."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from numpy.dtypes import StringDType

from benches.support.workload import Links, links
from idmerge import Kind, Outcome, Policy, Report, Resolver, _core, reference
from idmerge.errors import CapacityError

LONG = "a text that does not pack, number "


@pytest.fixture(scope="module")
def stated() -> Links:
    """Links for several threads; one in seven has a text that packs into no key, few have none."""
    kinds, left, right = links(30_000)
    left = [text if row % 7 else LONG + text for row, text in enumerate(left)]
    right = [text if row % 11 else LONG + text for row, text in enumerate(right)]
    left[5_000] = right[20_000] = left[20_001] = ""
    return Links(kinds, left, right)


class Expected(NamedTuple):
    report: Report
    mapping: dict[str, list[Any]]
    resolved: list[str]
    """The answer to the left column."""


@pytest.fixture(scope="module")
def expected(stated: Links) -> Expected:
    resolver = reference.Resolver()
    report = resolver.link_many(*stated)
    return Expected(report, resolver.mapping(), [resolver.resolve(text) for text in stated.left])


def families(texts: list[str]) -> dict[str, Any]:
    array = pa.array(texts)
    halves = [array.slice(0, 12_345), array.slice(12_345)]
    return {
        "list": texts,
        "tuple": tuple(texts),
        "arrow": array,
        "chunked": pa.chunked_array(halves),
        "dictionary": pa.chunked_array([half.dictionary_encode() for half in halves]),
        "large": array.cast(pa.large_string()),
        "polars": pl.Series(texts),
        "numpy": np.array(texts, object),
        "bytes": np.array([text.encode() for text in texts]),
        "str": np.array(texts, np.str_),
        "str swapped": np.array(texts, np.array(texts, np.str_).dtype.newbyteorder()),
        "StringDType": np.array(texts, StringDType()),
    }


def texts_of(column: Any) -> list[str]:
    items = column.to_pylist() if hasattr(column, "to_pylist") else list(column)
    return [item.decode() if isinstance(item, bytes) else item for item in items]


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("family", families([]))
def test_every_family_on_any_number_of_threads_answers_as_the_reference(
    stated: Links, expected: Expected, family: str, threads: int
) -> None:
    resolver = Resolver(threads=threads)
    left, right = families(stated.left)[family], families(stated.right)[family]
    assert resolver.link_many(np.array(stated.kinds, np.uint8), left, right) == expected.report
    assert resolver.mapping().to_pydict() == expected.mapping
    if family != "tuple":
        assert texts_of(resolver.resolve_many(left)) == expected.resolved


def test_one_side_a_list_the_other_a_column_answers_as_the_reference(
    stated: Links, expected: Expected
) -> None:
    for left, right in [
        (stated.left, pa.array(stated.right)),
        (pa.array(stated.left), stated.right),
        (np.array(stated.left), stated.right),
        (stated.left, np.array(stated.right, StringDType())),
    ]:
        assert Resolver(threads=2).link_many(stated.kinds, left, right) == expected.report


@pytest.mark.parametrize("family", ["list", "arrow", "dictionary"])
def test_long_texts_end_a_batch_early_and_nothing_is_lost(family: str) -> None:
    policy = Policy(max_id_length=None)
    left = [f"{row}" * (1 + row % 97 * 7) for row in range(9_000)]
    right = [f"{row // 5} " * (9 if row % 3 else 2_000) for row in range(9_000)]
    one, two = Resolver(policy, threads=1), Resolver(policy, threads=2)
    plain = reference.Resolver(policy)
    answer = plain.link_many([Kind.MERGE] * len(left), left, right)
    for resolver in (one, two):
        report = resolver.link_many(Kind.MERGE, families(left)[family], families(right)[family])
        assert report == answer
        assert resolver.cluster_count == plain.cluster_count


@pytest.mark.parametrize("threads", [1, 2])
def test_a_full_resolver_names_the_row_and_keeps_those_before_it(stated: Links, threads: int) -> None:
    small = Resolver(threads=threads)
    limited = _core.Resolver(Policy(), "stable", 0, threads, 15_000)
    with pytest.raises(CapacityError, match=r"at most 15000 IDs; reached in row \d+") as raised:
        limited._link_columns(np.array(stated.kinds, np.uint8), stated.left, stated.right)
    row = int(str(raised.value).split("row ")[1].split(",")[0])
    assert row > 8 * 1024
    small.link_many(stated.kinds[:row], stated.left[:row], stated.right[:row])
    assert limited.mapping().to_pydict() == small.mapping().to_pydict()


def test_readers_get_in_between_the_batches_of_a_long_call() -> None:
    kinds, left, right = links(300_000)
    resolver = Resolver()
    resolver.observe(right[-1])
    columns = np.array(kinds, np.uint8), pa.array(left), pa.array(right)
    seen = []

    def read() -> None:
        while writing.is_alive():
            seen.append(len(resolver))

    writing = threading.Thread(target=resolver.link_many, args=columns)
    reading = threading.Thread(target=read)
    writing.start()
    reading.start()
    writing.join()
    reading.join()
    assert any(1 < size < len(resolver) for size in seen), "a reader got in on the way"


def test_capacity_changes_no_answer(stated: Links, expected: Expected) -> None:
    for capacity in (1, 100_000, 1_000_000):
        resolver = Resolver(capacity=capacity)
        assert resolver.link_many(stated.kinds, stated.left, stated.right) == expected.report


def test_the_environment_says_how_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDMERGE_THREADS", "1")
    assert Resolver().identify("x", "y") is Outcome.ANON_FORMAT
    for wrong in ("0", "-1", "two", "1.5", "²"):
        monkeypatch.setenv("IDMERGE_THREADS", wrong)
        with pytest.raises(ValueError, match="IDMERGE_THREADS must be a positive integer, got"):
            Resolver()
        Resolver(threads=1)


def test_wrong_capacity_and_threads_are_refused() -> None:
    with pytest.raises(ValueError, match="capacity must be at least 0, got -1"):
        Resolver(capacity=-1)
    with pytest.raises(ValueError, match="threads must be at least 1 or None, got 0"):
        Resolver(threads=0)


def test_a_list_that_shrinks_under_the_call_ends_it_with_an_error_that_says_so() -> None:
    resolver = Resolver(threads=2)
    for _ in range(20):
        texts = [f"text number {row}" for row in range(50_000)]
        shrinking = threading.Thread(target=texts.clear)
        try:
            shrinking.start()
            resolver.link_many(Kind.MERGE, texts, texts)
        except RuntimeError as error:
            assert "became shorter while it was read" in str(error)  # noqa: PT017
        shrinking.join()
    assert len(resolver) <= 50_000
