"""The fuzz targets are a workspace of their own, which must not drift from the tested one."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from benches.campaigns.fuzz import seeds, targets
from paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

FUZZ = ROOT / "rust" / "fuzz"


def load(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def packages(folder: Path) -> set[tuple[str, str]]:
    return {(package["name"], package["version"]) for package in load(folder / "Cargo.lock")["package"]}


def test_every_target_has_its_file_and_every_file_its_target() -> None:
    stated = {target["path"]: target["name"] for target in load(FUZZ / "Cargo.toml")["bin"]}
    found = {path.relative_to(FUZZ).as_posix(): path.stem for path in FUZZ.glob("fuzz_targets/*.rs")}
    assert stated == found


def test_the_campaign_has_inputs_to_begin_with_for_every_target() -> None:
    found = seeds()
    assert set(found) == set(targets())
    assert all(found.values())


def test_the_targets_are_built_from_the_versions_that_are_shipped() -> None:
    own = {"arbitrary", "idmerge-fuzz", "jobserver", "libfuzzer-sys"}
    assert {name for name, _ in packages(FUZZ) - packages(ROOT)} == own


def test_the_workspace_needs_no_fuzz_target() -> None:
    assert load(ROOT / "Cargo.toml")["workspace"]["exclude"] == ["rust/fuzz"]
