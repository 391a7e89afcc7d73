"""The costs of a journal, on a few links: the answers are compared on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from benches.reports.journal import FIGURES, RATIOS, one_round
from benches.support.workload import columns
from idmerge import DurableResolver, Kind


def test_every_figure_is_there_and_the_answers_agree(tmp_path: Path) -> None:
    figures = one_round(columns(2000), 100, tmp_path)
    wanted = set(FIGURES) | {name for pair in RATIOS.values() for name in pair}
    assert wanted <= set(figures)
    assert all(value > 0 for value in figures.values())


@pytest.mark.parametrize("size", [1, 100, 10_000])
def test_a_commit(benchmark: object, tmp_path: Path, size: int) -> None:
    r = DurableResolver.open(tmp_path / "journal")
    numbers = iter(range(10**9))

    def commit() -> None:
        number = next(numbers)
        names = [f"user-{number}-{row}" for row in range(size)]
        r.link_many(Kind.MERGE, names, [f"{name}'s alias" for name in names])
        r.commit()

    benchmark(commit)  # type: ignore[operator]
    r.close()
    with DurableResolver.open(tmp_path / "journal") as again:
        assert len(again) == 2 * size * (next(numbers))
