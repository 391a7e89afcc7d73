"""`idmerge.spark.resolve`: the mapping is that of one resolver, however the links are spread."""

from __future__ import annotations

import inspect
import random
import re
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from documents import blocks, promised_by
from idmerge import Policy, connected_components
from idmerge.canonical import STRATEGIES
from idmerge.errors import CanonicalError, ColumnError, FullRunError, MissingExtraError, SparkSessionError
from paths import DOCS, ROOT
from spark_links import POLICIES, SCHEMA, Row, answer, expected, frame, workload
from spark_session import FINDERS, PACKAGE, SKIPPED_WARNINGS, session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = [pytest.mark.filterwarnings(text) for text in SKIPPED_WARNINGS]


@pytest.fixture
def spark() -> SparkSession:
    return session()


@pytest.mark.parametrize("seed", range(0, len(POLICIES), 2))
def test_one_task_gives_the_mapping_of_one_resolver_row_for_row(spark: SparkSession, seed: int) -> None:
    check_mapping(spark, seed, "auto", links_a_task=10**6)  # No component is looked for.


@pytest.mark.parametrize("components", FINDERS)
@pytest.mark.parametrize("seed", range(1, len(POLICIES), 2))
def test_many_tasks_give_the_mapping_of_one_resolver_row_for_row(
    spark: SparkSession, seed: int, components: Any
) -> None:
    check_mapping(spark, seed, components, links_a_task=100)


def check_mapping(spark: SparkSession, seed: int, components: Any, *, links_a_task: int) -> None:
    from idmerge.spark import resolve

    policy, canonical = POLICIES[seed % len(POLICIES)], STRATEGIES[(seed + seed // 4) % 4]
    rows = workload(seed)
    spark.conf.set("spark.sql.shuffle.partitions", str(1 + seed % 5))
    try:
        mapping = resolve(
            frame(spark, rows, seed),
            order="at",
            policy=policy,
            canonical=canonical,
            components=components,
            links_a_task=links_a_task,
        )
        assert answer(mapping) == expected(rows, policy, canonical)
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", "4")


def test_a_callable_is_asked_for_each_cluster_with_its_members_in_the_order_in_which_they_became_known(
    spark: SparkSession,
) -> None:
    from idmerge.spark import resolve

    def last(members: Any) -> str:
        return str(members[-1])

    rows = workload(99, cases=20)
    mapping = resolve(frame(spark, rows), order="at", canonical=last, components="stars")
    assert answer(mapping) == expected(rows, canonical=last)


def test_several_columns_order_links_and_kinds_may_be_names(spark: SparkSession) -> None:
    from idmerge.spark import resolve

    rows = [("b", 1, "merge", "x", "y"), ("a", 2, "$identify", "y", "z"), ("a", 1, "alias", "z", "y")]
    links = spark.createDataFrame(rows, "day string, at int, kind string, first string, second string")
    mapping = resolve(links, order=["day", "at"], canonical="first_seen", components="stars")
    assert answer(mapping) == [("x", "z", 3), ("y", "z", 3), ("z", "z", 3)]


@pytest.mark.rule("3.values")
def test_numbers_are_ids_by_their_digits_and_a_fraction_is_refused(spark: SparkSession) -> None:
    from idmerge.spark import resolve

    rows = [(1, 2, 7, 8.0, 9), (2, 2, 8, 9.0, 10), (3, 2, 7, None, 11)]
    links = spark.createDataFrame(rows, "at int, kind int, first bigint, second double, third int")
    third = links["third"].cast("decimal(38, 0)")
    for second in (links["second"], third):
        typed = links.withColumn("second", second)
        texts = [
            (str(a), None if b is None else f"{b:.0f}") for a, b in typed.select("first", "second").collect()
        ]
        plain = spark.createDataFrame(
            [(at, 2, *pair) for at, pair in enumerate(texts)], "at int, kind int, first string, second string"
        )
        wanted = answer(resolve(plain, order="at", components="stars"))
        assert answer(resolve(typed, order="at", components="stars")) == wanted
    half = links.withColumn("second", links["second"] / 2)
    with pytest.raises(
        Exception, match=r"the column second must hold text, integers or UUIDs, got .* 4.5 in row"
    ):
        resolve(half, order="at", components="stars").collect()


def test_junk_leaves_before_components_are_found_and_observations_are_reduced_to_the_first(
    spark: SparkSession,
) -> None:
    from idmerge.spark.stated import stated, without_repeated_observations

    rows: list[Row] = [(1, 2, "null", "a"), (2, 0, "b", ""), (3, 1, None, "c"), (4, 2, "d", "e")]
    rows += [(9, 2, "f", "f"), (5, 0, "f", "f"), (7, 1, "f", "f"), (6, 2, "undefined", "undefined")]
    kept = without_repeated_observations(stated(frame(spark, rows), "at", Policy()), 3)
    assert sorted(map(tuple, kept.collect())) == [(4, 2, "d", "e"), (5, 0, "f", "f")]


@pytest.mark.parametrize("components", FINDERS)
def test_components_are_found_in_chains_hubs_and_rings(spark: SparkSession, components: Any) -> None:
    from idmerge.spark.components import finder_named

    draw = random.Random(5)
    numbers = [draw.getrandbits(64) - 2**63 for _ in range(700)]
    chain, hub, ring, loop = numbers[:300], numbers[300:500], numbers[500:699], numbers[699]
    edges = [*pairwise(chain), *((hub[0], leaf) for leaf in hub[1:])]
    edges += [*pairwise(ring), (ring[-1], ring[0]), (ring[0], ring[1]), (loop, loop)]
    draw.shuffle(edges)
    found = finder_named(components)(spark.createDataFrame(edges, "source long, target long")).collect()
    labels = connected_components([a for a, _ in edges], [b for _, b in edges]).row_labels
    least: dict[int, int] = {}
    for (a, b), label in zip(edges, labels.tolist(), strict=True):
        least[label] = min(a, b, least.get(label, a))
    of_vertex = {
        end: least[label] for edge, label in zip(edges, labels.tolist(), strict=True) for end in edge
    }
    assert dict(found) == {vertex: first for vertex, first in of_vertex.items() if vertex != first}
    assert len(found) == len(numbers) - 4


@pytest.mark.parametrize("component", ["id", "7"])
def test_an_answer_of_graphframes_is_taken_unless_a_link_leads_out_of_a_component(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, component: str
) -> None:
    from graphframes import GraphFrame

    from idmerge.spark import components

    class Answering:  # In the place of one that needs the jar; the real one says which options there are.
        def __init__(self, vertices: DataFrame, edges: DataFrame) -> None:
            assert edges.columns == ["src", "dst"]
            self.vertices = vertices

        def connectedComponents(self, **options: Any) -> DataFrame:  # noqa: N802 - its name
            inspect.signature(GraphFrame.connectedComponents).bind(self, **options)
            return self.vertices.selectExpr("id", f"{component} as component")

    monkeypatch.setattr(components, "_graph_frame", lambda _spark: Answering)
    edges = spark.createDataFrame([(5, -3), (5, -3), (5, 8)], "source long, target long")
    if component == "7":
        assert sorted(map(tuple, components.by_graphframes(edges).collect())) == [(5, -3), (8, -3)]
    else:
        with pytest.raises(RuntimeError, match=r"components that links cross; use 0\.10\.1 or later"):
            components.by_graphframes(edges)


def test_components_are_found_in_one_task_up_to_so_many_links_and_by_stars_above() -> None:
    pytest.importorskip("pyspark")
    from idmerge.spark import components

    most = components.ONE_TASK_EDGES
    assert components.finder_named("auto", most) is components.by_one_task
    assert components.finder_named("auto", most + 1) is components.by_stars
    assert components.finder_named("stars", 1) is components.by_stars


@pytest.mark.parametrize("most", [0, 10**6])
def test_auto_counts_links_between_different_ids_and_gives_the_same_answer_either_way(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    from idmerge.spark import components, resolve

    used = []
    for name in ("by_one_task", "by_stars"):
        finder = getattr(components, name)
        monkeypatch.setattr(components, name, lambda edges, f=finder: used.append(f.__name__) or f(edges))
    monkeypatch.setattr(components, "ONE_TASK_EDGES", most)
    rows = workload(11)
    assert answer(resolve(frame(spark, rows), order="at", links_a_task=len(rows))) == expected(rows)
    assert used == []  # One task replays all.
    assert answer(resolve(frame(spark, rows), order="at", links_a_task=99)) == expected(rows)
    assert used == ["by_one_task" if most else "by_stars"]
    observed = [(at, kind, left, left) for at, kind, left, _ in rows]
    assert answer(resolve(frame(spark, observed), order="at", links_a_task=9)) == expected(observed)
    assert used[1:] == ["by_one_task"]  # There is no edge at all.


@pytest.mark.parametrize("links_a_task", [10**6, 9])
def test_the_input_is_read_once(spark: SparkSession, links_a_task: int) -> None:
    from idmerge.spark import resolve

    read = spark.sparkContext.accumulator(0)

    def counted(batches: Any) -> Any:
        for batch in batches:
            read.add(batch.num_rows)
            yield batch

    rows = workload(3, cases=20)
    links = frame(spark, rows).mapInArrow(counted, SCHEMA)
    assert answer(resolve(links, order="at", links_a_task=links_a_task)) == expected(rows)
    assert read.value == len(rows)


def test_tasks_follow_the_number_of_links_whatever_the_session_shuffles_into(spark: SparkSession) -> None:
    from idmerge.spark import resolve
    from idmerge.spark.resolving import _tasks

    rows = workload(8)
    spark.conf.set("spark.sql.shuffle.partitions", "200")
    try:
        assert resolve(frame(spark, rows), order="at").rdd.getNumPartitions() == 1
        mapping = resolve(frame(spark, rows), order="at", links_a_task=200)
        assert 1 < mapping.rdd.getNumPartitions() <= 8
        assert spark.conf.get("spark.sql.shuffle.partitions") == "200"
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", "4")
    assert [_tasks(links, 10**6, 16) for links in (0, 1_000, 10**6, 10**7, 10**8)] == [1, 1, 10, 16, 100]


@pytest.mark.parametrize(
    "way", ["at once", "without repeated observations", "by components", "saved", "further"]
)
def test_no_stage_has_more_tasks_than_the_links_are_worth(
    spark: SparkSession, tmp_path: Path, way: str
) -> None:
    from idmerge.spark import resolve

    rows = workload(8)
    seen = [(at + len(rows), 2, left, left) for at, _, left, _ in rows * 2]
    every = frame(spark, rows + seen)
    options: dict[str, Any] = {"order": "at"}
    if way == "further":
        resolve(every, save=str(tmp_path / "before"), **options)
        options["previous"] = str(tmp_path / "before")
    chosen: dict[str, Any] = {
        "without repeated observations": {"links_a_task": len(rows) + 50},
        "by components": {"components": "stars"},
        "saved": {"save": str(tmp_path / "saved")},
    }
    tracker = spark.sparkContext.statusTracker()
    spark.sparkContext.setJobGroup(way, way)
    spark.conf.set("spark.sql.shuffle.partitions", "200")
    try:
        assert answer(resolve(every, **options, **chosen.get(way, {}))) == expected(rows + seen)
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", "4")
        spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)  # type: ignore[arg-type]
    jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(way)]
    stages = [tracker.getStageInfo(stage) for job in jobs if job for stage in job.stageIds]
    assert max(stage.numTasks for stage in stages if stage) < 20


# Incremental


@pytest.mark.parametrize(("seed", "shares"), [(3, (0.5, 0.9, 1)), (7, (0.7, 1))])
def test_going_on_from_what_was_saved_gives_the_mapping_of_all_links(
    spark: SparkSession, tmp_path: Path, seed: int, shares: tuple[float, ...]
) -> None:
    from idmerge.spark import resolve

    rows = workload(seed)
    random.Random(seed).shuffle(rows)  # New links come before old ones as often as not.
    policy, canonical = POLICIES[seed % len(POLICIES)], STRATEGIES[seed % 4]
    rules: dict[str, Any] = {"policy": policy, "canonical": canonical}
    previous = None
    cuts = [0, *(round(share * len(rows)) for share in shares)]
    for start, end in pairwise(cuts):
        links = frame(spark, rows[start:end])
        save = str(tmp_path / str(end)) if end < len(rows) else None
        mapping = resolve(links, order="at", components="stars", previous=previous, save=save, **rules)
        assert answer(mapping) == expected(rows[:end], policy, canonical)
        previous, rules = save, {}


def test_an_earlier_result_that_allows_no_exact_answer_is_refused_with_the_reason(
    spark: SparkSession, tmp_path: Path
) -> None:
    from idmerge.spark import resolve

    links, saved = frame(spark, [(1, 2, "a", "b")]), str(tmp_path / "saved")
    with pytest.raises(CanonicalError, match="save under a named strategy"):
        resolve(links, order="at", canonical=min, components="stars", save=saved)
    with pytest.raises(FullRunError, match="holds no whole result"):
        resolve(links, order="at", components="stars", previous=saved)
    resolve(links, order="at", components="stars", save=saved)
    with pytest.raises(FileExistsError, match="is there already; save to a new directory"):
        resolve(links, order="at", components="stars", save=saved)
    with pytest.raises(FullRunError, match=r"was resolved under Policy\(.*without previous"):
        resolve(links, order="at", policy=Policy(alias_once=False), components="stars", previous=saved)
    with pytest.raises(FullRunError, match="canonical='stable', from which the names by 'smallest'"):
        resolve(links, order="at", canonical="smallest", components="stars", previous=saved)
    with pytest.raises(FullRunError, match="ordered by bigint, the new ones by string"):
        resolve(links, order="first", components="stars", previous=saved)
    (tmp_path / "saved" / "manifest.json").unlink()
    with pytest.raises(FullRunError, match="holds no whole result"):
        resolve(links, order="at", components="stars", previous=saved)


def test_the_page_on_scale_does_what_it_shows(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (DOCS / "scale.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {"spark": spark}
    for block in blocks("python", page):
        exec(compile(block.replace("lake/", f"{tmp_path}/"), "docs/scale.md", "exec"), names)  # noqa: S102
        assert capsys.readouterr().out.splitlines() == promised_by(block)


# Wrong calls


def test_wrong_columns_are_named(spark: SparkSession) -> None:
    from idmerge.spark import resolve

    links = frame(spark, [(1, 2, "a", "b")])
    with pytest.raises(ColumnError, match="expected the column when, got at, kind, first, second"):
        resolve(links, order="when", components="stars")
    with pytest.raises(
        ColumnError, match="the column first must hold text, integers or UUIDs .*, got boolean"
    ):
        resolve(links.withColumn("first", links["at"] > 0), order="at", components="stars")
    with pytest.raises(ColumnError, match="must hold numbers or names of kinds, got double"):
        resolve(links.withColumn("kind", links["kind"].cast("double")), order="at", components="stars")
    with pytest.raises(ValueError, match="components must be 'auto', .* or 'graphframes', got 'x'"):
        resolve(links, order="at", components="x")  # type: ignore[arg-type]


def test_an_unknown_kind_is_named(spark: SparkSession) -> None:
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PythonException

    from idmerge.spark import resolve

    # Two stages need the kinds; where both fail at once, Spark raises the second one for both.
    failures = (PythonException, Py4JJavaError)
    with pytest.raises(failures, match="ColumnError: kind must be 0, 1, 2, 8, 13 or .*, got 3"):
        resolve(frame(spark, [(1, 3, "a", "b")]), order="at", components="stars")


@pytest.mark.skipif(PACKAGE is not None, reason="the session has the jar")
def test_a_session_without_the_jar_is_told_how_to_get_it(spark: SparkSession) -> None:
    from idmerge.spark import resolve

    with pytest.raises(MissingExtraError, match=r"spark\.jars\.packages=.*or pass components='auto'"):
        resolve(
            frame(spark, [(1, 2, "a", "b")]), order="at", components="graphframes", previous="no/such/state"
        )  # What is missing is said before anything is read.


def test_a_library_that_graphframes_lacks_is_named_and_not_the_extra_that_is_there(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    from idmerge.spark import resolve

    links = frame(spark, [(1, 2, "a", "b")])
    for name in [name for name in sys.modules if name.partition(".")[0] == "graphframes"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "typing_extensions", None)
    lacking = "graphframes, which is installed but cannot be imported: .*; pip install typing_extensions"
    with pytest.raises(MissingExtraError, match=lacking) as raised:
        resolve(links, order="at", components="graphframes")
    assert isinstance(raised.value.__cause__, ImportError)
    monkeypatch.setitem(sys.modules, "graphframes", None)
    with pytest.raises(MissingExtraError, match=r"needs graphframes: pip install .*, or pass"):
        resolve(links, order="at", components="graphframes")


def test_the_extra_declares_what_graphframes_imports() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needed = {re.split("[<>=]", text)[0] for text in project["optional-dependencies"]["spark"]}
    assert {"graphframes-py", "pyspark", "typing-extensions"} <= needed


def test_a_session_of_spark_connect_is_refused_in_one_line() -> None:
    pytest.importorskip("pyspark")
    from pyspark.sql import DataFrame as AnyFrame

    from idmerge.spark import resolve

    class Remote(AnyFrame):  # As that of Connect is: of the public class, but not the one with a JVM.
        def __new__(cls) -> Self:
            return object.__new__(cls)

        def __init__(self) -> None:
            pass

        @property
        def sparkSession(self) -> Any:  # noqa: N802 - its name
            raise AssertionError("a session without a JVM is asked for it")

    with pytest.raises(
        SparkSessionError, match=r"cannot run over Spark Connect: run it in .*spark-submit starts$"
    ):
        resolve(Remote(), order="at")


def test_without_pyspark_one_line_says_what_to_install() -> None:
    code = "import sys; sys.modules['pyspark'] = None\n"
    code += "try:\n    import idmerge.spark\nexcept ImportError as error:\n    print(error)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert re.fullmatch(r"idmerge\.spark needs pyspark: pip install 'pyspark>=[\d.]+,<\d+' .*\n", printed)
