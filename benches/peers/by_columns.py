"""Look-ups and observations as whole columns: ours beside dicts, pyarrow and polars.

To look up, every peer has the finished mapping in its own form, which is not timed. To observe is
to learn which IDs there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from benches.peers.by_rules import arrow_columns
from benches.peers.peer import LOOK_UPS, Peer
from benches.support.digests import digest_of_texts
from idmerge import Resolver

if TYPE_CHECKING:
    from benches.support.workload import Columns


def asked(columns: Columns) -> pa.Array:
    """Return the IDs to look up: at most a million, in random order."""
    return columns.left[:LOOK_UPS]


def resolver_of(columns: Columns) -> Resolver:
    resolver = Resolver()
    resolver.link_many(*arrow_columns(columns))
    return resolver


def dict_of(columns: Columns) -> dict[str, str]:
    mapping = pa.table(resolver_of(columns).mapping())
    return dict(zip(mapping["distinct_id"].to_pylist(), mapping["canonical_id"].to_pylist(), strict=True))


def polars_of(columns: Columns) -> tuple[Any, Any]:
    import polars as pl

    mapping = pl.DataFrame(resolver_of(columns).mapping()).select("distinct_id", "canonical_id")
    return mapping, pl.DataFrame({"distinct_id": pl.Series(asked(columns))})


def by_comprehension(given: tuple[dict[str, str], list[str]]) -> list[str]:
    mapping, ids = given
    return [mapping.get(text, text) for text in ids]


def by_index_in(given: tuple[pa.Table, pa.Array]) -> pa.Array:
    mapping, ids = given
    return mapping["canonical_id"].take(pc.index_in(ids, value_set=mapping["distinct_id"])).combine_chunks()


def by_join(given: tuple[Any, Any]) -> Any:
    mapping, ids = given
    return ids.join(mapping, on="distinct_id", how="left", maintain_order="left")["canonical_id"]


def texts_answer(texts: Any, columns: Columns) -> Mapping[str, str]:
    del columns
    return {"texts": digest_of_texts(pa.array(texts, pa.string()) if isinstance(texts, list) else texts)}


def observed(given: tuple[Any, Any]) -> Resolver:
    resolver = Resolver()
    for ids in given:
        resolver.observe_many(ids)
    return resolver


def observed_answer(resolver: Resolver, columns: Columns) -> Mapping[str, str]:
    known = pa.table(resolver.mapping())["distinct_id"].combine_chunks()
    return texts_answer(known, columns)


def both_columns(columns: Columns) -> tuple[pa.Array, pa.Array]:
    return columns.left, columns.right


def both_lists(columns: Columns) -> tuple[list[str], list[str]]:
    return columns.left.to_pylist(), columns.right.to_pylist()


_LOOK_UP = partial(Peer, question="resolve", until="a column of canonical IDs", answer=texts_answer)
_LOOK_UP_LIST = partial(_LOOK_UP, given="list", until="a list of canonical IDs")
_OBSERVE = partial(Peer, question="observe", given="list", prepare=both_lists)
_OBSERVE_ARROW = partial(_OBSERVE, given="Arrow", prepare=both_columns)
_OURS: dict[str, Any] = {"until": "a resolver", "work": observed, "answer": observed_answer, "ours": True}

PEERS = [
    _LOOK_UP(
        name="resolve-arrow",
        label="idmerge, Arrow",
        given="Arrow",
        prepare=lambda columns: (resolver_of(columns), asked(columns)),
        work=lambda given: given[0].resolve_many(given[1]),
        ours=True,
    ),
    _LOOK_UP_LIST(
        name="resolve-list",
        label="idmerge, list",
        prepare=lambda columns: (resolver_of(columns), asked(columns).to_pylist()),
        work=lambda given: given[0].resolve_many(given[1]),
        ours=True,
    ),
    _LOOK_UP_LIST(
        name="resolve-dict",
        label="a comprehension over a dict",
        prepare=lambda columns: (dict_of(columns), asked(columns).to_pylist()),
        work=by_comprehension,
    ),
    _LOOK_UP(
        name="resolve-pyarrow",
        label="pyarrow index_in and take",
        given="Arrow",
        prepare=lambda columns: (pa.table(resolver_of(columns).mapping()), asked(columns)),
        work=by_index_in,
    ),
    _LOOK_UP(
        name="resolve-polars",
        label="a join in polars",
        given="polars",
        needs=("polars",),
        prepare=polars_of,
        work=by_join,
        answer=lambda texts, columns: texts_answer(texts.to_arrow(), columns),
    ),
    _OBSERVE_ARROW(name="observe-arrow", label="idmerge, Arrow", **_OURS),
    _OBSERVE(name="observe-list", label="idmerge, list", **_OURS),
    _OBSERVE(
        name="observe-dict",
        label="dict.fromkeys",
        until="a dict of the IDs",
        work=lambda given: dict.fromkeys(given[0]) | dict.fromkeys(given[1]),
        answer=lambda known, columns: texts_answer(list(known), columns),
    ),
    _OBSERVE_ARROW(
        name="observe-pyarrow",
        label="pyarrow unique",
        until="a column of the IDs",
        work=lambda given: pc.unique(pa.chunked_array(given)),
        answer=texts_answer,
    ),
]
