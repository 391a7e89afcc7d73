"""The Markdown: its form, its links, and its lists of pages and exceptions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from idmerge import errors
from paths import ROOT

PACKAGE = ROOT / "python" / "idmerge"
WIDTH = 100
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "examples/*.md", "contrib/*/*.md")
    for path in ROOT.glob(pattern)
)
CODE = r"^ *```.*?^ *```$"
GENERATED = r"^<!-- generated: .*?^<!-- end -->$"
ROW = r"^ *\|[^\n]*$"


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def without(text: str, *patterns: str) -> str:
    """Return the text with empty lines in place of all that matches."""
    pattern = re.compile("|".join(patterns), flags=re.DOTALL | re.MULTILINE)
    return pattern.sub(lambda match: "\n" * match.group().count("\n"), text)


def anchors_of(path: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub makes them."""
    text = without(path.read_text(encoding="utf-8"), CODE)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links_of(document: str) -> list[tuple[str, str]]:
    """Return the path and the anchor of each relative link."""
    return re.findall(r"\]\((?!\w+:)([^)#\s]*)#?([^)\s]*)\)", without(text_of(document), CODE))


def test_there_are_documents() -> None:
    assert {"README.md", "ARCHITECTURE.md", "docs/SPEC.md", "docs/design/engine.md"} <= {*DOCUMENTS}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_prose_is_wrapped_at_100_characters(document: str) -> None:
    prose = without(text_of(document), CODE, GENERATED, ROW)
    lines = enumerate(prose.splitlines(), start=1)
    assert [number for number, line in lines if len(line) > WIDTH and " " in line.strip()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_relative_link_leads_to_a_file_and_a_heading(document: str) -> None:
    source = ROOT / document
    for path, anchor in links_of(document):
        target = source.parent / path if path else source
        assert target.exists(), path
        if anchor:
            assert anchor in anchors_of(target), f"{path}#{anchor}"


def test_the_architecture_fits_on_two_screens() -> None:
    assert len(text_of("ARCHITECTURE.md").splitlines()) <= 150


def test_the_index_lists_every_page() -> None:
    listed = {path for path, _ in links_of("docs/index.md")}
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert pages - {"index.md"} <= listed


def test_the_page_on_errors_lists_every_exception_with_its_bases() -> None:
    text = text_of("docs/errors.md")
    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, errors.IdmergeError):
            bases = [base.__name__ for base in error.__bases__ if base is not errors.IdmergeError]
            row = f"| `{error.__name__}` | " + ", ".join(f"`{name}`" for name in bases) + " |"
            assert error is errors.IdmergeError or row in text, row
    assert "`CheckpointWarning`" in text


def test_every_path_that_the_architecture_names_is_there() -> None:
    bases = [ROOT, PACKAGE, *ROOT.glob("rust/*/src")]
    named = set(re.findall(r"`([\w./]+(?:\.py|\.rs|\.md|/))`", text_of("ARCHITECTURE.md")))
    files = {path.name for base in bases[1:] for path in base.rglob("*.*")}
    lost = {path for path in named if path not in files and not any((base / path).exists() for base in bases)}
    assert len(named) > 30
    assert lost == set()


def test_the_architecture_names_every_module_of_the_core_and_every_public_one_of_the_package() -> None:
    words = {*re.findall(r"\w+", text_of("ARCHITECTURE.md"))}
    modules = {path.stem for path in ROOT.glob("rust/core/src/**/*.rs")} - {"lib", "mod"}
    modules |= {path.stem for path in PACKAGE.glob("[!_]*") if path.suffix in {"", ".py"}}
    assert len(modules) > 40
    assert modules - words == set()
