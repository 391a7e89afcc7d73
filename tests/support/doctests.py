"""Examples of docstrings, run as doctests in a directory that has ``examples/``."""

from __future__ import annotations

import doctest
from typing import TYPE_CHECKING

import pytest

from paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from docstrings import Definition

LIBRARIES = ("pandas", "polars")
"""What examples name and not everybody has who runs the tests."""


def check(example: Definition, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the example of a docstring in an empty ``directory``; long lines of output may be broken."""
    test = doctest.DocTestParser().get_doctest(
        example.docstring, {}, example.test_id, str(example.path), example.line - 1
    )
    for library in LIBRARIES:
        if any(library in step.source for step in test.examples):
            pytest.importorskip(library, reason=f"the example needs {library}: pip install '.[test]'")
    (directory / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(directory)
    said: list[str] = []
    results = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=said.append)
    assert results.attempted > 0
    assert results.failed == 0, "".join(said)
