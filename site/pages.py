"""The Markdown of the documentation site, made of what the repository holds.

    python site/pages.py && mkdocs build

The same pages are read in the repository and on the site. Here each is copied to `OUTPUT` with its
links led to where the site has the page; what the site lacks, such as code, becomes text. The pages
of the API name what mkdocstrings is to render; that of the command line is what click knows. So the
generator has only to read Markdown: MkDocs and Zensical both do.
"""

from __future__ import annotations

import ast
import inspect
import posixpath
import re
import shutil
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

import idmerge
from idmerge.cli.group import commands

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
OUTPUT = ROOT / "target" / "pages"
PAGES = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "examples/README.md": "examples.md",
    "docs/index.md": "guide.md",
}
"""The places of pages whose names, or folders, differ from those in the repository."""
NAMES = {
    "resolvers": ("Resolvers", ["Resolver", "DurableResolver"]),
    "links": ("Events and links", ["parse", "Kind", "Link", "RecordedLink", "Statement"]),
    "policy": ("Rules", ["Policy", "DEFAULT_BLOCKED_IDS"]),
    "outcomes": ("Outcomes and reports", ["Outcome", "Report", "Stats"]),
    "tables": ("Tables", ["Table", "Column"]),
    "components": ("Components", ["Components", "connected_components"]),
    "profiles": ("Profiles", ["Profiles", "UpdateOutcome", "UpdateReport"]),
}
"""The pages of the API: their titles, and what of `idmerge` is on them."""
MODULES = {
    "canonical": "Canonical IDs",
    "client": "Client",
    "compat": "Drop-in classes",
    "doctor": "Check-ups",
    "errors": "Errors",
    "files": "Files",
    "journal": "Journals",
    "migration": "Migration",
    "questions": "Questions",
    "reference": "The reference",
    "reporting": "Reports",
    "spark": "Spark",
    "stitching": "Stitching",
    "testing": "Testing",
}
"""The pages of whole modules of `idmerge`: their titles."""
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")
FENCE = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)


def main() -> None:
    """Make all pages anew."""
    shutil.rmtree(OUTPUT, ignore_errors=True)
    shutil.copytree(ROOT / "docs", OUTPUT, ignore=shutil.ignore_patterns("*.md"))
    sources = [*PAGES, *(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))]
    for source in sources:
        _write(place_of(source), led(source, (ROOT / source).read_text("utf-8")))
    for place, text in _made():
        _write(place, text)


def place_of(source: str) -> str:
    """Return the place of a file of the repository on the site; empty if the site lacks it."""
    place = PAGES.get(source, source.removeprefix("docs/") if source.startswith("docs/") else "")
    return place if (ROOT / source).is_file() else ""


def led(source: str, text: str) -> str:
    """Return the Markdown of the file ``source`` with its links as they are on the site."""

    def target(match: re.Match[str]) -> str:
        is_image, words, path, anchor = match.groups()
        place = place_of(posixpath.normpath(posixpath.join(posixpath.dirname(source), path)))
        if not place:
            return words
        relative = posixpath.relpath(place, posixpath.dirname(place_of(source)) or ".")
        return f"{is_image}[{words}]({relative}{anchor or ''})"

    parts, end = [], 0
    for fence in FENCE.finditer(text):
        parts += [LINK.sub(target, text[end : fence.start()]), fence.group()]
        end = fence.end()
    return "".join([*parts, LINK.sub(target, text[end:])])


def _write(place: str, text: str) -> None:
    path = OUTPUT / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def _made() -> Iterator[tuple[str, str]]:
    """Yield the place and the text of each page that only the site has."""
    rows = []
    for page, (title, names) in NAMES.items():
        yield f"api/{page}.md", f"# {title}\n\n" + "\n\n".join(f"::: {_home(name)}" for name in names)
        rows += [f"| [{title}]({page}.md) | {', '.join(f'`idmerge.{name}`' for name in names)} |"]
    for name, title in MODULES.items():
        options = ["show_root_heading: false", "show_root_toc_entry: false"]
        if members := _members(name):
            options += [f"members: [{', '.join(members)}]"]
        lines = ["    options:", *(f"      {option}" for option in options)]
        text = "\n".join([f"# {title}: `idmerge.{name}`", "", f"::: idmerge.{name}", *lines, ""])
        yield f"api/{name}.md", text
        rows += [f"| [{title}]({name}.md) | `idmerge.{name}` |"]
    intro = "Every public name, by subject; `idmerge.Resolver` is where most begin."
    yield "api/index.md", "\n".join(["# API", "", intro, "", "| page | names |", "| --- | --- |", *rows, ""])
    whole = click.Context(commands, info_name="idmerge", **commands.context_settings)
    yield "commands.md", "\n\n".join(["# Command line", *_command(whole)]) + "\n"


def _members(module: str) -> list[str]:
    """Return the ``__all__`` of a module of `idmerge`, unloaded; none if it has none."""
    place = ROOT / "python" / "idmerge" / module
    path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    for statement in ast.parse(path.read_text("utf-8")).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            return [*ast.literal_eval(statement.value)]
    return []


def _home(name: str) -> str:
    """Return the full name, by its module, of what is ``idmerge.name``."""
    home = idmerge._HOMES.get(name)  # noqa: SLF001 - where each public name is
    return f"idmerge.{home}.{name}" if home else f"idmerge.{name}"


def _command(context: click.Context, depth: int = 2) -> Iterator[str]:
    """Yield the parts of the page about a command, and about those within it."""
    command = context.command
    yield f"{'#' * depth} {context.command_path}"
    yield f"```sh\n{command.get_usage(context).removeprefix('Usage: ')}\n```"
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(command.help or "")):
        if "\b\n" in paragraph:
            title, *lines = paragraph.partition("\b\n")[2].splitlines()
            yield f"{title}\n\n```sh\n{textwrap.dedent(chr(10).join(lines))}\n```"
        else:
            yield _escaped(paragraph)
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    rows = [
        f"| `{_cell(names)}` | {_cell(_escaped(text))} |" for names, text in filter(None, records) if text
    ]
    yield "\n".join(["| option | meaning |", "| --- | --- |", *rows])
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            yield from _command(_context(command, name, context), depth + 1)


def _context(group: click.Group, name: str, parent: click.Context) -> click.Context:
    command = group.get_command(parent, name)
    if command is None:
        raise LookupError(name)
    return click.Context(command, info_name=name, parent=parent)


def _escaped(text: str) -> str:
    """Return a text whose characters mean themselves in Markdown; what is `quoted` is code."""
    return re.sub(r"([\\*_<>\[\]#])", r"\\\1", text)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    main()
