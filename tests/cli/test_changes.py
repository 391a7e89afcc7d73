"""``idmerge mapping`` and ``changes``: a journal's mapping, whole or since a position, as files."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner
from pyarrow import csv, parquet

from command_line import run
from idmerge import DurableResolver
from idmerge.cli.group import commands

IDS = "ids.idmerge"


@pytest.fixture(autouse=True)
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three merges: the last one joins what the first two made."""
    monkeypatch.chdir(tmp_path)
    with DurableResolver.open(IDS) as resolver:
        resolver.merge("ada", "ada@example.com")
        resolver.merge("grace", 'say "hi", grace')
        resolver.commit()
        resolver.merge("ada", "grace")
        resolver.commit()


def told(stdout: str) -> dict[str, list[object]]:
    return csv.read_csv(pa.BufferReader(stdout.encode())).to_pydict()


def test_the_mapping_is_that_of_the_resolver() -> None:
    result = run("mapping", IDS)
    with DurableResolver.open(IDS, read_only=True) as resolver:
        assert told(result.stdout) == resolver.mapping().to_pydict()
    assert result.stderr == "4 IDs as of position 3\n"


def test_the_mapping_of_the_past_is_that_of_its_position() -> None:
    result = run("mapping", IDS, "--as-of", 2, "-o", "then.parquet")
    assert result.stdout == ""
    assert set(parquet.read_table("then.parquet")["cluster_size"].to_pylist()) == {2}
    assert result.stderr == "4 IDs as of position 2\nwritten     4 rows to then.parquet\n"


def test_changes_are_those_since_a_position_and_say_where_to_go_on() -> None:
    result = run("changes", IDS, "--since", 2)
    assert told(result.stdout) == {
        "distinct_id": ["grace", 'say "hi", grace'],
        "old_canonical_id": ["grace", "grace"],
        "new_canonical_id": ["ada", "ada"],
        "position": [3, 3],
    }
    assert result.stderr == "2 canonical IDs changed since 2; ask since 3 next\n"
    assert run("changes", IDS, "--since", 3).stderr == "0 canonical IDs changed since 3; ask since 3 next\n"


def test_changes_applied_to_an_older_mapping_give_the_present_one() -> None:
    run("mapping", IDS, "--as-of", 1, "-o", "old.parquet")
    run("changes", IDS, "--since", 1, "-o", "changes.parquet")
    now = dict(zip(*list(told(run("mapping", IDS).stdout).values())[:2], strict=True))
    old, new = (parquet.read_table(name).to_pydict() for name in ("old.parquet", "changes.parquet"))
    folded = dict(zip(old["distinct_id"], old["canonical_id"], strict=True))
    folded |= dict(zip(new["distinct_id"], new["new_canonical_id"], strict=True))
    assert {own: folded.get(own, own) for own in now} == now


def test_a_position_ahead_is_one_line() -> None:
    assert run("changes", IDS, "--since", 4, code=1).stderr == (
        "idmerge: error: since must be between 0 and 3, got 4\n"
    )


@pytest.mark.parametrize("command", [["mapping"], ["changes", "--since", "0"]])
def test_a_journal_is_not_written_over(command: list[str]) -> None:
    with DurableResolver.open("j.csv") as resolver:
        resolver.merge("a", "b")
        resolver.commit()
    Path("link.csv").symlink_to("j.csv")
    before = Path("j.csv").read_bytes()
    for output in ("j.csv", "./j.csv", "link.csv"):
        done = CliRunner().invoke(commands, [*command, "j.csv", "-o", output])
        assert done.exit_code == 2
        assert "'j.csv' would be read and written over" in done.stderr
    assert Path("j.csv").read_bytes() == before
