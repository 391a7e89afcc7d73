"""Peers that keep the policy: ours, the dict resolver, the reference. Their outcomes must agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from benches.peers.peer import Given, Peer
from benches.support.digests import digest_of_numbers, digest_of_partition, digest_of_texts, labels_of_texts
from idmerge import Policy, Resolver, reference
from idmerge._benchmark.plain_dict import DictResolver

if TYPE_CHECKING:
    from benches.support.workload import Columns

ONE_THREAD = {"IDMERGE_THREADS": "1"}


def arrow_columns(columns: Columns) -> tuple[Any, ...]:
    return columns.kinds, columns.left, columns.right


def list_columns(columns: Columns) -> tuple[Any, ...]:
    return columns.kinds, columns.left.to_pylist(), columns.right.to_pylist()


def links_of(columns: Columns) -> tuple[Any, ...]:
    return tuple(columns.links())


def linked(make: Callable[[], Any]) -> Callable[[tuple[Any, ...]], tuple[Any, Any]]:
    """Return the work of a new resolver that takes the links."""

    def work(given: tuple[Any, ...]) -> tuple[Any, Any]:
        resolver = make()
        return resolver, resolver.link_many(*given)

    return work


def linked_and_mapped(given: tuple[Any, ...]) -> tuple[Any, ...]:
    resolver = Resolver()
    report = resolver.link_many(*given)
    return resolver, report, pa.table(resolver.mapping())


def presized(given: tuple[Any, ...]) -> tuple[Any, Any]:
    *columns, ids = given
    resolver = Resolver(capacity=ids)
    return resolver, resolver.link_many(*columns)


def judged(result: tuple[Any, ...], columns: Columns) -> Mapping[str, str]:
    """Return the digests of outcomes, canonical IDs and clusters."""
    resolver, answer, *_ = result
    outcomes = np.array(answer.outcomes if hasattr(answer, "outcomes") else answer, np.uint8)
    return {"outcomes": digest_of_numbers(outcomes), **named(resolver, columns)}


def named(resolver: Any, columns: Columns) -> Mapping[str, str]:
    if isinstance(resolver, Resolver):
        names = resolver.resolve_many(columns.ids)
    else:
        names = pa.array([resolver.resolve(text) for text in columns.ids.to_pylist()], pa.string())
    return {
        "canonical": digest_of_texts(names),
        "clusters": digest_of_partition(labels_of_texts(names)),
    }


def clustered(result: tuple[Any, Any], columns: Columns) -> Mapping[str, str]:
    """Return the digest of clusters alone: without rules nothing else can be compared."""
    return {"clusters": named(result[0], columns)["clusters"]}


def _ours(name: str, label: str, given: Given, **others: Any) -> Peer:
    settled: dict[str, Any] = {
        "question": "link",
        "until": "a resolver, an outcome a link",
        "prepare": list_columns if given == "list" else arrow_columns,
        "work": linked(Resolver),
        "answer": judged,
        "ours": True,
    }
    return Peer(name=name, label=label, given=given, **{**settled, **others})


PEERS = [
    _ours("idmerge-arrow", "idmerge, Arrow", "Arrow"),
    _ours("idmerge-arrow-1", "idmerge, Arrow, one thread", "Arrow", environment=ONE_THREAD),
    _ours(
        "idmerge-arrow-presized",
        "idmerge, Arrow, presized",
        "Arrow",
        prepare=lambda columns: (*arrow_columns(columns), len(columns.ids)),
        work=presized,
    ),
    _ours(
        "idmerge-arrow-mapping",
        "idmerge, Arrow, with the mapping",
        "Arrow",
        work=linked_and_mapped,
        until="the same, and the mapping as an Arrow table",
    ),
    _ours("idmerge-list", "idmerge, list", "list"),
    Peer(
        name="dict-rules",
        label="dict with the rules",
        question="link",
        given="list",
        until="dicts, an outcome a link",
        prepare=links_of,
        work=linked(DictResolver),
        answer=judged,
    ),
    Peer(
        name="reference",
        label="reference",
        question="link",
        given="list",
        until="a reference resolver, an outcome a link",
        prepare=links_of,
        work=linked(reference.Resolver),
        answer=judged,
        most_ids=1_000_000,
    ),
    _ours(
        "idmerge-unrestricted",
        "idmerge, Arrow, no rules",
        "Arrow",
        question="link without rules",
        work=linked(lambda: Resolver(Policy.unrestricted())),
        answer=clustered,
    ),
    _ours(
        "idmerge-unrestricted-list",
        "idmerge, list, no rules",
        "list",
        question="link without rules",
        work=linked(lambda: Resolver(Policy.unrestricted())),
        answer=clustered,
    ),
]
