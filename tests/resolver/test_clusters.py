"""The clusters of a resolver, one after another, and its tables in other libraries."""

from __future__ import annotations

import copy
import pickle
import sys
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idmerge import DurableResolver, Policy, Resolver
from idmerge.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


def linked() -> Resolver:
    resolver = Resolver()
    resolver.merge("a", "b")
    resolver.observe("c")
    resolver.merge("d", "a")
    return resolver


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("abcdefgh")), max_size=12))
def test_clusters_are_those_of_members_in_the_order_of_their_first_ids(links: list[tuple[str, str]]) -> None:
    resolver = Resolver(Policy.unrestricted())
    for first, second in links:
        resolver.merge(first, second)
    known = resolver.mapping().to_pydict()["distinct_id"]
    expected = dict.fromkeys(resolver.resolve(one) for one in known)
    assert [*resolver.clusters()] == [(canonical, resolver.members(canonical)) for canonical in expected]


def test_clusters_are_named_by_a_callable_too() -> None:
    def last(members: Sequence[str]) -> str:
        return members[-1]

    resolver = Resolver(canonical=last)
    resolver.merge("a", "b")
    assert [*resolver.clusters()] == [("b", ["a", "b"])]


def test_a_journal_has_the_clusters_of_its_resolver(tmp_path: Path) -> None:
    with DurableResolver.open(tmp_path / "j.idmerge") as resolver:
        resolver.merge("a", "b")
        resolver.commit()
        assert [*resolver.clusters()] == [(resolver.resolve("a"), ["a", "b"])]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_resolver_is_not_copied_and_says_what_to_do_instead(copied: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match=r"mapping\(\) is its answer as a table, and DurableResolver.open"):
        copied(linked())


def test_a_table_becomes_one_of_another_library() -> None:
    table = linked().mapping()
    columns = table.to_pydict()
    assert table.to_arrow().to_pydict() == columns
    assert table.to_pandas().to_dict("list") == columns
    assert table.to_polars().equals(pl.DataFrame(columns, schema_overrides={"cluster_size": pl.Int32}))


def test_the_head_of_a_table_is_its_first_rows() -> None:
    table = linked().mapping()
    for rows in (0, 1, 3, 4, 99):
        assert table.head(rows).to_pydict() == {name: of[:rows] for name, of in table.to_pydict().items()}
        assert table.head(rows).column_names == table.column_names
    assert len(table.head()) == 4
    with pytest.raises(OverflowError):
        table.head(-1)


@pytest.mark.parametrize("library", ["pandas", "polars", "arrow"])
def test_a_library_that_is_missing_is_named(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = {"arrow": "pyarrow"}.get(library, library)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=f"to_{library} needs {module}: pip install {module}"):
        getattr(linked().mapping(), f"to_{library}")()
