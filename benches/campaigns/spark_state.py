"""Damaged saved states of Spark: each damage is an error, or the answer is the same.

    python -m benches.campaigns.spark_state [FLIPS] [--seed SEED]    default 2,000 flipped bits

Bits are drawn over all bytes of a small state: its files of Parquet and its manifest. Hadoop's own
checksum files are deleted first, so that only ours are tested. Beside the flips come other damages,
one for each twenty: files that are cut, missing, extra, or exchanged, and edited settings. After
each one the state is opened, checked and read in full; each twentieth time a whole `resolve` goes
on from it as well. It prints figures and exits with code 1 if an answer was wrong, or an error not
one of ours.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benches.support.campaign import campaign_options, run_campaign
from idmerge.errors import FileFormatError, FullRunError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyspark.sql import DataFrame, SparkSession

FLIPS = 2_000
SCHEMA = "at long, kind int, first string, second string"
SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.memory": "1g",
    "spark.log.level": "OFF",
    # Each job reads a few hundred rows: to compile it, or to cut it into tasks, takes longer
    # than to run it.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "1",
    "spark.default.parallelism": "1",
}
_WHOLE_RUNS = 20
"""One damage of so many is also met by a whole `resolve`."""
_OTHERS = 20
"""Other damages: one for so many flips."""


class Subject:
    """A saved state that is damaged and mended, and what it says while it is whole."""

    def __init__(self, spark: SparkSession, folder: Path, seed: int) -> None:
        from idmerge.spark import resolve

        draw = random.Random(seed)
        links = []
        for at in range(300):  # One world would be one component, which lies in one bucket.
            world = draw.randrange(30)
            device, user = f"device-{world}-{draw.randrange(5)}", f"user-{world}-{draw.randrange(2)}"
            links.append((at, draw.randrange(3), device, user))
        self.path = folder / "state"
        frame = spark.createDataFrame(links, SCHEMA)
        resolve(frame, order="at", save=str(self.path), links_a_task=100)
        for path in folder.rglob(".*.crc"):
            path.unlink()
        self._spark = spark
        news = [(500, 2, f"user-{world}-0", f"device-{world}-0") for world in range(10)]
        self._news = spark.createDataFrame(news, SCHEMA)
        self.files = sorted(path for path in self.path.rglob("*") if path.is_file() and path.stat().st_size)
        self.said = self.read()
        self.answer = self.resolved()

    def read(self) -> list[Any]:
        """Return the state's rules, links and mapping, all of which are checked first."""
        from idmerge.spark.saved import opened

        saved = opened(self._spark, str(self.path))
        nothing = self._spark.createDataFrame([], "component long")
        parts = (saved.links_without(nothing), saved.mapping_without(nothing))
        return [repr(saved.settings), *map(_rows, parts)]

    def resolved(self) -> list[Any]:
        """Return the mapping with some more links."""
        from idmerge.spark import resolve

        return _rows(resolve(self._news, order="at", previous=str(self.path)))

    def outcome(self, *, whole: bool) -> str:
        """Return ``refused`` or ``same``.

        Raises:
            AssertionError: The state says something else, or the two ways to read it differ.
        """
        try:
            said = self.read()
        except (FileFormatError, FullRunError) as error:
            read = "refused" if str(self.path) in str(error) else f"{error} names no path"
        else:
            assert said == self.said, "a damaged state was read as if it were whole"
            read = "same"
        assert read in {"refused", "same"}, read
        if whole:
            try:
                assert self.resolved() == self.answer, "a damaged state gave a wrong mapping"
            except (FileFormatError, FullRunError):
                assert read == "refused", "a state that is the same was refused"
            else:  # A bucket that no link touches is not read: the answer is right without it.
                return read
        return read


def _rows(frame: DataFrame) -> list[Any]:
    return sorted((tuple(row) for row in frame.collect()), key=repr)


def flip(subject: Subject, draw: random.Random) -> Callable[[], None]:
    """Flip one bit, and return what mends it."""
    sizes = [path.stat().st_size for path in subject.files]
    path = draw.choices(subject.files, sizes)[0]
    whole = path.read_bytes()
    broken = bytearray(whole)
    broken[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
    path.write_bytes(broken)
    return lambda: _put(path, whole)


def cut(subject: Subject, draw: random.Random) -> Callable[[], None]:
    """Cut a file short."""
    path = draw.choice(subject.files)
    whole = path.read_bytes()
    path.write_bytes(whole[: draw.randrange(len(whole))])
    return lambda: _put(path, whole)


def lose(subject: Subject, draw: random.Random) -> Callable[[], None]:
    """Remove a bucket, or the manifest."""
    path = draw.choice(subject.files)
    whole = path.read_bytes()
    path.unlink()
    if path.suffix == ".parquet":
        path.parent.rmdir()

    def mend() -> None:
        path.parent.mkdir(exist_ok=True)
        _put(path, whole)

    return mend


def add(subject: Subject, draw: random.Random) -> Callable[[], None]:
    """Put another file of Parquet into a bucket, or one more bucket beside it."""
    source = draw.choice([path for path in subject.files if path.suffix == ".parquet"])
    bucket = source.parent if draw.random() < 0.5 else source.parent.with_name("bucket=77")
    bucket.mkdir(exist_ok=True)
    extra = bucket / f"part-{draw.randrange(10**6)}.parquet"
    shutil.copy(source, extra)

    def mend() -> None:
        extra.unlink()
        if bucket != source.parent:
            bucket.rmdir()

    return mend


def exchange(subject: Subject, draw: random.Random) -> Callable[[], None]:
    """Exchange the contents of two buckets."""
    part = draw.choice(["links", "mapping"])
    one, other = draw.sample([path for path in subject.files if path.parent.parent.name == part], 2)
    contents = one.read_bytes(), other.read_bytes()
    _put(one, contents[1])
    _put(other, contents[0])

    def mend() -> None:
        _put(one, contents[0])
        _put(other, contents[1])

    return mend


def edit(subject: Subject, draw: random.Random) -> Callable[[], None]:
    """Change one of the settings, as somebody with an editor would."""
    path = subject.path / "manifest.json"
    whole = path.read_bytes()
    held = json.loads(whole)
    rules = held["state"]["rules"]
    name, value = draw.choice([("buckets", 2), ("canonical", "smallest"), ("alias_once", False)])
    (rules["policy"] if name in rules["policy"] else rules)[name] = value
    path.write_text(json.dumps(held))
    return lambda: _put(path, whole)


def _put(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def damage(spark: SparkSession, folder: Path, flips: int, seed: int) -> Counter[str]:
    """Return how often each damage was refused or left the same answer.

    Raises:
        AssertionError: An answer was wrong.
    """
    subject, draw, counts = Subject(spark, folder, seed), random.Random(seed), Counter[str]()
    others = [cut, lose, add, exchange, edit]
    each = max(1, flips // _OTHERS)
    damages = [flip] * flips + [kind for kind in others for _ in range(each)]
    draw.shuffle(damages)
    for number, kind in enumerate(damages):
        mend = kind(subject, draw)
        outcome = subject.outcome(whole=number % _WHOLE_RUNS == 0)
        assert kind is flip or outcome == "refused", f"{kind.__name__} was not noticed"
        counts[f"{kind.__name__} {outcome}"] += 1
        mend()
    assert subject.outcome(whole=True) == "same"
    return counts


def _on_spark(folder: Path, flips: int, seed: int) -> dict[str, int]:
    """Damage a state by a session of Spark that ends with it."""
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master("local[1]")
    for name, value in SETTINGS.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    try:
        return dict(sorted(damage(spark, folder, flips, seed).items()))
    finally:
        spark.stop()


def main(arguments: Sequence[str]) -> int:
    """Print the counts as JSON; return 1 if something did not hold."""
    parser = campaign_options("spark_state", __doc__, "flips", FLIPS)
    parser.set_defaults(seed=1)
    chosen = parser.parse_args(arguments)
    return run_campaign(lambda folder: (_on_spark(folder, chosen.flips, chosen.seed), []), chosen)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
