"""The mapping from IDs to canonical IDs, from a DataFrame of links."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pyspark import StorageLevel
from pyspark.sql import functions as F

from idmerge.canonical import check_canonical
from idmerge.policy import policy_of
from idmerge.resolver import Resolver
from idmerge.spark.components import check_finder, finder_named, kept
from idmerge.spark.requirements import check_session
from idmerge.spark.saved import Settings, claimed, opened, written
from idmerge.spark.stated import IN_ORDER, stated, without_repeated_observations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import pyarrow as pa
    from pyspark.sql import DataFrame

    from idmerge.canonical import Chooser, Strategy
    from idmerge.policy import Api, Policy
    from idmerge.spark.components import Finder
    from idmerge.spark.saved import Saved

LINKS_A_TASK = 1_000_000
"""Links that a task replays, about: some 100 MB beside what Python takes."""
_WORTH_A_TASK = 100_000
"""Links below which another task costs more than it saves: the task's start is a tenth of a
second."""
MAPPING = "distinct_id string, canonical_id string, cluster_size int"
_ROWS_A_BATCH = 65_536


def resolve(  # noqa: PLR0913 - each by its name
    links: DataFrame,
    *,
    order: str | Sequence[str],
    policy: Policy | None = None,
    api: Api | None = None,
    canonical: Strategy | Chooser | None = None,
    previous: str | None = None,
    save: str | None = None,
    components: Finder = "auto",
    links_a_task: int = LINKS_A_TASK,
) -> DataFrame:
    """Return the mapping of ``links`` that one `Resolver`, fed with them in order, has.

    It runs at once. What it returns lies in the executors, or in ``save``.

    Args:
        links: ``kind`` (a `Kind` or its name), ``first`` and ``second`` (text), as `links` returns
            them. A link between an ID and itself makes the ID known.
        order: The column, or the columns, by which links are ordered. Links that agree in it are
            ordered by kind, first and second, so the answer never depends on where they are stored.
        policy: The rules; those of ``previous``, or Mixpanel's.
        api: The API whose links are taken, as for `Resolver`.
        canonical: The strategy for canonical IDs: that of ``previous``, or ``"stable"``.
        previous: The directory that an earlier call saved. Its links count too, and only those of
            components that ``links`` touch are read and judged again; ``links`` may come before
            them in order.
        save: A new directory (Parquet) for links and mapping, so that they can be ``previous`` to
            others.
        components: The way to find components. ``"auto"`` needs none where one task replays all
            links and nothing is saved; else it takes ``"one-task"`` up to 20 million links between
            different IDs (docs/scale.md has its memory) and ``"stars"`` above. ``"graphframes"``
            needs its jar.
        links_a_task: About how many links a task replays. A component is never divided.

    Returns:
        ``distinct_id``, ``canonical_id`` and ``cluster_size``, one row a known ID, in no order.

    Raises:
        ColumnError: A column is missing, or its type is wrong.
        CanonicalError: ``canonical`` is no strategy; or it is a callable, which cannot be saved.
        FileExistsError: There is something at ``save``.
        FileFormatError: ``previous`` is damaged: a file is missing, extra, or not what was written.
        FullRunError: ``previous`` does not allow an exact answer; the message says why.
        MissingExtraError: The session lacks GraphFrames.
        PolicyError: ``policy`` has another API than ``api``, or there is no such API.
        OSError: The file system of ``save`` or ``previous`` cannot be reached.
        SparkSessionError: The session is one of Spark Connect.

    Examples:
        >>> from pyspark.sql import SparkSession
        >>> from idmerge import spark as on_spark
        >>> spark = SparkSession.builder.getOrCreate()
        >>> rows = [(0, "merge", "ana", "crm-17"), (1, "merge", "crm-17", "ana@example.com")]
        >>> links = spark.createDataFrame(rows, "n int, kind string, first string, second string")
        >>> mapping = on_spark.resolve(links, order="n")
        >>> sorted(tuple(row) for row in mapping.collect())
        [('ana', 'ana', 3), ('ana@example.com', 'ana', 3), ('crm-17', 'ana', 3)]
    """
    check_session(links)
    spark = links.sparkSession
    check_finder(components, spark)
    if links_a_task < 1:
        raise ValueError(f"links_a_task must be at least 1, got {links_a_task}")
    before = None if previous is None else opened(spark, previous)
    asked = policy if api is None else policy_of(policy, api)
    if policy is None and api is not None and before is not None:
        asked = replace(before.settings.policy, api=api)
    settings = Settings.chosen(before, asked, canonical)
    check_canonical(settings.canonical)
    if save is not None:
        settings.check_savable()
    sent = stated(links, order, settings.policy)
    if before is not None:
        before.check_order(sent)
    claim = nullcontext() if save is None else claimed(spark, save)
    needs_components = before is not None or save is not None or components != "auto"
    most_at_once = -1 if needs_components else links_a_task
    with claim, _persisted(sent), ExitStack() as until_resolved:
        news, count = sent, _Count.of(sent)
        if count.links > max(most_at_once, count.edges):
            tasks = _tasks(count.links, links_a_task, spark.sparkContext.defaultParallelism)
            news = until_resolved.enter_context(_persisted(without_repeated_observations(sent, tasks)))
            count = _Count.of(news)
            sent.unpersist()  # What is left of it is held by now.
        if count.links <= most_at_once:
            return kept(_replayed(news, 1, settings))
        return _resolved(news, count, settings, before, save, components, links_a_task)


def _resolved(  # noqa: PLR0913, PLR0917 - what resolve was asked for
    news: DataFrame,
    count: _Count,
    settings: Settings,
    before: Saved | None,
    save: str | None,
    components: Finder,
    links_a_task: int,
) -> DataFrame:
    """Return the mapping of ``news``, which are persisted and counted, by their components."""
    cores = news.sparkSession.sparkContext.defaultParallelism
    tagged, affected = _parts(news, finder_named(components, count.edges), before)
    if before is None and save is None:
        return kept(_replayed(tagged, _tasks(count.links, links_a_task, cores), settings))
    with _persisted(tagged):
        tasks = _tasks(tagged.count(), links_a_task, cores)
        mapping = _replayed(tagged, tasks, settings)
        if save is not None:
            links = count.links + (0 if before is None else before.manifest.rows("links"))
            settings = replace(settings, buckets=_tasks(links, links_a_task, cores))
            return written(save, settings, tagged, mapping, before, affected, links)
        mapping = kept(mapping)
    if before is None or affected is None:
        return mapping
    return mapping.unionAll(before.mapping_without(affected).drop("component"))


class _Count(NamedTuple):
    links: int
    edges: int

    @classmethod
    def of(cls, news: DataFrame) -> _Count:
        edges = F.count_if(F.col("first") != F.col("second"))
        row = news.agg(F.count("*"), edges).collect()[0]
        return cls(row[0], row[1])


@contextmanager
def _persisted(frame: DataFrame) -> Iterator[DataFrame]:
    """Keep ``frame`` in the executors, once it is computed, until the block ends."""
    frame.persist(StorageLevel.MEMORY_AND_DISK)
    try:
        yield frame
    finally:
        frame.unpersist()


class _Parts(NamedTuple):
    """Links by the component that holds them."""

    tagged: DataFrame
    affected: DataFrame | None
    """The components of before that are not what they were; None if there was nothing before."""


def _parts(news: DataFrame, finder: Callable[[DataFrame], DataFrame], before: Saved | None) -> _Parts:
    ends = news.withColumn("source", F.xxhash64("first")).withColumn("target", F.xxhash64("second"))
    affected = None
    if before is not None:  # What was one component is one vertex now: its label.
        touched = kept(before.components_of(ends.select("source").union(ends.select("target"))))
        for end in ("source", "target"):
            ends = _relabelled(ends, end, touched)
        affected = touched.select("component").distinct()
    leaves = finder(ends.where("source != target").select("source", "target"))
    new = _relabelled(ends, "source", leaves).withColumnRenamed("source", "component")
    tagged = new.select("component", *IN_ORDER)
    if before is not None and affected is not None:
        old = _relabelled(before.links_in(affected), "component", leaves)
        tagged = tagged.unionAll(old.select("component", *IN_ORDER))
    return _Parts(tagged, affected)


def _relabelled(frame: DataFrame, name: str, labels: DataFrame) -> DataFrame:
    """Replace the column ``name`` by the component of each vertex, where it has another."""
    labels = labels.select(F.col("vertex").alias(name), F.col("component").alias("label"))
    return frame.join(labels, name, "left").withColumn(name, F.coalesce("label", name)).drop("label")


def _tasks(links: int, links_a_task: int, cores: int) -> int:
    """Return the number of tasks: by the links alone, but all cores where that is worth it."""
    return max(-(-links // links_a_task), min(cores, links // _WORTH_A_TASK), 1)


def _replayed(links: DataFrame, tasks: int, settings: Settings) -> DataFrame:
    """Return the mapping of links: those of one component are in one task, in order."""
    parts = links.coalesce(1) if tasks == 1 else links.repartition(tasks, "component")
    replay = partial(_mapping_of, settings.policy, settings.canonical)
    in_order = parts.sortWithinPartitions(*IN_ORDER)
    return in_order.select("kind", "first", "second").mapInArrow(replay, MAPPING)


def _mapping_of(
    policy: Policy, canonical: Strategy | Chooser, batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Feed a part to one resolver, in order, and yield its mapping."""
    import pyarrow as pa  # noqa: PLC0415

    resolver = Resolver(policy, canonical, threads=1)
    for batch in batches:
        kinds, first, second = batch.columns
        resolver._take_steps(kinds.to_numpy().astype("uint8").tobytes(), first, second, 0)  # noqa: SLF001
    yield from pa.table(resolver.mapping()).to_batches(_ROWS_A_BATCH)
