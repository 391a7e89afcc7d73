"""Stitching on Apache Spark: each event gets the canonical ID of its sender (SPEC 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from idmerge.files.choosing import choice_of
from idmerge.files.names import BEFORE, ID
from idmerge.policy import policy_of
from idmerge.spark.events import links, raw_columns, sender
from idmerge.spark.resolving import resolve
from idmerge.spark.stated import column, require

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyspark.sql import DataFrame

    from idmerge.canonical import Chooser, Strategy
    from idmerge.files.dialects import Dialect
    from idmerge.policy import Api, Policy
    from idmerge.spark.components import Finder

_SENDER, _CANONICAL = "sender of idmerge", "canonical ID of idmerge"


def stitch(  # noqa: PLR0913 - each option of a call
    events: DataFrame,
    mapping: DataFrame | None = None,
    *,
    order: str | Sequence[str] | None = None,
    policy: Policy | None = None,
    api: Api | None = None,
    canonical: Strategy | Chooser = "stable",
    components: Finder = "auto",
    dialect: str | Dialect | None = None,
    columns: Mapping[str, str] | None = None,
) -> DataFrame:
    """Return ``events`` with the canonical ID of each sender as ``distinct_id``.

    The ID that was sent is kept in ``$distinct_id_before_identity``, unless the event has that
    property already. Both are columns, whatever the shape of the events; ``properties`` and lines
    of JSON stay as they are. A ``time`` among the properties becomes no column of its own, as it
    does on one machine.

    Args:
        events: Events in any shape that `links` takes.
        mapping: The answer of `resolve`; by default that to the links in ``events``.
        order: By which columns the events are ordered, where no mapping is given.
        policy: The rules, where no mapping is given.
        api: The API whose links the events state, and by which each has its ID: that of the policy,
            or ``"original"``; also where a mapping is given.
        canonical: Who names a cluster, where no mapping is given.
        components: How components are found, where no mapping is given.
        dialect: The dialect of the events, as for `links`; fields get their raw names.
        columns: The column of each role that has another name, as for `links`.

    Raises:
        ColumnError: A column is missing.
        MissingExtraError: The session lacks GraphFrames.
        PolicyError: ``policy`` has another API than ``api``, or there is no such API.
        ValueError: Neither ``mapping`` nor ``order`` is given.

    Examples:
        >>> from pyspark.sql import SparkSession
        >>> from idmerge import spark as on_spark
        >>> spark = SparkSession.builder.getOrCreate()
        >>> rows = [("Login", "crm-17"), ("Login", "ben")]
        >>> events = spark.createDataFrame(rows, "event string, distinct_id string")
        >>> ids = [("ana", "ana"), ("crm-17", "ana")]
        >>> mapping = spark.createDataFrame(ids, "distinct_id string, canonical_id string")
        >>> sorted(row.distinct_id for row in on_spark.stitch(events, mapping).collect())
        ['ana', 'ben']
    """
    own = policy_of(policy, api)
    if mapping is None:
        if order is None:
            raise ValueError("stitch needs a mapping, or the order of the events whose links make one")
        stated = links(events, order=order, dialect=dialect, columns=columns, api=own.api)
        mapping = resolve(stated, order=order, policy=own, canonical=canonical, components=components)
    require(mapping, ID, "canonical_id")
    moved = mapping.where(F.col(ID) != F.col("canonical_id"))
    moved = moved.select(F.col(ID).alias("sent by"), F.col("canonical_id").alias(_CANONICAL))
    choice = choice_of(dialect, columns, own.api)
    raw = raw_columns(events, choice, needs_event=False)
    events = events.toDF(*(raw.get(name, name) for name in events.columns))
    marked = events.withColumn(_SENDER, sender(events, choice))
    sent = column(_SENDER)["sent"]
    joined = marked.join(moved, sent == column("sent by"), "left")
    answers = {
        ID: F.coalesce(column(_CANONICAL), sent).alias(ID),
        BEFORE: column(_SENDER)["before"].alias(BEFORE),
    }
    names = list(events.columns)
    if ID not in names:
        names.insert(0, ID)
    if BEFORE not in names:
        names.insert(names.index(ID) + 1, BEFORE)
    return joined.select(*(answers.get(name, column(name)) for name in names))
