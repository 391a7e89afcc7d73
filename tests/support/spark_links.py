"""Links of many small worlds as tables of Spark, and the mapping of one resolver for them."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from idmerge import Kind, Policy, Resolver
from strategies import BLOCKED, LONGEST, NEAR_MISSES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Row = tuple[int, int, str | None, str | None]
SCHEMA = "at long, kind int, first string, second string"
POLICIES = [
    Policy(),
    Policy(max_cluster_size=3),
    Policy(max_cluster_size=4, anon_guard="cluster", anon_format="any"),
    Policy(blocked_ids=frozenset(), max_id_length=None, anon_format="sdk"),  # Junk joins everybody.
    Policy(alias_once=False, anon_guard="off", max_cluster_size=5),
    Policy.unrestricted(),
]


def ids_of(case: int) -> list[str | None]:
    """The IDs of one of many small worlds: devices in every spelling, and users whom they share."""
    uuids = [f"{case:08x}-9a1f-4c39-8f8e-3e7a9d2d6a1{digit}" for digit in "0123"]
    devices = [*uuids[:2], f"$device:{uuids[2]}", uuids[3].upper()]
    return [*devices, *(f"user-{case}-{name}" for name in "abcd"), f"ünï-\U0001f98a-{case}"]


def workload(seed: int, cases: int = 60) -> list[Row]:
    """Links of many small worlds in one order: few IDs, many links, so that every rule applies."""
    draw = random.Random(seed)
    rows: list[Row] = []
    for case in range(cases):
        own = ids_of(case)
        odd = [*BLOCKED, *NEAR_MISSES, *LONGEST, "", "x" * 256, None]
        some = draw.sample(own, draw.randint(2, len(own)))

        def an_id(some: list[str | None] = some, odd: list[str | None] = odd) -> str | None:
            return draw.choice(odd) if draw.random() < 0.06 else draw.choice(some)

        for _ in range(draw.randint(1, 25)):
            left, right = an_id(), an_id()
            seen = draw.random() < 0.15
            rows.append((draw.randrange(700), int(draw.choice(list(Kind))), left, left if seen else right))
    return rows


def in_order(row: Row) -> tuple[Any, ...]:
    at, kind, first, second = row
    return at, kind, (first or "").encode(), (second or "").encode()


def expected(rows: Iterable[Row], policy: Policy | None = None, canonical: Any = "stable") -> list[Any]:
    """The mapping of one resolver that is fed with the links in order."""
    resolver = Resolver(policy, canonical)
    ordered = sorted(rows, key=in_order)
    kinds = [kind for _, kind, _, _ in ordered]
    resolver.link_many(kinds, [row[2] for row in ordered], [row[3] for row in ordered])
    return sorted(tuple(row.values()) for row in pa.table(resolver.mapping()).to_pylist())


def frame(spark: SparkSession, rows: list[Row], seed: int = 0) -> DataFrame:
    """The links in shuffled order, in any number of partitions."""
    draw = random.Random(seed)
    shuffled = draw.sample(rows, len(rows))
    return spark.createDataFrame(shuffled, SCHEMA).repartition(draw.randint(1, 9))


def answer(mapping: DataFrame) -> list[Any]:
    return sorted(tuple(row) for row in mapping.collect())
