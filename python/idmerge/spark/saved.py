"""What one run leaves to the next: its links by component, its mapping, and by which rules they came.

A directory of three: ``links`` and ``mapping``, Parquet in buckets (of the component, and of the ID), and
``settings``, which is written last: without it the directory is not whole.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pyspark.errors import AnalysisException
from pyspark.sql import functions as F

from idmerge.errors import CanonicalError, FullRunError
from idmerge.policy import Policy
from idmerge.spark.stated import IN_ORDER

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

    from idmerge.canonical import Chooser, Strategy

FORMAT = 1
_MAPPING = ("distinct_id", "canonical_id", "cluster_size")


@dataclass(frozen=True)
class Settings:
    """By which rules a mapping came, and into how many directories links and mapping are divided."""

    policy: Policy
    canonical: Strategy | Chooser
    buckets: int = 1

    @classmethod
    def chosen(
        cls, before: Saved | None, policy: Policy | None, canonical: Strategy | Chooser | None
    ) -> Settings:
        """Return what is asked for, or else what was before.

        Raises:
            FullRunError: They differ.
        """
        if before is None:
            return cls(policy or Policy(), canonical or "stable")
        was = before.settings
        if policy not in (None, was.policy):
            raise FullRunError(
                f"{before.path} was resolved under {was.policy}: links that were refused then may count now. "
                "Resolve all links once more, without previous"
            )
        if canonical not in (None, was.canonical):
            raise FullRunError(
                f"{before.path} has canonical={was.canonical!r}, which does not tell whom {canonical!r} "
                "names. Resolve all links once more, without previous"
            )
        return was

    def check_savable(self) -> None:
        """Raise unless these settings can be written down.

        Raises:
            CanonicalError: The canonical strategy is a callable.
        """
        if callable(self.canonical):
            raise CanonicalError("what a callable chose cannot go on from; save under a named strategy")


@dataclass(frozen=True)
class Saved:
    """What an earlier run left at ``path``."""

    path: str
    settings: Settings
    links: DataFrame
    mapping: DataFrame

    def check_order(self, news: DataFrame) -> None:
        """Raise unless the order of new links compares with that of the old ones.

        Raises:
            FullRunError: Its type is another.
        """
        was, now = (frame.schema["order"].dataType for frame in (self.links, news))
        if was.simpleString() != now.simpleString():
            raise FullRunError(
                f"the links of {self.path} are ordered by {was.simpleString()}, the new ones by "
                f"{now.simpleString()}. Resolve all links once more, without previous"
            )

    def components_of(self, vertices: DataFrame) -> DataFrame:
        """Return the component of each of the ``vertices`` (one column) that has been known before."""
        wanted = vertices.toDF("vertex").distinct()
        held = self._in_buckets(self.mapping, wanted, "vertex")
        held = held.select(F.xxhash64("distinct_id").alias("vertex"), "component")
        return held.join(wanted, "vertex", "left_semi").distinct()

    def links_in(self, components: DataFrame) -> DataFrame:
        """Return the links of these components."""
        held = self._in_buckets(self.links, components, "component")
        return held.join(components, "component", "left_semi")

    def links_without(self, components: DataFrame) -> DataFrame:
        """Return the links of all other components."""
        return self.links.join(components, "component", "left_anti").select("component", *IN_ORDER)

    def mapping_without(self, components: DataFrame) -> DataFrame:
        """Return the rows of all other components."""
        return self.mapping.join(components, "component", "left_anti").select(*_MAPPING, "component")

    def _in_buckets(self, held: DataFrame, wanted: DataFrame, name: str) -> DataFrame:
        """Return the rows of ``held`` in the buckets of the numbers ``wanted``; no other file is read."""
        buckets = _bucket(F.col(name), self.settings.buckets).alias("bucket")
        rows = wanted.select(buckets).distinct().collect()
        return held.where(F.col("bucket").isin([row.bucket for row in rows]))


def refuse_existing(spark: SparkSession, path: str) -> None:
    """Raise unless there is nothing at ``path`` yet, before hours are spent.

    Raises:
        FileExistsError: There is something.
    """
    context: Any = spark.sparkContext
    place = context._jvm.org.apache.hadoop.fs.Path(path)  # noqa: SLF001 - wherever Spark can write
    if place.getFileSystem(context._jsc.hadoopConfiguration()).exists(place):  # noqa: SLF001
        raise FileExistsError(f"{path} is there already; save to a new directory")


def opened(spark: SparkSession, path: str) -> Saved:
    """Return what an earlier run left at ``path``.

    Raises:
        FullRunError: There is nothing whole.
    """
    try:
        found: dict[str, Any] = json.loads(
            spark.read.text(f"{path}/settings", wholetext=True).collect()[0][0]
        )
    except (AnalysisException, IndexError, ValueError) as error:
        raise FullRunError(
            f"{path} holds no whole result of idmerge.spark.resolve. Resolve all links and save them first"
        ) from error
    if found["format"] != FORMAT:
        raise FullRunError(
            f"{path} has format {found['format']}, expected {FORMAT}. Resolve all links and save them first"
        )
    settings = Settings(Policy(**found["policy"]), found["canonical"], found["buckets"])
    read = spark.read.parquet
    return Saved(path, settings, read(f"{path}/links"), read(f"{path}/mapping"))


def written(  # noqa: PLR0913, PLR0917 - a result in full
    path: str,
    settings: Settings,
    tagged: DataFrame,
    mapping: DataFrame,
    before: Saved | None,
    affected: DataFrame | None,
) -> DataFrame:
    """Write a result to ``path`` and return the mapping from there.

    What ``before`` holds outside of the ``affected`` components is copied.
    """
    ids = tagged.select("component", F.explode(F.array("left", "right")).alias("distinct_id")).distinct()
    mapping = mapping.join(ids, "distinct_id").select(*_MAPPING, "component")
    if before is not None and affected is not None:
        tagged = tagged.unionAll(before.links_without(affected))
        mapping = mapping.unionAll(before.mapping_without(affected))
    of_link, of_id = (_bucket(of, settings.buckets) for of in (F.col("component"), F.xxhash64("distinct_id")))
    _write(tagged.withColumn("bucket", of_link), f"{path}/links", "component")
    _write(mapping.withColumn("bucket", of_id), f"{path}/mapping", "distinct_id")
    policy = asdict(settings.policy)
    policy["blocked_ids"] = sorted(settings.policy.blocked_ids)
    about = json.dumps({"format": FORMAT, **asdict(settings), "policy": policy})
    spark = tagged.sparkSession
    spark.range(1).select(F.lit(about).alias("value")).coalesce(1).write.text(f"{path}/settings")
    return spark.read.parquet(f"{path}/mapping").select(*_MAPPING)


def _bucket(number: Column, buckets: int) -> Column:
    return F.pmod(number, F.lit(buckets)).cast("int")


def _write(frame: DataFrame, path: str, by: str) -> None:
    frame.repartition("bucket").sortWithinPartitions("bucket", by).write.partitionBy("bucket").parquet(path)
