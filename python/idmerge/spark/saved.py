"""The state that one run leaves to the next: its links by component, its mapping, and its rules.

A directory of two parts and a manifest: ``links`` and ``mapping``, Parquet in buckets (of the
component, and of the ID). The manifest comes last and lists every file, so a directory without it
is no state, and no file counts that it does not list. Each bucket's bytes are checked before they
are read.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F
from pyspark.sql import types as T

from idmerge._naming import named
from idmerge.errors import CanonicalError, FullRunError
from idmerge.policy import Policy
from idmerge.spark import manifest
from idmerge.spark.hadoop import Directory
from idmerge.spark.stated import IN_ORDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyspark.sql import Column, DataFrame, SparkSession

    from idmerge.canonical import Chooser, Strategy
    from idmerge.spark.manifest import Manifest

_BEFORE_VERDICTS = {"verdicts": "ignore", "evidence": False}
"""The fields of a policy that older mappings do not state, as their links were judged."""
_MAPPING = ("distinct_id", "canonical_id", "cluster_size")
_ROWS_A_FILE = 500_000
"""Rows of a file at most: some 20 MB, for a task holds a file's bytes while it checks them."""


@dataclass(frozen=True)
class Settings:
    """The rules behind a mapping, and the number of directories of its links and rows."""

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
                f"{named(before.path)} was resolved under {was.policy}: links that were refused then may "
                "count now. Resolve all links once more, without previous"
            )
        if canonical not in (None, was.canonical):
            raise FullRunError(
                f"{named(before.path)} has canonical={was.canonical!r}, from which the names by "
                f"{canonical!r} do not follow. Resolve all links once more, without previous"
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
    """The state of an earlier run at ``path``; its files are those that the manifest lists."""

    path: str
    settings: Settings
    manifest: Manifest
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
                f"the links of {named(self.path)} are ordered by {was.simpleString()}, the new ones by "
                f"{now.simpleString()}. Resolve all links once more, without previous"
            )

    def components_of(self, vertices: DataFrame) -> DataFrame:
        """Return the saved component of each of the ``vertices`` (one column) that has one."""
        wanted = vertices.toDF("vertex").distinct()
        held = self._in_buckets("mapping", wanted, "vertex")
        held = held.select(F.xxhash64("distinct_id").alias("vertex"), "component")
        return held.join(wanted, "vertex", "left_semi").distinct()

    def links_in(self, components: DataFrame) -> DataFrame:
        """Return the links of these components."""
        held = self._in_buckets("links", components, "component")
        return held.join(components, "component", "left_semi")

    def links_without(self, components: DataFrame) -> DataFrame:
        """Return the links of all other components."""
        held = self._checked("links", range(self.settings.buckets))
        return held.join(components, "component", "left_anti").select("component", *IN_ORDER)

    def mapping_without(self, components: DataFrame) -> DataFrame:
        """Return the rows of all other components."""
        held = self._checked("mapping", range(self.settings.buckets))
        return held.join(components, "component", "left_anti").select(*_MAPPING, "component")

    def _in_buckets(self, part: str, wanted: DataFrame, name: str) -> DataFrame:
        """Return the rows in the buckets of the numbers ``wanted``; no other file is read."""
        buckets = _bucket(F.col(name), self.settings.buckets).alias("bucket")
        numbers = [row.bucket for row in wanted.select(buckets).distinct().collect()]
        return self._checked(part, numbers).where(F.col("bucket").isin(numbers))

    def _checked(self, part: str, buckets: Iterable[int]) -> DataFrame:
        """Return the rows of a part, once the files of these buckets hold what was written.

        Raises:
            FileFormatError: They do not.
        """
        held: DataFrame = getattr(self, part)
        self.manifest.check_content(held.sparkSession, part, buckets)
        return held


def opened(spark: SparkSession, path: str) -> Saved:
    """Return what an earlier run left at ``path``.

    Raises:
        FullRunError: There is nothing whole, or it is of another format.
        FileFormatError: It is damaged or was edited.
    """
    listed = manifest.read(Directory(spark, path))
    listed.check_listing(spark)
    rules = listed.rules
    policy = Policy(**{**_BEFORE_VERDICTS, **rules["policy"]})
    settings = Settings(policy, rules["canonical"], rules["buckets"])
    links, mapping = (_read(spark, path, part, listed.schemas[part]) for part in manifest.PARTS)
    return Saved(path, settings, listed, links, mapping)


@contextmanager
def claimed(spark: SparkSession, path: str) -> Iterator[None]:
    """Make the new directory ``path``, before hours are spent, and remove it on failure.

    Raises:
        FileExistsError: There is something at ``path``.
    """
    directory = Directory(spark, path)
    if directory.exists():
        if directory.exists(manifest.CLAIM) and not directory.exists(manifest.NAME):
            raise FileExistsError(
                f"{named(path)} holds an unfinished save, of a job that runs or was killed; "
                "remove it if none runs, or save to a new directory"
            )
        raise FileExistsError(f"{named(path)} is there already; save to a new directory")
    directory.create(manifest.CLAIM, b"")
    try:
        yield
    except BaseException:
        directory.delete()
        raise
    directory.delete(manifest.CLAIM)


def written(  # noqa: PLR0913, PLR0917 - a result in full
    path: str,
    settings: Settings,
    tagged: DataFrame,
    mapping: DataFrame,
    before: Saved | None,
    affected: DataFrame | None,
    links: int,
) -> DataFrame:
    """Write a result to ``path``, which is claimed, and return the mapping from there.

    What ``before`` holds outside of the ``affected`` components is copied. There are ``links`` in
    all.

    Raises:
        RuntimeError: Other than so many were written.
    """
    ids = tagged.select("component", F.explode(F.array("first", "second")).alias("distinct_id")).distinct()
    mapping = mapping.join(ids, "distinct_id").select(*_MAPPING, "component")
    if before is not None and affected is not None:
        tagged = tagged.unionAll(before.links_without(affected))
        mapping = mapping.unionAll(before.mapping_without(affected))
    of_link, of_id = (_bucket(of, settings.buckets) for of in (F.col("component"), F.xxhash64("distinct_id")))
    parts = {
        "links": (tagged.withColumn("bucket", of_link), "component"),
        "mapping": (mapping.withColumn("bucket", of_id), "distinct_id"),
    }
    spark = tagged.sparkSession
    for part, (frame, by) in parts.items():
        rows = frame.repartition(settings.buckets, "bucket").sortWithinPartitions("bucket", by)
        writer = rows.write.option("maxRecordsPerFile", _ROWS_A_FILE)
        writer.partitionBy("bucket").parquet(f"{path}/{part}")
    policy = {**asdict(settings.policy), "blocked_ids": sorted(settings.policy.blocked_ids)}
    rules = {"policy": policy, "canonical": settings.canonical, "buckets": settings.buckets}
    frames = {part: _read(spark, path, part, frame.schema.jsonValue()) for part, (frame, _) in parts.items()}
    listed = manifest.described(spark, path, rules, frames)
    if listed.rows("links") != links:
        raise RuntimeError(f"{named(path)} was written with {listed.rows('links')} links, expected {links}")
    listed.write(Directory(spark, path))
    return frames["mapping"].select(*_MAPPING)


def _bucket(number: Column, buckets: int) -> Column:
    return F.pmod(number, F.lit(buckets)).cast("int")


def _read(spark: SparkSession, path: str, part: str, schema: Any) -> DataFrame:
    return spark.read.schema(T.StructType.fromJson(schema)).parquet(f"{path}/{part}")
