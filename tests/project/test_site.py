"""The documentation site: its pages, their links, and the names that they show."""

from __future__ import annotations

import importlib.util
import re
import runpy
import sys
from typing import TYPE_CHECKING, Any

import pytest

import idmerge
from idmerge.cli.group import COMMANDS
from paths import ROOT
from site_pages import site_script

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The script, with its pages made in a folder of the test's."""
    script = site_script()
    script.OUTPUT = tmp_path_factory.mktemp("site") / "pages"
    script.main()
    return script


def pages_of(site: Any) -> dict[str, str]:
    output: Path = site.OUTPUT
    return {path.relative_to(output).as_posix(): path.read_text("utf-8") for path in output.rglob("*.md")}


def test_the_navigation_lists_every_page_once(site: Any) -> None:
    listed = re.findall(r"[\w./-]+\.md", SETTINGS.partition("\nnav:\n")[2])
    assert sorted(listed) == sorted(pages_of(site))


def test_every_page_of_the_repository_is_on_the_site(site: Any) -> None:
    documents = [path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")]
    assert len(documents) > 15
    assert {site.place_of(document) for document in [*documents, "README.md"]} <= {*pages_of(site)}


def test_every_link_leads_to_a_page_or_a_picture(site: Any) -> None:
    links = 0
    for place, text in pages_of(site).items():
        for match in site.LINK.finditer(site.FENCE.sub("", text)):
            assert (site.OUTPUT / place).parent.joinpath(match[3]).exists(), (place, match[0])
            links += 1
    assert links > 100


def test_links_to_what_the_site_lacks_become_text(site: Any) -> None:
    text = "[the tests](../tests/project), [`it`](../README.md#try-it) and ![a chart](charts/growth.svg)"
    led = site.led("docs/stitching.md", text)
    assert led == "the tests, [`it`](index.md#try-it) and ![a chart](charts/growth.svg)"
    fenced = "```python\na[0](../README.md)\n```"
    assert site.led("docs/stitching.md", fenced) == fenced
    assert site.led("docs/design/engine.md", "[x](../index.md)") == "[x](../guide.md)"
    assert site.led("README.md", "[x](docs/SPEC.md)") == "[x](SPEC.md)"


def test_every_public_name_and_module_has_a_place(site: Any) -> None:
    shown = {name for _, names in site.NAMES.values() for name in names} | {*site.MODULES}
    others = {*idmerge.__all__} - {"__version__"} - shown
    assert {name for name in others if idmerge._HOMES[name] not in site.MODULES} == set()
    for name in shown:
        assert f"::: {site._home(name)}\n" in "\n".join([*pages_of(site).values(), ""]) + "\n"
        home, _, own = site._home(name).rpartition(".")
        # A module may need a library to be loaded, such as pyspark.
        is_module = home == "idmerge" and importlib.util.find_spec(f"idmerge.{own}") is not None
        assert is_module or hasattr(importlib.import_module(home), own)


def test_the_page_of_the_command_line_has_every_command_and_option(site: Any) -> None:
    text = pages_of(site)["commands.md"]
    for command in COMMANDS:
        assert re.search(rf"^### idmerge {command}$", text, flags=re.MULTILINE), command
    assert "#### idmerge ask signup-rate\n" in text
    assert re.search(r"^\| `-o, --output FILE` \| Write the mapping here", text, flags=re.MULTILINE)
    assert "\b" not in text


@pytest.mark.skipif(
    importlib.util.find_spec("mkdocs") is None, reason="mkdocs is not installed: pip install '.[docs]'"
)
def test_the_site_is_built_without_a_warning(site: Any, tmp_path: Path) -> None:
    import os
    import subprocess

    settings = SETTINGS.replace("docs_dir: target/pages", f"docs_dir: {site.OUTPUT}")
    settings = settings.replace("site_dir: target/site", f"site_dir: {tmp_path / 'site'}")
    settings = settings.replace("[python]", f"[{ROOT / 'python'}]").replace("site/", f"{ROOT}/site/")
    (tmp_path / "mkdocs.yml").write_text(settings, encoding="utf-8")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(tmp_path / "mkdocs.yml")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    run = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr
    page = (tmp_path / "site" / "api" / "resolvers" / "index.html").read_text("utf-8")
    assert "Joins IDs into identity clusters" in page
    assert 'href="../errors/#idmerge.errors.CanonicalError"' in page
    for name in ("site.css", "site.js"):
        assert f"/{name}" in page
        assert (tmp_path / "site" / name).exists()
    built = "".join(page.read_text("utf-8") for page in (tmp_path / "site" / "api").rglob("*.html"))
    names = [site._home(name) for _, names in site.NAMES.values() for name in names]
    names += [f"idmerge.{module}.{name}" for module in site.MODULES for name in site._members(module)]
    assert [name for name in names if f'id="{name}"' not in built] == []
    assert len(names) > 90


def test_a_package_without_errors_passes_the_extension_of_griffe() -> None:
    griffe = pytest.importorskip("griffe")
    extension = runpy.run_path(str(ROOT / "site" / "griffe_extension.py"))["Docstrings"]()
    other = griffe.Module("other")
    extension.on_package(pkg=other)
    assert not other.members
    collection = griffe.ModulesCollection()
    ours, errors = griffe.Module("ours", modules_collection=collection), griffe.Module("errors")
    collection["ours"] = ours
    ours.set_member("errors", errors)
    errors.set_member("PolicyError", griffe.Class("PolicyError"))
    extension.on_package(pkg=ours)
    assert ours.members["PolicyError"].target_path == "ours.errors.PolicyError"
