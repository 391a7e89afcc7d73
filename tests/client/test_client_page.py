"""The page on the client does what it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from documents import blocks, promised_by
from paths import ROOT

if TYPE_CHECKING:
    import pytest

PAGE = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")


def test_each_block_runs_and_prints_what_its_comment_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names: dict[str, object] = {}
    for number, block in enumerate(shown := blocks("python", PAGE)):
        exec(compile(block, f"client.md, block {number}", "exec"), names)  # noqa: S102
        assert capsys.readouterr().out.splitlines() == promised_by(block), block
    assert len(shown) >= 5
