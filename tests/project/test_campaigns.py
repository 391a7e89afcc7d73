"""Campaigns of faults as commands: figures on stdout, violations on stderr, and the exit code."""

from __future__ import annotations

import json
from argparse import Namespace
from importlib import import_module
from pathlib import Path

import pytest

from benches.support.campaign import run_campaign
from paths import ROOT

HELPERS = {"__init__", "journal_writer", "mutated_files"}
CAMPAIGNS = sorted({path.stem for path in (ROOT / "benches" / "campaigns").glob("*.py")} - HELPERS)
CHOSEN = Namespace(seed=7)


def fails(folder: Path) -> tuple[dict[str, int], list[str]]:
    (folder / "evidence").touch()
    raise AssertionError("3 of 4")


def test_a_campaign_in_which_all_holds_prints_its_counts_and_ends_with_0(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_campaign(lambda folder: ({"here": len([*folder.iterdir()])}, []), CHOSEN) == 0
    printed = capsys.readouterr()
    assert set(json.loads(printed.out)) == {"here", "seconds"}
    assert printed.err == ""


def test_a_violation_that_is_returned_ends_with_1_and_names_the_seed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_campaign(lambda _: ({"kills": 2}, ["lost one"] * 30), CHOSEN) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["kills"] == 2
    assert printed.err.splitlines() == ["lost one"] * 20 + ["violated 30 times with --seed 7"]


def test_a_violation_that_is_raised_ends_with_1_and_leaves_no_directory(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run_campaign(fails, Namespace(seed=7, folder=str(tmp_path))) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "AssertionError: 3 of 4\nviolated with --seed 7\n" in printed.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_each_campaign_says_what_it_does_and_takes_a_count_and_a_seed(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        import_module(f"benches.campaigns.{name}").main(["--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"usage: python -m benches.campaigns.{name} ")
    assert "--seed" in printed
    assert "default: " in printed


def test_there_are_campaigns() -> None:
    assert len(CAMPAIGNS) >= 9
