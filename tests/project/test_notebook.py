"""The notebook in examples/ runs, and says what stands in it.

Its pictures are drawn anew but not compared: fonts and libraries differ from machine to machine.
``python tests/support/example_notebook.py`` writes what comes out now into the notebook.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from example_notebook import NOTEBOOK, executed, opened, shown


@pytest.fixture(scope="module")
def fresh() -> Any:
    return executed()


def test_each_cell_of_the_notebook_shows_what_comes_out_of_it(fresh: Any) -> None:
    for stored, cell in zip(opened().cells, fresh.cells, strict=True):
        if cell.cell_type == "code":
            assert shown(stored) == shown(cell), cell.source


def test_the_notebook_shows_text_tables_and_pictures_and_no_warning(fresh: Any) -> None:
    kinds = [kind for cell in fresh.cells if cell.cell_type == "code" for kind, _ in shown(cell)]
    assert set(kinds) == {"stdout", "text/html text/plain", "image/png text/plain"}
    assert kinds.count("image/png text/plain") == 2


def test_the_notebook_was_run_from_top_to_bottom() -> None:
    counts = [cell.execution_count for cell in opened().cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))


def test_what_the_notebook_links_to_is_there() -> None:
    text = "\n".join(cell.source for cell in opened().cells if cell.cell_type == "markdown")
    targets = re.findall(r"\]\(([^)#]+)\)", text)
    assert len(targets) >= 4
    for target in targets:
        assert NOTEBOOK.parent.joinpath(target).exists(), target
