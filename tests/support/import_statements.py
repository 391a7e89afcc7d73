"""The imports of a module, read from its text: those in functions and for types alone too."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def statements(path: Path) -> Iterator[tuple[str, set[str]]]:
    """Yield each module that the file at ``path`` names, and ``module.member`` for each member."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, set()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield str(node.module), {f"{node.module}.{alias.name}" for alias in node.names}


def imported_names(path: Path) -> set[str]:
    """Return every module that the file at ``path`` names, and every ``module.member``."""
    return {name for module, members in statements(path) for name in {module, *members}}
