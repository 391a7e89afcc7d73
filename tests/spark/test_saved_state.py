"""Saved states of `idmerge.spark.resolve`: whole, or refused in one line before they are used."""

from __future__ import annotations

import json
import shutil
import traceback
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benches.campaigns import spark_state
from idmerge import Policy
from idmerge.errors import FileFormatError, FullRunError
from spark_links import SCHEMA, answer, expected, frame, workload
from spark_session import SKIPPED_WARNINGS, session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from spark_links import Row

pytestmark = [pytest.mark.filterwarnings(text) for text in SKIPPED_WARNINGS]

OLD: list[Row] = [(number, 2, f"a{number}", f"b{number}") for number in range(50)]
NEW: list[Row] = [(100, 2, "b7", "new")]
WAY_OUT = "resolve all links once more, without previous, and save them to a new directory"


Damage = tuple[Callable[[Path], None], str]


@pytest.fixture
def spark() -> SparkSession:
    return session()


@cache
def template(folder: Path) -> Path:
    """A state in five buckets, with the checksum files of Hadoop."""
    from idmerge.spark import resolve

    path = folder / "template"
    resolve(frame(session(), OLD), order="at", save=str(path), links_a_task=10)
    return path


@pytest.fixture
def guarded(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(template(tmp_path_factory.getbasetemp()), tmp_path / "saved"))


@pytest.fixture
def saved(guarded: Path) -> Path:
    """The same without Hadoop's checksum files, which notice damage before ours do."""
    for checksums in guarded.rglob(".*.crc"):
        checksums.unlink()
    return guarded


def go_on(spark: SparkSession, saved: Path | str, order: str = "at", **options: Any) -> list[Any]:
    from idmerge.spark import resolve

    return answer(resolve(frame(spark, NEW), order=order, previous=str(saved), **options))


def resolve_some(spark: SparkSession, **options: Any) -> None:
    from idmerge.spark import resolve

    resolve(frame(spark, NEW), order="at", **options)


def a_file(saved: Path, part: str) -> Path:
    return min((saved / part).glob("bucket=*/*.parquet"))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)


def lose(path: Path) -> None:
    shutil.rmtree(path.parent)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def add(path: Path) -> None:
    shutil.copy(path, path.with_name("part-9.parquet"))


@pytest.mark.parametrize("part", ["links", "mapping"])
@pytest.mark.parametrize(
    "damage",
    [
        (flip, "is damaged: its checksum is -?[0-9]+, expected -?[0-9]+"),
        (lose, "is missing"),
        (cut, "has [0-9]+ bytes, expected [0-9]+"),
        (add, "is no file of this state: manifest.json does not list it"),
    ],
)
def test_a_bucket_that_is_flipped_missing_cut_or_extra_is_named_with_the_way_out(
    spark: SparkSession, saved: Path, tmp_path: Path, part: str, damage: Damage
) -> None:
    path = a_file(saved, part)
    harm, message = damage
    harm(path)
    named = f"^{saved}/{part}/{path.parent.name}/part-.*parquet {message}; {WAY_OUT}$"
    with pytest.raises(FileFormatError, match=named):
        go_on(spark, saved, save=str(tmp_path / "next"))  # All that is copied is read.
    assert not (tmp_path / "next").exists()


def test_damage_that_hadoop_notices_first_is_the_same_error(spark: SparkSession, guarded: Path) -> None:
    flip(a_file(guarded, "mapping"))
    with pytest.raises(FileFormatError, match=f"^{guarded} cannot be read whole: .*; {WAY_OUT}$"):
        go_on(spark, guarded)
    flip(guarded / "manifest.json")
    with pytest.raises(FileFormatError, match=f"^{guarded}/manifest.json cannot be read: .*Checksum"):
        go_on(spark, guarded)


def test_a_session_that_skips_corrupt_and_missing_files_notices_them_all_the_same(
    spark: SparkSession, guarded: Path
) -> None:
    flip(a_file(guarded, "mapping"))
    skipping = ("spark.sql.files.ignoreCorruptFiles", "spark.sql.files.ignoreMissingFiles")
    try:
        for name in skipping:
            spark.conf.set(name, "true")
        with pytest.raises(FileFormatError, match="is missing|cannot be read whole"):
            go_on(spark, guarded)
        shutil.rmtree(guarded / "mapping")
        with pytest.raises(FileFormatError, match="is missing|cannot be read whole"):
            go_on(spark, guarded)
    finally:
        for name in skipping:
            spark.conf.unset(name)


def test_links_whose_buckets_no_new_link_touches_are_not_read(spark: SparkSession, saved: Path) -> None:
    from pyspark.sql.functions import col

    ids = col("distinct_id").isin("a7", "b7")
    component = spark.read.parquet(str(saved / "mapping")).where(ids).first()
    assert component is not None
    touched = f"bucket={component.component % 5}"
    others = [path for path in saved.glob("links/*/*.parquet") if path.parent.name != touched]
    assert len(others) == 4
    for path in others:
        path.write_bytes(bytes(path.stat().st_size))  # A task that reads one fails.
    assert go_on(spark, saved) == expected([*OLD, *NEW])
    with pytest.raises(FileFormatError, match=r"links/bucket=\d/.* is damaged"):
        go_on(spark, saved, save=f"{saved}-next")


@pytest.mark.parametrize(
    ("edit", "error", "message"),
    [
        (
            lambda text: text.replace('"alias_once": true', '"alias_once": false'),
            FileFormatError,
            "was edited: its",
        ),
        (
            lambda text: text.replace('"buckets": 5', '"buckets": 4'),
            FileFormatError,
            "was edited: its checksum",
        ),
        (lambda text: text[:-40], FileFormatError, "manifest.json is damaged or was edited"),
        (lambda _text: "[]", FileFormatError, "manifest.json is damaged or was edited"),
        (lambda _text: "[" * 100_000, FileFormatError, "manifest.json is damaged or was edited"),
        (lambda text: text.replace('"format": 2', '"format": 3'), FullRunError, "has format 3, expected 2"),
    ],
)
def test_a_manifest_that_was_edited_cut_or_is_of_another_version_is_refused(
    spark: SparkSession, saved: Path, edit: Callable[[str], str], error: type[Exception], message: str
) -> None:
    path = saved / "manifest.json"
    text = path.read_text()
    edited = edit(text)
    assert edited != text
    path.write_text(edited)
    with pytest.raises(error, match=f"^{saved}.*{message}.*{WAY_OUT}$"):
        go_on(spark, saved)


def test_a_save_that_fails_leaves_nothing_and_one_that_was_killed_is_no_state(
    spark: SparkSession, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from idmerge.spark import manifest

    class KilledError(Exception):
        pass

    def fail(*_arguments: Any) -> None:
        raise KilledError

    monkeypatch.setattr(manifest.Manifest, "write", fail)
    again = tmp_path / "again"
    with pytest.raises(KilledError):
        go_on(spark, saved, save=str(again))
    assert not again.exists()
    with monkeypatch.context() as killed:  # Who is killed removes nothing.
        killed.setattr("idmerge.spark.hadoop.Directory.delete", lambda *_names: None)
        with pytest.raises(KilledError):
            go_on(spark, saved, save=str(again))
    assert a_file(again, "mapping").exists()
    monkeypatch.undo()
    with pytest.raises(FullRunError, match=f"^{again} holds an unfinished save: it has no manifest.json"):
        go_on(spark, again)
    with pytest.raises(
        FileExistsError, match=f"^{again} holds an unfinished save, .*; remove it if none runs"
    ):
        go_on(spark, saved, save=str(again))
    shutil.rmtree(again)
    assert go_on(spark, saved, save=str(again)) == expected([*OLD, *NEW])
    assert sorted(path.name for path in again.glob("[!.]*")) == ["links", "manifest.json", "mapping"]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("manifest.described", "another job wrote to .*saved meanwhile"),
        ("saved._read", "was written with 100 links, expected 50"),
    ],
)
def test_files_that_another_job_wrote_meanwhile_are_noticed_before_the_manifest(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, message: str
) -> None:
    from idmerge.spark import manifest, resolve, saved

    module = {"manifest": manifest, "saved": saved}[step.partition(".")[0]]
    usual = getattr(module, step.partition(".")[2])

    def joined_by_another(*arguments: Any) -> Any:
        add(a_file(tmp_path / "saved", "links"))
        return usual(*arguments)

    monkeypatch.setattr(f"idmerge.spark.{step}", joined_by_another)
    with pytest.raises(RuntimeError, match=message):
        resolve(frame(spark, OLD), order="at", save=str(tmp_path / "saved"))
    assert not (tmp_path / "saved").exists()


def test_buckets_follow_the_number_of_links_from_run_to_run(spark: SparkSession, tmp_path: Path) -> None:
    from idmerge.spark import resolve

    rows = workload(5)
    few, all_of_them, last = rows[:9], rows[9:], tmp_path / "last"
    first = tmp_path / "first"
    resolve(frame(spark, few), order="at", save=str(first))
    assert len(list(first.glob("*/bucket=*/*.parquet"))) == 2  # One for links, one for the mapping.
    mapping = resolve(
        frame(spark, all_of_them), order="at", previous=str(first), save=str(last), links_a_task=50
    )
    assert answer(mapping) == expected(rows)
    buckets = json.loads((last / "manifest.json").read_text())["state"]["rules"]["buckets"]
    assert buckets > 5
    assert len(list(last.glob("links/bucket=*"))) <= buckets


def test_a_state_of_no_links_can_be_gone_on_from(spark: SparkSession, tmp_path: Path) -> None:
    from idmerge.spark import resolve

    nothing = spark.createDataFrame([], SCHEMA)
    assert answer(resolve(nothing, order="at", save=str(tmp_path / "none"))) == []
    assert go_on(spark, tmp_path / "none") == expected(NEW)


def test_a_state_lies_at_any_path_that_hadoop_knows(spark: SparkSession, tmp_path: Path) -> None:
    from idmerge.spark import resolve

    places = [f"file:{tmp_path}/a/", f"{tmp_path}/b c%20d=e+ü"]
    for place in places:
        resolve(frame(spark, OLD), order="at", save=place)
        assert go_on(spark, place) == expected([*OLD, *NEW])
    with pytest.raises(ValueError, match=r"a path may hold none of \*\?\[\]\{\}, got '.*x\[1\]'"):
        resolve(frame(spark, OLD), order="at", save=f"{tmp_path}/x[1]")  # Spark would not find it again.


LAKE = "viewfs://key:zq7zq8@lake"
"""A file system of Hadoop whose URL holds a password."""


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Iterator[Path]:
    """The directory that lies at ``LAKE/saved``, with a whole state."""
    held = tmp_path / "saved"
    shutil.copytree(template(tmp_path), held)
    for checksums in held.rglob(".*.crc"):
        checksums.unlink()
    settings: Any = spark.sparkContext._jsc.hadoopConfiguration()
    names = {
        f"fs.viewfs.mounttable.{LAKE.partition('//')[2]}.link./lake": f"file:{tmp_path}",
        "fs.viewfs.impl.disable.cache": "true",
    }
    for name, value in names.items():
        settings.set(name, value)
    yield held
    for name in names:
        settings.unset(name)


def test_the_password_of_a_url_is_in_no_message_about_a_state(spark: SparkSession, lake: Path) -> None:
    place, said = f"{LAKE}/lake/saved", "viewfs://key@lake/lake/saved"

    def refused(previous: str, **options: Any) -> str:
        with pytest.raises((OSError, ValueError)) as raised:
            go_on(spark, previous, **options)
        assert "zq" not in "".join(traceback.format_exception(raised.value))
        return str(raised.value)

    assert go_on(spark, place) == expected([*OLD, *NEW])
    assert refused(place, save=place).startswith(f"{said} is there already")
    assert refused(place, policy=Policy(alias_once=False)).startswith(f"{said} was resolved under")
    assert refused(place, canonical="smallest").startswith(f"{said} has canonical=")
    assert f"links of {said} are ordered by" in refused(place, order="first")
    assert refused(f"{place}/no").startswith(f"{said}/no holds no whole result")
    assert refused(place, save=f"{place}[1]").endswith("got 'viewfs://…'")
    flip(a_file(lake, "mapping"))
    assert refused(place).startswith(f"{said}/mapping/bucket=")
    shutil.rmtree(lake / "links")
    assert refused(place).startswith(f"{said} cannot be read whole: ")
    flip(lake / "manifest.json")
    assert refused(place).startswith(f"{said}/manifest.json is damaged")
    (lake / "manifest.json").rename(lake / "_unfinished")
    assert refused(place).startswith(f"{said} holds an unfinished save")


@pytest.mark.parametrize("scheme", ["s3a", "file", "http", "ftp", "none-such"])
def test_the_password_of_a_url_that_cannot_be_reached_is_in_no_message(
    spark: SparkSession, scheme: str
) -> None:
    place = f"{scheme}://key:zq7zq8@127.0.0.1:1/state"
    for options in ({"previous": place}, {"save": place}):
        with pytest.raises((OSError, FileFormatError), match=f"{scheme}://key@127.0.0.1:1/state") as raised:
            resolve_some(spark, **options)
        assert "zq" not in "".join(traceback.format_exception(raised.value))


def test_of_some_damages_none_gives_a_wrong_answer(spark: SparkSession, tmp_path: Path) -> None:
    counts = spark_state.damage(spark, tmp_path, 20, seed=7)
    assert counts["flip refused"] + counts["flip same"] == 20
    assert counts["flip refused"] > 10
