"""The benchmark on Spark, `benches/reports/spark.py`, runs and its answers agree."""

from __future__ import annotations

import json

import pytest

from benches.reports.spark import main

pytest.importorskip("pyspark", reason="needs Spark: pip install '.[spark]'")


def test_spark_and_one_resolver_agree(capfd: pytest.CaptureFixture[str]) -> None:
    main(["3000", "--partitions", "2", "--junk", "0.02", "--open"])
    figures = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert figures["links"] >= 3000
    assert figures["largest_component"] > 50  # Junk was let in.
    assert figures["spark"]["shuffled_bytes"] > 0
