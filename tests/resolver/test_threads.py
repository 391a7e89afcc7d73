"""Threads: readers and a writer at once, and no deadlock with the interpreter."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from idmerge import Kind, Outcome, Resolver

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = 300
IDS = [f"person {number}" for number in range(2000)]


@pytest.fixture(autouse=True)
def switch_often() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def test_readers_see_only_states_between_links_while_a_writer_works() -> None:
    resolver = Resolver(canonical="first_seen")
    resolver.observe_many(IDS)
    done = threading.Event()

    def write() -> None:
        for start in range(0, len(IDS) - 1, 7):
            resolver.link_many(Kind.MERGE, IDS[start : start + 7], [*IDS[start + 1 : start + 7], IDS[start]])
            resolver.merge(IDS[start], IDS[start])
        done.set()

    def read() -> int:
        seen = 0
        while not done.is_set() or seen < ROUNDS:
            text = IDS[seen * 13 % len(IDS)]
            members = resolver.members(text)
            assert text in members
            assert resolver.resolve(text) in members or resolver.size(text) > len(members)
            answers = resolver.resolve_many(IDS[:50])
            assert len(answers) == 50
            seen += 1
        return seen

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        pool.submit(write).result(timeout=120)
        assert all(reader.result(timeout=120) >= ROUNDS for reader in readers)
    assert resolver.stats().outcomes[Outcome.SAME_IDS] == len(range(0, len(IDS) - 1, 7))


def test_writers_at_once_lose_no_link() -> None:
    resolver = Resolver()

    def write(offset: int) -> None:
        for number in range(offset, 2000, 4):
            resolver.merge(f"left {number}", f"right {number}")
            resolver.observe_many([f"seen {number}"])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert (len(resolver), resolver.cluster_count) == (6000, 4000)


def test_a_list_that_another_thread_changes_is_read_as_it_was() -> None:
    resolver = Resolver()
    texts = [f"text {number}" for number in range(5000)]
    stop = threading.Event()

    def disturb() -> None:
        while not stop.is_set():
            texts.append("more")
            texts.pop()
            texts.sort()

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        for _ in range(50):
            assert set(resolver.resolve_many(texts)) <= {*texts, "more"}
            resolver.observe_many(texts)
    finally:
        stop.set()
        thread.join()
    assert 5000 <= len(resolver) <= 5001


def test_a_callable_strategy_may_be_asked_while_others_write() -> None:
    resolver = Resolver(canonical=min)

    def write(offset: int) -> None:
        for number in range(offset, 1000, 2):
            resolver.merge(IDS[number % 100], IDS[number])

    with ThreadPoolExecutor(3) as pool:
        writers = [pool.submit(write, offset) for offset in range(2)]
        while not all(writer.done() for writer in writers):
            resolver.resolve_many(IDS[:20])
        assert [writer.result() for writer in writers] == [None, None]
    assert resolver.resolve(IDS[142]) == min(resolver.members(IDS[142]))
