"""Docstrings of the package, read from its source: those of public names, and their examples.

Nothing is imported, so names are found whose libraries are missing. What the core defines has its
docstrings in `_core.pyi`, where the site has them from.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PYTHON = ROOT / "python"
PACKAGE = PYTHON / "idmerge"


@dataclass(frozen=True)
class Definition:
    """A class, function or constant, with its docstring, if it has one, and where that begins."""

    path: Path
    name: str
    node: ast.stmt
    docstring: str
    line: int

    @property
    def test_id(self) -> str:
        return f"{self.path.relative_to(PACKAGE)}:{self.name}"

    @property
    def own_name(self) -> str:
        return self.name.rpartition(".")[2]

    @property
    def is_shown(self) -> bool:
        """Whether it is a method or property that the site shows."""
        is_public = isinstance(self.node, ast.FunctionDef) and not self.node.name.startswith("_")
        return is_public and self.docstring != ""


def _text_of(statement: ast.stmt | None) -> tuple[str, int] | None:
    match statement:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return text, statement.lineno
    return None


@cache
def definitions(path: Path) -> dict[str, Definition]:
    """Return what a file defines, also in its classes, by name: ``Resolver.link``."""
    found: dict[str, Definition] = {}

    def look(body: list[ast.stmt], prefix: str) -> None:
        for place, node in enumerate(body):
            names, documented = [], None
            match node:
                case ast.ClassDef() | ast.FunctionDef():
                    names, documented = [node.name], _text_of(node.body[0])
                case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                    behind = body[place + 1] if place + 1 < len(body) else None
                    names, documented = [name], _text_of(behind)
            for name in names:  # The last of several counts: overloads stand before their function.
                found[prefix + name] = Definition(path, prefix + name, node, *(documented or ("", 0)))
            if isinstance(node, ast.ClassDef):
                look(node.body, f"{prefix}{node.name}.")

    look(ast.parse(path.read_text("utf-8")).body, "")
    return found


def file_of(module: str) -> Path:
    """Return the file of a module."""
    place = PYTHON.joinpath(*module.split("."))
    candidates = (place / "__init__.py", place.with_suffix(".py"), place.with_suffix(".pyi"))
    return next(path for path in candidates if path.exists())


@cache
def imports(path: Path) -> dict[str, tuple[str, str]]:
    """Return the module, and the name in it, of each name that a file imports; modules have none."""
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


def defined(module: str, name: str) -> Definition:
    """Return the definition of ``module.name``, wherever it was imported from."""
    path = file_of(module)
    return definitions(path).get(name) or defined(*imports(path)[name])


def bases(cls: Definition) -> Iterator[Definition]:
    """Yield a class and the classes of the package that it extends."""
    yield cls
    assert isinstance(cls.node, ast.ClassDef)
    for base in cls.node.bases:
        match base:
            case ast.Name(id=name) if name in definitions(cls.path):
                yield from bases(definitions(cls.path)[name])
            case ast.Name(id=name) if imports(cls.path).get(name, ("", ""))[0].startswith("idmerge"):
                yield from bases(defined(*imports(cls.path)[name]))
            case ast.Attribute(value=ast.Name(id="_core"), attr=name):
                yield from bases(defined("idmerge._core", name))


def members(cls: Definition) -> list[Definition]:
    """Return what a class defines itself."""
    inside = definitions(cls.path).items()
    return [member for name, member in inside if name.rpartition(".")[0] == cls.name]


def public_names(site: Any) -> Iterator[Definition]:
    """Yield every name that has a place on the API pages of the ``site``, the script of its pages."""
    for _, names in site.NAMES.values():
        for name in names:
            yield defined(*site._home(name).rsplit(".", 1))
    for module in site.MODULES:
        own = definitions(file_of(f"idmerge.{module}"))
        for name in site._members(module) or [name for name in own if not name.startswith("_")]:
            if "." not in name:
                yield defined(f"idmerge.{module}", name)


def documented() -> Iterator[Definition]:
    """Yield every definition of the package that has an example."""
    for path in sorted([*PACKAGE.rglob("*.py"), PACKAGE / "_core.pyi"]):
        yield from (found for found in definitions(path).values() if ">>> " in found.docstring)
