"""The examples of Spark's calls, which run where Spark is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from docstrings import documented
from doctests import check
from spark_session import SKIPPED_WARNINGS, session

if TYPE_CHECKING:
    from pathlib import Path

    from docstrings import Definition

pytestmark = [pytest.mark.filterwarnings(text) for text in SKIPPED_WARNINGS]
EXAMPLES = [found for found in documented() if "spark" in found.path.parts]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.test_id)
def test_every_example_does_what_it_shows(
    example: Definition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session()
    check(example, tmp_path, monkeypatch)


def test_each_call_has_one() -> None:
    assert {example.name for example in EXAMPLES} == {"links", "resolve", "stitch"}
