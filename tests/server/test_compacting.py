"""The choice of files to merge: few files remain, and no event is written anew again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from idmerge.server.store.compacting import MOST_BYTES, RUN, due

if TYPE_CHECKING:
    from collections.abc import Iterable

MIB = 1 << 20


class Sized(NamedTuple):
    size: int


def settled(sizes: Iterable[int]) -> tuple[list[int], int]:
    """Return the sizes of the files that remain as files come, and the bytes that were merged."""
    files: list[Any] = []
    merged = 0
    for size in sizes:
        files.append(Sized(size))
        while run := due(files):
            place = next(number for number in range(len(files)) if files[number] is run[0])
            whole = sum(one.size for one in run)
            assert len(run) > 1
            assert whole <= MOST_BYTES
            assert [id(one) for one in files[place : place + len(run)]] == [id(one) for one in run]
            files[place : place + len(run)] = [Sized(whole)]
            merged += whole
    return [one.size for one in files], merged


@given(st.lists(st.integers(0, 300 * MIB), max_size=60))
def test_small_files_do_not_pile_up(sizes: list[int]) -> None:
    left, _ = settled(sizes)
    assert sum(left) == sum(sizes)
    large = sum(size >= MOST_BYTES // 2 for size in sizes) + 2 * sum(sizes) // (MOST_BYTES // 2)
    levels = 30
    assert len(left) <= (large + 1) * RUN * levels
    assert not due([Sized(size) for size in left])  # type: ignore[misc]


def test_ten_gigabytes_in_pieces_of_a_sealing_are_few_files() -> None:
    left, merged = settled([45 * MIB] * 230)
    assert len(left) < 60
    assert merged < 2 * 230 * 45 * MIB


def test_files_of_a_few_events_are_merged_too() -> None:
    left, merged = settled([MIB // 8] * 1000)
    assert len(left) < 2 * RUN
    assert merged < 12 * 1000 * MIB // 8
