"""Connected components of links: in one task, by stars in DataFrames, or by GraphFrames.

A finder takes edges, a DataFrame of ``source`` and ``target`` (64-bit numbers), and returns one of
``vertex`` and ``component``: for each vertex the smallest vertex that it is connected with, unless
that is itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from pyspark.sql import Window
from pyspark.sql import functions as F

from idmerge.components import connected_components
from idmerge.errors import MissingExtraError
from idmerge.spark.requirements import missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

Finder = Literal["auto", "one-task", "stars", "graphframes"]
"""The ways to find components: ``"auto"`` is ``"one-task"`` up to `ONE_TASK_EDGES`, ``"stars"``
above."""
ONE_TASK_EDGES = 20_000_000
"""Edges that ``"auto"`` gives to one task."""
ARTIFACT = "io.graphframes:graphframes-spark4_2.13"
"""The name under which Maven knows the jar, for Spark 4."""
_LEAVES = "vertex long, component long"
_ROWS_A_BATCH = 65_536


def check_finder(name: Finder, spark: SparkSession) -> None:
    """Raise unless there is a finder of that name, and the session has what it needs.

    Raises:
        ValueError: There is none.
        MissingExtraError: GraphFrames or its jar is missing.
    """
    if name not in get_args(Finder):
        *others, last = map(repr, get_args(Finder))
        raise ValueError(f"components must be {', '.join(others)} or {last}, got {name!r}")
    if name == "graphframes":
        _graph_frame(spark)


def finder_named(name: Finder, edges: int = 0) -> Callable[[DataFrame], DataFrame]:
    """Return the finder of that name, for about so many edges."""
    if name == "auto":
        name = "one-task" if edges <= ONE_TASK_EDGES else "stars"
    return {"one-task": by_one_task, "stars": by_stars, "graphframes": by_graphframes}[name]


def kept(frame: DataFrame) -> DataFrame:
    """Compute ``frame`` now and cut its plan: it lies in the checkpoint directory or executors."""
    if frame.sparkSession.sparkContext.getCheckpointDir():
        return frame.checkpoint()
    return frame.localCheckpoint()


def by_one_task(edges: DataFrame) -> DataFrame:
    """Find components with the core, in one task, whose executor holds all edges."""
    ends = edges.select("source", "target").repartition(1)
    return kept(ends.mapInArrow(_leaves, _LEAVES))


def _leaves(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa  # noqa: PLC0415

    held = list(batches)
    if not held:
        return
    table = pa.Table.from_batches(held)
    del held
    found = connected_components(table["source"], table["target"])
    del table
    vertices, labels = np.asarray(found.ids), found.labels
    least = np.full(found.component_count, np.iinfo(np.int64).max)
    np.minimum.at(least, labels, vertices)
    for start in range(0, len(vertices), _ROWS_A_BATCH):
        some = vertices[start : start + _ROWS_A_BATCH]
        component = least[labels[start : start + _ROWS_A_BATCH]]
        is_leaf = some != component
        columns = [pa.array(some[is_leaf]), pa.array(component[is_leaf])]
        yield pa.RecordBatch.from_arrays(columns, names=["vertex", "component"])


def by_stars(edges: DataFrame) -> DataFrame:
    """Find components by large and small stars in turns (Kiveris et al., 2014).

    Every edge is hung from its greater end to its smaller one. A round hangs the greater neighbours
    of each vertex, then the smaller ones, below the least vertex that it sees; the number of edges
    never grows, and is about the number of vertices in the end. Rounds are few: the logarithm of
    the longest chain.
    """
    source, target = F.col("source"), F.col("target")
    hung = edges.select(
        F.greatest(source, target).alias("vertex"), F.least(source, target).alias("component")
    )
    hung = kept(hung.where("vertex != component").distinct())
    while not _are_stars(hung):
        hung = kept(_small_stars(_large_stars(hung)).distinct())
    return hung


def _both_ways(hung: DataFrame) -> DataFrame:
    up = hung.select(F.col("vertex").alias("at"), F.col("component").alias("other"))
    return up.unionAll(hung.select(F.col("component").alias("at"), F.col("vertex").alias("other")))


def _are_stars(hung: DataFrame) -> bool:
    """Return whether each vertex is a centre (greater neighbours only) or a leaf.

    A leaf has a smaller neighbour.
    """
    at = _both_ways(hung).groupBy("at")
    counted = at.agg(F.count("*").alias("all"), F.count_if(F.col("other") < F.col("at")).alias("smaller"))
    return counted.where("smaller > 0 and all > 1").isEmpty()


def _large_stars(hung: DataFrame) -> DataFrame:
    least = F.least("at", F.min("other").over(Window.partitionBy("at")))
    seen = _both_ways(hung).withColumn("component", least).where("other > at")
    return seen.select(F.col("other").alias("vertex"), "component")


def _small_stars(hung: DataFrame) -> DataFrame:
    least = F.min("component").over(Window.partitionBy("vertex"))
    seen = hung.withColumn("least", least)
    below = F.when(F.col("component") == F.col("least"), F.col("vertex")).otherwise(F.col("component"))
    return seen.select(below.alias("vertex"), F.col("least").alias("component"))


def by_graphframes(edges: DataFrame) -> DataFrame:
    """Find components with GraphFrames, and check its answer: no edge may lead out of a component.

    Raises:
        MissingExtraError: graphframes-py is not installed, or the session lacks the jar.
        RuntimeError: An edge does; GraphFrames before 0.10.1 could answer so.
    """
    graph_frame = _graph_frame(edges.sparkSession)
    edges = kept(edges.distinct())
    vertices = edges.select(F.col("source").alias("id")).union(edges.select("target")).distinct()
    graph = graph_frame(vertices, edges.withColumnsRenamed({"source": "src", "target": "dst"}))
    local = not edges.sparkSession.sparkContext.getCheckpointDir()
    found = graph.connectedComponents(broadcastThreshold=-1, use_local_checkpoints=local)
    least = F.min("id").over(Window.partitionBy("component"))
    found = kept(found.select(F.col("id").alias("vertex"), least.alias("component")))
    for end in ("source", "target"):
        place = found.select(F.col("vertex").alias(end), F.col("component").alias(f"{end}_component"))
        edges = edges.join(place, end, "left")
    if not edges.where("not source_component <=> target_component or source_component is null").isEmpty():
        raise RuntimeError("GraphFrames answered with components that links cross; use 0.10.1 or later")
    return found.where("vertex != component")


def _graph_frame(spark: SparkSession) -> Any:
    instead = ", or pass components='auto'"
    try:
        from graphframes import GraphFrame  # noqa: PLC0415
    except ImportError as error:
        raise missing("components='graphframes'", "graphframes", error, instead) from error
    jvm: Any = spark.sparkContext._jvm  # noqa: SLF001 - as graphframes-py finds it
    if not callable(jvm.org.graphframes.GraphFramePythonAPI):  # A name that is no class is a package.
        raise MissingExtraError(
            "the Spark session lacks the jar of GraphFrames: start it with "
            f"spark.jars.packages={ARTIFACT}:VERSION (0.10.1 or later){instead}"
        )
    return GraphFrame
