"""The docstrings of public names: each has an example, and each example runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from docstrings import PACKAGE, bases, definitions, documented, members, public_names
from doctests import check
from site_pages import site_script

if TYPE_CHECKING:
    from pathlib import Path

    from docstrings import Definition

PUBLIC = {found.test_id: found for found in public_names(site_script())}
CLASSES = {test_id: found for test_id, found in PUBLIC.items() if members(found)}
EXAMPLES = [found for found in documented() if "spark" not in found.path.parts]
"""All but Spark's, which run in tests/spark."""


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_has_an_example(name: str) -> None:
    assert re.search(r"\n *Examples:\n +>>> ", PUBLIC[name].docstring), f"{name} has none"


@pytest.mark.parametrize("name", CLASSES)
def test_every_method_is_in_an_example_of_its_class(name: str) -> None:
    found = [*bases(CLASSES[name])]
    own = [member for cls in found for member in members(cls)]
    shown = "".join(
        line
        for documented in (*found, *own)
        for line in documented.docstring.splitlines(keepends=True)
        if line.lstrip().startswith((">>> ", "... "))
    )
    names = {member.own_name for member in own if member.is_shown}
    assert {name for name in names if not re.search(rf"\.{name}\b", shown)} == set()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.test_id)
def test_every_example_does_what_it_shows(
    example: Definition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(example, tmp_path, monkeypatch)


def test_public_names_are_found_by_the_source_alone() -> None:
    assert {
        "resolver.py:Resolver",
        "_core.pyi:Table",
        "errors.py:StitchWarning",
        "spark/events.py:links",
    } <= {*PUBLIC}
    assert len(PUBLIC) > 110
    assert [cls.name for cls in bases(PUBLIC["journal/durable.py:DurableResolver"])] == [
        "DurableResolver",
        "ExplainingResolver",
        "CommittingResolver",
        "Resolver",
        "Resolver",
    ]
    assert definitions(PACKAGE / "stitching" / "__init__.py")["stitch"].docstring.startswith("Return")
