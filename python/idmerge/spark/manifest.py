"""The manifest of a saved state: its rules, and each file with its size, rows and checksum.

It is one object of JSON with the format's number, the state, and a SHA-256 of the state. It is
written last, under another name first, so a directory without one is no saved state. Checksums of
files are Spark's xxhash64 of all their bytes: executors compute them, and no byte of a file is
decoded before it was checked.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from idmerge._naming import named
from idmerge.errors import FileFormatError, FullRunError
from idmerge.spark.hadoop import FAILURES, failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pyspark.sql import SparkSession

    from idmerge.spark.hadoop import Directory

FORMAT = 2
NAME = "manifest.json"
CLAIM = "_unfinished"
"""The file that a save leaves in its directory until the manifest is written."""
PARTS = ("links", "mapping")
_LIMIT = 1 << 28
_CHECKSUM = "xxhash64(content)"
_ANEW = "resolve all links once more, without previous, and save them to a new directory"


class File(NamedTuple):
    """A file of Parquet as it was written."""

    size: int
    rows: int
    checksum: int


@dataclass(frozen=True)
class Manifest:
    """The state at ``path``: the ``rules`` behind it, schemas of its parts, and files by name.

    A file's name is that of its part, its bucket's directory and its own:
    ``links/bucket=3/part-0.parquet``.
    """

    path: str
    rules: Mapping[str, Any]
    schemas: Mapping[str, Any]
    files: Mapping[str, File]

    def rows(self, part: str) -> int:
        """Return how many rows a part has."""
        return sum(file.rows for name, file in self.files.items() if name.startswith(f"{part}/"))

    def check_listing(self, spark: SparkSession) -> None:
        """Raise unless the directory has exactly the files of the manifest, in their sizes.

        Raises:
            FileFormatError: A file is missing, extra, or of another size.
        """
        held = {name.partition("/")[0] for name in self.files}
        found = _files(spark, self.path, [part for part in PARTS if part in held], "length")
        expected = {name: file.size for name, file in self.files.items()}
        self._compare(found, expected, "has {found} bytes, expected {expected}")

    def check_content(self, spark: SparkSession, part: str, buckets: Iterable[int]) -> None:
        """Raise unless the files of these buckets hold the bytes that were written.

        Raises:
            FileFormatError: A file is missing, extra, or has other bytes.
        """
        places = {f"{part}/bucket={bucket}" for bucket in buckets}
        expected = {
            name: file.checksum for name, file in self.files.items() if name.rpartition("/")[0] in places
        }
        held = sorted({name.rpartition("/")[0] for name in expected})
        found = _files(spark, self.path, held, _CHECKSUM)
        self._compare(found, expected, "is damaged: its checksum is {found}, expected {expected}")

    def _compare(self, found: Mapping[str, int], expected: Mapping[str, int], other: str) -> None:
        for name in sorted({*found, *expected}):
            if found.get(name) == expected.get(name):
                continue
            if name not in found:
                wrong = "is missing"
            elif name not in expected:
                wrong = f"is no file of this state: {NAME} does not list it"
            else:
                wrong = other.format(found=found[name], expected=expected[name])
            raise FileFormatError(f"{named(self.path)}/{name} {wrong}; {_ANEW}")

    def write(self, directory: Directory) -> None:
        """Write the manifest: from then on the state is whole."""
        state = {
            "rules": self.rules,
            "schemas": self.schemas,
            "files": {name: list(file) for name, file in sorted(self.files.items())},
        }
        text = json.dumps({"format": FORMAT, "sha256": _digest(state), "state": state}, indent=1)
        directory.create(f"_{NAME}", text.encode())
        directory.rename(f"_{NAME}", NAME)


def read(directory: Directory) -> Manifest:
    """Return the manifest of the state in ``directory``.

    Raises:
        FullRunError: There is none, or it is of another format.
        FileFormatError: It is damaged or was edited.
    """
    path = named(directory.path)
    if not directory.exists(NAME):
        found = (
            "an unfinished save" if directory.exists(CLAIM) else "no whole result of idmerge.spark.resolve"
        )
        raise FullRunError(f"{path} holds {found}: it has no {NAME}. Resolve all links and save them first")
    wrong = f"{path}/{NAME} is damaged or was edited"
    content = directory.read(NAME, _LIMIT)
    try:
        held: dict[str, Any] = json.loads(content)
        form, digest, state = held["format"], held["sha256"], held["state"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FileFormatError(f"{wrong}; {_ANEW}") from error
    if form != FORMAT:
        raise FullRunError(f"{path} has format {form!r:.20}, expected {FORMAT}; {_ANEW}")
    if digest != _digest(state):
        raise FileFormatError(f"{wrong}: its checksum does not match; {_ANEW}")
    files = {name: File(*file) for name, file in state["files"].items()}
    return Manifest(directory.path, state["rules"], state["schemas"], files)


def described(
    spark: SparkSession, path: str, rules: Mapping[str, Any], frames: Mapping[str, DataFrame]
) -> Manifest:
    """Return the manifest of the files that were written to ``path``, by reading them back.

    ``frames`` are the parts of the state, as they are read from there.

    Raises:
        RuntimeError: Another job wrote there meanwhile.
    """
    sizes = _files(spark, path, PARTS, "length")
    checksums = _files(spark, path, PARTS, _CHECKSUM)
    listed = [
        frame.select(F.lit(part), F.col("bucket"), F.col("_metadata.file_name")).toDF(
            "part", "bucket", "name"
        )
        for part, frame in frames.items()
    ]
    counted = reduce(DataFrame.unionAll, listed).groupBy("part", "bucket", "name").count().collect()
    rows = {f"{part}/bucket={bucket}/{name}": count for part, bucket, name, count in counted}
    if not rows.keys() == sizes.keys() == checksums.keys():
        raise RuntimeError(f"another job wrote to {named(path)} meanwhile; save to a directory of its own")
    files = {name: File(sizes[name], rows[name], checksum) for name, checksum in checksums.items()}
    return Manifest(path, rules, {part: frame.schema.jsonValue() for part, frame in frames.items()}, files)


def _digest(state: Any) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def _files(spark: SparkSession, path: str, places: Sequence[str], of: str) -> dict[str, int]:
    """Return ``of`` each file below the ``places``, by the last three names of its path."""
    if not places:
        return {}
    files = spark.read.format("binaryFile").option("recursiveFileLookup", "true")
    try:
        rows = files.load([f"{path}/{place}" for place in places]).selectExpr("path", of).collect()
    except FAILURES as error:
        reason, cause = failure(error, path)
        raise FileFormatError(f"{named(path)} cannot be read whole: {reason}; {_ANEW}") from cause
    return {"/".join(name.split("/")[-3:]): value for name, value in rows}
