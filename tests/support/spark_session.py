"""One Spark session for all tests: two tasks at once, four partitions, GraphFrames where named.

``GRAPHFRAMES_PACKAGE`` names its jar as Maven does, and Spark gets it (docs/scale.md):
``io.graphframes:graphframes-spark4_2.13:0.12.2``.
"""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from functools import cache
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PACKAGE = os.environ.get("GRAPHFRAMES_PACKAGE")
SKIPPED_WARNINGS = (
    "ignore::FutureWarning:pyspark",  # pandas 3 is newer than what it knows.
    "ignore::ResourceWarning",  # Its sockets end with the process.
    "ignore::pytest.PytestUnraisableExceptionWarning",
)
needs_graphframes = pytest.mark.skipif(not PACKAGE, reason="GRAPHFRAMES_PACKAGE names no jar of GraphFrames")
FINDERS = ["one-task", "stars", pytest.param("graphframes", marks=needs_graphframes)]
"""The ways to find components; "auto" is one of them, by the number of links."""


@cache
def session() -> SparkSession:
    """Return the session; tests are skipped where there can be none."""
    pytest.importorskip("pyspark", reason="needs Spark: pip install '.[spark]'")
    if not shutil.which("java") and "JAVA_HOME" not in os.environ:
        pytest.skip("Spark needs Java 17 or later on the path, or JAVA_HOME")
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master("local[2]").appName("idmerge")
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.memory": "1g",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",  # It does not live long enough to gain.
        # To compile code for each plan takes longer than to run it; benches/suites/test_spark.py
        # runs compiled code.
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.shuffle.partitions": "4",
        "spark.default.parallelism": "4",
        "spark.log.level": "ERROR",
        "spark.ui.showConsoleProgress": "false",
    }
    if PACKAGE:
        settings["spark.jars.packages"] = PACKAGE
    for name, value in settings.items():
        builder = builder.config(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return builder.getOrCreate()
