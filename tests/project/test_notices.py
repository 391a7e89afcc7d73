"""The shipped package has the licences of all crates that its compiled core links."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

import idmerge
from paths import ROOT
from rust import notices

SHIPPED = ("LICENSE-MIT", "LICENSE-APACHE", "THIRD-PARTY-NOTICES")
DOCS = ROOT / "docs" / "licences.md"
PERMISSIVE = {"MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "Unicode-3.0", "Zlib"}
"""Licences that let whoever ships the core choose its own, as long as their notices are kept."""


@pytest.fixture(scope="module")
def text() -> str:
    return notices.NOTICES.read_text("utf-8")


@pytest.fixture(scope="module")
def crates() -> list[notices.Crate]:
    if shutil.which("cargo") is None:
        pytest.skip("needs cargo")
    try:
        return notices.linked()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"needs the crates' sources: {error.stderr.decode()[-200:]}")


def test_the_notices_list_the_crates_that_are_locked(crates: list[notices.Crate], text: str) -> None:
    assert notices.listed(text) == {crate.heading for crate in crates}
    assert len(crates) > 100


def test_the_notices_hold_every_text_that_a_crate_brings(crates: list[notices.Crate], text: str) -> None:
    there = [crate for crate in crates if crate.folder.is_dir()]
    missing = [crate.heading for crate in there if not all(own in text for own in notices.texts(crate))]
    assert missing == []


def test_every_crate_has_a_text_of_its_licence(text: str) -> None:
    numbers = {int(number) for number in re.findall(rf"^{notices.RULE}\n(\d+)\n", text, re.MULTILINE)}
    for heading in notices.listed(text):
        stated = re.search(rf"^{re.escape(heading)}: ([\d, ]+)$", text, re.MULTILINE)
        assert stated is not None, heading
        assert {int(number) for number in stated[1].split(",")} <= numbers, heading


def test_every_licence_can_be_met_by_keeping_notices(text: str) -> None:
    for heading in notices.listed(text):
        licence = heading.partition(" (")[2].removesuffix(")")
        needed = [part.strip(" ()") for part in re.split(r"\bAND\b", licence)]
        for part in needed:
            assert PERMISSIVE & {choice.strip(" ()") for choice in part.split(" OR ")}, heading


def test_the_standard_library_is_there_with_what_it_links(text: str) -> None:
    own = text.partition(f"{notices.RULE}\nRust's standard library\n")[2]
    for said in ("Copyright notices for The Rust Standard Library", "hashbrown", "Apache License", "MIT"):
        assert said in own


def test_the_docs_count_the_licences(text: str) -> None:
    counted = dict(re.findall(r"^\| (.+?) \| (\d+) \|$", DOCS.read_text("utf-8"), re.MULTILINE))
    stated = {licence: count for count, licence in re.findall(r"^ *(\d+)  (\S.*)$", text, re.MULTILINE)}
    assert counted == {licence: stated[licence] for licence in counted}
    assert sum(map(int, counted.values())) == len(notices.listed(text))


def test_a_wheel_gets_the_notices(tmp_path: Path) -> None:
    maturin = shutil.which("maturin")
    if maturin is None or shutil.which("cargo") is None:
        pytest.skip("needs maturin and cargo")
    command = [maturin, "pep517", "write-dist-info", "--metadata-directory", str(tmp_path), "--offline"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if "--offline was specified" in done.stderr:
        pytest.skip("needs the sources of all crates that are locked, of every platform")
    assert done.returncode == 0, done.stderr
    for name in SHIPPED:
        (file,) = tmp_path.rglob(name)
        assert file.read_bytes() == (ROOT / name).read_bytes()


def test_the_installed_package_has_the_notices() -> None:
    installed = metadata.distribution("idmerge")
    if not Path(idmerge.__file__).is_relative_to(str(installed.locate_file(""))):
        pytest.skip("the package is imported from elsewhere than it was installed to")
    for name in SHIPPED:
        (file,) = [path for path in installed.files or [] if path.name == name]
        assert file.read_text("utf-8") == (ROOT / name).read_text("utf-8")
