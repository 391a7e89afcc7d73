"""Histories of a journal with deliveries in between."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from hypothesis import strategies as st

from idmerge import DurableResolver, Kind, Link
from idmerge.errors import UnknownIdError
from strategies import D1, D2, kinds

few_ids = st.sampled_from(["U1", "U2", "U3", D1, D2, "nul\0inside", "tab\tand\\N\n", "\U0001f98a"])
merges = st.tuples(st.just("link"), st.builds(Link, st.just(Kind.MERGE), few_ids, few_ids))
histories = st.lists(
    st.one_of(
        merges,
        merges,
        st.tuples(st.just("link"), st.builds(Link, kinds, few_ids, few_ids)),
        st.tuples(st.just("observe"), few_ids),
        st.tuples(st.just("keep_apart"), few_ids, few_ids),
        st.tuples(st.just("forget"), few_ids),
        st.tuples(st.just("retract"), st.integers(0, 5)),
        st.tuples(st.just("commit")),
        st.tuples(st.just("deliver")),
        st.tuples(st.just("deliver")),
        st.tuples(st.just("reopen")),
    ),
    min_size=5,
    max_size=30,
)
"""Steps for a resolver, in order; it is delivered now and then, also by a new process."""
faults = st.lists(
    st.one_of(
        merges,
        st.tuples(st.just("link"), st.builds(Link, kinds, few_ids, few_ids)),
        st.tuples(st.just("forget"), few_ids),
        st.tuples(st.just("retract"), st.integers(0, 5)),
        st.tuples(st.just("deliver")),
        st.tuples(st.just("fail"), st.integers(0, 8), st.booleans()),
        st.tuples(st.just("reopen")),
    ),
    min_size=5,
    max_size=30,
)
"""The same, with targets that fail in the midst of a delivery."""


def resolver_of(*pairs: tuple[str, str]) -> DurableResolver:
    resolver = DurableResolver.open(":memory:")
    for one, other in pairs:
        resolver.merge(one, other)
    resolver.commit()
    return resolver


def take(resolver: DurableResolver, name: str, arguments: list[Any]) -> None:
    """Take one step of a history that concerns the resolver."""
    if name == "link":
        resolver.link(*arguments[0])
        return
    with suppress(UnknownIdError, ValueError):
        getattr(resolver, name)(*arguments)


def without_nul(mapping: dict[str, str]) -> dict[str, str]:
    """Return the mapping as PostgreSQL can hold it."""
    return {own: name for own, name in mapping.items() if "\0" not in own + name}
